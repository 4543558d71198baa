//! Deferred work, pulled by Lua.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use libc::c_void;

use super::callout::rpw_callout;
use super::connection::rpw_connection;
use super::handle::{request, rpw_pair, rpw_str, wall};
use super::plugin::rpw_root;
use crate::context::{Effect, LocalResponse, SharedEffects};
use crate::plugin::connections::{Owner, Placed, next_placed, place};
use crate::plugin::registry;

/// Answer the request: `status`, `text` (details), `pairs`, `body`.
pub const RPW_EFFECT_LOCAL_RESPONSE: i32 = 1;
/// Set the path `text` and the query `body`.
pub const RPW_EFFECT_SET_PATH: i32 = 2;
/// Replace the request body with `body`.
pub const RPW_EFFECT_SET_REQUEST_BODY: i32 = 3;
/// Replace the chunk with `body`; the last one if `status` is 1.
pub const RPW_EFFECT_SET_RESPONSE_BODY: i32 = 4;
/// Wake the request of the context `serial`.
pub const RPW_EFFECT_RESUME: i32 = 5;
/// Perform the callout `callout`, which is the caller's from now on, within
/// `status` milliseconds. `serial` is 1 when no request has asked for it: then its
/// answer comes behind the pause that `rpw_pause_left` tells of.
pub const RPW_EFFECT_HTTP_CALL: i32 = 6;

/// Close the request's connection without an answer.
pub const RPW_EFFECT_CLOSE_STREAM: i32 = 7;
/// Call `rpw_run_timers` in `status` milliseconds.
pub const RPW_EFFECT_TIMER: i32 = 8;

/// Make the connection `connection`, which is the caller's from now on.
pub const RPW_EFFECT_GRPC_OPEN: i32 = 9;
/// The connection `serial` has something to do.
pub const RPW_EFFECT_GRPC_WAKE: i32 = 10;

/// End the request with `status`, and nginx's page for it.
pub const RPW_EFFECT_EXIT: i32 = 11;

/// One piece of work; which fields say something depends on its kind.
#[repr(C)]
pub struct rpw_effect {
    pub status: i32,
    pub serial: u32,
    pub text: rpw_str,
    pub body: rpw_str,
    pub pairs: *const rpw_pair,
    pub pair_count: i32,
    pub callout: *mut rpw_callout,
    pub connection: *mut rpw_connection,
    /// 0: nothing is left behind it, and doing it leaves nothing. 1: perhaps.
    pub more: i32,
}

/// Keeps what the last effect's strings point to.
#[derive(Default)]
struct Lent {
    text: Vec<u8>,
    body: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    pairs: Vec<rpw_pair>,
}

thread_local! {
    static LENT: RefCell<Lent> = RefCell::default();
}

/// Pulls the next piece of work: the request's own first, then what is no
/// request's. `root` and `request` may be NULL: then only the latter. Gives
/// its kind, or 0 when nothing is left; the strings are valid until the next
/// call.
///
/// # Safety
///
/// `root` must be NULL or alive, `effect` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_next_effect(
    root: *const rpw_root,
    pointer: *mut c_void,
    effect: *mut rpw_effect,
) -> i32 {
    wall(0, || {
        // SAFETY: NULL or alive, as promised.
        let root = unsafe { root.as_ref() };
        let own = root.zip(request(pointer)).and_then(|(root, request)| {
            let mut plugin = root.plugin.try_borrow_mut().ok()?;
            plugin.next_effect(root.id, request)
        });
        let (kind, filled) = match own {
            Some(effect) => fill(effect),
            None => match next_shared() {
                Some(next) => next,
                None => return 0,
            },
        };
        // SAFETY: writable, as promised.
        unsafe { effect.write(filled) };
        kind
    })
}

/// Work of any plugin that is no request's own. A callout whose instance was
/// lost meanwhile is no work.
fn next_shared() -> Option<(i32, rpw_effect)> {
    if let Some(placed) = next_placed() {
        return Some(connect(placed));
    }
    while let Some((plugin, effect)) = registry::next_effect() {
        match effect {
            Effect::HttpCall { token } => {
                let exchange = plugin.borrow_mut().begin_callout(token);
                if let Some(exchange) = exchange {
                    let mut filled = empty();
                    filled.status = left(exchange.deadline);
                    filled.serial = exchange.is_background.into();
                    filled.callout = rpw_callout::new(plugin, exchange);
                    filled.more = SharedEffects::are_left().into();
                    return Some((RPW_EFFECT_HTTP_CALL, filled));
                }
            }
            Effect::GrpcOpen { token } => {
                let call = plugin.borrow_mut().begin_grpc(token);
                if let Some(call) = call {
                    let plugin = Rc::downgrade(&plugin);
                    return Some(connect(place(Owner { plugin, token }, call)));
                }
            }
            Effect::Resume { serial } => {
                let mut filled = empty();
                filled.serial = serial;
                filled.more = SharedEffects::are_left().into();
                return Some((RPW_EFFECT_RESUME, filled));
            }
            effect => return Some(fill(effect)),
        }
    }
    None
}

/// The milliseconds until then, begun ones counted as whole.
fn left(deadline: Instant) -> i32 {
    let left = deadline.saturating_duration_since(Instant::now());
    i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
}

/// A connection that is to be made, or that has another call.
fn connect(placed: Placed) -> (i32, rpw_effect) {
    match placed {
        Placed::New(pooled) => {
            let mut filled = empty();
            filled.connection = rpw_connection::new(pooled);
            (RPW_EFFECT_GRPC_OPEN, filled)
        }
        Placed::On(connection) => fill(Effect::GrpcWake { connection }),
    }
}

fn empty() -> rpw_effect {
    rpw_effect {
        status: 0,
        serial: 0,
        text: rpw_str::EMPTY,
        body: rpw_str::EMPTY,
        pairs: std::ptr::null(),
        pair_count: 0,
        callout: std::ptr::null_mut(),
        connection: std::ptr::null_mut(),
        more: 1,
    }
}

fn fill(effect: Effect) -> (i32, rpw_effect) {
    let mut filled = empty();
    let mut lent = Lent::default();
    let kind = match effect {
        Effect::LocalResponse(LocalResponse {
            status,
            details,
            headers,
            body,
            ..
        }) => {
            filled.status = status as i32;
            lent.text = details;
            lent.body = body;
            lent.headers = headers;
            RPW_EFFECT_LOCAL_RESPONSE
        }
        Effect::Exit { status } => {
            filled.status = status as i32;
            RPW_EFFECT_EXIT
        }
        Effect::SetPath { path, query } => {
            lent.text = path;
            lent.body = query;
            RPW_EFFECT_SET_PATH
        }
        Effect::SetRequestBody(body) => {
            lent.body = body;
            RPW_EFFECT_SET_REQUEST_BODY
        }
        Effect::SetResponseBody { body, last } => {
            filled.status = last.into();
            lent.body = body;
            RPW_EFFECT_SET_RESPONSE_BODY
        }
        Effect::CloseStream => RPW_EFFECT_CLOSE_STREAM,
        Effect::Timer { after_ms } => {
            filled.status = i32::try_from(after_ms).unwrap_or(i32::MAX);
            RPW_EFFECT_TIMER
        }
        Effect::GrpcWake { connection } => {
            filled.serial = connection;
            RPW_EFFECT_GRPC_WAKE
        }
        Effect::HttpCall { .. } | Effect::GrpcOpen { .. } | Effect::Resume { .. } => {
            unreachable!("these are no request's own")
        }
    };
    lent.pairs = lent
        .headers
        .iter()
        .map(|(key, value)| rpw_pair {
            key: rpw_str::lend(key),
            value: rpw_str::lend(value),
        })
        .collect();
    filled.text = rpw_str::lend(&lent.text);
    filled.body = rpw_str::lend(&lent.body);
    filled.pairs = lent.pairs.as_ptr();
    filled.pair_count = lent.pairs.len() as i32;
    LENT.with_borrow_mut(|last| *last = lent);
    (kind, filled)
}
