//! What only Lua can do: deferred work, as data that Lua pulls.

use std::cell::Cell;
use std::collections::VecDeque;

/// A response that a plugin gives instead of the upstream's
/// (`proxy_send_local_response`).
#[derive(Debug, Default)]
pub struct LocalResponse {
    pub status: u32,
    /// Free of CR, LF and NUL; may become the reason phrase.
    pub details: Vec<u8>,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
    /// -1: none.
    pub grpc_status: i32,
}

impl LocalResponse {
    /// Makes it one that the header filter gives: headers, for the body that goes
    /// out when the body filter runs. Whether it runs nobody knows, and with this
    /// one's length before the old body the rest of that would be the client's
    /// next response: only an answer to HEAD has a length.
    pub fn keep_for_body_filter(&mut self, is_head: bool) -> Vec<u8> {
        let body = std::mem::take(&mut self.body);
        if is_head && self.may_have_body() {
            let length = body.len().to_string().into_bytes();
            self.headers.push((b"content-length".into(), length));
        }
        body
    }

    /// False for a status that has no body, and no length of one.
    pub fn may_have_body(&self) -> bool {
        !matches!(self.status, 204 | 304)
    }
}

/// One piece of deferred work. `effects.lua` has a function for each, under
/// the number that `src/capi/effect.rs` gives it.
#[derive(Debug)]
pub enum Effect {
    /// Ends the request with this response. Request phases only: in the
    /// header filter a local response is carried out in place.
    LocalResponse(LocalResponse),
    /// Ends the request with this status, and nginx's page for it. Request
    /// phases only.
    Exit { status: u32 },
    /// Gives the request this path (decoded) and query.
    SetPath { path: Vec<u8>, query: Vec<u8> },
    /// Replaces the request body.
    SetRequestBody(Vec<u8>),
    /// Replaces the chunk that the body filter holds; nothing comes after it
    /// if it is the `last`.
    SetResponseBody { body: Vec<u8>, last: bool },
    /// Wakes the paused request of the http context with this serial number.
    Resume { serial: u32 },
    /// Closes the request's connection without an answer.
    CloseStream,
    /// Looks after the timers in so many milliseconds.
    Timer { after_ms: u32 },
    /// Performs the callout of this token.
    HttpCall { token: u32 },
    /// Gives the gRPC callout of this token to a connection.
    GrpcOpen { token: u32 },
    /// This connection has something to send, or a call to end.
    GrpcWake { connection: u32 },
}

impl Effect {
    /// True when doing both comes to the same as doing only this one.
    pub fn replaces(&self, earlier: &Effect) -> bool {
        matches!(
            (self, earlier),
            (Effect::SetPath { .. }, Effect::SetPath { .. })
                | (Effect::CloseStream, Effect::CloseStream)
        )
    }

    /// True for what is the last of a request's.
    pub fn ends_request(&self) -> bool {
        matches!(
            self,
            Effect::LocalResponse(_) | Effect::Exit { .. } | Effect::CloseStream
        )
    }

    /// True for an answer with which nginx sends no body, whatever comes.
    pub fn drops_body(&self) -> bool {
        matches!(self, Effect::LocalResponse(response) if !response.may_have_body())
    }

    pub fn is_path(&self) -> bool {
        matches!(self, Effect::SetPath { .. })
    }
}

/// Work of one instance that is no request's own.
#[derive(Default)]
pub struct SharedEffects(VecDeque<Effect>);

thread_local! {
    /// What all plugins of this worker have: each request asks several times, and
    /// nearly always there is none.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

impl SharedEffects {
    pub fn push(&mut self, effect: Effect) {
        self.0.push_back(effect);
        LEFT.set(LEFT.get() + 1);
    }

    pub fn pop(&mut self) -> Option<Effect> {
        let effect = self.0.pop_front()?;
        LEFT.set(LEFT.get() - 1);
        Some(effect)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Effect> {
        self.0.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Effect> {
        self.0.iter_mut()
    }

    pub fn retain(&mut self, keep: impl FnMut(&Effect) -> bool) {
        let before = self.0.len();
        self.0.retain(keep);
        LEFT.set(LEFT.get() + self.0.len() - before);
    }

    /// True when some plugin of this worker has any.
    pub fn are_left() -> bool {
        LEFT.get() > 0
    }
}

impl Drop for SharedEffects {
    fn drop(&mut self) {
        // Not there any more where a plugin outlives its thread's end.
        let _ = LEFT.try_with(|left| left.set(left.get() - self.0.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::{Effect, SharedEffects};

    #[test]
    fn what_is_left_is_counted_whatever_becomes_of_it() {
        assert!(!SharedEffects::are_left());
        let mut effects = SharedEffects::default();
        for serial in 1..=4 {
            effects.push(Effect::Resume { serial });
        }
        assert!(matches!(effects.pop(), Some(Effect::Resume { serial: 1 })));
        effects.retain(|effect| !matches!(effect, Effect::Resume { serial: 2 }));
        assert!(SharedEffects::are_left());
        let mut others = SharedEffects::default();
        others.push(Effect::CloseStream);
        drop(effects);
        assert!(SharedEffects::are_left());
        others.pop();
        assert!(!SharedEffects::are_left());
    }
}
