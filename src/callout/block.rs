//! Gathers lines up to an empty one: a head, or a trailer section.

/// Bytes of a block that is not complete yet. Each byte is looked at once, so
/// a block that comes byte by byte costs no more than one that comes at once.
pub(super) struct Block {
    bytes: Vec<u8>,
    line_is_empty: bool,
}

/// What became of the bytes given to [`Block::take`].
#[derive(Clone, Copy)]
pub(super) enum Taken {
    /// All were taken, and the block goes on.
    All,
    /// This many were taken, and the block is complete.
    Complete(usize),
    /// The block does not end within its room.
    NoRoom,
}

fn is_empty(line: &[u8]) -> bool {
    line.iter().all(|byte| *byte == b'\r')
}

impl Block {
    /// A block that starts with a text of ours. Where that ends in a newline,
    /// an empty line right behind it completes the block.
    pub(super) fn new(start: &[u8]) -> Block {
        Block {
            bytes: start.to_vec(),
            line_is_empty: start.ends_with(b"\n"),
        }
    }

    /// Takes bytes up to the end of the first empty line, at most `room` of
    /// them. Lines end in CRLF or LF (RFC 9112 §2.2).
    pub(super) fn take(&mut self, input: &[u8], room: usize) -> Taken {
        let within = &input[..input.len().min(room)];
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', within) {
            // A CR that no LF follows is for the parser to refuse.
            if self.line_is_empty && is_empty(&within[start..end]) {
                self.bytes.extend_from_slice(&within[..=end]);
                return Taken::Complete(end + 1);
            }
            self.line_is_empty = true;
            start = end + 1;
        }
        self.line_is_empty = self.line_is_empty && is_empty(&within[start..]);
        self.bytes.extend_from_slice(within);
        if within.len() < input.len() {
            Taken::NoRoom
        } else {
            Taken::All
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}
