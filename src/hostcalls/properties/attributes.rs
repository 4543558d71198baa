//! Envoy's attributes: where each comes from on nginx, and its value.

use super::certificate::{self, Detail};
use crate::abi::Status;
use crate::abi::pairs::Encoder;
use crate::abi::property::Encoding;
use crate::context::State;
use crate::context::request::{Header, RequestState};
use crate::hostcalls::clocks::wall_clock_nanoseconds;
use crate::hostcalls::responses::grpc_status_of;
use crate::hostcalls::{headers, pseudo, trailers};

/// Where an attribute of Envoy's comes from on this host.
#[derive(Clone, Copy)]
enum Source {
    /// Always empty: a name that nobody has given, a message without fields.
    Empty,
    /// Always an empty map.
    EmptyMap,
    /// Always 0.
    Zero,
    /// What nginx is called.
    Nginx,
    /// Envoy's message about the proxy itself.
    Node,
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
    /// The last one of several upstreams.
    UpstreamAddress,
    /// Its port.
    UpstreamPort,
    /// A pseudo header of the request.
    Pseudo(&'static [u8]),
    UrlPath,
    Query,
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
    /// Why the upstream was not reached.
    TransportFailure,
    /// Where the upstream is: never said, once there is one.
    Locality,
    RequestHeaders,
    /// Bytes of the names and values of the request headers.
    HeaderBytes,
    ResponseHeaders,
    ResponseTrailers,
    /// Of the certificate that the client has shown.
    Certificate(Detail),
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

    /// Likewise, of the connection alone.
    fn of_transport(self) -> &'static [u8] {
        match self {
            Failure::NoConnection => b"connection failure",
            Failure::Timeout | Failure::Hangup => b"",
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

const NGINX: &[u8] = b"nginx";

/// The first segment of a path, and what there is behind it.
type Group = (&'static [u8], &'static [(&'static [u8], Source)]);

/// Envoy's attributes that nginx has, by the first segment of their path, and
/// by the rest of it.
const ATTRIBUTES: &[Group] = {
    use Source::*;
    &[
        (
            b"request",
            &[
                (b"path", Pseudo(b":path")),
                (b"url_path", UrlPath),
                (b"host", Pseudo(b":authority")),
                (b"scheme", Pseudo(b":scheme")),
                (b"method", Pseudo(b":method")),
                (b"headers", RequestHeaders),
                (b"referer", Text(b"http_referer")),
                (b"useragent", Text(b"http_user_agent")),
                (b"time", RequestTime),
                (b"id", RequestId),
                (b"protocol", Protocol),
                (b"query", Query),
                (b"duration", Seconds(b"request_time")),
                (b"size", RequestSize),
                (b"total_size", Integer(b"request_length")),
                (b"headers_bytes", HeaderBytes),
            ],
        ),
        (
            b"response",
            &[
                (b"code", ResponseCode),
                (b"code_details", CodeDetails),
                (b"flags", Flags),
                (b"grpc_status", GrpcStatus),
                (b"headers", ResponseHeaders),
                (b"trailers", ResponseTrailers),
                (b"size", Integer(b"body_bytes_sent")),
                (b"total_size", Integer(b"bytes_sent")),
                (b"backend_latency", Seconds(b"upstream_response_time")),
            ],
        ),
        (
            b"source",
            &[
                (b"address", Address(b"remote_addr", b"remote_port")),
                (b"port", Integer(b"remote_port")),
            ],
        ),
        (
            b"destination",
            &[
                (b"address", Address(b"server_addr", b"server_port")),
                (b"port", Integer(b"server_port")),
            ],
        ),
        (
            b"connection",
            &[
                (b"id", Integer(b"connection")),
                (b"mtls", Is(b"ssl_client_verify", b"SUCCESS")),
                (b"requested_server_name", TextOrEmpty(b"ssl_server_name")),
                (b"tls_version", Text(b"ssl_protocol")),
                (b"subject_peer_certificate", Text(b"ssl_client_s_dn")),
                (b"dns_san_peer_certificate", Certificate(Detail::DnsName)),
                (b"uri_san_peer_certificate", Certificate(Detail::Uri)),
                (
                    b"sha256_peer_certificate_digest",
                    Certificate(Detail::Digest),
                ),
            ],
        ),
        (b"connection_id", &[(b"", Integer(b"connection"))]),
        (
            b"upstream",
            &[
                (b"address", UpstreamAddress),
                (b"port", UpstreamPort),
                (b"request_attempt_count", Attempts),
                (b"cx_pool_ready_duration", Seconds(b"upstream_connect_time")),
                (b"transport_failure_reason", TransportFailure),
                (b"locality", Locality),
            ],
        ),
        (
            b"metadata",
            &[
                (b"", Empty),
                (b"filter_metadata", EmptyMap),
                (b"typed_filter_metadata", EmptyMap),
            ],
        ),
        (
            b"xds",
            &[
                (b"node", Node),
                (b"node\0id", Empty),
                (b"node\0cluster", Empty),
                (b"node\0user_agent_name", Nginx),
                (b"node\0metadata", EmptyMap),
                (b"node\0locality", Empty),
                (b"node\0locality\0region", Empty),
                (b"node\0locality\0zone", Empty),
                (b"node\0locality\0sub_zone", Empty),
                (b"cluster_metadata", Empty),
                (b"cluster_metadata\0filter_metadata", EmptyMap),
                (b"cluster_metadata\0typed_filter_metadata", EmptyMap),
                (b"route_name", Empty),
                (b"route_metadata", Empty),
                (b"route_metadata\0filter_metadata", EmptyMap),
                (b"route_metadata\0typed_filter_metadata", EmptyMap),
                (b"virtual_host_name", Text(b"server_name")),
                (b"virtual_host_metadata", Empty),
                (b"virtual_host_metadata\0filter_metadata", EmptyMap),
                (b"virtual_host_metadata\0typed_filter_metadata", EmptyMap),
                (b"filter_chain_name", Empty),
                (b"listener_direction", Zero),
                (b"listener_metadata", Empty),
                (b"listener_metadata\0filter_metadata", EmptyMap),
                (b"listener_metadata\0typed_filter_metadata", EmptyMap),
            ],
        ),
    ]
};

fn find(group: &[u8], name: &[u8]) -> Option<Source> {
    let (_, attributes) = ATTRIBUTES.iter().find(|(known, _)| *known == group)?;
    let (_, source) = attributes.iter().find(|(known, _)| *known == name)?;
    Some(*source)
}

/// True for the path of an attribute: its first segment, and the rest.
pub fn knows(group: &[u8], name: &[u8]) -> bool {
    find(group, name).is_some()
}

/// Appends an attribute that needs no request.
///
/// Errors: [`Status::NotFound`].
pub fn get_anywhere(group: &[u8], name: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let of_the_node = name == b"node" || name.starts_with(b"node\0");
    if group != b"xds" || !of_the_node {
        return Err(Status::NotFound);
    }
    let source = find(group, name).ok_or(Status::NotFound)?;
    constant(source, Encoding::Binary, out);
    Ok(())
}

/// Appends an attribute of a request.
///
/// Errors: [`Status::NotFound`].
pub fn get(
    state: &mut State,
    request: &RequestState,
    group: &[u8],
    name: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    let source = find(group, name).ok_or(Status::NotFound)?;
    let variable = |name: &[u8]| {
        let mut value = Vec::new();
        state
            .host
            .variable(request.request, name, &mut value)
            .map(|()| value)
    };
    let encoding = state.plugin.encoding;

    match source {
        Source::Empty | Source::EmptyMap | Source::Zero | Source::Nginx | Source::Node => {
            constant(source, encoding, out);
        }
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
        Source::UpstreamAddress => {
            out.extend_from_slice(last_of(&variable(b"upstream_addr")?));
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
        Source::Query => match &*request.path.borrow() {
            // Set by the plugin, and not yet nginx's.
            Some(path) => {
                let query = path.iter().position(|byte| *byte == b'?');
                out.extend_from_slice(&path[query.map_or(path.len(), |query| query + 1)..]);
            }
            None => out.extend_from_slice(&variable(b"args").unwrap_or_default()),
        },
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
            let asked = variable(b"upstream_addr").unwrap_or_default();
            let asked = asked
                .split(|byte| *byte == b' ')
                .filter(|part| !part.is_empty() && *part != b":");
            encoding.integer(asked.count() as i64, out);
        }
        Source::TransportFailure => match origin(state, request) {
            Origin::Here => return Err(Status::NotFound),
            Origin::Upstream => {}
            Origin::Failed(failure) => out.extend_from_slice(failure.of_transport()),
        },
        Source::Locality => drop(variable(b"upstream_addr")?),
        Source::RequestHeaders => {
            let mut map = Map::default();
            headers::visit_request(state, request, |key, value| map.push(key, value))?;
            map.write(out);
        }
        Source::HeaderBytes => {
            let mut size = 0;
            headers::visit_request(state, request, |key, value| size += key.len() + value.len())?;
            encoding.integer(size as i64, out);
        }
        Source::ResponseHeaders => {
            let unknown = request.response_headers.borrow().is_none();
            // nginx has no list of them, and Lua has not made one.
            if unknown && state.host.response_status(request.request) != 0 {
                return Err(Status::NotFound);
            }
            let mut map = Map::default();
            headers::visit_response(state, request, |key, value| map.push(key, value));
            map.write(out);
        }
        Source::ResponseTrailers => {
            let mut map = Map::default();
            trailers::visit(&*state.host, request, &mut |key, value| {
                map.push(key, value)
            });
            map.write(out);
        }
        Source::Certificate(detail) => {
            certificate::read(&variable(b"ssl_client_raw_cert")?, detail, out)?;
        }
    }
    Ok(())
}

/// Appends what is the same in every request.
fn constant(source: Source, encoding: Encoding, out: &mut Vec<u8>) {
    match source {
        Source::EmptyMap => Map::default().write(out),
        Source::Zero => encoding.integer(0, out),
        Source::Nginx => out.extend_from_slice(NGINX),
        // Its field user_agent_name, the sixth, and no other.
        Source::Node => {
            out.extend_from_slice(&[6 << 3 | 2, NGINX.len() as u8]);
            out.extend_from_slice(NGINX);
        }
        _ => {}
    }
}

/// Headers as one property: several values of a name are one, joined by
/// commas.
#[derive(Default)]
struct Map(Vec<Header>);

impl Map {
    fn push(&mut self, name: &[u8], value: &[u8]) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => {
                values.push(b',');
                values.extend_from_slice(value);
            }
            None => self.0.push((name.to_vec(), value.to_vec())),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::default();
        for (name, value) in &self.0 {
            encoder.push(name, value);
        }
        encoder.write(out);
    }
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
