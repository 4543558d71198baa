//! The phases of a request.
//!
//! Call order of one request, for each root context: `rpw_request_headers`,
//! `rpw_request_body` if it says so, `rpw_response_headers`,
//! `rpw_response_body` for each chunk, `rpw_log`. After any call that says
//! `RPW_EFFECTS`, pull them with `rpw_next_effect`; while `RPW_PAUSED`, wait
//! for a Resume effect and ask `rpw_state` again.

use libc::{c_char, c_void};

use super::error;
use super::handle::{bytes, request, rpw_pair, wall};
use super::plugin::rpw_root;
use crate::context::HeaderList;
use crate::host::Request;
use crate::plugin::{Error, Outcome, Plugin};

/// There is work to pull.
pub const RPW_EFFECTS: i32 = 1;
/// The request waits.
pub const RPW_PAUSED: i32 = 2;
/// The request body is to be handed over.
pub const RPW_BODY: i32 = 4;
/// The response headers are to be handed over, and the call repeated.
pub const RPW_RESPONSE_HEADERS: i32 = 8;

/// A callback failed; the instance is gone.
pub const RPW_FAILED: i32 = -1;
/// The function was called where it cannot work.
pub const RPW_MISUSE: i32 = -2;
/// The instance of this request was lost in another callback.
pub const RPW_LOST: i32 = -3;

fn number(outcome: Outcome) -> i32 {
    match outcome {
        Ok(flags) => {
            let bit = |set: bool, bit: i32| if set { bit } else { 0 };
            bit(flags.effects, RPW_EFFECTS)
                | bit(flags.paused, RPW_PAUSED)
                | bit(flags.body, RPW_BODY)
                | bit(flags.response_headers, RPW_RESPONSE_HEADERS)
        }
        Err(why) => {
            error::set(&why);
            match why {
                Error::Misuse(_) => RPW_MISUSE,
                Error::Lost(_) => RPW_LOST,
                Error::Load(_) | Error::Callback { .. } => RPW_FAILED,
            }
        }
    }
}

/// Runs `body` with the plugin of a root context and a request.
///
/// # Safety
///
/// `root` must be alive.
unsafe fn drive(
    root: *const rpw_root,
    pointer: *mut c_void,
    body: impl FnOnce(&mut Plugin, u32, Request) -> Outcome,
) -> i32 {
    wall(RPW_FAILED, || {
        // SAFETY: alive, as promised.
        let root = unsafe { &*root };
        let outcome = match (request(pointer), root.plugin.try_borrow_mut()) {
            (Some(request), Ok(mut plugin)) => body(&mut plugin, root.id, request),
            (None, _) => Err(Error::Misuse("no request".to_owned())),
            (_, Err(_)) => Err(Error::Misuse("the plugin is busy".to_owned())),
        };
        number(outcome)
    })
}

/// `proxy_on_request_headers`. Gives `RPW_EFFECTS` and others added up, or a
/// negative number.
///
/// # Safety
///
/// `root` and `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_request_headers(root: *const rpw_root, request: *mut c_void) -> i32 {
    // SAFETY: the caller's promise is ours.
    unsafe { drive(root, request, Plugin::request_headers) }
}

/// `proxy_on_request_body` with `body` behind what came before.
///
/// # Safety
///
/// `root` and `request` must be alive, the body readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_request_body(
    root: *const rpw_root,
    request: *mut c_void,
    body: *const c_char,
    body_len: i32,
    end_of_stream: i32,
) -> i32 {
    // SAFETY: the caller's promise is ours.
    unsafe {
        drive(root, request, |plugin, root, request| {
            plugin.request_body(root, request, bytes(body, body_len), end_of_stream != 0)
        })
    }
}

/// `proxy_on_response_headers`.
///
/// # Safety
///
/// `root` and `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_response_headers(root: *const rpw_root, request: *mut c_void) -> i32 {
    // SAFETY: the caller's promise is ours.
    unsafe { drive(root, request, Plugin::response_headers) }
}

/// Hands the response's headers over, for all plugins of this request.
///
/// # Safety
///
/// `root` and `request` must be alive, `count` pairs readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_hand_response_headers(
    root: *const rpw_root,
    request: *mut c_void,
    pairs: *const rpw_pair,
    count: i32,
) -> i32 {
    // SAFETY: alive and readable, as promised; a count of 0 reads nothing.
    unsafe {
        drive(root, request, |plugin, root, request| {
            let count = usize::try_from(count).unwrap_or_default();
            let pairs = match count {
                0 => &[],
                _ => std::slice::from_raw_parts(pairs, count),
            };
            let mut headers = HeaderList::new();
            for pair in pairs {
                headers.push(pair.key.bytes(), pair.value.bytes());
            }
            plugin.hand_response_headers(root, request, headers)
        })
    }
}

/// `proxy_on_response_body` with the chunk that the body filter holds.
///
/// # Safety
///
/// `root` and `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_response_body(root: *const rpw_root, request: *mut c_void) -> i32 {
    // SAFETY: the caller's promise is ours.
    unsafe { drive(root, request, Plugin::response_body) }
}

/// `proxy_on_done`, `proxy_on_log`, `proxy_on_delete`.
///
/// # Safety
///
/// `root` and `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_log(root: *const rpw_root, request: *mut c_void) -> i32 {
    // SAFETY: the caller's promise is ours.
    unsafe { drive(root, request, Plugin::log_request) }
}

/// What a request has to do now, without calling the guest.
///
/// # Safety
///
/// `root` and `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_state(root: *const rpw_root, request: *mut c_void) -> i32 {
    // SAFETY: the caller's promise is ours.
    unsafe { drive(root, request, Plugin::flags) }
}

/// The longest wait of a paused request is over: it will be answered with 504.
///
/// # Safety
///
/// `root` and `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_pause_expired(root: *const rpw_root, request: *mut c_void) -> i32 {
    // SAFETY: the caller's promise is ours.
    unsafe { drive(root, request, Plugin::pause_expired) }
}

/// The longest wait of a paused request, in milliseconds.
///
/// # Safety
///
/// `root` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_pause_timeout(root: *const rpw_root) -> i32 {
    wall(0, || {
        // SAFETY: alive, as promised.
        let plugin = unsafe { &*root }.plugin.borrow();
        i32::try_from(plugin.options().pause_timeout_ms).unwrap_or(i32::MAX)
    })
}

/// The number by which a Resume effect names this request's context; 0 when it
/// has none.
///
/// # Safety
///
/// `root` and `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_serial(root: *const rpw_root, pointer: *mut c_void) -> u32 {
    wall(0, || {
        // SAFETY: alive, as promised.
        let root = unsafe { &*root };
        let mut plugin = root.plugin.borrow_mut();
        request(pointer)
            .and_then(|request| plugin.serial(root.id, request))
            .unwrap_or(0)
    })
}
