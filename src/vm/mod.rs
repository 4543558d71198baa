//! The WebAssembly engine: the only room that names wasmtime, and it knows
//! nothing of Proxy-Wasm.

pub mod budget;
pub mod cache;
mod effort;
pub mod engine;
pub mod guest;
pub mod instance;
pub mod module;
pub mod outline;
mod process;
pub mod stack;
pub mod ticker;
pub mod trap;
mod usage;

pub use budget::{Allowance, Budget, CpuLimit};
pub use engine::Stack;
pub use guest::{Data, GuestCaller, GuestLinker};
pub use instance::{Callback, Instance, Prepared};
pub use module::{Module, NoCode};
pub use outline::{Import, ImportKind, WasmType};
pub use process::cpu_time;
pub use trap::Trap;
pub use wasmtime::{WasmParams as Params, WasmResults as Results};
