//! The one engine of the process, made on first use.
#![forbid(unsafe_code)]

use once_cell::sync::OnceCell;
use wasmtime::{Config, Engine, WasmBacktraceDetails};

use crate::abi::limits::GUEST_STACK;

static ENGINE: OnceCell<Engine> = OnceCell::new();

/// The engine. It has no thread (wasmtime's `parallel-compilation` feature is
/// off), so that a process may fork after it.
///
/// Errors: a sentence, when the platform cannot run WebAssembly; the next call
/// tries again.
pub fn engine() -> Result<&'static Engine, String> {
    ENGINE.get_or_try_init(|| {
        let mut config = Config::new();
        config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
        // For the CPU time: see src/vm/ticker.rs.
        config.epoch_interruption(true);
        config.max_wasm_stack(GUEST_STACK);
        // Each memory reserves 4 GiB of addresses, and nobody makes two.
        config.wasm_multi_memory(false);
        Engine::new(&config).map_err(|error| format!("no WebAssembly engine: {error:#}"))
    })
}
