//! What a request has to do between its callbacks: wait, be answered, go on.

use super::lifecycle::{Life, Plugin};
use super::run::{Flags, Outcome, lost};
use crate::abi::types::{Action, LogLevel};
use crate::context::{Effect, HttpContext, RootContext, Stage};
use crate::host::Request;

#[cold]
fn pass_changed_body(http: &mut HttpContext) {
    let body = http.request_body.clone().unwrap_or_default();
    http.effects.push_back(Effect::SetRequestBody(body));
}

impl Plugin {
    /// Takes a Pause of a request callback.
    pub(super) fn pause(&mut self, id: u32, action: Action) {
        let http = self.http(id);
        let continued = std::mem::take(&mut http.continued);
        http.paused = action == Action::Pause && !continued && !http.answered;
        if http.paused {
            self.state().any_paused = true;
            self.answer_the_hopeless();
        }
    }

    /// Answers a paused request with 500 when nothing can continue it any more:
    /// no callout in flight, no tick, no queue, and no other living http
    /// context, so that there is no more than one such request.
    pub(super) fn answer_the_hopeless(&mut self) {
        let state = self.state();
        if !state.any_paused || state.waits_for_anything() {
            return;
        }
        let hopeless = {
            let mut living = state.contexts.http.values().filter(|http| http.lives());
            let last = living.next();
            // Where many wait, the first two that are looked at live.
            if living.next().is_some() {
                return;
            }
            last.filter(|http| http.paused).map(|http| http.id)
        };
        state.any_paused = false;
        if let Some(id) = hopeless {
            self.answer(
                id,
                500,
                "paused, and nothing is left that could continue it: \
                no callout in flight, no tick, no queue, no other request",
            );
        }
    }

    /// Ends a paused request with a status of the host's own.
    #[cold]
    fn answer(&mut self, id: u32, status: u32, why: &str) {
        let http = self.http(id);
        http.paused = false;
        http.answered = true;
        let serial = http.serial;
        let request = http.live_request();
        http.effects.push_back(Effect::Exit { status });
        self.state().effects.push(Effect::Resume { serial });
        self.log_in(
            request,
            LogLevel::Error,
            &format!("http context {id}: {why}"),
        );
    }

    /// Nothing but its end comes to the plugin of this request any more.
    pub fn refuse(&mut self, root: u32, request: Request) -> Outcome {
        if let Some(http) = self.state().contexts.find(request, root) {
            http.refused = true;
        }
        Ok(Flags::default())
    }

    /// The longest wait is over: 504.
    pub fn pause_expired(&mut self, root: u32, request: Request) -> Outcome {
        if let Some(http) = self.state().contexts.find(request, root)
            && http.paused
        {
            let id = http.id;
            let limit = self.options.pause_timeout_ms;
            self.answer(id, 504, &format!("paused for more than {limit} ms"));
        }
        self.flags(root, request)
    }

    /// What a request has to do now.
    ///
    /// Errors: its instance is lost.
    pub fn flags(&mut self, root: u32, request: Request) -> Outcome {
        let flags = self.flags_now(root, request);
        match flags {
            // It was lost while it waited.
            Err(why) => self.settle(root, request, why),
            flags => flags,
        }
    }

    fn flags_now(&mut self, root: u32, request: Request) -> Outcome {
        let wants_body = self.wants.request_body;
        let mut flags = self.shared_flags();
        if let Some(http) = self.state().contexts.find(request, root) {
            if http.lost && !http.failure_answered && !http.ends() {
                return Err(lost());
            }
            // While it is paused, its body may still be changed.
            if http.stage == Stage::RequestBody && !http.paused && !http.body_due {
                if std::mem::take(&mut http.request_body_changed) {
                    pass_changed_body(http);
                }
                http.request_body_passed = true;
            }
            flags.effects |= !http.effects.is_empty();
            flags.paused = http.paused;
            flags.body =
                wants_body && http.body_due && http.stage == Stage::RequestHeaders && !http.lost;
        }
        Ok(flags)
    }

    /// Work that is no request's own.
    pub fn shared_flags(&mut self) -> Flags {
        Flags {
            effects: !self.state().effects.is_empty(),
            ..Flags::default()
        }
    }

    /// The next piece of work for this very request.
    pub fn next_effect(&mut self, root: u32, request: Request) -> Option<Effect> {
        let http = self.state().contexts.find(request, root)?;
        http.effects.pop_front()
    }

    /// The next piece of work that is no request's own.
    pub fn next_shared_effect(&mut self) -> Option<Effect> {
        self.state().effects.pop()
    }

    /// The serial number of a request's context.
    pub fn serial(&mut self, root: u32, request: Request) -> Option<u32> {
        let http = self.state().contexts.find(request, root)?;
        Some(http.serial)
    }

    /// True while it has something to end.
    pub fn is_needed(&mut self) -> bool {
        let contexts = &self.state().contexts;
        let waits = |root: &RootContext| root.done_pending;
        let waits = contexts.roots.values().any(waits);
        waits || !self.state().contexts.http.is_empty() || !self.turned_away.is_empty()
    }

    /// The number of http contexts that are paused.
    pub fn paused(&mut self) -> usize {
        let http = self.state().contexts.http.values();
        http.filter(|http| http.paused && !http.request.ended())
            .count()
    }

    pub fn is_running(&self) -> bool {
        matches!(self.life, Life::Running(_))
    }

    pub fn wants(&self) -> &super::Wants {
        &self.wants
    }

    pub fn options(&self) -> &super::Options {
        &self.options
    }
}
