//! zlib for foreign functions, in steps: an argument of 32 MiB takes longer than
//! a callback may, and nothing else looks at the clock meanwhile.

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, inflate_flags};
use miniz_oxide::{deflate, inflate};

use super::super::Call;
use super::super::table::Failure;
use crate::abi::Status;
use crate::abi::limits::MAX_UNCOMPRESSED;
use crate::abi::types::LogLevel;

/// zlib's own default.
const LEVEL: i32 = 6;
/// With zlib's header and checksum.
const ZLIB: i32 = 1;
const DEFAULT_STRATEGY: i32 = 0;

/// Bytes that go in between two looks at the clock: a few milliseconds, however
/// slow they make it.
const STEP: usize = 16 << 10;
/// Bytes of room for what comes out.
const ROOM: usize = 64 << 10;

/// Errors: the guest call has used its CPU time.
pub fn compress(call: &mut Call, bytes: &[u8]) -> Result<(), Failure> {
    let flags = create_comp_flags_from_zip_params(LEVEL, ZLIB, DEFAULT_STRATEGY);
    let mut compressor = CompressorOxide::new(flags);
    let (mut read, mut written) = (0, 0);
    loop {
        call.budget.check()?;
        let end = bytes.len().min(read + STEP);
        let flush = match end == bytes.len() {
            true => TDEFLFlush::Finish,
            false => TDEFLFlush::None,
        };
        call.out.resize(written + ROOM, 0);
        let (input, output) = (&bytes[read..end], &mut call.out[written..]);
        let (status, took, gave) = deflate::core::compress(&mut compressor, input, output, flush);
        read += took;
        written += gave;
        match status {
            TDEFLStatus::Okay if took + gave > 0 => {}
            TDEFLStatus::Done => break,
            _ => return Err(Status::InternalFailure.into()),
        }
    }
    call.out.truncate(written);
    Ok(())
}

/// Errors: [`Status::SerializationFailure`] for what zlib has not made, as
/// Envoy's; [`Status::InternalFailure`] where too much would come of it; the
/// guest call has used its CPU time.
pub fn uncompress(call: &mut Call, bytes: &[u8]) -> Result<(), Failure> {
    let mut decompressor = Box::<DecompressorOxide>::default();
    let (mut read, mut written) = (0, 0);
    loop {
        call.budget.check()?;
        let end = bytes.len().min(read + STEP);
        let mut flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
            | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        if end < bytes.len() {
            flags |= inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        }
        // One byte more than there may be tells whether there is more.
        let room = (written + ROOM).min(MAX_UNCOMPRESSED + 1);
        call.out.resize(room, 0);
        let (status, took, gave) = inflate::core::decompress(
            &mut decompressor,
            &bytes[read..end],
            call.out,
            written,
            flags,
        );
        read += took;
        written += gave;
        if written > MAX_UNCOMPRESSED {
            let line = format!("uncompress: the result is over {MAX_UNCOMPRESSED} bytes");
            call.state.log(LogLevel::Error, line.as_bytes());
            return Err(Status::InternalFailure.into());
        }
        match status {
            TINFLStatus::Done => break,
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::NeedsMoreInput if took > 0 && end < bytes.len() => {}
            _ => return Err(Status::SerializationFailure.into()),
        }
    }
    call.out.truncate(written);
    Ok(())
}
