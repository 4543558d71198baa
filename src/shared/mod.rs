//! State that plugins share beyond one request.
#![forbid(unsafe_code)]

pub mod metrics;
