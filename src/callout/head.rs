//! The head of an answer: its fields, and how its body is delimited
//! (RFC 9112 §6.3).

use ureq_proto::http::{HeaderMap, HeaderName, StatusCode, Version, header};
use ureq_proto::parser::try_parse_response;

use super::http1::MAX_HEADERS;
use super::{Error, Pairs};

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
    pub(super) headers: Pairs,
    pub(super) framing: Framing,
    /// The connection can carry another exchange, if it is still open where
    /// the body ends.
    pub(super) reusable: bool,
}

/// A status line for [`parse_trailers`]: the same parser reads both.
pub(super) const TRAILERS_START: &[u8] = b"HTTP/1.1 200 \r\n";

/// Parses a complete head, from status line to empty line. `to_head_request`
/// says that the request was a HEAD.
pub(super) fn parse(block: &[u8], to_head_request: bool) -> Result<Head, Error> {
    let (version, status, fields) = parse_block(block, Error::BadHead)?;
    let mut headers = vec![(b":status".to_vec(), status.as_str().as_bytes().to_vec())];
    headers.extend(to_pairs(&fields));

    let length = content_length(&fields)?;
    let chunked = is_chunked(&fields)?;
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
    let persistent = version == Version::HTTP_11 && !lists(&fields, header::CONNECTION, "close");
    let reusable = persistent && !suspect;
    Ok(Head {
        status,
        headers,
        framing,
        reusable,
    })
}

/// Parses a complete trailer section that stands behind [`TRAILERS_START`].
pub(super) fn parse_trailers(block: &[u8]) -> Result<Pairs, Error> {
    let (_, _, fields) = parse_block(block, Error::BadTrailers)?;
    Ok(to_pairs(&fields).collect())
}

fn parse_block(block: &[u8], bad: Error) -> Result<(Version, StatusCode, HeaderMap), Error> {
    match try_parse_response::<MAX_HEADERS>(block) {
        Ok(Some((used, response))) if used == block.len() => {
            let (parts, ()) = response.into_parts();
            Ok((parts.version, parts.status, parts.headers))
        }
        Ok(_) => Err(bad),
        Err(ureq_proto::Error::HttpParseTooManyHeaders) => Err(Error::TooManyHeaders),
        Err(_) => Err(bad),
    }
}

fn to_pairs(fields: &HeaderMap) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    fields
        .iter()
        .map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()))
}

/// The elements of a list that may be spread over several fields.
fn elements(fields: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    fields
        .get_all(name)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(|element| element.trim_ascii())
}

fn lists(fields: &HeaderMap, name: HeaderName, token: &str) -> bool {
    elements(fields, name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The same length several times is one length (RFC 9110 §8.6).
fn content_length(fields: &HeaderMap) -> Result<Option<u64>, Error> {
    let mut known = None;
    for element in elements(fields, header::CONTENT_LENGTH) {
        // `parse` alone would take a sign.
        let digits = element.iter().all(u8::is_ascii_digit);
        let text = str::from_utf8(element).ok().filter(|_| digits);
        let length: u64 = text
            .and_then(|text| text.parse().ok())
            .ok_or(Error::BadContentLength)?;
        if known.replace(length).is_some_and(|other| other != length) {
            return Err(Error::BadContentLength);
        }
    }
    Ok(known)
}

fn is_chunked(fields: &HeaderMap) -> Result<bool, Error> {
    let mut codings = elements(fields, header::TRANSFER_ENCODING);
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(only), None) if only.eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(Error::UnsupportedCoding),
    }
}
