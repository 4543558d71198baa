//! What no header may hold, and how a line of the log shows it.

use std::slice::EscapeAscii;

use super::limits::MAX_SHOWN;

/// A guest's text for a line about it: escaped, and cut.
pub fn shown(text: &[u8]) -> EscapeAscii<'_> {
    text[..text.len().min(MAX_SHOWN)].escape_ascii()
}

/// True for the bytes that would end a header's line, or its text, before its
/// time: CR, LF and NUL.
pub fn ends_line(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b'\0')
}

/// Decodes `%XX`; anything else stays as it is.
pub fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| (*byte as char).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}
