//! Host functions: streams go on, or end.

use super::Call;
use crate::abi::Status;
use crate::abi::types::{LogLevel, StreamType};
use crate::context::Effect;

pub fn continue_stream(call: &mut Call, stream: StreamType) -> Result<(), Status> {
    match stream {
        StreamType::HttpRequest | StreamType::HttpResponse => {
            let id = call.current.effective;
            call.state.resume(id);
            Ok(())
        }
        StreamType::Downstream | StreamType::Upstream => {
            ignore(call, stream);
            Ok(())
        }
    }
}

/// There are no network filters here. Envoy's HTTP filters answer UNIMPLEMENTED
/// to the upstream's stream, at which SDKs panic.
fn ignore(call: &mut Call, stream: StreamType) {
    if stream == StreamType::Upstream {
        let line = b"a stream is left alone: there are no TCP connections to upstreams here";
        call.state.log(LogLevel::Warn, line);
    }
}

pub fn continue_request(call: &mut Call) -> Result<(), Status> {
    continue_stream(call, StreamType::HttpRequest)
}

pub fn continue_response(call: &mut Call) -> Result<(), Status> {
    continue_stream(call, StreamType::HttpResponse)
}

/// Closes the client's connection without an answer, while nginx still can.
pub fn close_stream(call: &mut Call, stream: StreamType) -> Result<(), Status> {
    match stream {
        StreamType::HttpRequest | StreamType::HttpResponse => {
            // As with continue: a root context has none.
            let Some(http) = call.http() else {
                return Ok(());
            };
            http.answered = true;
            http.paused = false;
            call.state.push_effect(Effect::CloseStream)
        }
        StreamType::Downstream | StreamType::Upstream => {
            ignore(call, stream);
            Ok(())
        }
    }
}

/// Nothing is cached: nginx chooses the upstream when the request phases are
/// over, by the `:path` of then.
pub fn clear_route_cache(_: &mut Call) -> Result<(), Status> {
    Ok(())
}
