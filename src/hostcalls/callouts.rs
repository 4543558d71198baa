//! Host functions: HTTP callouts.

use std::time::{Duration, Instant};

use super::Call;
use crate::abi::field::shown;
use crate::abi::limits::{DEFAULT_CALLOUT_TIMEOUT_MS, MAX_DENIED, MAX_SHOWN};
use crate::abi::types::LogLevel;
use crate::abi::{Status, pairs};
use crate::callout::{NoRoute, Request, Route, Scheme};
use crate::context::Callout;

/// What the log calls it.
const KIND: &str = "callout";

/// What cannot be sent, or goes nowhere.
const BAD: Status = Status::BadArgument;

/// Leaves a callout for Lua. The answer is the root context's, as on Envoy.
///
/// Errors: [`Status::BadArgument`] for a malformed map, a missing pseudo
/// header, an upstream that is neither configured nor an address that the
/// operator allows, a negative timeout; as [`State::add_callout`] when too many
/// are in flight.
///
/// [`State::add_callout`]: crate::context::State::add_callout
pub fn http_call(
    call: &mut Call,
    upstream: &[u8],
    headers: &[u8],
    body: &[u8],
    trailers: &[u8],
    timeout: u32,
) -> Result<u32, Status> {
    let timeout_ms = match i32::try_from(timeout) {
        Ok(0) => DEFAULT_CALLOUT_TIMEOUT_MS,
        Ok(_) => timeout,
        Err(_) => return refuse(call, KIND, upstream, "its timeout is negative", BAD),
    };
    let (Ok(headers), Ok(trailers)) = (pairs::decode(headers), pairs::decode(trailers)) else {
        let why = "its map of headers or trailers is malformed";
        return refuse(call, KIND, upstream, why, BAD);
    };
    let Ok(request) = Request::from_pairs(&headers, body, &trailers) else {
        let why = "its headers cannot be sent: they must have :method, :path and :authority, \
            each once, and nothing that would end a line";
        return refuse(call, KIND, upstream, why, BAD);
    };

    let route = route(call, KIND, upstream, request.scheme(), BAD)?;
    // From here on, however long it takes until Lua has a thread for it.
    let deadline = Instant::now() + Duration::from_millis(timeout_ms.into());
    let callout = Callout::new(call.origin(), request, route, deadline);
    call.state.add_callout(callout)
}

/// Where a callout of this kind goes.
///
/// Errors: `error`; the log says why, of a name that is denied once.
pub(super) fn route(
    call: &mut Call,
    kind: &str,
    upstream: &[u8],
    scheme: Scheme,
    error: Status,
) -> Result<Route, Status> {
    let plugin = call.plugin.clone();
    match plugin.upstreams.route(upstream, scheme, Instant::now()) {
        Err(NoRoute::Denied) if !is_news(call, upstream) => Err(error),
        Err(why) => refuse(call, kind, upstream, &why.to_string(), error),
        Ok(route) => Ok(route),
    }
}

/// True for an upstream whose denial is not in the log yet.
fn is_news(call: &mut Call, upstream: &[u8]) -> bool {
    let upstream = &upstream[..upstream.len().min(MAX_SHOWN)];
    let denied = &mut call.state.denied;
    let news = denied.len() < MAX_DENIED && !denied.iter().any(|name| name == upstream);
    if news {
        denied.push(upstream.to_vec());
    }
    news
}

/// Says why a callout of this kind is not made: the guest gets no more than a
/// number.
pub(super) fn refuse<T>(
    call: &mut Call,
    kind: &str,
    upstream: &[u8],
    why: &str,
    error: Status,
) -> Result<T, Status> {
    let upstream = shown(upstream);
    let line = format!("a {kind} to \"{upstream}\" is refused: {why}");
    call.state.log(LogLevel::Error, line.as_bytes());
    Err(error)
}

/// The status of the last answer: of a gRPC callout its own, with its message;
/// of a failed HTTP callout 11, of an answered one 0, each without a message.
pub fn get_status(call: &mut Call) -> Result<u32, Status> {
    let Call { state, out, .. } = call;
    if state.callout_failed() {
        return Ok(Status::BrokenConnection as u32);
    }
    out.extend_from_slice(&state.grpc_news.status_message);
    Ok(state.grpc_news.status)
}
