//! gRPC connections: Lua moves the bytes, Rust speaks HTTP/2, and TLS.
//!
//! Call order: an effect gives a connection. `rpw_connection_target` says where
//! to connect to; then `rpw_connection_open`. What is received goes into
//! `rpw_connection_receive`, what `rpw_connection_output` gives is sent. After
//! each of these, and after `rpw_connection_look`, `rpw_connection_deliver` until
//! it gives 0. When the connection fails, `rpw_connection_fail`; in the end
//! `rpw_connection_free`. An effect that wakes it has it look for output.

use std::cell::RefCell;
use std::time::Instant;

use libc::c_char;

use super::callout::rpw_target;
use super::error;
use super::foreign;
use super::handle::{bytes, rpw_str, wall};
use crate::plugin::Plugin;
use crate::plugin::connections::{Shared, place_returned};

/// A connection.
pub struct rpw_connection {
    pooled: Shared,
    /// What the last strings point to.
    lent: RefCell<Vec<u8>>,
}

impl rpw_connection {
    pub(super) fn new(pooled: Shared) -> *mut rpw_connection {
        Box::into_raw(Box::new(rpw_connection {
            pooled,
            lent: RefCell::default(),
        }))
    }
}

/// The number that wakes this connection.
///
/// # Safety
///
/// `connection` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_connection_serial(connection: *const rpw_connection) -> u32 {
    // SAFETY: alive, as promised.
    wall(0, || unsafe { &*connection }.pooled.borrow().serial)
}

/// Where to connect to: host, port and the other nodes that are left; TLS is the
/// library's. The strings live until the next call for this connection.
///
/// # Safety
///
/// `connection` must be alive, `target` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_connection_target(
    connection: *const rpw_connection,
    target: *mut rpw_target,
) {
    wall((), || {
        // SAFETY: alive, as promised.
        let connection = unsafe { &*connection };
        let pooled = connection.pooled.borrow();
        let mut lent = connection.lent.borrow_mut();
        *lent = pooled.target.host().into_owned().into_bytes();
        let filled = rpw_target {
            host: rpw_str::lend(&lent),
            port: pooled.target.port().unwrap_or(0).into(),
            tls: 0,
            server_name: rpw_str::EMPTY,
            verify: 0,
            own_tls: 0,
            nodes_left: pooled.nodes_left as i32,
            repeatable: 0,
            output: rpw_str::EMPTY,
        };
        // SAFETY: writable, as promised.
        unsafe { target.write(filled) };
    })
}

/// The connection is there.
///
/// # Safety
///
/// `connection` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_connection_open(connection: *const rpw_connection) {
    wall((), || {
        // SAFETY: alive, as promised.
        let connection = unsafe { &*connection };
        connection.pooled.borrow_mut().open();
        place_returned(&connection.pooled);
    })
}

/// Feeds received bytes; none at all say that the peer closed.
///
/// # Safety
///
/// `connection` must be alive, the bytes readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_connection_receive(
    connection: *const rpw_connection,
    data: *const c_char,
    len: i32,
) {
    wall((), || {
        // SAFETY: alive and readable, as promised.
        let (connection, bytes) = unsafe { (&*connection, bytes(data, len)) };
        connection.pooled.borrow_mut().receive(bytes);
        place_returned(&connection.pooled);
    })
}

/// The bytes to send; the string lives until the next call for this connection.
/// Gives their number: 0, there are none.
///
/// # Safety
///
/// `connection` must be alive, `output` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_connection_output(
    connection: *const rpw_connection,
    output: *mut rpw_str,
) -> i32 {
    wall(0, || {
        // SAFETY: alive, as promised.
        let connection = unsafe { &*connection };
        let mut lent = connection.lent.borrow_mut();
        *lent = connection.pooled.borrow_mut().output();
        place_returned(&connection.pooled);
        // SAFETY: writable, as promised.
        unsafe { output.write(rpw_str::lend(&lent)) };
        lent.len() as i32
    })
}

/// Tells a guest what the next call has come to (`proxy_on_grpc_…`). Gives 1, or
/// -1 when the callback failed; 0: there is nothing to tell. There may be
/// effects to pull.
///
/// # Safety
///
/// `connection` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_connection_deliver(connection: *const rpw_connection) -> i32 {
    wall(-1, || {
        // SAFETY: alive, as promised.
        let pooled = &unsafe { &*connection }.pooled;
        let ready = pooled.borrow_mut().next_is_ready();
        place_returned(pooled);
        if ready != Some(true) {
            return 0;
        }
        let event = pooled.borrow_mut().next_event();
        let Some((owner, event)) = event else {
            return 0;
        };
        let Some(plugin) = owner.plugin.upgrade() else {
            return 1;
        };
        let token = owner.token;
        let body = move |plugin: &mut Plugin| plugin.deliver_grpc(token, event).map(|_| 1);
        foreign::call_with(&plugin, -1, body, error::number)
    })
}

/// Ends calls whose time is over; `exiting`: the worker ends, and with it the
/// streams that no request waits for. Gives the milliseconds until the next look
/// at the latest, or -1: the connection is to be closed.
///
/// # Safety
///
/// `connection` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_connection_look(
    connection: *const rpw_connection,
    exiting: i32,
) -> i32 {
    wall(-1, || {
        // SAFETY: alive, as promised.
        let pooled = &unsafe { &*connection }.pooled;
        let next = pooled.borrow_mut().expire(Instant::now(), exiting != 0);
        place_returned(pooled);
        next.map_or(-1, |ms| ms as i32)
    })
}

/// The connection is no more, or never was: its calls fail, or go over another.
///
/// # Safety
///
/// `connection` must be alive, the reason readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_connection_fail(
    connection: *const rpw_connection,
    reason: *const c_char,
    reason_len: i32,
) {
    wall((), || {
        // SAFETY: alive and readable, as promised.
        let (connection, reason) = unsafe { (&*connection, bytes(reason, reason_len)) };
        let reason = String::from_utf8_lossy(reason);
        connection.pooled.borrow_mut().fail(&reason);
        place_returned(&connection.pooled);
    })
}

/// Frees a connection. Guests do not hear of calls that are still on it.
///
/// # Safety
///
/// `connection` must come from an effect and not be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_connection_free(connection: *mut rpw_connection) {
    wall((), || {
        // SAFETY: ours, and used for the last time, as promised.
        drop(unsafe { Box::from_raw(connection) });
    })
}
