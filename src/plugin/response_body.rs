//! The body of a response: shown to the guest chunk by chunk, held back, passed
//! on.

use super::error::Error;
use super::lifecycle::{Plugin, call};
use super::run::{Flags, Outcome, misuse};
use crate::abi::types::Action;
use crate::context::request::RequestState;
use crate::context::{Effect, Stage};
use crate::host::Request;
use crate::hostcalls::trailers;

impl Plugin {
    /// `proxy_on_response_body`, with the chunk that the body filter holds.
    pub fn response_body(&mut self, root: u32, request: Request) -> Outcome {
        if RequestState::is_answered(request) {
            return self.answered_body(root, request);
        }
        self.with_policy(root, request, |plugin| {
            plugin.run_response_body(root, request)
        })
    }

    /// The body of a response that a plugin has answered in its headers: only this
    /// plugin has something to do with it.
    #[cold]
    fn answered_body(&mut self, root: u32, request: Request) -> Outcome {
        self.check_phase(request, Stage::ResponseBody)?;
        if let Some(http) = self.state().contexts.find(request, root) {
            let id = http.id;
            http.stage = http.stage.max(Stage::ResponseBody);
            if self.replace_body(id) {
                return self.flags(root, request);
            }
        }
        Ok(self.shared_flags())
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
        if self.http(id).response_ended || !sees {
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
        http.release_continued_body();
        http.chunk_at_host = true;
        let total = http.response_body.len() + size;
        if size == 0 && !end_of_stream {
            // A flush: nothing came.
            http.chunk_at_host = false;
            if !http.response_released.is_empty() {
                self.pass_released(id);
            }
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
            let request = self.http(id).live_request();
            self.tell_once(
                request,
                "response trailers cannot be paused in nginx: the response goes on",
            );
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
            self.take_chunk(id);
            self.pass_released(id);
            return Ok(());
        }
        let http = self.http(id);
        let as_it_came = http.response_body.is_empty()
            && http.response_released.is_empty()
            && !http.response_body_changed;
        if was_held || !as_it_came {
            self.pass_body(id);
        }
        self.http(id).chunk_at_host = false;
        Ok(())
    }

    /// Has what another callback continued go out in place of the chunk that the
    /// body filter holds; mostly nothing.
    fn pass_released(&mut self, id: u32) {
        let http = self.http(id);
        let body = std::mem::take(&mut http.response_released);
        http.effects
            .push_back(Effect::SetResponseBody { body, last: false });
    }

    /// Takes the chunk that the body filter holds behind what was held back.
    fn take_chunk(&mut self, id: u32) {
        let state = self.state();
        state.current.effective = id;
        let _ = state.take_response_chunk();
        state.current.effective = 0;
    }

    /// Has what was held back go out, with the chunk that the body filter
    /// holds.
    pub(super) fn pass_body(&mut self, id: u32) {
        self.take_chunk(id);
        let http = self.http(id);
        http.response_body_changed = false;
        let mut body = std::mem::take(&mut http.response_released);
        match body.is_empty() {
            true => body = std::mem::take(&mut http.response_body),
            false => body.append(&mut http.response_body),
        }
        http.effects
            .push_back(Effect::SetResponseBody { body, last: false });
    }
}
