//! The engines of the process, made on first use: one for each size of the
//! guest's stack, as an engine takes one number for all that it runs.
#![forbid(unsafe_code)]

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use once_cell::sync::OnceCell;
use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine, WasmBacktraceDetails};

use super::process;
use crate::abi::limits::{
    AMPLE_ADDRESS_SPACE, GUEST_STACK, HOST_STACK, MAX_GUEST_STACK, MIN_GUEST_STACK, SCARCE_GUARD,
    SCARCE_ROOM_TO_GROW,
};

/// Guest calls end when they have used their CPU time.
pub const INTERRUPTED: bool = cfg!(not(feature = "uninterrupted"));

/// A size of the guest's stack: powers of two, so that there are few engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stack(usize);

const SIZES: usize = (MAX_GUEST_STACK / MIN_GUEST_STACK).ilog2() as usize + 1;

impl Stack {
    /// The least size of at least so many bytes, or the largest that there is.
    pub fn of(bytes: usize) -> Self {
        let bytes = bytes.clamp(MIN_GUEST_STACK, MAX_GUEST_STACK);
        Stack((bytes.next_power_of_two() / MIN_GUEST_STACK).ilog2() as usize)
    }

    fn bytes(self) -> usize {
        MIN_GUEST_STACK << self.0
    }
}

impl Default for Stack {
    fn default() -> Self {
        Stack::of(GUEST_STACK)
    }
}

static ENGINES: [OnceCell<Engine>; SIZES] = [const { OnceCell::new() }; SIZES];

/// Bytes of the largest stack that a guest may have by now.
static LARGEST_STACK: AtomicUsize = AtomicUsize::new(0);

/// The engine whose guests have a stack of this size. It has no thread
/// (wasmtime's `parallel-compilation` feature is off), so that a process may
/// fork after it.
///
/// Errors: a sentence, when the platform cannot run WebAssembly or has no such
/// stack; the next call tries again.
pub fn engine(stack: Stack) -> Result<&'static Engine, String> {
    ENGINES[stack.0].get_or_try_init(|| {
        let mut config = Config::new();
        let bytes = guest_stack(stack.bytes(), process::stack())?;
        config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
        // For the CPU time: see src/vm/ticker.rs.
        config.epoch_interruption(INTERRUPTED);
        config.max_wasm_stack(bytes);
        // Nobody has one; the engine wants it as large.
        config.async_stack_size(MAX_GUEST_STACK);
        // Each memory reserves 4 GiB of addresses, and nobody makes two.
        config.wasm_multi_memory(false);
        if process::address_space().is_some_and(|limit| limit < AMPLE_ADDRESS_SPACE) {
            save_address_space(&mut config);
        }
        process::die_of_sent_faults();
        let engine =
            Engine::new(&config).map_err(|error| format!("no WebAssembly engine: {error:#}"))?;
        LARGEST_STACK.fetch_max(bytes, Ordering::Relaxed);
        Ok(engine)
    })
}

/// All engines that there are.
pub fn engines() -> impl Iterator<Item = &'static Engine> {
    ENGINES.iter().filter_map(OnceCell::get)
}

/// Bytes of stack that every guest gets by with.
pub fn largest_stack() -> usize {
    LARGEST_STACK.load(Ordering::Relaxed)
}

/// Bytes of stack for a guest that is to have `wanted`, where the thread that
/// calls it has `all`.
///
/// Errors: a sentence, when nothing useful is left for it, or less than the
/// operator asked for.
fn guest_stack(wanted: usize, all: Option<u64>) -> Result<usize, String> {
    let Some(all) = all else {
        return Ok(wanted);
    };
    let left = usize::try_from(all).unwrap_or(usize::MAX);
    let left = left.saturating_sub(HOST_STACK);
    if left < MIN_GUEST_STACK {
        return Err(format!(
            "the stack of this process has {} KiB, and plugins need {} (ulimit -s)",
            all >> 10,
            (HOST_STACK + MIN_GUEST_STACK) >> 10
        ));
    }
    if left < wanted && wanted > GUEST_STACK {
        return Err(format!(
            "it is to have {} KiB of stack (option stack_limit), and this process has {} KiB, of \
             which nginx needs {} (ulimit -s)",
            wanted >> 10,
            all >> 10,
            HOST_STACK >> 10
        ));
    }
    if left < wanted {
        let _ = COMPLAINT.set(format!(
            "plugins have {} KiB of stack, not {}: this process has {} KiB (ulimit -s)",
            left >> 10,
            wanted >> 10,
            all >> 10
        ));
    }
    Ok(left.min(wanted))
}

static COMPLAINT: OnceCell<String> = OnceCell::new();
static TOLD: AtomicBool = AtomicBool::new(false);

/// What plugins must do without, once in a process and those that it forks.
pub fn complaint() -> Option<&'static str> {
    let what = COMPLAINT.get()?;
    (!TOLD.swap(true, Ordering::Relaxed)).then_some(what.as_str())
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

#[cfg(test)]
mod tests {
    use super::{Stack, engine, engines, guest_stack};

    #[test]
    fn the_stack_of_a_guest_leaves_the_host_its_own() {
        let usual = |all| guest_stack(512 << 10, all);
        assert_eq!(usual(None), Ok(512 << 10));
        assert_eq!(usual(Some(8 << 20)), Ok(512 << 10));
        assert_eq!(usual(Some(704 << 10)), Ok(512 << 10));
        assert_eq!(usual(Some(256 << 10)), Ok(64 << 10));
        let why = "the stack of this process has 255 KiB, and plugins need 256 (ulimit -s)";
        assert_eq!(usual(Some(255 << 10)), Err(why.to_owned()));
        assert!(usual(Some(0)).is_err());
    }

    #[test]
    fn a_stack_that_was_asked_for_is_there_or_is_an_error() {
        assert_eq!(guest_stack(64 << 10, Some(8 << 20)), Ok(64 << 10));
        assert_eq!(guest_stack(4 << 20, Some(8 << 20)), Ok(4 << 20));
        assert_eq!(guest_stack(4 << 20, None), Ok(4 << 20));
        let why = "it is to have 4096 KiB of stack (option stack_limit), and this process has \
                   4096 KiB, of which nginx needs 192 (ulimit -s)";
        assert_eq!(guest_stack(4 << 20, Some(4 << 20)), Err(why.to_owned()));
    }

    #[test]
    fn sizes_are_few() {
        let bytes = |wanted| Stack::of(wanted).bytes();
        assert_eq!([bytes(0), bytes(1), bytes(64 << 10)], [64 << 10; 3]);
        assert_eq!([bytes((64 << 10) + 1), bytes(128 << 10)], [128 << 10; 2]);
        assert_eq!([bytes(4 << 20), bytes(usize::MAX)], [4 << 20; 2]);
        assert_eq!(Stack::default().bytes(), 512 << 10);
    }

    #[test]
    fn there_is_one_engine_for_each_size() {
        let (small, large) = (
            engine(Stack::of(1)).unwrap(),
            engine(Stack::of(1 << 20)).unwrap(),
        );
        assert!(std::ptr::eq(small, engine(Stack::of(64 << 10)).unwrap()));
        assert!(!std::ptr::eq(small, large));
        assert!(
            [small, large]
                .iter()
                .all(|made| engines().any(|it| std::ptr::eq(it, *made)))
        );
    }
}
