//! The phases of a request.
//!
//! Call order of one request, for each root context: `rpw_request_headers`,
//! `rpw_request_body` if it says so, `rpw_response_headers`,
//! `rpw_response_body` for each chunk, `rpw_log`. After any call that says
//! `RPW_EFFECTS`, pull them with `rpw_next_effect`; while `RPW_PAUSED`, wait
//! for a Resume effect and ask `rpw_state` again. After one that gives
//! `RPW_FOREIGN`, see `rpw_foreign_question`.

use libc::{c_char, c_void};

use super::error;
use super::foreign;
use super::handle::{bytes, request, rpw_pair, wall};
use super::plugin::rpw_root;
use crate::abi::HeaderList;
use crate::context::RequestState;
use crate::host::Request;
use crate::plugin::registry::Shared;
use crate::plugin::{Error, Outcome, Plugin};

/// There is work to pull.
pub const RPW_EFFECTS: i32 = 1;
/// The request waits.
pub const RPW_PAUSED: i32 = 2;
/// The request body is to be handed over.
pub const RPW_BODY: i32 = 4;
/// The response headers are to be handed over, and the call repeated.
pub const RPW_RESPONSE_HEADERS: i32 = 8;

/// A callback failed and the instance is gone, or there is none yet, or the
/// request is refused.
pub const RPW_FAILED: i32 = -1;
/// The function was called where it cannot work.
pub const RPW_MISUSE: i32 = -2;
/// The instance of this request was lost in another callback.
pub const RPW_LOST: i32 = -3;
/// A call of the plugin waits for a Lua function.
pub const RPW_BUSY: i32 = -6;
/// The request body is larger than the plugin may be given.
pub const RPW_TOO_LARGE: i32 = -7;

pub(super) fn number(outcome: Outcome) -> i32 {
    match outcome {
        Ok(flags) => {
            let bit = |set: bool, bit: i32| if set { bit } else { 0 };
            bit(flags.effects, RPW_EFFECTS)
                | bit(flags.paused, RPW_PAUSED)
                | bit(flags.body, RPW_BODY)
                | bit(flags.response_headers, RPW_RESPONSE_HEADERS)
        }
        Err(why) => number_of_error(why),
    }
}

#[cold]
fn number_of_error(why: Error) -> i32 {
    error::set(&why);
    match why {
        Error::Misuse(_) => RPW_MISUSE,
        Error::Busy => RPW_BUSY,
        Error::BodyTooLarge(_) => RPW_TOO_LARGE,
        Error::Lost(_) => RPW_LOST,
        Error::Load(_)
        | Error::Compiling
        | Error::Callback { .. }
        | Error::Unavailable(_)
        | Error::Refused(_) => RPW_FAILED,
    }
}

#[cold]
fn no_request() -> Error {
    Error::Misuse("no request".to_owned())
}

/// Runs `body`, which calls the guest, with the plugin of a root context and a
/// request. It may come to wait.
///
/// # Safety
///
/// `root` must be alive.
unsafe fn drive(
    root: *const rpw_root,
    pointer: *mut c_void,
    body: impl FnOnce(&mut Plugin, u32, Request) -> Outcome + 'static,
) -> i32 {
    wall(RPW_FAILED, || {
        // SAFETY: alive, as promised.
        let root = unsafe { &*root };
        if !foreign::may_wait(&root.plugin) {
            return enter(&root.plugin, root.id, pointer, body);
        }
        let (plugin, id) = (root.plugin.clone(), root.id);
        foreign::on_stack(RPW_FAILED, move || enter(&plugin, id, pointer, body))
    })
}

/// As [`drive`], for a `body` that does not call the guest.
///
/// # Safety
///
/// `root` must be alive.
unsafe fn look(
    root: *const rpw_root,
    pointer: *mut c_void,
    body: impl FnOnce(&mut Plugin, u32, Request) -> Outcome,
) -> i32 {
    wall(RPW_FAILED, || {
        // SAFETY: alive, as promised.
        let root = unsafe { &*root };
        enter(&root.plugin, root.id, pointer, body)
    })
}

/// Bytes for a call: of one that may come to wait they are its own.
enum Held {
    Lent(*const c_char, i32),
    Own(Vec<u8>),
}

impl Held {
    /// # Safety
    ///
    /// `root` must be alive, the bytes readable for as long as the call does
    /// not wait.
    unsafe fn new(root: *const rpw_root, data: *const c_char, len: i32) -> Self {
        // SAFETY: alive and readable, as promised.
        unsafe {
            match foreign::may_wait(&(*root).plugin) {
                true => Held::Own(bytes(data, len).to_vec()),
                false => Held::Lent(data, len),
            }
        }
    }

    /// # Safety
    ///
    /// As [`Held::new`].
    unsafe fn bytes(&self) -> &[u8] {
        match self {
            Held::Own(bytes) => bytes,
            // SAFETY: readable, as promised.
            Held::Lent(data, len) => unsafe { bytes(*data, *len) },
        }
    }
}

fn enter(
    plugin: &Shared,
    root: u32,
    pointer: *mut c_void,
    body: impl FnOnce(&mut Plugin, u32, Request) -> Outcome,
) -> i32 {
    number(match (request(pointer), plugin.try_borrow_mut()) {
        (Some(request), Ok(mut plugin)) => body(&mut plugin, root, request),
        (None, _) => Err(no_request()),
        (_, Err(_)) => Err(Error::Busy),
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

/// `proxy_on_request_body` with `body` behind what came before. Gives
/// `RPW_TOO_LARGE` when both together are more than the plugin may be given.
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
        drive(root, request, {
            let held = Held::new(root, body, body_len);
            move |plugin, root, request| {
                plugin.request_body(root, request, held.bytes(), end_of_stream != 0)
            }
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
        look(root, request, |plugin, root, request| {
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
    unsafe { look(root, request, Plugin::flags) }
}

/// The failure of a request callback was answered by Lua: the response that
/// comes now is that answer.
///
/// # Safety
///
/// `root` and `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_failure_was_answered(
    root: *const rpw_root,
    request: *mut c_void,
) -> i32 {
    // SAFETY: the caller's promise is ours.
    unsafe { look(root, request, Plugin::failure_was_answered) }
}

/// Puts an answer without a body, which Lua writes, in the place of a request's
/// response, in the header filter. Gives 0, or -1 for a request that no plugin
/// has a context of.
///
/// # Safety
///
/// `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_refuse_response(pointer: *mut c_void) -> i32 {
    wall(-1, || match request(pointer) {
        Some(request) if RequestState::refuse_response(request) => 0,
        _ => -1,
    })
}

/// 1 when the body of this request's response must be dropped, 0 when not, -1
/// when there is no such request at all.
///
/// # Safety
///
/// `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_response_refused(pointer: *mut c_void) -> i32 {
    wall(1, || match request(pointer) {
        _ if !RequestState::any_refused() => -1,
        Some(request) => RequestState::is_refused(request).into(),
        None => 0,
    })
}

/// Refuses what still comes of a request but its end: a Lua function misbehaved.
///
/// # Safety
///
/// `root` and `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_refuse(root: *const rpw_root, request: *mut c_void) -> i32 {
    // SAFETY: the caller's promise is ours.
    unsafe { look(root, request, Plugin::refuse) }
}

/// The longest wait of a paused request is over: it will be answered with 504.
///
/// # Safety
///
/// `root` and `request` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_pause_expired(root: *const rpw_root, request: *mut c_void) -> i32 {
    // SAFETY: the caller's promise is ours.
    unsafe { look(root, request, Plugin::pause_expired) }
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
        let Ok(plugin) = unsafe { &*root }.plugin.try_borrow() else {
            return 0;
        };
        i32::try_from(plugin.options().pause_timeout_ms).unwrap_or(i32::MAX)
    })
}

/// The bytes of a request body that the plugin may be given: a larger one need
/// not be read, as `rpw_request_body` refuses it.
///
/// # Safety
///
/// `root` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_max_request_body(root: *const rpw_root) -> i32 {
    wall(i32::MAX, || {
        // SAFETY: alive, as promised.
        let Ok(plugin) = unsafe { &*root }.plugin.try_borrow() else {
            return i32::MAX;
        };
        i32::try_from(plugin.options().limits.request_body).unwrap_or(i32::MAX)
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
        let plugin = root.plugin.try_borrow_mut().ok();
        plugin
            .zip(request(pointer))
            .and_then(|(mut plugin, request)| plugin.serial(root.id, request))
            .unwrap_or(0)
    })
}
