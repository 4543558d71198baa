//! What runs without a request: ticks, and what else is due.

use std::time::{Duration, Instant};

use super::lifecycle::{Life, Plugin, call};
use crate::abi::limits::TURN_MS;

const TURN: Duration = Duration::from_millis(TURN_MS);

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

    /// Runs what is due, pause or not: that is for [`super::registry::run_timers`]
    /// to say. Gives the milliseconds until something is due again.
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
        let began = Instant::now();
        self.run_ticks(now);
        let now = now + began.elapsed();
        let poll = self.tell_queues(now);
        self.answer_the_hopeless();

        let state = self.state();
        let ticks = state
            .contexts
            .roots
            .values()
            .filter_map(|root| root.tick_due());
        let next = ticks.chain(state.log_budget.tell_at());
        let next = next.map(|due| due.saturating_duration_since(now));
        let next = next.chain(revive).min().map(|left| left.as_millis() as u32);
        next.into_iter().chain(poll).min().map(|ms| ms.max(1))
    }

    /// Those that are due for longest come first, and what would take too long
    /// is still due next time: so each root context has its turn.
    fn run_ticks(&mut self, now: Instant) {
        let began = Instant::now();
        let roots = self.state().contexts.roots.iter();
        let due = roots.filter_map(|(id, root)| Some((root.tick_due()?, *id)));
        let mut due: Vec<_> = due.filter(|(at, _)| *at <= now).collect();
        due.sort_unstable();
        for (_, root) in due {
            if began.elapsed() >= TURN {
                return;
            }
            // A tick before this one may have ended it, or its ticks.
            let roots = &mut self.state().contexts.roots;
            let ticks = roots
                .get_mut(&root)
                .filter(|root| root.tick_due().is_some());
            let Some(context) = ticks else { continue };
            context.tick_again(now);
            if let Life::Running(_) = self.life {
                // A failure is in the log.
                let _ = self.call(root, "proxy_on_tick", |running| {
                    call(running, |c| &c.proxy_on_tick, (root,))
                });
            }
        }
    }
}
