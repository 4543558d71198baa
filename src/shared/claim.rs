//! One writer at a time, among all workers, without anything that a dead one
//! could leave locked.
//!
//! A claim is an entry, made by `add`, that names its owner. Its name carries
//! the turn, a number that only ever goes up: it is counted up when the owner
//! is done, so a claim on a turn that is over is worth nothing, and whoever
//! made it sees that. The claim of an owner that died is passed over by one of
//! those who wait: who, is settled by a claim again. No clock is involved, so
//! an owner that is only slow keeps its claim.
//!
//! Beside each name lies an entry of a claim's size that means nothing: in a
//! full store a claim takes its place, so that a full queue can be emptied.

use std::cell::RefCell;
use std::fs;

use super::entry;
use crate::host::store::{Full, Store};

/// Looks at a claim of another worker before its owner is asked for: a claim
/// is held for some microseconds.
const PATIENCE: u32 = 200;

/// Looks before giving up: some ten milliseconds. The owner was stopped.
const MAX_LOOKS: u32 = 20_000;

/// Why there is no claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoClaim {
    /// The store has no room for it.
    Full,
    /// Somebody else has it, and lives, but is not done.
    Busy,
}

impl From<Full> for NoClaim {
    fn from(_: Full) -> Self {
        NoClaim::Full
    }
}

/// Runs `work` while nobody else works on what `name` names.
pub fn with<R>(store: &dyn Store, name: &[u8], work: impl FnOnce() -> R) -> Result<R, NoClaim> {
    let turns = entry(b"T", &[name]);
    let (turn, reserved) = match take(store, name, &turns) {
        Err(NoClaim::Full) => {
            store.remove(&reserve_of(name));
            (take(store, name, &turns)?, true)
        }
        taken => (taken?, false),
    };
    let _turn = Turn {
        store,
        name,
        turns,
        turn,
        reserve: reserved || turn % RESERVE_TURNS == 0,
    };
    Ok(work())
}

/// A turn that ends with its owner's work, also by a panic.
struct Turn<'a> {
    store: &'a dyn Store,
    name: &'a [u8],
    turns: Vec<u8>,
    turn: u64,
    reserve: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        finish(self.store, self.name, &self.turns, self.turn);
        if self.reserve {
            let _ = self.store.add(&reserve_of(self.name), &[0; RESERVE_SIZE]);
        }
    }
}

/// Turns after which the reserve is seen to.
const RESERVE_TURNS: u64 = 16;

/// Bytes of an identity, whatever its numbers.
const IDENTITY_SIZE: usize = 32;

/// A claim has a number in its name, which the reserve has in its value.
const RESERVE_SIZE: usize = IDENTITY_SIZE + 12;

fn reserve_of(name: &[u8]) -> Vec<u8> {
    entry(b"R", &[name])
}

fn claim_of(name: &[u8], turn: u64) -> Vec<u8> {
    entry(b"C", &[name, &turn.to_le_bytes()])
}

/// Ends a turn; only its owner may, or who passes a dead one over.
fn finish(store: &dyn Store, name: &[u8], turns: &[u8], turn: u64) {
    store.increment(turns, 1.0);
    store.remove(&claim_of(name, turn));
}

/// Gives the turn that is the caller's now.
fn take(store: &dyn Store, name: &[u8], turns: &[u8]) -> Result<u64, NoClaim> {
    let me = identity();
    for look in 0..MAX_LOOKS {
        let turn = match store.number(turns) {
            Some(turn) => turn as u64,
            None => {
                store.add_number(turns, 0.0)?;
                0
            }
        };
        let claim = claim_of(name, turn);
        if store.add(&claim, &me)? {
            if store.number(turns) == Some(turn as f64) {
                return Ok(turn);
            }
            // The turn was over, and its claim removed.
            store.remove(&claim);
            continue;
        }
        if look < PATIENCE {
            std::hint::spin_loop();
            continue;
        }
        std::thread::yield_now();
        if look % PATIENCE == 0 {
            pass_over(store, name, turns, turn, &me)?;
        }
    }
    Err(NoClaim::Busy)
}

/// Ends the turn of an owner that died.
fn pass_over(
    store: &dyn Store,
    name: &[u8],
    turns: &[u8],
    turn: u64,
    me: &[u8],
) -> Result<(), Full> {
    if !is_of_dead(store, &claim_of(name, turn)) {
        return Ok(());
    }
    // One of those who wait does it; if that one dies, too, the next.
    for attempt in 0_u32.. {
        let parts: [&[u8]; 3] = [name, &turn.to_le_bytes(), &attempt.to_le_bytes()];
        let right = entry(b"P", &parts);
        if store.add(&right, me)? {
            if store.number(turns) == Some(turn as f64) {
                finish(store, name, turns, turn);
            }
            store.remove(&right);
            return Ok(());
        }
        if !is_of_dead(store, &right) {
            return Ok(());
        }
    }
    Ok(())
}

fn is_of_dead(store: &dyn Store, claim: &[u8]) -> bool {
    let mut owner = Vec::new();
    store.get(claim, &mut owner) && is_dead(&owner)
}

// -- processes -------------------------------------------------------------

thread_local! {
    /// The identity of this process, with its number: a fork has another.
    static IDENTITY: RefCell<(u32, Vec<u8>)> = const { RefCell::new((0, Vec::new())) };
}

/// Names this process among all that ever were: its number comes again, its
/// number together with its start does not.
fn identity() -> Vec<u8> {
    let pid = std::process::id();
    IDENTITY.with_borrow_mut(|(known, identity)| {
        if *known != pid {
            let started = stat(pid).map_or(String::new(), |(_, started)| started);
            let text = format!("{pid} {started} ");
            *identity = format!("{text:<IDENTITY_SIZE$}").into_bytes();
            *known = pid;
        }
        identity.clone()
    })
}

/// State and start of a process; `None` when it is not there.
fn stat(pid: u32) -> Option<(char, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything, but ends with the last parenthesis.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.to_owned()))
}

/// True only when it is certain.
fn is_dead(identity: &[u8]) -> bool {
    let text = String::from_utf8_lossy(identity);
    let mut parts = text.split_whitespace();
    let (Some(pid), Some(started)) = (parts.next(), parts.next()) else {
        return false;
    };
    let Ok(pid) = pid.parse() else {
        return false;
    };
    match stat(pid) {
        Some((state, now)) => matches!(state, 'Z' | 'X') || now != started,
        // Without a readable /proc nobody can be told dead.
        None => stat(std::process::id()).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::store::HeapStore;

    const TURNS: &[u8] = b"T\x01\0\0\0k";

    #[test]
    fn each_claim_is_a_turn_and_leaves_nothing_else() {
        let store = HeapStore::with_room(3);
        for turn in 0..100 {
            assert_eq!(store.number(TURNS).unwrap_or(0.0), f64::from(turn));
            assert_eq!(with(&store, b"k", || turn), Ok(turn));
        }
    }

    #[test]
    fn a_claim_of_the_dead_is_passed_over_also_when_who_did_it_died() {
        let dead = b"4194304999 1".as_slice();
        let store = HeapStore::default();
        assert_eq!(with(&store, b"k", || ()), Ok(()));
        assert_eq!(store.add(&claim_of(b"k", 1), dead), Ok(true));
        let right = entry(b"P", &[b"k", &1_u64.to_le_bytes(), &0_u32.to_le_bytes()]);
        assert_eq!(store.add(&right, b"1 0"), Ok(true));
        assert_eq!(with(&store, b"k", || 7), Ok(7));
    }

    #[test]
    fn a_claim_of_the_living_stands() {
        let store = HeapStore::default();
        assert_eq!(store.add(&claim_of(b"k", 0), &identity()), Ok(true));
        assert_eq!(with(&store, b"k", || ()), Err(NoClaim::Busy));
        assert_eq!(with(&store, b"other", || ()), Ok(()));
    }

    #[test]
    fn a_claim_on_a_turn_that_is_over_is_worth_nothing() {
        let store = HeapStore::default();
        assert_eq!(with(&store, b"k", || ()), Ok(()));
        // Left by one who was late, and died before it could look.
        assert_eq!(store.add(&claim_of(b"k", 0), b"1 0"), Ok(true));
        assert_eq!(with(&store, b"k", || 7), Ok(7));
    }

    #[test]
    fn this_process_lives_and_one_with_another_start_does_not() {
        assert!(!is_dead(&identity()));
        let pid = std::process::id();
        assert!(is_dead(format!("{pid} 1").as_bytes()));
        assert!(!is_dead(b"garbage"));
    }

    #[test]
    fn a_full_store_says_so() {
        let store = HeapStore::with_room(1);
        assert_eq!(with(&store, b"k", || ()), Err(NoClaim::Full));
    }
}
