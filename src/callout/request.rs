//! The request of a callout, checked so that nothing in it can end a line.

use std::ops::Range;

use super::Scheme;
use crate::abi::Status;
use crate::abi::field::ends_line;

/// Headers that belong to the connection, not to the guest: they are dropped,
/// and written by the protocol where they are needed.
const CONNECTION_HEADERS: [&[u8]; 8] = [
    b"connection",
    b"content-length",
    b"host",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"transfer-encoding",
    b"upgrade",
];

/// The request of a callout, as HTTP/1.1 writes it (RFC 9112 §3). Every one has
/// passed the checks of [`Request::from_pairs`]: there is no other way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    scheme: Scheme,
    is_head: bool,
    repeatable: bool,
    /// Head and body.
    output: Vec<u8>,
    /// Where `:authority` is in it.
    authority: Range<usize>,
    content_size: usize,
}

/// Idempotent methods (RFC 9110 §9.2.2).
const REPEATABLE: [&[u8]; 6] = [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"];

impl Request {
    /// Makes a request of the maps and the body of `proxy_http_call`.
    ///
    /// In: names and values as the guest gave them, pseudo headers at any
    /// place; all is copied. Headers keep order and spelling; those of the
    /// connection are dropped. `Host` comes from `:authority`, `Content-Length`
    /// from the body; an empty body has none but for methods that expect one
    /// (RFC 9110 §8.6). Trailers are checked like headers. HTTP/1.1 does not send
    /// them: it would have to chunk the request, which many servers refuse.
    ///
    /// Out: the request, or `BadArgument` where `:method`, `:path` or `:authority`
    /// is missing (as Envoy), a pseudo header is unknown or there twice, or
    /// anything could not be written faithfully into a request. CONNECT is
    /// refused, as its answer is a tunnel.
    pub fn from_pairs<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        pairs: &[(K, V)],
        body: impl AsRef<[u8]>,
        trailers: &[(K, V)],
    ) -> Result<Request, Status> {
        let body = body.as_ref();
        let (mut method, mut scheme, mut path, mut authority) = (None, None, None, None);
        let mut fields = Fields::default();
        for (name, value) in pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            let pseudo = match name {
                b":method" => &mut method,
                b":scheme" => &mut scheme,
                b":path" => &mut path,
                b":authority" => &mut authority,
                // An unknown pseudo header is no token.
                _ => {
                    fields.check(name, value)?;
                    continue;
                }
            };
            if pseudo.replace(value).is_some() {
                return Err(Status::BadArgument);
            }
        }
        let (Some(method), Some(path), Some(authority)) = (method, path, authority) else {
            return Err(Status::BadArgument);
        };
        let scheme = scheme.map_or(Ok(Scheme::default()), parse_scheme)?;
        if !is_token(method) || method == b"CONNECT" || !is_visible(path) || !is_visible(authority)
        {
            return Err(Status::BadArgument);
        }
        let size = method.len() + path.len() + authority.len() + fields.size + fields.lines * 4;
        for (name, value) in trailers {
            fields.check(name.as_ref(), value.as_ref())?;
        }

        let mut out = Vec::with_capacity(size + body.len() + 64);
        let mut put = |parts: &[&[u8]]| {
            parts.iter().for_each(|part| out.extend_from_slice(part));
            out.len()
        };
        let start = put(&[method, b" ", path, b" HTTP/1.1\r\nHost: "]);
        let end = put(&[authority]);
        put(&[b"\r\n"]);
        for (name, value) in pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            if !name.starts_with(b":") && !is_connection_header(name) {
                put(&[name, b": ", value, b"\r\n"]);
            }
        }
        let expects_body = matches!(method, b"POST" | b"PUT" | b"PATCH");
        if expects_body || !body.is_empty() {
            let length = body.len().to_string();
            put(&[b"Content-Length: ", length.as_bytes(), b"\r\n"]);
        }
        put(&[b"\r\n", body]);
        Ok(Request {
            scheme,
            is_head: method == b"HEAD",
            repeatable: REPEATABLE.contains(&method),
            output: out,
            authority: start..end,
            content_size: fields.size + body.len(),
        })
    }

    /// `:scheme`; http where the guest names none.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Doing it twice does what doing it once does.
    pub fn repeatable(&self) -> bool {
        self.repeatable
    }

    /// Bytes of headers, trailers and body.
    pub fn content_size(&self) -> usize {
        self.content_size
    }

    pub(super) fn is_head(&self) -> bool {
        self.is_head
    }

    pub fn authority(&self) -> &[u8] {
        &self.output[self.authority.clone()]
    }

    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }
}

/// Counts headers and trailers as they are checked, without those of the
/// connection.
#[derive(Default)]
struct Fields {
    lines: usize,
    /// Bytes of names and values.
    size: usize,
}

impl Fields {
    fn check(&mut self, name: &[u8], value: &[u8]) -> Result<(), Status> {
        if is_connection_header(name) {
            return Ok(());
        }
        if !is_token(name) || !is_value(value) {
            return Err(Status::BadArgument);
        }
        self.lines += 1;
        self.size += name.len() + value.len();
        Ok(())
    }
}

fn parse_scheme(name: &[u8]) -> Result<Scheme, Status> {
    if name.eq_ignore_ascii_case(b"http") {
        Ok(Scheme::Http)
    } else if name.eq_ignore_ascii_case(b"https") {
        Ok(Scheme::Https)
    } else {
        Err(Status::BadArgument)
    }
}

fn is_connection_header(name: &[u8]) -> bool {
    CONNECTION_HEADERS
        .iter()
        .any(|header| name.eq_ignore_ascii_case(header))
}

/// RFC 9110 §5.6.2.
fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Bytes from 0x80 on pass: they are in use in paths, and end nothing.
fn is_visible(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| byte > b' ' && byte != 0x7f)
}

fn is_value(value: &[u8]) -> bool {
    !value.iter().any(ends_line)
}
