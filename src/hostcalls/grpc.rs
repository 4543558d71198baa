//! Host functions: gRPC callouts.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Call;
use super::callouts::{refuse, route};
use crate::abi::limits::DEFAULT_CALLOUT_TIMEOUT_MS;
use crate::abi::types::LogLevel;
use crate::abi::{Status, pairs};
use crate::callout::Scheme;
use crate::callout::grpc::{Call as GrpcCall, Head, Kind, Outbox, Service};

/// What the log calls it.
const KIND: &str = "gRPC callout";

/// Leaves a call of one message for a connection.
///
/// Errors: as [`begin`]; [`Status::InternalFailure`] for a message that is too
/// large.
#[allow(clippy::too_many_arguments, reason = "the specification's")]
pub fn grpc_call(
    call: &mut Call,
    upstream: &[u8],
    service: &[u8],
    method: &[u8],
    metadata: &[u8],
    message: &[u8],
    timeout: u32,
) -> Result<u32, Status> {
    let timeout_ms = match timeout {
        0 => DEFAULT_CALLOUT_TIMEOUT_MS,
        // A stream has no end; some hosts take that for one.
        _ => timeout.min(i32::MAX as u32),
    };
    let deadline = Instant::now() + Duration::from_millis(timeout_ms.into());
    let outbox = Outbox::default();
    if !outbox.send(message) {
        let error = Status::InternalFailure;
        return refuse(call, KIND, upstream, "its message is too large", error);
    }
    outbox.end();
    begin(
        call,
        upstream,
        (service, method, metadata),
        Kind::Call,
        Some(deadline),
        outbox,
    )
}

/// Leaves a stream of messages, each way, for a connection.
///
/// Errors: as [`begin`].
pub fn grpc_stream(
    call: &mut Call,
    upstream: &[u8],
    service: &[u8],
    method: &[u8],
    metadata: &[u8],
) -> Result<u32, Status> {
    let head = (service, method, metadata);
    begin(call, upstream, head, Kind::Stream, None, Outbox::default())
}

/// Errors: [`Status::ParseFailure`] for what is no upstream, as on Envoy;
/// [`Status::InternalFailure`] for what cannot be sent. SDKs panic on others.
fn begin(
    call: &mut Call,
    upstream: &[u8],
    (service, method, metadata): (&[u8], &[u8], &[u8]),
    kind: Kind,
    deadline: Option<Instant>,
    outbox: Outbox,
) -> Result<u32, Status> {
    let plugin = call.plugin.clone();
    // Envoy takes a name for a message that happens to look like one.
    let message = match plugin.upstreams.find(upstream) {
        Some(_) => None,
        None => Service::parse(upstream),
    };
    let message = message.unwrap_or(Service {
        target: upstream,
        ..Service::default()
    });

    let Ok(mut metadata) = pairs::decode(metadata) else {
        let why = "its map of metadata is malformed";
        return refuse(call, KIND, upstream, why, Status::InternalFailure);
    };
    metadata.extend_from_slice(&message.metadata);
    if let Some(authority) = message.authority
        && !metadata.iter().any(|(name, _)| *name == b":authority")
    {
        metadata.push((b":authority", authority));
    }
    let head = match Head::new(service, method, &metadata) {
        Ok(head) => head,
        Err(error) => {
            return refuse(
                call,
                KIND,
                upstream,
                &error.to_string(),
                Status::InternalFailure,
            );
        }
    };

    let scheme = match message.tls {
        true => Scheme::Https,
        false => Scheme::Http,
    };
    let route = route(call, KIND, message.target, scheme, Status::ParseFailure)?;
    let asked = GrpcCall {
        kind,
        route,
        head,
        deadline,
        outbox: Rc::new(outbox),
        share: call.state.answers.clone(),
        returned: 0,
    };
    let origin = call.origin();
    call.state.add_grpc(origin, asked)
}

/// Sends a message on a stream; with `end_of_stream` it is the last one. On a
/// stream that the upstream has ended it says nothing to anybody.
///
/// Errors: [`Status::NotFound`] for a token that is none;
/// [`Status::BadArgument`] for a token that is no stream's, after the end, and
/// when the upstream has not taken what it was sent before.
pub fn grpc_send(
    call: &mut Call,
    token: u32,
    message: &[u8],
    end_of_stream: u32,
) -> Result<(), Status> {
    if call.callouts.contains_key(&token) {
        return Err(Status::BadArgument);
    }
    let stream = call.grpc.get(&token).ok_or(Status::NotFound)?;
    if stream.kind != Kind::Stream {
        return Err(Status::BadArgument);
    }
    if stream.over {
        return Ok(());
    }
    let outbox = stream.outbox.clone();
    let upstream = stream.upstream.clone();
    let why = if outbox.is_ended() {
        "it was closed before"
    } else if !call.state.has_room_for(message.len()) {
        return Err(Status::BadArgument);
    } else if !outbox.send(message) {
        "the upstream has not taken what was sent before"
    } else {
        if end_of_stream != 0 {
            outbox.end();
        }
        call.state.wake_grpc(&outbox);
        return Ok(());
    };
    let line = format!("a message for a gRPC stream to {upstream} is refused: {why}");
    call.state.log(LogLevel::Error, line.as_bytes());
    Err(Status::BadArgument)
}

/// Ends a call or a stream at once; no callback follows.
///
/// Errors: [`Status::NotFound`] for a token that is none.
pub fn grpc_cancel(call: &mut Call, token: u32) -> Result<(), Status> {
    match call.state.finish_grpc(token) {
        true => Ok(()),
        false => Err(Status::NotFound),
    }
}

/// Says that no message follows on a stream; the upstream's still come. Ends a
/// call at once.
///
/// Errors: [`Status::NotFound`] for a token that is none.
pub fn grpc_close(call: &mut Call, token: u32) -> Result<(), Status> {
    let open = call.grpc.get(&token).ok_or(Status::NotFound)?;
    if open.kind == Kind::Call || open.over {
        return grpc_cancel(call, token);
    }
    let outbox = open.outbox.clone();
    outbox.end();
    call.state.wake_grpc(&outbox);
    Ok(())
}
