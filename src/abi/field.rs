//! What no header may hold.

/// True for the bytes that would end a header's line, or its text, before its
/// time: CR, LF and NUL.
pub fn ends_line(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b'\0')
}
