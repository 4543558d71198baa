//! Callouts: Lua moves the bytes, Rust speaks the protocol.
//!
//! Call order: connect to `host` and `port`, send `output`, feed what is
//! received to `rpw_callout_receive` until it gives no `RPW_CALLOUT_MORE`, then
//! `rpw_callout_deliver`, which frees it. When anything fails on the way:
//! `rpw_callout_fail`, which frees it, too. While its plugin waits for a function
//! of Lua's both give `RPW_BUSY` and do nothing: again later.

use std::borrow::Cow;
use std::time::Instant;

use libc::c_char;

use super::error;
use super::foreign;
use super::handle::{bytes, rpw_str, wall};
use super::request::RPW_BUSY;
use super::tls::rpw_tls;
use crate::abi::limits;
use crate::callout::{Progress, Response, Tls};
use crate::plugin::Plugin;
use crate::plugin::callout::Exchange;
use crate::plugin::registry::Shared;

/// A callout that is being performed.
pub struct rpw_callout {
    plugin: Shared,
    /// `None` once the guest has its answer.
    exchange: Option<Exchange>,
    /// The host of the node in use, where it has to be put together.
    host: String,
}

/// More bytes must come.
pub const RPW_CALLOUT_MORE: i32 = 0;
/// The answer is complete; the connection must be closed.
pub const RPW_CALLOUT_CLOSE: i32 = 1;
/// The answer is complete; the connection may be kept.
pub const RPW_CALLOUT_KEEP: i32 = 2;

/// Timers that perform callouts at a time.
pub const RPW_MAX_CALLOUT_TIMERS: i32 = 64;
/// Idle connections that are kept to one place.
pub const RPW_MAX_IDLE_CONNECTIONS: i32 = 32;
/// Milliseconds that an idle connection is kept.
pub const RPW_IDLE_MS: i32 = 60000;
/// Idle connections with TLS of our own, to all places together.
pub const RPW_MAX_IDLE_TLS: i32 = 256;
const _: () = assert!(RPW_MAX_CALLOUT_TIMERS == limits::MAX_CALLOUT_TIMERS);
const _: () = assert!(RPW_MAX_IDLE_CONNECTIONS == limits::MAX_IDLE_CONNECTIONS);
const _: () = assert!(RPW_IDLE_MS == limits::IDLE_MS);
const _: () = assert!(RPW_MAX_IDLE_TLS == limits::MAX_IDLE_TLS);

/// Where a callout goes.
#[repr(C)]
pub struct rpw_target {
    /// For the cosocket's connect: a host, an IPv6 address in brackets, or
    /// `unix:/path`.
    pub host: rpw_str,
    /// 0: a unix socket.
    pub port: i32,
    pub tls: i32,
    /// The name that the certificate must be for.
    pub server_name: rpw_str,
    /// 0: the certificate may be anybody's.
    pub verify: i32,
    /// Not 0: `rpw_callout_tls` speaks TLS, not the cosocket; connections are
    /// shared only by callouts with the same number.
    pub own_tls: i32,
    /// Other nodes that are left, should this one fail.
    pub nodes_left: i32,
    /// 1: when a connection was closed without an answer, the request may be
    /// sent again over another one.
    pub repeatable: i32,
    /// The bytes to send.
    pub output: rpw_str,
}

impl rpw_callout {
    pub(super) fn new(plugin: Shared, exchange: Exchange) -> *mut rpw_callout {
        Box::into_raw(Box::new(rpw_callout {
            plugin,
            exchange: Some(exchange),
            host: String::new(),
        }))
    }

    fn is_busy(&self) -> bool {
        self.plugin.try_borrow_mut().is_err()
    }

    /// Not while it is busy: the answer would be lost.
    fn deliver(&mut self, answer: impl FnOnce(Exchange) -> Response) -> i32 {
        let Some(exchange) = self.exchange.take() else {
            return 0;
        };
        let token = exchange.token;
        let response = answer(exchange);
        let body = move |plugin: &mut Plugin| plugin.deliver(token, response).map(|_| 0);
        foreign::call_with(&self.plugin, -1, body, error::number)
    }
}

/// # Safety
///
/// `callout` must be alive and not used by anybody else meanwhile.
unsafe fn open<'a>(callout: *mut rpw_callout) -> Option<&'a mut Exchange> {
    // SAFETY: alive and ours alone, as promised.
    unsafe { &mut *callout }.exchange.as_mut()
}

/// Where the callout goes; the strings live until the next call for it.
///
/// # Safety
///
/// `callout` must be alive, `target` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_callout_target(callout: *mut rpw_callout, target: *mut rpw_target) {
    wall((), || {
        // SAFETY: alive, as promised.
        let callout = unsafe { &mut *callout };
        let Some(exchange) = &callout.exchange else {
            return;
        };
        let route = &exchange.route;
        let host = match route.target().host() {
            Cow::Borrowed(host) => host,
            Cow::Owned(host) => {
                callout.host = host;
                &callout.host
            }
        };
        let filled = rpw_target {
            host: rpw_str::lend(host.as_bytes()),
            port: route.target().port().unwrap_or(0).into(),
            tls: route.target().tls.into(),
            server_name: rpw_str::lend(exchange.server_name()),
            verify: route.verify().into(),
            own_tls: route.own_tls().map_or(0, |(_, number)| number as i32),
            nodes_left: route.nodes_left() as i32,
            repeatable: exchange.http1.request().repeatable().into(),
            output: rpw_str::lend(exchange.http1.output()),
        };
        // SAFETY: writable, as promised.
        unsafe { target.write(filled) };
    })
}

/// The node could not be reached, for this reason: `rpw_callout_target` gives
/// another one from now on, and the log says so. Gives 0 when none is left,
/// otherwise 1.
///
/// # Safety
///
/// `callout` must be alive, the reason readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_callout_next(
    callout: *mut rpw_callout,
    reason: *const c_char,
    reason_len: i32,
) -> i32 {
    wall(0, || {
        // SAFETY: alive and readable, as promised.
        let (callout, reason) = unsafe { (&mut *callout, bytes(reason, reason_len)) };
        let Some(exchange) = &mut callout.exchange else {
            return 0;
        };
        let failed = exchange.route.to_string();
        if !exchange.route.next_node(Instant::now()) {
            return 0;
        }
        if let Ok(mut plugin) = callout.plugin.try_borrow_mut() {
            plugin.log_next_node(exchange, &failed, &String::from_utf8_lossy(reason));
        }
        1
    })
}

/// Begins TLS on a new connection for the callout; `rpw_target.own_tls` says
/// that it is to. Free it with `rpw_tls_free`. Gives NULL when there is none.
///
/// # Safety
///
/// `callout` must be alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_callout_tls(callout: *mut rpw_callout) -> *mut rpw_tls {
    wall(std::ptr::null_mut(), || {
        // SAFETY: alive, as promised.
        let exchange = unsafe { open(callout) };
        let Some((exchange, (config, _))) = exchange
            .as_ref()
            .and_then(|it| it.route.own_tls().map(|own| (it, own)))
        else {
            error::set("this callout has no TLS of its own");
            return std::ptr::null_mut();
        };
        match Tls::new(config, exchange.server_name()) {
            Ok(tls) => rpw_tls::new(tls),
            Err(why) => {
                error::set(why);
                std::ptr::null_mut()
            }
        }
    })
}

/// Feeds received bytes; none at all say that the peer closed. Gives
/// `RPW_CALLOUT_MORE`, `RPW_CALLOUT_CLOSE` or `RPW_CALLOUT_KEEP`, or -1 for an
/// answer that is none.
///
/// # Safety
///
/// `callout` must be alive, the bytes readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_callout_receive(
    callout: *mut rpw_callout,
    data: *const c_char,
    len: i32,
) -> i32 {
    wall(-1, || {
        // SAFETY: alive and readable, as promised.
        let (exchange, bytes) = unsafe { (open(callout), bytes(data, len)) };
        let Some(exchange) = exchange else {
            return -1;
        };
        let progress = if bytes.is_empty() {
            exchange.http1.end_of_stream()
        } else {
            exchange.http1.receive(bytes)
        };
        match progress {
            Ok(Progress::NeedMore) => RPW_CALLOUT_MORE,
            Ok(Progress::Done { reusable: false }) => RPW_CALLOUT_CLOSE,
            Ok(Progress::Done { reusable: true }) => RPW_CALLOUT_KEEP,
            Err(why) => {
                error::set(why);
                -1
            }
        }
    })
}

/// Gives the guest the complete answer (`proxy_on_http_call_response`). Gives
/// 0, or -1 when the callback failed, or `RPW_BUSY`. There may be effects to pull.
///
/// # Safety
///
/// `callout` must come from an effect and not be used again, but after `RPW_BUSY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_callout_deliver(callout: *mut rpw_callout) -> i32 {
    wall(-1, || {
        // SAFETY: alive, as promised.
        if unsafe { &*callout }.is_busy() {
            return RPW_BUSY;
        }
        // SAFETY: ours, and used for the last time, as promised.
        let mut callout = unsafe { Box::from_raw(callout) };
        callout.deliver(|exchange| {
            exchange.route.node_answered();
            exchange.http1.into_response()
        })
    })
}

/// Tells the guest that the callout failed, and the log why. As
/// `rpw_callout_deliver`.
///
/// # Safety
///
/// `callout` must come from an effect and not be used again, but after `RPW_BUSY`,
/// the reason be readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_callout_fail(
    callout: *mut rpw_callout,
    reason: *const c_char,
    reason_len: i32,
) -> i32 {
    wall(-1, || {
        // SAFETY: alive, as promised.
        if unsafe { &*callout }.is_busy() {
            return RPW_BUSY;
        }
        // SAFETY: ours, used for the last time, and readable, as promised.
        let (mut callout, reason) = unsafe { (Box::from_raw(callout), bytes(reason, reason_len)) };
        if let Some(exchange) = &callout.exchange {
            let reason = String::from_utf8_lossy(reason);
            if let Ok(mut plugin) = callout.plugin.try_borrow_mut() {
                plugin.log_failed_callout(exchange, &reason);
            }
        }
        callout.deliver(|_| Response::default())
    })
}
