//! Whether the upstream is still there: one that has lost its power or its
//! network says no goodbye.

use std::time::{Duration, Instant};

use crate::abi::limits::{GRPC_PING_AFTER_MS, GRPC_SILENCE_MS};

const PING_AFTER: Duration = Duration::from_millis(GRPC_PING_AFTER_MS as u64);
const SILENCE: Duration = Duration::from_millis(GRPC_SILENCE_MS as u64);

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fine,
    /// It is to be asked.
    Ask,
    Dead,
}

#[derive(Default)]
pub struct Silence {
    /// What was counted when something was last heard.
    heard: u64,
    since: Option<Instant>,
    asked_at: Option<Instant>,
}

impl Silence {
    /// `received` counts what comes. While nobody waits for anything, silence
    /// means nothing.
    pub fn judge(&mut self, now: Instant, received: u64, somebody_waits: bool) -> Verdict {
        let since = *self.since.get_or_insert(now);
        if !somebody_waits || received != self.heard {
            *self = Silence {
                heard: received,
                since: Some(now),
                asked_at: None,
            };
            return Verdict::Fine;
        }
        match self.asked_at {
            Some(at) if now.saturating_duration_since(at) >= SILENCE => Verdict::Dead,
            None if now.saturating_duration_since(since) >= PING_AFTER => {
                self.asked_at = Some(now);
                Verdict::Ask
            }
            _ => Verdict::Fine,
        }
    }

    /// As `judge`, while TLS shakes hands: all of it has one time.
    pub fn judge_handshake(&mut self, now: Instant) -> Verdict {
        let since = *self.since.get_or_insert(now);
        match now.saturating_duration_since(since) >= SILENCE {
            true => Verdict::Dead,
            false => Verdict::Fine,
        }
    }
}
