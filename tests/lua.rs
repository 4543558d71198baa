//! The built library, loaded by its own Lua files in a real LuaJIT, without
//! nginx: `lib.lua`, `plugin.lua` and the generated `cdef.lua` need none.

use std::path::{Path, PathBuf};

use mlua::{Function, Lua, Table};

/// A plugin that takes every configuration but "no", and traps at "trap".
const GUEST: &str = r#"(module
    (import "env" "proxy_get_buffer_bytes"
        (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_unheard_of" (func $unknown (result i32)))
    (func (export "proxy_abi_version_0_2_1"))
    (memory (export "memory") 2)
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_configure") (param $root i32) (param $size i32) (result i32)
        (drop (call $get (i32.const 7) (i32.const 0) (local.get $size) (i32.const 0) (i32.const 4)))
        ;; Its first four bytes: "trap".
        (if (i32.eq (i32.load (i32.const 1024)) (i32.const 0x70617274)) (then (unreachable)))
        (i32.ne (i32.load16_u (i32.const 1024)) (i32.const 0x6f6e))))"#;

/// Where cargo puts the library: beside the tests' executables.
fn library_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let deps = exe.parent().unwrap();
    let file = "libresty_proxy_wasm.so";
    let found = [deps, deps.parent().unwrap()]
        .into_iter()
        .find(|dir| dir.join(file).exists());
    found
        .unwrap_or_else(|| panic!("no {file} in {deps:?}"))
        .to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A Lua that finds our files, and the library in `library`.
fn lua_with(library: &Path) -> Lua {
    // SAFETY: needed for the `ffi` module; the scripts are our own.
    let lua = unsafe { Lua::unsafe_new() };
    let package: Table = lua.globals().get("package").unwrap();
    package
        .set("path", root().join("lib/?.lua").to_str())
        .unwrap();
    package.set("cpath", library.join("?.so").to_str()).unwrap();
    lua.globals()
        .set(
            "GUEST",
            lua.create_string(wat::parse_str(GUEST).unwrap()).unwrap(),
        )
        .unwrap();
    lua
}

fn lua() -> Lua {
    lua_with(&library_dir())
}

/// Runs a script that raises when something is wrong.
fn run(lua: &Lua, script: &str) {
    lua.load(script)
        .exec()
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_plugin_loads_and_takes_its_configuration() {
    run(
        &lua(),
        r#"
        local plugins = require "resty.proxy_wasm.plugin"
        local plugin = assert(plugins.load("p", GUEST))
        assert(plugins.is_plugin(plugin) and not plugins.is_root(plugin))
        local root = assert(plugins.configure(plugin, "yes"))
        assert(plugins.is_root(root) and not plugins.is_plugin(root))
        assert(plugins.configure(plugin, ""))
        assert(ngx == nil)
        "#,
    );
}

#[test]
fn errors_are_sentences() {
    run(
        &lua(),
        r#"
        local plugins = require "resty.proxy_wasm.plugin"
        local function fails(expected, value, err)
            assert(value == nil, value)
            assert(err == expected, err)
        end
        fails("failed to load: the file is empty", plugins.load("p", ""))
        fails('failed to load: no WebAssembly: it begins with "text"', plugins.load("p", "text"))
        fails('plugin "p": /nowhere: No such file or directory', plugins.load_file("p", "/nowhere"))
        local plugin = assert(plugins.load("p", GUEST))
        fails("failed to run proxy_on_configure: the plugin refused its configuration",
              plugins.configure(plugin, "no"))
        fails("failed to run proxy_on_configure: wasm trap: wasm `unreachable` instruction executed",
              plugins.configure(plugin, "trap"))
        assert(plugins.configure(plugin, "yes"))
        "#,
    );
}

#[test]
fn options_are_checked() {
    run(
        &lua(),
        r#"
        local plugins = require "resty.proxy_wasm.plugin"
        assert(plugins.check_options(nil) == nil)
        assert(plugins.check_options {} == nil)
        assert(plugins.check_options { pause_timeout = 0.5, resume = "callouts" } == nil)
        assert(plugins.check_options { resume = 1 }
               == 'option "resume" must be "callouts" or "continue", not 1')
        assert(plugins.check_options { nothing = 1 }:find('unknown option "nothing"', 1, true))
        local all = {
            root_id = "root", vm_config = "\0", upstreams = { a = "b:1", ["c\0"] = "d:2" },
            pause_timeout = 1, resume = "callouts", property_encoding = "string",
            context_ids = "reused", subrequests = true,
        }
        assert(plugins.check_options(all) == nil)
        assert(plugins.load("p", GUEST, all))
        "#,
    );
}

#[test]
fn what_is_collected_ends_in_any_order() {
    for first in ["plugin", "root"] {
        run(
            &lua(),
            &format!(
                r#"
                local plugins = require "resty.proxy_wasm.plugin"
                for _ = 1, 20 do
                    local handles = {{ plugin = assert(plugins.load("p", GUEST)) }}
                    handles.root = assert(plugins.configure(handles.plugin, "yes"))
                    handles.{first} = nil
                    collectgarbage()
                    collectgarbage()
                end
                "#
            ),
        );
    }
}

#[test]
fn a_vm_may_end_with_everything_alive_and_another_begin() {
    for _ in 0..3 {
        let lua = lua();
        run(
            &lua,
            r#"
            local plugins = require "resty.proxy_wasm.plugin"
            kept = { assert(plugins.load("p", GUEST)) }
            kept[2] = assert(plugins.configure(kept[1], "yes"))
            "#,
        );
        drop(lua);
    }
}

#[test]
fn modules_may_be_loaded_anew_in_one_vm() {
    run(
        &lua(),
        r#"
        local plugin = assert(require("resty.proxy_wasm.plugin").load("p", GUEST))
        for name in pairs(package.loaded) do
            if name:find("^resty%.") then
                package.loaded[name] = nil
            end
        end
        local plugins = require "resty.proxy_wasm.plugin"
        assert(plugins.configure(plugin, "yes"))
        "#,
    );
}

#[test]
fn a_library_that_is_not_there_is_named_with_where_it_was_looked_for() {
    let lua = lua_with(Path::new("/nowhere"));
    let error = lua
        .load(r#"require "resty.proxy_wasm.lib""#)
        .exec()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("libresty_proxy_wasm.so is not in lua_package_cpath")
            && error.contains("make install PREFIX="),
        "{error}"
    );
    assert!(error.contains("/nowhere/libresty_proxy_wasm.so"), "{error}");
}

/// Names in CamelCase as constants have them.
fn constant(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// The variants of `enum Effect`, as written in its source.
fn effects() -> Vec<String> {
    let source = std::fs::read_to_string(root().join("src/context/effect.rs")).unwrap();
    let body = source.split_once("pub enum Effect {").expect("the enum").1;
    let body = body.split_once("\n}").unwrap().0;
    body.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .map(|line| constant(line.split(|c: char| !c.is_alphanumeric()).next().unwrap()))
        .collect()
}

/// Law 8: the enum, the constants and Lua's table have the same members.
#[test]
fn lua_performs_every_effect_and_no_other() {
    let lua = lua();
    // Whatever is nginx's is not called here: anything stands for it.
    run(
        &lua,
        r#"
        local anything = setmetatable({}, {})
        getmetatable(anything).__index = function() return anything end
        getmetatable(anything).__call = function() return anything end
        ngx = anything
        local ours = "resty.proxy_wasm."
        for _, name in ipairs { "ngx.semaphore", "ngx.resp", "resty.core.base", ours .. "callout", ours .. "clock",
                                ours .. "timer" } do
            package.preload[name] = function() return anything end
        end
        performed = {}
        for number, fn in pairs(require("resty.proxy_wasm.effects").perform) do
            assert(type(fn) == "function")
            performed[number] = true
        end
        "#,
    );
    let performed: Table = lua.globals().get("performed").unwrap();
    let number: Function = lua
        .load(r#"local lib = require("resty.proxy_wasm.lib").lib; return function(name) return lib[name] end"#)
        .eval()
        .unwrap();

    let effects = effects();
    assert!(effects.len() >= 6, "{effects:?}");
    for effect in &effects {
        let name = format!("RPW_EFFECT_{effect}");
        let number: i32 = number
            .call(name.as_str())
            .unwrap_or_else(|error| panic!("{error}"));
        let performs: Option<bool> = performed.get(number).unwrap();
        assert_eq!(performs, Some(true), "effects.lua does not perform {name}");
    }
    assert_eq!(
        performed.pairs::<i32, bool>().count(),
        effects.len(),
        "effects.lua performs more"
    );

    let cdef = std::fs::read_to_string(root().join("lib/resty/proxy_wasm/cdef.lua")).unwrap();
    let constants = cdef.matches("const int32_t RPW_EFFECT_").count();
    assert_eq!(constants, effects.len(), "constants without a variant");
}
