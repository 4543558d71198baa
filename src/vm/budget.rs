//! What an instance may use: CPU time in one call, memory and tables in all.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use super::{process, ticker};

/// The CPU time that one call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuLimit {
    pub ms: u32,
    /// The operator's name for it, for the message.
    pub option: &'static str,
}

/// What an instance may use.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    pub cpu: CpuLimit,
    /// Bytes of linear memory.
    pub memory: usize,
    /// Elements of all tables together.
    pub table_elements: usize,
}

/// Ends a call that has used its CPU time.
#[derive(Debug)]
pub struct OutOfTime(CpuLimit);

impl fmt::Display for OutOfTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CpuLimit { ms, option } = self.0;
        write!(f, "it used more than {ms} ms of CPU time (option {option})")
    }
}

impl std::error::Error for OutOfTime {}

/// What is left.
pub struct Budget {
    cpu: CpuLimit,
    /// The thread's CPU time when the call first looked. That is one tick into
    /// the call at most, and so costs most calls no look at all.
    started: Option<Duration>,
    memory: usize,
    table_elements: usize,
}

impl Budget {
    pub fn new(allowance: Allowance) -> Self {
        let mut budget = Budget {
            cpu: allowance.cpu,
            started: None,
            memory: allowance.memory,
            table_elements: allowance.table_elements,
        };
        budget.limit_cpu(allowance.cpu);
        budget
    }

    /// For calls from now on.
    pub fn limit_cpu(&mut self, limit: CpuLimit) {
        ticker::serve(Duration::from_millis(limit.ms.into()));
        self.cpu = limit;
    }

    /// A call begins. The first look is due with the next tick.
    pub fn begin(&mut self) {
        self.started = None;
    }

    /// Looks at the clock: gives the ticks until the next look.
    ///
    /// Errors: the time is up.
    pub fn check_time(&mut self) -> wasmtime::Result<u64> {
        ticker::go_on().map_err(wasmtime::Error::msg)?;
        let now = process::cpu_time();
        let started = *self.started.get_or_insert(now);
        let limit = Duration::from_millis(self.cpu.ms.into());
        match limit.checked_sub(now.saturating_sub(started)) {
            Some(left) if !left.is_zero() => Ok(ticker::ticks(left)),
            _ => Err(OutOfTime(self.cpu).into()),
        }
    }
}

/// Takes what something grows by, if that much is left.
fn take(left: &mut usize, current: usize, desired: usize, maximum: Option<usize>) -> bool {
    // What fails anyway must take nothing.
    if maximum.is_some_and(|maximum| desired > maximum) {
        return false;
    }
    match left.checked_sub(desired.saturating_sub(current)) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(take(&mut self.memory, current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(take(&mut self.table_elements, current, desired, maximum))
    }
}
