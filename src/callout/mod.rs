//! Callouts: HTTP requests that a plugin sends on its own
//! (spec: `proxy_http_call` / `proxy_dispatch_http_call`).
//!
//! Sans-IO: bytes in, bytes out. Whoever owns the socket (Lua, over a
//! cosocket) connects to a [`Target`], sends [`Http1::output`] and feeds what
//! it reads to [`Http1::receive`]. This room opens nothing and waits for
//! nothing, and whatever an upstream sends ends as a [`Response`] or as an
//! [`Error`], never as a panic.
#![forbid(unsafe_code)]

mod allowed;
mod block;
mod chunked;
mod error;
pub mod grpc;
mod head;
pub mod http1;
mod request;
mod share;
pub mod target;
pub mod tls;
mod upstream;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use http1::{Http1, Progress};
pub use request::Request;
pub use share::{Part, Share};
pub use target::{Target, TargetError};
pub use tls::{Tls, TlsConfig, TlsError, TlsOptions};
pub use upstream::{NoRoute, Route, Upstream, Upstreams};

use crate::abi::HeaderList;

/// The scheme of a callout: with TLS or without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    #[default]
    Http,
    Https,
}

impl Scheme {
    /// The port where an address names none.
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// The host of `host[:port]`; IPv6 keeps its brackets.
fn host_of(authority: &[u8]) -> &[u8] {
    let port = authority.iter().rposition(|byte| *byte == b':');
    match port {
        Some(at) if authority[at + 1..].iter().all(u8::is_ascii_digit) => &authority[..at],
        _ => authority,
    }
}

/// The answer of a callout, owned and complete.
///
/// An empty one (no headers, no body, no trailers) is what a guest sees of a
/// callout that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// `:status` first, then the fields as they came, names in lower case.
    pub headers: HeaderList,
    /// The content, with any chunking undone.
    pub body: Vec<u8>,
    /// The trailer fields of a chunked answer, names in lower case.
    pub trailers: HeaderList,
}
