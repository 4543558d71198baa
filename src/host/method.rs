//! The methods of requests that nginx knows, by their bits.
#![forbid(unsafe_code)]

use std::ffi::c_int;

/// A method's bit (ngx_http_request.h).
pub(super) const HEAD: c_int = 0x4;

/// The methods that lua-nginx-module can set, with nginx's bits.
const METHODS: [(&[u8], c_int); 15] = [
    (b"GET", 0x2),
    (b"HEAD", HEAD),
    (b"POST", 0x8),
    (b"PUT", 0x10),
    (b"DELETE", 0x20),
    (b"MKCOL", 0x40),
    (b"COPY", 0x80),
    (b"MOVE", 0x100),
    (b"OPTIONS", 0x200),
    (b"PROPFIND", 0x400),
    (b"PROPPATCH", 0x800),
    (b"LOCK", 0x1000),
    (b"UNLOCK", 0x2000),
    (b"PATCH", 0x4000),
    (b"TRACE", 0x8000),
];

/// The bit of a method that nginx can be told to set.
pub(super) fn method_bit(method: &[u8]) -> Option<c_int> {
    let (_, bit) = METHODS.iter().find(|(name, _)| *name == method)?;
    Some(*bit)
}
