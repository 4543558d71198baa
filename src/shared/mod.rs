#![forbid(unsafe_code)]
//! State that plugins share beyond one request, and workers with each other:
//! on one store.

pub mod claim;
pub mod data;
pub mod metrics;
pub mod queues;

use std::rc::Rc;

use crate::host::store::Store;

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
fn count(store: &dyn Store, name: &[u8]) -> Result<f64, crate::host::store::Full> {
    store.add_number(name, 0.0)?;
    store.increment(name, 1.0).ok_or(crate::host::store::Full)
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
    pub data: Rc<data::Data>,
    pub queues: Rc<queues::Queues>,
    pub metrics: Rc<metrics::Metrics>,
}

impl Shared {
    /// Data and queues are shared by plugins of one `vm_id`, metrics belong to
    /// `plugin`.
    pub fn new(store: Rc<dyn Store>, vm_id: Option<&[u8]>, plugin: &[u8]) -> Self {
        let scope = scope(vm_id, plugin);
        Shared {
            data: Rc::new(data::Data::new(store.clone(), &scope)),
            queues: Rc::new(queues::Queues::new(store.clone(), &scope)),
            metrics: Rc::new(metrics::Metrics::new(store, plugin)),
        }
    }
}
