//! One call on the wire.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Response};

use super::frame::Decoder;
use super::{Call, Closed, Event, Kind, status};
use crate::abi::HeaderList;
use crate::callout::{Error, Part, Share};

/// How a call on the wire ends.
pub enum End {
    /// As the events say.
    Told,
    Closed(Closed),
    /// The upstream has not looked at it: it may go over another connection.
    Returned(String),
}

pub struct Wire {
    sender: SendStream<Bytes>,
    incoming: Incoming,
    sent_end: bool,
    decoder: Decoder,
    /// Of the body there is no more.
    body_ended: bool,
    /// The message of a [`Kind::Call`], until the upstream answers.
    sent: Option<Bytes>,
    /// The answer to it.
    answer: Option<Vec<u8>>,
    /// What all that was received and not passed on has of the plugin's share.
    part: Part,
}

enum Incoming {
    Head(ResponseFuture),
    Body(RecvStream),
}

impl Wire {
    pub fn new(sender: SendStream<Bytes>, head: ResponseFuture, share: &Rc<Share>) -> Self {
        Wire {
            sender,
            incoming: Incoming::Head(head),
            sent_end: false,
            decoder: Decoder::new(share.each),
            body_ended: false,
            sent: None,
            answer: None,
            part: Part::of(share),
        }
    }

    /// Tells the upstream that nobody is interested any more.
    pub fn reset(&mut self) {
        self.sender.send_reset(Reason::CANCEL);
    }

    /// Sends what may be sent, and takes what has come.
    pub fn advance(
        &mut self,
        cx: &mut Context,
        call: &mut Call,
        events: &mut VecDeque<Event>,
    ) -> Option<End> {
        self.send(cx, call);
        loop {
            match self.receive(cx, call, events) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => return Some(end),
                Poll::Pending => return None,
            }
        }
    }

    fn send(&mut self, cx: &mut Context, call: &Call) {
        let outbox = &call.outbox;
        while let Some(mut message) = outbox.next() {
            if call.kind == Kind::Call && self.sent.is_none() {
                self.sent = Some(message.clone());
            }
            self.sender.reserve_capacity(message.len());
            let mut room = self.sender.capacity();
            if room == 0 && self.sender.poll_capacity(cx).is_ready() {
                room = self.sender.capacity();
            }
            if room == 0 {
                outbox.put_back(message);
                return;
            }
            let piece = message.split_to(room.min(message.len()));
            if !message.is_empty() {
                outbox.put_back(message);
            }
            self.sent_end = outbox.is_ended() && outbox.is_empty();
            if self.sender.send_data(piece, self.sent_end).is_err() {
                // Whatever is the matter, the answer says so.
                return;
            }
        }
        if outbox.is_ended() && !self.sent_end {
            self.sent_end = true;
            let _ = self.sender.send_data(Bytes::new(), true);
        }
    }

    /// Errors: the end.
    fn receive(
        &mut self,
        cx: &mut Context,
        call: &mut Call,
        events: &mut VecDeque<Event>,
    ) -> Poll<Result<(), End>> {
        match &mut self.incoming {
            Incoming::Head(head) => {
                let Poll::Ready(head) = Pin::new(head).poll(cx) else {
                    return Poll::Pending;
                };
                Poll::Ready(match head {
                    Ok(response) => self.begin(response, call, events),
                    Err(error) => Err(self.failed(&error, call)),
                })
            }
            // The upstream waits while the guest has not heard the last yet.
            _ if !events.is_empty() => Poll::Pending,
            Incoming::Body(body) if !self.body_ended => {
                let Poll::Ready(data) = body.poll_data(cx) else {
                    return Poll::Pending;
                };
                Poll::Ready(match data {
                    Some(Ok(bytes)) => {
                        // It was received, so it can be released.
                        let _ = body.flow_control().release_capacity(bytes.len());
                        self.take(&bytes, call, events).map_err(End::Closed)
                    }
                    Some(Err(error)) => Err(self.failed(&error, call)),
                    None => {
                        self.body_ended = true;
                        Ok(())
                    }
                })
            }
            Incoming::Body(body) => {
                let Poll::Ready(trailers) = body.poll_trailers(cx) else {
                    return Poll::Pending;
                };
                Poll::Ready(Err(match trailers {
                    Ok(trailers) => self.finish(&trailers.unwrap_or_default(), None, call, events),
                    Err(error) => self.failed(&error, call),
                }))
            }
        }
    }

    fn begin(
        &mut self,
        response: Response<RecvStream>,
        call: &mut Call,
        events: &mut VecDeque<Event>,
    ) -> Result<(), End> {
        call.route.node_answered();
        self.sent = None;
        let (parts, body) = response.into_parts();
        let code = parts.status.as_u16();
        let fields = &parts.headers;
        let only_trailers = body.is_end_stream();
        let told = only_trailers && status::of_fields(fields).is_some();
        if code != 200 && !told {
            let why = format!("the upstream answered with HTTP status {code}");
            return Err(End::Closed(Closed::ours(status::of_http(code), why)));
        }
        let content_type = fields
            .get("content-type")
            .map_or(&b""[..], |it| it.as_bytes());
        if !told && !content_type.starts_with(b"application/grpc") {
            let content_type = content_type.escape_ascii();
            let why =
                format!("the upstream's answer is no gRPC: its content-type is \"{content_type}\"");
            return Err(End::Closed(Closed::ours(status::UNKNOWN, why)));
        }
        if only_trailers {
            if call.kind == Kind::Stream {
                events.push_back(Event::InitialMetadata(HeaderList::new()));
            }
            return Err(self.finish(fields, Some(code), call, events));
        }
        if call.kind == Kind::Stream {
            events.push_back(Event::InitialMetadata(list(fields, Some(code))));
        }
        self.incoming = Incoming::Body(body);
        Ok(())
    }

    fn take(
        &mut self,
        bytes: &[u8],
        call: &Call,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Closed> {
        let answer = &mut self.answer;
        let mut too_many = false;
        self.decoder.push(bytes, |message| match call.kind {
            Kind::Stream => events.push_back(Event::Message(message)),
            Kind::Call => too_many |= answer.replace(message).is_some(),
        })?;
        if too_many {
            let why = "the upstream answered with more than one message";
            return Err(Closed::ours(status::INTERNAL, why));
        }
        let answer = answer.as_ref().map_or(0, Vec::len);
        if !self.part.set(self.decoder.held() + answer) {
            let limit = self.part.share().all;
            let why = Error::NoShareLeft { limit }.to_string();
            return Err(Closed::ours(status::RESOURCE_EXHAUSTED, why));
        }
        Ok(())
    }

    /// The upstream has said everything.
    fn finish(
        &mut self,
        trailers: &HeaderMap,
        code: Option<u16>,
        call: &Call,
        events: &mut VecDeque<Event>,
    ) -> End {
        let Some((number, message)) = status::of_fields(trailers) else {
            let why = "the upstream's answer ended without a grpc-status";
            return End::Closed(Closed::ours(status::UNKNOWN, why));
        };
        if number == status::OK && self.decoder.is_unfinished() {
            let why = "the upstream's answer ended in the middle of a message";
            return End::Closed(Closed::ours(status::INTERNAL, why));
        }
        if call.kind == Kind::Call && number == status::OK {
            let Some(answer) = self.answer.take() else {
                let why = "the upstream's answer has no message";
                return End::Closed(Closed::ours(status::INTERNAL, why));
            };
            events.push_back(Event::Message(answer));
            return End::Told;
        }
        if call.kind == Kind::Stream {
            events.push_back(Event::TrailingMetadata(list(trailers, code)));
        }
        events.push_back(Event::Closed(Closed {
            status: number,
            message,
            ours: false,
        }));
        End::Told
    }

    fn failed(&mut self, error: &h2::Error, call: &Call) -> End {
        let reason = error.reason();
        let unseen = match reason {
            Some(Reason::REFUSED_STREAM) => error.is_reset() && error.is_remote(),
            Some(Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
            _ => false,
        };
        if unseen
            && let Some(message) = self.sent.take()
            && call.kind == Kind::Call
        {
            call.outbox.clear();
            call.outbox.put_back(message);
            return End::Returned(error.to_string());
        }
        let number = match reason {
            Some(reason) if error.is_reset() => status::of_reset(reason),
            _ => status::UNAVAILABLE,
        };
        End::Closed(Closed::ours(number, error.to_string()))
    }
}

fn list(fields: &HeaderMap, code: Option<u16>) -> HeaderList {
    let mut list = HeaderList::new();
    if let Some(code) = code {
        list.push(b":status", code.to_string().as_bytes());
    }
    for (name, value) in fields {
        list.push(name.as_str().as_bytes(), value.as_bytes());
    }
    list
}
