//! What compilers import from the module `env` beside the host functions of
//! the specification.

use super::table::Linked;
use crate::abi::limits::MAX_WASI_LINE;
use crate::abi::types::LogLevel;
use crate::context::State;
use crate::vm::guest::{self, HostResult};
use crate::vm::{GuestCaller, GuestLinker, WasmType};

/// Defines the compiler's function that an import of the module `env` asks
/// for.
///
/// Errors: the linker's, in words.
pub fn link(
    linker: &mut GuestLinker<State>,
    module: &str,
    name: &str,
    params: &[WasmType],
    results: &[WasmType],
) -> Result<Linked, String> {
    use WasmType::I32;

    if module != "env" {
        return Ok(Linked::Unknown);
    }
    let (expected, returned): (&[WasmType], &[WasmType]) = match name {
        "abort" => (&[I32; 4], &[]),
        "emscripten_notify_memory_growth" => (&[I32], &[]),
        "pthread_equal" => (&[I32; 2], &[I32]),
        _ => return Ok(Linked::Unknown),
    };
    if params != expected || results != returned {
        return Ok(Linked::WrongType);
    }
    let defined = match name {
        "abort" => linker.func_wrap(module, name, abort),
        // The memory is looked up anew for every host function anyway.
        "emscripten_notify_memory_growth" => linker.func_wrap(module, name, |_memory: u32| {}),
        // The C++ SDK links libc++, which compares its only thread to itself.
        _ => linker.func_wrap(module, name, |a: u32, b: u32| u32::from(a == b)),
    };
    defined
        .map(|_| Linked::Built)
        .map_err(|error| error.to_string())
}

/// AssemblyScript's: logs where the guest gave up, and why, and ends the guest
/// call.
fn abort(
    mut caller: GuestCaller<'_, State>,
    message: u32,
    file: u32,
    line: u32,
    column: u32,
) -> HostResult<()> {
    if let Ok((memory, state)) = guest::split(&mut caller) {
        let message = string(memory, message);
        let file = string(memory, file);
        let text = format!("abort: {message} at {file}:{line}:{column}");
        state.log(LogLevel::Error, text.as_bytes());
    }
    guest::raise(guest::abort("the guest aborted"))
}

/// A string of AssemblyScript's: UTF-16, its length in bytes in front of it.
/// Cut at what a line of the log holds; empty when it cannot be read, since
/// the guest ends either way.
fn string(memory: &[u8], ptr: u32) -> String {
    let Some(len) = ptr
        .checked_sub(4)
        .and_then(|header| guest::slice(memory, header, 4).ok())
        .and_then(|header| header.try_into().ok())
        .map(u32::from_le_bytes)
    else {
        return String::new();
    };
    let len = len.min(MAX_WASI_LINE as u32);
    let bytes = guest::slice(memory, ptr, len).unwrap_or_default();
    let (units, _) = bytes.as_chunks();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
