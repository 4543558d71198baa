//! The vocabulary of the Proxy-Wasm specification: numbers, codecs, limits.
//!
//! This room knows no WebAssembly engine and no proxy, and has no `unsafe`.
#![forbid(unsafe_code)]

pub mod field;
pub mod header_list;
pub mod limits;
pub mod pairs;
pub mod property;
pub mod protobuf;
pub mod status;
pub mod types;
pub mod version;

pub use header_list::HeaderList;
pub use status::Status;
