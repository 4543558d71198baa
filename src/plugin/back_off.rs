//! When a plugin that fails gets its next instance.
//!
//! After one failure at once: a request that makes a plugin trap costs the
//! others as little as possible. After several in a row the wait doubles, from
//! 100 ms to 30 s, since the worker has more to do. The row ends with a request
//! that came to its end, or an instance that lived as long as the longest wait
//! (a plugin may have no requests).
//!
//! Nothing else of the worker runs during a start. Behind a long one there is no
//! other for as long again, also after one failure: whoever makes a plugin fail
//! is not to have more than half of the worker.

use std::time::{Duration, Instant};

use crate::abi::limits::{LONG_START_MS, MAX_BACK_OFF_MS, MIN_BACK_OFF_MS};

const MIN: Duration = Duration::from_millis(MIN_BACK_OFF_MS as u64);
const MAX: Duration = Duration::from_millis(MAX_BACK_OFF_MS as u64);
const LONG_START: Duration = Duration::from_millis(LONG_START_MS as u64);

#[derive(Default)]
pub struct BackOff {
    /// In a row.
    failures: u32,
    /// There is no instance before.
    until: Option<Instant>,
    /// When the instance that lives was made.
    born: Option<Instant>,
    /// The thread's CPU time when the start began that is not done yet.
    start_began: Option<Duration>,
    /// CPU time of the last start.
    start_took: Duration,
}

impl BackOff {
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A start begins. `cpu`: CPU time of the thread so far, here and below.
    pub fn starts(&mut self, cpu: Duration) {
        self.start_began = Some(cpu);
    }

    /// A whole start is done.
    pub fn started(&mut self, now: Instant, cpu: Duration) {
        self.born = Some(now);
        self.end_start(cpu);
    }

    fn end_start(&mut self, cpu: Duration) {
        if let Some(began) = self.start_began.take() {
            self.start_took = cpu.saturating_sub(began);
        }
    }

    /// A request came to its end without a failure.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The instance, or the attempt to make one, failed. Gives how long there
    /// will be no other.
    pub fn failed(&mut self, now: Instant, cpu: Duration) -> Duration {
        self.end_start(cpu);
        let born = self.born.take();
        if born.is_some_and(|born| now.duration_since(born) >= MAX) {
            self.failures = 0;
        }
        let doublings = self.failures.checked_sub(1);
        self.failures = self.failures.saturating_add(1);
        // 2^20 times the first wait is longer than the longest.
        let doubled = doublings.map_or(Duration::ZERO, |times| MIN * (1 << times.min(20)));
        let wait = match self.start_took >= LONG_START {
            true => doubled.max(self.start_took),
            false => doubled,
        };
        let wait = wait.min(MAX);
        self.until = Some(now + wait);
        wait
    }

    /// How long there is no instance yet; `None`: one may be made.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::{BackOff, MAX};
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);
    const CPU: Duration = Duration::ZERO;

    #[test]
    fn the_wait_doubles_from_the_second_failure_on() {
        let now = Instant::now();
        let mut back_off = BackOff::default();
        let waits: Vec<u128> = (0..12)
            .map(|_| back_off.failed(now, CPU).as_millis())
            .collect();
        assert_eq!(
            waits,
            [
                0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000
            ]
        );
        for _ in 0..100 {
            assert_eq!(back_off.failed(now, CPU), MAX);
        }
    }

    #[test]
    fn the_wait_is_over_in_its_time() {
        let now = Instant::now();
        let mut back_off = BackOff::default();
        assert_eq!(back_off.left(now), None);
        back_off.failed(now, CPU);
        assert_eq!(back_off.left(now), None);
        back_off.failed(now, CPU);
        assert_eq!(back_off.left(now), Some(100 * MS));
        assert_eq!(back_off.left(now + 99 * MS), Some(MS));
        assert_eq!(back_off.left(now + 100 * MS), None);
    }

    #[test]
    fn a_success_ends_the_row() {
        let now = Instant::now();
        let mut back_off = BackOff::default();
        for _ in 0..5 {
            back_off.failed(now, CPU);
        }
        back_off.succeeded();
        assert_eq!(back_off.failed(now, CPU), Duration::ZERO);
        assert_eq!(back_off.failed(now, CPU), 100 * MS);
    }

    #[test]
    fn a_long_life_ends_the_row() {
        let now = Instant::now();
        let mut back_off = BackOff::default();
        back_off.failed(now, CPU);
        back_off.failed(now, CPU);
        back_off.started(now, CPU);
        assert_eq!(back_off.failed(now + MAX - MS, CPU), 200 * MS);
        // What never started did not live.
        assert_eq!(back_off.failed(now + 3 * MAX, CPU), 400 * MS);
        back_off.started(now, CPU);
        assert_eq!(back_off.failed(now + MAX, CPU), Duration::ZERO);
    }

    #[test]
    fn what_starts_long_waits_as_long_also_after_one_failure() {
        let now = Instant::now();
        let mut back_off = BackOff::default();
        back_off.starts(7 * MS);
        back_off.started(now, 257 * MS);
        assert_eq!(back_off.failed(now, 300 * MS), 250 * MS);
        // A start that fails.
        back_off.starts(300 * MS);
        assert_eq!(back_off.failed(now, 450 * MS), 150 * MS);
        assert_eq!(back_off.failed(now, 450 * MS), 200 * MS);
        back_off.succeeded();
        assert_eq!(back_off.failed(now, CPU), 150 * MS);
        back_off.starts(CPU);
        assert_eq!(back_off.failed(now, 2 * MAX), MAX);
        // One that took no time to speak of.
        back_off.succeeded();
        back_off.starts(CPU);
        assert_eq!(back_off.failed(now, 49 * MS), Duration::ZERO);
    }
}
