//! Statuses of gRPC, and what stands for them in HTTP.

use http::HeaderMap;

pub const OK: u32 = 0;
pub const CANCELLED: u32 = 1;
pub const UNKNOWN: u32 = 2;
pub const DEADLINE_EXCEEDED: u32 = 4;
pub const PERMISSION_DENIED: u32 = 7;
pub const RESOURCE_EXHAUSTED: u32 = 8;
pub const UNIMPLEMENTED: u32 = 12;
pub const INTERNAL: u32 = 13;
pub const UNAVAILABLE: u32 = 14;
pub const UNAUTHENTICATED: u32 = 16;

/// What a HTTP status stands for where there is no other
/// (grpc/doc/http-grpc-status-mapping.md).
pub fn of_http(code: u16) -> u32 {
    match code {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502..=504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// What an error of HTTP/2 stands for (gRPC over HTTP2, "Errors").
pub fn of_reset(reason: h2::Reason) -> u32 {
    match reason {
        h2::Reason::REFUSED_STREAM => UNAVAILABLE,
        h2::Reason::CANCEL => CANCELLED,
        h2::Reason::ENHANCE_YOUR_CALM => RESOURCE_EXHAUSTED,
        h2::Reason::INADEQUATE_SECURITY => PERMISSION_DENIED,
        _ => INTERNAL,
    }
}

/// The status and its message, as fields have them; `None`: they have none.
pub fn of_fields(fields: &HeaderMap) -> Option<(u32, Vec<u8>)> {
    let status = fields.get("grpc-status")?.as_bytes();
    let digits = (1..=9).contains(&status.len()) && status.iter().all(u8::is_ascii_digit);
    let status = match digits {
        true => status
            .iter()
            .fold(0, |number, digit| number * 10 + u32::from(digit - b'0')),
        false => UNKNOWN,
    };
    let message = fields.get("grpc-message").map(|it| unescape(it.as_bytes()));
    Some((status, message.unwrap_or_default()))
}

/// Undoes percent encoding; what is none stays.
fn unescape(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| (*byte as char).to_digit(16).map(|digit| digit as u8);
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%'
            && let [high, low, after @ ..] = after
            && let (Some(high), Some(low)) = (digit(high), digit(low))
        {
            plain.push(high << 4 | low);
            rest = after;
        } else {
            plain.push(*first);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{of_fields, unescape};

    #[test]
    fn messages_are_percent_encoded() {
        for (text, plain) in [
            ("", ""),
            ("plain", "plain"),
            ("50%25 of %C3%bc", "50% of ü"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz%", "%zz%"),
        ] {
            assert_eq!(unescape(text.as_bytes()), plain.as_bytes());
        }
    }

    #[test]
    fn a_status_is_a_number() {
        for (text, expected) in [("0", 0), ("14", 14), ("", 2), ("-1", 2), ("9999999999", 2)] {
            let mut fields = HeaderMap::new();
            assert_eq!(of_fields(&fields), None);
            fields.insert("grpc-status", HeaderValue::from_static(text));
            assert_eq!(of_fields(&fields), Some((expected, Vec::new())), "{text}");
        }
    }
}
