//! Host functions: properties.

use super::Call;
use super::clocks::wall_clock_nanoseconds;
use super::pseudo;
use super::responses::grpc_status_of;
use super::trailers;
use crate::abi::Status;
use crate::abi::field::shown;
use crate::abi::limits::MAX_WRITTEN;
use crate::abi::property::segments;
use crate::abi::types::LogLevel;
use crate::context::State;
use crate::context::request::RequestState;

/// Where an attribute of Envoy's comes from on this host.
#[derive(Clone, Copy)]
enum Source {
    /// A variable, as text.
    Text(&'static [u8]),
    /// Likewise; empty where there is none.
    TextOrEmpty(&'static [u8]),
    /// A variable that is a decimal number.
    Integer(&'static [u8]),
    /// A variable in seconds with three decimals, to nanoseconds.
    Seconds(&'static [u8]),
    /// True when the variable has this value.
    Is(&'static [u8], &'static [u8]),
    /// Two variables, as `address:port`.
    Address(&'static [u8], &'static [u8]),
    /// The port of the last one of several upstreams.
    UpstreamPort,
    /// A pseudo header of the request.
    Pseudo(&'static [u8]),
    UrlPath,
    /// In Envoy's words: HTTP/2 has no minor version.
    Protocol,
    /// What Content-Length says, else what came of the body.
    RequestSize,
    /// When the request began.
    RequestTime,
    RequestId,
    ResponseCode,
    CodeDetails,
    /// Envoy's bits for what went wrong with the response.
    Flags,
    /// Of the trailers, the headers, or what the status stands for.
    GrpcStatus,
    /// How many upstreams were asked.
    Attempts,
}

/// How the response came about.
enum Origin {
    /// nginx made it, or Lua.
    Here,
    Upstream,
    /// The upstream sent no head, and nginx has answered in its place.
    Failed(Failure),
}

#[derive(Clone, Copy)]
enum Failure {
    Timeout,
    NoConnection,
    Hangup,
}

impl Failure {
    /// Envoy's response flag.
    fn flag(self) -> i64 {
        match self {
            Failure::Timeout => 1 << 2,
            Failure::NoConnection => 1 << 5,
            Failure::Hangup => 1 << 6,
        }
    }

    /// Envoy's words for it.
    fn details(self) -> &'static [u8] {
        match self {
            Failure::Timeout => b"response_timeout",
            Failure::NoConnection => b"upstream_reset_before_response_started{connection_failure}",
            Failure::Hangup => b"upstream_reset_before_response_started{connection_termination}",
        }
    }
}

/// Variables of upstreams have a value for each that was asked: `a, b`, and
/// ` : ` where an internal redirect came between. `-` is none.
fn last_of(list: &[u8]) -> &[u8] {
    let last = list.rsplit(|byte| *byte == b' ').next();
    last.unwrap_or_default()
}

/// Envoy's attributes that nginx has, by their path.
const ATTRIBUTES: &[(&[&[u8]], Source)] = {
    use Source::*;
    &[
        (&[b"request", b"path"], Pseudo(b":path")),
        (&[b"request", b"url_path"], UrlPath),
        (&[b"request", b"host"], Pseudo(b":authority")),
        (&[b"request", b"scheme"], Pseudo(b":scheme")),
        (&[b"request", b"method"], Pseudo(b":method")),
        (&[b"request", b"referer"], Text(b"http_referer")),
        (&[b"request", b"useragent"], Text(b"http_user_agent")),
        (&[b"request", b"time"], RequestTime),
        (&[b"request", b"id"], RequestId),
        (&[b"request", b"protocol"], Protocol),
        (&[b"request", b"query"], TextOrEmpty(b"args")),
        (&[b"request", b"duration"], Seconds(b"request_time")),
        (&[b"request", b"size"], RequestSize),
        (&[b"request", b"total_size"], Integer(b"request_length")),
        (&[b"response", b"code"], ResponseCode),
        (&[b"response", b"code_details"], CodeDetails),
        (&[b"response", b"flags"], Flags),
        (&[b"response", b"grpc_status"], GrpcStatus),
        (&[b"response", b"size"], Integer(b"body_bytes_sent")),
        (&[b"response", b"total_size"], Integer(b"bytes_sent")),
        (
            &[b"response", b"backend_latency"],
            Seconds(b"upstream_response_time"),
        ),
        (
            &[b"source", b"address"],
            Address(b"remote_addr", b"remote_port"),
        ),
        (&[b"source", b"port"], Integer(b"remote_port")),
        (
            &[b"destination", b"address"],
            Address(b"server_addr", b"server_port"),
        ),
        (&[b"destination", b"port"], Integer(b"server_port")),
        (&[b"connection", b"id"], Integer(b"connection")),
        (
            &[b"connection", b"mtls"],
            Is(b"ssl_client_verify", b"SUCCESS"),
        ),
        (
            &[b"connection", b"requested_server_name"],
            TextOrEmpty(b"ssl_server_name"),
        ),
        (&[b"connection", b"tls_version"], Text(b"ssl_protocol")),
        (
            &[b"connection", b"subject_peer_certificate"],
            Text(b"ssl_client_s_dn"),
        ),
        (&[b"upstream", b"address"], Text(b"upstream_addr")),
        (&[b"upstream", b"port"], UpstreamPort),
        (&[b"upstream", b"request_attempt_count"], Attempts),
        (&[b"connection_id"], Integer(b"connection")),
    ]
};

/// Appends the value of a property: Envoy's attributes in Envoy's encodings,
/// headers, `ngx.*` and bare names as nginx variables, what a plugin set.
///
/// Errors: [`Status::NotFound`].
pub fn get_property(call: &mut Call, path: &[u8]) -> Result<(), Status> {
    let path: Vec<&[u8]> = segments(path).collect();
    let Call { state, out } = call;

    match path.as_slice() {
        [b"plugin_name"] => {
            out.extend_from_slice(&state.plugin.name);
            return Ok(());
        }
        // C++ and AssemblyScript plugins look their factory up by it, and
        // abort when it is not found.
        [b"plugin_root_id"] => {
            out.extend_from_slice(&state.plugin.root_id);
            return Ok(());
        }
        [b"plugin_vm_id"] => {
            out.extend_from_slice(&state.plugin.vm_id);
            return Ok(());
        }
        _ => {}
    }

    let request = state.request().map_err(|_| Status::NotFound)?;
    if let Some(value) = request.properties.borrow().get(&join(&path)) {
        out.extend_from_slice(value);
        return Ok(());
    }
    match path.as_slice() {
        [b"request", b"headers", name @ ..] => header(state, &request, name, false, out),
        [b"response", b"headers", name @ ..] => header(state, &request, name, true, out),
        [b"response", b"trailers", name] => trailers::get(&*state.host, &request, name, out),
        [b"ngx", name @ ..] if !name.is_empty() => {
            state.host.variable(request.request, &name.join(&b'.'), out)
        }
        [name] => attribute(state, &request, &path, out)
            .or_else(|_| state.host.variable(request.request, name, out)),
        _ => attribute(state, &request, &path, out),
    }
}

fn join(path: &[&[u8]]) -> Vec<u8> {
    path.join(&0)
}

fn header(
    state: &State,
    request: &RequestState,
    name: &[&[u8]],
    response: bool,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    let [name] = name else {
        return Err(Status::NotFound);
    };
    match (pseudo::is_pseudo(name), response) {
        (true, false) => pseudo::get_request(state, request, name, out),
        (true, true) if *name == pseudo::STATUS => pseudo::get_status(state, request, out),
        (true, true) => Err(Status::NotFound),
        (false, false) => state.host.request_header(request.request, name, out),
        (false, true) => state.host.response_header(request.request, name, out),
    }
}

fn attribute(
    state: &State,
    request: &RequestState,
    path: &[&[u8]],
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    let (_, source) = ATTRIBUTES
        .iter()
        .find(|(known, _)| *known == path)
        .ok_or(Status::NotFound)?;
    let variable = |name: &[u8]| {
        let mut value = Vec::new();
        state
            .host
            .variable(request.request, name, &mut value)
            .map(|()| value)
    };
    let encoding = state.plugin.encoding;

    match *source {
        Source::Text(name) => state.host.variable(request.request, name, out)?,
        Source::TextOrEmpty(name) => match state.host.variable(request.request, name, out) {
            Err(Status::NotFound) => {}
            found => found?,
        },
        Source::Integer(name) => encoding.integer(number(&variable(name)?)?, out),
        Source::Seconds(name) => encoding.integer(nanoseconds(&variable(name)?)?, out),
        Source::Is(name, expected) => {
            encoding.boolean(variable(name).is_ok_and(|value| value == expected), out);
        }
        Source::Address(address, port) => {
            state.host.variable(request.request, address, out)?;
            // A unix socket has none.
            if let Ok(port) = variable(port)
                && !port.is_empty()
            {
                out.push(b':');
                out.extend_from_slice(&port);
            }
        }
        Source::UpstreamPort => {
            let address = variable(b"upstream_addr")?;
            // A unix socket has none.
            let port = address.rsplit(|byte| *byte == b':').next();
            encoding.integer(number(port.unwrap_or_default())?, out);
        }
        Source::Pseudo(name) => pseudo::get_request(state, request, name, out)?,
        Source::UrlPath => {
            let start = out.len();
            pseudo::get_request(state, request, b":path", out)?;
            if let Some(query) = out[start..].iter().position(|byte| *byte == b'?') {
                out.truncate(start + query);
            }
        }
        Source::Protocol => {
            let protocol = variable(b"server_protocol")?;
            out.extend_from_slice(match protocol.as_slice() {
                b"HTTP/2.0" => b"HTTP/2",
                b"HTTP/3.0" => b"HTTP/3",
                other => other,
            });
        }
        Source::RequestSize => {
            let http = state.contexts.http.get(&state.current.effective);
            let body = http.and_then(|http| http.request_body.as_ref());
            let came = body.map_or(0, Vec::len) as i64;
            let size = variable(b"content_length").and_then(|text| number(&text));
            encoding.integer(size.unwrap_or(came), out);
        }
        Source::RequestTime => {
            let age = nanoseconds(&variable(b"request_time")?)?;
            encoding.integer(wall_clock_nanoseconds() as i64 - age, out);
        }
        Source::RequestId => state
            .host
            .request_header(request.request, b"x-request-id", out)
            .or_else(|_| state.host.variable(request.request, b"request_id", out))?,
        Source::ResponseCode => match state.host.response_status(request.request) {
            0 => return Err(Status::NotFound),
            status => encoding.integer(status.into(), out),
        },
        Source::CodeDetails => {
            if state.host.response_status(request.request) == 0 {
                return Err(Status::NotFound);
            }
            match &*request.code_details.borrow() {
                Some(details) => out.extend_from_slice(details),
                None => out.extend_from_slice(match origin(state, request) {
                    Origin::Here => b"direct_response",
                    Origin::Upstream => b"via_upstream",
                    Origin::Failed(failure) => failure.details(),
                }),
            }
        }
        Source::Flags => {
            let local = request.code_details.borrow().is_some();
            encoding.integer(
                match origin(state, request) {
                    Origin::Failed(failure) if !local => failure.flag(),
                    _ => 0,
                },
                out,
            );
        }
        Source::GrpcStatus => {
            let status = state.host.response_status(request.request);
            if status == 0 {
                return Err(Status::NotFound);
            }
            let sent = variable(b"sent_trailer_grpc_status")
                .or_else(|_| variable(b"sent_http_grpc_status"));
            let sent = sent.and_then(|text| number(&text));
            encoding.integer(sent.unwrap_or_else(|_| grpc_status_of(status).into()), out);
        }
        Source::Attempts => {
            let asked = variable(b"upstream_addr")?;
            let asked = asked
                .split(|byte| *byte == b' ')
                .filter(|part| *part != b":");
            encoding.integer(asked.count() as i64, out);
        }
    }
    Ok(())
}

fn origin(state: &State, request: &RequestState) -> Origin {
    let variable = |name: &[u8]| {
        let mut value = Vec::new();
        let found = state.host.variable(request.request, name, &mut value);
        found.map(|()| value)
    };
    let is_none = |name: &[u8]| variable(name).is_ok_and(|list| last_of(&list) == b"-");
    let Ok(status) = variable(b"upstream_status") else {
        return Origin::Here;
    };
    if !is_none(b"upstream_header_time") {
        return Origin::Upstream;
    }
    Origin::Failed(if last_of(&status) == b"504" {
        Failure::Timeout
    } else if is_none(b"upstream_connect_time") {
        Failure::NoConnection
    } else {
        Failure::Hangup
    })
}

/// A decimal number; nginx writes "" or "-" for none, which is not found.
fn number(text: &[u8]) -> Result<i64, Status> {
    str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(Status::NotFound)
}

/// Seconds with three decimals. Of several upstreams (`0.010, 0.002`) the
/// last one answered.
fn nanoseconds(text: &[u8]) -> Result<i64, Status> {
    let text = str::from_utf8(text).map_err(|_| Status::NotFound)?;
    let last = text.rsplit([',', ':']).next().unwrap_or_default().trim();
    let (seconds, fraction) = last.split_once('.').unwrap_or((last, "0"));
    let whole: i64 = seconds.parse().map_err(|_| Status::NotFound)?;
    let millis: i64 = format!("{fraction:0<3}")
        .get(..3)
        .and_then(|digits| digits.parse().ok())
        .ok_or(Status::NotFound)?;
    Ok(whole * 1_000_000_000 + millis * 1_000_000)
}

/// Sets an nginx variable (`ngx.*`, or a bare name that is one), or a value
/// that this and later plugins of the same request can read.
///
/// What stays as it is, an attribute or a variable that nginx does not let be
/// set, or anything outside a request, is logged and answered with OK: SDKs
/// panic on anything else.
pub fn set_property(call: &mut Call, path: &[u8], value: &[u8]) -> Result<(), Status> {
    let path: Vec<&[u8]> = segments(path).collect();
    let Ok(request) = call.request() else {
        refuse(call, &path.join(&b'.'), "there is no request here");
        return Ok(());
    };
    if !call
        .state
        .spend(path.iter().map(|part| part.len() + 1).sum::<usize>() + value.len())
    {
        let why = format!("a plugin writes no more than {MAX_WRITTEN} bytes into a request");
        refuse(call, &path.join(&b'.'), &why);
        return Ok(());
    }
    let host = call.host.clone();

    let (variable, only) = match path.as_slice() {
        [b"ngx", name @ ..] if !name.is_empty() => (name.join(&b'.'), true),
        // Where there is no such variable it is a value of the plugin's own.
        [name] => (name.to_vec(), false),
        _ => (Vec::new(), false),
    };
    let set = if variable.is_empty() {
        Err(Status::NotFound)
    } else {
        host.set_variable(request.request, &variable, value)
    };
    match set {
        Ok(()) => return Ok(()),
        Err(Status::NotFound) if !only => {}
        Err(Status::NotFound) => {
            refuse(call, &variable, "nginx has no such variable");
            return Ok(());
        }
        Err(_) => {
            let why = "the nginx variable cannot be set, or not to this";
            refuse(call, &variable, why);
            return Ok(());
        }
    }
    if is_read_only(&path) {
        refuse(call, &path.join(&b'.'), "it is read-only");
        return Ok(());
    }
    let mut properties = request.properties.borrow_mut();
    properties.insert(join(&path), value.to_vec());
    Ok(())
}

/// What the host says of a request, a response or a plugin.
fn is_read_only(path: &[&[u8]]) -> bool {
    matches!(
        path,
        [b"request" | b"response", b"headers" | b"trailers", ..]
            | [b"plugin_name" | b"plugin_root_id" | b"plugin_vm_id"]
    ) || ATTRIBUTES.iter().any(|(known, _)| *known == path)
}

/// Says why a property stays as it is.
fn refuse(call: &mut Call, name: &[u8], why: &str) {
    let line = format!("cannot set the property {}: {why}", shown(name));
    call.state.log(LogLevel::Warn, line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_nanoseconds() {
        assert_eq!(nanoseconds(b"1.005"), Ok(1_005_000_000));
        assert_eq!(nanoseconds(b"0.010, 0.002"), Ok(2_000_000));
        assert_eq!(nanoseconds(b"3"), Ok(3_000_000_000));
        assert_eq!(nanoseconds(b"-"), Err(Status::NotFound));
        assert_eq!(nanoseconds(b""), Err(Status::NotFound));
    }
}
