//! How many modules a process compiles at once.
#![forbid(unsafe_code)]

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::abi::limits::MAX_COMPILERS;

/// Threads wait here for their turn. In a process that is forked nobody has one:
/// no thread lives when nginx forks.
pub struct Turns {
    taken: Mutex<usize>,
    given_back: Condvar,
}

pub static TURNS: Turns = Turns {
    taken: Mutex::new(0),
    given_back: Condvar::new(),
};

/// Given back when it is dropped.
pub struct Turn<'a>(&'a Turns);

impl Turns {
    fn lock(&self) -> MutexGuard<'_, usize> {
        // A number is whole, whoever panicked.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn; `None`: there was none for so long.
    pub fn take(&self, within: Duration) -> Option<Turn<'_>> {
        let none_is_left = |taken: &mut usize| *taken >= MAX_COMPILERS;
        let waited = self
            .given_back
            .wait_timeout_while(self.lock(), within, none_is_left);
        let (mut taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (*taken < MAX_COMPILERS).then(|| {
            *taken += 1;
            Turn(self)
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::process::start_thread;
    use super::*;

    #[test]
    fn a_turn_is_had_when_another_is_given_back() {
        static OWN: Turns = Turns {
            taken: Mutex::new(0),
            given_back: Condvar::new(),
        };
        let take = || OWN.take(Duration::from_millis(1));
        let mut taken: Vec<_> = (0..MAX_COMPILERS).filter_map(|_| take()).collect();
        assert_eq!(taken.len(), MAX_COMPILERS);
        assert!(take().is_none());
        taken.pop();
        let again = take();
        assert!(again.is_some());
        assert!(take().is_none());
        // Whoever waits is woken.
        let wait = || assert!(OWN.take(Duration::from_secs(3600)).is_some());
        let waits = start_thread("waits", 1 << 20, wait).expect("a thread");
        drop(again);
        assert!(waits.join().is_ok());
    }
}
