//! Callouts: from what a guest asked for to the callback with the answer.

use super::error::Error;
use super::lifecycle::{Plugin, call};
use super::run::Outcome;
use crate::abi::limits::MAX_CALLOUT_RESPONSE;
use crate::abi::pairs::is_text;
use crate::abi::types::LogLevel;
use crate::callout::{Http1, Response, Route};
use crate::context::request::Header;

/// A callout that Lua performs: where to, and the exchange.
pub struct Exchange {
    pub token: u32,
    pub route: Route,
    /// The host name that TLS must prove.
    pub server_name: Vec<u8>,
    pub timeout_ms: u32,
    /// Doing it twice does what doing it once does.
    pub repeatable: bool,
    pub http1: Http1,
}

/// Idempotent methods (RFC 9110 §9.2.2).
const REPEATABLE: [&[u8]; 6] = [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"];

impl Plugin {
    /// Begins the callout of a token. `None`: its instance was lost meanwhile.
    pub fn begin_callout(&mut self, token: u32) -> Option<Exchange> {
        let callout = self.state().callouts.get_mut(&token)?;
        let (request, route) = callout.work.take()?;
        let timeout_ms = callout.timeout_ms;
        let server_name = route.server_name(&request.authority).to_vec();
        let repeatable = REPEATABLE.contains(&&request.method[..]);
        // A request is checked when it is asked for.
        let http1 = Http1::new(request, MAX_CALLOUT_RESPONSE).ok()?;
        Some(Exchange {
            token,
            route,
            server_name,
            timeout_ms,
            repeatable,
            http1,
        })
    }

    /// `proxy_on_http_call_response`. A failed callout has an empty response:
    /// the guest gets three zeros.
    pub fn deliver(&mut self, token: u32, response: Response) -> Outcome {
        let Some(callout) = self.state().finish_callout(token) else {
            return Ok(self.shared_flags());
        };
        let (root, http) = (callout.origin.root, callout.origin.http);
        let delivered = self.guard(|plugin| plugin.call_back(root, token, response));
        let after_callouts = self.info.resume_after_callouts;
        let state = self.state();
        if after_callouts
            && let Some(http) = state.contexts.http.get(&http)
            && http.paused
            && http.callouts == 0
        {
            let id = http.id;
            state.resume(id);
        }
        self.answer_the_hopeless();
        delivered?;
        Ok(self.shared_flags())
    }

    fn call_back(&mut self, root: u32, token: u32, response: Response) -> Result<(), Error> {
        if !self.state().contexts.roots.contains_key(&root) || !self.is_running() {
            return Ok(());
        }
        let only_text = self.info.only_text_headers;
        let count = |pairs: &[Header]| match only_text {
            false => pairs.len(),
            true => pairs.iter().filter(|(k, v)| is_text(k, v)).count(),
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
        self.state().callout_response = None;
        result.map(drop)
    }

    /// Says why a callout goes on to another node.
    pub fn log_next_node(&self, exchange: &Exchange, failed: &str, why: &str) {
        let next = exchange.route.target();
        let line = format!("a callout to {failed} failed: {why}; it goes on to {next}");
        self.log(LogLevel::Warn, &line);
    }

    /// Says why a callout failed; the guest only gets zeros.
    pub fn log_failed_callout(&self, exchange: &Exchange, why: &str) {
        let line = format!("a callout to {} failed: {why}", exchange.route.target());
        self.log(LogLevel::Error, &line);
    }
}
