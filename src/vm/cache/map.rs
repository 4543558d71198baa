//! Turns serialized code into code that runs: the one place that trusts it.

use std::fs::File;
use std::io::{Read, Seek};

use wasmtime::{Engine, Module};

/// The module in a file, mapped, so that all who map it share the memory; read
/// where the file system is not for code (`noexec`).
///
/// Errors: what the engine says of it; code of another engine is refused.
///
/// # Safety
///
/// The file must hold what `Module::serialize` gave, and never change: it is
/// run, whatever it is.
pub unsafe fn code(engine: &Engine, mut file: File) -> Result<Module, String> {
    let mapped = file.try_clone().map_err(|error| error.to_string())?;
    // SAFETY: as promised.
    if let Ok(module) = unsafe { Module::deserialize_open_file(engine, mapped) } {
        return Ok(module);
    }
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    // SAFETY: as promised.
    unsafe { Module::deserialize(engine, &bytes) }.map_err(|error| format!("{error:#}"))
}
