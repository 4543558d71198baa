//! TLS over a plain cosocket: Lua moves the bytes, Rust encrypts them.
//!
//! Call order: until `rpw_tls_receive` gives `RPW_TLS_READY`, send what
//! `rpw_tls_output` gives and feed what is received. Then `rpw_tls_send` before
//! `rpw_tls_output`, and `rpw_tls_input` after `rpw_tls_receive`. After an error
//! there may still be output: an alert, which tells the peer why.

use libc::c_char;

use super::error;
use super::handle::{bytes, rpw_str, wall};
use crate::callout::Tls;

/// TLS on one connection, from its first bytes on.
pub struct rpw_tls {
    tls: Tls,
    /// What was lent last.
    output: Vec<u8>,
    input: Vec<u8>,
}

/// The handshake goes on: more bytes must come.
pub const RPW_TLS_HANDSHAKE: i32 = 0;
/// The peer has proved its name.
pub const RPW_TLS_READY: i32 = 1;
/// The peer has said that nothing more comes.
pub const RPW_TLS_ENDED: i32 = 2;

impl rpw_tls {
    pub(super) fn new(tls: Tls) -> *mut rpw_tls {
        Box::into_raw(Box::new(rpw_tls {
            tls,
            output: Vec::new(),
            input: Vec::new(),
        }))
    }
}

/// Takes bytes from the wire. Gives `RPW_TLS_HANDSHAKE` and others, or -1 when
/// the peer cannot be trusted, refuses us, or speaks no TLS.
///
/// # Safety
///
/// `tls` must be alive, the bytes readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_tls_receive(tls: *mut rpw_tls, data: *const c_char, len: i32) -> i32 {
    wall(-1, || {
        // SAFETY: alive and readable, as promised.
        let (tls, bytes) = unsafe { (&mut (*tls).tls, bytes(data, len)) };
        if let Err(why) = tls.push_encrypted(bytes) {
            error::set(why);
            return -1;
        }
        match tls.is_handshaking() {
            _ if tls.ended() => RPW_TLS_ENDED,
            true => RPW_TLS_HANDSHAKE,
            false => RPW_TLS_READY,
        }
    })
}

/// The bytes for the wire, if any; they are lent until the next call.
///
/// # Safety
///
/// `tls` must be alive, `output` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_tls_output(tls: *mut rpw_tls, output: *mut rpw_str) {
    wall((), || {
        // SAFETY: alive and writable, as promised.
        unsafe {
            (*tls).output = (*tls).tls.pull_encrypted();
            output.write(rpw_str::lend(&(*tls).output));
        }
    })
}

/// Takes bytes for the peer: they come out of `rpw_tls_output`.
///
/// # Safety
///
/// `tls` must be alive, the bytes readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_tls_send(tls: *mut rpw_tls, data: *const c_char, len: i32) {
    wall((), || {
        // SAFETY: alive and readable, as promised.
        unsafe { (*tls).tls.write(bytes(data, len)) }
    })
}

/// What the peer has said since the last time; it is lent until the next call.
///
/// # Safety
///
/// `tls` must be alive, `input` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_tls_input(tls: *mut rpw_tls, input: *mut rpw_str) {
    wall((), || {
        // SAFETY: alive and writable, as promised.
        unsafe {
            (*tls).input = (*tls).tls.read();
            input.write(rpw_str::lend(&(*tls).input));
        }
    })
}

/// Ends it; the connection must not be used any more.
///
/// # Safety
///
/// `tls` must be alive and not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_tls_free(tls: *mut rpw_tls) {
    wall((), || {
        // SAFETY: ours, and used for the last time, as promised.
        drop(unsafe { Box::from_raw(tls) });
    })
}
