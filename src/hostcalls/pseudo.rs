//! Pseudo headers: what HTTP/2 has as fields, nginx has in other places.

use super::Call;
use crate::abi::Status;
use crate::abi::field::{percent_decoded, shown};
use crate::abi::types::LogLevel;
use crate::context::request::RequestState;
use crate::context::{Effect, Stage, State};

/// The pseudo headers of a request, in the order in which they are listed.
pub const REQUEST: [&[u8]; 4] = [b":authority", b":path", b":method", b":scheme"];

pub const STATUS: &[u8] = b":status";

/// True for a request header that lists have beside the pseudo headers. Host
/// is `:authority` there, and how the client has framed the body is no matter
/// of the request's, as on Envoy.
pub fn is_listed(key: &[u8]) -> bool {
    key != b"host" && key != b"transfer-encoding"
}

pub fn is_pseudo(key: &[u8]) -> bool {
    key.first() == Some(&b':')
}

/// Appends the value of a request's pseudo header.
pub fn get_request(
    state: &State,
    request: &RequestState,
    key: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    let host = &state.host;
    match lower(key).as_slice() {
        b":method" => host.variable(request.request, b"request_method", out),
        b":scheme" => host.variable(request.request, b"scheme", out),
        b":authority" => host
            .request_header(request.request, b"host", out)
            .or_else(|_| host.variable(request.request, b"host", out)),
        b":path" if state.plugin.only_text_headers => {
            let mut raw = Vec::new();
            path(state, request, &mut raw)?;
            out.extend(as_text(&raw));
            Ok(())
        }
        b":path" => path(state, request, out),
        _ => Err(Status::NotFound),
    }
}

/// A path that means the same, in UTF-8: without it a plugin would take the
/// request for none.
fn as_text(path: &[u8]) -> Vec<u8> {
    if str::from_utf8(path).is_ok() {
        return path.to_vec();
    }
    let mut text = Vec::with_capacity(path.len());
    escape(path, |byte| byte >= 0x80, &mut text);
    text
}

/// Appends a text with `%XX` for some of its bytes.
fn escape(text: &[u8], is_escaped: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    for &byte in text {
        match is_escaped(byte) {
            true => out.extend(format!("%{byte:02X}").bytes()),
            false => out.push(byte),
        }
    }
}

/// True for what nginx escapes in a path that it holds decoded, when it sends it
/// to an upstream.
fn is_escaped_by_nginx(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'#' | b'%' | b'?' | 0x7f..)
}

/// `:path`: what a plugin set, or what the client sent until nginx rewrote it.
fn path(state: &State, request: &RequestState, out: &mut Vec<u8>) -> Result<(), Status> {
    if let Some(path) = &*request.path.borrow() {
        out.extend_from_slice(path);
        return Ok(());
    }
    let mut sent = Vec::new();
    let mut uri = Vec::new();
    state
        .host
        .variable(request.request, b"request_uri", &mut sent)?;
    let rewritten = state
        .host
        .variable(request.request, b"uri", &mut uri)
        .is_ok()
        && is_rewritten(&sent, &uri);
    if !rewritten {
        out.extend_from_slice(&sent);
        return Ok(());
    }
    escape(&uri, is_escaped_by_nginx, out);
    let mut args = Vec::new();
    if state
        .host
        .variable(request.request, b"args", &mut args)
        .is_ok()
        && !args.is_empty()
    {
        out.push(b'?');
        out.extend_from_slice(&args);
    }
    Ok(())
}

/// True when nginx's current (decoded, normalized) uri is not the one that was
/// sent. Where nginx normalizes a path, the two differ without a rewrite: then
/// what was sent stands.
fn is_rewritten(sent: &[u8], uri: &[u8]) -> bool {
    let path = sent
        .split(|byte| matches!(byte, b'?' | b'#'))
        .next()
        .unwrap_or_default();
    let normalized = path.windows(2).any(|pair| pair == b"//" || pair == b"/.");
    !normalized && path.first() == Some(&b'/') && percent_decoded(path) != uri
}

/// Resolves the segments `.` and `..`, as nginx does with what clients send:
/// below, nothing else would keep a path inside its root. `None`: it leads
/// above the root, or is none.
fn without_dots(path: &[u8]) -> Option<Vec<u8>> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut parts = path
        .strip_prefix(b"/")?
        .split(|byte| *byte == b'/')
        .peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            b".." => drop(segments.pop()?),
            b"." => {}
            _ => {
                segments.push(part);
                continue;
            }
        }
        // What remains is a folder.
        if last {
            segments.push(b"");
        }
    }
    let mut resolved = vec![b'/'];
    resolved.extend_from_slice(&segments.join(&b'/'));
    Some(resolved)
}

/// Sets a request's pseudo header. What nginx cannot do is logged and answered
/// with OK: SDKs panic on anything else.
pub fn set_request(
    call: &mut Call,
    request: &RequestState,
    key: &[u8],
    value: &[u8],
) -> Result<(), Status> {
    match lower(key).as_slice() {
        b":method" => {
            if call.host.set_method(request.request, value).is_err() {
                refuse(call, key, value, "nginx does not know the method");
            }
        }
        b":authority" => {
            let host = call.host.clone();
            if host
                .set_request_header(request.request, b"host", value, true)
                .is_err()
            {
                refuse(call, key, value, "nginx refuses it");
            }
        }
        name => {
            // Plugins read the whole map, change it and write it back. What is as
            // it was read stays: nginx keeps a path decoded only, and to set it
            // anew could make another of it.
            let mut current = Vec::new();
            let known = get_request(call.state, request, key, &mut current);
            if known.is_ok() && current == value {
                return Ok(());
            }
            if name == b":path" {
                return set_path(call, request, value);
            }
            refuse(call, key, value, "it is read-only");
        }
    }
    Ok(())
}

fn set_path(call: &mut Call, request: &RequestState, value: &[u8]) -> Result<(), Status> {
    let (path, query) = match value.iter().position(|byte| *byte == b'?') {
        Some(at) => (&value[..at], &value[at + 1..]),
        None => (value, &value[..0]),
    };
    let path = without_dots(&percent_decoded(path)).unwrap_or_default();
    let legal = path.first() == Some(&b'/')
        && !path
            .iter()
            .chain(query)
            .any(|byte| *byte < b' ' || *byte == 0x7f)
        && !query.contains(&b' ');
    if !legal {
        refuse(call, b":path", value, "it is no path");
        return Ok(());
    }
    if call
        .http()
        .is_some_and(|http| http.stage > Stage::RequestBody)
    {
        refuse(call, b":path", value, "the request is on its way");
        return Ok(());
    }
    *request.path.borrow_mut() = Some(value.to_vec());
    let query = query.to_vec();
    call.state.push_effect(Effect::SetPath { path, query })
}

/// Appends `:status`.
pub fn get_status(state: &State, request: &RequestState, out: &mut Vec<u8>) -> Result<(), Status> {
    match state.host.response_status(request.request) {
        0 => Err(Status::NotFound),
        status => {
            out.extend_from_slice(status.to_string().as_bytes());
            Ok(())
        }
    }
}

pub fn set_status(call: &mut Call, request: &RequestState, value: &[u8]) -> Result<(), Status> {
    let status = str::from_utf8(value)
        .ok()
        // parse() alone would take a sign.
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse::<u32>().ok())
        .filter(|status| (100..=599).contains(status));
    let set = status.map(|status| call.host.set_response_status(request.request, status));
    match set {
        Some(Ok(())) => {}
        Some(Err(_)) => refuse(call, STATUS, value, "the response is on its way"),
        None => refuse(call, STATUS, value, "it is no status"),
    }
    Ok(())
}

/// Logs why a header stays as it is.
pub fn refuse(call: &mut Call, key: &[u8], value: &[u8], why: &str) {
    let line = format!("cannot set {} to \"{}\": {why}", shown(key), shown(value));
    call.state.log(LogLevel::Warn, line.as_bytes());
}

fn lower(key: &[u8]) -> Vec<u8> {
    key.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_decoded_only_where_two_digits_follow() {
        assert_eq!(percent_decoded(b"/a%20b%2Fc"), b"/a b/c");
        assert_eq!(percent_decoded(b"/100%"), b"/100%");
        assert_eq!(percent_decoded(b"%zz%4"), b"%zz%4");
    }

    #[test]
    fn dots_are_resolved_and_nothing_leads_above_the_root() {
        let resolve = |path: &str| without_dots(path.as_bytes());
        let check = |path: &str, expected: &str| {
            assert_eq!(resolve(path), Some(expected.as_bytes().to_vec()), "{path}");
        };
        check("/", "/");
        check("/a/b", "/a/b");
        check("/a/b/", "/a/b/");
        check("/a/./b", "/a/b");
        check("/a/../b", "/b");
        check("/a/b/..", "/a/");
        check("/a/.", "/a/");
        check("/a/..", "/");
        check("/a//b", "/a//b");
        check("/a//..", "/a/");
        check("/...", "/...");
        check("/a/..b/.c", "/a/..b/.c");
        for path in ["/..", "/../a", "/a/../../b", "/./..", "//../..", "a", ""] {
            assert_eq!(resolve(path), None, "{path}");
        }
    }

    #[test]
    fn only_a_real_rewrite_counts_as_one() {
        assert!(!is_rewritten(b"/a?b=c", b"/a"));
        assert!(!is_rewritten(b"/a%20b", b"/a b"));
        assert!(!is_rewritten(b"/a//b/../c", b"/a/c"));
        assert!(!is_rewritten(b"http://host/a", b"/a"));
        assert!(is_rewritten(b"/a?b=c", b"/other"));
    }
}
