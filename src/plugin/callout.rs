//! Callouts: from what a guest asked for to the callback with the answer.

use std::time::Instant;

use super::error::Error;
use super::lifecycle::{Plugin, call};
use super::pause;
use super::run::Outcome;
use crate::abi::HeaderList;
use crate::abi::pairs::is_text;
use crate::abi::types::LogLevel;
use crate::callout::grpc::Kind;
use crate::callout::{Http1, Response, Route};
use crate::context::GrpcCall;
use crate::host::Request;

/// A callout that Lua performs: where to, and the exchange.
pub struct Exchange {
    pub token: u32,
    pub route: Route,
    /// Until then it has its answer, or has failed.
    pub deadline: Instant,
    pub http1: Http1,
    /// No request has asked for it, or that request is over.
    pub is_background: bool,
}

impl Exchange {
    /// The host name that TLS must prove.
    pub fn server_name(&self) -> &[u8] {
        self.route.server_name(self.http1.request().authority())
    }
}

impl Plugin {
    /// Begins the callout of a token. `None`: its instance was lost meanwhile.
    pub fn begin_callout(&mut self, token: u32) -> Option<Exchange> {
        let callout = self.state().callouts.get_mut(&token)?;
        let (request, route) = callout.work.take()?;
        let (deadline, origin) = (callout.deadline, callout.origin);
        let http1 = Http1::new(request, &self.state().answers);
        let is_background = self.state().live_request(origin).is_none();
        Some(Exchange {
            token,
            route,
            deadline,
            http1,
            is_background,
        })
    }

    /// `proxy_on_http_call_response`. A failed callout has an empty response:
    /// the guest gets three zeros.
    pub fn deliver(&mut self, token: u32, response: Response) -> Outcome {
        let Some(callout) = self.state().finish_callout(token) else {
            return Ok(self.shared_flags());
        };
        let (root, http) = (callout.origin.root, callout.origin.http);
        let is_background = self.state().live_request(callout.origin).is_none();
        let tell = || self.guard(|plugin| plugin.call_back(root, token, response));
        let delivered = match is_background {
            true => pause::count(Instant::now(), tell),
            false => tell(),
        };
        self.go_on_after_callouts(http);
        self.answer_the_hopeless();
        delivered?;
        Ok(self.shared_flags())
    }

    /// Lets a paused request go on when the callout that was answered was its
    /// last, if that is how the plugin is meant. Streams may be open.
    pub(super) fn go_on_after_callouts(&mut self, id: u32) {
        if !self.info.resume_after_callouts {
            return;
        }
        let state = self.state();
        let is_call = |call: &GrpcCall| call.origin.http == id && call.kind == Kind::Call;
        if let Some(http) = state.contexts.http.get(&id)
            && http.paused
            && http.callouts == 0
            && !state.grpc.values().any(is_call)
        {
            state.resume(id);
        }
    }

    fn call_back(&mut self, root: u32, token: u32, response: Response) -> Result<(), Error> {
        if !self.state().contexts.roots.contains_key(&root) || !self.is_running() {
            return Ok(());
        }
        let only_text = self.info.only_text_headers;
        let count = |list: &HeaderList| match only_text {
            false => list.len(),
            true => list.iter().filter(|(k, v)| is_text(k, v)).count(),
        };
        let params = (
            root,
            token,
            count(&response.headers) as u32,
            response.body.len() as u32,
            count(&response.trailers) as u32,
        );
        self.state().callout_response = Some(response);
        let result = self.call(root, "proxy_on_http_call_response", |running| {
            call(running, |c| &c.proxy_on_http_call_response, params)
        });
        if let Some(response) = self.state().callout_response.take() {
            response.headers.recycle();
        }
        result.map(drop)
    }

    /// Says why a callout goes on to another node.
    pub fn log_next_node(&mut self, exchange: &Exchange, failed: &str, why: &str) {
        let next = exchange.route.target();
        let line = format!("a callout to {failed} failed: {why}; it goes on to {next}");
        let request = self.request_of(exchange);
        self.log_in(request, LogLevel::Warn, &line);
    }

    /// Says why a callout failed; the guest only gets zeros.
    pub fn log_failed_callout(&mut self, exchange: &Exchange, why: &str) {
        let line = format!("a callout to {} failed: {why}", exchange.route);
        let request = self.request_of(exchange);
        self.log_in(request, LogLevel::Error, &line);
    }

    /// The request that asked for a callout, while it is there.
    fn request_of(&mut self, exchange: &Exchange) -> Option<Request> {
        let state = self.state();
        let callout = state.callouts.get(&exchange.token)?;
        state.live_request(callout.origin)
    }
}
