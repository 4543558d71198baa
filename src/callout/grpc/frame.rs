//! Messages on the wire: a flag, the length in four bytes, the message.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Closed, status};

/// Bytes before each message.
pub const PREFIX: usize = 5;

/// A message that is not compressed, as it goes over the wire.
pub fn encode(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    // A guest's memory has no more.
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    framed.freeze()
}

/// Puts messages together.
pub struct Decoder {
    limit: usize,
    prefix: Vec<u8>,
    message: Vec<u8>,
}

impl Decoder {
    /// For messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Decoder {
            limit,
            prefix: Vec::with_capacity(PREFIX),
            message: Vec::new(),
        }
    }

    /// Takes bytes, and gives each message that they complete.
    ///
    /// Errors: what the call is closed with.
    pub fn push(&mut self, mut bytes: &[u8], mut give: impl FnMut(Vec<u8>)) -> Result<(), Closed> {
        loop {
            let wanted = (PREFIX - self.prefix.len()).min(bytes.len());
            self.prefix.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            let Some(length) = self.length()? else {
                return Ok(());
            };
            let wanted = (length - self.message.len()).min(bytes.len());
            self.message.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if self.message.len() < length {
                return Ok(());
            }
            give(std::mem::take(&mut self.message));
            self.prefix.clear();
        }
    }

    /// The length of the message, once its prefix is complete.
    fn length(&self) -> Result<Option<usize>, Closed> {
        let [flag, a, b, c, d] = self.prefix[..] else {
            return Ok(None);
        };
        match flag {
            0 => {}
            1 => {
                let why = "the upstream compresses a message, though it was told not to";
                return Err(Closed::ours(status::INTERNAL, why));
            }
            _ => {
                let why = "the upstream's answer has no gRPC message where one must begin";
                return Err(Closed::ours(status::INTERNAL, why));
            }
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > self.limit {
            let limit = self.limit;
            let why = format!(
                "a message of {length} bytes came, more than the {limit} allowed (option \
                 max_callout_response)"
            );
            return Err(Closed::ours(status::RESOURCE_EXHAUSTED, why));
        }
        Ok(Some(length))
    }

    /// Bytes of a message that has begun.
    pub fn held(&self) -> usize {
        self.message.len()
    }

    /// True in the middle of a message.
    pub fn is_unfinished(&self) -> bool {
        !self.prefix.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, encode};
    use crate::callout::grpc::status;

    #[test]
    fn messages_come_back_however_they_are_cut() {
        let messages: [&[u8]; 4] = [b"", b"a", &[7; 1000], b"last"];
        let mut wire: Vec<u8> = messages.iter().flat_map(|it| encode(it)).collect();
        wire.extend_from_slice(&[0, 0, 0]);
        for size in [1, 2, 5, 7, 10_000] {
            let mut decoder = Decoder::new(1000);
            let mut got = Vec::new();
            for piece in wire.chunks(size) {
                decoder.push(piece, |message| got.push(message)).unwrap();
            }
            assert_eq!(got, messages);
            assert!(decoder.is_unfinished());
        }
    }

    #[test]
    fn what_is_no_message_closes_the_call() {
        for (wire, expected) in [
            (&[1, 0, 0, 0, 0][..], status::INTERNAL),
            (&[2, 0, 0, 0, 0], status::INTERNAL),
            (b"HTTP/", status::INTERNAL),
            (&[0, 0, 0, 3, 233], status::RESOURCE_EXHAUSTED),
            (&[0, 255, 255, 255, 255], status::RESOURCE_EXHAUSTED),
        ] {
            let closed = Decoder::new(1000).push(wire, |_| panic!("a message"));
            assert_eq!(closed.unwrap_err().status, expected, "{wire:?}");
        }
    }
}
