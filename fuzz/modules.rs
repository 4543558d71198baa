//! Hostile modules through the whole way of a plugin: loading, starting,
//! requests, timers, the end.
//!
//! In: a byte of flags, and a module. The test guests are what it begins with;
//! a flag has sections repeated, dropped or exchanged.

use std::path::Path;
use std::rc::Rc;

use resty_proxy_wasm::host::memory::MemoryHost;
use resty_proxy_wasm::plugin::Plugin;
use wasmparser::Parser;

use crate::drive::{drive, options};
use crate::engine::{Random, Target};

/// The small ones of the test guests, and all of the WAT kind.
fn seeds() -> Vec<Vec<u8>> {
    const SMALL: u64 = 4 << 10;
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(".work/guests");
    let folder = std::env::var_os("PROXY_WASM_GUESTS").map_or(built, Into::into);
    let mut seeds = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let small = entry.metadata().is_ok_and(|data| data.len() <= SMALL);
        let path = entry.path();
        if small && path.extension().is_some_and(|kind| kind == "wasm") {
            let code = std::fs::read(path).unwrap_or_default();
            seeds.push([&[0], code.as_slice()].concat());
        }
    }
    seeds.sort();
    seeds
}

pub const TARGET: Target = Target {
    name: "modules",
    run,
    words: &[
        b"\0asm\x01\0\0\0",
        b"\x03env",
        b"\x09proxy_log",
        b"\x06malloc",
        b"\x06memory",
        b"\x41\x00",
        b"\x10\x00",
        b"\x0b",
    ],
    more_seeds: seeds,
};

/// The module with one of its sections repeated, dropped or exchanged with
/// another.
fn shuffled(code: &[u8], seed: u8) -> Vec<u8> {
    let mut sections: Vec<&[u8]> = Vec::new();
    let mut end = 8;
    for payload in Parser::new(0).parse_all(code) {
        let Ok(payload) = payload else {
            break;
        };
        if let Some((_, range)) = payload.as_section()
            && let Some(section) = code.get(end..range.end)
        {
            sections.push(section);
            end = range.end;
        }
    }
    let mut random = Random(u64::from(seed) << 8 | 1);
    let (one, other) = (random.below(sections.len()), random.below(sections.len()));
    if !sections.is_empty() {
        match random.below(3) {
            0 => sections.insert(other, sections[one]),
            1 => drop(sections.remove(one)),
            _ => sections.swap(one, other),
        }
    }
    let header = &code[..code.len().min(8)];
    [header, &sections.concat()].concat()
}

fn run(data: &[u8]) {
    let Some((flags, code)) = data.split_first() else {
        return;
    };
    let code = match flags & 128 {
        0 => code.to_vec(),
        _ => shuffled(code, flags & 127),
    };
    let host = Rc::new(MemoryHost::new());
    if let Ok(mut plugin) = Plugin::load(host.clone(), b"p", &code, options(*flags)) {
        drive(&host, &mut plugin, b"configuration", *flags);
    }
}
