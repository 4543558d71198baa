//! The request of a callout, checked so that nothing in it can end a line.

use super::{Pairs, Scheme};
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

/// The request of a callout, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `:method`, a token; never CONNECT, whose answer is a tunnel.
    pub method: Vec<u8>,
    /// `:scheme`; http where the guest names none.
    pub scheme: Scheme,
    /// `:path`, not empty, without controls and spaces.
    pub path: Vec<u8>,
    /// `:authority`, not empty, without controls and spaces.
    pub authority: Vec<u8>,
    /// All other headers, in the guest's order and spelling, without those of
    /// the connection.
    pub headers: Pairs,
    pub body: Vec<u8>,
    /// Checked like headers. HTTP/1.1 does not send them: it would have to
    /// chunk the request, which many servers refuse.
    pub trailers: Pairs,
}

impl Request {
    /// Makes a request of the maps and the body of `proxy_http_call`.
    ///
    /// In: names and values as the guest gave them, pseudo headers at any
    /// place; all is copied. Out: the request, or `BadArgument` where
    /// `:method`, `:path` or `:authority` is missing (as Envoy), a pseudo
    /// header is unknown or there twice, or anything could not be written
    /// faithfully into a request.
    pub fn from_pairs<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        pairs: &[(K, V)],
        body: impl Into<Vec<u8>>,
        trailers: &[(K, V)],
    ) -> Result<Request, Status> {
        let (mut method, mut scheme, mut path, mut authority) = (None, None, None, None);
        let mut headers = Vec::new();
        for (name, value) in pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            let pseudo = match name {
                b":method" => &mut method,
                b":scheme" => &mut scheme,
                b":path" => &mut path,
                b":authority" => &mut authority,
                // An unknown pseudo header is no token: `check` refuses it.
                _ => {
                    if !is_connection_header(name) {
                        headers.push((name.to_vec(), value.to_vec()));
                    }
                    continue;
                }
            };
            if pseudo.replace(value.to_vec()).is_some() {
                return Err(Status::BadArgument);
            }
        }
        let request = Request {
            method: method.ok_or(Status::BadArgument)?,
            scheme: scheme.map_or(Ok(Scheme::default()), |name| parse_scheme(&name))?,
            path: path.ok_or(Status::BadArgument)?,
            authority: authority.ok_or(Status::BadArgument)?,
            headers,
            body: body.into(),
            trailers: trailers
                .iter()
                .map(|(name, value)| (name.as_ref().to_vec(), value.as_ref().to_vec()))
                .filter(|(name, _)| !is_connection_header(name))
                .collect(),
        };
        request.check()?;
        Ok(request)
    }

    /// Holds the rules of the fields, which are public: `BadArgument` where
    /// one is broken. A protocol asks again before it writes a request.
    pub fn check(&self) -> Result<(), Status> {
        let mut fields = self.headers.iter().chain(&self.trailers);
        let good = is_token(&self.method)
            && self.method != b"CONNECT"
            && is_visible(&self.path)
            && is_visible(&self.authority)
            && fields.all(|(name, value)| {
                is_token(name) && !is_connection_header(name) && is_value(value)
            });
        if good {
            Ok(())
        } else {
            Err(Status::BadArgument)
        }
    }

    /// Writes the request in HTTP/1.1 (RFC 9112 §3), head and body.
    ///
    /// `Host` comes from `:authority`, `Content-Length` from the body; an
    /// empty body has none but for methods that expect one (RFC 9110 §8.6).
    pub(super) fn to_http1(&self) -> Vec<u8> {
        let fields: usize = self
            .headers
            .iter()
            .map(|(n, v)| n.len() + v.len() + 4)
            .sum();
        let line = self.method.len() + self.path.len() + self.authority.len();
        let mut out = Vec::with_capacity(line + fields + self.body.len() + 64);
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));

        put(&[&self.method, b" ", &self.path, b" HTTP/1.1\r\n"]);
        put(&[b"Host: ", &self.authority, b"\r\n"]);
        for (name, value) in &self.headers {
            put(&[name, b": ", value, b"\r\n"]);
        }
        let expects_body = matches!(&self.method[..], b"POST" | b"PUT" | b"PATCH");
        if expects_body || !self.body.is_empty() {
            let length = self.body.len().to_string();
            put(&[b"Content-Length: ", length.as_bytes(), b"\r\n"]);
        }
        put(&[b"\r\n", &self.body]);
        out
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
