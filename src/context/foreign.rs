//! The names of the functions that Lua has for guests.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// A name that was registered once, and keeps its number: another copy of the
/// Lua library must not take it for a function of its own.
struct Name {
    number: u32,
    there: bool,
}

thread_local! {
    /// A guest looks names up here, for as little as a few comparisons.
    static NAMES: RefCell<BTreeMap<Vec<u8>, Name>> = RefCell::default();
    /// How many of them are there now.
    static COUNT: Cell<u32> = const { Cell::new(0) };
}

/// Lua has, or no longer has, a function of this name. Gives its number, which
/// is not 0.
pub fn register(name: &[u8], there: bool) -> u32 {
    NAMES.with_borrow_mut(|names| {
        let next = names.len() as u32 + 1;
        let entry = names.entry(name.to_vec()).or_insert(Name {
            number: next,
            there: false,
        });
        entry.there = there;
        let number = entry.number;
        let count = names.values().filter(|name| name.there).count();
        COUNT.set(count as u32);
        number
    })
}

/// The number of a function that Lua has.
pub fn registered(name: &[u8]) -> Option<u32> {
    NAMES.with_borrow(|names| {
        let name = names.get(name).filter(|name| name.there);
        name.map(|name| name.number)
    })
}

/// True when Lua has any.
pub fn any_registered() -> bool {
    COUNT.get() > 0
}

#[cfg(test)]
mod tests {
    use super::{any_registered, register, registered};

    #[test]
    fn a_name_keeps_its_number() {
        assert!(!any_registered());
        let (f, g) = (register(b"f", true), register(b"g", true));
        assert!(f > 0 && g > 0 && f != g);
        assert_eq!(registered(b"f"), Some(f));
        assert_eq!(register(b"f", false), f);
        assert_eq!((registered(b"f"), registered(b"h")), (None, None));
        assert!(any_registered());
        register(b"g", false);
        assert!(!any_registered());
        assert_eq!(register(b"f", true), f);
        register(b"f", false);
    }
}
