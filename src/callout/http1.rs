//! One exchange of HTTP/1.1 (RFC 9112) as a client, sans-IO.
//!
//! `httparse` parses heads and trailers. What is built on it for clients without
//! I/O, `ureq-proto`, is not used: it drops trailers, waits without end for a
//! chunk line that holds a lone CR, takes a signed chunk size, refuses a 100 with
//! fields and request targets that are in use, and its map of headers takes a
//! dozen allocations for each answer. What remains for us to do is small.

use std::rc::Rc;

use super::block::{Block, Taken};
use super::chunked::Chunked;
use super::head::{self, Framing, Head};
use super::{Error, Part, Request, Response, Share};
use crate::abi::limits::MAX_HEAD;

/// Every answer starts with this; what does not is refused at once.
const START: &[u8] = b"HTTP/1.";

/// An exchange: a request to send and the answer to it, as far as received.
pub struct Http1 {
    request: Request,
    state: State,
    limit: usize,
    /// Bytes that the answer may still grow, of `limit`.
    room: usize,
    /// Bytes that its heads may still grow, of `MAX_HEAD`.
    head_room: usize,
    reusable: bool,
    response: Response,
    /// What it has of the plugin's share.
    part: Part,
}

enum State {
    Head(Block),
    /// This many bytes of the body are left.
    Length(u64),
    Chunks(Chunked),
    Trailers(Block),
    UntilClose,
    Done,
    Failed(Error),
}

/// How far an exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes must be received, or the end of the stream.
    NeedMore,
    /// The answer is complete. `reusable`: the connection may carry another
    /// exchange; otherwise it must be closed.
    Done { reusable: bool },
}

impl Http1 {
    /// Starts an exchange. `share` limits the bytes kept of the answer: heads,
    /// body and trailers together, without the chunked coding.
    pub fn new(request: Request, share: &Rc<Share>) -> Http1 {
        Http1 {
            request,
            state: State::Head(Block::new(b"")),
            limit: share.each,
            room: share.each,
            head_room: MAX_HEAD,
            reusable: false,
            response: Response::default(),
            part: Part::of(share),
        }
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The whole request, head and body, to be sent once. An answer may come
    /// before all is sent; then the connection must not be reused.
    pub fn output(&self) -> &[u8] {
        self.request.output()
    }

    /// Takes what was read from the connection, in pieces of any size.
    ///
    /// After an error every call gives the same one. Bytes behind the end of
    /// the answer belong to nobody: the connection is not reusable.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Progress, Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.step(rest) {
                Ok(used) => rest = &rest[used..],
                Err(error) => return Err(self.fail(error)),
            }
        }
        if !self.part.set(self.limit - self.room) {
            let limit = self.part.share().all;
            return Err(self.fail(Error::NoShareLeft { limit }));
        }
        self.progress()
    }

    /// Takes notice that the peer closed the connection: the end of an answer
    /// that has no other, otherwise an error where it is not complete.
    pub fn end_of_stream(&mut self) -> Result<Progress, Error> {
        self.reusable = false;
        match &self.state {
            State::UntilClose => self.state = State::Done,
            State::Done | State::Failed(_) => {}
            State::Head(block) if block.bytes().is_empty() && self.head_room == MAX_HEAD => {
                return Err(self.fail(Error::NoAnswer));
            }
            _ => return Err(self.fail(Error::Truncated)),
        }
        self.progress()
    }

    /// The answer, once `Done` was reported. Before that, and after an error,
    /// it is empty: no part of an answer passes for the whole.
    pub fn into_response(self) -> Response {
        match self.state {
            State::Done => self.response,
            _ => Response::default(),
        }
    }

    fn progress(&self) -> Result<Progress, Error> {
        match self.state {
            State::Done => Ok(Progress::Done {
                reusable: self.reusable,
            }),
            State::Failed(error) => Err(error),
            _ => Ok(Progress::NeedMore),
        }
    }

    /// Gives back what was gathered: it is of no more use.
    fn fail(&mut self, error: Error) -> Error {
        self.response = Response::default();
        self.room = self.limit;
        self.part.set(0);
        self.state = State::Failed(error);
        error
    }

    fn too_large(&self) -> Error {
        Error::TooLarge { limit: self.limit }
    }

    /// Uses some of the bytes, at least one. `bytes` is not empty.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        match &mut self.state {
            State::Head(block) => {
                let room = self.room.min(self.head_room);
                if block.bytes().is_empty()
                    && let Some(used) = self.take_whole_head(&bytes[..bytes.len().min(room)])?
                {
                    return Ok(used);
                }
                let State::Head(block) = &mut self.state else {
                    return Ok(0);
                };
                let taken = block.take(bytes, room);
                let start = block.bytes().len().min(START.len());
                if block.bytes()[..start] != START[..start] {
                    return Err(Error::NotHttp);
                }
                let used = self.count_block(taken, bytes.len())?;
                if let Taken::Complete(_) = taken
                    && let State::Head(block) = &self.state
                {
                    let head = head::parse_block(block.bytes(), self.request.is_head())?;
                    self.end_of_head(head)?;
                }
                Ok(used)
            }
            State::Length(left) => {
                let used = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= used as u64;
                if *left == 0 {
                    self.state = State::Done;
                }
                self.add_to_body(&bytes[..used])?;
                Ok(used)
            }
            State::Chunks(chunked) => {
                let before = self.response.body.len();
                let too_large = Error::TooLarge { limit: self.limit };
                let used = chunked.decode(bytes, &mut self.response.body, self.room, too_large)?;
                if chunked.is_ended() {
                    self.state = State::Trailers(Block::new(head::TRAILERS_START));
                    self.head_room = MAX_HEAD;
                }
                self.room -= self.response.body.len() - before;
                Ok(used)
            }
            State::Trailers(block) => {
                let taken = block.take(bytes, self.room.min(self.head_room));
                if let Taken::Complete(_) = taken {
                    self.response.trailers = head::parse_trailers(block.bytes())?;
                    self.state = State::Done;
                }
                self.count_block(taken, bytes.len())
            }
            State::UntilClose => {
                self.add_to_body(bytes)?;
                Ok(bytes.len())
            }
            State::Done => {
                self.reusable = false;
                Ok(bytes.len())
            }
            State::Failed(error) => Err(*error),
        }
    }

    /// Counts the bytes that a block took of `offered` ones.
    fn count_block(&mut self, taken: Taken, offered: usize) -> Result<usize, Error> {
        let used = match taken {
            Taken::All => offered,
            Taken::Complete(used) => used,
            Taken::NoRoom if self.head_room <= self.room => return Err(Error::HeadTooLarge),
            Taken::NoRoom => return Err(self.too_large()),
        };
        self.room -= used;
        self.head_room -= used;
        Ok(used)
    }

    /// Most heads come in one piece, and are read where they lie. Gives their
    /// length; `None` for what is no such head, which is looked at as it comes.
    fn take_whole_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Error> {
        if !bytes.starts_with(START) {
            return Ok(None);
        }
        let Ok((head, used)) = head::parse(bytes, self.request.is_head()) else {
            return Ok(None);
        };
        self.room -= used;
        self.head_room -= used;
        self.end_of_head(head)?;
        Ok(Some(used))
    }

    /// A head is complete: an interim one is dropped, the final one kept.
    fn end_of_head(&mut self, head: Head) -> Result<(), Error> {
        let Head {
            status,
            headers,
            framing,
            reusable,
        } = head;
        if status.as_u16() == 101 {
            return Err(Error::SwitchedProtocols);
        }
        if status.is_informational() {
            self.state = State::Head(Block::new(b""));
            return Ok(());
        }
        self.response.headers = headers;
        self.reusable = reusable;
        self.state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) if length > self.room as u64 => return Err(self.too_large()),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunks(Chunked::new()),
            Framing::UntilClose => State::UntilClose,
        };
        Ok(())
    }

    fn add_to_body(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.room = self.room.checked_sub(bytes.len()).ok_or(self.too_large())?;
        self.response.body.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes held for the answer, parsed fields aside.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let block = match &self.state {
            State::Head(block) | State::Trailers(block) => block.capacity(),
            _ => 0,
        };
        block + self.response.body.capacity()
    }
}
