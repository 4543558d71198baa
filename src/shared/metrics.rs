//! Metrics of a plugin: counters, gauges and histograms with Envoy's rules,
//! on the shared store: each is one number that all workers count up. Numbers
//! are exact up to 2^53; a gauge may be below 0. A change is one step of the
//! store's, but a sample of a histogram is two: one of a worker that dies
//! between them is in the sum, and not counted.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::account::{Account, cost};
use super::{Numbers, count, entry};
use crate::abi::Status;
use crate::abi::limits::{MAX_METRIC_NAME, MAX_METRICS};
use crate::abi::types::MetricType;
use crate::host::store::{Full, Store};

/// Counts the metrics of all plugins: an id is a metric's number.
const METRICS: &[u8] = b"M";

pub struct Metrics {
    store: Rc<dyn Store>,
    plugin: Vec<u8>,
    account: Rc<Account>,
    ids: Numbers,
    /// What this worker knows by id.
    known: RefCell<HashMap<u32, Rc<Metric>>>,
}

/// A metric, with the names of its entries.
struct Metric {
    kind: MetricType,
    /// Counter and gauge: the value. Histogram: the sum of its samples.
    value: Vec<u8>,
    /// Histogram: the number of its samples.
    samples: Vec<u8>,
}

/// A metric as it is read from outside.
#[derive(Debug, PartialEq)]
pub struct Reading {
    pub plugin: Vec<u8>,
    pub name: Vec<u8>,
    pub kind: MetricType,
    pub value: f64,
    pub samples: f64,
}

fn id_entry(id: u32) -> Vec<u8> {
    entry(b"m", &[&id.to_le_bytes()])
}

/// The id of a metric that has all its entries.
fn name_entry(plugin: &[u8], name: &[u8]) -> Vec<u8> {
    entry(b"n", &[plugin, name])
}

/// What a metric takes: its two numbers, its description, and its name.
fn room_of(by_name: &[u8], text: &[u8]) -> usize {
    let id = id_entry(0).len();
    cost(id, text.len()) + 2 * cost(id, size_of::<f64>()) + cost(by_name.len(), size_of::<f64>())
}

fn metric(id: u32, kind: MetricType) -> Metric {
    Metric {
        kind,
        value: entry(b"x", &[&id.to_le_bytes()]),
        samples: entry(b"y", &[&id.to_le_bytes()]),
    }
}

/// What stands behind an id: type, plugin, name.
fn describe(kind: MetricType, plugin: &[u8], name: &[u8]) -> Vec<u8> {
    let mut text = vec![kind as u8];
    text.extend_from_slice(&(plugin.len() as u32).to_le_bytes());
    text.extend_from_slice(plugin);
    text.extend_from_slice(name);
    text
}

fn parse(text: &[u8]) -> Option<(MetricType, &[u8], &[u8])> {
    let (kind, rest) = text.split_first()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (plugin, name) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    Some((MetricType::try_from(u32::from(*kind)).ok()?, plugin, name))
}

impl Metrics {
    pub fn new(store: Rc<dyn Store>, plugin: &[u8], account: Rc<Account>) -> Self {
        Metrics {
            store,
            plugin: plugin.to_vec(),
            account,
            ids: Numbers::new(METRICS),
            known: RefCell::default(),
        }
    }

    /// Counts the plugin's own.
    fn own(&self) -> Vec<u8> {
        entry(METRICS, &[&self.plugin])
    }

    /// True when the plugin has all metrics that it may have.
    pub fn has_all(&self) -> bool {
        self.store.number(&self.own()).unwrap_or(0.0) >= MAX_METRICS as f64
    }

    /// The id of a metric, made if it is new; the same in every worker. Never
    /// 0.
    ///
    /// Errors: [`Status::BadArgument`] for a name that is too long or of
    /// another type; [`Status::InternalFailure`] when there are too many,
    /// or the store is full.
    pub fn define(&self, kind: MetricType, name: &[u8]) -> Result<u32, Status> {
        if name.len() > MAX_METRIC_NAME {
            return Err(Status::BadArgument);
        }
        let by_name = name_entry(&self.plugin, name);
        let id = match self.store.number(&by_name) {
            Some(id) => id as u32,
            None => {
                if self.has_all() {
                    return Err(Status::InternalFailure);
                }
                self.define_new(kind, name, &by_name)?
            }
        };
        if self.metric(id)?.kind != kind {
            return Err(Status::BadArgument);
        }
        Ok(id)
    }

    /// The id of a metric that was not there a moment ago. What finds no room
    /// costs the plugin nothing: neither bytes nor one of its metrics.
    fn define_new(&self, kind: MetricType, name: &[u8], by_name: &[u8]) -> Result<u32, Status> {
        let full = |_| Status::InternalFailure;
        let text = describe(kind, &self.plugin, name);
        let room = room_of(by_name, &text);
        self.account.take(room)?;
        let own = self.own();
        // Counted first: so there are never more.
        let made = count(&*self.store, &own).and_then(|_| {
            let made = self.make(kind, by_name, &text);
            if !matches!(made, Ok(Some(_))) {
                self.store.increment(&own, -1.0);
            }
            made
        });
        if let Ok(Some(id)) = made {
            return Ok(id);
        }
        self.account.give(room);
        made.map_err(full)?;
        // Another worker was first.
        let id = self.store.number(by_name);
        Ok(id.ok_or(Status::InternalFailure)? as u32)
    }

    /// Makes a metric and gives its id. `None`: there is one of this name.
    fn make(&self, kind: MetricType, by_name: &[u8], text: &[u8]) -> Result<Option<u32>, Full> {
        let id = self.ids.take(&*self.store)?;
        let new = metric(id, kind);
        let made = self.make_entries(by_name, id, &new, text);
        if made == Ok(true) {
            return Ok(Some(id));
        }
        for unused in [id_entry(id), new.value, new.samples] {
            self.store.remove(&unused);
        }
        self.ids.give(id);
        made.map(|_| None)
    }

    /// Makes the entries of a metric. False: there is one of this name.
    fn make_entries(
        &self,
        by_name: &[u8],
        id: u32,
        new: &Metric,
        text: &[u8],
    ) -> Result<bool, Full> {
        // The name last: whoever finds the id finds all of it.
        self.store.add(&id_entry(id), text)?;
        self.store.add_number(&new.value, 0.0)?;
        if new.kind == MetricType::Histogram {
            self.store.add_number(&new.samples, 0.0)?;
        }
        self.store.add_number(by_name, id.into())
    }

    /// Counters only grow; gauges go both ways; histograms refuse.
    pub fn increment(&self, id: u32, offset: i64) -> Result<(), Status> {
        let metric = self.metric(id)?;
        match metric.kind {
            MetricType::Counter if offset > 0 => {}
            MetricType::Gauge => {}
            _ => return Err(Status::BadArgument),
        }
        self.add(&metric.value, offset as f64)
    }

    /// Sets a gauge, adds to a counter, takes a sample in a histogram.
    pub fn record(&self, id: u32, value: u64) -> Result<(), Status> {
        let metric = self.metric(id)?;
        match metric.kind {
            MetricType::Gauge => self
                .store
                .set_number(&metric.value, value as i64 as f64)
                .map_err(|_| Status::InternalFailure),
            MetricType::Counter => self.add(&metric.value, value as f64),
            MetricType::Histogram => {
                self.add(&metric.value, value as f64)?;
                self.add(&metric.samples, 1.0)
            }
        }
    }

    /// The value of a counter or gauge; histograms refuse.
    pub fn get(&self, id: u32) -> Result<u64, Status> {
        let metric = self.metric(id)?;
        if metric.kind == MetricType::Histogram {
            return Err(Status::BadArgument);
        }
        let value = self.store.number(&metric.value).ok_or(Status::NotFound)?;
        // A gauge may be below 0: it wraps around, as a guest expects of u64.
        Ok(value as i64 as u64)
    }

    fn add(&self, name: &[u8], by: f64) -> Result<(), Status> {
        self.store
            .increment(name, by)
            .map(drop)
            .ok_or(Status::NotFound)
    }

    fn metric(&self, id: u32) -> Result<Rc<Metric>, Status> {
        if let Some(known) = self.known.borrow().get(&id) {
            return Ok(known.clone());
        }
        let mut text = Vec::new();
        if !self.store.get(&id_entry(id), &mut text) {
            return Err(Status::NotFound);
        }
        match parse(&text) {
            // Ids of other plugins are unknown here.
            Some((kind, plugin, _)) if plugin == self.plugin => {
                let found = Rc::new(metric(id, kind));
                self.known.borrow_mut().insert(id, found.clone());
                Ok(found)
            }
            _ => Err(Status::NotFound),
        }
    }
}

/// Every metric of every plugin, in the order of definition.
pub fn read_all(store: &dyn Store) -> Vec<Reading> {
    let last = store.number(METRICS).unwrap_or(0.0) as u32;
    let mut readings = Vec::new();
    for id in 1..=last {
        let mut text = Vec::new();
        if !store.get(&id_entry(id), &mut text) {
            continue;
        }
        // A worker that died when it defined one has given it no name.
        if let Some((kind, plugin, name)) = parse(&text)
            && store.number(&name_entry(plugin, name)) == Some(id.into())
        {
            let metric = metric(id, kind);
            readings.push(Reading {
                plugin: plugin.to_vec(),
                name: name.to_vec(),
                kind,
                value: store.number(&metric.value).unwrap_or(0.0),
                samples: store.number(&metric.samples).unwrap_or(0.0),
            });
        }
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::MetricType::{Counter, Gauge, Histogram};
    use super::*;
    use crate::host::store::HeapStore;

    fn metrics(store: &Rc<HeapStore>, plugin: &str) -> Metrics {
        let account = Account::new(store.clone(), plugin.as_bytes(), None);
        Metrics::new(store.clone(), plugin.as_bytes(), account.into())
    }

    #[test]
    fn a_name_has_one_id_and_one_type_in_every_worker() {
        let store = Rc::new(HeapStore::default());
        let (one, other) = (metrics(&store, "p"), metrics(&store, "p"));
        let id = one.define(Counter, b"hits").expect("new");
        assert_eq!(other.define(Counter, b"hits"), Ok(id));
        assert_eq!(other.define(Gauge, b"hits"), Err(Status::BadArgument));
        // A name like any other.
        let empty = one.define(Gauge, b"").expect("new");
        assert_ne!(empty, id);
        assert_eq!(other.define(Gauge, b""), Ok(empty));
        let long = vec![b'x'; MAX_METRIC_NAME + 1];
        assert_eq!(one.define(Gauge, &long), Err(Status::BadArgument));

        assert_eq!(one.increment(id, 2), Ok(()));
        assert_eq!(other.increment(id, 3), Ok(()));
        assert_eq!(one.get(id), Ok(5));
    }

    #[test]
    fn the_ids_of_another_plugin_are_unknown() {
        let store = Rc::new(HeapStore::default());
        let id = metrics(&store, "p").define(Counter, b"hits").expect("new");
        let other = metrics(&store, "q");
        assert_eq!(other.get(id), Err(Status::NotFound));
        assert_ne!(other.define(Counter, b"hits"), Ok(id));
    }

    #[test]
    fn each_type_takes_what_envoy_lets_it_take() {
        let store = Rc::new(HeapStore::default());
        let metrics = metrics(&store, "p");
        let counter = metrics.define(Counter, b"c").expect("new");
        let gauge = metrics.define(Gauge, b"g").expect("new");
        let histogram = metrics.define(Histogram, b"h").expect("new");

        assert_eq!(metrics.increment(counter, 2), Ok(()));
        assert_eq!(metrics.increment(counter, 0), Err(Status::BadArgument));
        assert_eq!(metrics.increment(counter, -1), Err(Status::BadArgument));
        assert_eq!(metrics.record(counter, 3), Ok(()));
        assert_eq!(metrics.get(counter), Ok(5));

        assert_eq!(metrics.record(gauge, 10), Ok(()));
        assert_eq!(metrics.increment(gauge, -14), Ok(()));
        assert_eq!(metrics.get(gauge), Ok(-4_i64 as u64));

        assert_eq!(metrics.increment(histogram, 1), Err(Status::BadArgument));
        assert_eq!(metrics.record(histogram, 7), Ok(()));
        assert_eq!(metrics.record(histogram, 8), Ok(()));
        assert_eq!(metrics.get(histogram), Err(Status::BadArgument));
        let last = read_all(&*store).pop().expect("three metrics");
        assert_eq!(
            (last.name.as_slice(), last.value, last.samples),
            (&b"h"[..], 15.0, 2.0)
        );

        for unknown in [0, 4, u32::MAX] {
            assert_eq!(metrics.get(unknown), Err(Status::NotFound));
            assert_eq!(metrics.record(unknown, 1), Err(Status::NotFound));
            assert_eq!(metrics.increment(unknown, 1), Err(Status::NotFound));
        }
    }

    #[test]
    fn a_full_store_is_an_error_and_no_more() {
        let store = Rc::new(HeapStore::with_room(6));
        let metrics = metrics(&store, "p");
        let id = metrics.define(Counter, b"c").expect("room");
        assert_eq!(metrics.define(Counter, b"d"), Err(Status::InternalFailure));
        assert_eq!(metrics.increment(id, 1), Ok(()));
        assert_eq!(metrics.get(id), Ok(1));
    }

    #[test]
    fn a_plugin_that_defines_without_end_harms_nobody_else() {
        let store = Rc::new(HeapStore::default());
        let (flood, other) = (metrics(&store, "p"), metrics(&store, "q"));
        let define = |number: usize| flood.define(Counter, format!("m{number}").as_bytes());
        for number in 0..MAX_METRICS {
            assert!(define(number).is_ok());
            assert_eq!(flood.has_all(), number + 1 == MAX_METRICS);
        }
        for number in MAX_METRICS..MAX_METRICS + 100 {
            assert_eq!(define(number), Err(Status::InternalFailure));
        }
        assert_eq!(define(7), Ok(8));
        // Not one number was used up by what was refused.
        assert_eq!(other.define(Counter, b"hits"), Ok(MAX_METRICS as u32 + 1));
    }

    #[test]
    fn what_finds_no_room_uses_nothing_up() {
        let store = Rc::new(HeapStore::with_room(4));
        let metrics = metrics(&store, "p");
        for number in 0..MAX_METRICS + 100 {
            let defined = metrics.define(Counter, format!("m{number}").as_bytes());
            assert_eq!(defined, Err(Status::InternalFailure));
        }
        assert!(!metrics.has_all());
        assert_eq!(store.number(&metrics.own()), Some(0.0));
        assert_eq!(store.number(METRICS), Some(1.0));
        assert_eq!(metrics.account.taken(), 0.0);
        // Room again: as if nothing had happened.
        store.set_room(0);
        assert_eq!(metrics.define(Counter, b"one"), Ok(1));
        assert_eq!(metrics.define(Counter, b"two"), Ok(2));
        assert_eq!(store.number(&metrics.own()), Some(2.0));
    }

    #[test]
    fn who_is_second_to_define_a_metric_uses_nothing_up() {
        let store = Rc::new(HeapStore::default());
        let (one, other) = (metrics(&store, "p"), metrics(&store, "p"));
        assert_eq!(one.define(Counter, b"hits"), Ok(1));
        // As if it had not been there when `other` looked.
        let by_name = name_entry(b"p", b"hits");
        assert_eq!(other.define_new(Counter, b"hits", &by_name), Ok(1));
        assert_eq!(store.number(&one.own()), Some(1.0));
        assert_eq!(other.define(Counter, b"more"), Ok(2));
        assert_eq!(one.define(Counter, b"most"), Ok(3));
    }
}
