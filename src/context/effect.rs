//! What only Lua can do: deferred work, as data that Lua pulls.

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
    /// Makes it one that the header filter gives: headers that say all of the
    /// body, which goes out when the body filter runs.
    pub fn keep_for_body_filter(&mut self) -> Vec<u8> {
        let body = std::mem::take(&mut self.body);
        let length = body.len().to_string().into_bytes();
        self.headers.push((b"content-length".into(), length));
        body
    }
}

/// One piece of deferred work. `effects.lua` has a function for each, under
/// the number that `src/capi/effect.rs` gives it.
#[derive(Debug)]
pub enum Effect {
    /// Ends the request with this response. Request phases only: in the
    /// header filter a local response is carried out in place.
    LocalResponse(LocalResponse),
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
        matches!(self, Effect::LocalResponse(_) | Effect::CloseStream)
    }

    pub fn is_path(&self) -> bool {
        matches!(self, Effect::SetPath { .. })
    }
}
