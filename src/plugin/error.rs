//! Errors for the operator. None of them ever reaches a guest.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The file cannot be a plugin; the sentence says why.
    Load(String),
    /// A callback trapped, exited or refused.
    Callback {
        callback: &'static str,
        cause: String,
    },
    /// The instance that had this context is gone; the sentence says why.
    Lost(String),
    /// There is no instance, and there is to be none yet.
    Unavailable(String),
    /// The plugin lives, but this request is refused; the sentence says why.
    Refused(String),
    /// The request's body has more bytes than this, and the plugin is not given
    /// it.
    BodyTooLarge(usize),
    /// The API was used where it cannot work.
    Misuse(String),
    /// Its code is not there yet: a thread makes it.
    Compiling,
    /// A call of the plugin waits for a foreign function: there is no other.
    Busy,
}

impl Error {
    /// True when the plugin failed: its policy says what becomes of the
    /// request.
    pub fn is_failure(&self) -> bool {
        match self {
            Error::Load(_)
            | Error::Callback { .. }
            | Error::Lost(_)
            | Error::Unavailable(_)
            | Error::Compiling => true,
            Error::Refused(_) | Error::BodyTooLarge(_) | Error::Misuse(_) | Error::Busy => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Load(why) => write!(f, "failed to load: {why}"),
            Error::Callback { callback, cause } => write!(f, "failed to run {callback}: {cause}"),
            Error::Lost(why)
            | Error::Unavailable(why)
            | Error::Refused(why)
            | Error::Misuse(why) => f.write_str(why),
            Error::BodyTooLarge(limit) => write!(
                f,
                "the request body is larger than {limit} bytes (option max_request_body)"
            ),
            Error::Compiling => f.write_str("the plugin is still being compiled"),
            Error::Busy => f.write_str("the plugin is busy: it waits for a foreign function"),
        }
    }
}

impl std::error::Error for Error {}
