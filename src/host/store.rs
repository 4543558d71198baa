#![forbid(unsafe_code)]
//! Where shared state lies: entries by name, each changed in one atomic step.
//! Nothing here is ever evicted: a store that is full says so.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::abi::limits::MAX_HEAP_STORE;

/// The store has no room for the entry; what was there stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Each function is one atomic step among all processes that share the store,
/// also if one is killed in it. So there is none that changes the bytes of an
/// entry: in a dict a kill would leave half of them, or none.
pub trait Store {
    /// Makes an entry. False: there is one of this name.
    fn add(&self, name: &[u8], value: &[u8]) -> Result<bool, Full>;

    /// Appends the value of an entry. False: there is none.
    fn get(&self, name: &[u8], value: &mut Vec<u8>) -> bool;

    fn remove(&self, name: &[u8]);

    /// Makes a number. False: there is an entry of this name.
    fn add_number(&self, name: &[u8], number: f64) -> Result<bool, Full>;

    fn set_number(&self, name: &[u8], number: f64) -> Result<(), Full>;

    fn number(&self, name: &[u8]) -> Option<f64>;

    /// Adds to a number and gives the sum; `None` when there is none.
    fn increment(&self, name: &[u8], by: f64) -> Option<f64>;

    /// Bytes of all of it; `None` where nobody knows.
    fn capacity(&self) -> Option<usize> {
        None
    }
}

enum Entry {
    Bytes(Vec<u8>),
    Number(f64),
}

impl Entry {
    fn size(&self) -> usize {
        match self {
            Entry::Bytes(bytes) => bytes.len(),
            Entry::Number(_) => size_of::<f64>(),
        }
    }
}

/// What an entry takes beside its name and its value.
const ENTRY_COST: usize = 64;

/// A store of this process alone.
#[derive(Default)]
pub struct HeapStore {
    entries: RefCell<HashMap<Vec<u8>, Entry>>,
    /// Bytes that all entries take.
    used: Cell<usize>,
    /// For tests: entries that it may have, or 0 for any number.
    room: Cell<usize>,
    /// For tests: bytes of the largest value that finds room, or 0 for any.
    largest: Cell<usize>,
    /// Called by the first who uses it.
    first_use: Cell<Option<Box<dyn FnOnce()>>>,
}

impl HeapStore {
    /// A store that has `tell` called before anything is done with it.
    pub fn telling(tell: impl FnOnce() + 'static) -> Self {
        HeapStore {
            first_use: Cell::new(Some(Box::new(tell))),
            ..HeapStore::default()
        }
    }

    fn entries(&self) -> &RefCell<HashMap<Vec<u8>, Entry>> {
        if let Some(tell) = self.first_use.take() {
            tell();
        }
        &self.entries
    }

    /// A store that is full with this number of entries.
    pub fn with_room(entries: usize) -> Self {
        HeapStore {
            room: Cell::new(entries),
            ..HeapStore::default()
        }
    }

    /// Has room for this number of entries from now on, 0: for any.
    #[cfg(test)]
    pub fn set_room(&self, entries: usize) {
        self.room.set(entries);
    }

    /// Has no room for another entry from now on.
    #[cfg(test)]
    pub fn fill(&self) {
        self.room.set(self.entries.borrow().len());
    }

    /// Has no room for a larger value from now on.
    #[cfg(test)]
    pub fn refuse_over(&self, bytes: usize) {
        self.largest.set(bytes);
    }

    #[cfg(test)]
    pub fn is_limited(&self) -> bool {
        self.room.get() > 0
    }

    #[cfg(test)]
    pub fn used(&self) -> usize {
        self.used.get()
    }

    fn put(&self, name: &[u8], entry: Entry, replace: bool) -> Result<bool, Full> {
        let mut entries = self.entries().borrow_mut();
        let known = entries.contains_key(name);
        if known && !replace {
            return Ok(false);
        }
        let room = self.room.get();
        if !known && room > 0 && entries.len() >= room {
            return Err(Full);
        }
        if self.largest.get() > 0 && entry.size() > self.largest.get() {
            return Err(Full);
        }
        let old = entries.get(name).map_or(0, |old| size(name, old));
        let used = self.used.get() - old + size(name, &entry);
        if used > MAX_HEAP_STORE {
            return Err(Full);
        }
        self.used.set(used);
        entries.insert(name.to_vec(), entry);
        Ok(true)
    }
}

fn size(name: &[u8], entry: &Entry) -> usize {
    ENTRY_COST + name.len() + entry.size()
}

impl Store for HeapStore {
    fn add(&self, name: &[u8], value: &[u8]) -> Result<bool, Full> {
        self.put(name, Entry::Bytes(value.to_vec()), false)
    }

    fn get(&self, name: &[u8], value: &mut Vec<u8>) -> bool {
        match self.entries().borrow().get(name) {
            Some(Entry::Bytes(bytes)) => {
                value.extend_from_slice(bytes);
                true
            }
            _ => false,
        }
    }

    fn remove(&self, name: &[u8]) {
        if let Some(old) = self.entries().borrow_mut().remove(name) {
            self.used.set(self.used.get() - size(name, &old));
        }
    }

    fn add_number(&self, name: &[u8], number: f64) -> Result<bool, Full> {
        self.put(name, Entry::Number(number), false)
    }

    fn set_number(&self, name: &[u8], number: f64) -> Result<(), Full> {
        self.put(name, Entry::Number(number), true).map(drop)
    }

    fn number(&self, name: &[u8]) -> Option<f64> {
        match self.entries().borrow().get(name) {
            Some(Entry::Number(number)) => Some(*number),
            _ => None,
        }
    }

    fn increment(&self, name: &[u8], by: f64) -> Option<f64> {
        match self.entries().borrow_mut().get_mut(name) {
            Some(Entry::Number(number)) => {
                *number += by;
                Some(*number)
            }
            _ => None,
        }
    }

    fn capacity(&self) -> Option<usize> {
        Some(MAX_HEAP_STORE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_is_full_at_its_limit_and_has_room_for_what_was_removed() {
        let store = HeapStore::default();
        let half = vec![b'x'; MAX_HEAP_STORE / 2];
        assert_eq!(store.add(b"a", &half), Ok(true));
        assert_eq!(store.add(b"b", &half), Err(Full));
        assert_eq!(store.add(b"a", b""), Ok(false));
        assert_eq!(store.add_number(b"n", 1.0), Ok(true));
        // Replacing takes no more.
        assert_eq!(store.set_number(b"n", 2.0), Ok(()));
        assert_eq!(store.add(b"b", &half[..1000]), Ok(true));

        store.remove(b"a");
        store.remove(b"a");
        store.remove(b"b");
        assert_eq!(store.add(b"b", &half), Ok(true));
        assert_eq!(store.add(b"a", &half), Err(Full));
        store.remove(b"b");
        assert_eq!(store.add(b"a", &half), Ok(true));
    }
}
