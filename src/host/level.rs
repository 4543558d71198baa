//! nginx's log levels, and the specification's.
#![forbid(unsafe_code)]

use std::ffi::c_int;

use crate::abi::types::LogLevel;

const CRIT: c_int = 3;
const ERR: c_int = 4;
const WARN: c_int = 5;
pub(super) const NOTICE: c_int = 6;
const INFO: c_int = 7;
const DEBUG: c_int = 8;

/// The level at which nginx writes a line.
pub(super) fn of(level: LogLevel) -> c_int {
    match level {
        LogLevel::Trace | LogLevel::Debug => DEBUG,
        LogLevel::Info => INFO,
        LogLevel::Warn => WARN,
        LogLevel::Error => ERR,
        // Never emerg or alert: those are nginx's own.
        LogLevel::Critical => CRIT,
    }
}

/// The most talkative level that a log of this level of nginx's writes.
pub(super) fn written(level: c_int) -> LogLevel {
    match level {
        // `error_log … debug_http` and its like give bits above debug, which
        // let debug lines through.
        DEBUG.. => LogLevel::Trace,
        INFO => LogLevel::Info,
        // Notice, between the two, has no level of its own.
        WARN..INFO => LogLevel::Warn,
        ERR => LogLevel::Error,
        _ => LogLevel::Critical,
    }
}
