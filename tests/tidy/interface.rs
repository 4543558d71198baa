//! The number of the C interface, by which Lua files and a library of different
//! releases know each other.

use super::source::Source;
use resty_proxy_wasm::capi::RPW_ABI;

/// What the interface of this number looks like.
const LAST: (i32, u64) = (3, 0xd0e5_a1b3_874a_1b0f);

#[test]
fn a_changed_interface_has_another_number() {
    let header = Source::read("include/resty_proxy_wasm.h");
    let code =
        header.text.lines().map(str::trim).filter(|line| {
            !(line.is_empty() || line.starts_with("//") || line.contains("RPW_ABI"))
        });
    // FNV-1a: it stays the same with every compiler.
    let hash = code
        .flat_map(str::bytes)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    assert_eq!(
        (RPW_ABI, hash),
        LAST,
        "the C interface has changed: Lua files of before would crash with it. Count up RPW_ABI \
         in src/capi/error.rs, and write here what the interface is now"
    );
}
