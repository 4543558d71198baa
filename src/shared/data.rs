//! Shared data with compare-and-swap (spec: "Shared Key-Value Store"), with
//! Envoy's rule: a `cas` of 0 sets unconditionally.
//!
//! Every value is an entry of its own, made by `add` on one of a key's two
//! sides, and never changed: nginx changes an entry's bytes in place, and one
//! whose size changes it removes first, so a worker that is killed within that
//! would leave half a value or none. Which side holds, is in the number of the
//! key's turns (see [`claim`]), which is switched when the new value is there.
//!
//! The other side has an entry, too: what nobody reads, as large as the next
//! value is likely to be. In a full store its place is taken.

use std::rc::Rc;

use super::account::{Account, cost};
use super::claim::{self, Moment, Turn};
use super::{Error, entry};
use crate::abi::Status;
use crate::abi::limits::Limits;
use crate::host::store::Store;

pub struct Data {
    store: Rc<dyn Store>,
    scope: Vec<u8>,
    account: Rc<Account>,
    max_key: usize,
    max_value: usize,
}

impl Data {
    pub fn new(store: Rc<dyn Store>, scope: &[u8], account: Rc<Account>, limits: &Limits) -> Self {
        Data {
            store,
            scope: scope.to_vec(),
            account,
            max_key: limits.shared_key,
            max_value: limits.shared_value,
        }
    }

    fn name_of(&self, key: &[u8]) -> Vec<u8> {
        entry(b"d", &[&self.scope, key])
    }

    /// Appends the value and gives its `cas`, which is never 0.
    ///
    /// Errors: [`Status::NotFound`].
    pub fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<u32, Status> {
        let mut name = self.name_of(key);
        let turns = claim::turns_of(&name);
        let now = || claim::now(&*self.store, &turns).ok_or(Status::NotFound);
        let mut moment = now()?;
        // Each round but the last, somebody has set another value.
        loop {
            turn_to(&mut name, moment.side);
            let start = out.len();
            if let Some(value) = self.read(&name, out)
                && value.turn <= moment.turn
            {
                return Ok(value.version);
            }
            out.truncate(start);
            let later = now()?;
            if later == moment {
                return Err(Status::NotFound);
            }
            moment = later;
        }
    }

    /// Appends the value of an entry.
    fn read(&self, name: &[u8], out: &mut Vec<u8>) -> Option<Value> {
        let start = out.len();
        if !self.store.get(name, out) {
            return None;
        }
        let (rest, turn) = out.split_last_chunk::<8>()?;
        let (_, version) = rest.split_last_chunk::<4>()?;
        let (turn, version) = (u64::from_le_bytes(*turn), u32::from_le_bytes(*version));
        let len = (out.len() - start).checked_sub(TRAILER)?;
        // What belongs to it stands at the end: the value needs not be moved.
        out.truncate(start + len);
        Some(Value { len, version, turn })
    }

    /// Sets a value; `cas` 0 whatever is there, another only if it is still
    /// that version or there is none.
    ///
    /// Errors: [`Status::CasMismatch`]; [`Status::BadArgument`] for a key or a
    /// value over the limits; [`Status::InternalFailure`] when the store is
    /// full, or the scope's share of it; [`Error::Busy`]: what was there stays.
    pub fn set(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Error> {
        if key.len() > self.max_key || value.len() > self.max_value {
            return Err(Status::BadArgument.into());
        }
        let name = self.name_of(key);
        // Not even a claim is left of a key that finds no room.
        let room = room_of(&name, value.len());
        let is_known = || claim::now(&*self.store, &claim::turns_of(&name)).is_some();
        if !self.account.foresees(room) && !is_known() {
            return Err(self.account.refuse().into());
        }
        Ok(claim::with(&*self.store, &name, |turn| {
            self.replace(&name, value, cas, turn)
        })??)
    }

    fn replace(&self, name: &[u8], value: &[u8], cas: u32, turn: &Turn) -> Result<(), Status> {
        let Moment { turn: number, side } = turn.moment();
        let (mut here, mut there) = (name.to_vec(), name.to_vec());
        turn_to(&mut here, side);
        turn_to(&mut there, !side);
        let mut text = Vec::new();
        let old = self.read(&here, &mut text);
        let version = match &old {
            Some(old) if cas != 0 && cas != old.version => return Err(Status::CasMismatch),
            Some(old) => old.version.wrapping_add(1).max(1),
            None => 1,
        };
        let old = old.map(|old| old.len);
        self.sweep(name, &there, old);

        let before = old.map_or(0, |len| room_of(name, len));
        let after = room_of(name, value.len());
        let more = after.saturating_sub(before);
        if more > 0 {
            self.account.take(more)?;
        }
        self.store.remove(&there);
        if self.store.add(&there, &text_of(value, version, number)) != Ok(true) {
            if more > 0 {
                self.account.give(more);
            }
            self.keep_place(&there, old.map_or(0, place_beside));
            return Err(Status::InternalFailure);
        }
        turn.switch();

        // What was there keeps the place, if it is of the right size.
        let place = place_beside(value.len());
        if old != Some(place) {
            self.store.remove(&here);
            if before > after {
                self.account.give(before - after);
            }
            self.keep_place(&here, place);
        }
        Ok(())
    }

    /// Removes what a writer that died has left on the side where nobody looks,
    /// and settles its account: beside a value of `len` bytes, if there is one.
    ///
    /// It has died before it switched, and had taken bytes for what was to come;
    /// or after that, and had not yet given back those of what was there.
    fn sweep(&self, name: &[u8], there: &[u8], len: Option<usize>) {
        let left = self.read(there, &mut Vec::new());
        let Some(left) = left.filter(|left| len.map(place_beside) != Some(left.len)) else {
            return;
        };
        self.store.remove(there);
        let beside = len.map_or(0, |len| room_of(name, len));
        let taken = room_of(name, left.len).saturating_sub(beside);
        if taken > 0 {
            self.account.give(taken);
        }
    }

    fn keep_place(&self, name: &[u8], len: usize) {
        let nothing = [0; SMALL];
        // Where it finds no room, there is none for the next value either.
        let _ = self.store.add(name, &text_of(&nothing[..len], 0, NEVER));
    }
}

/// What belongs to a value.
struct Value {
    len: usize,
    version: u32,
    /// In which it was written. Later than that of which its side was read: the
    /// side has changed since.
    turn: u64,
}

/// Version and turn.
const TRAILER: usize = 4 + 8;

/// The turn of what is no value.
const NEVER: u64 = u64::MAX;

/// Bytes of a value beside which there is place for another one like it; beside
/// a larger one, for an empty one, so that it can be emptied.
const SMALL: usize = 32;

fn place_beside(len: usize) -> usize {
    if len <= SMALL { len } else { 0 }
}

fn turn_to(name: &mut [u8], side: bool) {
    name[0] = if side { b'e' } else { b'd' };
}

fn text_of(value: &[u8], version: u32, turn: u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.len() + TRAILER);
    text.extend_from_slice(value);
    text.extend_from_slice(&version.to_le_bytes());
    text.extend_from_slice(&turn.to_le_bytes());
    text
}

/// What a value takes, with the place beside it and what claims leave there.
fn room_of(name: &[u8], len: usize) -> usize {
    let entry = |len| cost(name.len(), len + TRAILER);
    entry(len) + entry(place_beside(len)) + claim::room_of(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::store::HeapStore;

    fn data(store: &Rc<HeapStore>, scope: &str) -> Data {
        let account = Account::new(store.clone(), scope.as_bytes(), None);
        let limits = Limits::default();
        Data::new(store.clone(), scope.as_bytes(), account.into(), &limits)
    }

    #[track_caller]
    fn check(data: &Data, key: &str, expected: Result<(&str, u32), Status>) {
        let mut value = Vec::new();
        let got = data.get(key.as_bytes(), &mut value);
        let got = got.map(|cas| (str::from_utf8(&value).expect("text"), cas));
        assert_eq!(got, expected);
    }

    #[test]
    fn envoys_rule_of_compare_and_swap() {
        let store = Rc::new(HeapStore::default());
        let data = data(&store, "a");
        check(&data, "k", Err(Status::NotFound));
        assert_eq!(data.set(b"k", b"one", 7), Ok(()));
        check(&data, "k", Ok(("one", 1)));
        assert_eq!(data.set(b"k", b"two", 0), Ok(()));
        check(&data, "k", Ok(("two", 2)));
        assert_eq!(data.set(b"k", b"no", 1), Err(Status::CasMismatch.into()));
        assert_eq!(data.set(b"k", b"three", 2), Ok(()));
        check(&data, "k", Ok(("three", 3)));
        assert_eq!(data.set(b"k", b"", 3), Ok(()));
        check(&data, "k", Ok(("", 4)));
    }

    #[test]
    fn a_key_in_the_middle_of_a_change_is_busy_and_can_be_read() {
        let store = Rc::new(HeapStore::default());
        let data = data(&store, "a");
        assert_eq!(data.set(b"k", b"one", 0), Ok(()));
        let name = entry(b"d", &[b"a", b"k"]);
        let held = claim::with(&*store, &name, |_| {
            assert_eq!(data.set(b"k", b"two", 0), Err(Error::Busy));
            assert_eq!(data.set(b"k", b"two", 1), Err(Error::Busy));
            check(&data, "k", Ok(("one", 1)));
        });
        assert_eq!(held, Ok(()));
        assert_eq!(data.set(b"k", b"two", 1), Ok(()));
    }

    #[test]
    fn scopes_and_keys_are_apart() {
        let store = Rc::new(HeapStore::default());
        assert_eq!(data(&store, "a").set(b"bc", b"1", 0), Ok(()));
        check(&data(&store, "ab"), "c", Err(Status::NotFound));
        check(&data(&store, "b"), "bc", Err(Status::NotFound));
        check(&data(&store, "a"), "bc", Ok(("1", 1)));
    }

    #[test]
    fn a_key_needs_no_more_room_for_a_new_value() {
        let store = Rc::new(HeapStore::with_room(5));
        let data = data(&store, "a");
        for round in 1..=1000_u32 {
            let value = round.to_string();
            assert_eq!(data.set(b"k", value.as_bytes(), 0), Ok(()));
            check(&data, "k", Ok((&value, round)));
        }
    }

    #[test]
    fn a_full_store_keeps_what_it_has() {
        let store = Rc::new(HeapStore::with_room(5));
        let data = data(&store, "a");
        assert_eq!(data.set(b"k", b"kept", 0), Ok(()));
        assert_eq!(
            data.set(b"l", b"other", 0),
            Err(Status::InternalFailure.into())
        );
        check(&data, "k", Ok(("kept", 1)));
        assert_eq!(data.set(b"k", b"more", 1), Ok(()));
    }

    #[test]
    fn a_value_that_finds_no_room_stays_and_can_be_emptied() {
        let store = Rc::new(HeapStore::default());
        let data = data(&store, "a");
        assert_eq!(data.set(b"k", b"first", 0), Ok(()));
        assert_eq!(data.set(b"k", &[b'k'; 100], 0), Ok(()));
        let (used, taken) = (store.used(), data.account.taken());
        store.refuse_over(100);
        let refused = Err(Status::InternalFailure.into());
        assert_eq!(data.set(b"k", &[b'l'; 200], 0), refused);
        assert_eq!(data.set(b"k", &[b'm'; 100], 0), refused);
        check(&data, "k", Ok((&"k".repeat(100), 2)));
        assert_eq!((store.used(), data.account.taken()), (used, taken));
        assert_eq!(data.set(b"k", b"", 2), Ok(()));
        check(&data, "k", Ok(("", 3)));
        assert!(store.used() < used && data.account.taken() < taken);
    }

    #[test]
    fn the_account_is_what_the_values_take() {
        let store = Rc::new(HeapStore::default());
        let data = data(&store, "a");
        let name = data.name_of(b"k");
        for len in [0, 5, 5, 32, 33, 5000, 5001, 100_000, 0, 100_000, 7] {
            assert_eq!(data.set(b"k", &vec![b'x'; len], 0), Ok(()));
            assert_eq!(data.account.taken(), room_of(&name, len) as f64, "{len}");
        }
    }

    /// What a reader does that was stopped between its two steps, as it was
    /// read: the side of this moment, and then an entry.
    #[test]
    fn what_is_not_set_yet_is_not_read() {
        let store = Rc::new(HeapStore::default());
        let data = data(&store, "a");
        assert_eq!(data.set(b"k", b"one", 0), Ok(()));
        let mut there = data.name_of(b"k");
        let turns = claim::turns_of(&there);
        let moment = claim::now(&*store, &turns).expect("there");
        // A value of a later turn on the side that is read: as when it was read
        // for another that lay there.
        turn_to(&mut there, moment.side);
        store.remove(&there);
        let text = text_of(b"later", 9, moment.turn + 1);
        assert_eq!(store.add(&there, &text), Ok(true));
        check(&data, "k", Err(Status::NotFound));
    }

    #[test]
    fn a_scope_takes_its_share_and_no_more() {
        let store = Rc::new(HeapStore::default());
        let limits = Limits::default();
        let account = Rc::new(Account::new(store.clone(), b"a", Some(100_000)));
        let data = Data::new(store.clone(), b"a", account, &limits);
        let value = [b'x'; 1000];
        let mut keys = 0_u32;
        while data.set(&keys.to_le_bytes(), &value, 0).is_ok() {
            keys += 1;
        }
        assert!((40..50).contains(&keys), "{keys}");
        let used = store.used();
        // New keys leave nothing behind, however long; old ones may change, and
        // be smaller.
        for key in keys..keys + 1000 {
            let key = [&key.to_le_bytes()[..], &[b'k'; 10_000]].concat();
            assert_eq!(
                data.set(&key, &value, 0),
                Err(Status::InternalFailure.into())
            );
        }
        assert_eq!(store.used(), used);
        assert_eq!(data.set(&0_u32.to_le_bytes(), &[b'y'; 1000], 0), Ok(()));
        let large = [b'y'; 3000];
        let refused = data.set(&0_u32.to_le_bytes(), &large, 0);
        assert_eq!(refused, Err(Status::InternalFailure.into()));
        for key in 0..10_u32 {
            assert_eq!(data.set(&key.to_le_bytes(), b"", 0), Ok(()));
        }
        assert_eq!(data.set(&keys.to_le_bytes(), &value, 0), Ok(()));
        // Another scope has its own.
        let other = self::data(&store, "b");
        assert_eq!(other.set(b"k", &value, 0), Ok(()));
    }
}
