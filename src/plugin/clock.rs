//! What runs without a request: ticks, and the news of shared queues.

use std::time::Instant;

use super::lifecycle::{Life, Plugin, call};
use crate::abi::limits::{MAX_QUEUE_NEWS, QUEUE_POLL_MS};

impl Plugin {
    /// Makes the instance, if there is none: its ticks and queues begin.
    ///
    /// Later, while its code is still compiled.
    ///
    /// Errors: as a callback of the start.
    pub fn start_now(&mut self) -> Result<(), super::Error> {
        self.on_its_own = true;
        match self.guard(|plugin| plugin.running().map(drop)) {
            // A timer does it: `try_root_later`.
            Err(super::Error::Compiling) => Ok(()),
            started => started,
        }
    }

    /// Runs what is due. Gives the milliseconds until something is due again.
    pub fn run_timers(&mut self, now: Instant) -> Option<u32> {
        // A panic is in the log.
        self.guard(|plugin| Ok(plugin.run_due(now))).ok().flatten()
    }

    fn run_due(&mut self, now: Instant) -> Option<u32> {
        let revive = self.revive(now);
        let state = self.state();
        if state.log_budget.tell_at().is_some_and(|at| at <= now) {
            state.tell_dropped_lines();
        }
        self.run_ticks(now);
        self.tell_queues();

        let state = self.state();
        let ticks = state
            .contexts
            .roots
            .values()
            .filter_map(|root| root.tick_due());
        let next = ticks.chain(state.log_budget.tell_at());
        let next = next.map(|due| due.saturating_duration_since(now));
        let next = next.chain(revive).min().map(|left| left.as_millis() as u32);
        let polls = state
            .contexts
            .roots
            .values()
            .any(|root| !root.queues.is_empty());
        let poll = polls.then_some(QUEUE_POLL_MS);
        next.into_iter().chain(poll).min().map(|ms| ms.max(1))
    }

    fn run_ticks(&mut self, now: Instant) {
        let mut due: Vec<u32> = Vec::new();
        for (id, root) in &mut self.state().contexts.roots {
            if root.tick_due().is_some_and(|at| at <= now) {
                root.tick_again(now);
                due.push(*id);
            }
        }
        due.sort_unstable();
        for root in due {
            if let Life::Running(_) = self.life {
                // A failure is in the log.
                let _ = self.call(root, "proxy_on_tick", |running| {
                    call(running, |c| &c.proxy_on_tick, (root,))
                });
            }
        }
    }

    /// `proxy_on_queue_ready`, once for each item that came since the last
    /// look, for as long as there are items.
    fn tell_queues(&mut self) {
        let state = self.state();
        if state
            .contexts
            .roots
            .values()
            .all(|root| root.queues.is_empty())
        {
            return;
        }
        let queues = state.shared.queues.clone();
        let enqueued = queues.enqueued();
        if std::mem::replace(&mut state.seen_enqueued, enqueued) == enqueued {
            return;
        }
        let mut news: Vec<(u32, u32, u64)> = Vec::new();
        let mut more = false;
        for (id, root) in &mut state.contexts.roots {
            for (token, seen) in &mut root.queues {
                let came = queues.last(*token).saturating_sub(*seen);
                more |= came > MAX_QUEUE_NEWS;
                let came = came.min(MAX_QUEUE_NEWS);
                *seen += came;
                news.push((*id, *token, came));
            }
        }
        if more {
            state.look_at_queues();
        }
        news.sort_unstable();
        for (root, token, came) in news {
            for _ in 0..came {
                let Life::Running(_) = self.life else {
                    return;
                };
                if queues.is_empty(token) {
                    break;
                }
                let _ = self.call(root, "proxy_on_queue_ready", |running| {
                    call(running, |c| &c.proxy_on_queue_ready, (root, token))
                });
            }
        }
    }
}
