//! What HTTP/2 takes for its connection: memory, on both sides.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::abi::limits::MAX_GRPC_UNSENT;

/// A clone is the same pipe. Nobody is woken: whoever fills or empties it polls
/// what is at the other end.
#[derive(Clone, Default)]
pub struct Pipe(Rc<RefCell<Ends>>);

#[derive(Default)]
struct Ends {
    received: VecDeque<u8>,
    /// Nothing more is received.
    ended: bool,
    to_send: Vec<u8>,
}

impl Pipe {
    /// Bytes that came.
    pub fn push(&self, bytes: &[u8]) {
        self.0.borrow_mut().received.extend(bytes);
    }

    /// None come any more.
    pub fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    /// The bytes to send, if there are any.
    pub fn pull(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().to_send)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ends = &mut *self.0.borrow_mut();
        if ends.received.is_empty() && !ends.ended {
            return Poll::Pending;
        }
        let len = ends.received.read(buffer.initialize_unfilled())?;
        buffer.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let to_send = &mut self.0.borrow_mut().to_send;
        if to_send.len() >= MAX_GRPC_UNSENT {
            return Poll::Pending;
        }
        to_send.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
