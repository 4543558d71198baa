//! The guest of the target `hostcalls`: it calls every host function, and every
//! function of WASI, with whatever arguments its configuration gives, and looks
//! at what they do to it.
//!
//! The first byte of the configuration says whether it watches its memory; the
//! rest is a program: a byte that names a function, then its arguments; 255
//! ends the callback, and the next byte is what it returns. How arguments are
//! written: `$argument` below.
//!
//! A result that is no status, and a byte of its memory that a call changed but
//! for what it was told to write, end the guest in `$no_status` or in
//! `$written_elsewhere`: see [`FAULTS`].

use std::fmt::Write;

use resty_proxy_wasm::context::State;
use resty_proxy_wasm::hostcalls::{self, Linked, TABLE, wasi};
use resty_proxy_wasm::vm::Stack;
use resty_proxy_wasm::vm::WasmType::{self, I32, I64};
use resty_proxy_wasm::vm::instance::linker;

/// The functions in which the guest ends when a host function did wrong.
pub const FAULTS: [&str; 2] = ["no_status", "written_elsewhere"];

/// Strings that host functions know, 64 bytes each; behind them, up to 32, are
/// empty ones.
const WORDS: [&str; 19] = [
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
    "declare_property",
    "verify_signature",
    "sign",
];

/// All that take up to this many parameters are found.
const MOST: usize = 12;

/// The greatest status of the specification: UNIMPLEMENTED.
const LAST_STATUS: i32 = 12;

/// The greatest errno of WASI: `notcapable`.
const LAST_ERRNO: i32 = 76;

/// Bytes that a host function may write where an argument points: the greatest
/// number; of WASI the greatest structure.
const NUMBER: u32 = 8;
const STRUCTURE: u32 = 64;

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
            let mut linker = linker::<State>(Stack::default()).expect("a linker");
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

/// What the guest does before, in and after a call.
fn call(index: usize, module: &str, name: &str, params: &[WasmType]) -> String {
    let mut source = format!("(func $c{index}");
    for (at, ty) in params.iter().enumerate() {
        let _ = write!(source, " (local $p{at} {})", type_name(*ty));
    }
    for (at, ty) in params.iter().enumerate() {
        let value = match ty {
            I64 => "(i64.extend_i32_s (call $argument))",
            _ => "(call $argument)",
        };
        let _ = write!(source, "\n(local.set $p{at} {value})");
    }
    let named = (0..MOST).map(|at| match params.get(at) {
        Some(I32) => format!("(global.set $named{at} (local.get $p{at}))"),
        // Nothing is there.
        _ => format!("(global.set $named{at} (i32.const 0x7f000000))"),
    });
    source.extend(named);
    let (most, size) = match module {
        "env" => (LAST_STATUS, NUMBER),
        _ => (LAST_ERRNO, STRUCTURE),
    };
    let _ = write!(source, "\n(global.set $size (i32.const {size}))");
    // The one whose extent is an argument.
    let filled = match name {
        "random_get" => "(local.get $p1)",
        _ => "(i32.const 0)",
    };
    let _ = write!(source, "(global.set $filled {filled})\n(call $before)");
    let args: String = (0..params.len())
        .map(|at| format!("(local.get $p{at})"))
        .collect();
    let _ = match name {
        "proc_exit" => write!(source, "(call $f{index} {args}))"),
        _ => write!(
            source,
            "(call $after (call $f{index} {args}) (i32.const {most})))"
        ),
    };
    source
}

fn type_name(ty: WasmType) -> &'static str {
    match ty {
        I64 => "i64",
        _ => "i32",
    }
}

/// True in wasm when the byte at `$at`, or that of the copy, is where one of
/// the arguments points.
fn is_named() -> String {
    let within = |address: &str, start: &str, size: &str| {
        format!("(i32.lt_u (i32.sub {address} {start}) {size})")
    };
    let mut source = "(i32.const 0)".to_owned();
    for address in [
        "(local.get $at)",
        "(i32.add (local.get $at) (i32.const 0x40000))",
    ] {
        let pointed = (0..MOST).map(|at| {
            let start = format!("(global.get $named{at})");
            within(address, &start, "(global.get $size)")
        });
        let filled = within(address, "(global.get $named0)", "(global.get $filled)");
        for one in pointed.chain([filled]) {
            source = format!("(i32.or {source} {one})");
        }
    }
    source
}

/// A number in wasm: 0 when the 32 bytes at `$at` are those of the copy.
fn differences() -> String {
    let one = |offset: u32| {
        format!(
            "(i64.xor (i64.load offset={offset} (local.get $at))
                (i64.load offset={} (local.get $at)))",
            offset + 0x40000
        )
    };
    let [a, b, c, d] = [0, 8, 16, 24].map(one);
    format!("(i64.or (i64.or {a} {b}) (i64.or {c} {d}))")
}

/// The guest, made of the tables of the library. `planted` takes the place of
/// `proxy_log`: the body of a function with three parameters and a result.
pub fn guest(planted: Option<&str>) -> Vec<u8> {
    let env = TABLE
        .iter()
        .flat_map(|row| [row.name].into_iter().chain(row.aliases.iter().copied()))
        .map(|name| ("env", name));
    let wasi = wasi::NAMES.iter().map(|name| (wasi::MODULES[0], *name));

    let (mut imports, mut calls, mut table) = (String::new(), String::new(), String::new());
    for (index, (module, name)) in env.chain(wasi).enumerate() {
        let params = signature(module, name);
        let types: Vec<&str> = params.iter().map(|ty| type_name(*ty)).collect();
        let result = match name {
            "proc_exit" => "",
            _ => "(result i32)",
        };
        let signature = format!("$f{index} (param {}) {result}", types.join(" "));
        match planted {
            Some(body) if name == "proxy_log" => {
                let _ = writeln!(calls, "(func {signature} {body})");
            }
            _ => {
                let _ = writeln!(imports, "(import {module:?} {name:?} (func {signature}))");
            }
        }
        let _ = writeln!(calls, "{}", call(index, module, name, &params));
        let _ = write!(table, "$c{index} ");
    }
    let words: String = WORDS
        .iter()
        .enumerate()
        .map(|(at, word)| format!("(data (i32.const {}) \"{word}\")", 8192 + at * 64))
        .collect();
    let named: String = (0..MOST)
        .map(|at| format!("(global $named{at} (mut i32) (i32.const 0))"))
        .collect();
    let count = table.split_whitespace().count();

    let source = format!(
        r#"(module
            {imports}
            (memory (export "memory") 8 64)
            (table funcref (elem {table}))
            (type $call (func))
            {words}
            {named}
            (global $size (mut i32) (i32.const 0))
            (global $filled (mut i32) (i32.const 0))
            (global $watches (mut i32) (i32.const 0))
            (global $heap (mut i32) (i32.const 65536))
            (global $heap_before (mut i32) (i32.const 65536))
            (global $at (mut i32) (i32.const 0))
            (global $end (mut i32) (i32.const 0))
            (func (export "proxy_abi_version_0_2_1"))
            (func $malloc (export "malloc") (param $size i32) (result i32)
                (local $given i32)
                (local.set $given (global.get $heap))
                (global.set $heap (i32.add (global.get $heap) (local.get $size)))
                (if (i32.gt_u (global.get $heap) (i32.const 250000))
                    (then
                        ;; While it watches, what it gives away lies in one piece.
                        (if (global.get $watches)
                            (then
                                (global.set $heap (local.get $given))
                                (return (i32.const -8))))
                        (global.set $heap (i32.const 131072))))
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
                        (i32.shl (i32.and (local.get $b) (i32.const 31)) (i32.const 6))))))
                (if (i32.lt_u (local.get $b) (i32.const 240))
                    (then (return (i32.or (call $next) (i32.shl (call $next) (i32.const 8))))))
                (i32.or
                    (i32.or (call $next) (i32.shl (call $next) (i32.const 8)))
                    (i32.shl
                        (i32.or (call $next) (i32.shl (call $next) (i32.const 8)))
                        (i32.const 16))))
            (func $no_status (unreachable))
            (func $written_elsewhere (unreachable))
            ;; The upper half of the memory is a copy of the lower one.
            (func $before
                (if (i32.eqz (global.get $watches)) (then (return)))
                (if (i32.gt_u (global.get $heap) (i32.const 200000))
                    (then (global.set $heap (i32.const 131072))))
                (global.set $heap_before (global.get $heap))
                (memory.copy (i32.const 0x40000) (i32.const 0) (i32.const 0x40000)))
            (func $after (param $result i32) (param $most i32)
                (local $at i32) (local $until i32)
                (if (i32.gt_u (local.get $result) (local.get $most)) (then (call $no_status)))
                (if (i32.eqz (global.get $watches)) (then (return)))
                (loop $again
                    ;; 32 bytes at a time, and only those that differ one by one.
                    (if (i64.eqz {differences})
                        (then (local.set $at (i32.add (local.get $at) (i32.const 32))))
                        (else
                            (local.set $until (i32.add (local.get $at) (i32.const 32)))
                            (loop $bytes
                                (if (i32.ne
                                        (i32.load8_u (local.get $at))
                                        (i32.load8_u offset=0x40000 (local.get $at)))
                                    (then (call $changed (local.get $at))))
                                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                                (br_if $bytes (i32.lt_u (local.get $at) (local.get $until))))))
                    (br_if $again (i32.lt_u (local.get $at) (i32.const 0x40000)))))
            (func $changed (param $at i32)
                (if (i32.lt_u
                        (i32.sub (local.get $at) (global.get $heap_before))
                        (i32.sub (global.get $heap) (global.get $heap_before)))
                    (then (return)))
                (if {is_named} (then (return)))
                (call $written_elsewhere))
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
                (global.set $watches (i32.ne (call $next) (i32.const 0)))
                (drop (call $run))
                (i32.const 1))
            {callbacks})"#,
        is_named = is_named(),
        differences = differences(),
        get_buffer = position("proxy_get_buffer_bytes"),
        callbacks = callbacks(),
    );
    wat::parse_str(source).expect("a guest")
}

/// Each goes on with the program.
fn callbacks() -> String {
    [
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
    .concat()
}

/// Where a name is among the imports.
fn position(name: &str) -> usize {
    let mut names = TABLE
        .iter()
        .flat_map(|row| [row.name].into_iter().chain(row.aliases.iter().copied()));
    names.position(|known| known == name).expect("a row")
}
