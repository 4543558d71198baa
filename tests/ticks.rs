//! Ticks of several root contexts, on the in-memory host.

use std::rc::Rc;
use std::time::{Duration, Instant};

use resty_proxy_wasm::host::Phase;
use resty_proxy_wasm::host::memory::{MemoryHost, MemoryRequest};
use resty_proxy_wasm::plugin::{Options, Plugin, registry};
use resty_proxy_wasm::vm::cpu_time;

/// The tick of the first root context works on the last one; the last one's
/// own is logged.
fn two_roots(work: &str) -> (Rc<MemoryHost>, Plugin, u32) {
    let source = format!(
        r#"(module
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            (import "env" "proxy_done" (func $done (result i32)))
            (import "env" "proxy_set_effective_context" (func $to (param i32) (result i32)))
            (import "env" "proxy_set_tick_period_milliseconds"
                (func $tick (param i32) (result i32)))
            (func (export "proxy_abi_version_0_2_1"))
            (memory (export "memory") 1)
            (data (i32.const 0) "tickdelete")
            (global $first (mut i32) (i32.const 0))
            (global $last (mut i32) (i32.const 0))
            (func (export "malloc") (param i32) (result i32) (i32.const 1024))
            (func (export "proxy_on_context_create") (param $id i32) (param i32)
                (if (i32.eqz (global.get $first)) (then (global.set $first (local.get $id))))
                (global.set $last (local.get $id)))
            (func (export "proxy_on_configure") (param i32 i32) (result i32)
                (drop (call $tick (i32.const 10)))
                (i32.const 1))
            (func (export "proxy_on_done") (param i32) (result i32) (i32.const 0))
            (func (export "proxy_on_delete") (param i32)
                (drop (call $log (i32.const 2) (i32.const 4) (i32.const 6))))
            (func (export "proxy_on_tick") (param $id i32)
                (if (i32.eq (local.get $id) (global.get $last))
                    (then
                        (drop (call $log (i32.const 2) (i32.const 0) (i32.const 4)))
                        (return)))
                (drop (call $to (global.get $last)))
                {work}))"#
    );
    let host = Rc::new(MemoryHost::new());
    let bytes = wat::parse_str(source).unwrap();
    let mut plugin = Plugin::load(host.clone(), b"p", &bytes, Options::default()).unwrap();
    plugin.add_root(b"", false).unwrap();
    let last = plugin.add_root(b"", false).unwrap();
    (host, plugin, last)
}

/// What both ticks log when they are due at the same time.
fn tick(host: &MemoryHost, plugin: &mut Plugin) -> Vec<String> {
    plugin.run_timers(Instant::now() + Duration::from_secs(1));
    let lines = host.logs().into_iter().map(|(_, line)| line);
    lines.filter(|line| line.contains("p: ")).collect()
}

#[test]
fn the_tick_of_each_root_context_comes() {
    let (host, mut plugin, _) = two_roots("");
    assert_eq!(tick(&host, &mut plugin), ["[proxy-wasm] p: tick"]);
}

#[test]
fn a_root_context_that_another_ones_tick_ends_has_no_tick_behind_its_delete() {
    let (host, mut plugin, last) = two_roots("(drop (call $done))");
    plugin.close_root(last);
    assert_eq!(tick(&host, &mut plugin), ["[proxy-wasm] p: delete"]);
}

#[test]
fn ticks_that_another_ones_tick_stops_come_no_more() {
    let (host, mut plugin, _) = two_roots("(drop (call $tick (i32.const 0)))");
    assert!(tick(&host, &mut plugin).is_empty());
}

/// A worker of its own: its pauses are not those of other tests.
fn in_a_worker(test: impl FnOnce() + Send + 'static) {
    std::thread::spawn(test).join().unwrap();
}

/// A plugin with so many root contexts, a tick of which is due after 10 ms, is
/// logged with a letter for the root context and does this; they may use 80 ms of
/// CPU time.
fn ticking(host: &Rc<MemoryHost>, name: &str, roots: u32, work: &str) -> (registry::Shared, u32) {
    let source = format!(
        r#"(module
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            (import "env" "proxy_get_current_time_nanoseconds"
                (func $time (param i32) (result i32)))
            (import "env" "proxy_set_tick_period_milliseconds"
                (func $tick (param i32) (result i32)))
            (func (export "proxy_abi_version_0_2_1"))
            (memory (export "memory") 1)
            (data (i32.const 0) "tick ")
            (func (export "malloc") (param i32) (result i32) (i32.const 1024))
            (func (export "proxy_on_configure") (param i32 i32) (result i32)
                (drop (call $tick (i32.const 10)))
                (i32.const 1))
            (func $now (result i64)
                (drop (call $time (i32.const 8)))
                (i64.load (i32.const 8)))
            (func $spin (local $end i64)
                (local.set $end (i64.add (call $now) (i64.const 60000000)))
                (loop $on (br_if $on (i64.lt_u (call $now) (local.get $end)))))
            (func (export "proxy_on_tick") (param $id i32)
                (i32.store8 (i32.const 5) (i32.add (i32.const 64) (local.get $id)))
                (drop (call $log (i32.const 2) (i32.const 0) (i32.const 6)))
                {work}))"#
    );
    let bytes = wat::parse_str(source).unwrap();
    let options = Options {
        cpu_limit_ms: 80,
        ..Options::default()
    };
    let mut plugin = Plugin::load(host.clone(), name.as_bytes(), &bytes, options).unwrap();
    let made = (0..roots).map(|_| plugin.add_root(b"", false).unwrap());
    let last = made.last().unwrap();
    (registry::register(plugin), last)
}

fn logged(host: &MemoryHost, what: &str) -> usize {
    let logs = host.logs();
    logs.iter().filter(|(_, line)| line.contains(what)).count()
}

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Of those whose tick is due and takes 60 ms one ticks, and there is a pause as
/// long as that took; then another.
fn tick_and_pause(host: &MemoryHost) {
    let before = logged(host, ": tick");
    let now = Instant::now() + SECOND;
    let used = cpu_time();
    let next = registry::run_timers(now).unwrap();
    let took = (cpu_time() - used).as_millis() as u32;
    assert!(took > 10 && next + 2 > took, "{next} ms after {took}");
    assert_eq!(logged(host, ": tick") - before, 1);
    let left = registry::run_timers(now + 11 * MS).unwrap();
    assert!(left + 13 > took, "{left} of {took} ms");
    assert_eq!(logged(host, ": tick") - before, 1, "in the pause");
    registry::run_timers(now + 60 * SECOND);
    assert_eq!(logged(host, ": tick") - before, 2, "after it");
}

#[test]
fn after_ticks_there_is_a_pause_as_long_as_they_took() {
    // Each takes 60 ms, and is due after 10; also where it says so anew.
    for again in ["", "(drop (call $tick (i32.const 10)))"] {
        in_a_worker(move || {
            let host = Rc::new(MemoryHost::new());
            let _plugin = ticking(&host, "p", 2, &format!("(call $spin) {again}"));
            tick_and_pause(&host);
            assert_eq!(logged(&host, ": tick A"), logged(&host, ": tick B"));
        });
    }
}

#[test]
fn the_pause_is_one_for_all_plugins() {
    in_a_worker(|| {
        let host = Rc::new(MemoryHost::new());
        let _p = ticking(&host, "p", 1, "(call $spin)");
        let _q = ticking(&host, "q", 1, "(call $spin)");
        tick_and_pause(&host);
        assert_eq!(logged(&host, "p: tick"), logged(&host, "q: tick"));
    });
}

/// Also where each is due again whenever there is time for one.
#[test]
fn each_root_context_and_each_plugin_has_its_turn() {
    in_a_worker(|| {
        let host = Rc::new(MemoryHost::new());
        let _p = ticking(&host, "p", 3, "(call $spin)");
        let _q = ticking(&host, "q", 2, "");
        let _r = ticking(&host, "r", 1, "(call $spin)");
        let now = Instant::now() + SECOND;
        let long = || logged(&host, "p: ") + logged(&host, "r: ");
        // Nine rounds are enough, where nothing else holds the processor.
        for round in 1..=30 {
            let before = long();
            registry::run_timers(now + round * SECOND);
            assert!(long() - before <= 1, "of those that take long");
        }
        let ticks = |who: &str| logged(&host, &format!("{who}: tick"));
        for root in [
            "p: tick A",
            "p: tick B",
            "p: tick C",
            "q: tick A",
            "q: tick B",
        ] {
            assert!(logged(&host, root) >= 3, "{root}");
        }
        assert!(ticks("r") >= 9, "as often as all of p");
    });
}

#[test]
fn the_pause_outlives_the_instance() {
    in_a_worker(|| {
        let host = Rc::new(MemoryHost::new());
        let (plugin, root) = ticking(&host, "p", 1, "(loop $on (br $on))");
        let now = Instant::now() + SECOND;
        registry::run_timers(now);
        assert_eq!(logged(&host, ": tick"), 1);
        // Not at once where a start takes long, as under valgrind.
        let is_restarted = (0..2000).any(|_| {
            let request = host.add_request(MemoryRequest {
                phase: Phase::Request,
                ..MemoryRequest::default()
            });
            std::thread::sleep(5 * MS);
            let mut plugin = plugin.borrow_mut();
            plugin.request_headers(root, request).is_ok()
        });
        assert!(is_restarted, "there is a new instance");
        // It took 80 ms, and the pause is as long.
        let left = registry::run_timers(now + 90 * MS);
        assert!(left.is_some_and(|left| left >= 70), "{left:?} ms");
        assert_eq!(logged(&host, ": tick"), 1, "in the pause");
        registry::run_timers(now + 60 * SECOND);
        assert_eq!(logged(&host, ": tick"), 2, "after it");
    });
}

#[test]
fn no_pause_follows_short_ticks() {
    in_a_worker(|| {
        let host = Rc::new(MemoryHost::new());
        let _plugin = ticking(&host, "p", 1, "");
        let now = Instant::now() + SECOND;
        for ticks in 1..=3 {
            registry::run_timers(now + ticks * 50 * MS);
            assert_eq!(logged(&host, ": tick"), ticks as usize);
        }
    });
}
