//! Ends of contexts whose requests had no log phase, on the in-memory host.

use std::rc::Rc;

use resty_proxy_wasm::host::memory::{MemoryHost, MemoryRequest};
use resty_proxy_wasm::host::{Phase, Request};
use resty_proxy_wasm::plugin::{Options, Plugin, registry};

/// A plugin that logs the end of each context; that takes so many milliseconds.
struct Ending {
    host: Rc<MemoryHost>,
    plugin: registry::Shared,
    root: u32,
}

impl Ending {
    fn new(host: &Rc<MemoryHost>, name: &str, milliseconds: u32) -> Ending {
        let source = format!(
            r#"(module
                (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
                (import "env" "proxy_get_current_time_nanoseconds"
                    (func $time (param i32) (result i32)))
                (func (export "proxy_abi_version_0_2_1"))
                (memory (export "memory") 1)
                (data (i32.const 0) "the end")
                (func (export "malloc") (param i32) (result i32) (i32.const 1024))
                (func $now (result i64)
                    (drop (call $time (i32.const 8)))
                    (i64.load (i32.const 8)))
                (func (export "proxy_on_log") (param i32) (local $end i64)
                    (drop (call $log (i32.const 2) (i32.const 0) (i32.const 7)))
                    (local.set $end
                        (i64.add (call $now) (i64.mul (i64.const {milliseconds}) (i64.const 1000000))))
                    (loop $on (br_if $on (i64.lt_u (call $now) (local.get $end))))))"#
        );
        let bytes = wat::parse_str(source).unwrap();
        let options = Options::default();
        let mut plugin = Plugin::load(host.clone(), name.as_bytes(), &bytes, options).unwrap();
        let root = plugin.add_root(b"", false).unwrap();
        Ending {
            host: host.clone(),
            plugin: registry::register(plugin),
            root,
        }
    }

    /// Requests that are over without a log phase.
    fn requests(&self, count: usize) {
        let requests: Vec<Request> = (0..count).map(|_| self.request()).collect();
        for request in requests {
            self.host.end_request(request);
        }
    }

    fn request(&self) -> Request {
        let request = self.host.add_request(MemoryRequest {
            phase: Phase::Request,
            ..MemoryRequest::default()
        });
        let mut plugin = self.plugin.borrow_mut();
        plugin.request_headers(self.root, request).unwrap();
        request
    }
}

fn ended(host: &MemoryHost, name: &str) -> usize {
    let line = format!("[proxy-wasm] {name}: the end");
    host.logs().iter().filter(|(_, said)| *said == line).count()
}

#[test]
fn ends_that_take_long_come_one_after_the_other_with_pauses_and_once_each() {
    let host = Rc::new(MemoryHost::new());
    let slow = Ending::new(&host, "slow", 20);
    slow.requests(5);
    for left in (0..5).rev() {
        assert_eq!(registry::sweep(), left);
        assert_eq!(ended(&host, "slow"), 5 - left as usize);
        let again = registry::sweep_again();
        match left {
            0 => assert_eq!(again, None),
            // As long as it took, of CPU time.
            _ => assert!(
                again.is_some_and(|ms| (1..1000).contains(&ms)),
                "{again:?} ms"
            ),
        }
    }
    assert_eq!(registry::sweep(), 0);
    assert_eq!(ended(&host, "slow"), 5);
}

#[test]
fn nobody_waits_for_another_plugins_ends() {
    let host = Rc::new(MemoryHost::new());
    let slow = Ending::new(&host, "slow", 20);
    let quick = Ending::new(&host, "quick", 0);
    let slow_too = Ending::new(&host, "slow_too", 20);
    slow.requests(3);
    quick.requests(1);
    slow_too.requests(3);
    assert_eq!(registry::sweep(), 4);
    assert_eq!(ended(&host, "quick"), 1);
    assert_eq!(ended(&host, "slow_too"), 1);
    assert_eq!(registry::sweep(), 2);
    // Also what comes in a pause.
    quick.requests(1);
    assert_eq!(registry::sweep(), 0);
    assert_eq!(ended(&host, "quick"), 2);
    assert_eq!(registry::sweep_again(), None);
}

#[test]
fn many_short_ends_come_in_few_sweeps() {
    let host = Rc::new(MemoryHost::new());
    let quick = Ending::new(&host, "quick", 0);
    quick.requests(50);
    let living = quick.request();
    // One is enough, where nothing else holds the processor.
    let sweeps = (0..10).take_while(|_| registry::sweep() > 1).count();
    assert!(sweeps < 10);
    assert_eq!(ended(&host, "quick"), 50);
    assert_eq!(registry::sweep_again(), None);
    host.end_request(living);
    assert_eq!(registry::sweep(), 0);
}
