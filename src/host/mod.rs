//! What a proxy must offer synchronously, section by section as in the
//! specification. The nginx host is the product; the in-memory one serves
//! tests and tools. What must wait is no business of this room: it becomes an
//! effect (`src/context/effect.rs`).

pub mod dict;
pub mod hosts;
mod level;
pub mod memory;
mod method;
pub mod nginx;
pub mod store;
pub mod symbols;

use std::cell::Cell;
use std::rc::Rc;

use self::store::Store;
use crate::abi::Status;
use crate::abi::field::ends_line;
use crate::abi::types::LogLevel;

/// A request, as its host knows it: a pointer for nginx, a number for the
/// in-memory host. Only the host that gave it may look behind it. Valid until
/// the flag given to [`Host::watch_end`] is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request(pub std::num::NonZeroUsize);

/// Where nginx is with a request, as far as the library must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// server_rewrite, rewrite, access: may wait.
    Request,
    /// content: may wait, too.
    Content,
    HeaderFilter,
    BodyFilter,
    Log,
    /// A timer, init_worker, anything without a request.
    Other,
}

/// Host functions answer with a status when they cannot: [`Status::NotFound`]
/// for what is not there, [`Status::BadArgument`] for what nginx refuses.
pub type Result<T> = std::result::Result<T, Status>;

/// Called for each header: lower-cased name, value.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

pub trait Host {
    // -- logging and clocks ------------------------------------------------

    /// Writes one line to the log of the request, or of the process.
    fn log(&self, request: Option<Request>, level: LogLevel, line: &[u8]);

    /// Writes one line to the log of the process, at a level between info and
    /// warn, if it has one.
    fn log_notice(&self, line: &[u8]) {
        self.log(None, LogLevel::Warn, line);
    }

    /// The most talkative level that this log writes at all.
    fn log_level(&self, request: Option<Request>) -> LogLevel;

    /// The second that the host takes it to be: no system call.
    fn second(&self) -> i64;

    // -- the request's life ------------------------------------------------

    fn phase(&self, request: Request) -> Phase;

    /// True in a subrequest.
    fn is_subrequest(&self, request: Request) -> bool;

    /// Sets `ended` when the request ends. In its log phase, which comes right
    /// after, the request can still be read; then it must not be named to the
    /// host again. `number` is no other request's.
    fn watch_end(&self, request: Request, ended: Rc<Cell<bool>>, number: u64) -> Result<()>;

    /// In the log phase: true when it is the request that was watched under
    /// this number, and no later one at the same address.
    fn is_ending(&self, request: Request, number: u64) -> bool;

    // -- request headers (spec: HTTP fields) -------------------------------

    /// Every request header in order, without pseudo headers.
    fn request_headers(&self, request: Request, visit: Visit) -> Result<()>;

    /// False when it is certain that no body follows the request headers.
    fn request_has_body(&self, request: Request) -> bool {
        let mut value = Vec::new();
        if self
            .request_header(request, b"content-length", &mut value)
            .is_ok()
        {
            return value != b"0";
        }
        // HTTP/2 and 3 need neither header.
        self.request_header(request, b"transfer-encoding", &mut value)
            .is_ok()
            || (self
                .variable(request, b"server_protocol", &mut value)
                .is_ok()
                && !value.starts_with(b"HTTP/1")
                && !value.starts_with(b"HTTP/0"))
    }

    /// The first value of a header; `name` in any case. Appends to `value`.
    fn request_header(&self, request: Request, name: &[u8], value: &mut Vec<u8>) -> Result<()>;

    /// Adds a value, with `replace` instead of all that are there. As
    /// everywhere in nginx, replacing by an empty value removes. What frames
    /// the body (Content-Length, Transfer-Encoding) stays as it is, and that
    /// is no error.
    fn set_request_header(
        &self,
        request: Request,
        name: &[u8],
        value: &[u8],
        replace: bool,
    ) -> Result<()>;

    fn remove_request_header(&self, request: Request, name: &[u8]) -> Result<()>;

    /// `GET`, `POST`, …; a method nginx does not know is
    /// [`Status::BadArgument`].
    fn set_method(&self, request: Request, method: &[u8]) -> Result<()>;

    // -- response headers --------------------------------------------------

    /// The first value of a header; `name` in any case. Appends to `value`.
    fn response_header(&self, request: Request, name: &[u8], value: &mut Vec<u8>) -> Result<()>;

    /// Every value of a header; `name` in any case.
    fn response_header_values(
        &self,
        request: Request,
        name: &[u8],
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<()>;

    fn set_response_header(
        &self,
        request: Request,
        name: &[u8],
        value: &[u8],
        replace: bool,
    ) -> Result<()>;

    fn remove_response_header(&self, request: Request, name: &[u8]) -> Result<()>;

    fn response_status(&self, request: Request) -> u32;

    fn set_response_status(&self, request: Request, status: u32) -> Result<()>;

    /// False when it is certain that the response has no body: by its status,
    /// its length or the request's method.
    fn response_has_body(&self, request: Request) -> bool {
        let mut value = Vec::new();
        let by_status = matches!(self.response_status(request), 100..=199 | 204 | 304);
        let by_length = self
            .response_header(request, b"content-length", &mut value)
            .is_ok()
            && value == b"0";
        !by_status && !by_length && !self.is_head(request)
    }

    /// True for a HEAD request.
    fn is_head(&self, request: Request) -> bool;

    // -- response body -----------------------------------------------------

    /// In the body filter: the size of the chunk, and whether it is the last.
    fn response_chunk_size(&self, request: Request) -> Result<(usize, bool)>;

    /// In the body filter: shows the chunk.
    fn response_chunk(&self, request: Request, visit: &mut dyn FnMut(&[u8])) -> Result<()>;

    // -- properties --------------------------------------------------------

    /// A variable of the proxy (nginx: `$name`). Appends to `value`.
    fn variable(&self, request: Request, name: &[u8], value: &mut Vec<u8>) -> Result<()>;

    fn set_variable(&self, request: Request, name: &[u8], value: &[u8]) -> Result<()>;

    // -- the process -------------------------------------------------------

    /// True in one worker: the first one.
    fn is_first_worker(&self) -> bool;

    // -- shared state ------------------------------------------------------

    /// Where state lies that outlives requests.
    fn store(&self) -> Rc<dyn Store>;

    /// Names another place, for plugins that are loaded from now on; `None`:
    /// this process.
    fn set_store(&self, store: Option<Rc<dyn Store>>);
}

/// Refuses what would end a header line before its time, or not begin one.
/// Other bytes that do not belong there are escaped by lua-nginx-module.
fn check_header(name: &[u8], value: &[u8]) -> Result<()> {
    if name.is_empty() || name.iter().chain(value).any(ends_line) {
        return Err(Status::BadArgument);
    }
    Ok(())
}

/// True for a request header that says how long the body is. Plugins made for
/// Envoy remove it before they change the body; nginx, though, still has to
/// read the body by it, and would take an unread one for the next request.
/// Towards the upstream nginx frames the body anew anyway.
fn is_framing(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
}

/// Refuses a query (`$args`) that would end the request line towards the
/// upstream: nginx copies it there as it is.
fn check_variable(name: &[u8], value: &[u8]) -> Result<()> {
    let ends_query = |byte: &u8| *byte <= b' ' || *byte == 0x7f;
    if name.eq_ignore_ascii_case(b"args") && value.iter().any(ends_query) {
        return Err(Status::BadArgument);
    }
    Ok(())
}

/// The number of a variable that is a capture of the last match, `1` of `$1`.
fn capture_number(name: &[u8]) -> Option<i32> {
    let digits = std::str::from_utf8(name).ok()?;
    // parse() alone would take a sign.
    let all_digits = name.iter().all(u8::is_ascii_digit);
    all_digits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::capture_number;

    #[test]
    fn a_capture_is_named_by_digits_alone() {
        assert_eq!(capture_number(b"12"), Some(12));
        for name in [&b""[..], b"+1", b"1a", b"99999999999", b"\xff"] {
            assert_eq!(capture_number(name), None);
        }
    }
}
