//! What is done when a plugin fails: its instance is dropped for good, its
//! requests get the plugin's policy, and after a while there is a new one.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::error::Error;
use super::lifecycle::{Life, Plugin};
use super::run::{Flags, Outcome};
use crate::abi::limits::{CODE_POLL_MS, MAX_TRAP_LINES};
use crate::abi::types::LogLevel;
use crate::context::{Current, Effect, GrpcNews};
use crate::host::{Phase, Request};
use crate::hostcalls::wasi;
use crate::vm::{Trap, cpu_time};

/// What becomes of requests that a plugin has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// They are refused: nothing passes that the plugin did not see.
    #[default]
    Closed,
    /// They go on without the plugin.
    Open,
}

/// The guest's stack for the log, behind the line with the cause. A plugin that
/// traps again and again has no say in how many lines that are.
fn shortened(stack: &str) -> String {
    let mut shown = String::new();
    let mut lines = stack.lines();
    for line in lines.by_ref().take(MAX_TRAP_LINES - 2) {
        shown.push('\n');
        shown.push_str(line);
    }
    match lines.count() {
        0 => shown,
        more => format!("{shown}\n{more} more lines"),
    }
}

impl Plugin {
    // -- the instance ------------------------------------------------------

    /// Ends the instance after a trap in a callback. Its contexts stay, and
    /// are not called again.
    #[cold]
    pub(super) fn lose(&mut self, callback: &'static str, trap: Trap) -> Error {
        let place = self.place();
        let state = self.state();
        // What the guest said comes before.
        wasi::flush(state);
        state.tell_dropped_lines();
        let request = state.log_request();
        let (cause, stack) = match trap.message.split_once('\n') {
            Some((cause, stack)) => (cause, shortened(stack)),
            None => (&trap.message[..], String::new()),
        };
        let line = format!("{callback} failed, the instance is dropped: {cause}{place}{stack}");
        self.log_in(request, LogLevel::Error, &line);
        self.end_instance();
        self.failed();
        Error::Callback {
            callback,
            cause: trap.cause().to_owned(),
        }
    }

    /// Whose callback runs, for the log.
    fn place(&mut self) -> String {
        let state = self.state();
        let id = state.current.active;
        match state.contexts.http.get(&id) {
            Some(http) => format!(" (root context {}, http context {id})", http.root),
            None if id != 0 => format!(" (root context {id})"),
            None => String::new(),
        }
    }

    /// Drops the instance and gives its memory back.
    pub(super) fn end_instance(&mut self) {
        self.life = match std::mem::replace(&mut self.life, Life::Changing) {
            Life::Running(running) => Life::Resting(Box::new(running.instance.into_state())),
            life => life,
        };
        let state = self.state();
        wasi::flush(state);
        state.tell_dropped_lines();
        state.restricted = false;
        state.callout_response = None;
        state.grpc_news = GrpcNews::default();
        state.call_data = None;
        let had_timers = state.lose_contexts();
        state.current = Current::default();
        self.on_its_own |= had_timers;
    }

    /// Counts a failure, and says when there will be an instance again.
    pub(super) fn failed(&mut self) {
        let wait = self.back_off.failed(Instant::now(), cpu_time());
        if !wait.is_zero() {
            let ms = wait.as_millis();
            let line = match self.back_off.failures() {
                1 => format!("no new instance for {ms} ms, as long as its last start took"),
                times => format!("failed {times} times in a row: no new instance for {ms} ms"),
            };
            self.log(LogLevel::Warn, &line);
        }
        if self.on_its_own {
            let after_ms = wait.as_millis().max(1) as u32;
            self.state().push_shared(Effect::Timer { after_ms });
        }
    }

    /// Errors: there is to be no instance yet.
    pub(super) fn may_start(&self) -> Result<(), Error> {
        match self.back_off.left(Instant::now()) {
            None => Ok(()),
            Some(left) => Err(Error::Unavailable(format!(
                "the plugin has failed: no new instance for {} ms",
                left.as_millis().max(1)
            ))),
        }
    }

    /// A plugin that does something on its own gets its new instance from a
    /// timer. Gives how long that has to wait.
    pub(super) fn revive(&mut self, now: Instant) -> Option<Duration> {
        let due = |plugin: &Self| match plugin.life {
            Life::Resting(_) if plugin.on_its_own => {
                Some(plugin.back_off.left(now).unwrap_or_default())
            }
            _ => None,
        };
        if self.state().contexts.roots.is_empty() {
            return None;
        }
        if due(self) == Some(Duration::ZERO)
            // A failure is in the log.
            && let Err(Error::Compiling) = self.running()
        {
            return Some(Duration::from_millis(CODE_POLL_MS.into()));
        }
        due(self)
    }

    /// Runs what calls the guest or looks after its contexts. A panic ends the
    /// instance: nobody knows what is left of the guest's calls.
    pub fn guard<R>(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<R, Error>,
    ) -> Result<R, Error> {
        match catch_unwind(AssertUnwindSafe(|| body(self))) {
            Ok(result) => result,
            Err(panic) => Err(self.lose_by_panic(panic)),
        }
    }

    #[cold]
    fn lose_by_panic(&mut self, panic: Box<dyn Any + Send>) -> Error {
        let why = self.lose("the host", Trap::from_panic(panic));
        Error::Unavailable(why.to_string())
    }

    // -- its requests ------------------------------------------------------

    /// Runs a phase of a request, and lets the policy have its say when that
    /// fails.
    ///
    /// Errors: as the phase, but for a failure that the policy lets pass.
    pub(super) fn with_policy(
        &mut self,
        root: u32,
        request: Request,
        phase: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        if let Some(outcome) = self.was_turned_away(root, request) {
            return outcome;
        }
        let outcome = self.guard(phase);
        match outcome {
            Err(why) if why.is_failure() => self.settle(root, request, why),
            outcome => outcome,
        }
    }

    /// Keeps in mind that the plugin failed this request, also where it never
    /// had a context: what still comes of it must not pass unseen, or is not
    /// to be looked at again.
    #[cold]
    pub(super) fn settle(&mut self, root: u32, request: Request, why: Error) -> Outcome {
        let (calls, active) = (self.state().calls, self.state().current.active);
        if self.state().contexts.find(request, root).is_none()
            && !self.remember_failed(root, request)
        {
            return self.turn_away(root, request, why);
        }
        let policy = self.options.policy;
        if let Some(http) = self.state().contexts.find(request, root) {
            if !http.lost {
                http.lose(calls, active);
            }
            if policy == Policy::Closed || http.refused {
                return Err(why);
            }
            if !std::mem::replace(&mut http.failure_answered, true) {
                let line = format!("the request passes without this plugin: {why}");
                self.log_in(Some(request), LogLevel::Warn, &line);
            }
        }
        self.release_lost_body(root, request);
        self.flags(root, request)
    }

    /// What was held back of a response goes out with the chunk that the body
    /// filter holds, or the next one.
    pub(super) fn release_lost_body(&mut self, root: u32, request: Request) {
        let in_body_filter = self.host.phase(request) == Phase::BodyFilter;
        let Some(http) = self.state().contexts.find(request, root) else {
            return;
        };
        let held = !http.response_body.is_empty()
            || !http.response_released.is_empty()
            || http.response_body_changed;
        if !held || !in_body_filter {
            return;
        }
        let id = http.id;
        self.pass_body(id);
    }

    /// More of a paused body has come than is held back.
    ///
    /// Errors: the request is refused, as the policy says.
    pub(super) fn let_too_much_go(&mut self, id: u32) -> Result<(), Error> {
        let limit = self.options.max_held_body;
        let more = format!("more than {limit} bytes are not held back (option max_held_body)");
        let closed = self.options.policy == Policy::Closed;
        let http = self.http(id);
        if closed {
            http.refused = true;
            return Err(Error::Refused(format!("a response body is paused: {more}")));
        }
        if !std::mem::replace(&mut http.over_limit, true) {
            let request = http.live_request();
            let line = format!("a response body goes on although it is paused: {more}");
            self.log_in(request, LogLevel::Warn, &line);
        }
        Ok(())
    }

    /// The body filter did not swap the body of a response whose headers were
    /// swapped: if there was a body, it is the old one that went out.
    #[cold]
    pub(super) fn tell_of_old_body(&mut self, id: u32) {
        let http = self.http(id);
        let (had_body, request) = (http.had_body, http.live_request());
        if had_body {
            self.tell_once(
                request,
                "a response was replaced in the header filter, and its old body went out all the \
                 same: no body filter ran. chain:body_filter() belongs into body_filter_by_lua of \
                 each location that has chain:header_filter()",
            );
        }
    }

    /// The failure of this request was answered: the response is that answer,
    /// and passes.
    pub fn failure_was_answered(&mut self, root: u32, request: Request) -> Outcome {
        if let Some(http) = self.state().contexts.find(request, root) {
            http.failure_answered = true;
        }
        self.turned_away.answered(root, request);
        Ok(Flags::default())
    }

    /// True when the policy had its say: nothing of this request is looked at
    /// any more.
    pub(super) fn is_settled(&mut self, root: u32, request: Request) -> bool {
        let http = self.state().contexts.find(request, root);
        http.is_some_and(|http| http.lost && http.failure_answered)
    }
}
