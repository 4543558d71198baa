//! Metrics of a plugin: counters, gauges and histograms with Envoy's rules,
//! on the shared store: each is one number that all workers count up. Numbers
//! are exact up to 2^53; a gauge may be below 0.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::{count, entry};
use crate::abi::Status;
use crate::abi::limits::{MAX_METRIC_NAME, MAX_METRICS};
use crate::abi::types::MetricType;
use crate::host::store::Store;

/// Counts the metrics of all plugins: an id is a metric's number.
const METRICS: &[u8] = b"M";

pub struct Metrics {
    store: Rc<dyn Store>,
    plugin: Vec<u8>,
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
    pub fn new(store: Rc<dyn Store>, plugin: &[u8]) -> Self {
        Metrics {
            store,
            plugin: plugin.to_vec(),
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
    /// Errors: [`Status::BadArgument`] for a name that is empty, too long or
    /// of another type; [`Status::InternalFailure`] when there are too many,
    /// or the store is full.
    pub fn define(&self, kind: MetricType, name: &[u8]) -> Result<u32, Status> {
        if name.is_empty() || name.len() > MAX_METRIC_NAME {
            return Err(Status::BadArgument);
        }
        let full = |_| Status::InternalFailure;
        let by_name = entry(b"n", &[&self.plugin, name]);
        let id = match self.store.number(&by_name) {
            Some(id) => id as u32,
            None => {
                if self.has_all() {
                    return Err(Status::InternalFailure);
                }
                // Counted first, whatever comes of it.
                count(&*self.store, &self.own()).map_err(full)?;
                let id = count(&*self.store, METRICS).map_err(full)? as u32;
                // Everything else first: whoever finds the id finds it.
                let text = describe(kind, &self.plugin, name);
                let new = metric(id, kind);
                self.store.add(&id_entry(id), &text).map_err(full)?;
                self.store.add_number(&new.value, 0.0).map_err(full)?;
                if kind == MetricType::Histogram {
                    self.store.add_number(&new.samples, 0.0).map_err(full)?;
                }
                if self.store.add_number(&by_name, id.into()).map_err(full)? {
                    id
                } else {
                    // Another worker was first; this number stays unused.
                    for unused in [id_entry(id), new.value, new.samples] {
                        self.store.remove(&unused);
                    }
                    self.store.number(&by_name).ok_or(Status::InternalFailure)? as u32
                }
            }
        };
        if self.metric(id)?.kind != kind {
            return Err(Status::BadArgument);
        }
        Ok(id)
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
        if let Some((kind, plugin, name)) = parse(&text) {
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
        Metrics::new(store.clone(), plugin.as_bytes())
    }

    #[test]
    fn a_name_has_one_id_and_one_type_in_every_worker() {
        let store = Rc::new(HeapStore::default());
        let (one, other) = (metrics(&store, "p"), metrics(&store, "p"));
        let id = one.define(Counter, b"hits").expect("new");
        assert_eq!(other.define(Counter, b"hits"), Ok(id));
        assert_eq!(other.define(Gauge, b"hits"), Err(Status::BadArgument));
        assert_eq!(one.define(Gauge, b""), Err(Status::BadArgument));
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
    fn what_finds_no_room_uses_numbers_up_but_not_without_end() {
        let store = Rc::new(HeapStore::with_room(3));
        let metrics = metrics(&store, "p");
        for number in 0..MAX_METRICS + 100 {
            let defined = metrics.define(Counter, format!("m{number}").as_bytes());
            assert_eq!(defined, Err(Status::InternalFailure));
        }
        assert_eq!(store.number(METRICS), Some(MAX_METRICS as f64));
    }
}
