//! The kinds of updates that are cut off.

use super::{Process, items, value};
use crate::abi::Status;
use crate::abi::types::MetricType::{Counter, Gauge, Histogram};
use crate::shared::Shared;
use crate::shared::metrics::read_all;

/// Items.
const ONE: &[u8] = &[b'1'; 4000];
const TWO: &[u8] = &[b'2'; 4000];
const THREE: &[u8] = &[b'3'; 4000];

/// A kind of update: what is there before, the update that is cut off, and
/// what another worker must find and be able to do. It panics otherwise.
pub struct Kind {
    pub name: &'static str,
    pub prepare: fn(&Shared),
    pub update: fn(&Shared),
    pub after: fn(&Process),
    /// Needs no room: it must work in a full store, too.
    pub in_place: bool,
    /// Steps after which a death leaves more counted than there is.
    pub miscounted: usize,
}

/// Values that have a place of their size beside them, and that have not.
const SMALL: &[u8] = b"small";
const LARGE: &[u8] = &[b'l'; 5000];
const LARGER: &[u8] = &[b'L'; 9000];

/// A value of another size, or too large to be in the same place, comes for one
/// that is there.
macro_rules! in_another_place {
    ($name:literal, $old:expr => $new:expr, miscounted: $miscounted:literal) => {
        Kind {
            name: $name,
            prepare: |shared| assert_eq!(shared.data.set(b"key", $old, 0), Ok(())),
            update: |shared| assert_eq!(shared.data.set(b"key", $new, 1), Ok(())),
            after: |next| check_changed(next, $old, $new),
            in_place: false,
            miscounted: $miscounted,
        }
    };
}

pub const KINDS: &[Kind] = &[
    Kind {
        name: "a first value",
        prepare: |_| {},
        update: |shared| assert_eq!(shared.data.set(b"key", b"new", 0), Ok(())),
        after: |next| {
            let found = value(&next.shared.data, b"key");
            let cas = match found {
                Err(Status::NotFound) => 0,
                found => {
                    assert_eq!(found, Ok(("new".to_owned(), 1)));
                    1
                }
            };
            check_next_value(next, cas);
        },
        in_place: false,
        miscounted: 2,
    },
    Kind {
        name: "a value in the place of another",
        prepare: |shared| assert_eq!(shared.data.set(b"key", b"old", 0), Ok(())),
        update: |shared| assert_eq!(shared.data.set(b"key", b"new", 0), Ok(())),
        after: check_replaced,
        in_place: true,
        miscounted: 0,
    },
    Kind {
        name: "a value by compare-and-swap",
        prepare: |shared| assert_eq!(shared.data.set(b"key", b"old", 0), Ok(())),
        update: |shared| assert_eq!(shared.data.set(b"key", b"new", 1), Ok(())),
        after: check_replaced,
        in_place: true,
        miscounted: 0,
    },
    Kind {
        name: "a compare-and-swap that does not match",
        prepare: |shared| assert_eq!(shared.data.set(b"key", b"old", 0), Ok(())),
        update: |shared| {
            let mismatch = Err(Status::CasMismatch.into());
            assert_eq!(shared.data.set(b"key", b"no", 9), mismatch);
        },
        after: |next| {
            assert_eq!(value(&next.shared.data, b"key"), Ok(("old".to_owned(), 1)));
            check_next_value(next, 1);
        },
        in_place: true,
        miscounted: 0,
    },
    Kind {
        name: "an empty value: what deletes",
        prepare: |shared| assert_eq!(shared.data.set(b"key", b"old", 0), Ok(())),
        update: |shared| assert_eq!(shared.data.set(b"key", b"", 0), Ok(())),
        after: |next| {
            let (found, cas) = value(&next.shared.data, b"key").expect("one of them");
            assert!(matches!((found.as_str(), cas), ("old", 1) | ("", 2)));
            check_next_value(next, cas);
        },
        in_place: true,
        miscounted: 0,
    },
    in_another_place!("a value in the place of a smaller one", LARGE => LARGER, miscounted: 2),
    in_another_place!("a value in the place of a larger one", LARGER => LARGE, miscounted: 1),
    in_another_place!("a large value in the place of one of its size", LARGE => &[b'k'; 5000], miscounted: 0),
    in_another_place!("a small value in the place of a large one", LARGE => SMALL, miscounted: 1),
    in_another_place!("a large value in the place of a small one", SMALL => LARGE, miscounted: 2),
    Kind {
        name: "an empty value in the place of a large one",
        prepare: |shared| assert_eq!(shared.data.set(b"key", LARGE, 0), Ok(())),
        update: |shared| assert_eq!(shared.data.set(b"key", b"", 0), Ok(())),
        after: |next| check_changed(next, LARGE, b""),
        in_place: true,
        miscounted: 1,
    },
    Kind {
        name: "a queue that is registered",
        prepare: |_| {},
        update: |shared| assert!(shared.queues.register(b"jobs").is_ok()),
        after: |next| {
            let queue = next.update(|shared| shared.queues.register(b"jobs"));
            let queue = queue.expect("room");
            assert_eq!(next.shared.queues.register(b"jobs"), Ok(queue));
            assert_eq!(next.shared.queues.resolve(b"vm", b"jobs"), Ok(queue));
            assert_ne!(next.shared.queues.register(b"others"), Ok(queue));
            check_next_items(next, queue, &[]);
        },
        in_place: false,
        miscounted: 99,
    },
    Kind {
        name: "an item that is enqueued",
        prepare: |shared| {
            let queue = shared.queues.register(b"jobs").expect("room");
            assert_eq!(shared.queues.enqueue(queue, ONE), Ok(()));
            assert_eq!(shared.queues.enqueue(queue, TWO), Ok(()));
        },
        update: |shared| {
            let queue = shared.queues.register(b"jobs").expect("known");
            assert_eq!(shared.queues.enqueue(queue, THREE), Ok(()));
        },
        after: |next| {
            let queue = next.shared.queues.register(b"jobs").expect("known");
            match next.shared.queues.last(queue) {
                2 => check_next_items(next, queue, &[ONE, TWO]),
                _ => check_next_items(next, queue, &[ONE, TWO, THREE]),
            }
        },
        in_place: false,
        miscounted: 1,
    },
    Kind {
        name: "an item that is dequeued",
        prepare: |shared| {
            let queue = shared.queues.register(b"jobs").expect("room");
            assert_eq!(shared.queues.enqueue(queue, ONE), Ok(()));
            assert_eq!(shared.queues.enqueue(queue, TWO), Ok(()));
        },
        update: |shared| {
            let queue = shared.queues.register(b"jobs").expect("known");
            assert_eq!(shared.queues.dequeue(queue, &mut Vec::new()), Ok(()));
        },
        after: |next| {
            let queue = next.shared.queues.register(b"jobs").expect("known");
            let mut first = Vec::new();
            let found = next.update(|shared| shared.queues.dequeue(queue, &mut first));
            assert_eq!(found, Ok(()));
            match first.as_slice() {
                ONE => check_next_items(next, queue, &[TWO]),
                first => {
                    assert_eq!(first, TWO);
                    check_next_items(next, queue, &[]);
                }
            }
        },
        in_place: true,
        miscounted: 1,
    },
    Kind {
        name: "an item that is put back",
        prepare: |shared| {
            let queue = shared.queues.register(b"jobs").expect("room");
            assert_eq!(shared.queues.enqueue(queue, ONE), Ok(()));
            assert_eq!(shared.queues.enqueue(queue, TWO), Ok(()));
        },
        update: |shared| {
            let queue = shared.queues.register(b"jobs").expect("known");
            let mut item = Vec::new();
            assert_eq!(shared.queues.dequeue(queue, &mut item), Ok(()));
            assert_eq!(shared.queues.put_back(queue, &item), Ok(()));
        },
        after: |next| {
            let queue = next.shared.queues.register(b"jobs").expect("known");
            let mut first = Vec::new();
            let found = next.update(|shared| shared.queues.dequeue(queue, &mut first));
            assert_eq!(found, Ok(()));
            match first.as_slice() {
                ONE => check_next_items(next, queue, &[TWO]),
                // The dead one had it.
                first => {
                    assert_eq!(first, TWO);
                    check_next_items(next, queue, &[]);
                }
            }
        },
        in_place: true,
        miscounted: 2,
    },
    Kind {
        name: "a metric that is defined",
        prepare: |_| {},
        update: |shared| assert!(shared.metrics.define(Histogram, b"mine").is_ok()),
        after: |next| {
            let define = |shared: &Shared| shared.metrics.define(Histogram, b"mine");
            let metric = next.update(define).expect("room");
            assert_eq!(define(&next.shared), Ok(metric));
            assert_ne!(next.shared.metrics.define(Counter, b"other"), Ok(metric));
            assert_eq!(
                next.update(|shared| shared.metrics.record(metric, 5)),
                Ok(())
            );
            // Once, and not by the number that the dead one has used up, too.
            assert_eq!(readings(next, b"mine"), [(5.0, 1.0)]);
        },
        in_place: false,
        miscounted: 99,
    },
    Kind {
        name: "a counter that is incremented",
        prepare: |shared| {
            let metric = shared.metrics.define(Counter, b"mine").expect("room");
            assert_eq!(shared.metrics.increment(metric, 40), Ok(()));
        },
        update: |shared| {
            let metric = shared.metrics.define(Counter, b"mine").expect("known");
            assert_eq!(shared.metrics.increment(metric, 2), Ok(()));
        },
        after: |next| {
            let (found, _) = readings(next, b"mine")[0];
            assert!([40.0, 42.0].contains(&found), "{found}");
            let metric = next.shared.metrics.define(Counter, b"mine").expect("known");
            assert_eq!(
                next.update(|shared| shared.metrics.increment(metric, 1)),
                Ok(())
            );
            assert_eq!(next.shared.metrics.get(metric), Ok(found as u64 + 1));
        },
        in_place: true,
        miscounted: 0,
    },
    Kind {
        name: "a gauge that is recorded",
        prepare: |shared| {
            let metric = shared.metrics.define(Gauge, b"mine").expect("room");
            assert_eq!(shared.metrics.record(metric, 40), Ok(()));
        },
        update: |shared| {
            let metric = shared.metrics.define(Gauge, b"mine").expect("known");
            assert_eq!(shared.metrics.record(metric, 7), Ok(()));
        },
        after: |next| {
            let (found, _) = readings(next, b"mine")[0];
            assert!([40.0, 7.0].contains(&found), "{found}");
            let metric = next.shared.metrics.define(Gauge, b"mine").expect("known");
            assert_eq!(
                next.update(|shared| shared.metrics.record(metric, 9)),
                Ok(())
            );
            assert_eq!(next.shared.metrics.get(metric), Ok(9));
        },
        in_place: true,
        miscounted: 0,
    },
    Kind {
        name: "a histogram that is recorded",
        prepare: |shared| {
            let metric = shared.metrics.define(Histogram, b"mine").expect("room");
            assert_eq!(shared.metrics.record(metric, 40), Ok(()));
        },
        update: |shared| {
            let metric = shared.metrics.define(Histogram, b"mine").expect("known");
            assert_eq!(shared.metrics.record(metric, 2), Ok(()));
        },
        after: |next| {
            let (sum, samples) = readings(next, b"mine")[0];
            // The one update that is two steps, as its file says.
            let legal = [(40.0, 1.0), (42.0, 1.0), (42.0, 2.0)];
            assert!(legal.contains(&(sum, samples)), "{sum} {samples}");
            let define = |shared: &Shared| shared.metrics.define(Histogram, b"mine");
            let metric = define(&next.shared).expect("known");
            assert_eq!(
                next.update(|shared| shared.metrics.record(metric, 5)),
                Ok(())
            );
            assert_eq!(readings(next, b"mine"), [(sum + 5.0, samples + 1.0)]);
        },
        in_place: true,
        miscounted: 0,
    },
];

fn check_replaced(next: &Process) {
    let (found, cas) = value(&next.shared.data, b"key").expect("one of them");
    assert!(matches!((found.as_str(), cas), ("old", 1) | ("new", 2)));
    check_next_value(next, cas);
}

fn check_changed(next: &Process, old: &[u8], new: &[u8]) {
    let mut found = Vec::new();
    let cas = next.shared.data.get(b"key", &mut found);
    let cas = cas.expect("one of them");
    assert!(found == if cas == 1 { old } else { new });
    assert!(cas <= 2);
    check_next_value(next, cas);
}

/// Writers go on from this version, and are told apart by it.
fn check_next_value(next: &Process, cas: u32) {
    let set = |text: &[u8], cas| next.update(|shared| shared.data.set(b"key", text, cas));
    assert_eq!(set(b"1st", cas), Ok(()));
    assert_eq!(set(b"no", cas + 2), Err(Status::CasMismatch.into()));
    assert_eq!(set(b"2nd", cas + 1), Ok(()));
    let found = value(&next.shared.data, b"key");
    assert_eq!(found, Ok(("2nd".to_owned(), cas + 2)));
}

/// These are in the queue, and no others, and it goes on.
fn check_next_items(next: &Process, queue: u32, there: &[&[u8]]) {
    let mut all = there.to_vec();
    // Not in a full store.
    if !next.worker.store.is_limited() {
        let enqueued = next.update(|shared| shared.queues.enqueue(queue, b"next"));
        assert_eq!(enqueued, Ok(()));
        all.push(b"next");
    }
    assert_eq!(items(&next.shared, queue), all);
}

/// Value and samples of all metrics of this name: there should be one.
fn readings(next: &Process, name: &[u8]) -> Vec<(f64, f64)> {
    let all = read_all(&*next.worker.store).into_iter();
    let named = all.filter(|reading| reading.name == name);
    named
        .map(|reading| (reading.value, reading.samples))
        .collect()
}
