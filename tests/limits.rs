//! What a guest asks for without end costs the worker no more than its share:
//! loops in WebAssembly, on the in-memory host.

use std::rc::Rc;
use std::time::{Duration, Instant};

use miniz_oxide::deflate::core::{
    CompressionStrategy, CompressorOxide, TDEFLFlush, TDEFLStatus, compress,
    create_comp_flags_from_zip_params,
};
use resty_proxy_wasm::abi::limits::{MAX_LOG_LINE, MAX_LOG_TEXT};
use resty_proxy_wasm::context::Effect;
use resty_proxy_wasm::host::memory::{MemoryHost, MemoryRequest};
use resty_proxy_wasm::host::{Phase, Request};
use resty_proxy_wasm::plugin::{Options, Plugin};

/// A plugin whose `proxy_on_request_headers` runs `body` 100,000 times, with
/// `$i` counting down.
fn looping(imports: &str, body: &str) -> (Rc<MemoryHost>, Plugin, u32) {
    let source = format!(
        r#"(module
            {imports}
            (func (export "proxy_abi_version_0_2_1"))
            (memory (export "memory") 2)
            (data (i32.const 0) "/path?query:path")
            (func (export "malloc") (param i32) (result i32) (i32.const 65536))
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (local $i i32)
                (local.set $i (i32.const 100000))
                (loop $again
                    {body}
                    (local.set $i (i32.sub (local.get $i) (i32.const 1)))
                    (br_if $again (local.get $i)))
                (i32.const 0)))"#
    );
    let host = Rc::new(MemoryHost::new());
    host.set_second(1);
    let bytes = wat::parse_str(source).unwrap();
    let mut plugin = Plugin::load(host.clone(), b"p", &bytes, Options::default()).unwrap();
    let root = plugin.add_root(b"", false).unwrap();
    (host, plugin, root)
}

fn request(host: &MemoryHost, plugin: &mut Plugin, root: u32) -> Request {
    let request = host.add_request(MemoryRequest::default());
    plugin.request_headers(root, request).unwrap();
    request
}

/// All work that is no request's own.
fn shared_effects(plugin: &mut Plugin) -> Vec<Effect> {
    std::iter::from_fn(|| plugin.next_shared_effect()).collect()
}

#[test]
fn ticks_set_again_and_again_are_one_effect_the_earliest() {
    let (host, mut plugin, root) = looping(
        r#"(import "env" "proxy_set_tick_period_milliseconds"
            (func $f (param i32) (result i32)))"#,
        "(drop (call $f (i32.add (local.get $i) (i32.const 6))))",
    );
    request(&host, &mut plugin, root);
    let effects = shared_effects(&mut plugin);
    assert!(
        matches!(effects[..], [Effect::Timer { after_ms: 7 }]),
        "{effects:?}"
    );
}

#[test]
fn paths_set_again_and_again_are_one_effect_and_end_with_the_share_of_the_request() {
    let (host, mut plugin, root) = looping(
        r#"(import "env" "proxy_replace_header_map_value"
            (func $f (param i32 i32 i32 i32 i32) (result i32)))"#,
        "(drop (call $f (i32.const 0) (i32.const 11) (i32.const 5) (i32.const 0) (i32.const 11)))",
    );
    let request = request(&host, &mut plugin, root);
    let effect = plugin.next_effect(root, request);
    assert!(matches!(effect, Some(Effect::SetPath { .. })), "{effect:?}");
    assert!(plugin.next_effect(root, request).is_none());
    let logs = host.logs();
    let told = logs.iter().filter(|(_, line)| line.contains("is refused"));
    assert_eq!(told.count(), 1000);
}

#[test]
fn closing_again_and_again_is_one_effect() {
    let (host, mut plugin, root) = looping(
        r#"(import "env" "proxy_close_stream" (func $f (param i32) (result i32)))"#,
        "(drop (call $f (i32.const 0)))",
    );
    let request = request(&host, &mut plugin, root);
    assert!(matches!(
        plugin.next_effect(root, request),
        Some(Effect::CloseStream)
    ));
    assert!(plugin.next_effect(root, request).is_none());
}

/// One request works on another: it is woken once, however often.
#[test]
fn another_request_is_woken_once() {
    let (host, mut plugin, root) = looping(
        r#"(import "env" "proxy_set_effective_context" (func $to (param i32) (result i32)))
           (import "env" "proxy_close_stream" (func $f (param i32) (result i32)))"#,
        "(drop (call $to (i32.const 2))) (drop (call $f (i32.const 0)))
         (drop (call $to (i32.const 3))) (drop (call $f (i32.const 0)))",
    );
    let first = request(&host, &mut plugin, root);
    assert_eq!(shared_effects(&mut plugin).len(), 0);
    let _second = request(&host, &mut plugin, root);
    let _third = request(&host, &mut plugin, root);
    let serials: Vec<u32> = shared_effects(&mut plugin)
        .iter()
        .map(|effect| match effect {
            Effect::Resume { serial } => *serial,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(serials.len(), 2);
    assert_ne!(serials[0], serials[1]);
    assert!(plugin.next_effect(root, first).is_some());
}

#[test]
fn dropped_lines_are_told_when_the_next_second_has_a_line() {
    let (host, mut plugin, root) = looping(
        r#"(import "env" "proxy_log" (func $f (param i32 i32 i32) (result i32)))"#,
        "(drop (call $f (i32.const 2) (i32.const 0) (i32.const 5)))",
    );
    request(&host, &mut plugin, root);
    assert_eq!(host.logs().len(), 1000);
    let effects = shared_effects(&mut plugin);
    assert!(
        matches!(effects[..], [Effect::Timer { after_ms: 1000 }]),
        "{effects:?}"
    );
    host.set_second(2);
    request(&host, &mut plugin, root);
    let logs = host.logs();
    assert_eq!(logs.len(), 2001);
    assert_eq!(
        logs[1000].1,
        "[proxy-wasm] p: 99000 lines dropped: more than 1000 in a second (option max_log_lines)"
    );
}

#[test]
fn dropped_lines_are_told_by_the_timer_when_nothing_more_comes() {
    let (host, mut plugin, root) = looping(
        r#"(import "env" "proxy_log" (func $f (param i32 i32 i32) (result i32)))"#,
        "(drop (call $f (i32.const 2) (i32.const 0) (i32.const 5)))",
    );
    request(&host, &mut plugin, root);
    let now = Instant::now();
    let left = plugin.run_timers(now).expect("it is still to be told");
    assert!(left <= 1000);
    assert_eq!(host.logs().len(), 1000);
    let later = now + Duration::from_secs(1);
    assert_eq!(plugin.run_timers(later), None);
    assert_eq!(host.logs().len(), 1001);
    assert_eq!(plugin.run_timers(later), None);
    assert_eq!(host.logs().len(), 1001);
}

#[test]
fn a_text_is_looked_at_no_further_than_its_share() {
    let (host, mut plugin, root) = looping(
        r#"(import "env" "proxy_log" (func $f (param i32 i32 i32) (result i32)))"#,
        "(memory.fill (i32.const 0) (i32.const 97) (i32.const 131072))
         (i32.store8 (i32.const 10) (i32.const 10))
         (i32.store8 (i32.const 65537) (i32.const 10))
         (drop (call $f (i32.const 2) (i32.const 0) (i32.const 131072)))
         (local.set $i (i32.const 1))",
    );
    request(&host, &mut plugin, root);
    let lengths: Vec<usize> = host.logs().iter().map(|(_, line)| line.len()).collect();
    let prefix = "[proxy-wasm] p: ".len();
    const { assert!(MAX_LOG_TEXT < 65537) };
    assert_eq!(lengths, [prefix + 10, prefix + MAX_LOG_LINE]);
}

/// What a plugin with little CPU time leaves in the log, whose
/// `proxy_on_request_headers` gives a foreign function `len` bytes that begin
/// with `data`, and then logs its name.
fn calls_foreign(name: &str, data: &[u8], len: usize) -> Vec<String> {
    let size = name.len();
    let data: String = data.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let source = format!(
        r#"(module
            (import "env" "proxy_call_foreign_function"
                (func $f (param i32 i32 i32 i32 i32 i32) (result i32)))
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            (func (export "proxy_abi_version_0_2_1"))
            (memory (export "memory") 600)
            (data (i32.const 0) "{name}")
            (data (i32.const 1048576) "{data}")
            (func $malloc (export "malloc") (param i32) (result i32) (i32.const 16777216))
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (drop (call $f (i32.const 0) (i32.const {size}) (i32.const 1048576)
                    (i32.const {len}) (i32.const 16) (i32.const 20)))
                (drop (call $log (i32.const 2) (i32.const 0) (i32.const {size})))
                (i32.const 0)))"#
    );
    let host = Rc::new(MemoryHost::new());
    let options = Options {
        cpu_limit_ms: 10,
        ..Options::default()
    };
    let bytes = wat::parse_str(source).unwrap();
    let mut plugin = Plugin::load(host.clone(), b"p", &bytes, options).unwrap();
    let root = plugin.add_root(b"", false).unwrap();
    let request = host.add_request(MemoryRequest::default());
    let _ = plugin.request_headers(root, request);
    host.logs().into_iter().map(|(_, line)| line).collect()
}

/// Bytes of zlib's that take long: each byte has a code of its own.
fn slow_to_uncompress(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 31) as u8
    })
    .take(len)
    .collect();
    let flags = create_comp_flags_from_zip_params(1, 1, CompressionStrategy::HuffmanOnly as i32);
    let mut compressed = vec![0; len];
    let mut compressor = CompressorOxide::new(flags);
    let (status, _, size) = compress(&mut compressor, &bytes, &mut compressed, TDEFLFlush::Finish);
    assert_eq!(status, TDEFLStatus::Done);
    compressed.truncate(size);
    compressed
}

/// Ten times as long as it may: it must be ended in the middle, and not only when
/// the result is handed over, by the guest's allocator.
#[test]
fn zlib_looks_at_the_clock_while_it_works() {
    let went_on = |lines: &[String], name| lines.iter().any(|line| line.ends_with(name));
    let slow = slow_to_uncompress(16 << 20);
    for (name, len) in [("compress", 32 << 20), ("uncompress", slow.len())] {
        let lines = calls_foreign(name, &slow, len);
        let ended = "it used more than 10 ms of CPU time (option cpu_limit)";
        assert!(
            lines.iter().any(|line| line.contains(ended)),
            "{name}: {lines:?}"
        );
        let handed_over = lines.iter().any(|line| line.contains("malloc"));
        assert!(!handed_over && !went_on(&lines, name), "{name}: {lines:?}");
    }
    // What is short goes on.
    let lines = calls_foreign("compress", &slow[..1000], 1000);
    assert!(went_on(&lines, "compress"), "{lines:?}");
}

/// Pauses every request, and nothing of it will ever continue one.
const PAUSES: &str = r#"(module
    (func (export "proxy_abi_version_0_2_1"))
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1)))"#;

/// Pauses so many requests, and ends them one after the other. Gives the time
/// that the ends took, and how many requests were told that nothing is left.
fn pause_and_end(count: usize) -> (Duration, usize) {
    let host = Rc::new(MemoryHost::new());
    let bytes = wat::parse_str(PAUSES).unwrap();
    let mut plugin = Plugin::load(host.clone(), b"p", &bytes, Options::default()).unwrap();
    let root = plugin.add_root(b"", false).unwrap();
    let requests: Vec<Request> = (0..count)
        .map(|_| {
            let request = host.add_request(MemoryRequest::default());
            plugin.request_headers(root, request).unwrap();
            request
        })
        .collect();
    let begun = Instant::now();
    for request in requests {
        host.end_request(request);
        host.with(request, |request| request.phase = Phase::Log);
        plugin.log_request(root, request).unwrap();
    }
    let logs = host.logs();
    let told = logs
        .iter()
        .filter(|(_, line)| line.contains("nothing is left"));
    (begun.elapsed(), told.count())
}

#[test]
fn of_many_paused_requests_only_one_that_is_alone_is_answered() {
    // The first, before the second came, and the last.
    assert_eq!(pause_and_end(100).1, 2);
}

/// Not a test of the suite: `cargo test --release --test limits -- --ignored
/// --nocapture`.
#[test]
#[ignore = "a measurement"]
fn what_the_end_of_a_request_costs_where_many_are_paused() {
    for count in [100, 1000, 5000] {
        let (time, _) = pause_and_end(count);
        let each = time.as_nanos() as usize / count;
        println!("{count} paused requests: {each} ns for the end of one");
    }
}
