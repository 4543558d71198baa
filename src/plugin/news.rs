//! The news of shared queues: `proxy_on_queue_ready`.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::lifecycle::{Life, Plugin, call};
use crate::abi::limits::{MAX_QUEUE_NEWS, QUEUE_LOOK_MS, QUEUE_POLL_MS, TURN_MS};
use crate::shared::queues::Queues;

const POLL: Duration = Duration::from_millis(QUEUE_POLL_MS as u64);
const LOOK: Duration = Duration::from_millis(QUEUE_LOOK_MS);
const TURN: Duration = Duration::from_millis(TURN_MS);

thread_local! {
    /// When this worker has last read how much was ever enqueued, and what. It
    /// is the same for all plugins, and one reading does for all of them.
    static READ: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// How much was ever enqueued anywhere, as it was when it was last read, and
/// when it is to be read again.
fn enqueued(queues: &Queues, now: Instant) -> (u64, Instant) {
    if let Some((at, number)) = READ.get()
        && now < at + POLL
    {
        return (number, at + POLL);
    }
    let number = queues.enqueued();
    READ.set(Some((now, number)));
    (number, now + POLL)
}

impl Plugin {
    /// `proxy_on_queue_ready`, once for each item that came since the last
    /// look, for as long as there are items; what would take too long waits for
    /// the next look. Gives the milliseconds until that; `None`: no queue is
    /// registered.
    pub(super) fn tell_queues(&mut self, now: Instant) -> Option<u32> {
        let state = self.state();
        let mut roots = state.contexts.roots.values();
        if roots.all(|root| root.queues.is_empty()) {
            return None;
        }
        let queues = state.shared.queues.clone();
        let (enqueued, again_at) = enqueued(&queues, now);
        let news = std::mem::replace(&mut state.seen_enqueued, enqueued) != enqueued;
        // Who enqueued can have died before it was counted.
        let looked = state.looked_at_queues;
        let is_long_ago = looked.is_none_or(|at| now.saturating_duration_since(at) >= LOOK);
        if news || is_long_ago {
            state.looked_at_queues = Some(now);
            if self.tell_news(&queues) {
                self.state().look_at_queues();
                return Some(1);
            }
        }
        let left = again_at.saturating_duration_since(now);
        Some(left.as_millis() as u32 + 1)
    }

    /// Gives whether there is more to tell.
    fn tell_news(&mut self, queues: &Queues) -> bool {
        let began = Instant::now();
        let state = self.state();
        let mut news: Vec<(u32, u32, u64)> = Vec::new();
        let mut more = false;
        for (id, root) in &mut state.contexts.roots {
            for (token, seen) in &mut root.queues {
                let came = queues.last(*token).saturating_sub(*seen);
                more |= came > MAX_QUEUE_NEWS;
                news.push((*id, *token, came.min(MAX_QUEUE_NEWS)));
            }
        }
        // Behind the one that was told of last: each has its turn.
        news.sort_unstable();
        let last = state.told_last;
        let told = news.partition_point(|&(root, token, _)| (root, token) <= last);
        news.rotate_left(told);
        for (root, token, came) in news {
            let mut told = 0;
            while told < came && began.elapsed() < TURN {
                let Life::Running(_) = self.life else {
                    return false;
                };
                if queues.is_empty(token) {
                    // Others took the rest.
                    self.saw(root, token, came - told);
                    told = came;
                    break;
                }
                // Before the call, in which it may turn out that there is
                // something to tell again.
                self.saw(root, token, 1);
                self.state().told_last = (root, token);
                let _ = self.call(root, "proxy_on_queue_ready", |running| {
                    call(running, |c| &c.proxy_on_queue_ready, (root, token))
                });
                told += 1;
            }
            more |= told < came;
        }
        more
    }

    /// A root context needs not be told any more of so many items.
    fn saw(&mut self, root: u32, token: u32, items: u64) {
        if let Some(root) = self.state().contexts.roots.get_mut(&root)
            && let Some((_, seen)) = root.queues.iter_mut().find(|(known, _)| *known == token)
        {
            *seen += items;
        }
    }
}
