//! gRPC callouts (spec: `proxy_grpc_call`, `proxy_grpc_stream`).
//!
//! Sans-IO, as everything in this room: a [`Connection`] takes calls, takes the
//! bytes that came, gives the bytes to send and what the calls have come to.

mod connection;
mod frame;
mod head;
mod pipe;
mod service;
mod silence;
pub mod status;
mod stream;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;

pub use connection::Connection;
pub use head::{BadHead, Head};
pub use service::Service;

use super::{Route, Share};
use crate::abi::HeaderList;
use crate::abi::limits::MAX_GRPC_QUEUED;

/// One message there and one back, or any number of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Call,
    Stream,
}

/// What a guest asked for.
pub struct Call {
    pub kind: Kind,
    pub route: Route,
    pub head: Head,
    /// When it fails with "deadline exceeded"; a stream has no end of its own.
    pub deadline: Option<Instant>,
    pub outbox: Rc<Outbox>,
    /// For its answers.
    pub share: Rc<Share>,
    /// Times that a connection gave it back before the upstream saw it.
    pub returned: u32,
}

/// What a call has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    InitialMetadata(HeaderList),
    /// For a [`Kind::Call`] the last event.
    Message(Vec<u8>),
    TrailingMetadata(HeaderList),
    /// The last event.
    Closed(Closed),
}

/// How a call has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub status: u32,
    pub message: Vec<u8>,
    /// True when it is not the upstream that said so.
    pub ours: bool,
}

impl Closed {
    fn ours(status: u32, message: impl Into<String>) -> Self {
        Closed {
            status,
            message: message.into().into_bytes(),
            ours: true,
        }
    }
}

/// What the guest has said and the upstream has not heard yet. The guest's side
/// owns it: a call whose outbox nobody else has is of no interest any more.
#[derive(Default)]
pub struct Outbox {
    /// Framed.
    messages: RefCell<VecDeque<Bytes>>,
    queued: Cell<usize>,
    ended: Cell<bool>,
    cancelled: Cell<bool>,
    /// The connection that sends it; 0: none yet.
    pub connection: Cell<u32>,
}

impl Outbox {
    /// Keeps a message for the upstream. False: too much is kept already, and
    /// the message is not.
    pub fn send(&self, message: &[u8]) -> bool {
        let queued = self.queued.get() + message.len() + frame::PREFIX;
        if queued > MAX_GRPC_QUEUED {
            return false;
        }
        self.queued.set(queued);
        self.messages.borrow_mut().push_back(frame::encode(message));
        true
    }

    /// No message follows.
    pub fn end(&self) {
        self.ended.set(true);
    }

    pub fn is_ended(&self) -> bool {
        self.ended.get()
    }

    /// The guest wants no more of it.
    pub fn cancel(&self) {
        self.cancelled.set(true);
        self.clear();
    }

    fn clear(&self) {
        self.messages.borrow_mut().clear();
        self.queued.set(0);
    }

    /// Bytes that wait.
    pub fn queued(&self) -> usize {
        self.queued.get()
    }

    fn is_unwanted(self: &Rc<Self>) -> bool {
        self.cancelled.get() || Rc::strong_count(self) == 1
    }

    fn next(&self) -> Option<Bytes> {
        let message = self.messages.borrow_mut().pop_front()?;
        self.queued.set(self.queued.get() - message.len());
        Some(message)
    }

    fn put_back(&self, message: Bytes) {
        self.queued.set(self.queued.get() + message.len());
        self.messages.borrow_mut().push_front(message);
    }

    fn is_empty(&self) -> bool {
        self.messages.borrow().is_empty()
    }
}
