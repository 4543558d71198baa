//! Callouts: from what a guest asked for to the callback with the answer.

use super::error::Error;
use super::lifecycle::{Plugin, call};
use super::run::Outcome;
use crate::abi::limits::MAX_CALLOUT_RESPONSE;
use crate::abi::types::LogLevel;
use crate::callout::{Http1, Response, Target};

/// A callout that Lua performs: where to, and the exchange.
pub struct Exchange {
    pub token: u32,
    pub target: Target,
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
        let callout = self.state().callouts.get(&token)?;
        let request = callout.request.clone();
        let target = callout.target.clone();
        let timeout_ms = callout.timeout_ms;
        let server_name = host_of(&request.authority).to_vec();
        let repeatable = REPEATABLE.contains(&&request.method[..]);
        // A request is checked when it is asked for.
        let http1 = Http1::new(request, MAX_CALLOUT_RESPONSE).ok()?;
        Some(Exchange {
            token,
            target,
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
        let delivered = self.call_back(root, token, response);
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
        let params = (
            root,
            token,
            response.headers.len() as u32,
            response.body.len() as u32,
            response.trailers.len() as u32,
        );
        self.state().callout_response = Some(response);
        let result = self.call(root, "proxy_on_http_call_response", |running| {
            call(running, |c| &c.proxy_on_http_call_response, params)
        });
        self.state().callout_response = None;
        result.map(drop)
    }

    /// Says why a callout failed; the guest only gets zeros.
    pub fn log_failed_callout(&self, exchange: &Exchange, why: &str) {
        let line = format!("a callout to {} failed: {why}", exchange.target);
        self.log(LogLevel::Error, &line);
    }
}

/// The host of `host[:port]`; IPv6 keeps its brackets.
fn host_of(authority: &[u8]) -> &[u8] {
    let port = authority.iter().rposition(|byte| *byte == b':');
    match port {
        Some(at) if authority[at + 1..].iter().all(u8::is_ascii_digit) => &authority[..at],
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_server_name_has_no_port() {
        assert_eq!(host_of(b"a.example:443"), b"a.example");
        assert_eq!(host_of(b"a.example"), b"a.example");
        assert_eq!(host_of(b"[::1]:80"), b"[::1]");
        assert_eq!(host_of(b"[::1]"), b"[::1]");
    }
}
