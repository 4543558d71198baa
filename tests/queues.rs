//! How a worker finds out that something was enqueued, by a clock of the test's
//! own: on the in-memory host, with a store that counts what is read of it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use resty_proxy_wasm::host::memory::{MemoryHost, MemoryRequest};
use resty_proxy_wasm::host::store::{Full, HeapStore, Store};
use resty_proxy_wasm::host::{Host, Phase};
use resty_proxy_wasm::plugin::{Options, Plugin, registry};

/// Ticks each millisecond; registers a queue if it has a configuration, which
/// is put into it by a request; says what it is told.
const GUEST: &str = r#"(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
    (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
    (import "env" "proxy_enqueue_shared_queue"
        (func $enqueue (param i32 i32 i32) (result i32)))
    (func (export "proxy_abi_version_0_2_1"))
    (memory (export "memory") 1)
    (data (i32.const 0) "told ticked")
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $tick (i32.const 1)))
        (if (local.get 1)
            (then (drop (call $register (i32.const 0) (i32.const 4) (i32.const 32)))))
        (i32.const 1))
    (func (export "proxy_on_tick") (param i32)
        (drop (call $log (i32.const 2) (i32.const 5) (i32.const 6))))
    (func (export "proxy_on_queue_ready") (param i32 i32)
        (drop (call $log (i32.const 2) (i32.const 0) (i32.const 4))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $enqueue (i32.load (i32.const 32)) (i32.const 0) (i32.const 4)))
        (i32.const 0)))"#;

#[derive(Default)]
struct Counting {
    store: HeapStore,
    /// Of whatever there is.
    reads: Cell<u32>,
}

impl Counting {
    fn read(&self) -> &HeapStore {
        self.reads.set(self.reads.get() + 1);
        &self.store
    }
}

impl Store for Counting {
    fn add(&self, name: &[u8], value: &[u8]) -> Result<bool, Full> {
        self.store.add(name, value)
    }

    fn get(&self, name: &[u8], value: &mut Vec<u8>) -> bool {
        self.read().get(name, value)
    }

    fn remove(&self, name: &[u8]) {
        self.store.remove(name);
    }

    fn add_number(&self, name: &[u8], number: f64) -> Result<bool, Full> {
        self.store.add_number(name, number)
    }

    fn set_number(&self, name: &[u8], number: f64) -> Result<(), Full> {
        self.store.set_number(name, number)
    }

    fn number(&self, name: &[u8]) -> Option<f64> {
        self.read().number(name)
    }

    fn increment(&self, name: &[u8], by: f64) -> Option<f64> {
        self.store.increment(name, by)
    }
}

struct World {
    host: Rc<MemoryHost>,
    store: Rc<Counting>,
    plugins: Vec<(Plugin, u32)>,
    now: Instant,
}

impl World {
    /// A worker with plugins of these configurations.
    fn new(configurations: &[&[u8]]) -> World {
        let host = Rc::new(MemoryHost::new());
        let store = Rc::new(Counting::default());
        host.set_store(Some(store.clone()));
        let bytes = wat::parse_str(GUEST).unwrap();
        let plugins = configurations.iter().enumerate();
        let plugins = plugins.map(|(number, configuration)| {
            let name = format!("p{number}");
            let options = Options::default();
            let mut plugin = Plugin::load(host.clone(), name.as_bytes(), &bytes, options).unwrap();
            let root = plugin.add_root(configuration, false).unwrap();
            (plugin, root)
        });
        let plugins = plugins.collect();
        World {
            host,
            store,
            plugins,
            now: Instant::now(),
        }
    }

    /// A timer that fires each millisecond, as early as any tick wants it.
    fn run(&mut self, milliseconds: u32) {
        for _ in 0..milliseconds {
            self.now += Duration::from_millis(1);
            for (plugin, _) in &mut self.plugins {
                plugin.run_timers(self.now);
            }
        }
    }

    fn logged(&self, text: &str) -> usize {
        let logs = self.host.logs();
        logs.iter().filter(|(_, line)| line.contains(text)).count()
    }
}

#[test]
fn a_worker_reads_one_number_twenty_times_a_second_however_many_plugins_and_ticks() {
    let mut world = World::new(&[b"queue", b"queue", b"queue", b""]);
    // Each has a queue that may have something in it.
    world.run(100);
    world.store.reads.set(0);
    world.run(1000);
    // And each queue itself once.
    assert_eq!(world.store.reads.get(), 20 + 3);
    assert!(world.logged("ticked") >= 1000, "the timers ran");
}

#[test]
fn a_worker_reads_nothing_while_no_queue_is_registered() {
    let mut world = World::new(&[b"", b""]);
    world.run(1000);
    assert_eq!(world.store.reads.get(), 0);
    assert!(world.logged("ticked") >= 1000, "the timers ran");
}

#[test]
fn an_item_is_told_at_most_one_reading_later() {
    let mut world = World::new(&[b"queue"]);
    world.run(100);
    for wait in [1, 20, 49, 50, 51] {
        world.run(wait);
        let told = world.logged("told");
        let request = world.host.add_request(MemoryRequest {
            phase: Phase::Request,
            ..MemoryRequest::default()
        });
        let (plugin, root) = &mut world.plugins[0];
        plugin.request_headers(*root, request).unwrap();
        world.run(50);
        assert_eq!(world.logged("told"), told + 1, "after {wait} ms");
    }
}

#[test]
fn an_item_that_nobody_has_counted_is_told_within_a_second() {
    let mut world = World::new(&[b"queue"]);
    world.run(100);
    let request = world.host.add_request(MemoryRequest {
        phase: Phase::Request,
        ..MemoryRequest::default()
    });
    let (plugin, root) = &mut world.plugins[0];
    plugin.request_headers(*root, request).unwrap();
    // As a worker leaves it that dies before it comes to that.
    assert_eq!(world.store.increment(b"E", -1.0), Some(0.0));
    world.run(100);
    assert_eq!(world.logged("told"), 0);
    // The ticks in between would log more than a plugin may.
    world.now += Duration::from_millis(900);
    world.run(1);
    assert_eq!(world.logged("told"), 1);
}

/// The same as t/queues/allocator.t, step by step: an allocator that gives 0,
/// one that gives an address out of range, one that traps, one that takes an item
/// out itself.
#[test]
fn an_item_that_the_plugin_has_no_memory_for_stays() {
    let host = Rc::new(MemoryHost::new());
    host.set_store(Some(Rc::new(HeapStore::default())));
    let text = include_str!("../t/guests/wat/queue_allocator.wat");
    let bytes = wat::parse_str(text).unwrap();
    let mut plugin = Plugin::load(host.clone(), b"p", &bytes, Options::default()).unwrap();
    let root = plugin.add_root(b"", false).unwrap();
    let mut seen = host.logs().len();
    let mut ask = |what: &str| {
        let request = host.add_request(MemoryRequest {
            phase: Phase::Request,
            headers: vec![(b"x-do".to_vec(), what.into())],
            ..MemoryRequest::default()
        });
        let is_answered = plugin.request_headers(root, request).is_ok();
        let lines = host.logs().split_off(seen);
        seen += lines.len();
        let lines = lines.into_iter().map(|(_, line)| line);
        let known = |line: &String| {
            let starts = ["dequeue", "one", "two", "an item of a shared queue stays"];
            let line = line.rsplit("p: ").next().unwrap_or(line);
            starts.iter().any(|start| line.starts_with(start))
        };
        let lines: Vec<_> = lines.filter(known).collect();
        (is_answered, lines)
    };
    assert!(ask("e").0);
    for (what, status) in [("n", "10"), ("o", "06"), ("r", "10"), ("n", "10")] {
        let (is_answered, lines) = ask(what);
        assert!(is_answered && lines.len() == 2, "{lines:?}");
        assert!(lines[0].contains("stays"), "{lines:?}");
        assert!(
            lines[1].ends_with(&format!("dequeue: {status}")),
            "{lines:?}"
        );
    }
    let (is_answered, lines) = ask("t");
    assert!(!is_answered && lines.len() == 1, "{lines:?}");
    // Not at once where a start takes long, as under valgrind.
    let mut ask_again = || {
        let mut answers = (0..2000).map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            ask("d")
        });
        answers.find(|answer| answer.0).expect("a new instance")
    };
    for item in ["one", "two"] {
        let (is_answered, lines) = ask_again();
        assert!(
            is_answered && lines[0].ends_with("dequeue: 00"),
            "{lines:?}"
        );
        assert!(lines[1].ends_with(item), "{lines:?}");
    }
    assert!(ask("d").1[0].ends_with("dequeue: 07"));
}

/// Two queues; a request puts three items into the first one and one into the
/// second; being told of one takes 20 ms, and this.
fn slow_queues(again: &str) -> String {
    format!(
        r#"(module
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            (import "env" "proxy_get_current_time_nanoseconds"
                (func $time (param i32) (result i32)))
            (import "env" "proxy_register_shared_queue"
                (func $register (param i32 i32 i32) (result i32)))
            (import "env" "proxy_enqueue_shared_queue"
                (func $enqueue (param i32 i32 i32) (result i32)))
            (func (export "proxy_abi_version_0_2_1"))
            (memory (export "memory") 1)
            (data (i32.const 0) "ab told")
            (func (export "malloc") (param i32) (result i32) (i32.const 1024))
            (func (export "proxy_on_configure") (param i32 i32) (result i32)
                (drop (call $register (i32.const 0) (i32.const 1) (i32.const 32)))
                (drop (call $register (i32.const 1) (i32.const 1) (i32.const 36)))
                (i32.const 1))
            (func $put (param $token i32)
                (drop (call $enqueue (local.get $token) (i32.const 0) (i32.const 1))))
            (func $now (result i64)
                (drop (call $time (i32.const 8)))
                (i64.load (i32.const 8)))
            (func (export "proxy_on_queue_ready") (param i32) (param $token i32) (local $end i64)
                (i32.store8 (i32.const 2) (i32.const 32)) ;; a space
                (i32.store8 (i32.const 1) (select (i32.const 97) (i32.const 98)
                    (i32.eq (local.get $token) (i32.load (i32.const 32)))))
                (drop (call $log (i32.const 2) (i32.const 1) (i32.const 6)))
                (local.set $end (i64.add (call $now) (i64.const 20000000)))
                (loop $on (br_if $on (i64.lt_u (call $now) (local.get $end))))
                {again})
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (call $put (i32.load (i32.const 32)))
                (call $put (i32.load (i32.const 32)))
                (call $put (i32.load (i32.const 32)))
                (call $put (i32.load (i32.const 36)))
                (i32.const 0)))"#
    )
}

/// The items of both queues that a worker was told of, after looks at the end
/// of each pause. There is one item a look, and none in a pause.
fn told_in(looks: usize, again: &'static str) -> (usize, usize) {
    let worker = move || {
        let host = Rc::new(MemoryHost::new());
        host.set_store(Some(Rc::new(HeapStore::default())));
        let bytes = wat::parse_str(slow_queues(again)).unwrap();
        let mut plugin = Plugin::load(host.clone(), b"p", &bytes, Options::default()).unwrap();
        let root = plugin.add_root(b"", false).unwrap();
        let request = host.add_request(MemoryRequest {
            phase: Phase::Request,
            ..MemoryRequest::default()
        });
        plugin.request_headers(root, request).unwrap();
        let _plugin = registry::register(plugin);
        let logged = |text: &str| {
            let logs = host.logs();
            logs.iter().filter(|(_, line)| line.ends_with(text)).count()
        };
        let mut now = Instant::now() + Duration::from_secs(1);
        for _ in 0..looks {
            let before = logged(" told");
            let next = registry::run_timers(now).unwrap();
            let told = logged(" told") - before;
            assert!(told <= 1, "{told} items in one look");
            if told == 1 {
                registry::run_timers(now + Duration::from_millis(1));
                assert_eq!(logged(" told") - before, 1, "in the pause");
                assert!(next > 1, "{next} ms");
            }
            now += Duration::from_secs(1);
        }
        (logged("a told"), logged("b told"))
    };
    std::thread::spawn(worker).join().unwrap()
}

#[test]
fn items_that_take_long_are_told_with_pauses_and_none_is_lost() {
    assert_eq!(told_in(8, ""), (3, 1));
}

#[test]
fn a_queue_that_never_ends_takes_neither_the_worker_nor_the_turns_of_others() {
    assert_eq!(told_in(8, "(call $put (local.get $token))"), (4, 4));
}
