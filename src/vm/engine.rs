//! The one engine of the process, made on first use.
#![forbid(unsafe_code)]

use std::hash::{Hash, Hasher};

use once_cell::sync::OnceCell;
use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine, WasmBacktraceDetails};

use super::process;
use crate::abi::limits::{AMPLE_ADDRESS_SPACE, GUEST_STACK, SCARCE_GUARD, SCARCE_ROOM_TO_GROW};

/// Guest calls end when they have used their CPU time.
pub const INTERRUPTED: bool = cfg!(not(feature = "uninterrupted"));

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
        config.epoch_interruption(INTERRUPTED);
        config.max_wasm_stack(GUEST_STACK);
        // Each memory reserves 4 GiB of addresses, and nobody makes two.
        config.wasm_multi_memory(false);
        if process::address_space().is_some_and(|limit| limit < AMPLE_ADDRESS_SPACE) {
            save_address_space(&mut config);
        }
        process::die_of_sent_faults();
        Engine::new(&config).map_err(|error| format!("no WebAssembly engine: {error:#}"))
    })
}

/// Code that checks every access to memory, in place of 4 GiB of addresses for
/// each memory, of which none beyond its end can be used.
fn save_address_space(config: &mut Config) {
    config.memory_reservation(0);
    config.memory_reservation_for_growth(SCARCE_ROOM_TO_GROW);
    config.memory_guard_size(SCARCE_GUARD);
}

/// Names all that serialized code depends on beside its module: the version of
/// the engine, its configuration, the processor.
pub fn compatibility(engine: &Engine) -> [u8; 32] {
    let mut hasher = Digester(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().into()
}

/// A cryptographic hash behind the interface of hash tables.
struct Digester(Sha256);

impl Hasher for Digester {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        u64::from_le_bytes(digest[..8].try_into().expect("eight bytes"))
    }
}
