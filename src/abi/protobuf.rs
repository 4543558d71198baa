//! Messages of protobuf, as far as some host functions take or give them: their
//! fields, one after the other, without a schema.

/// A field's value. Numbers of a fixed size are told by their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed(&'a [u8]),
}

/// The fields of a message, each with its number; `None` once for what is none.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => self.varint().map(Value::Number)?,
            1 => self.take(8).map(Value::Fixed)?,
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(len)?)
            }
            5 => self.take(4).map(Value::Fixed)?,
            _ => return None,
        };
        (key >> 3 > 0).then_some((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Appends a field of bytes, but not an empty one: so messages are written where
/// nothing is the default. `number` is below 16.
pub fn put_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    out.push(number << 3 | 2);
    let mut len = bytes.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
}

/// Appends a field that is true; one that is false is not there.
pub fn put_bool(out: &mut Vec<u8>, number: u8, value: bool) {
    if value {
        out.extend([number << 3, 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, Value, put_bool, put_bytes};

    #[test]
    fn what_is_written_is_read() {
        let long = vec![b'x'; 20_000];
        let mut message = Vec::new();
        put_bool(&mut message, 1, true);
        put_bool(&mut message, 2, false);
        put_bytes(&mut message, 3, b"");
        put_bytes(&mut message, 4, b"short");
        put_bytes(&mut message, 15, &long);
        let fields: Option<Vec<_>> = Fields(&message).collect();
        let expected = [
            (1, Value::Number(1)),
            (4, Value::Bytes(b"short")),
            (15, Value::Bytes(&long)),
        ];
        assert_eq!(fields.as_deref(), Some(&expected[..]));
    }

    #[test]
    fn what_is_no_message_says_so_once() {
        for bytes in [
            &b"\x0a"[..],
            b"\x0a\x05abc",
            b"\x00\x00",
            b"\x0b",
            &[0xff; 20],
        ] {
            let fields: Vec<_> = Fields(bytes).collect();
            assert_eq!(fields, [None], "{bytes:?}");
        }
    }
}
