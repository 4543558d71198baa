//! Links the library so that it is never unloaded: wasmtime's trap handler
//! and the code of compiled modules must outlive every `ffi.load` handle.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
