//! Proxy-Wasm plugins in stock OpenResty. The rooms and their laws are in
//! ARCHITECTURE.md.

/// cbindgen:ignore
pub mod abi;
/// cbindgen:ignore
pub mod callbacks;
/// cbindgen:ignore
pub mod callout;
#[allow(
    non_camel_case_types,
    reason = "these names are C's: one prefix, lower case"
)]
pub mod capi;
/// cbindgen:ignore
pub mod context;
/// cbindgen:ignore
pub mod host;
/// cbindgen:ignore
pub mod hostcalls;
/// cbindgen:ignore
pub mod plugin;
/// cbindgen:ignore
pub mod shared;
/// cbindgen:ignore
pub mod vm;
