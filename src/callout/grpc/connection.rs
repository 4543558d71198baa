//! A connection, and the calls that share it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong};

use super::pipe::Pipe;
use super::silence::{Silence, Verdict};
use super::stream::{End, Wire};
use super::{Call, Closed, Event, Kind, status};
use crate::abi::HeaderList;
use crate::abi::limits::{
    GRPC_WINDOW, MAX_GRPC_METADATA, MAX_GRPC_RETURNS, MAX_GRPC_ROUNDS, MAX_GRPC_STREAMS,
};
use crate::callout::Tls;

type Started = Result<(SendRequest<Bytes>, h2::client::Connection<Pipe, Bytes>), h2::Error>;

enum Http2 {
    /// There is no connection yet, or TLS shakes hands.
    Waiting,
    Starting(Pin<Box<dyn Future<Output = Started>>>),
    Open {
        sender: SendRequest<Bytes>,
        connection: Box<h2::client::Connection<Pipe, Bytes>>,
        ping: Option<PingPong>,
    },
    Over,
}

/// `T` says whose a call is.
pub struct Connection<T> {
    pipe: Pipe,
    tls: Option<Tls>,
    /// What stands for an authority that the guest did not give.
    upstream: String,
    is_tls: bool,
    http2: Http2,
    calls: Vec<Entry<T>>,
    returned: VecDeque<(T, Call)>,
    /// Where the look for the next event begins.
    turn: usize,
    /// The upstream takes no more calls, or the connection is over.
    closing: bool,
    /// Times that bytes came.
    received: u64,
    silence: Silence,
    /// There is a connection: TLS can shake hands.
    connected: bool,
    woken: Arc<Woken>,
}

struct Entry<T> {
    owner: T,
    call: Call,
    place: Place,
    events: VecDeque<Event>,
    /// What [`Connection::received`] was when it came.
    begun_at: u64,
}

impl<T> Entry<T> {
    fn is_over(&self) -> bool {
        matches!(self.place, Place::Over)
    }
}

enum Place {
    /// The upstream knows nothing of it.
    Waiting,
    Wire(Wire),
    /// There may be events yet.
    Over,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<T: Clone> Connection<T> {
    /// A connection that is not there yet, to an upstream of this name.
    pub fn new(upstream: String, tls: Option<Tls>) -> Self {
        Connection {
            pipe: Pipe::default(),
            is_tls: tls.is_some(),
            tls,
            upstream,
            http2: Http2::Waiting,
            calls: Vec::new(),
            returned: VecDeque::new(),
            turn: 0,
            closing: false,
            received: 0,
            silence: Silence::default(),
            connected: false,
            woken: Arc::default(),
        }
    }

    // -- calls -------------------------------------------------------------

    /// True while another call may be given to it.
    pub fn has_room(&self) -> bool {
        let most = match &self.http2 {
            Http2::Open { sender, .. } => sender.current_max_send_streams(),
            _ => MAX_GRPC_STREAMS,
        };
        !self.closing && self.calls.len() < most.min(MAX_GRPC_STREAMS)
    }

    pub fn take(&mut self, owner: T, call: Call) {
        self.calls.push(Entry {
            owner,
            call,
            place: Place::Waiting,
            events: VecDeque::new(),
            begun_at: self.received,
        });
    }

    /// True when no call is open, and every owner has heard how his ended.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The next call that is to go over another connection.
    pub fn next_returned(&mut self) -> Option<(T, Call)> {
        self.returned.pop_front()
    }

    /// True when it carries nothing any more, and nothing can be given to it.
    pub fn is_over(&self) -> bool {
        self.closing && self.calls.is_empty()
    }

    // -- bytes -------------------------------------------------------------

    /// The connection is there.
    pub fn open(&mut self) {
        self.connected = true;
        self.start();
        self.work();
    }

    /// Takes bytes that came.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.received += 1;
        match &mut self.tls {
            None => self.pipe.push(bytes),
            Some(tls) => {
                let pushed = tls.push_encrypted(bytes);
                self.pipe.push(&tls.read());
                if tls.ended() {
                    self.pipe.end();
                }
                if let Err(why) = pushed {
                    let why = format!("TLS: {why}");
                    return self.fail(&why);
                }
            }
        }
        self.start();
        self.work();
    }

    /// No more bytes come.
    pub fn end(&mut self) {
        self.pipe.end();
        self.work();
        self.fail("the upstream closed the connection");
    }

    /// The bytes to send, if there are any.
    pub fn output(&mut self) -> Vec<u8> {
        self.work();
        let bytes = self.pipe.pull();
        match &mut self.tls {
            None => bytes,
            Some(tls) => {
                if !bytes.is_empty() {
                    tls.write(&bytes);
                }
                tls.pull_encrypted()
            }
        }
    }

    /// The connection is no more, or never was; for this reason.
    pub fn fail(&mut self, why: &str) {
        self.closing = true;
        // Whatever was received is still heard of.
        let there = matches!(self.http2, Http2::Open { .. } | Http2::Over);
        self.http2 = Http2::Over;
        for index in 0..self.calls.len() {
            let entry = &mut self.calls[index];
            match &mut entry.place {
                Place::Over => {}
                // Not there: nobody is; another node may be.
                Place::Waiting if there || entry.call.route.next_node(Instant::now()) => {
                    self.give_back(index, why);
                }
                Place::Waiting | Place::Wire(_) => {
                    self.close(index, Closed::ours(status::UNAVAILABLE, why));
                }
            }
        }
        self.clear();
    }

    // -- what becomes of it ------------------------------------------------

    /// Whose the next event is.
    pub fn next_owner(&mut self) -> Option<&T> {
        let index = self.next_index()?;
        Some(&self.calls[index].owner)
    }

    /// What a call has come to.
    pub fn next_event(&mut self) -> Option<(T, Event)> {
        let index = self.next_index()?;
        let entry = &mut self.calls[index];
        let event = entry.events.pop_front()?;
        let owner = entry.owner.clone();
        self.turn = index + 1;
        self.clear();
        Some((owner, event))
    }

    fn next_index(&mut self) -> Option<usize> {
        if self.calls.iter().all(|entry| entry.events.is_empty()) {
            self.work();
        }
        let count = self.calls.len();
        let ready = |index: &usize| !self.calls[*index].events.is_empty();
        let first = self.turn.min(count);
        (first..count).chain(0..first).find(ready)
    }

    /// Ends calls whose time is over, those that nobody wants any more, and all
    /// when nobody seems to be there any more. Gives when the next one's time is
    /// over.
    pub fn expire(&mut self, now: Instant) -> Option<Instant> {
        for index in 0..self.calls.len() {
            let entry = &self.calls[index];
            let late = entry.call.deadline.is_some_and(|deadline| deadline <= now);
            if late && !entry.is_over() {
                // Nobody may be there any more: the next call finds out over
                // another connection. Others that wait with one that was not
                // sent yet have time left.
                let sent = matches!(entry.place, Place::Wire(_));
                let others = self.calls.iter().enumerate();
                let alone = others
                    .filter(|(other, _)| *other != index)
                    .all(|(_, other)| other.is_over());
                self.closing |= (sent || alone) && entry.begun_at == self.received;
                let closed = Closed::ours(status::DEADLINE_EXCEEDED, "deadline exceeded");
                self.close(index, closed);
            }
        }
        self.listen(now);
        self.work();
        let waiting = self.calls.iter();
        let waiting = waiting.filter(|entry| !entry.is_over());
        waiting.filter_map(|entry| entry.call.deadline).min()
    }

    /// Asks whether the upstream is there, where nothing is heard of it.
    fn listen(&mut self, now: Instant) {
        match &mut self.http2 {
            Http2::Open { ping, .. } => {
                let waits = |entry: &Entry<T>| !entry.is_over();
                let somebody_waits = self.calls.iter().any(waits);
                match self.silence.judge(now, self.received, somebody_waits) {
                    Verdict::Fine => {}
                    Verdict::Ask => {
                        if let Some(ping) = ping {
                            // An answer to an earlier one makes room for this; while there
                            // is none, that one still asks.
                            let _ = ping.poll_pong(&mut Context::from_waker(Waker::noop()));
                            let _ = ping.send_ping(Ping::opaque());
                        }
                    }
                    Verdict::Dead => self.fail("nothing is heard of the upstream any more"),
                }
            }
            Http2::Waiting
                if self.connected && self.silence.judge_handshake(now) == Verdict::Dead =>
            {
                self.fail("TLS: the upstream does not shake hands");
            }
            _ => {}
        }
    }

    /// Closes the calls that `choose` chooses.
    pub fn close_calls(&mut self, why: &str, choose: impl Fn(&T, Kind) -> bool) {
        for index in 0..self.calls.len() {
            let entry = &self.calls[index];
            if !entry.is_over() && choose(&entry.owner, entry.call.kind) {
                self.close(index, Closed::ours(status::UNAVAILABLE, why));
            }
        }
        self.work();
    }

    fn close(&mut self, index: usize, closed: Closed) {
        let entry = &mut self.calls[index];
        if let Place::Wire(wire) = &mut entry.place {
            wire.reset();
        }
        entry.place = Place::Over;
        if entry.call.kind == Kind::Stream {
            entry
                .events
                .push_back(Event::TrailingMetadata(HeaderList::new()));
        }
        entry.events.push_back(Event::Closed(closed));
    }

    /// The call goes over another connection.
    fn give_back(&mut self, index: usize, why: &str) {
        let entry = &mut self.calls[index];
        entry.call.returned += 1;
        if entry.call.returned > MAX_GRPC_RETURNS {
            return self.close(index, Closed::ours(status::UNAVAILABLE, why));
        }
        entry.place = Place::Over;
        let call = Call {
            kind: entry.call.kind,
            route: entry.call.route.clone(),
            head: entry.call.head.clone(),
            deadline: entry.call.deadline,
            outbox: entry.call.outbox.clone(),
            share: entry.call.share.clone(),
            returned: entry.call.returned,
        };
        self.returned.push_back((entry.owner.clone(), call));
    }

    /// Forgets what is over, and what nobody wants.
    fn clear(&mut self) {
        self.calls.retain_mut(|entry| {
            if entry.call.outbox.is_unwanted() {
                if let Place::Wire(wire) = &mut entry.place {
                    wire.reset();
                }
                return false;
            }
            !entry.is_over() || !entry.events.is_empty()
        });
    }

    // -- HTTP/2 ------------------------------------------------------------

    /// Begins to speak, once there is somebody to speak to.
    fn start(&mut self) {
        if !matches!(self.http2, Http2::Waiting)
            || self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
        {
            return;
        }
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(GRPC_WINDOW)
            .initial_connection_window_size(GRPC_WINDOW)
            .max_header_list_size(MAX_GRPC_METADATA);
        let pipe = self.pipe.clone();
        self.http2 = Http2::Starting(Box::pin(async move { builder.handshake(pipe).await }));
    }

    /// Lets all parts do what they can, until none has anything to do.
    fn work(&mut self) {
        for _ in 0..MAX_GRPC_ROUNDS {
            self.woken.0.store(false, Ordering::Relaxed);
            let waker = Waker::from(self.woken.clone());
            let mut cx = Context::from_waker(&waker);
            let over = self.poll_http2(&mut cx);
            self.clear();
            self.begin_calls(&mut cx);
            self.advance_calls(&mut cx);
            if let Some(why) = over {
                return self.fail(&why);
            }
            if !self.woken.0.load(Ordering::Relaxed) {
                break;
            }
        }
        self.clear();
    }

    /// Gives why the connection is over, if it is.
    fn poll_http2(&mut self, cx: &mut Context) -> Option<String> {
        if let Http2::Starting(future) = &mut self.http2 {
            let Poll::Ready(started) = future.as_mut().poll(cx) else {
                return None;
            };
            match started {
                Ok((sender, mut connection)) => {
                    let ping = connection.ping_pong();
                    self.http2 = Http2::Open {
                        sender,
                        connection: Box::new(connection),
                        ping,
                    };
                }
                Err(error) => return Some(error.to_string()),
            }
        }
        let Http2::Open { connection, .. } = &mut self.http2 else {
            return None;
        };
        match Pin::new(connection).poll(cx) {
            Poll::Pending => None,
            Poll::Ready(Ok(())) => Some("the upstream closed the connection".to_owned()),
            Poll::Ready(Err(error)) => Some(error.to_string()),
        }
    }

    fn begin_calls(&mut self, cx: &mut Context) {
        let Http2::Open { sender, .. } = &mut self.http2 else {
            return;
        };
        for index in 0..self.calls.len() {
            let entry = &mut self.calls[index];
            if !matches!(entry.place, Place::Waiting) {
                continue;
            }
            if self.closing {
                return self.give_back_waiting("it carries no more calls");
            }
            match sender.poll_ready(cx) {
                Poll::Pending => return,
                // It is going away: those on the wire go on.
                Poll::Ready(Err(error)) => {
                    self.closing = true;
                    return self.give_back_waiting(&error.to_string());
                }
                Poll::Ready(Ok(())) => {}
            }
            let left = entry.call.deadline;
            let left = left.map(|it| it.saturating_duration_since(Instant::now()).as_millis());
            let request = entry.call.head.request(self.is_tls, &self.upstream, left);
            match sender.send_request(request, false) {
                Ok((head, stream)) => {
                    entry.place = Place::Wire(Wire::new(stream, head, &entry.call.share))
                }
                Err(error) => {
                    self.closing = true;
                    return self.give_back_waiting(&error.to_string());
                }
            }
        }
    }

    fn give_back_waiting(&mut self, why: &str) {
        for index in 0..self.calls.len() {
            if matches!(self.calls[index].place, Place::Waiting) {
                self.give_back(index, why);
            }
        }
    }

    fn advance_calls(&mut self, cx: &mut Context) {
        for index in 0..self.calls.len() {
            let entry = &mut self.calls[index];
            let Place::Wire(wire) = &mut entry.place else {
                continue;
            };
            match wire.advance(cx, &mut entry.call, &mut entry.events) {
                None => {}
                Some(End::Told) => entry.place = Place::Over,
                Some(End::Closed(closed)) => self.close(index, closed),
                Some(End::Returned(why)) => {
                    // It wants no more calls, whatever it allows.
                    self.closing = true;
                    self.give_back(index, &why);
                }
            }
        }
    }
}
