//! Property paths and Envoy's binary encodings of property values.

/// Segments of a path: joined by NUL as every SDK does.
pub fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    path.split(|byte| *byte == 0)
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
    fn a_path_is_split_at_nul() {
        let split = |path: &'static [u8]| segments(path).collect::<Vec<_>>();

        assert_eq!(
            split(b"request\0headers\0x"),
            [&b"request"[..], b"headers", b"x"]
        );
        assert_eq!(split(b"plugin_name"), [b"plugin_name"]);
        assert_eq!(split(b"plugin_name\0"), [b"plugin_name"]);
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
