//! Every host function with whatever arguments: lengths, addresses, ids,
//! numbers of enumerations. Each answers a status, and writes nowhere but where
//! it was told to; the guest looks.
//!
//! In: a byte of flags, and a program for the guest. With the highest flag the
//! guest watches its memory; without, its allocator also gives memory that is
//! in use or that is not there.

use std::rc::Rc;
use std::sync::LazyLock;

use resty_proxy_wasm::host::memory::MemoryHost;
use resty_proxy_wasm::plugin::Plugin;

use crate::drive::{drive, options};
use crate::engine::Target;
use crate::guest::{FAULTS, guest};

static MODULE: LazyLock<Vec<u8>> = LazyLock::new(|| guest(None));

/// A host function whose answer is no status.
static NO_STATUS: LazyLock<Vec<u8>> = LazyLock::new(|| guest(Some("(i32.const 13)")));

/// A host function that writes where nobody told it to, among the constants.
static WRITES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    guest(Some(
        "(i32.store8 (i32.const 9000) (i32.const 1)) (i32.const 0)",
    ))
});

thread_local! {
    /// Keeps the compiled code.
    static KEPT: Plugin =
        Plugin::load(Rc::new(MemoryHost::new()), b"kept", &MODULE, options(0)).expect("it loads");
}

/// The ends of callbacks.
const WORDS: &[&[u8]] = &[b"\xff\x01", b"\xff\0"];

pub const TARGET: Target = Target {
    name: "hostcalls",
    run: |data| run(&MODULE, data),
    words: WORDS,
    more_seeds: Vec::new,
};

/// Must be found: a function among a hundred that answers what is no status.
pub const STATUS_CANARY: Target = Target {
    name: "canary-status",
    run: |data| run(&NO_STATUS, data),
    words: WORDS,
    more_seeds: || vec![b"\x80\xff\x01\xff\x01\xff\x01".to_vec()],
};

/// Must be found: one that writes elsewhere.
pub const WRITE_CANARY: Target = Target {
    name: "canary-write",
    run: |data| run(&WRITES, data),
    words: WORDS,
    more_seeds: || vec![b"\x80\xff\x01\xff\x01\xff\x01".to_vec()],
};

fn run(module: &[u8], data: &[u8]) {
    let Some((flags, program)) = data.split_first() else {
        return;
    };
    KEPT.with(|_| {});
    let host = Rc::new(MemoryHost::new());
    let mut plugin = Plugin::load(host.clone(), b"p", module, options(*flags)).expect("it loads");
    let configuration = [&[flags & 128], program].concat();
    drive(&host, &mut plugin, &configuration, *flags);
    for (_, line) in host.logs() {
        if let Some(fault) = FAULTS.iter().find(|fault| line.contains(**fault)) {
            panic!("a host function did wrong, {fault}: {line}");
        }
    }
}
