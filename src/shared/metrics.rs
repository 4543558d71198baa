//! Metrics of a plugin: counters, gauges and histograms with Envoy's rules.
//!
//! Kept in this worker's memory, for as long as the worker lives: a new
//! instance of the plugin finds what the old one counted.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::abi::Status;
use crate::abi::limits::{MAX_METRIC_NAME, MAX_METRICS};
use crate::abi::types::MetricType;

struct Metric {
    name: Vec<u8>,
    kind: MetricType,
    /// Counter and gauge: the value. Histogram: the sum of its samples.
    value: u64,
    /// Histogram: the number of its samples.
    samples: u64,
}

/// The metrics of one plugin name in this worker.
#[derive(Default)]
pub struct Metrics {
    all: Vec<Metric>,
    by_name: HashMap<Vec<u8>, u32>,
}

/// A metric as it is read from outside.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    pub name: &'a [u8],
    pub kind: MetricType,
    pub value: u64,
    pub samples: u64,
}

thread_local! {
    static PLUGINS: RefCell<HashMap<Vec<u8>, Rc<RefCell<Metrics>>>> = RefCell::default();
}

impl Metrics {
    /// The metrics of the plugin of this name.
    pub fn of(plugin: &[u8]) -> Rc<RefCell<Metrics>> {
        PLUGINS.with_borrow_mut(|plugins| plugins.entry(plugin.to_vec()).or_default().clone())
    }

    /// The id of a metric, made if it is new. Ids begin at 1.
    ///
    /// Errors: [`Status::BadArgument`] for a name that is empty, too long or
    /// of another type; [`Status::InternalFailure`] when there are too many.
    pub fn define(&mut self, kind: MetricType, name: &[u8]) -> Result<u32, Status> {
        if name.is_empty() || name.len() > MAX_METRIC_NAME {
            return Err(Status::BadArgument);
        }
        if let Some(&id) = self.by_name.get(name) {
            let same = self.metric(id)?.kind == kind;
            return if same {
                Ok(id)
            } else {
                Err(Status::BadArgument)
            };
        }
        if self.all.len() >= MAX_METRICS {
            return Err(Status::InternalFailure);
        }
        self.all.push(Metric {
            name: name.to_vec(),
            kind,
            value: 0,
            samples: 0,
        });
        let id = self.all.len() as u32;
        self.by_name.insert(name.to_vec(), id);
        Ok(id)
    }

    /// Counters only grow; gauges go both ways; histograms refuse.
    pub fn increment(&mut self, id: u32, offset: i64) -> Result<(), Status> {
        let metric = self.metric(id)?;
        match metric.kind {
            MetricType::Counter if offset > 0 => {}
            MetricType::Gauge => {}
            _ => return Err(Status::BadArgument),
        }
        metric.value = metric.value.wrapping_add_signed(offset);
        Ok(())
    }

    /// Sets a gauge, adds to a counter, takes a sample in a histogram.
    pub fn record(&mut self, id: u32, value: u64) -> Result<(), Status> {
        let metric = self.metric(id)?;
        match metric.kind {
            MetricType::Gauge => metric.value = value,
            MetricType::Counter => metric.value = metric.value.wrapping_add(value),
            MetricType::Histogram => {
                metric.value = metric.value.wrapping_add(value);
                metric.samples += 1;
            }
        }
        Ok(())
    }

    /// The value of a counter or gauge; histograms refuse.
    pub fn get(&mut self, id: u32) -> Result<u64, Status> {
        let metric = self.metric(id)?;
        match metric.kind {
            MetricType::Histogram => Err(Status::BadArgument),
            _ => Ok(metric.value),
        }
    }

    /// Every metric, in the order of definition.
    pub fn read(&self) -> impl Iterator<Item = Reading<'_>> {
        self.all.iter().map(|metric| Reading {
            name: &metric.name,
            kind: metric.kind,
            value: metric.value,
            samples: metric.samples,
        })
    }

    fn metric(&mut self, id: u32) -> Result<&mut Metric, Status> {
        let index = (id as usize).checked_sub(1).ok_or(Status::NotFound)?;
        self.all.get_mut(index).ok_or(Status::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::MetricType::{Counter, Gauge, Histogram};
    use super::*;

    #[test]
    fn a_name_has_one_id_and_one_type() {
        let mut metrics = Metrics::default();
        let id = metrics.define(Counter, b"hits").expect("new");
        assert_eq!(metrics.define(Counter, b"hits"), Ok(id));
        assert_eq!(metrics.define(Gauge, b"hits"), Err(Status::BadArgument));
        assert_eq!(metrics.define(Gauge, b""), Err(Status::BadArgument));
        let long = vec![b'x'; MAX_METRIC_NAME + 1];
        assert_eq!(metrics.define(Gauge, &long), Err(Status::BadArgument));
    }

    #[test]
    fn each_type_takes_what_envoy_lets_it_take() {
        let mut metrics = Metrics::default();
        let counter = metrics.define(Counter, b"c").expect("new");
        let gauge = metrics.define(Gauge, b"g").expect("new");
        let histogram = metrics.define(Histogram, b"h").expect("new");

        assert_eq!(metrics.increment(counter, 2), Ok(()));
        assert_eq!(metrics.increment(counter, 0), Err(Status::BadArgument));
        assert_eq!(metrics.increment(counter, -1), Err(Status::BadArgument));
        assert_eq!(metrics.record(counter, 3), Ok(()));
        assert_eq!(metrics.get(counter), Ok(5));

        assert_eq!(metrics.record(gauge, 10), Ok(()));
        assert_eq!(metrics.increment(gauge, -4), Ok(()));
        assert_eq!(metrics.get(gauge), Ok(6));

        assert_eq!(metrics.increment(histogram, 1), Err(Status::BadArgument));
        assert_eq!(metrics.record(histogram, 7), Ok(()));
        assert_eq!(metrics.record(histogram, 8), Ok(()));
        assert_eq!(metrics.get(histogram), Err(Status::BadArgument));
        let reading = metrics.read().last().expect("three metrics");
        assert_eq!((reading.value, reading.samples), (15, 2));

        for unknown in [0, 4, u32::MAX] {
            assert_eq!(metrics.get(unknown), Err(Status::NotFound));
            assert_eq!(metrics.record(unknown, 1), Err(Status::NotFound));
            assert_eq!(metrics.increment(unknown, 1), Err(Status::NotFound));
        }
    }
}
