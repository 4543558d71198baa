//! Workers that are killed: each kind of update is cut off after each of its
//! steps in turn, and another worker goes on with what is there.
//!
//! What a process loses with its life is everything but the store. So dying
//! before a step is the same as dying after the one before it. And a step of the
//! store's is done or not, also on a dict: nothing here changes the bytes of an
//! entry, which alone could be cut off in the middle.

mod kinds;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use self::kinds::{KINDS, Kind};
use super::claim;
use super::{Shared, data::Data, entry};
use crate::abi::Status;
use crate::abi::limits::Limits;
use crate::abi::types::MetricType::Counter;
use crate::host::store::{Full, HeapStore, Store};

/// Steps in which an update must be done, by whoever finds what a dead one
/// left: the looks before its owner is asked for, of two steps each, and the
/// work.
const BOUND: u32 = 2 * claim::PATIENCE + 64;

/// Bytes that a death may leave behind for good: its claim, the right to pass
/// over another's, the number of a queue or of a metric; but nothing of the
/// size of a value.
const LEFT_BEHIND: usize = 512;

/// Bytes that a death may leave counted: one value, item, queue or metric.
const MISCOUNTED: f64 = 16_384.0;

/// The store as one worker has it.
struct Worker {
    store: Rc<HeapStore>,
    steps: Cell<u32>,
    /// The step after which it is killed.
    last: Cell<u32>,
    is_dead: Cell<bool>,
}

impl Worker {
    fn step<R>(&self, dead: R, step: impl FnOnce(&HeapStore) -> R) -> R {
        // Nothing that unwinding runs would run.
        if self.is_dead.get() {
            return dead;
        }
        if self.steps.get() == self.last.get() {
            self.is_dead.set(true);
            resume_unwind(Box::new("killed"));
        }
        self.steps.set(self.steps.get() + 1);
        step(&self.store)
    }
}

impl Store for Worker {
    fn add(&self, name: &[u8], value: &[u8]) -> Result<bool, Full> {
        self.step(Err(Full), |store| store.add(name, value))
    }

    fn get(&self, name: &[u8], value: &mut Vec<u8>) -> bool {
        self.step(false, |store| store.get(name, value))
    }

    fn remove(&self, name: &[u8]) {
        self.step((), |store| store.remove(name));
    }

    fn add_number(&self, name: &[u8], number: f64) -> Result<bool, Full> {
        self.step(Err(Full), |store| store.add_number(name, number))
    }

    fn set_number(&self, name: &[u8], number: f64) -> Result<(), Full> {
        self.step(Err(Full), |store| store.set_number(name, number))
    }

    fn number(&self, name: &[u8]) -> Option<f64> {
        self.step(None, |store| store.number(name))
    }

    fn increment(&self, name: &[u8], by: f64) -> Option<f64> {
        self.step(None, |store| store.increment(name, by))
    }
}

/// A worker with what it sees.
struct Process {
    worker: Rc<Worker>,
    shared: Shared,
}

impl Process {
    fn new(store: &Rc<HeapStore>) -> Self {
        Process::that_dies_after(u32::MAX, store)
    }

    fn that_dies_after(last: u32, store: &Rc<HeapStore>) -> Self {
        let worker = Rc::new(Worker {
            store: store.clone(),
            steps: Cell::default(),
            last: Cell::new(last),
            is_dead: Cell::default(),
        });
        let shared = Shared::new(worker.clone(), Some(b"vm"), b"plugin", &Limits::default());
        Process { worker, shared }
    }

    /// Each update is done within its bound.
    #[track_caller]
    fn update<R>(&self, update: impl FnOnce(&Shared) -> R) -> R {
        self.worker.steps.set(0);
        let result = update(&self.shared);
        let steps = self.worker.steps.get();
        assert!(steps <= BOUND, "{steps} steps");
        result
    }
}

/// True when the worker was killed in the update, and not done with it.
fn killed(store: &Rc<HeapStore>, last: u32, identity: &str, update: impl Fn(&Process)) -> bool {
    let process = Process::that_dies_after(last, store);
    claim::pretend(Some(identity));
    let done = catch_unwind(AssertUnwindSafe(|| update(&process)));
    claim::pretend(None);
    if !process.worker.is_dead.get()
        && let Err(failed) = done
    {
        resume_unwind(failed);
    }
    process.worker.is_dead.get()
}

/// What lies in the store beside what is updated.
fn prepare_bystanders(shared: &Shared) {
    assert_eq!(shared.data.set(b"other", b"stays", 0), Ok(()));
    let queue = shared.queues.register(b"others").expect("room");
    assert_eq!(shared.queues.enqueue(queue, b"stays"), Ok(()));
    let metric = shared.metrics.define(Counter, b"other").expect("room");
    assert_eq!(shared.metrics.increment(metric, 42), Ok(()));
}

fn check_bystanders(shared: &Shared) {
    assert_eq!(value(&shared.data, b"other"), Ok(("stays".to_owned(), 1)));
    let queue = shared.queues.register(b"others").expect("known");
    assert_eq!(items(shared, queue), [b"stays"]);
    let metric = shared.metrics.define(Counter, b"other").expect("known");
    assert_eq!(shared.metrics.get(metric), Ok(42));
}

fn value(data: &Data, key: &[u8]) -> Result<(String, u32), Status> {
    let mut value = Vec::new();
    let cas = data.get(key, &mut value)?;
    Ok((String::from_utf8(value).expect("text"), cas))
}

/// All items, which are no longer there then.
fn items(shared: &Shared, queue: u32) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    loop {
        let mut item = Vec::new();
        match shared.queues.dequeue(queue, &mut item) {
            Ok(()) => items.push(item),
            Err(why) => {
                assert_eq!(why, Status::Empty.into());
                return items;
            }
        }
    }
}

fn prepared(kind: &Kind) -> Rc<HeapStore> {
    let store = Rc::new(HeapStore::default());
    let survivor = Process::new(&store);
    prepare_bystanders(&survivor.shared);
    (kind.prepare)(&survivor.shared);
    store
}

#[test]
fn a_worker_that_is_killed_in_an_update_stalls_nobody_and_corrupts_nothing() {
    for kind in KINDS {
        let (undisturbed, taken) = {
            let store = prepared(kind);
            assert!(!killed(&store, u32::MAX, "1 1", |process| (kind.update)(
                &process.shared
            )));
            let next = Process::new(&store);
            (kind.after)(&next);
            (store.used(), next.shared.account.taken())
        };
        let (mut steps, mut miscounted) = (0, 0);
        loop {
            println!("{}: killed after step {steps}", kind.name);
            let store = prepared(kind);
            let died = killed(&store, steps, "4194304991 1", |process| {
                (kind.update)(&process.shared)
            });
            let next = Process::new(&store);
            (kind.after)(&next);
            let left = store.used().saturating_sub(undisturbed);
            assert!(left <= LEFT_BEHIND, "{left} bytes are left");
            // Never less than there is.
            let more = next.shared.account.taken() - taken;
            assert!((0.0..=MISCOUNTED).contains(&more), "{more} too many");
            miscounted += usize::from(more > 0.0);
            check_bystanders(&next.shared);
            if !died {
                break;
            }
            steps += 1;
        }
        assert!(steps > 1, "{}: nothing was cut off", kind.name);
        let name = kind.name;
        assert!(miscounted <= kind.miscounted, "{name}: {miscounted}");
    }
}

#[test]
fn a_worker_that_is_killed_when_it_passes_over_another_stalls_nobody_either() {
    let scope = super::scope(Some(b"vm"), b"plugin");
    let key = entry(b"d", &[&scope, b"key"]);
    let queue = entry(b"q", &[&2_u32.to_le_bytes()]);
    for (part, claimed) in [("value", key), ("item", queue)] {
        let mut deepest = 0;
        for kind in KINDS.iter().filter(|kind| kind.name.contains(part)) {
            let first = |store: &Rc<HeapStore>, steps| {
                killed(store, steps, "4194304991 1", |process| {
                    (kind.update)(&process.shared)
                })
            };
            // It changes nothing.
            let second = |process: &Process| {
                assert_eq!(claim::with(&*process.worker, &claimed, |_| ()), Ok(()));
            };
            let mut steps = 0;
            while first(&prepared(kind), steps) {
                let mut more = 0;
                loop {
                    println!("{}: killed after {steps}, and {more}", kind.name);
                    let store = prepared(kind);
                    first(&store, steps);
                    let died = killed(&store, more, "4194304992 1", second);
                    let next = Process::new(&store);
                    (kind.after)(&next);
                    check_bystanders(&next.shared);
                    if !died {
                        break;
                    }
                    // The looks at a claim are all alike.
                    more += if more == 24 {
                        2 * claim::PATIENCE - 40
                    } else {
                        1
                    };
                    deepest = more.max(deepest);
                }
                steps += 1;
            }
        }
        assert!(deepest > 2 * claim::PATIENCE, "nobody was passed over");
    }
}

#[test]
fn a_worker_that_is_killed_in_a_full_store_stalls_nobody_either() {
    for kind in KINDS.iter().filter(|kind| kind.in_place) {
        let mut steps = 0;
        loop {
            println!("{}: killed after step {steps}", kind.name);
            let store = prepared(kind);
            store.fill();
            let died = killed(&store, steps, "4194304991 1", |process| {
                (kind.update)(&process.shared)
            });
            let next = Process::new(&store);
            (kind.after)(&next);
            check_bystanders(&next.shared);
            if !died {
                break;
            }
            steps += 1;
        }
        assert!(steps > 1, "{}: nothing was cut off", kind.name);
    }
}
