//! The head of a call: its path, its authority, its initial metadata.

use std::fmt;

use http::header::{HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri, Version};

/// A call's head, checked.
#[derive(Clone, Debug)]
pub struct Head {
    path: PathAndQuery,
    /// `None`: the upstream's own.
    authority: Option<Authority>,
    metadata: HeaderMap,
}

/// Why a call cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// Service or method: they are parts of a path.
    Method,
    Authority,
    Metadata,
}

impl fmt::Display for BadHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadHead::Method => "its service and method are no parts of a path",
            BadHead::Authority => "its :authority is not of the form host or host:port",
            BadHead::Metadata => {
                "its metadata cannot be sent: there is a name or a value that no HTTP header has"
            }
        })
    }
}

impl std::error::Error for BadHead {}

/// Fields that are HTTP's or gRPC's own: a guest's say nothing.
const OURS: [&str; 12] = [
    "te",
    "host",
    "content-type",
    "content-length",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "grpc-timeout",
    "grpc-encoding",
    "grpc-accept-encoding",
];

impl Head {
    /// Checks what a guest gives. In the metadata `:authority` says whom the
    /// upstream is asked for; other pseudo headers, and what is HTTP's or
    /// gRPC's own, say nothing.
    pub fn new(
        service: &[u8],
        method: &[u8],
        metadata: &[(&[u8], &[u8])],
    ) -> Result<Head, BadHead> {
        let is_part =
            |part: &[u8]| !part.is_empty() && !part.iter().any(|byte| b"?#".contains(byte));
        if !is_part(service) || !is_part(method) {
            return Err(BadHead::Method);
        }
        let path = [b"/", service, b"/", method].concat();
        let path = PathAndQuery::try_from(&path[..]).map_err(|_| BadHead::Method)?;
        let mut head = Head {
            path,
            authority: None,
            metadata: HeaderMap::new(),
        };
        for (name, value) in metadata {
            if *name == b":authority" {
                let authority = Authority::try_from(*value).map_err(|_| BadHead::Authority)?;
                head.authority = Some(authority);
            } else if !name.starts_with(b":") {
                let name = HeaderName::from_bytes(name).map_err(|_| BadHead::Metadata)?;
                let value = HeaderValue::from_bytes(value).map_err(|_| BadHead::Metadata)?;
                if !OURS.contains(&name.as_str()) {
                    head.metadata.append(name, value);
                }
            }
        }
        Ok(head)
    }

    /// What the guest says that the upstream is called.
    pub fn authority(&self) -> Option<&[u8]> {
        self.authority.as_ref().map(|it| it.as_str().as_bytes())
    }

    /// The request, to an upstream of this name.
    pub fn request(&self, tls: bool, upstream: &str, timeout_ms: Option<u128>) -> Request<()> {
        let fallback = || Authority::try_from(upstream).ok();
        let authority = self.authority.clone().or_else(fallback);
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(match tls {
            true => Scheme::HTTPS,
            false => Scheme::HTTP,
        });
        uri.authority = Some(authority.unwrap_or_else(|| Authority::from_static("localhost")));
        uri.path_and_query = Some(self.path.clone());

        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        // All three parts are there.
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        let fields = request.headers_mut();
        *fields = self.metadata.clone();
        fields.insert("te", HeaderValue::from_static("trailers"));
        fields.insert("content-type", HeaderValue::from_static("application/grpc"));
        fields.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
        if let Some(ms) = timeout_ms {
            fields.insert("grpc-timeout", timeout(ms));
        }
        request
    }
}

/// At most eight digits and a unit.
fn timeout(ms: u128) -> HeaderValue {
    let text = match ms {
        ..100_000_000 => format!("{ms}m"),
        _ => format!("{}S", (ms / 1000).min(99_999_999)),
    };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("1S"))
}

#[cfg(test)]
mod tests {
    use super::{BadHead, Head};

    #[test]
    fn a_request_has_what_grpc_wants_and_nothing_else_of_the_kind() {
        let metadata: [(&[u8], &[u8]); 6] = [
            (b":path", b"/other"),
            (b"X-A", b"1"),
            (b"x-a", b"2"),
            (b"Content-Type", b"text/plain"),
            (b"grpc-encoding", b"gzip"),
            (b"connection", b"close"),
        ];
        let head = Head::new(b"a.B", b"C", &metadata).unwrap();
        let request = head.request(false, "up.example:50051", Some(1500));
        assert_eq!(request.uri(), "http://up.example:50051/a.B/C");
        let mut fields: Vec<String> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        fields.sort();
        assert_eq!(
            fields,
            [
                "content-type: application/grpc",
                "grpc-accept-encoding: identity",
                "grpc-timeout: 1500m",
                "te: trailers",
                "x-a: 1",
                "x-a: 2",
            ]
        );
        let month = head.request(true, "[::1]:1", Some(1 << 31));
        assert_eq!(month.headers()["grpc-timeout"], "2147483S");
        assert_eq!(month.uri(), "https://[::1]:1/a.B/C");
        assert_eq!(
            head.request(false, "unix:/a b", None).uri(),
            "http://localhost/a.B/C"
        );
    }

    #[test]
    fn a_guest_may_say_whom_it_asks_for() {
        let head = Head::new(b"s", b"m", &[(b":authority", b"b.example")]).unwrap();
        assert_eq!(head.authority(), Some(&b"b.example"[..]));
        assert_eq!(head.request(true, "a", None).uri(), "https://b.example/s/m");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let refused = |service: &str, method: &str, name: &str, value: &str| {
            let metadata = [(name.as_bytes(), value.as_bytes())];
            Head::new(service.as_bytes(), method.as_bytes(), &metadata).err()
        };
        for (service, method) in [
            ("", "m"),
            ("s", ""),
            ("s", "m?x"),
            ("s\r\n", "m"),
            ("s", "m m"),
        ] {
            assert_eq!(refused(service, method, "a", "b"), Some(BadHead::Method));
        }
        for (name, value) in [
            ("", "b"),
            ("a b", "c"),
            ("a", "b\r\nc: d"),
            ("a\0", "b"),
            ("a", "\0"),
        ] {
            assert_eq!(refused("s", "m", name, value), Some(BadHead::Metadata));
        }
        assert_eq!(
            refused("s", "m", ":authority", "a b"),
            Some(BadHead::Authority)
        );
        assert_eq!(
            refused("s", "m", ":authority", ""),
            Some(BadHead::Authority)
        );
    }
}
