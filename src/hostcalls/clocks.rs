//! Host functions: clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Call;
use crate::abi::Status;

pub fn get_current_time_nanoseconds(_: &mut Call) -> Result<u64, Status> {
    Ok(wall_clock_nanoseconds())
}

/// Nanoseconds since 1970; 0 on a clock before that.
pub fn wall_clock_nanoseconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}
