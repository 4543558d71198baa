//! The gRPC callouts of an instance.

use std::rc::Rc;

use super::effect::Effect;
use super::state::{Origin, State};
use crate::abi::types::LogLevel;
use crate::abi::{HeaderList, Status};
use crate::callout::grpc::{Call, Kind, Outbox};

/// A gRPC callout that is not over, as its plugin knows it.
pub struct GrpcCall {
    pub origin: Origin,
    pub kind: Kind,
    pub outbox: Rc<Outbox>,
    /// For the log.
    pub upstream: String,
    /// Until a connection takes it.
    pub call: Option<Call>,
    /// The upstream has ended it.
    pub over: bool,
}

/// What the callback that runs is about.
#[derive(Default)]
pub struct GrpcNews {
    pub initial_metadata: Option<HeaderList>,
    pub message: Option<Vec<u8>>,
    pub trailing_metadata: Option<HeaderList>,
    pub status: u32,
    pub status_message: Vec<u8>,
}

impl State {
    /// Keeps a gRPC callout for a connection. Gives its token: unique in this
    /// instance, never 0.
    ///
    /// Errors: [`Status::InternalFailure`] when too many are in flight, or too
    /// much of them waits to be sent.
    pub fn add_grpc(&mut self, origin: Origin, call: Call) -> Result<u32, Status> {
        self.check_callouts("gRPC callout")?;
        if !self.has_room_for(call.outbox.queued()) {
            return Err(Status::InternalFailure);
        }
        let token = self.new_token();
        let kept = GrpcCall {
            origin,
            kind: call.kind,
            outbox: call.outbox.clone(),
            upstream: call.route.to_string(),
            call: Some(call),
            over: false,
        };
        self.grpc.insert(token, kept);
        self.push_shared(Effect::GrpcOpen { token });
        Ok(token)
    }

    /// True when gRPC callouts may keep so many bytes more; false is in the log.
    pub fn has_room_for(&mut self, bytes: usize) -> bool {
        let kept: usize = self.grpc.values().map(|call| call.outbox.queued()).sum();
        let limit = self.plugin.limits.callout_bytes;
        let fits = kept.saturating_add(bytes) <= limit;
        if !fits {
            let line = format!(
                "a gRPC message is refused: more than {limit} bytes would wait for upstreams \
                 (option max_callout_bytes)"
            );
            self.log(LogLevel::Error, line.as_bytes());
        }
        fits
    }

    /// Has the connection of a call look at what it has to do.
    pub fn wake_grpc(&mut self, outbox: &Outbox) {
        let connection = outbox.connection.get();
        if connection != 0 {
            self.push_shared(Effect::GrpcWake { connection });
        }
    }

    pub(super) fn is_named_by_grpc(&self, id: u32) -> bool {
        self.grpc.values().any(|call| call.origin.http == id)
    }

    /// Ends a gRPC callout on the guest's side. False: there is none.
    pub fn finish_grpc(&mut self, token: u32) -> bool {
        let Some(call) = self.grpc.remove(&token) else {
            return false;
        };
        call.outbox.cancel();
        if !call.over {
            self.wake_grpc(&call.outbox);
        }
        self.forget_named(call.origin);
        true
    }

    /// Ends the gRPC callouts of a root context, or of all.
    pub fn cancel_grpc(&mut self, root: Option<u32>) {
        let all = self.grpc.iter();
        let chosen = all.filter(|(_, call)| root.is_none_or(|root| call.origin.root == root));
        let tokens: Vec<u32> = chosen.map(|(token, _)| *token).collect();
        for token in tokens {
            self.finish_grpc(token);
        }
    }
}
