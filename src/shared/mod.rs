#![forbid(unsafe_code)]
//! State that plugins share beyond one request, and workers with each other:
//! on one store.

pub mod account;
pub mod claim;
pub mod data;
pub mod metrics;
pub mod queues;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::rc::Rc;

use crate::abi::Status;
use crate::abi::limits::Limits;
use crate::host::store::{Full, Store};

/// Why shared state stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// What the guest may be told; [`Status::InternalFailure`] for want of room.
    Status(Status),
    /// Another worker has stopped in the middle of a change: later it can be had.
    Busy,
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Error::Status(status)
    }
}

/// Joins the parts of an entry's name so that no two lists give the same.
fn entry(kind: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut name = kind.to_vec();
    for part in parts {
        name.extend_from_slice(&(part.len() as u32).to_le_bytes());
        name.extend_from_slice(part);
    }
    name
}

/// Counts up a number of the store, made at 0 if it is not there. Gives the
/// new value.
fn count(store: &dyn Store, name: &[u8]) -> Result<f64, Full> {
    store.add_number(name, 0.0)?;
    store.increment(name, 1.0).ok_or(Full)
}

/// Numbers that are given out, each once: of metrics, of queues.
struct Numbers {
    /// Counts them, for all plugins.
    counter: &'static [u8],
    /// One that was taken for something that found no room: the next one that
    /// this worker needs.
    spare: Cell<Option<u32>>,
}

impl Numbers {
    fn new(counter: &'static [u8]) -> Self {
        Numbers {
            counter,
            spare: Cell::new(None),
        }
    }

    /// Takes a number: never 0, and nobody else's.
    fn take(&self, store: &dyn Store) -> Result<u32, Full> {
        match self.spare.take() {
            Some(spare) => Ok(spare),
            None => Ok(count(store, self.counter)? as u32),
        }
    }

    /// Takes a number back that nobody has heard of.
    fn give(&self, number: u32) {
        self.spare.set(Some(number));
    }
}

/// Whose data and queues those of a plugin are: of all plugins of a VM id that
/// the operator has given, or its own, which no VM id names.
fn scope(vm_id: Option<&[u8]>, plugin: &[u8]) -> Vec<u8> {
    match vm_id {
        Some(vm_id) => scope_of_vm(vm_id),
        None => [b"p", plugin].concat(),
    }
}

fn scope_of_vm(vm_id: &[u8]) -> Vec<u8> {
    [b"v", vm_id].concat()
}

/// The shared state as one plugin sees it.
#[derive(Clone)]
pub struct Shared {
    /// What data, queues and metrics may take together.
    pub account: Rc<account::Account>,
    pub data: Rc<data::Data>,
    pub queues: Rc<queues::Queues>,
    pub metrics: Rc<metrics::Metrics>,
}

impl Shared {
    /// Data and queues are shared by plugins of one `vm_id`, metrics belong to
    /// `plugin`.
    pub fn new(store: Rc<dyn Store>, vm_id: Option<&[u8]>, plugin: &[u8], limits: &Limits) -> Self {
        let scope = scope(vm_id, plugin);
        let account = account::Account::new(store.clone(), &scope, limits.shared_bytes);
        let account = Rc::new(account);
        Shared {
            data: Rc::new(data::Data::new(
                store.clone(),
                &scope,
                account.clone(),
                limits,
            )),
            queues: Rc::new(queues::Queues::new(
                store.clone(),
                &scope,
                account.clone(),
                limits,
            )),
            metrics: Rc::new(metrics::Metrics::new(store, plugin, account.clone())),
            account,
        }
    }
}
