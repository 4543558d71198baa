//! Compiled code, shared by all who load the same bytes in this process.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use once_cell::sync::Lazy;
use sha2::{Digest, Sha256};

use super::module::Module;

type Key = [u8; 32];

static MODULES: Lazy<Mutex<HashMap<Key, Weak<Module>>>> = Lazy::new(Default::default);

/// The module of these bytes, compiled unless somebody still holds it.
///
/// Errors: as [`Module::compile`].
pub fn module(bytes: &[u8]) -> Result<Arc<Module>, String> {
    let key: Key = Sha256::digest(bytes).into();
    // A panic under the lock leaves the map as it was: it is safe to go on.
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);

    if let Some(module) = modules.get(&key).and_then(Weak::upgrade) {
        return Ok(module);
    }
    let module = Arc::new(Module::compile(bytes)?);
    modules.retain(|_, module| module.strong_count() > 0);
    modules.insert(key, Arc::downgrade(&module));
    Ok(module)
}
