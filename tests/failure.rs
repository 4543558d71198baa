//! What a panic of the host costs: the instance, and nothing else. On the
//! in-memory host, with a store that panics when it is told to.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use resty_proxy_wasm::host::memory::{MemoryHost, MemoryRequest};
use resty_proxy_wasm::host::store::{Full, HeapStore, Store};
use resty_proxy_wasm::host::{Host, Phase, Request};
use resty_proxy_wasm::plugin::{Error, Options, Plugin, Policy, registry};

/// Reads shared data in a request; a queue makes it look at the store without
/// one, from a timer.
const GUEST: &str = r#"(module
    (import "env" "proxy_get_shared_data" (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_register_shared_queue" (func $queue (param i32 i32 i32) (result i32)))
    (func (export "proxy_abi_version_0_2_1"))
    (memory (export "memory") 1)
    (data (i32.const 0) "key")
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $queue (i32.const 0) (i32.const 3) (i32.const 32)))
        (i32.const 1))
    (func (export "proxy_on_queue_ready") (param i32 i32))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $get (i32.const 0) (i32.const 3) (i32.const 32) (i32.const 36) (i32.const 40)))
        (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0)))"#;

#[derive(Default)]
struct Fragile {
    store: HeapStore,
    broken: Cell<bool>,
}

impl Fragile {
    fn store(&self) -> &HeapStore {
        assert!(!self.broken.get(), "the store is broken");
        &self.store
    }
}

impl Store for Fragile {
    fn add(&self, name: &[u8], value: &[u8]) -> Result<bool, Full> {
        self.store().add(name, value)
    }

    fn get(&self, name: &[u8], value: &mut Vec<u8>) -> bool {
        self.store().get(name, value)
    }

    fn remove(&self, name: &[u8]) {
        self.store().remove(name);
    }

    fn add_number(&self, name: &[u8], number: f64) -> Result<bool, Full> {
        self.store().add_number(name, number)
    }

    fn set_number(&self, name: &[u8], number: f64) -> Result<(), Full> {
        self.store().set_number(name, number)
    }

    fn number(&self, name: &[u8]) -> Option<f64> {
        self.store().number(name)
    }

    fn increment(&self, name: &[u8], by: f64) -> Option<f64> {
        self.store().increment(name, by)
    }
}

struct World {
    host: Rc<MemoryHost>,
    store: Rc<Fragile>,
    plugin: registry::Shared,
    root: u32,
}

impl World {
    fn new(policy: Policy) -> World {
        let host = Rc::new(MemoryHost::new());
        let store = Rc::new(Fragile::default());
        host.set_store(Some(store.clone()));
        let options = Options {
            policy,
            ..Options::default()
        };
        let bytes = wat::parse_str(GUEST).unwrap();
        let mut plugin = Plugin::load(host.clone(), b"p", &bytes, options).unwrap();
        let root = plugin.add_root(b"", false).unwrap();
        let plugin = registry::register(plugin);
        World {
            host,
            store,
            plugin,
            root,
        }
    }

    fn request(&self) -> Request {
        self.host.add_request(MemoryRequest {
            phase: Phase::Request,
            ..MemoryRequest::default()
        })
    }

    fn headers(&self, request: Request) -> Result<(), Error> {
        let mut plugin = self.plugin.borrow_mut();
        plugin.request_headers(self.root, request).map(drop)
    }

    /// A request that is the first of a new instance: where a start takes long,
    /// as under valgrind, there is none for a while.
    fn headers_when_restarted(&self) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let outcome = self.headers(self.request());
            if !matches!(outcome, Err(Error::Unavailable(_))) || Instant::now() > deadline {
                return outcome;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_running(&self) -> bool {
        self.plugin.borrow().is_running()
    }

    fn logged(&self, text: &str) -> bool {
        self.host.logs().iter().any(|(_, line)| line.contains(text))
    }
}

#[test]
fn a_panic_in_a_host_function_is_a_failure_of_the_plugin() {
    let world = World::new(Policy::Closed);
    world.store.broken.set(true);
    let request = world.request();
    let failed = world.headers(request).unwrap_err();
    assert_eq!(
        failed.to_string(),
        "failed to run proxy_on_request_headers: the host panicked: the store is broken"
    );
    assert!(!world.is_running());
    assert!(world.logged("(root context 1, http context 2)"));

    // The policy, once: the response is refused, too, unless it is the answer.
    world
        .host
        .with(request, |request| request.phase = Phase::HeaderFilter);
    let response = world
        .plugin
        .borrow_mut()
        .response_headers(world.root, request);
    assert!(matches!(response, Err(Error::Lost(_))));

    world.store.broken.set(false);
    world.headers_when_restarted().unwrap();
    assert!(world.is_running());
}

#[test]
fn open_lets_the_request_pass() {
    let world = World::new(Policy::Open);
    world.store.broken.set(true);
    let request = world.request();
    world.headers(request).unwrap();
    assert!(!world.is_running());
    assert!(world.logged("the request passes without this plugin"));
    world
        .host
        .with(request, |request| request.phase = Phase::HeaderFilter);
    world
        .plugin
        .borrow_mut()
        .response_headers(world.root, request)
        .unwrap();
    assert!(!world.is_running());
}

#[test]
fn a_panic_beside_guest_calls_ends_the_instance_of_that_plugin_alone() {
    let (broken, whole) = (World::new(Policy::Closed), World::new(Policy::Closed));
    broken.store.broken.set(true);
    registry::run_timers(Instant::now());
    assert!(!broken.is_running());
    assert!(broken.logged("the host failed, the instance is dropped: the host panicked"));
    assert!(whole.is_running());

    // It has a queue: the timer makes it anew, once the start works again.
    broken.store.broken.set(false);
    let mut plugin = broken.plugin.borrow_mut();
    // At once, but where a start takes long, as under valgrind.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !plugin.is_running() && Instant::now() < deadline {
        plugin.run_timers(Instant::now());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(plugin.is_running());
}

#[test]
fn a_panic_in_the_start_leaves_a_plugin_that_can_be_started() {
    let world = World::new(Policy::Closed);
    world.store.broken.set(true);
    world.headers(world.request()).unwrap_err();
    // The start registers the queue: a second failure, and a wait.
    let failed = world.headers_when_restarted().unwrap_err();
    assert_eq!(
        failed.to_string(),
        "failed to run proxy_on_configure: the host panicked: the store is broken"
    );
    world.store.broken.set(false);
    let waits = world.headers(world.request()).unwrap_err();
    assert!(matches!(waits, Error::Unavailable(_)), "{waits}");
    world.headers_when_restarted().unwrap();
}

#[test]
fn contexts_of_a_lost_instance_end_uncalled_and_leave_nothing() {
    let world = World::new(Policy::Closed);
    let requests: Vec<Request> = (0..3).map(|_| world.request()).collect();
    for request in &requests {
        world.headers(*request).unwrap();
    }
    world.store.broken.set(true);
    let failing = world.request();
    world.headers(failing).unwrap_err();
    world.store.broken.set(false);
    for request in requests.into_iter().chain([failing]) {
        world.host.end_request(request);
    }
    // A slow machine needs more than one turn.
    assert!((0..10).any(|_| registry::sweep() == 0));
    assert!(!world.is_running());
}

#[test]
fn a_trap_takes_few_lines_of_the_log_whatever_the_guest_calls_its_functions() {
    let name = "x\\n".repeat(1000);
    let source = format!(
        r#"(module
            (func (export "proxy_abi_version_0_2_1"))
            (memory (export "memory") 1)
            (func (export "malloc") (param i32) (result i32) (i32.const 1024))
            (func (@name "{name}") (export "proxy_on_request_headers")
                (param i32 i32 i32) (result i32) unreachable))"#
    );
    let host = Rc::new(MemoryHost::new());
    let bytes = wat::parse_str(source).unwrap();
    let mut plugin = Plugin::load(host.clone(), b"p", &bytes, Options::default()).unwrap();
    let root = plugin.add_root(b"", false).unwrap();
    let request = host.add_request(MemoryRequest::default());
    assert!(plugin.request_headers(root, request).is_err());
    let mut logs = host.logs();
    // What took long to start is not started again at once.
    logs.retain(|(_, line)| !line.contains("no new instance for"));
    assert_eq!(logs.len(), 32);
    assert!(
        logs[0].1.contains("proxy_on_request_headers failed"),
        "{}",
        logs[0].1
    );
    assert!(logs[31].1.ends_with(" more lines"), "{}", logs[31].1);
}
