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
