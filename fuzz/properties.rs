//! Paths of properties, read and set in a request: what was set is read back,
//! or it is not the guest's to set.
//!
//! In: the path of a property, a 255, and a value.

use crate::engine::Target;
use std::rc::Rc;
use std::sync::LazyLock;

use crate::drive::{options, request};
use resty_proxy_wasm::abi::property::split;
use resty_proxy_wasm::abi::types::LogLevel;
use resty_proxy_wasm::host::memory::MemoryHost;
use resty_proxy_wasm::plugin::Plugin;

/// Takes path and value from its configuration, gets, sets and gets the
/// property, and logs what it has got: a digit for the status, and the value.
const GUEST: &str = r#"(module
    (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_set_property" (func $set (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (memory (export "memory") 8)
    (global $heap (mut i32) (i32.const 65536))
    (global $path i32 (i32.const 131072))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32)
        (global.get $heap)
        (global.set $heap (i32.add (global.get $heap) (local.get 0))))
    (func $show
        (local $status i32)
        (i32.store (i32.const 24) (i32.const 0))
        (local.set $status
            (call $get (i32.load (i32.const 16)) (i32.load (i32.const 32)) (i32.const 20) (i32.const 24)))
        (i32.store8 (i32.const 40) (i32.add (i32.const 48) (local.get $status)))
        (drop (call $log (i32.const 2) (i32.const 40) (i32.const 1)))
        (drop (call $log (i32.const 2) (i32.load (i32.const 20)) (i32.load (i32.const 24)))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (local $at i32)
        ;; 16: where the configuration is, 20: its size; 32: the size of the path.
        (drop (call $buffer (i32.const 7) (i32.const 0) (i32.const 60000) (i32.const 16) (i32.const 28)))
        (block $found
            (loop $again
                (br_if $found (i32.ge_u (local.get $at) (i32.load (i32.const 28))))
                (br_if $found (i32.eq (i32.const 255)
                    (i32.load8_u (i32.add (i32.load (i32.const 16)) (local.get $at)))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br $again)))
        (i32.store (i32.const 32) (local.get $at))
        (call $show)
        (if (i32.lt_u (local.get $at) (i32.load (i32.const 28))) (then
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (i32.store8 (i32.const 40) (i32.add (i32.const 48) (call $set
                (i32.load (i32.const 16)) (i32.load (i32.const 32))
                (i32.add (i32.load (i32.const 16)) (local.get $at))
                (i32.sub (i32.load (i32.const 28)) (local.get $at)))))
            (drop (call $log (i32.const 2) (i32.const 40) (i32.const 1)))
            (call $show)))
        (i32.const 0)))"#;

static MODULE: LazyLock<Vec<u8>> = LazyLock::new(|| wat::parse_str(GUEST).expect("a guest"));

thread_local! {
    /// Keeps the compiled code.
    static KEPT: Plugin =
        Plugin::load(Rc::new(MemoryHost::new()), b"kept", &MODULE, options(0)).expect("it loads");
}

pub const TARGET: Target = Target {
    name: "properties",
    run,
    words: &[
        b"request\0",
        b"response\0",
        b"headers\0",
        b"ngx\0",
        b"mine\0a\0b",
        b"plugin_name",
        b"xds\0node\0",
        b"metadata\0filter_metadata",
        b"filter_state\0wasm.",
        b"\xff",
        b"\0",
    ],
    more_seeds: Vec::new,
};

fn run(data: &[u8]) {
    KEPT.with(|_| {});
    let host = Rc::new(MemoryHost::new());
    let mut options = options(0);
    options.limits.log_lines = u32::MAX;
    let mut plugin = Plugin::load(host.clone(), b"p", &MODULE, options).expect("it loads");
    let root = plugin.add_root(data, false).expect("it starts");
    let request = host.add_request(request());
    plugin
        .request_headers(root, request)
        .expect("it does not trap");

    let logs = host.logs();
    let guest: Vec<&str> = logs
        .iter()
        .filter(|(level, _)| *level == LogLevel::Info)
        .map(|(_, line)| line.strip_prefix("[proxy-wasm] p: ").expect("its name"))
        .collect();
    // What was there, the answer to setting it, and what is there then.
    let path = data.split(|byte| *byte == 255).next().unwrap_or_default();
    assert!(matches!(guest[0], "0" | "1"), "get answered {}", guest[0]);
    if let Some(set) = data.get(path.len()..).filter(|rest| !rest.is_empty()) {
        let value = &set[1..];
        let plain = |text: &[u8]| text.iter().all(|byte| (b' '..0x7f).contains(byte));
        let answers: Vec<&&str> = guest.iter().filter(|line| line.len() == 1).collect();
        assert!(answers.len() >= 2, "{guest:?}");
        // A path of three segments that begins with "mine" is a plugin's own.
        let (path, group, name) = split(path);
        let own = group == b"mine" && name.iter().filter(|byte| **byte == 0).count() == 1;
        if own && plain(value) && path.len() + value.len() < 10_000 {
            assert_eq!(guest.last().map(|line| line.as_bytes()), Some(value));
        }
    }
    host.end_request(request);
    assert_eq!(plugin.sweep().alive, 0);
}
