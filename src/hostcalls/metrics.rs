//! Host functions: metrics.

use super::Call;
use crate::abi::Status;
use crate::abi::field::shown;
use crate::abi::limits::{MAX_METRIC_NAME, MAX_METRICS};
use crate::abi::types::{LogLevel, MetricType};

/// The id of a metric that could not be had: it takes everything, counts
/// nowhere and is 0.
const NOWHERE: u32 = u32::MAX;

/// A metric that cannot be had is logged, and counts nowhere: SDKs panic on
/// anything but OK, and no request should fail for a number.
pub fn define_metric(call: &mut Call, kind: MetricType, name: &[u8]) -> Result<u32, Status> {
    let line = match call.shared.metrics.define(kind, name) {
        Ok(id) => return Ok(id),
        Err(Status::InternalFailure) if call.shared.metrics.has_all() => {
            format!("a metric is refused: a plugin has no more than {MAX_METRICS}")
        }
        Err(Status::InternalFailure) => {
            _ = call
                .state
                .log_full_store::<()>(Err(Status::InternalFailure));
            return Ok(NOWHERE);
        }
        Err(_) if name.len() > MAX_METRIC_NAME => {
            format!("a metric is refused: a name has no more than {MAX_METRIC_NAME} bytes")
        }
        Err(_) => {
            let name = shown(name);
            format!("the metric \"{name}\" is refused: another type has its name")
        }
    };
    call.state.log(LogLevel::Error, line.as_bytes());
    Ok(NOWHERE)
}

/// The offset is signed: a gauge goes down, too.
pub fn increment_metric(call: &mut Call, id: u32, offset: u64) -> Result<(), Status> {
    if id == NOWHERE {
        return Ok(());
    }
    call.shared.metrics.increment(id, offset as i64)
}

pub fn record_metric(call: &mut Call, id: u32, value: u64) -> Result<(), Status> {
    if id == NOWHERE {
        return Ok(());
    }
    match call.shared.metrics.record(id, value) {
        // There was room once.
        Err(Status::InternalFailure) => {
            _ = call
                .state
                .log_full_store::<()>(Err(Status::InternalFailure));
            Ok(())
        }
        recorded => recorded,
    }
}

pub fn get_metric(call: &mut Call, id: u32) -> Result<u64, Status> {
    match id {
        NOWHERE => Ok(0),
        _ => call.shared.metrics.get(id),
    }
}
