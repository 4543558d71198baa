//! The pause behind what a worker runs without a request: ticks, queue news,
//! new instances for them, answers to root contexts, ends of contexts. It is as
//! long as that took, so that no plugin takes the worker from its requests. It
//! is one for all plugins, and outlives any instance.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::abi::limits::NO_PAUSE_BELOW_MS;
use crate::vm::cpu_time;

const NO_PAUSE_BELOW: Duration = Duration::from_millis(NO_PAUSE_BELOW_MS);

thread_local! {
    /// Until then requests have had as much as what ran without one; `None`:
    /// nothing has.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn milliseconds(time: Duration) -> u32 {
    time.as_nanos().div_ceil(1_000_000) as u32
}

/// The milliseconds that are left of the pause; 0: there is none. A short one is
/// put off until there are several, or more.
pub fn left(now: Instant) -> u32 {
    let left = UNTIL
        .get()
        .map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
    match left < NO_PAUSE_BELOW {
        true => 0,
        false => milliseconds(left),
    }
}

/// Runs this, pause or not. The pause behind it is as long as it took. One that
/// there was already stays: what does not wait for it would keep all that does
/// from ever running.
pub fn count<R>(now: Instant, run: impl FnOnce() -> R) -> R {
    match left(now) {
        0 => counted(now, run).0,
        _ => run(),
    }
}

/// Gives also when it was over.
fn counted<R>(now: Instant, run: impl FnOnce() -> R) -> (R, Instant) {
    let (began, used) = (Instant::now(), cpu_time());
    let result = run();
    let took = cpu_time().saturating_sub(used);
    let elapsed = began.elapsed();
    let from = UNTIL.get().map_or(now, |until| until.max(now));
    UNTIL.set(Some(from + elapsed + took));
    (result, now + elapsed)
}

/// Runs everything that is due, unless there is a pause, and begins the next
/// one. Takes what gives the milliseconds until something is due again; gives
/// them, or those of the pause if it is longer.
pub fn around(now: Instant, run: impl FnOnce() -> Option<u32>) -> Option<u32> {
    let before = left(now);
    if before > 0 {
        return Some(before);
    }
    let (next, over) = counted(now, run);
    next.map(|ms| ms.max(left(over)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(milliseconds: u64) {
        let until = cpu_time() + Duration::from_millis(milliseconds);
        while cpu_time() < until {}
    }

    // Each test has a thread of its own, and so its own pauses.

    #[test]
    fn what_is_short_has_its_pause_when_there_was_enough_of_it() {
        let now = Instant::now();
        count(now, || {});
        assert_eq!(left(now), 0);
        let runs = (0..20).take_while(|_| {
            count(Instant::now(), || work(1));
            left(Instant::now()) == 0
        });
        assert!(runs.count() < 20);
        assert_eq!(left(now + Duration::from_secs(60)), 0);
    }

    #[test]
    fn what_runs_in_a_pause_does_not_put_off_its_end() {
        let now = Instant::now();
        count(now, || work(30));
        let before = left(now);
        assert!(before >= 60, "{before}");
        count(now, || work(30));
        assert_eq!(left(now), before);
    }
}
