//! Shared data with compare-and-swap (spec: "Shared Key-Value Store"), with
//! Envoy's rule: a `cas` of 0 sets unconditionally.
//!
//! A value and its version are one entry, read in one step. Writers take a
//! claim on the key; one that dies has written all of it or nothing.

use std::rc::Rc;

use super::claim::{self, NoClaim};
use super::entry;
use crate::abi::Status;
use crate::abi::limits::{MAX_SHARED_KEY, MAX_SHARED_VALUE};
use crate::host::store::Store;

pub struct Data {
    store: Rc<dyn Store>,
    scope: Vec<u8>,
}

impl Data {
    pub fn new(store: Rc<dyn Store>, scope: &[u8]) -> Self {
        Data {
            store,
            scope: scope.to_vec(),
        }
    }

    /// Appends the value and gives its `cas`, which is never 0.
    ///
    /// Errors: [`Status::NotFound`].
    pub fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<u32, Status> {
        self.read(&entry(b"d", &[&self.scope, key]), out)
    }

    fn read(&self, name: &[u8], out: &mut Vec<u8>) -> Result<u32, Status> {
        let start = out.len();
        if !self.store.get(name, out) || out.len() < start + 4 {
            out.truncate(start);
            return Err(Status::NotFound);
        }
        // The version stands at the end: the value needs not be moved.
        let end = out.len() - 4;
        let version = out[end..].try_into().map_or(1, u32::from_le_bytes);
        out.truncate(end);
        Ok(version)
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
        let name = entry(b"d", &[&self.scope, key]);
        let set = claim::with(&*self.store, &name, || self.replace(&name, value, cas));
        set.unwrap_or_else(|why| {
            Err(match why {
                // Somebody else is at it: to be tried again.
                NoClaim::Busy if cas != 0 => Status::CasMismatch,
                NoClaim::Busy | NoClaim::Full => Status::InternalFailure,
            })
        })
    }

    fn replace(&self, name: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let mut old = Vec::new();
        let version = match self.read(name, &mut old) {
            Ok(version) if cas != 0 && cas != version => return Err(Status::CasMismatch),
            Ok(version) => version.wrapping_add(1).max(1),
            Err(_) => 1,
        };
        let mut text = Vec::with_capacity(value.len() + 4);
        text.extend_from_slice(value);
        text.extend_from_slice(&version.to_le_bytes());
        self.store
            .set(name, &text)
            .map_err(|_| Status::InternalFailure)
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
    fn a_key_needs_no_more_room_for_a_new_value() {
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
        let store = Rc::new(HeapStore::with_room(4));
        let data = data(&store, "a");
        assert_eq!(data.set(b"k", b"kept", 0), Ok(()));
        assert_eq!(data.set(b"l", b"other", 0), Err(Status::InternalFailure));
        check(&data, "k", Ok(("kept", 1)));
        assert_eq!(data.set(b"k", b"more", 1), Ok(()));
    }
}
