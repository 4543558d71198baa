//! What an instance may use: CPU time in one call, memory and tables in all.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use super::engine::INTERRUPTED;
use super::guest::Fault;
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

/// What it has of that.
pub struct Budget {
    cpu: CpuLimit,
    /// The thread's CPU time when the call first looked. That is one tick into
    /// the call at most, and so costs most calls no look at all.
    started: Option<Duration>,
    memory: usize,
    /// What is left of them.
    table_elements: usize,
    /// What was refused last in this call, with the option that limits it: a
    /// guest that cannot do without mostly traps and does not say why.
    refused: Option<&'static str>,
}

impl Budget {
    pub fn new(allowance: Allowance) -> Self {
        let mut budget = Budget {
            cpu: allowance.cpu,
            started: None,
            memory: allowance.memory,
            table_elements: allowance.table_elements,
            refused: None,
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
        self.refused = None;
    }

    /// What the guest was refused in this call, and for which option.
    pub fn refused(&self) -> Option<&'static str> {
        self.refused
    }

    fn note(&mut self, is_left: bool, what: &'static str) -> bool {
        if !is_left {
            self.refused = Some(what);
        }
        is_left
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

impl Budget {
    /// For a host function that takes long: looks at the clock, which is a
    /// system call.
    ///
    /// Errors: the time is up; the host function must end with this.
    pub fn check(&mut self) -> Result<(), Fault> {
        match INTERRUPTED {
            true => self.check_time().map(drop).map_err(Fault::End),
            false => Ok(()),
        }
    }
}

/// Takes what a table grows by, if that much is left. What takes it and then
/// fails ends the call, and the instance with it.
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
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // There is one memory (src/vm/engine.rs): what it would have is all
        // that is taken. Were it counted down, a growth that the system then
        // refuses would cost its bytes for good.
        Ok(self.note(desired <= self.memory, "memory (option memory_limit)"))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let is_left = take(&mut self.table_elements, current, desired, maximum);
        Ok(self.note(is_left, "elements of tables (option max_table_elements)"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowance, Budget, CpuLimit};
    use wasmtime::ResourceLimiter;

    const PAGE: usize = 1 << 16;

    fn budget() -> Budget {
        let option = "cpu_limit";
        Budget::new(Allowance {
            cpu: CpuLimit { ms: 1000, option },
            memory: 10 * PAGE,
            table_elements: 10,
        })
    }

    #[test]
    fn memory_that_the_system_refuses_costs_nothing() {
        fn grow(budget: &mut Budget, from: usize, to: usize) -> bool {
            let grows = budget.memory_growing(from * PAGE, to * PAGE, None);
            grows.expect("a limit is no error")
        }
        let mut budget = budget();
        assert!(grow(&mut budget, 0, 1));
        for _ in 0..100 {
            assert!(grow(&mut budget, 1, 9));
            let refused = wasmtime::Error::msg("mmap failed");
            budget
                .memory_grow_failed(refused)
                .expect("no error, either");
        }
        assert!(grow(&mut budget, 1, 10));
        assert!(!grow(&mut budget, 1, 11));
        assert!(!grow(&mut budget, 10, 11));
    }

    #[test]
    fn what_is_refused_is_known_until_the_next_call() {
        let mut budget = budget();
        budget.begin();
        assert_eq!(budget.table_growing(0, 11, None).ok(), Some(false));
        assert!(
            budget
                .refused()
                .is_some_and(|it| it.contains("max_table_elements"))
        );
        assert_eq!(budget.memory_growing(0, 11 * PAGE, None).ok(), Some(false));
        assert_eq!(budget.memory_growing(0, PAGE, None).ok(), Some(true));
        assert!(
            budget
                .refused()
                .is_some_and(|it| it.contains("memory_limit"))
        );
        budget.begin();
        assert_eq!(budget.refused(), None);
    }

    #[test]
    fn tables_share_what_there_is() {
        let mut budget = budget();
        let mut grow = |from, to, most| budget.table_growing(from, to, most).expect("no error");
        assert!(grow(0, 4, None));
        // Over its own maximum, which fails whatever is left.
        assert!(!grow(0, 7, Some(5)));
        assert!(grow(0, 5, Some(5)));
        assert!(!grow(4, 6, None));
        assert!(grow(4, 5, None));
        assert!(!grow(5, 6, None));
    }
}
