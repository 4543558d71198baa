//! Why a callout's exchange failed: for the operator's log.

use std::fmt;

use crate::abi::limits::{MAX_HEAD, MAX_HEADERS};

/// An exchange that cannot be completed. Its connection must be closed.
///
/// It is the operator's; the guest only sees that the callout failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The connection was closed before the first byte of an answer. On a
    /// connection taken from a keep-alive pool this is ordinary, the upstream
    /// had closed it while it was idle: the request may be sent once more over
    /// a new one.
    NoAnswer,
    /// The connection was closed in the middle of an answer.
    Truncated,
    /// The first bytes are not those of an HTTP/1.x answer.
    NotHttp,
    /// A status line or header line is malformed.
    BadHead,
    /// The head, interim answers (1xx) included, or the trailer section, is
    /// longer than [`MAX_HEAD`].
    HeadTooLarge,
    /// More fields than [`MAX_HEADERS`].
    TooManyHeaders,
    /// Head, body and trailers together are longer than this many bytes.
    TooLarge { limit: usize },
    /// All answers of the plugin that are under way would hold more than this
    /// many bytes together.
    NoShareLeft { limit: usize },
    /// A Content-Length that is no number, or several that differ.
    BadContentLength,
    /// Content-Length together with Transfer-Encoding: where the answer ends
    /// would be a matter of opinion.
    LengthAndCoding,
    /// A Transfer-Encoding other than `chunked` alone.
    UnsupportedCoding,
    /// The chunked coding is malformed.
    BadChunk,
    /// A trailer line is malformed.
    BadTrailers,
    /// 101: the upstream switched to a protocol that nobody asked for.
    SwitchedProtocols,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Error::NoAnswer => "the upstream closed the connection without an answer",
            Error::Truncated => "the upstream closed the connection in the middle of its answer",
            Error::NotHttp => "the upstream's answer is not HTTP/1.x",
            Error::BadHead => "the upstream's answer has a malformed status or header line",
            Error::HeadTooLarge => "the upstream's headers or trailers are longer than 64 KiB",
            Error::TooManyHeaders => "the upstream's answer has more than 128 headers or trailers",
            Error::TooLarge { limit } => {
                return write!(
                    f,
                    "the upstream's answer is longer than {limit} bytes (option \
                     max_callout_response)"
                );
            }
            Error::NoShareLeft { limit } => {
                return write!(
                    f,
                    "the answers under way would hold more than {limit} bytes together (option \
                     max_callout_bytes)"
                );
            }
            Error::BadContentLength => {
                "the upstream's answer has an invalid or contradictory Content-Length"
            }
            Error::LengthAndCoding => {
                "the upstream's answer has both a Content-Length and a Transfer-Encoding"
            }
            Error::UnsupportedCoding => {
                "the upstream's answer has a Transfer-Encoding other than chunked"
            }
            Error::BadChunk => "the upstream's answer is not correctly chunked",
            Error::BadTrailers => "the upstream's answer has a malformed trailer line",
            Error::SwitchedProtocols => "the upstream switched protocols (101) without being asked",
        };
        f.write_str(text)
    }
}

impl std::error::Error for Error {}

// The sentences above name the limits.
const _: () = assert!(MAX_HEAD == 64 << 10 && MAX_HEADERS == 128);
