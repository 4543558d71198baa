//! Host functions: HTTP callouts.

use std::time::Instant;

use super::Call;
use crate::abi::field::shown;
use crate::abi::limits::{MAX_DENIED, MAX_SHOWN};
use crate::abi::types::LogLevel;
use crate::abi::{Status, pairs};
use crate::callout::{NoRoute, Request};
use crate::context::{Callout, Origin};

/// Where nothing else is said, a callout may take this long (milliseconds).
pub(super) const DEFAULT_TIMEOUT_MS: u32 = 60_000;

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
        Ok(0) => DEFAULT_TIMEOUT_MS,
        Ok(_) => timeout,
        Err(_) => return refuse(call, upstream, "its timeout is negative"),
    };
    let (Ok(headers), Ok(trailers)) = (pairs::decode(headers), pairs::decode(trailers)) else {
        return refuse(
            call,
            upstream,
            "its map of headers or trailers is malformed",
        );
    };
    let Ok(request) = Request::from_pairs(&headers, body, &trailers) else {
        let why = "its headers cannot be sent: they must have :method, :path and :authority, \
            each once, and nothing that would end a line";
        return refuse(call, upstream, why);
    };

    let plugin = call.plugin.clone();
    let route = plugin
        .upstreams
        .route(upstream, request.scheme, Instant::now());
    let route = match route {
        Ok(route) => route,
        Err(NoRoute::Denied) if !is_news(call, upstream) => return Err(Status::BadArgument),
        Err(error) => return refuse(call, upstream, &error.to_string()),
    };

    let root = call.root_id();
    let http = call.http().map_or(0, |http| http.id);
    let origin = Origin { root, http };
    let callout = Callout::new(origin, request, route, timeout_ms);
    call.state.add_callout(callout)
}

/// True for an upstream whose denial is not in the log yet.
pub(super) fn is_news(call: &mut Call, upstream: &[u8]) -> bool {
    let upstream = &upstream[..upstream.len().min(MAX_SHOWN)];
    let denied = &mut call.state.denied;
    let news = denied.len() < MAX_DENIED && !denied.iter().any(|name| name == upstream);
    if news {
        denied.push(upstream.to_vec());
    }
    news
}

/// Says why a callout is not made: the guest gets no more than a number.
fn refuse(call: &mut Call, upstream: &[u8], why: &str) -> Result<u32, Status> {
    let upstream = shown(upstream);
    let line = format!("a callout to \"{upstream}\" is refused: {why}");
    call.state.log(LogLevel::Error, line.as_bytes());
    Err(Status::BadArgument)
}

/// The status of the last answer: of a gRPC callout its own, with its message;
/// of a failed HTTP callout 11, of an answered one 0, each without a message.
pub fn get_status(call: &mut Call) -> Result<u32, Status> {
    let Call { state, out } = call;
    if state.callout_failed() {
        return Ok(Status::BrokenConnection as u32);
    }
    out.extend_from_slice(&state.grpc_news.status_message);
    Ok(state.grpc_news.status)
}
