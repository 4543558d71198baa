//! The head of an answer: its fields, and how its body is delimited
//! (RFC 9112 §6.3).

use std::mem::MaybeUninit;

use http::StatusCode;
use httparse::Header;

use super::Error;
use crate::abi::HeaderList;
use crate::abi::limits::MAX_HEADERS;

/// What follows the head.
#[derive(Clone, Copy)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// A head, understood.
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// `:status` first.
    pub(super) headers: HeaderList,
    pub(super) framing: Framing,
    /// The connection can carry another exchange, if it is still open where
    /// the body ends.
    pub(super) reusable: bool,
}

/// A status line for [`parse_trailers`]: the same parser reads both.
pub(super) const TRAILERS_START: &[u8] = b"HTTP/1.1 200 \r\n";

/// Parses the head that some bytes begin with, from status line to empty line.
/// `to_head_request` says that the request was a HEAD. Gives its length, too.
///
/// Errors: also where the head is not complete.
pub(super) fn parse(bytes: &[u8], to_head_request: bool) -> Result<(Head, usize), Error> {
    let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let (version, status, fields, used) = read(bytes, &mut room, Error::BadHead)?;
    let mut headers = HeaderList::new();
    headers.push(b":status", status.as_str().as_bytes());
    push_all(&mut headers, fields);

    let Delimiters {
        length,
        chunked,
        close,
    } = Delimiters::of(fields)?;
    if chunked && length.is_some() {
        return Err(Error::LengthAndCoding);
    }
    let announced = match (chunked, length) {
        (true, _) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::UntilClose,
    };
    // No body by definition, whatever the head announces.
    let never_any = status.is_informational() || status == StatusCode::NO_CONTENT;
    let bodyless = never_any || to_head_request || status == StatusCode::NOT_MODIFIED;
    // A 204 that announces one nevertheless could be followed by it.
    let suspect = never_any && (chunked || length.is_some_and(|length| length > 0));
    let framing = if bodyless {
        Framing::Length(0)
    } else {
        announced
    };

    // HTTP/1.0 could ask for keep-alive; its framing is not worth the trust.
    let reusable = version == 1 && !close && !suspect;
    let head = Head {
        status,
        headers,
        framing,
        reusable,
    };
    Ok((head, used))
}

/// As [`parse`], for what is a head as a whole.
pub(super) fn parse_block(block: &[u8], to_head_request: bool) -> Result<Head, Error> {
    match parse(block, to_head_request)? {
        (head, used) if used == block.len() => Ok(head),
        _ => Err(Error::BadHead),
    }
}

/// Parses a complete trailer section that stands behind [`TRAILERS_START`].
pub(super) fn parse_trailers(block: &[u8]) -> Result<HeaderList, Error> {
    let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let (_, _, fields, used) = read(block, &mut room, Error::BadTrailers)?;
    if used != block.len() {
        return Err(Error::BadTrailers);
    }
    let mut trailers = HeaderList::new();
    push_all(&mut trailers, fields);
    Ok(trailers)
}

/// Gives the version (0: HTTP/1.0, 1: HTTP/1.1), the status, the fields, and the
/// length of all that.
fn read<'h, 'b>(
    bytes: &'b [u8],
    room: &'h mut [MaybeUninit<Header<'b>>],
    bad: Error,
) -> Result<(u8, StatusCode, &'h [Header<'b>], usize), Error> {
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let used = match parser.parse_response_with_uninit_headers(&mut response, bytes, room) {
        Ok(httparse::Status::Complete(used)) => used,
        Err(httparse::Error::TooManyHeaders) => return Err(Error::TooManyHeaders),
        _ => return Err(bad),
    };
    let (Some(version), Some(code)) = (response.version, response.code) else {
        return Err(bad);
    };
    let status = StatusCode::from_u16(code).map_err(|_| bad)?;
    Ok((version, status, response.headers, used))
}

fn push_all(list: &mut HeaderList, fields: &[Header<'_>]) {
    list.extend(fields.iter().map(|it| (it.name.as_bytes(), it.value)));
}

/// What the fields say of where the answer ends, and of what comes behind it.
#[derive(Default)]
struct Delimiters {
    length: Option<u64>,
    chunked: bool,
    close: bool,
}

impl Delimiters {
    /// Errors: a Content-Length that is none, another coding than `chunked`.
    fn of(fields: &[Header<'_>]) -> Result<Delimiters, Error> {
        let mut found = Delimiters::default();
        let (mut codings, mut bad_length) = (0, false);
        for field in fields {
            // Most fields are told from these by their length.
            match field.name.len() {
                10 if field.name.eq_ignore_ascii_case("connection") => {
                    let mut tokens = elements(field.value);
                    found.close |= tokens.any(|token| token.eq_ignore_ascii_case(b"close"));
                }
                14 if field.name.eq_ignore_ascii_case("content-length") => {
                    for element in elements(field.value) {
                        // The same one several times is one (RFC 9110 §8.6).
                        let length = content_length(element);
                        let other = found.length.is_some_and(|known| Some(known) != length);
                        bad_length |= length.is_none() || other;
                        found.length = length;
                    }
                }
                17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                    for coding in elements(field.value) {
                        codings += 1;
                        found.chunked = coding.eq_ignore_ascii_case(b"chunked");
                    }
                }
                _ => {}
            }
        }
        if bad_length {
            return Err(Error::BadContentLength);
        }
        match codings {
            0 => Ok(found),
            1 if found.chunked => Ok(found),
            _ => Err(Error::UnsupportedCoding),
        }
    }
}

/// The elements of a list.
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',')
        .map(|element| element.trim_ascii())
}

fn content_length(text: &[u8]) -> Option<u64> {
    // `parse` alone would take a sign.
    let digits = text.iter().all(u8::is_ascii_digit);
    let text = str::from_utf8(text).ok().filter(|_| digits)?;
    text.parse().ok()
}
