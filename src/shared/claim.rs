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
//! Beside the turn, its number says on which of two sides the state of the name
//! lies. The owner writes the other side, where nobody looks, and then switches:
//! that is a change of one number, which is done or not.
//!
//! Beside each name lies an entry of a claim's size that means nothing: in a
//! full store a claim takes its place, so that a full queue can be emptied.
//! One more such entry is there for passing over.

use std::cell::{Cell, RefCell};
use std::fs;
use std::hash::{DefaultHasher, Hasher};

use super::account::cost;
use super::{Error, entry};
use crate::abi::Status;
use crate::abi::limits::MAX_CLAIM_LOOKS;
use crate::host::store::{Full, Store};

/// Looks at a claim of another worker before its owner is asked for: a claim
/// is held for some microseconds.
pub(super) const PATIENCE: u32 = 200;

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

impl From<NoClaim> for Error {
    fn from(why: NoClaim) -> Self {
        match why {
            NoClaim::Full => Error::Status(Status::InternalFailure),
            NoClaim::Busy => Error::Busy,
        }
    }
}

/// Where a name stands: how many turns are over, and the side on which its state
/// lies. No two moments between which something changed are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub turn: u64,
    pub side: bool,
}

impl Moment {
    fn of(number: f64) -> Self {
        let number = number as u64;
        Moment {
            turn: number / 2,
            side: number % 2 == 1,
        }
    }
}

/// The entry that [`now`] reads.
pub fn turns_of(name: &[u8]) -> Vec<u8> {
    entry(b"T", &[name])
}

/// Where a name stands; `None` when there was never a claim on it. `turns`: see
/// [`turns_of`].
pub fn now(store: &dyn Store, turns: &[u8]) -> Option<Moment> {
    store.number(turns).map(Moment::of)
}

/// Runs `work` while nobody else works on what `name` names.
pub fn with<R>(
    store: &dyn Store,
    name: &[u8],
    work: impl FnOnce(&Turn) -> R,
) -> Result<R, NoClaim> {
    let turns = turns_of(name);
    let (moment, reserved) = match take(store, name, &turns) {
        Err(NoClaim::Full) => {
            make_room(store, name, &turns);
            (take(store, name, &turns)?, true)
        }
        taken => (taken?, false),
    };
    let turn = Turn {
        store,
        name,
        turns,
        moment,
        reserve: Cell::new(reserved || moment.turn.is_multiple_of(RESERVE_TURNS)),
    };
    Ok(work(&turn))
}

/// A turn that ends with its owner's work, also by a panic.
pub struct Turn<'a> {
    store: &'a dyn Store,
    name: &'a [u8],
    turns: Vec<u8>,
    moment: Moment,
    reserve: Cell<bool>,
}

impl Turn<'_> {
    /// Where the name stood when the turn began.
    pub fn moment(&self) -> Moment {
        self.moment
    }

    /// From now on the state lies on the other side. Once in a turn.
    pub fn switch(&self) {
        let step = if self.moment.side { -1.0 } else { 1.0 };
        self.store.increment(&self.turns, step);
    }

    /// Gives up what lies there for claims, for something that must find room.
    pub fn give_up_reserve(&self) {
        self.store.remove(&reserve_of(self.name));
        self.reserve.set(true);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        finish(self.store, self.name, &self.turns, self.moment.turn);
        if self.reserve.get() {
            let _ = self.store.add(&reserve_of(self.name), &[0; RESERVE_SIZE]);
            let _ = self.store.add(SPARE, &[0; SPARE_SIZE]);
        }
    }
}

/// Turns after which the reserve is seen to.
const RESERVE_TURNS: u64 = 16;

/// Bytes of an identity, whatever its numbers.
const IDENTITY_SIZE: usize = 32;

/// A claim has a number in its name, which the reserve has in its value.
const RESERVE_SIZE: usize = IDENTITY_SIZE + 12;

/// The place of a right to pass over, for all names: these are all of one
/// size.
const SPARE: &[u8] = b"S";

/// Its own name and this are as much as the name of a right and an identity.
const SPARE_SIZE: usize = 32 + IDENTITY_SIZE;

fn reserve_of(name: &[u8]) -> Vec<u8> {
    entry(b"R", &[name])
}

/// The right to pass over the owner of a turn. Names that have one digest are
/// in each other's way, and no more: who has the right looks at the turn.
fn right_of(name: &[u8], turn: u64, attempt: u32) -> Vec<u8> {
    let mut digest = DefaultHasher::new();
    digest.write(name);
    let digest = digest.finish().to_le_bytes();
    entry(
        b"P",
        &[&digest, &turn.to_le_bytes(), &attempt.to_le_bytes()],
    )
}

/// Gives up what lies there for a claim in a full store.
fn make_room(store: &dyn Store, name: &[u8], turns: &[u8]) {
    store.remove(&reserve_of(name));
    // It may have died when its turn was over and its claim not yet gone.
    if let Some(now) = now(store, turns)
        && now.turn >= 1
    {
        store.remove(&claim_of(name, now.turn - 1));
    }
}

/// What a name's turns and its reserve take of the store.
pub fn room_of(name: &[u8]) -> usize {
    let name = reserve_of(name).len();
    cost(name, size_of::<f64>()) + cost(name, RESERVE_SIZE)
}

fn claim_of(name: &[u8], turn: u64) -> Vec<u8> {
    entry(b"C", &[name, &turn.to_le_bytes()])
}

/// Ends a turn; only its owner may, or who passes a dead one over.
fn finish(store: &dyn Store, name: &[u8], turns: &[u8], turn: u64) {
    store.increment(turns, 2.0);
    store.remove(&claim_of(name, turn));
}

/// Gives the turn that is the caller's now.
fn take(store: &dyn Store, name: &[u8], turns: &[u8]) -> Result<Moment, NoClaim> {
    let me = identity();
    for look in 0..MAX_CLAIM_LOOKS {
        let turn = match now(store, turns) {
            Some(now) => now.turn,
            None => {
                store.add_number(turns, 0.0)?;
                0
            }
        };
        let claim = claim_of(name, turn);
        if store.add(&claim, &me)? {
            if let Some(now) = now(store, turns)
                && now.turn == turn
            {
                return Ok(now);
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
        let right = right_of(name, turn, attempt);
        let is_mine = store.add(&right, me).or_else(|_| {
            store.remove(SPARE);
            store.add(&right, me)
        });
        if is_mine? {
            if now(store, turns).is_some_and(|now| now.turn == turn) {
                finish(store, name, turns, turn);
            }
            store.remove(&right);
            let _ = store.add(SPARE, &[0; SPARE_SIZE]);
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

/// For tests: from now on this thread is a process of this identity, or itself.
#[cfg(test)]
pub fn pretend(other: Option<&str>) {
    IDENTITY.set((0, Vec::new()));
    if let Some(other) = other {
        let other = format!("{other:<IDENTITY_SIZE$}").into_bytes();
        IDENTITY.set((std::process::id(), other));
    }
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
            assert_eq!(store.number(TURNS).unwrap_or(0.0), f64::from(2 * turn));
            assert_eq!(with(&store, b"k", |_| turn), Ok(turn));
        }
    }

    #[test]
    fn a_side_stays_until_it_is_switched() {
        let store = HeapStore::default();
        let turns = turns_of(b"k");
        assert_eq!(now(&store, &turns), None);
        for turn in 0..10 {
            let switches = turn % 3 == 0;
            let before = with(&store, b"k", |turn| {
                if switches {
                    turn.switch();
                    let switched = now(&store, &turns).expect("there");
                    assert_eq!(switched.turn, turn.moment().turn);
                    assert_ne!(switched.side, turn.moment().side);
                }
                turn.moment()
            });
            let before = before.expect("nobody else");
            assert_eq!(before.turn, turn);
            let after = now(&store, &turns).expect("there");
            assert_eq!(after.turn, turn + 1);
            assert_eq!(after.side != before.side, switches);
        }
    }

    #[test]
    fn a_claim_of_the_dead_is_passed_over_also_when_who_did_it_died() {
        let dead = b"4194304999 1".as_slice();
        let store = HeapStore::default();
        assert_eq!(with(&store, b"k", |_| ()), Ok(()));
        assert_eq!(store.add(&claim_of(b"k", 1), dead), Ok(true));
        assert_eq!(store.add(&right_of(b"k", 1, 0), b"1 0"), Ok(true));
        assert_eq!(with(&store, b"k", |_| 7), Ok(7));
    }

    #[test]
    fn a_claim_of_the_living_stands() {
        let store = HeapStore::default();
        assert_eq!(store.add(&claim_of(b"k", 0), &identity()), Ok(true));
        assert_eq!(with(&store, b"k", |_| ()), Err(NoClaim::Busy));
        assert_eq!(with(&store, b"other", |_| ()), Ok(()));
    }

    #[test]
    fn a_claim_on_a_turn_that_is_over_is_worth_nothing() {
        let store = HeapStore::default();
        assert_eq!(with(&store, b"k", |_| ()), Ok(()));
        // Left by one who was late, and died before it could look.
        assert_eq!(store.add(&claim_of(b"k", 0), b"1 0"), Ok(true));
        assert_eq!(with(&store, b"k", |_| 7), Ok(7));
    }

    #[test]
    fn this_process_lives_and_one_with_another_start_does_not() {
        assert!(!is_dead(&identity()));
        let pid = std::process::id();
        assert!(is_dead(format!("{pid} 1").as_bytes()));
        assert!(!is_dead(b"garbage"));
    }

    #[test]
    fn a_spare_place_is_as_large_as_a_right() {
        let right = right_of(b"a long name", 7, 1);
        let size = right.len() + identity().len();
        assert_eq!(SPARE.len() + SPARE_SIZE, size);
        assert_eq!(identity().len(), IDENTITY_SIZE);
    }

    #[test]
    fn a_full_store_says_so() {
        let store = HeapStore::with_room(1);
        assert_eq!(with(&store, b"k", |_| ()), Err(NoClaim::Full));
    }
}
