//! Property paths and Envoy's binary encodings of property values.

/// A path without the NUL that some SDKs end it with, its first segment and
/// the rest of it. Every SDK joins segments by NUL.
pub fn split(path: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    match path.iter().position(|byte| *byte == 0) {
        Some(at) => (path, &path[..at], &path[at + 1..]),
        None => (path, path, b""),
    }
}

/// How numbers reach the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Envoy's: little-endian 64-bit integers, one byte for a boolean.
    #[default]
    Binary,
    /// The other nginx host's: decimal text, `true` and `false`.
    Text,
}

impl Encoding {
    pub fn integer(self, value: i64, out: &mut Vec<u8>) {
        match self {
            Encoding::Binary => out.extend_from_slice(&value.to_le_bytes()),
            Encoding::Text => out.extend_from_slice(value.to_string().as_bytes()),
        }
    }

    pub fn boolean(self, value: bool, out: &mut Vec<u8>) {
        match self {
            Encoding::Binary => out.push(value.into()),
            Encoding::Text => out.extend_from_slice(value.to_string().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_at_its_first_nul() {
        assert_eq!(
            split(b"request\0headers\0x"),
            (
                &b"request\0headers\0x"[..],
                &b"request"[..],
                &b"headers\0x"[..]
            )
        );
        let bare = (&b"plugin_name"[..], &b"plugin_name"[..], &b""[..]);
        assert_eq!(split(b"plugin_name"), bare);
        assert_eq!(split(b"plugin_name\0"), bare);
        assert_eq!(split(b""), (&b""[..], &b""[..], &b""[..]));
        assert_eq!(split(b"\0a"), (&b"\0a"[..], &b""[..], &b"a"[..]));
    }

    #[test]
    fn numbers_are_encoded_as_envoy_does_or_as_text() {
        let encode = |encoding: Encoding| {
            let mut out = Vec::new();
            encoding.integer(513, &mut out);
            encoding.boolean(true, &mut out);
            out
        };

        assert_eq!(encode(Encoding::Binary), b"\x01\x02\0\0\0\0\0\0\x01");
        assert_eq!(encode(Encoding::Text), b"513true");
    }
}
