//! Host functions: metrics.

use super::Call;
use crate::abi::Status;
use crate::abi::limits::MAX_METRICS;
use crate::abi::types::{LogLevel, MetricType};

pub fn define_metric(call: &mut Call, kind: MetricType, name: &[u8]) -> Result<u32, Status> {
    let id = call.shared.metrics.define(kind, name);
    if id == Err(Status::InternalFailure) && call.shared.metrics.has_all() {
        let line = format!("a metric is refused: a plugin has no more than {MAX_METRICS}");
        call.state.log(LogLevel::Error, line.as_bytes());
        return id;
    }
    call.state.log_full_store(id)
}

/// The offset is signed: a gauge goes down, too.
pub fn increment_metric(call: &mut Call, id: u32, offset: u64) -> Result<(), Status> {
    call.shared.metrics.increment(id, offset as i64)
}

pub fn record_metric(call: &mut Call, id: u32, value: u64) -> Result<(), Status> {
    call.shared.metrics.record(id, value)
}

pub fn get_metric(call: &mut Call, id: u32) -> Result<u64, Status> {
    call.shared.metrics.get(id)
}
