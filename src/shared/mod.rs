//! State that plugins share beyond one request.

pub mod metrics;
