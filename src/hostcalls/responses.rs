//! Host functions: local responses.

use super::Call;
use super::buffers::refuse_body;
use crate::abi::Status;
use crate::abi::field::ends_line;
use crate::abi::limits::MAX_DETAILS;
use crate::abi::types::LogLevel;
use crate::context::request::{Header, RequestState};
use crate::context::state::owned_pairs;
use crate::context::{Effect, LocalResponse, Stage};
use crate::host::Phase;

const CONTENT_TYPE: &[u8] = b"content-type";

/// Answers the request of the effective http context. The first answer wins;
/// what comes after the response's headers are on their way is logged and
/// ignored.
///
/// What is wrong with it is logged, and no error for the guest: SDKs panic on
/// anything but OK, and the request must not pass for it. A status that no
/// final response has becomes 500, and so does one with too large a body.
pub fn send_local_response(
    call: &mut Call,
    status: u32,
    details: &[u8],
    body: &[u8],
    headers: &[u8],
    grpc_status: u32,
) -> Result<(), Status> {
    let headers = owned_pairs(headers).unwrap_or_else(|_| {
        let line = b"a local response goes without its headers: their map is malformed";
        call.state.log(LogLevel::Warn, line);
        Vec::new()
    });
    let status = match status {
        200..=999 => status,
        _ => {
            let line = format!("a local response has the status {status}, which is none: 500");
            call.state.log(LogLevel::Error, line.as_bytes());
            500
        }
    };
    let limit = call.plugin.limits.written_body;
    if body.len() > limit {
        refuse_body(call, limit);
        return send_local_response(call, 500, details, b"", b"", grpc_status);
    }
    let Ok(request) = call.request() else {
        call.state.log(
            LogLevel::Warn,
            b"a local response is ignored: there is no request here",
        );
        return Ok(());
    };
    let Some(http) = call.http().filter(|http| !http.answered) else {
        return Ok(());
    };
    let stage = http.stage;
    // Between the header filter and the first piece of the body its stage is the
    // headers' still.
    let in_header_filter = stage == Stage::ResponseHeaders
        && call.state.host.phase(request.request) == Phase::HeaderFilter;
    if stage >= Stage::ResponseHeaders && !in_header_filter {
        call.state.log(
            LogLevel::Warn,
            b"a local response is ignored: the response is on its way",
        );
        return Ok(());
    }

    if let Some(http) = call.http() {
        http.answered = true;
        http.paused = false;
    }
    let mut response = LocalResponse {
        status,
        details: printable(details),
        headers: one_spelling(headers.into_iter().filter(is_legal).collect()),
        body: body.to_vec(),
        grpc_status: grpc_status as i32,
    };
    if is_grpc(call, &request) {
        make_trailers_only(&mut response);
    } else if response.may_have_body() {
        say_what_it_is(&mut response);
    } else {
        response.body.clear();
    }
    *request.code_details.borrow_mut() = Some(response.details.clone());
    let is_head = in_header_filter && call.state.host.is_head(request.request);
    if in_header_filter && let Some(http) = call.http() {
        http.replacement = Some(response.keep_for_body_filter(is_head));
        request.answer_response(&response);
    }
    call.state.push_effect(Effect::LocalResponse(response))
}

/// Neither pseudo headers, nor what would be written into the message, nor
/// what frames it.
fn is_legal((name, value): &Header) -> bool {
    const FRAMING: [&[u8]; 4] = [
        b"connection",
        b"content-length",
        b"keep-alive",
        b"transfer-encoding",
    ];
    let clean = |text: &[u8]| !text.iter().any(ends_line);
    let framing = FRAMING.iter().any(|own| name.eq_ignore_ascii_case(own));
    !name.is_empty() && name[0] != b':' && !framing && clean(name) && clean(value)
}

/// Spells each name as it came first: Lua takes names in different case for
/// different headers, and would set the second over the first.
fn one_spelling(mut headers: Vec<Header>) -> Vec<Header> {
    for index in 1..headers.len() {
        let (before, rest) = headers.split_at_mut(index);
        let (name, _) = &mut rest[0];
        if let Some((first, _)) = before.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            name.clone_from(first);
        }
    }
    headers
}

/// A body without a type is text, as on Envoy.
fn say_what_it_is(response: &mut LocalResponse) {
    let says = |(name, _): &Header| name.eq_ignore_ascii_case(CONTENT_TYPE);
    if !response.body.is_empty() && !response.headers.iter().any(says) {
        let text = (CONTENT_TYPE.to_vec(), b"text/plain".to_vec());
        response.headers.push(text);
    }
}

/// A gRPC request by its content type, as Envoy tells it.
fn is_grpc(call: &Call, request: &RequestState) -> bool {
    let mut value = Vec::new();
    let host = &call.state.host;
    host.request_header(request.request, b"content-type", &mut value)
        .is_ok()
        && value
            .strip_prefix(b"application/grpc")
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'+')
}

/// What a gRPC client understands: 200, the status and the message as headers
/// and no body at all, which is a response of trailers only.
fn make_trailers_only(response: &mut LocalResponse) {
    let status = match response.grpc_status {
        -1 => grpc_status_of(response.status),
        status => status,
    };
    response
        .headers
        .retain(|(name, _)| !name.eq_ignore_ascii_case(CONTENT_TYPE));
    let mut add = |name: &[u8], value: Vec<u8>| response.headers.push((name.to_vec(), value));
    add(CONTENT_TYPE, b"application/grpc".to_vec());
    add(b"grpc-status", status.to_string().into_bytes());
    let message = std::mem::take(&mut response.body);
    if !message.is_empty() {
        add(b"grpc-message", percent_encoded(&message));
    }
    response.status = 200;
}

/// The gRPC specification's mapping of HTTP statuses, as Envoy has it.
pub fn grpc_status_of(status: u32) -> i32 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// The encoding of `grpc-message`.
fn percent_encoded(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'%' | ..b' ' | 0x7f.. => encoded.extend(format!("%{byte:02X}").bytes()),
            _ => encoded.push(*byte),
        }
    }
    encoded
}

fn printable(details: &[u8]) -> Vec<u8> {
    let keep = |byte: &u8| !ends_line(byte);
    details
        .iter()
        .copied()
        .filter(keep)
        .take(MAX_DETAILS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_spelled_as_it_came_first() {
        let pair = |name: &str, value: &str| (name.into(), value.into());
        let headers = vec![
            pair("Set-Cookie", "a"),
            pair("x", "1"),
            pair("SET-cookie", "b"),
        ];
        let expected = [
            pair("Set-Cookie", "a"),
            pair("x", "1"),
            pair("Set-Cookie", "b"),
        ];
        assert_eq!(one_spelling(headers), expected);
    }

    #[test]
    fn a_grpc_message_is_ascii() {
        assert_eq!(
            percent_encoded("a b%~ü\n\x7f".as_bytes()),
            b"a b%25~%C3%BC%0A%7F"
        );
    }

    #[test]
    fn grpc_statuses_follow_the_specification() {
        let map = [
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (429, 14),
            (502, 14),
            (503, 14),
            (504, 14),
        ];
        for (http, grpc) in map {
            assert_eq!(grpc_status_of(http), grpc);
        }
        assert_eq!([grpc_status_of(200), grpc_status_of(500)], [2, 2]);
    }
}
