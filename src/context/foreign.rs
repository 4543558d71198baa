//! The names of the functions that Lua has for guests.

use std::cell::RefCell;
use std::collections::HashSet;

thread_local! {
    static NAMES: RefCell<HashSet<Vec<u8>>> = RefCell::default();
}

/// Lua has, or no longer has, a function of this name.
pub fn register(name: &[u8], there: bool) {
    NAMES.with_borrow_mut(|names| {
        if there {
            names.insert(name.to_vec());
        } else {
            names.remove(name);
        }
    });
}

pub fn is_registered(name: &[u8]) -> bool {
    NAMES.with_borrow(|names| names.contains(name))
}

/// True when Lua has any.
pub fn any_registered() -> bool {
    NAMES.with_borrow(|names| !names.is_empty())
}
