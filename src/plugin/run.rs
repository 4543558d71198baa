//! Runs the callbacks of http contexts, in their order, and says what Lua has
//! to do next.

use super::error::Error;
use super::failure::Policy;
use super::lifecycle::{Plugin, Running, call};
use crate::abi::Status;
use crate::abi::pairs::is_text;
use crate::abi::types::Action;
use crate::callbacks::{Callbacks, HeadersCallback};
use crate::context::{Effect, HeaderList, HttpContext, Ids, Stage};
use crate::host::Request;
use crate::hostcalls::{is_listed, trailers};
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

    /// `proxy_on_response_headers`, once per request.
    pub fn response_headers(&mut self, root: u32, request: Request) -> Outcome {
        self.with_policy(root, request, |plugin| {
            plugin.run_response_headers(root, request)
        })
    }

    fn run_response_headers(&mut self, root: u32, request: Request) -> Outcome {
        let unseen = !self.wants.response && !self.known(root, request);
        if unseen || self.is_settled(root, request) {
            return Ok(Flags::default());
        }
        let wanted = self.wants.response;
        if let Some(http) = self.state().contexts.find(request, root)
            && http.lost
        {
            if http.take_late_response() {
                return self.flags(root, request);
            }
            if !wanted && http.judged {
                // It has seen all of the request, and sees nothing of the rest.
                http.failure_answered = true;
                return Ok(self.shared_flags());
            }
        }
        let Some(id) = self.enter(root, request, Stage::ResponseHeaders)? else {
            return self.flags(root, request);
        };
        let host = self.host.clone();
        let listed = self.http(id).request.response_header_count();
        if listed.is_none() && self.wants.response_list {
            // Lua lists them and comes again.
            self.http(id).stage = Stage::RequestBody;
            return Ok(Flags {
                response_headers: true,
                ..Flags::default()
            });
        }
        let may_have_body = !self.wants.response_end || host.response_has_body(request);
        let has_body = may_have_body && !self.wants.no_response_bodies;
        let http = self.http(id);
        http.response_ended = !has_body;
        if http.take_late_response() {
            return self.flags(root, request);
        }

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
        let swapped = self.http(id).replacement.is_some();
        if self.wants.edits_response_body && has_body && !swapped {
            // Its length will be another: nginx must not promise the old one,
            // nor one that the plugin thinks of. It has seen it, the plugins
            // behind it do not.
            let _ = host.remove_response_header(request, b"content-length");
            let http = self.http(id);
            if let Some(headers) = &mut *http.request.response_headers.borrow_mut() {
                headers.remove(b"content-length");
            }
        }
        let http = self.http(id);
        let held = action == Action::Pause && !http.answered && !http.continued;
        http.continued = false;
        if held {
            self.tell_once("response headers cannot be paused in nginx: the response goes on");
        }
        self.flags(root, request)
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

    /// `proxy_on_response_body`, with the chunk that the body filter holds.
    pub fn response_body(&mut self, root: u32, request: Request) -> Outcome {
        self.with_policy(root, request, |plugin| {
            plugin.run_response_body(root, request)
        })
    }

    fn run_response_body(&mut self, root: u32, request: Request) -> Outcome {
        let sees = self.wants.response_body || self.wants.response_trailers;
        let unseen = !sees && !self.known(root, request);
        if unseen {
            return Ok(Flags::default());
        }
        if let Some(http) = self.state().contexts.find(request, root)
            && http.lost
        {
            let id = http.id;
            http.chunk_at_host = true;
            if self.replace_body(id) {
                return self.flags(root, request);
            }
            if self.is_settled(root, request) {
                self.release_lost_body(root, request);
                return self.flags(root, request);
            }
            if !sees && self.http(id).stage >= Stage::ResponseHeaders {
                // It would not have seen more of it.
                return Ok(self.shared_flags());
            }
        }
        let Some(id) = self.enter(root, request, Stage::ResponseBody)? else {
            return self.flags(root, request);
        };
        if self.replace_body(id) || self.http(id).response_ended || !sees {
            return self.flags(root, request);
        }
        let (size, end_of_stream) = self.host.response_chunk_size(request).map_err(misuse)?;
        if self.wants.response_body {
            self.run_response_chunk(id, size, end_of_stream)?;
        }
        if end_of_stream {
            self.http(id).response_ended = true;
            if self.wants.response_trailers {
                self.run_response_trailers(id)?;
            }
        }
        self.flags(root, request)
    }

    fn run_response_chunk(
        &mut self,
        id: u32,
        size: usize,
        end_of_stream: bool,
    ) -> Result<(), Error> {
        let http = self.http(id);
        http.chunk_at_host = true;
        let total = http.response_body.len() + size;
        if size == 0 && !end_of_stream {
            // A flush: nothing came.
            http.chunk_at_host = false;
            return Ok(());
        }

        let action = self.call(id, "proxy_on_response_body", |running| {
            let params = (id, total as u32, end_of_stream.into());
            call(running, |c| &c.proxy_on_response_body, params)
        })?;
        let action = action.map_or(Action::Continue, Action::of_body);
        self.release_body(id, action, total, end_of_stream)?;
        Ok(())
    }

    /// `proxy_on_response_trailers`, where there are any.
    fn run_response_trailers(&mut self, id: u32) -> Result<(), Error> {
        let host = self.host.clone();
        let trailers = trailers::count(&*host, &self.http(id).request);
        if trailers == 0 {
            return Ok(());
        }
        self.http(id).stage = Stage::ResponseTrailers;
        let action = self.call(id, "proxy_on_response_trailers", |running| {
            call(running, |c| &c.proxy_on_response_trailers, (id, trailers))
        })?;
        if action.is_some_and(|action| action != 0) {
            self.tell_once("response trailers cannot be paused in nginx: the response goes on");
        }
        Ok(())
    }

    /// Writes the body of a local response in place of the first chunk, and
    /// nothing in place of the others. False: there is none.
    fn replace_body(&mut self, id: u32) -> bool {
        let http = self.http(id);
        let body = match http.replacement.take() {
            Some(body) => body,
            None if http.replaced => Vec::new(),
            None => return false,
        };
        http.replaced = true;
        http.effects
            .push_back(Effect::SetResponseBody { body, last: true });
        true
    }

    /// Lets the body so far go, or holds its `total` bytes back.
    ///
    /// Errors: they are too many, and nothing may pass that was not judged.
    fn release_body(
        &mut self,
        id: u32,
        action: Action,
        total: usize,
        end_of_stream: bool,
    ) -> Result<(), Error> {
        let limit = self.options.max_held_body;
        let mut pause = action == Action::Pause;
        if pause && !end_of_stream && !self.http(id).continued && total > limit {
            self.let_too_much_go(id)?;
            pause = false;
        }
        let state = self.state();
        let Some(http) = state.contexts.http.get_mut(&id) else {
            return Ok(());
        };
        let continued = std::mem::take(&mut http.continued);
        let hold = pause && !continued && !end_of_stream;
        let was_held = std::mem::replace(&mut http.response_held, hold);
        if hold {
            state.current.effective = id;
            let _ = state.take_response_chunk();
            state.current.effective = 0;
            self.http(id).effects.push_back(Effect::SetResponseBody {
                body: Vec::new(),
                last: false,
            });
            return Ok(());
        }
        if was_held || http.response_body_changed || !http.response_body.is_empty() {
            state.current.effective = id;
            let _ = state.take_response_chunk();
            state.current.effective = 0;
            let http = self.http(id);
            http.response_body_changed = false;
            let body = std::mem::take(&mut http.response_body);
            http.effects
                .push_back(Effect::SetResponseBody { body, last: false });
        }
        self.http(id).chunk_at_host = false;
        Ok(())
    }

    /// `proxy_on_done`, `proxy_on_log`, `proxy_on_delete`: the end of an http
    /// context in the log phase.
    pub fn log_request(&mut self, root: u32, request: Request) -> Outcome {
        self.guard(|plugin| plugin.run_log_request(root, request))
    }

    fn run_log_request(&mut self, root: u32, request: Request) -> Outcome {
        self.check_phase(request, Stage::Done)?;
        // The cleanup handlers ran before: the context is marked. It is this
        // request's, which can still be read, unless its address came again.
        if let Some(id) = self.state().contexts.find_ending(request, root) {
            let host = self.host.clone();
            let readable = self.http(id).request.is_still(&*host);
            self.finish(id, readable);
        }
        Ok(self.shared_flags())
    }

    /// Ends every http context whose request has ended without a log phase.
    /// Gives the number of those that still live.
    pub fn sweep(&mut self) -> u32 {
        // A panic is in the log.
        let _ = self.guard(|plugin| {
            plugin.finish_ended();
            Ok(())
        });
        self.state().contexts.http.len() as u32
    }

    fn finish_ended(&mut self) {
        let mut ended: Vec<u32> = {
            let contexts = &self.state().contexts;
            let ended = contexts.http.values().filter(|http| http.request.ended());
            ended.map(|http| http.id).collect()
        };
        ended.sort_unstable();
        for id in ended {
            self.finish(id, false);
        }
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
        self.answer_the_hopeless();
        if closing {
            self.close_root(root);
        }
    }

    fn finish_callbacks(&mut self, id: u32) -> Result<(), Error> {
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
    fn enter(&mut self, root: u32, request: Request, stage: Stage) -> Result<Option<u32>, Error> {
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
        if http.lost {
            let settled = policy == Policy::Open && http.failure_answered;
            return match settled || http.ends() {
                true => Ok(None),
                false => Err(lost()),
            };
        }
        if http.refused {
            return Err(Error::Refused("this request is refused".to_owned()));
        }
        let unfinished = stage == Stage::RequestBody && !http.body_due && http.stage == stage;
        if !http.stage.may_reach(stage) || unfinished {
            return Ok(None);
        }
        http.stage = stage;
        Ok(Some(http.id))
    }

    /// Errors: the stage is for other phases of a request.
    fn check_phase(&self, request: Request, stage: Stage) -> Result<(), Error> {
        if stage.allowed_in(self.host.phase(request)) {
            return Ok(());
        }
        Err(Error::Misuse(format!(
            "wrong phase: {}, not here",
            stage.place()
        )))
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
        }
        self.check_room()?;
        let id = self.state().create_http(root, request).map_err(misuse)?;
        self.call(id, "proxy_on_context_create", |running| {
            call(running, |c| &c.proxy_on_context_create, (id, root))
        })?;
        Ok(id)
    }

    /// Errors: there are as many http contexts as there may be.
    fn check_room(&mut self) -> Result<(), Error> {
        let limit = self.options.limits.contexts;
        if (self.state().contexts.http.len() as u32) < limit || self.sweep() < limit {
            return Ok(());
        }
        Err(Error::Unavailable(format!(
            "the plugin has {limit} http contexts alive, which is the limit (option max_contexts)"
        )))
    }

    fn known(&mut self, root: u32, request: Request) -> bool {
        self.state().contexts.find(request, root).is_some()
    }

    /// A context that was found: nothing removes it while its own phase runs.
    pub(super) fn http(&mut self, id: u32) -> &mut HttpContext {
        let http = self.state().contexts.http.get_mut(&id);
        http.expect("a context lives while its request is driven")
    }
}

/// The error about a request whose instance is gone.
pub(super) fn lost() -> Error {
    Error::Lost("the instance of this request was lost".to_owned())
}

fn misuse(status: Status) -> Error {
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
