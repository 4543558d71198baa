//! What a plugin writes to the log: the file is everybody's, so lines that are
//! more than its share of a second are dropped, counted and told.

use std::time::{Duration, Instant};

use super::effect::Effect;
use super::state::State;
use crate::abi::limits::{MAX_LOG_LINE, MAX_LOG_TEXT};
use crate::abi::types::LogLevel;
use crate::host::{Host, Request};

/// What is dropped is told this long after the first of it, at the latest.
pub const TELL_AFTER: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct LogBudget {
    /// By the host's clock.
    second: i64,
    lines: u32,
    dropped: u64,
    tell_at: Option<Instant>,
}

impl LogBudget {
    /// True when another second than at the last line has begun.
    pub fn begin(&mut self, second: i64) -> bool {
        if second == self.second {
            return false;
        }
        self.second = second;
        self.lines = 0;
        true
    }

    /// Takes a line of `limit`. False: the line is dropped.
    pub fn take(&mut self, limit: u32) -> bool {
        if self.lines < limit {
            self.lines += 1;
            return true;
        }
        self.dropped += 1;
        false
    }

    /// True when lines were dropped and nothing is set up to tell it.
    pub fn must_be_told(&mut self) -> bool {
        let new = self.dropped > 0 && self.tell_at.is_none();
        if new {
            self.tell_at = Some(Instant::now() + TELL_AFTER);
        }
        new
    }

    pub fn tell_at(&self) -> Option<Instant> {
        self.tell_at
    }

    /// The lines dropped since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        self.tell_at = None;
        std::mem::take(&mut self.dropped)
    }
}

impl State {
    /// Writes a guest's text to the log of the effective request, as
    /// [`log_line`], but for lines over the plugin's limit.
    pub fn log(&mut self, level: LogLevel, text: &[u8]) {
        let request = self.log_request();
        if !writes(&*self.host, request, level) {
            return;
        }
        if self.log_budget.begin(self.host.second()) {
            self.tell_dropped_lines();
        }
        let limit = self.plugin.limits.log_lines;
        let mut line = Vec::new();
        for part in lines(text) {
            if self.log_budget.take(limit) {
                write_line(
                    &*self.host,
                    &self.plugin.name,
                    request,
                    level,
                    part,
                    &mut line,
                );
            }
        }
        if self.log_budget.must_be_told() {
            let after_ms = TELL_AFTER.as_millis() as u32;
            self.push_shared(Effect::Timer { after_ms });
        }
    }

    /// Says how many lines were dropped, if any were.
    pub fn tell_dropped_lines(&mut self) {
        let dropped = self.log_budget.take_dropped();
        if dropped > 0 {
            let limit = self.plugin.limits.log_lines;
            let line = format!(
                "{dropped} lines dropped: more than {limit} in a second (option max_log_lines)"
            );
            log_line(
                &*self.host,
                &self.plugin.name,
                None,
                LogLevel::Warn,
                line.as_bytes(),
            );
        }
    }
}

/// True when the log has lines of this level.
fn writes(host: &dyn Host, request: Option<Request>, level: LogLevel) -> bool {
    level as u32 >= host.log_level(request) as u32
}

/// The lines of a text, without their ends.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = &text[..text.len().min(MAX_LOG_TEXT)];
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|byte| *byte == b'\n')
}

/// Writes a plugin's text to the log, line by line: each line names the
/// plugin, and control characters are escaped, so that no guest can write a
/// line that looks like somebody else's.
pub fn log_line(
    host: &dyn Host,
    plugin: &[u8],
    request: Option<Request>,
    level: LogLevel,
    text: &[u8],
) {
    if !writes(host, request, level) {
        return;
    }
    let mut line = Vec::new();
    for part in lines(text) {
        write_line(host, plugin, request, level, part, &mut line);
    }
}

/// As [`log_line`], for what the operator may want to know, and need not do
/// anything about.
pub fn log_notice(host: &dyn Host, plugin: &[u8], text: &[u8]) {
    let mut line = Vec::new();
    for part in lines(text) {
        make_line(plugin, part, &mut line);
        host.log_notice(&line);
    }
}

/// Writes one line, made in `line`.
fn write_line(
    host: &dyn Host,
    plugin: &[u8],
    request: Option<Request>,
    level: LogLevel,
    text: &[u8],
    line: &mut Vec<u8>,
) {
    make_line(plugin, text, line);
    host.log(request, level, line);
}

fn make_line(plugin: &[u8], text: &[u8], line: &mut Vec<u8>) {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let text = &text[..text.len().min(MAX_LOG_LINE)];
    line.clear();
    line.reserve(plugin.len() + text.len() + 16);
    line.extend_from_slice(b"[proxy-wasm] ");
    line.extend_from_slice(plugin);
    line.extend_from_slice(b": ");
    for byte in text {
        match byte {
            b'\t' => line.push(b'\t'),
            0..b' ' | 0x7f => line.extend(byte.escape_ascii()),
            _ => line.push(*byte),
        }
    }
}
