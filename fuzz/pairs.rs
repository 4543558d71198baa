//! The codec of serialized maps: what is taken is written back as it was.

use crate::engine::Target;
use resty_proxy_wasm::abi::limits::{MAX_PAIRS, MAX_PAIRS_BYTES};
use resty_proxy_wasm::abi::pairs::{Encoder, decode};

pub const TARGET: Target = Target {
    name: "pairs",
    run,
    words: &[b"\x01\0\0\0", b"\0\0\0\0"],
    more_seeds: Vec::new,
};

fn run(data: &[u8]) {
    let Ok(pairs) = decode(data) else {
        return;
    };
    assert!(pairs.len() <= MAX_PAIRS && data.len() <= MAX_PAIRS_BYTES);
    let mut encoder = Encoder::default();
    for (key, value) in &pairs {
        encoder.push(key, value);
    }
    let mut written = Vec::new();
    encoder.write(&mut written);
    assert_eq!(written.len(), encoder.size());
    // The empty map has three forms.
    if !pairs.is_empty() {
        assert_eq!(written, data);
    }
    assert_eq!(decode(&written), Ok(pairs));
}
