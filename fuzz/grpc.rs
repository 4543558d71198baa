//! What gRPC upstreams answer, down to the frames of HTTP/2, however it is cut
//! and whatever the guest and the clock do meanwhile; and the upstreams and
//! heads that guests give.
//!
//! In: a byte of flags, and steps (see `Steps::next`): mostly frames whose
//! lengths are right, since wrong ones end a connection at once. With the
//! highest flag, what a guest gives for an upstream and for a head.

use std::rc::Rc;
use std::time::{Duration, Instant};

use resty_proxy_wasm::abi::limits::Limits;
use resty_proxy_wasm::callout::grpc::{Call, Connection, Event, Head, Kind, Outbox, Service};
use resty_proxy_wasm::callout::{Scheme, Share, Upstreams};

use crate::engine::Target;

/// Header blocks of upstreams, not compressed: HPACK's own parser is not ours,
/// and steps may bring any bytes all the same.
const BLOCKS: [&[u8]; 8] = [
    b"\x88\x5f\x10application/grpc",
    b"\x00\x0bgrpc-status\x010",
    b"\x88\x5f\x10application/grpc\x00\x0bgrpc-status\x015\x00\x0cgrpc-message\x05no%20",
    b"\x08\x03100",
    b"\x08\x03503",
    b"\x88\x5f\x09text/html",
    b"\x00\x0bgrpc-status\x0214\x00\x0cgrpc-message\x07%ff%00%",
    b"\x88\x5f\x10application/grpc\x00\x05x-bin\x04\xff\x80=\t\x00\x05x-bin\x00",
];

/// Bytes in which the wire is cut; 0: not at all.
const CUTS: [usize; 8] = [0, 0, 1, 2, 9, 10, 17, 100];

/// A guest has no more of them, whatever the input says.
const MAX_CALLS: usize = 20;

/// Bytes that a connection may send beside what the guest sends: for itself, for
/// the head of each call, and for each byte that came.
const SENT: [usize; 3] = [1000, 500, 8];

pub const TARGET: Target = Target {
    name: "grpc",
    run,
    words: &[
        b"\x02\x00\x00\x00",
        b"\x02\x00\x01\x01",
        b"\x04\x00\x00\x05",
        b"\x0d\x00",
        b"\x0f",
        b"dns:///",
        b"\x0a",
        b"\x12",
    ],
    more_seeds: Vec::new,
};

fn run(data: &[u8]) {
    let Some((flags, rest)) = data.split_first() else {
        return;
    };
    if flags & 128 != 0 {
        return guest_gives(rest);
    }
    let mut upstream = Upstream::new(*flags);
    let mut steps = Steps(rest);
    while let Some(step) = steps.next() {
        upstream.take(step);
    }
    upstream.finish();
}

/// Parts with 255 between them: a serialized upstream, a service, a method, and
/// the names and values of metadata.
fn guest_gives(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 255);
    let mut part = || parts.next().unwrap_or_default();
    if let Some(service) = Service::parse(part()) {
        assert!(!service.target.is_empty());
    }
    let (service, method) = (part(), part());
    let metadata: Vec<_> = (0..4).map(|_| (part(), part())).collect();
    match Head::new(service, method, &metadata) {
        Ok(head) => {
            let request = head.request(true, "upstream", Some(u128::MAX));
            assert!(request.uri().path().starts_with('/'));
            for name in ["te", "content-type"] {
                assert_eq!(request.headers().get_all(name).iter().count(), 1);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

enum Step {
    /// The upstream says this.
    Wire(Vec<u8>),
    /// What it has said arrives.
    Flush,
    /// The guest's side, or the clock: what, and with which call.
    Deed(u8, usize),
}

struct Steps<'a>(&'a [u8]);

impl Steps<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }

    /// As many as the next byte says.
    fn counted(&mut self) -> Vec<u8> {
        let len = usize::from(self.byte());
        self.bytes(len)
    }

    /// One of those that calls have, or any.
    fn stream(&mut self) -> u32 {
        match self.byte() {
            byte @ 0..128 => 2 * u32::from(byte & 7) + 1,
            byte => u32::from(byte & 127),
        }
    }

    fn next(&mut self) -> Option<Step> {
        if self.0.is_empty() {
            return None;
        }
        Some(Step::Wire(match self.byte() % 16 {
            // SETTINGS, and their acknowledgement
            0 => {
                let count = usize::from(self.byte() % 4);
                frame(4, 0, 0, &self.bytes(6 * count))
            }
            1 => frame(4, 1, 0, b""),
            // HEADERS
            2 => {
                let (stream, which, end) = (self.stream(), self.byte(), self.byte());
                frame(
                    1,
                    4 | end & 1,
                    stream,
                    BLOCKS[usize::from(which) % BLOCKS.len()],
                )
            }
            3 => {
                let (stream, flags) = (self.stream(), self.byte());
                frame(1, flags, stream, &self.counted())
            }
            // DATA: a message of so many bytes, and whatever
            4 => {
                let (stream, end, len) = (self.stream(), self.byte(), self.byte());
                let message = [&[0, 0, 0, 0, len], &vec![len; usize::from(len)][..]].concat();
                frame(0, end & 1, stream, &message)
            }
            5 => {
                let (stream, flags) = (self.stream(), self.byte());
                frame(0, flags, stream, &self.counted())
            }
            // RST_STREAM, GOAWAY, PING, WINDOW_UPDATE
            6 => {
                let stream = self.stream();
                frame(3, 0, stream, &[0, 0, 0, self.byte() % 16])
            }
            7 => {
                let last = self.stream().to_be_bytes();
                frame(7, 0, 0, &[&last[..], &[0, 0, 0, self.byte() % 16]].concat())
            }
            8 => frame(6, self.byte() & 1, 0, b"12345678"),
            9 => {
                let stream = self.stream();
                let size = [self.byte(), self.byte(), 0, self.byte()];
                frame(8, 0, stream, &size)
            }
            // any frame, any bytes, CONTINUATION
            10 => {
                let (kind, flags, stream) = (self.byte(), self.byte(), self.stream());
                frame(kind, flags, stream, &self.counted())
            }
            11 => self.counted(),
            12 => {
                let (stream, flags) = (self.stream(), self.byte());
                frame(9, flags, stream, &self.counted())
            }
            13 | 14 => return Some(Step::Deed(self.byte(), usize::from(self.byte()))),
            _ => return Some(Step::Flush),
        }))
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    let head = [len[1], len[2], len[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// A call as its guest sees it.
struct Heard {
    kind: Kind,
    /// `None`: the guest is gone.
    outbox: Option<Rc<Outbox>>,
    cancelled: bool,
    initial: bool,
    trailing: bool,
    ended: bool,
}

impl Heard {
    fn is_wanted(&self) -> bool {
        self.outbox.is_some() && !self.cancelled
    }

    /// Everything in its order, and nothing after the end.
    fn hear(&mut self, event: &Event) {
        assert!(!self.ended, "{event:?} after the end");
        match event {
            Event::InitialMetadata(_) => {
                assert!(!self.initial && !self.trailing, "initial metadata too late");
                self.initial = true;
            }
            Event::Message(message) => {
                assert!(message.len() <= Limits::default().callout_response);
                assert!(
                    self.kind == Kind::Call || self.initial,
                    "no metadata before"
                );
                assert!(!self.trailing, "a message after the trailers");
                self.ended = self.kind == Kind::Call;
            }
            Event::TrailingMetadata(_) => {
                assert!(!self.trailing, "two trailers");
                self.trailing = true;
            }
            Event::Closed(closed) => {
                assert_eq!(self.kind == Kind::Stream, self.trailing, "{closed:?}");
                self.ended = true;
            }
        }
        assert!(
            self.kind == Kind::Stream || self.ended,
            "{event:?} of a call"
        );
    }
}

struct Upstream {
    connection: Connection<usize>,
    /// The owners are their indices.
    calls: Vec<Heard>,
    /// Said, and not arrived yet.
    said: Vec<u8>,
    cut: usize,
    received: usize,
    sent: usize,
    /// Bytes of the guest's messages.
    messages: usize,
    now: Instant,
}

impl Upstream {
    fn new(flags: u8) -> Self {
        let mut upstream = Upstream {
            connection: Connection::new("upstream".to_owned(), None),
            calls: Vec::new(),
            said: Vec::new(),
            cut: CUTS[usize::from(flags >> 3 & 7)],
            received: 0,
            sent: 0,
            messages: 0,
            now: Instant::now(),
        };
        upstream.call(flags & 1 != 0);
        if flags & 2 != 0 {
            upstream.call(true);
        }
        upstream.connection.open();
        if flags & 4 != 0 {
            upstream.said = frame(4, 0, 0, b"");
        }
        upstream
    }

    /// Another call of the guest, with a message.
    fn call(&mut self, is_stream: bool) {
        if self.calls.len() >= MAX_CALLS || !self.connection.has_room() {
            return;
        }
        let upstreams = Upstreams::read(&[], b"*").expect("upstreams");
        let route = upstreams.route(b"127.0.0.1:1", Scheme::Http, self.now);
        let (kind, deadline) = match is_stream {
            true => (Kind::Stream, None),
            false => (Kind::Call, Some(self.now + Duration::from_secs(10))),
        };
        let outbox = Rc::new(Outbox::default());
        outbox.send(b"message");
        self.messages += 7;
        if kind == Kind::Call {
            outbox.end();
        }
        let limits = Limits::default();
        let call = Call {
            kind,
            route: route.expect("a route"),
            head: Head::new(b"service", b"method", &[(b"x-one", b"1")]).expect("a head"),
            deadline,
            outbox: outbox.clone(),
            share: Share::new(limits.callout_response, limits.callout_bytes),
            returned: 0,
        };
        self.connection.take(self.calls.len(), call);
        self.calls.push(Heard {
            kind,
            outbox: Some(outbox),
            cancelled: false,
            initial: false,
            trailing: false,
            ended: false,
        });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Wire(bytes) => self.said.extend(bytes),
            Step::Flush => self.flush(),
            Step::Deed(deed, which) => {
                self.flush();
                self.deed(deed, which);
                self.settle();
            }
        }
    }

    /// What the upstream has said arrives.
    fn flush(&mut self) {
        let said = std::mem::take(&mut self.said);
        self.received += said.len();
        let cut = if self.cut == 0 { usize::MAX } else { self.cut };
        for piece in said.chunks(cut) {
            self.connection.receive(piece);
            self.settle();
        }
    }

    fn deed(&mut self, deed: u8, which: usize) {
        let count = self.calls.len().max(1);
        let heard = self.calls.get_mut(which % count);
        let outbox = heard.as_ref().and_then(|it| it.outbox.clone());
        match deed % 8 {
            0 => self.call(which & 1 != 0),
            1 => {
                let message = vec![0; which << 8];
                // A call has but one.
                if let (Some(outbox), Some(heard)) = (outbox, heard)
                    && heard.kind == Kind::Stream
                    && !outbox.is_ended()
                    && outbox.send(&message)
                {
                    self.messages += message.len();
                }
            }
            2 => drop(outbox.map(|it| it.end())),
            3 => {
                if let (Some(outbox), Some(heard)) = (outbox, heard) {
                    outbox.cancel();
                    heard.cancelled = true;
                }
            }
            // The guest is gone.
            4 => drop(heard.map(|it| it.outbox = None)),
            5 => {
                self.now += Duration::from_secs(which as u64);
                self.connection.expire(self.now);
            }
            6 => self
                .connection
                .close_calls("closed", |owner, _| *owner == which),
            _ => self.connection.end(),
        }
    }

    /// What a turn of the worker does: bytes go out, events to the guests.
    fn settle(&mut self) {
        self.sent += self.connection.output().len();
        while let Some((owner, event)) = self.connection.next_event() {
            let heard = &mut self.calls[owner];
            assert!(heard.is_wanted(), "an event for nobody: {event:?}");
            heard.hear(&event);
        }
        while let Some((owner, _)) = self.connection.next_returned() {
            let heard = &mut self.calls[owner];
            assert!(
                !heard.ended && !heard.initial,
                "it goes over another connection"
            );
            heard.ended = true;
        }
        self.sent += self.connection.output().len();
        // A head for each frame of a message.
        let messages = 2 * self.messages;
        let most = SENT[0] + SENT[1] * self.calls.len() + SENT[2] * self.received + messages;
        assert!(
            self.sent <= most,
            "{} bytes for {} that came",
            self.sent,
            self.received
        );
    }

    /// However it went: in the end everybody has heard so.
    fn finish(&mut self) {
        self.flush();
        self.connection.end();
        self.settle();
        for (index, heard) in self.calls.iter().enumerate() {
            assert!(heard.ended || !heard.is_wanted(), "call {index} never ends");
        }
        assert!(self.connection.is_over(), "the connection is not over");
    }
}
