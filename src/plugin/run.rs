//! Runs the callbacks of http contexts, in their order, and says what Lua has
//! to do next.

use std::time::{Duration, Instant};

use super::error::Error;
use super::failure::Policy;
use super::lifecycle::{Life, Plugin, Running, call};
use crate::abi::HeaderList;
use crate::abi::Status;
use crate::abi::limits::TURN_MS;
use crate::abi::pairs::is_text;
use crate::abi::types::Action;
use crate::callbacks::{Callbacks, HeadersCallback};
use crate::context::request::RequestState;
use crate::context::{Effect, HttpContext, Ids, Stage};
use crate::host::Request;
use crate::hostcalls::is_listed;
use crate::vm::Trap;

/// What Lua has to do after a call; numbers of `src/capi/plugin.rs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// There is work to pull.
    pub effects: bool,
    /// The request waits until it is woken.
    pub paused: bool,
    /// The request body must be handed over.
    pub body: bool,
    /// The response headers must be handed over, and the call repeated.
    pub response_headers: bool,
}

pub type Outcome = Result<Flags, Error>;

/// What the ending of contexts has left.
pub struct Swept {
    /// Http contexts, with the requests that have none for want of room.
    pub alive: u32,
    /// Among them there are some to end.
    pub more: bool,
}

const TURN: Duration = Duration::from_millis(TURN_MS);

/// Pseudo headers of a request.
const PSEUDO_HEADERS: u32 = 4;

impl Plugin {
    /// `proxy_on_request_headers`, once per request.
    pub fn request_headers(&mut self, root: u32, request: Request) -> Outcome {
        self.with_policy(root, request, |plugin| {
            plugin.run_request_headers(root, request)
        })
    }

    fn run_request_headers(&mut self, root: u32, request: Request) -> Outcome {
        let Some(id) = self.enter(root, request, Stage::RequestHeaders)? else {
            return self.flags(root, request);
        };
        let headers = self.count_request_headers(request);
        let has_body = self.wants.request_end && self.host.request_has_body(request);
        if has_body {
            self.http(id).body_due = true;
        }

        let action = self.call(id, "proxy_on_request_headers", |running| {
            call_headers(
                running,
                |c| &c.proxy_on_request_headers,
                (id, headers, !has_body),
            )
        })?;
        self.pause(id, action);
        self.flags(root, request)
    }

    /// `proxy_on_request_body`, with what came since the last call.
    pub fn request_body(
        &mut self,
        root: u32,
        request: Request,
        body: &[u8],
        end_of_stream: bool,
    ) -> Outcome {
        self.with_policy(root, request, |plugin| {
            plugin.run_request_body(root, request, body, end_of_stream)
        })
    }

    fn run_request_body(
        &mut self,
        root: u32,
        request: Request,
        body: &[u8],
        end_of_stream: bool,
    ) -> Outcome {
        let Some(id) = self.enter(root, request, Stage::RequestBody)? else {
            return self.flags(root, request);
        };
        self.check_request_body(id, body.len())?;
        let http = self.http(id);
        http.body_due = !end_of_stream;
        let buffer = http.request_body.get_or_insert_default();
        buffer.extend_from_slice(body);
        let size = buffer.len() as u32;

        let action = self.call(id, "proxy_on_request_body", |running| {
            let params = (id, size, end_of_stream.into());
            call(running, |c| &c.proxy_on_request_body, params)
        })?;
        let action = action.map_or(Action::Continue, Action::of_body);
        self.pause(id, action);
        self.flags(root, request)
    }

    /// Errors: the body is too large with so many bytes more, or was before.
    /// Nothing of it is kept then, and the plugin is given no part of the rest.
    fn check_request_body(&mut self, id: u32, more: usize) -> Result<(), Error> {
        let limit = self.options.limits.request_body;
        let http = self.http(id);
        let before = http.request_body.as_ref().map_or(0, Vec::len);
        if http.request_body_refused || before + more > limit {
            http.request_body_refused = true;
            http.request_body = None;
            // Its end is not to come to the plugin.
            http.body_due = true;
            return Err(Error::BodyTooLarge(limit));
        }
        Ok(())
    }

    /// `proxy_on_response_headers`, once per request.
    pub fn response_headers(&mut self, root: u32, request: Request) -> Outcome {
        if RequestState::is_answered(request) {
            return self.pass_over(root, request);
        }
        let outcome = self.with_policy(root, request, |plugin| {
            plugin.run_response_headers(root, request)
        });
        let http = self.state().contexts.find(request, root);
        if http.is_some_and(|http| http.replacement.is_some() || outcome.is_err()) {
            self.remember_body(root, request);
        }
        outcome
    }

    /// The response is another plugin's answer, as which it stands: this one is
    /// told of the end only, for which it must have a context. That it fails to
    /// make one is in the log, and no reason to refuse the answer.
    #[cold]
    fn pass_over(&mut self, root: u32, request: Request) -> Outcome {
        self.check_phase(request, Stage::ResponseHeaders)?;
        if self.known(root, request) || self.wants.response {
            let _ = self.with_policy(root, request, |plugin| {
                // Its own answer, if it has one, comes too late.
                plugin.step_over_response(root, request)
            });
        }
        Ok(self.shared_flags())
    }

    fn step_over_response(&mut self, root: u32, request: Request) -> Outcome {
        if !self.known(root, request) {
            if !self.options.subrequests && self.host.is_subrequest(request) {
                return Ok(Flags::default());
            }
            self.create(root, request)?;
        }
        if let Some(http) = self.state().contexts.find(request, root) {
            http.stage = http.stage.max(Stage::ResponseBody);
        }
        Ok(Flags::default())
    }

    /// Before the headers are swapped.
    #[cold]
    fn remember_body(&mut self, root: u32, request: Request) {
        let had_body = self.host.response_has_body(request);
        if let Some(http) = self.state().contexts.find(request, root) {
            http.had_body = had_body && !http.effects.iter().any(Effect::drops_body);
        }
    }

    fn run_response_headers(&mut self, root: u32, request: Request) -> Outcome {
        let wanted = self.wants.response;
        match self.state().contexts.find(request, root) {
            None if !wanted => return Ok(Flags::default()),
            Some(http) if http.lost => {
                if let Some(outcome) = self.lost_response(root, request) {
                    return outcome;
                }
            }
            _ => {}
        }
        let Some(id) = self.enter(root, request, Stage::ResponseHeaders)? else {
            return self.flags(root, request);
        };
        let listed = self.http(id).request.response_header_count();
        if listed.is_none() && self.wants.response_list {
            // Lua lists them and comes again.
            self.http(id).stage = Stage::RequestBody;
            return Ok(Flags {
                response_headers: true,
                ..Flags::default()
            });
        }
        let may_have_body = !self.wants.response_end || self.host.response_has_body(request);
        let has_body = may_have_body && !self.wants.no_response_bodies;
        let http = self.http(id);
        http.response_ended = !has_body;
        if self.take_late_response(id, request) {
            return self.flags(root, request);
        }

        if wanted {
            self.call_response_headers(id, request, listed, has_body)?;
        }
        self.flags(root, request)
    }

    fn call_response_headers(
        &mut self,
        id: u32,
        request: Request,
        listed: Option<usize>,
        has_body: bool,
    ) -> Result<(), Error> {
        let headers = match listed {
            Some(_) if self.info.only_text_headers => self.count_text_headers(id),
            listed => listed.unwrap_or_default() as u32,
        } + 1;
        let action = self.call(id, "proxy_on_response_headers", |running| {
            call_headers(
                running,
                |c| &c.proxy_on_response_headers,
                (id, headers, !has_body),
            )
        })?;
        let http = self.http(id);
        let swapped = http.replacement.is_some();
        let held = action == Action::Pause && !http.answered && !http.continued;
        http.continued = false;
        if self.wants.edits_response_body && has_body && !swapped {
            self.promise_no_length(id, request);
        }
        if held {
            self.tell_once(
                Some(request),
                "response headers cannot be paused in nginx: the response goes on",
            );
        }
        Ok(())
    }

    /// The response's length will be another: nginx must not promise the old
    /// one, nor one that the plugin thinks of. It has seen it, the plugins behind
    /// it do not.
    fn promise_no_length(&mut self, id: u32, request: Request) {
        let _ = self.host.remove_response_header(request, b"content-length");
        let http = self.http(id);
        if let Some(headers) = &mut *http.request.response_headers.borrow_mut() {
            headers.remove(b"content-length");
        }
    }

    /// Takes on an answer that came too late for the request phases.
    fn take_late_response(&mut self, id: u32, request: Request) -> bool {
        // Nearly always.
        if self.http(id).effects.is_empty() {
            return false;
        }
        let is_head = self.host.is_head(request);
        self.http(id).take_late_response(is_head)
    }

    /// The response of a request whose instance is gone. `None`: as any other.
    #[cold]
    fn lost_response(&mut self, root: u32, request: Request) -> Option<Outcome> {
        let wanted = self.wants.response;
        let http = self.state().contexts.find(request, root)?;
        let (id, judged) = (http.id, http.judged);
        if http.failure_answered {
            return Some(Ok(Flags::default()));
        }
        if self.take_late_response(id, request) {
            return Some(self.flags(root, request));
        }
        if !wanted && judged {
            // It has seen all of the request, and sees nothing of the rest.
            self.http(id).failure_answered = true;
            return Some(Ok(self.shared_flags()));
        }
        None
    }

    /// Takes the response headers that only Lua can list, for all plugins of
    /// this request.
    pub fn hand_response_headers(
        &mut self,
        root: u32,
        request: Request,
        mut headers: HeaderList,
    ) -> Outcome {
        // It is nginx's own, for the client's connection, and not the
        // response's.
        headers.remove(b"connection");
        if let Some(http) = self.state().contexts.find(request, root) {
            http.request.response_headers.replace(Some(headers));
        }
        Ok(Flags::default())
    }

    /// `proxy_on_done`, `proxy_on_log`, `proxy_on_delete`: the end of an http
    /// context in the log phase.
    pub fn log_request(&mut self, root: u32, request: Request) -> Outcome {
        self.guard(|plugin| plugin.run_log_request(root, request))
    }

    fn run_log_request(&mut self, root: u32, request: Request) -> Outcome {
        self.check_phase(request, Stage::Done)?;
        self.turned_away.forget(root, request);
        // The cleanup handlers ran before: the context is marked. It is this
        // request's, which can still be read, unless its address came again.
        if let Some(id) = self.state().contexts.find_ending(request, root) {
            let host = self.host.clone();
            let readable = self.http(id).request.is_still(&*host);
            self.finish(id, readable);
            self.answer_the_hopeless();
        }
        Ok(self.shared_flags())
    }

    /// Ends http contexts whose request has ended without a log phase.
    pub fn sweep(&mut self) -> Swept {
        // A panic is in the log.
        let more = self.guard(|plugin| Ok(plugin.finish_ended()));
        let alive = self.state().contexts.http.len() + self.turned_away.len();
        Swept {
            alive: alive as u32,
            more: more.unwrap_or(true),
        }
    }

    /// The oldest first, until that takes too long. True when some are left.
    fn finish_ended(&mut self) -> bool {
        self.turned_away.forget_ended();
        let mut ended: Vec<u32> = {
            let contexts = &self.state().contexts;
            let ended = contexts.http.values().filter(|http| http.request.ended());
            ended.map(|http| http.id).collect()
        };
        if ended.is_empty() {
            return false;
        }
        ended.sort_unstable();
        let began = Instant::now();
        let mut left = ended.into_iter();
        for id in left.by_ref() {
            self.finish(id, false);
            if began.elapsed() >= TURN {
                break;
            }
        }
        self.answer_the_hopeless();
        left.len() > 0
    }

    /// Ends an http context. Its request can still be read when `readable`.
    fn finish(&mut self, id: u32, readable: bool) {
        let Some(http) = self.state().contexts.http.get_mut(&id) else {
            return;
        };
        let (lost, root) = (http.lost, http.root);
        http.stage = Stage::Done;
        http.paused = false;
        http.request.set_in_log_phase(readable);
        if http.replacement.is_some() || http.request.was_not_dropped() {
            self.tell_of_old_body(id);
        }
        if !lost && self.finish_callbacks(id).is_ok() {
            self.back_off.succeeded();
        }
        let state = self.state();
        if let Some(http) = state.contexts.http.get(&id) {
            http.request.set_in_log_phase(false);
        }
        state.remove_http(id);
        let closing = |root: &crate::context::RootContext| root.closing && root.children == 0;
        let closing = state.contexts.roots.get(&root).is_some_and(closing);
        if closing {
            self.close_root(root);
        }
    }

    fn finish_callbacks(&mut self, id: u32) -> Result<(), Error> {
        if let Life::Running(running) = &self.life
            && running.callbacks.hears_no_end()
        {
            return Ok(());
        }
        self.call(id, "proxy_on_done", |running| {
            call(running, |c| &c.proxy_on_done, (id,))
        })?;
        self.call(id, "proxy_on_log", |running| {
            call(running, |c| &c.proxy_on_log, (id,))
        })?;
        self.call(id, "proxy_on_delete", |running| {
            call(running, |c| &c.proxy_on_delete, (id,))
        })?;
        Ok(())
    }

    /// The number of pairs that a guest would be given; any for one that does
    /// not look.
    fn count_request_headers(&self, request: Request) -> u32 {
        if !self.wants.request_count {
            return 0;
        }
        let mut count = PSEUDO_HEADERS;
        let only_text = self.info.only_text_headers;
        let _ = self.host.request_headers(request, &mut |key, value| {
            count += u32::from(is_listed(key) && (!only_text || is_text(key, value)));
        });
        count
    }

    fn count_text_headers(&mut self, id: u32) -> u32 {
        let list = self.http(id).request.response_headers.borrow();
        let headers = list.iter().flat_map(HeaderList::iter);
        headers.filter(|(key, value)| is_text(key, value)).count() as u32
    }

    // -- between callbacks -------------------------------------------------

    /// Finds or makes the context of a request, and steps to a stage. `None`:
    /// the callback of this stage already ran, or is none of this request's.
    ///
    /// Errors: the wrong phase; the instance is lost or cannot be made.
    pub(super) fn enter(
        &mut self,
        root: u32,
        request: Request,
        stage: Stage,
    ) -> Result<Option<u32>, Error> {
        self.check_phase(request, stage)?;
        let found = self.state().contexts.find(request, root);
        let id = match found.map(|http| http.id) {
            Some(id) => id,
            None if !self.options.subrequests && self.host.is_subrequest(request) => {
                return Ok(None);
            }
            None => self.create(root, request)?,
        };
        let policy = self.options.policy;
        let http = self.http(id);
        if http.lost || http.refused {
            return enter_lost(http, policy);
        }
        let unfinished = stage == Stage::RequestBody && !http.body_due && http.stage == stage;
        if !http.stage.may_reach(stage) || unfinished {
            return Ok(None);
        }
        http.stage = stage;
        Ok(Some(http.id))
    }

    /// Errors: the stage is for other phases of a request.
    pub(super) fn check_phase(&self, request: Request, stage: Stage) -> Result<(), Error> {
        if stage.allowed_in(self.host.phase(request)) {
            return Ok(());
        }
        Err(wrong_phase(stage))
    }

    fn create(&mut self, root: u32, request: Request) -> Result<u32, Error> {
        if self.options.ids == Ids::Reused {
            // Ids are free from the end of the request on, as in
            // wasm-nginx-module, not only when the timer comes.
            self.finish_ended();
        }
        self.running()?;
        self.check_root(root)?;
        // The address may have come again before the old request was swept.
        if let Some(old) = self.state().contexts.find_ending(request, root) {
            self.finish(old, false);
            self.answer_the_hopeless();
        }
        self.check_room()?;
        let id = self.state().create_http(root, request).map_err(misuse)?;
        if let Life::Running(running) = &self.life
            && running.callbacks.proxy_on_context_create.is_some()
        {
            self.call(id, "proxy_on_context_create", |running| {
                call(running, |c| &c.proxy_on_context_create, (id, root))
            })?;
        }
        Ok(id)
    }

    pub(super) fn known(&mut self, root: u32, request: Request) -> bool {
        self.state().contexts.find(request, root).is_some()
    }

    /// A context that was found: nothing removes it while its own phase runs.
    pub(super) fn http(&mut self, id: u32) -> &mut HttpContext {
        let http = self.state().contexts.http.get_mut(&id);
        http.expect("a context lives while its request is driven")
    }
}

#[cold]
fn wrong_phase(stage: Stage) -> Error {
    Error::Misuse(format!("wrong phase: {}, not here", stage.place()))
}

/// A request that gets no callbacks any more: whether that is an error.
#[cold]
fn enter_lost(http: &HttpContext, policy: Policy) -> Result<Option<u32>, Error> {
    if !http.lost {
        return Err(Error::Refused("this request is refused".to_owned()));
    }
    let settled = policy == Policy::Open && http.failure_answered;
    match settled || http.ends() {
        true => Ok(None),
        false => Err(lost()),
    }
}

/// The error about a request whose instance is gone.
#[cold]
pub(super) fn lost() -> Error {
    Error::Lost("the instance of this request was lost".to_owned())
}

#[cold]
pub(super) fn misuse(status: Status) -> Error {
    Error::Misuse(format!("no request to work on ({status:?})"))
}

fn call_headers(
    running: &mut Running,
    callback: impl FnOnce(&Callbacks) -> &Option<HeadersCallback>,
    (id, headers, end_of_stream): (u32, u32, bool),
) -> Result<Action, Trap> {
    let action = match callback(&running.callbacks) {
        Some(HeadersCallback::Three(callback)) => running
            .instance
            .call(callback, (id, headers, end_of_stream.into()))?,
        Some(HeadersCallback::Two(callback)) => running.instance.call(callback, (id, headers))?,
        None => 0,
    };
    Ok(action.into())
}
