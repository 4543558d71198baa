//! Requests that a plugin has no room for (option `max_contexts`): they get
//! the plugin's policy and no context, and that is remembered until they end.

use std::rc::Rc;

use super::error::Error;
use super::failure::Policy;
use super::lifecycle::Plugin;
use super::run::{Flags, Outcome};
use crate::abi::types::LogLevel;
use crate::context::RequestState;
use crate::context::hasher::FastMap;
use crate::host::Request;

/// A look for room goes through all contexts: one request in this part of them
/// pays for it, so that a flood costs each refused request the same few looks.
const LOOKS_PER_REFUSAL: usize = 16;

struct Entry {
    state: Rc<RequestState>,
    /// The refusal was sent: the response is that answer, and passes.
    answered: bool,
}

#[derive(Default)]
pub(super) struct TurnedAway {
    /// By request and root context.
    entries: FastMap<(Request, u32), Entry>,
    pace: Pace,
}

impl TurnedAway {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn find(&mut self, root: u32, request: Request) -> Option<&mut Entry> {
        if self.entries.is_empty() {
            return None;
        }
        let entry = self.entries.get_mut(&(request, root))?;
        // Otherwise its address came again.
        (!entry.state.ended()).then_some(entry)
    }

    fn add(&mut self, root: u32, state: Rc<RequestState>) {
        let key = (state.request, root);
        let entry = Entry {
            state,
            answered: false,
        };
        if let Some(older) = self.entries.insert(key, entry) {
            older.state.release();
        }
    }

    /// The refusal of a request was sent.
    pub fn answered(&mut self, root: u32, request: Request) {
        if let Some(entry) = self.find(root, request) {
            entry.answered = true;
        }
    }

    /// A request is in its log phase.
    pub fn forget(&mut self, root: u32, request: Request) {
        if !self.entries.is_empty()
            && let Some(entry) = self.entries.remove(&(request, root))
        {
            entry.state.release();
        }
    }

    /// Forgets the requests that ended without a log phase.
    pub fn forget_ended(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let ended = self.entries.extract_if(|_, entry| entry.state.ended());
        for (_, entry) in ended {
            entry.state.release();
        }
    }
}

/// How often to look through the contexts for room.
#[derive(Default)]
struct Pace {
    /// Requests that may still be refused without a look.
    unseen: usize,
}

impl Pace {
    /// There is no room; among `all` there may be ended requests. True: look.
    fn is_due(&mut self, all: usize) -> bool {
        if let Some(left) = self.unseen.checked_sub(1) {
            self.unseen = left;
            return false;
        }
        self.unseen = (all / LOOKS_PER_REFUSAL).saturating_sub(1);
        true
    }

    /// There was something to find: the next one that finds none looks, too.
    fn found(&mut self) {
        self.unseen = 0;
    }
}

impl Plugin {
    fn has_room(&mut self) -> bool {
        (self.state().contexts.http.len() as u64) < self.options.limits.contexts.into()
    }

    /// Errors: there are as many http contexts as there may be.
    pub(super) fn check_room(&mut self) -> Result<(), Error> {
        if self.has_room() {
            return Ok(());
        }
        let all = self.state().contexts.http.len() + self.turned_away.len();
        if self.turned_away.pace.is_due(all) {
            self.sweep();
            if self.has_room() {
                self.turned_away.pace.found();
                return Ok(());
            }
        }
        let limit = self.options.limits.contexts;
        Err(Error::Unavailable(format!(
            "the plugin has {limit} http contexts alive, which is the limit (option max_contexts)"
        )))
    }

    /// Makes the context of a request that failed without one, where there is
    /// room.
    pub(super) fn remember_failed(&mut self, root: u32, request: Request) -> bool {
        self.has_room() && self.state().create_http(root, request).is_ok()
    }

    /// The policy for a request that failed and cannot have a context.
    pub(super) fn turn_away(&mut self, root: u32, request: Request, why: Error) -> Outcome {
        if let Ok(state) = RequestState::of(&*self.host, request) {
            self.turned_away.add(root, state);
        }
        match self.options.policy {
            Policy::Closed => Err(why),
            Policy::Open => {
                let line = format!("the request passes without this plugin: {why}");
                self.log_in(Some(request), LogLevel::Warn, &line);
                Ok(self.shared_flags())
            }
        }
    }

    /// What a later phase of a request does that was turned away. `None`: it
    /// was not.
    #[inline]
    pub(super) fn was_turned_away(&mut self, root: u32, request: Request) -> Option<Outcome> {
        if self.turned_away.is_empty() {
            return None;
        }
        self.outcome_of_turned_away(root, request)
    }

    #[cold]
    fn outcome_of_turned_away(&mut self, root: u32, request: Request) -> Option<Outcome> {
        let answered = self.turned_away.find(root, request)?.answered;
        if self.options.policy == Policy::Open {
            return Some(Ok(self.shared_flags()));
        }
        Some(match answered {
            true => Ok(Flags::default()),
            false => Err(Error::Lost(
                "the plugin had no room for this request (option max_contexts)".to_owned(),
            )),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

    #[test]
    fn many_refusals_share_a_look_at_many_contexts() {
        let mut pace = Pace::default();
        let looks = (0..1000).filter(|_| pace.is_due(1600)).count();
        assert_eq!(looks, 10);
    }

    #[test]
    fn few_contexts_are_looked_at_every_time() {
        let mut pace = Pace::default();
        assert!((0..100).all(|_| pace.is_due(2)));
    }

    #[test]
    fn where_there_was_something_the_next_one_looks() {
        let mut pace = Pace::default();
        assert!(pace.is_due(1600));
        pace.found();
        assert!(pace.is_due(1600));
        assert!(!pace.is_due(1600));
    }
}
