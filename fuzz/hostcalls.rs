//! A guest that calls every host function, and every function of WASI, with
//! whatever arguments: lengths, addresses, ids, numbers of enumerations.
//!
//! In: a byte of flags, and a program. The guest gets the program as its
//! configuration and goes on with it in each callback: a byte that names a
//! function, then its arguments; 255 ends the callback, and the next byte is
//! what it returns. How arguments are written: `$argument` below.

use crate::engine::Target;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::LazyLock;

use crate::drive::{drive, options};
use resty_proxy_wasm::context::State;
use resty_proxy_wasm::host::memory::MemoryHost;
use resty_proxy_wasm::hostcalls::{self, Linked, TABLE, wasi};
use resty_proxy_wasm::plugin::Plugin;
use resty_proxy_wasm::vm::WasmType::{self, I32, I64};
use resty_proxy_wasm::vm::instance::linker;

/// Strings that host functions know, 64 bytes each.
const WORDS: [&str; 16] = [
    ":path",
    ":status",
    ":method",
    "host",
    "x-one",
    r"request\00path",
    r"request\00headers\00x-one",
    "plugin_name",
    r"ngx\00var",
    "10.0.0.1:80",
    "queue",
    "compress",
    "uncompress",
    "key",
    "vm",
    // `:method`, `:path` and `:authority`, without what is behind 64 bytes.
    r"\01\00\00\00\05\00\00\00\02\00\00\00:path\00/x\00",
];

/// All that take up to this many parameters are found.
const MOST: usize = 12;

/// The parameters that a function of this name has: those that it is linked by.
fn signature(module: &str, name: &str) -> Vec<WasmType> {
    for count in 0..=MOST {
        // Wherever the 64-bit ones are; few have more than two.
        let masks = (0_u32..1 << count).filter(|mask| mask.count_ones() <= 3);
        for mask in masks {
            let params: Vec<WasmType> = (0..count)
                .map(|at| if mask >> at & 1 == 1 { I64 } else { I32 })
                .collect();
            let results: &[WasmType] = match name {
                "proc_exit" => &[],
                _ => &[I32],
            };
            let mut linker = linker::<State>().expect("a linker");
            let linked = match module {
                "env" => hostcalls::link(&mut linker, module, name, &params, results),
                _ => wasi::link(&mut linker, module, name, &params, results),
            };
            match linked.expect("linked") {
                Linked::Built => return params,
                // A stub takes any.
                Linked::Unimplemented => return vec![I32; 3],
                _ => {}
            }
        }
    }
    panic!("{module}.{name} has more than {MOST} parameters");
}

/// The guest, made of the tables of the library.
static MODULE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let env = TABLE
        .iter()
        .flat_map(|row| [row.name].into_iter().chain(row.aliases.iter().copied()))
        .map(|name| ("env", name));
    let wasi = wasi::NAMES.iter().map(|name| (wasi::MODULES[0], *name));

    let (mut imports, mut calls, mut table) = (String::new(), String::new(), String::new());
    for (index, (module, name)) in env.chain(wasi).enumerate() {
        let params = signature(module, name);
        let types: Vec<&str> = params
            .iter()
            .map(|ty| if *ty == I64 { "i64" } else { "i32" })
            .collect();
        let args: String = params
            .iter()
            .map(|ty| match ty {
                I64 => "(i64.extend_i32_s (call $argument))",
                _ => "(call $argument)",
            })
            .collect();
        let (result, drop) = match name {
            "proc_exit" => ("", "call"),
            _ => ("(result i32)", "drop (call"),
        };
        let close = if drop == "call" { "" } else { ")" };
        let _ = writeln!(
            imports,
            "(import {module:?} {name:?} (func $f{index} (param {}) {result}))",
            types.join(" ")
        );
        let _ = writeln!(calls, "(func $c{index} ({drop} $f{index} {args}{close}))");
        let _ = write!(table, "$c{index} ");
    }
    let words: String = WORDS
        .iter()
        .enumerate()
        .map(|(at, word)| format!("(data (i32.const {}) \"{word}\")", 8192 + at * 64))
        .collect();
    let callbacks: String = [
        ("proxy_on_context_create", 2, false),
        ("proxy_on_vm_start", 2, false),
        ("proxy_on_request_headers", 3, true),
        ("proxy_on_request_body", 3, true),
        ("proxy_on_response_headers", 3, true),
        ("proxy_on_response_body", 3, true),
        ("proxy_on_http_call_response", 5, false),
        ("proxy_on_tick", 1, false),
        ("proxy_on_queue_ready", 2, false),
        ("proxy_on_foreign_function", 3, false),
        ("proxy_on_done", 1, true),
        ("proxy_on_log", 1, false),
        ("proxy_on_delete", 1, false),
    ]
    .map(|(name, params, returns)| {
        let params = "i32 ".repeat(params);
        match (name, returns) {
            ("proxy_on_vm_start", _) => {
                format!("(func (export \"{name}\") (param {params}) (result i32) (i32.const 1))")
            }
            (_, true) => {
                format!("(func (export \"{name}\") (param {params}) (result i32) (call $run))")
            }
            (_, false) => format!("(func (export \"{name}\") (param {params}) (drop (call $run)))"),
        }
    })
    .concat();
    let count = table.split_whitespace().count();

    let source = format!(
        r#"(module
            {imports}
            (memory (export "memory") 4 64)
            (table funcref (elem {table}))
            (type $call (func))
            {words}
            (global $heap (mut i32) (i32.const 65536))
            (global $at (mut i32) (i32.const 0))
            (global $end (mut i32) (i32.const 0))
            (func (export "proxy_abi_version_0_2_1"))
            (func $malloc (export "malloc") (param $size i32) (result i32)
                (local $given i32)
                (local.set $given (global.get $heap))
                (global.set $heap (i32.add (global.get $heap) (local.get $size)))
                (if (i32.gt_u (global.get $heap) (i32.const 250000))
                    (then (global.set $heap (i32.const 131072))))
                (local.get $given))
            (func $next (result i32)
                (if (i32.ge_u (global.get $at) (global.get $end)) (then (return (i32.const 255))))
                (i32.load8_u (global.get $at))
                (global.set $at (i32.add (global.get $at) (i32.const 1))))
            ;; 0-127: itself. Then addresses: in the program just behind, for results, of
            ;; the words, of two bytes; then four bytes, whatever they are.
            (func $argument (result i32)
                (local $b i32)
                (local.set $b (call $next))
                (if (i32.lt_u (local.get $b) (i32.const 128)) (then (return (local.get $b))))
                (if (i32.lt_u (local.get $b) (i32.const 160))
                    (then (return (i32.add (global.get $at) (i32.and (local.get $b) (i32.const 31))))))
                (if (i32.lt_u (local.get $b) (i32.const 192))
                    (then (return (i32.add (i32.const 1024)
                        (i32.shl (i32.and (local.get $b) (i32.const 31)) (i32.const 3))))))
                (if (i32.lt_u (local.get $b) (i32.const 224))
                    (then (return (i32.add (i32.const 8192)
                        (i32.shl (i32.and (local.get $b) (i32.const 15)) (i32.const 6))))))
                (if (i32.lt_u (local.get $b) (i32.const 240))
                    (then (return (i32.or (call $next) (i32.shl (call $next) (i32.const 8))))))
                (i32.or
                    (i32.or (call $next) (i32.shl (call $next) (i32.const 8)))
                    (i32.shl
                        (i32.or (call $next) (i32.shl (call $next) (i32.const 8)))
                        (i32.const 16))))
            {calls}
            (func $run (result i32)
                (local $b i32)
                (loop $again
                    (local.set $b (call $next))
                    (if (i32.eq (local.get $b) (i32.const 255)) (then (return (call $next))))
                    (call_indirect (type $call) (i32.rem_u (local.get $b) (i32.const {count})))
                    (br $again))
                (unreachable))
            (func (export "proxy_on_configure") (param i32 i32) (result i32)
                (drop (call $f{get_buffer} (i32.const 7) (i32.const 0) (i32.const 60000)
                    (i32.const 16) (i32.const 20)))
                (global.set $at (i32.load (i32.const 16)))
                (global.set $end (i32.add (global.get $at) (i32.load (i32.const 20))))
                (drop (call $run))
                (i32.const 1))
            {callbacks})"#,
        get_buffer = position("proxy_get_buffer_bytes"),
    );
    wat::parse_str(source).expect("a guest")
});

/// Where a name is among the imports.
fn position(name: &str) -> usize {
    let mut names = TABLE
        .iter()
        .flat_map(|row| [row.name].into_iter().chain(row.aliases.iter().copied()));
    names.position(|known| known == name).expect("a row")
}

thread_local! {
    /// Keeps the compiled code.
    static KEPT: Plugin =
        Plugin::load(Rc::new(MemoryHost::new()), b"kept", &MODULE, options(0)).expect("it loads");
}

pub const TARGET: Target = Target {
    name: "hostcalls",
    run,
    words: &[b"\xff\x01", b"\xff\0"],
    more_seeds: Vec::new,
};

fn run(data: &[u8]) {
    let Some((flags, program)) = data.split_first() else {
        return;
    };
    KEPT.with(|_| {});
    let host = Rc::new(MemoryHost::new());
    let mut plugin = Plugin::load(host.clone(), b"p", &MODULE, options(*flags)).expect("it loads");
    drive(&host, &mut plugin, program, *flags);
}
