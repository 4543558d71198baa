//! What one scope may take of the store, so that no plugin fills it for all
//! others: bytes, as they are estimated, in one number that all workers count.
//!
//! What is to be stored is counted before, and what is removed after that. So a
//! worker that dies between the two leaves as much counted as it was about to
//! store, or had removed: never less than there is.

use std::cell::Cell;
use std::rc::Rc;

use super::entry;
use crate::abi::Status;
use crate::host::store::Store;

/// What an entry takes beside its name and its value.
const ENTRY: usize = 64;

/// Memory comes in powers of two up to half a page, and then in pages.
const PAGE: usize = 4096;

/// Part of what is left that a worker does not look again for.
const CREDIT: f64 = 64.0;

pub struct Account {
    store: Rc<dyn Store>,
    name: Vec<u8>,
    limit: f64,
    /// Bytes that are foreseen without a look at what is left.
    credit: Cell<usize>,
    /// Something was refused, and nobody was told yet; of all accounts that a
    /// plugin uses.
    refused: Rc<Cell<bool>>,
}

/// What an entry takes of the store, about.
pub fn cost(name: usize, value: usize) -> usize {
    let bytes = ENTRY + name + value;
    match bytes <= PAGE / 2 {
        true => bytes.next_power_of_two(),
        false => bytes.next_multiple_of(PAGE),
    }
}

impl Account {
    /// `limit`: half of the store, where the operator says nothing.
    pub fn new(store: Rc<dyn Store>, scope: &[u8], limit: Option<usize>) -> Self {
        let half = || store.capacity().map(|capacity| capacity / 2);
        let limit = limit.or_else(half);
        Account {
            name: entry(b"B", &[scope]),
            limit: limit.map_or(f64::INFINITY, |bytes| bytes as f64),
            credit: Cell::new(0),
            refused: Rc::default(),
            store,
        }
    }

    /// That of another scope, under the same limit.
    pub fn of(&self, scope: &[u8]) -> Self {
        Account {
            store: self.store.clone(),
            name: entry(b"B", &[scope]),
            limit: self.limit,
            credit: Cell::new(0),
            refused: self.refused.clone(),
        }
    }

    /// Bytes that the scope may take.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// True once after something was refused: the store itself may have room.
    pub fn has_refused(&self) -> bool {
        self.refused.take()
    }

    /// Whether so many bytes can be taken, about: for what comes before.
    pub fn foresees(&self, bytes: usize) -> bool {
        let credit = self.credit.get();
        if bytes <= credit {
            self.credit.set(credit - bytes);
            return true;
        }
        let left = self.limit - self.store.number(&self.name).unwrap_or(0.0);
        self.credit.set((left / CREDIT) as usize);
        bytes as f64 <= left
    }

    /// Errors: [`Status::InternalFailure`].
    pub fn refuse(&self) -> Status {
        self.refused.set(true);
        Status::InternalFailure
    }

    /// Bytes that the scope has taken.
    #[cfg(test)]
    pub fn taken(&self) -> f64 {
        self.store.number(&self.name).unwrap_or(0.0)
    }

    /// Takes bytes.
    ///
    /// Errors: [`Status::InternalFailure`] when they are not left, or the store
    /// is full.
    pub fn take(&self, bytes: usize) -> Result<(), Status> {
        let taken = self.count(bytes as f64)?;
        if taken <= self.limit {
            return Ok(());
        }
        self.give(bytes);
        Err(self.refuse())
    }

    /// Takes bytes again that were given a moment ago, whatever is left.
    pub fn retake(&self, bytes: usize) {
        let _ = self.count(bytes as f64);
    }

    pub fn give(&self, bytes: usize) {
        // It is there: something was taken.
        let _ = self.count(-(bytes as f64));
    }

    /// What took `before` bytes takes `after`.
    ///
    /// Errors: as [`Account::take`].
    pub fn change(&self, before: usize, after: usize) -> Result<(), Status> {
        match after.checked_sub(before) {
            Some(0) => Ok(()),
            Some(more) => self.take(more),
            None => {
                self.give(before - after);
                Ok(())
            }
        }
    }

    fn count(&self, by: f64) -> Result<f64, Status> {
        if let Some(taken) = self.store.increment(&self.name, by) {
            return Ok(taken);
        }
        let full = Status::InternalFailure;
        self.store.add_number(&self.name, 0.0).map_err(|_| full)?;
        self.store.increment(&self.name, by).ok_or(full)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{Account, cost};
    use crate::abi::Status;
    use crate::host::store::HeapStore;

    const REFUSED: Result<(), Status> = Err(Status::InternalFailure);

    #[test]
    fn an_entry_costs_what_nginx_takes_for_it() {
        assert_eq!(cost(0, 0), 64);
        assert_eq!(cost(30, 34), 128);
        assert_eq!(cost(30, 35), 256);
        assert_eq!(cost(984, 1000), 2048);
        assert_eq!(cost(985, 1000), 4096);
        assert_eq!(cost(0, 5000), 8192);
    }

    #[test]
    fn workers_count_together_each_scope_for_itself() {
        let store = Rc::new(HeapStore::default());
        let account = |scope: &[u8]| Account::new(store.clone(), scope, Some(100));
        let (one, same, other) = (account(b"a"), account(b"a"), account(b"b"));
        assert_eq!(one.take(60), Ok(()));
        assert_eq!(same.take(41), REFUSED);
        assert!(same.has_refused() && !same.has_refused() && !one.has_refused());
        assert_eq!(same.take(40), Ok(()));
        assert_eq!(other.take(100), Ok(()));
        one.give(50);
        assert_eq!(same.take(51), REFUSED);
        assert_eq!(same.change(10, 60), Ok(()));
        assert_eq!(same.change(60, 60), Ok(()));
        assert_eq!(same.change(60, 61), REFUSED);
        assert_eq!(same.change(60, 20), Ok(()));
        assert_eq!(one.take(40), Ok(()));
        // By another's account, under one's own limit.
        assert_eq!(other.of(b"a").take(1), REFUSED);
        assert!(other.has_refused());
    }

    #[test]
    fn half_of_the_store_where_nothing_is_said() {
        let store = Rc::new(HeapStore::default());
        let account = Account::new(store.clone(), b"a", None);
        assert_eq!(account.limit(), 32.0 * 1024.0 * 1024.0);
    }

    #[test]
    fn what_is_foreseen_is_about_what_is_left() {
        let store = Rc::new(HeapStore::default());
        let one = Account::new(store.clone(), b"a", Some(6400));
        let other = Account::new(store, b"a", Some(6400));
        assert!(one.foresees(6400));
        assert!(!one.foresees(6401));
        assert_eq!(other.take(6400), Ok(()));
        // 100 bytes of credit.
        assert!(one.foresees(100));
        assert!(!one.foresees(1));
    }
}
