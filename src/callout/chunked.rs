//! Undoes the chunked coding (RFC 9112 §7.1), up to the trailer section.

use super::Error;
use crate::abi::limits::MAX_SIZE_LINE;

/// A decoder that keeps no input: it can be stopped between any two bytes.
pub(super) struct Chunked {
    state: State,
    /// Of the chunk: as far as read while in its size line, then what is left.
    size: u64,
    /// Bytes of the size line so far.
    line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    Start,
    Digits,
    /// Blanks between the digits and what follows: some servers pad.
    Blanks,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// Behind the line of the last chunk.
    End,
}

impl Chunked {
    pub(super) fn new() -> Chunked {
        Chunked {
            state: State::Start,
            size: 0,
            line: 0,
        }
    }

    /// The size line of the last chunk is read; the trailer section follows.
    pub(super) fn is_ended(&self) -> bool {
        self.state == State::End
    }

    /// Decodes from `input` and appends to `body`. `room` is how many bytes
    /// the body may still grow; more is `Err(too_large)`, known as soon as a
    /// chunk announces it. Gives the number of bytes used: all, or those up
    /// to the end.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        mut room: usize,
        too_large: Error,
    ) -> Result<usize, Error> {
        let mut used = 0;
        while used < input.len() && self.state != State::End {
            if self.state == State::Data {
                let left = usize::try_from(self.size).unwrap_or(usize::MAX);
                let data = &input[used..];
                let data = &data[..data.len().min(left)];
                body.extend_from_slice(data);
                used += data.len();
                room = room.saturating_sub(data.len());
                self.size -= data.len() as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.step(input[used])?;
            used += 1;
            if self.state == State::Data && self.size > room as u64 {
                return Err(too_large);
            }
        }
        Ok(used)
    }

    /// One byte of the coding itself.
    fn step(&mut self, byte: u8) -> Result<(), Error> {
        let digit = char::from(byte).to_digit(16);
        self.state = match (self.state, byte) {
            (State::Start | State::Digits, _) if digit.is_some() => {
                let more = self.size.checked_mul(16).ok_or(Error::BadChunk)?;
                self.size = more + u64::from(digit.unwrap_or(0));
                State::Digits
            }
            (State::Digits | State::Blanks | State::Extension, b'\r') => State::SizeLf,
            (State::Digits | State::Blanks, b' ' | b'\t') => State::Blanks,
            (State::Digits | State::Blanks, b';') => State::Extension,
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => State::Extension,
            (State::SizeLf, b'\n') => {
                self.line = 0;
                if self.size == 0 {
                    State::End
                } else {
                    State::Data
                }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Start,
            _ => return Err(Error::BadChunk),
        };
        if matches!(self.state, State::Digits | State::Blanks | State::Extension) {
            self.line += 1;
            if self.line > MAX_SIZE_LINE {
                return Err(Error::BadChunk);
            }
        }
        Ok(())
    }
}
