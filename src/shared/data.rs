//! Shared data with compare-and-swap (spec: "Shared Key-Value Store"), with
//! Envoy's rule: a `cas` of 0 sets unconditionally.
//!
//! A value at version n is an entry of its own, made by `add`: whoever adds
//! version n + 1 has won. `done` counts finished updates and is only ever
//! counted up, so it is never above the current version; from it on, every
//! version is there. Readers walk up from it. A worker that dies between the
//! steps leaves `done` one short and an old version behind: nothing wrong.

use std::rc::Rc;

use super::{count, entry};
use crate::abi::Status;
use crate::abi::limits::{MAX_SHARED_KEY, MAX_SHARED_VALUE};
use crate::host::store::Store;

/// Retries of a reader that other workers overtake again and again.
const MAX_RETRIES: u32 = 10_000;

pub struct Data {
    store: Rc<dyn Store>,
    scope: Vec<u8>,
}

/// Where the updates of one key are.
struct Key<'a> {
    scope: &'a [u8],
    key: &'a [u8],
}

impl Key<'_> {
    fn done(&self) -> Vec<u8> {
        entry(b"d", &[self.scope, self.key])
    }

    fn version(&self, number: u64) -> Vec<u8> {
        entry(b"v", &[self.scope, self.key, &number.to_le_bytes()])
    }
}

impl Data {
    pub fn new(store: Rc<dyn Store>, scope: &[u8]) -> Self {
        Data {
            store,
            scope: scope.to_vec(),
        }
    }

    fn key<'a>(&'a self, key: &'a [u8]) -> Key<'a> {
        Key {
            scope: &self.scope,
            key,
        }
    }

    /// Puts the current value into `value`, which is emptied first. Gives its
    /// version, 0 when there is none.
    fn current(&self, key: &Key, value: &mut Vec<u8>) -> Result<u64, Status> {
        let done_name = key.done();
        for _ in 0..MAX_RETRIES {
            let done = self.store.number(&done_name).unwrap_or(0.0) as u64;
            let mut version = done;
            value.clear();
            let mut found = done > 0 && self.store.get(&key.version(done), value);
            if done == 0 || found {
                let mut next = Vec::new();
                while self.store.get(&key.version(version + 1), &mut next) {
                    version += 1;
                    found = true;
                    std::mem::swap(value, &mut next);
                    next.clear();
                }
                return Ok(if found { version } else { 0 });
            }
            // The version was swept meanwhile: `done` is higher by now.
        }
        Err(Status::InternalFailure)
    }

    /// Appends the value and gives its `cas`.
    ///
    /// Errors: [`Status::NotFound`].
    pub fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<u32, Status> {
        let mut value = Vec::new();
        match self.current(&self.key(key), &mut value)? {
            0 => Err(Status::NotFound),
            version => {
                out.extend_from_slice(&value);
                Ok(version as u32)
            }
        }
    }

    /// Sets a value; `cas` 0 whatever is there, another only if it is still
    /// that version or there is none.
    ///
    /// Errors: [`Status::CasMismatch`]; [`Status::BadArgument`] for a key or a
    /// value over the limits; [`Status::InternalFailure`] when the store is
    /// full: what was there stays.
    pub fn set(&self, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        if key.len() > MAX_SHARED_KEY || value.len() > MAX_SHARED_VALUE {
            return Err(Status::BadArgument);
        }
        let key = self.key(key);
        let mut old = Vec::new();
        for _ in 0..MAX_RETRIES {
            let current = self.current(&key, &mut old)?;
            if cas != 0 && current != 0 && cas != current as u32 {
                return Err(Status::CasMismatch);
            }
            let added = self
                .store
                .add(&key.version(current + 1), value)
                .map_err(|_| Status::InternalFailure)?;
            if added {
                self.sweep(&key);
                return Ok(());
            }
            if cas != 0 {
                return Err(Status::CasMismatch);
            }
        }
        Err(Status::InternalFailure)
    }

    /// Counts a finished update and removes what it made old; twice, in case
    /// the worker before died here.
    fn sweep(&self, key: &Key) {
        // Without room for the count, readers walk further: nothing is lost.
        let Ok(done) = count(&*self.store, &key.done()) else {
            return;
        };
        for old in 1..=2 {
            if let Some(version) = (done as u64)
                .checked_sub(old)
                .filter(|version| *version > 0)
            {
                self.store.remove(&key.version(version));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::store::HeapStore;

    fn data(store: &Rc<HeapStore>, scope: &str) -> Data {
        Data::new(store.clone(), scope.as_bytes())
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
        assert_eq!(data.set(b"k", b"no", 1), Err(Status::CasMismatch));
        assert_eq!(data.set(b"k", b"three", 2), Ok(()));
        check(&data, "k", Ok(("three", 3)));
        assert_eq!(data.set(b"k", b"", 3), Ok(()));
        check(&data, "k", Ok(("", 4)));
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
    fn old_versions_do_not_pile_up() {
        let store = Rc::new(HeapStore::with_room(4));
        let data = data(&store, "a");
        for round in 1..=1000_u32 {
            let value = round.to_string();
            assert_eq!(data.set(b"k", value.as_bytes(), 0), Ok(()));
            check(&data, "k", Ok((&value, round)));
        }
    }

    #[test]
    fn a_full_store_keeps_what_it_has() {
        let store = Rc::new(HeapStore::with_room(2));
        let data = data(&store, "a");
        assert_eq!(data.set(b"k", b"kept", 0), Ok(()));
        assert_eq!(data.set(b"k", b"more", 0), Err(Status::InternalFailure));
        assert_eq!(data.set(b"l", b"other", 0), Err(Status::InternalFailure));
        check(&data, "k", Ok(("kept", 1)));
    }

    /// What a worker leaves that is killed between two steps.
    #[test]
    fn a_crash_between_the_steps_harms_nobody() {
        let store = Rc::new(HeapStore::default());
        let data = data(&store, "a");
        assert_eq!(data.set(b"k", b"one", 0), Ok(()));
        // Added, not counted.
        assert_eq!(store.add(&data.key(b"k").version(2), b"two"), Ok(true));
        check(&data, "k", Ok(("two", 2)));
        assert_eq!(data.set(b"k", b"three", 2), Ok(()));
        check(&data, "k", Ok(("three", 3)));
        for round in 4..20_u32 {
            assert_eq!(data.set(b"k", b"x", round - 1), Ok(()));
            check(&data, "k", Ok(("x", round)));
        }
    }
}
