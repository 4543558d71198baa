//! The serialized map (spec: "Serialization", abi of header maps).
//!
//! `u32 n`, n × (`u32 key length`, `u32 value length`), n × (key, NUL, value,
//! NUL), all little-endian. Keys may repeat and keep their order; values are
//! bytes.

use crate::abi::Status;
use crate::abi::limits::{MAX_PAIRS, MAX_PAIRS_BYTES};

/// Collects pairs and writes them in the serialized form.
///
/// Reusable: [`Encoder::clear`] keeps the memory.
#[derive(Default)]
pub struct Encoder {
    sizes: Vec<u8>,
    data: Vec<u8>,
    count: u32,
    /// Pairs that are not UTF-8 are left out.
    pub only_text: bool,
}

impl Encoder {
    pub fn clear(&mut self) {
        self.sizes.clear();
        self.data.clear();
        self.count = 0;
    }

    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        if self.only_text && !is_text(key, value) {
            return;
        }
        self.sizes
            .extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.sizes
            .extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.data.extend_from_slice(key);
        self.data.push(0);
        self.data.extend_from_slice(value);
        self.data.push(0);
        self.count += 1;
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of the names and values alone.
    pub fn content_size(&self) -> usize {
        self.data.len() - 2 * self.count as usize
    }

    /// Bytes that [`Encoder::write`] appends.
    pub fn size(&self) -> usize {
        4 + self.sizes.len() + self.data.len()
    }

    /// Appends the serialized map.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.size());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.sizes);
        out.extend_from_slice(&self.data);
    }
}

/// True for a pair that is UTF-8.
pub fn is_text(key: &[u8], value: &[u8]) -> bool {
    str::from_utf8(key).is_ok() && str::from_utf8(value).is_ok()
}

/// A key and its value, as they stand in the serialized map.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// Reads a map that a guest gives. An empty slice, four zero bytes and (as the
/// AssemblyScript SDK sends it) a single zero byte are empty maps.
///
/// Errors: [`Status::BadArgument`] for anything that is not exactly a
/// serialized map, or is larger than the limits.
pub fn decode(map: &[u8]) -> Result<Vec<Pair<'_>>, Status> {
    if map.is_empty() || map == [0] {
        return Ok(Vec::new());
    }
    if map.len() > MAX_PAIRS_BYTES || read_u32(map, 0)? > MAX_PAIRS {
        return Err(Status::BadArgument);
    }
    parse(map)
}

/// Reads a map that is not a guest's: of any size.
///
/// Errors: [`Status::BadArgument`] for what is not exactly a serialized map.
pub fn parse(map: &[u8]) -> Result<Vec<Pair<'_>>, Status> {
    if map.is_empty() {
        return Ok(Vec::new());
    }
    let count = read_u32(map, 0)?;
    if count > map.len() / 8 {
        return Err(Status::BadArgument);
    }
    let mut pairs = Vec::with_capacity(count);
    let mut at = 4 + count * 8;
    for index in 0..count {
        let key_len = read_u32(map, 4 + index * 8)?;
        let value_len = read_u32(map, 8 + index * 8)?;
        let key = read_terminated(map, &mut at, key_len)?;
        let value = read_terminated(map, &mut at, value_len)?;
        pairs.push((key, value));
    }
    if at != map.len() {
        return Err(Status::BadArgument);
    }
    Ok(pairs)
}

fn read_u32(map: &[u8], at: usize) -> Result<usize, Status> {
    let bytes = map.get(at..at + 4).ok_or(Status::BadArgument)?;
    let bytes = bytes.try_into().map_err(|_| Status::BadArgument)?;
    Ok(u32::from_le_bytes(bytes) as usize)
}

fn read_terminated<'a>(map: &'a [u8], at: &mut usize, len: usize) -> Result<&'a [u8], Status> {
    let end = at.checked_add(len).ok_or(Status::BadArgument)?;
    let bytes = map.get(*at..end).ok_or(Status::BadArgument)?;
    if map.get(end) != Some(&0) {
        return Err(Status::BadArgument);
    }
    *at = end + 1;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut encoder = Encoder::default();
        for (key, value) in pairs {
            encoder.push(key.as_bytes(), value.as_bytes());
        }
        let mut out = Vec::new();
        encoder.write(&mut out);
        assert_eq!(out.len(), encoder.size());
        out
    }

    #[test]
    fn pairs_survive_the_round_trip_in_order_with_duplicates() {
        let pairs = [("a", "1"), ("b", ""), ("a", "two"), ("", "x")];
        let map = encode(&pairs);

        let decoded: Vec<_> = decode(&map).expect("a map of our own");
        let expected: Vec<_> = pairs
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.as_bytes()))
            .collect();
        assert_eq!(decoded, expected);
    }

    #[test]
    fn the_layout_is_the_specified_one() {
        assert_eq!(
            encode(&[("ab", "c")]),
            b"\x01\0\0\0\x02\0\0\0\x01\0\0\0ab\0c\0"
        );
        assert_eq!(encode(&[]), b"\0\0\0\0");
    }

    #[test]
    fn every_way_to_say_empty_is_empty() {
        for map in [&b""[..], b"\0", b"\0\0\0\0"] {
            assert_eq!(decode(map), Ok(Vec::new()));
        }
    }

    #[test]
    fn anything_inexact_is_refused() {
        let good = encode(&[("key", "value"), ("k", "v")]);
        for end in 2..good.len() {
            assert_eq!(
                decode(&good[..end]),
                Err(Status::BadArgument),
                "cut at {end}"
            );
        }

        let mut trailing = good.clone();
        trailing.push(0);
        let mut unterminated = good.clone();
        *unterminated.last_mut().expect("not empty") = b'x';
        let mut overrun = good.clone();
        overrun[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut too_many = good;
        too_many[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        for map in [trailing, unterminated, overrun, too_many] {
            assert_eq!(decode(&map), Err(Status::BadArgument));
        }
    }
}
