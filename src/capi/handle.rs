//! What crosses the boundary: strings, handles, and the panic wall.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};

use libc::{c_char, c_void};

use crate::host::Request;

/// A string that is lent: `len` bytes at `data`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rpw_str {
    pub data: *const c_char,
    pub len: i32,
}

/// A header: name and value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rpw_pair {
    pub key: rpw_str,
    pub value: rpw_str,
}

impl rpw_str {
    pub(super) const EMPTY: rpw_str = rpw_str {
        data: std::ptr::null(),
        len: 0,
    };

    /// Lends bytes; the pointer is good for as long as they are.
    pub(super) fn lend(bytes: &[u8]) -> Self {
        rpw_str {
            data: bytes.as_ptr().cast(),
            len: i32::try_from(bytes.len()).unwrap_or(i32::MAX),
        }
    }

    /// # Safety
    ///
    /// `data` must be readable for `len` bytes, or `len` not be positive.
    pub(super) unsafe fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: promised by the caller.
        unsafe { bytes(self.data, self.len) }
    }
}

/// The bytes of a C string with a length; NULL or no length is empty.
///
/// # Safety
///
/// `data` must be NULL or readable for `len` bytes for as long as the slice is
/// used.
pub(super) unsafe fn bytes<'a>(data: *const c_char, len: i32) -> &'a [u8] {
    match usize::try_from(len) {
        // SAFETY: not NULL, and readable for `len` bytes as promised.
        Ok(len) if len > 0 && !data.is_null() => unsafe {
            std::slice::from_raw_parts(data.cast(), len)
        },
        _ => &[],
    }
}

/// The request behind a pointer; `None` for NULL.
pub(super) fn request(pointer: *mut c_void) -> Option<Request> {
    NonZeroUsize::new(pointer as usize).map(Request)
}

/// The panic wall: what every exported function runs in. A panic becomes
/// `otherwise`, and the error that [`super::rpw_error`] gives.
pub(super) fn wall<R>(otherwise: R, body: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        tell_of_panic();
        otherwise
    })
}

#[cold]
fn tell_of_panic() {
    super::error::set("internal error: a panic was caught, see the error log");
}
