//! stdout and stderr of a guest: lines of the log.

use super::{Answer, BadF, is_output};
use crate::abi::limits::{MAX_WASI_BUFFERS, MAX_WASI_LINE, MAX_WASI_WRITE};
use crate::abi::types::LogLevel;
use crate::context::State;
use crate::vm::guest;

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

impl Stream {
    fn of(fd: u32) -> Option<Self> {
        match fd {
            1 => Some(Stream::Out),
            2 => Some(Stream::Err),
            _ => None,
        }
    }

    /// Envoy's levels.
    fn level(self) -> LogLevel {
        match self {
            Stream::Out => LogLevel::Info,
            Stream::Err => LogLevel::Error,
        }
    }

    /// The line that is not finished yet.
    fn line(self, state: &mut State) -> &mut Vec<u8> {
        match self {
            Stream::Out => &mut state.stdio.out,
            Stream::Err => &mut state.stdio.err,
        }
    }
}

/// Logs what a guest has written without ending the line. To be called when
/// its instance ends.
pub fn flush(state: &mut State) {
    for stream in [Stream::Out, Stream::Err] {
        let mut line = std::mem::take(stream.line(state));
        end_line(state, stream, &mut line);
    }
}

/// `fd_write`.
///
/// Errors: [`BadF`] for what is neither stdout nor stderr.
pub(super) fn write(
    memory: &mut [u8],
    state: &mut State,
    fd: u32,
    iovs: u32,
    count: u32,
    written: u32,
) -> Answer {
    let stream = Stream::of(fd).ok_or(BadF)?;
    // The result is checked before anything happens.
    guest::slice(memory, written, 4)?;
    let iovs = guest::slice(memory, iovs, count.min(MAX_WASI_BUFFERS) * 8)?;

    let mut total = 0;
    for &[a, b, c, d, e, f, g, h] in iovs.as_chunks().0 {
        let (ptr, len) = (
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        );
        let bytes = guest::slice(memory, ptr, len)?;
        let taken = bytes.len().min(MAX_WASI_WRITE - total);
        append(state, stream, &bytes[..taken]);
        total += taken;
        if taken < bytes.len() {
            break;
        }
    }
    guest::write_u32(memory, written, total as u32)?;
    Ok(())
}

/// `fd_pwrite`: a log has only its end to write to, whatever the offset.
pub(super) fn pwrite(
    memory: &mut [u8],
    state: &mut State,
    fd: u32,
    iovs: u32,
    count: u32,
    _offset: u64,
    written: u32,
) -> Answer {
    write(memory, state, fd, iovs, count, written)
}

/// Logs every line that is finished now and keeps the rest. Empty lines are
/// not worth one in the log.
fn append(state: &mut State, stream: Stream, bytes: &[u8]) {
    let mut line = std::mem::take(stream.line(state));
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (mut text, ends) = match piece.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (piece, false),
        };
        while line.len() + text.len() > MAX_WASI_LINE {
            let (fits, rest) = text.split_at(MAX_WASI_LINE - line.len());
            line.extend_from_slice(fits);
            end_line(state, stream, &mut line);
            text = rest;
        }
        line.extend_from_slice(text);
        if ends {
            end_line(state, stream, &mut line);
        }
    }
    *stream.line(state) = line;
}

fn end_line(state: &mut State, stream: Stream, line: &mut Vec<u8>) {
    if !line.is_empty() {
        state.log(stream.level(), line);
        line.clear();
    }
}

/// `fd_fdstat_get`. The three are terminals to the guest: C libraries keep
/// what is written to anything else until their buffer is full, and a plugin
/// never exits to empty it.
///
/// Errors: [`BadF`] for all others.
pub(super) fn fdstat_get(memory: &mut [u8], _: &mut State, fd: u32, stat: u32) -> Answer {
    const CHARACTER_DEVICE: u8 = 2;
    const RIGHT_FD_WRITE: u64 = 1 << 6;
    if fd > 2 {
        return Err(BadF.into());
    }
    let rights = if is_output(fd) { RIGHT_FD_WRITE } else { 0 };
    let stat = guest::slice_mut(memory, stat, 24)?;
    stat.fill(0);
    stat[0] = CHARACTER_DEVICE;
    stat[8..16].copy_from_slice(&rights.to_le_bytes());
    Ok(())
}
