//! The last error, and the version gate.

use std::cell::RefCell;

use super::handle::{rpw_str, wall};

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Counts changes of this interface: the Lua files check it when they load the
/// library.
pub const RPW_ABI: i32 = 3;

/// Keeps the sentence for [`rpw_error`].
pub(super) fn set(error: impl ToString) {
    LAST.with_borrow_mut(|last| *last = error.to_string());
}

/// The number of a result: -1, and the sentence, for an error.
pub(super) fn number(result: Result<i32, impl ToString>) -> i32 {
    result.unwrap_or_else(|why| {
        set(why);
        -1
    })
}

/// The version of this interface, [`RPW_ABI`].
#[unsafe(no_mangle)]
pub extern "C" fn rpw_abi() -> i32 {
    wall(-1, || RPW_ABI)
}

/// The sentence about the last call that failed; valid until the next one
/// fails.
///
/// # Safety
///
/// `text` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_error(text: *mut rpw_str) {
    wall((), || {
        let lent = LAST.with_borrow(|last| rpw_str::lend(last.as_bytes()));
        // SAFETY: writable, as promised.
        unsafe { text.write(lent) };
    })
}
