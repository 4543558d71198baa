//! What a connection does when the other side says nothing, by a clock of the
//! test's own.

use std::time::{Duration, Instant};

use super::{Call, Closed, Connection, Event, Head, Kind, Outbox, status};
use crate::abi::limits::{GRPC_PING_AFTER_MS, GRPC_SILENCE_MS};
use crate::callout::{Scheme, Share, Tls, TlsConfig, TlsOptions, Upstreams};

const PING_AFTER: Duration = Duration::from_millis(GRPC_PING_AFTER_MS as u64);
const SILENCE: Duration = Duration::from_millis(GRPC_SILENCE_MS as u64);
const MOMENT: Duration = Duration::from_millis(1);

const PREFACE: usize = 24;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let head = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 0];
    [&head[..], payload].concat()
}

/// Kind, flags and payload of each of these frames.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = (u8, u8, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, kind, flags, _, _, _, _, rest @ ..] = bytes else {
            return None;
        };
        let len = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let (payload, rest) = rest.split_at(len);
        bytes = rest;
        Some((*kind, *flags, payload))
    })
}

/// The payloads of the pings that a connection has sent.
fn pings(bytes: &[u8]) -> Vec<Vec<u8>> {
    frames(bytes)
        .filter(|(kind, flags, _)| (*kind, *flags) == (PING, 0))
        .map(|(_, _, payload)| payload.to_vec())
        .collect()
}

/// True when a request is among these frames.
fn headers_in(bytes: &[u8]) -> bool {
    frames(bytes).any(|(kind, ..)| kind == HEADERS)
}

/// A stream, and what keeps it wanted.
fn stream() -> (Call, std::rc::Rc<Outbox>) {
    let upstreams = Upstreams::read(&[], b"*").unwrap();
    let route = upstreams.route(b"a:1", Scheme::Http, Instant::now());
    let outbox = std::rc::Rc::new(Outbox::default());
    let call = Call {
        kind: Kind::Stream,
        route: route.unwrap(),
        head: Head::new(b"service", b"method", &[]).unwrap(),
        deadline: None,
        outbox: outbox.clone(),
        share: Share::new(16 << 20, 64 << 20),
        returned: 0,
    };
    (call, outbox)
}

/// A connection that has begun to speak.
fn connected() -> Connection<u32> {
    let mut connection = Connection::new("a:1".to_owned(), None);
    connection.open();
    let begun = connection.output();
    assert!(pings(&begun[PREFACE..]).is_empty());
    connection.receive(&frame(SETTINGS, 0, &[]));
    connection.receive(&frame(SETTINGS, ACK, &[]));
    connection.output();
    connection
}

fn last_event(connection: &mut Connection<u32>) -> Option<Event> {
    std::iter::from_fn(|| connection.next_event())
        .last()
        .map(|(_, event)| event)
}

fn unavailable(why: &str) -> Option<Event> {
    Some(Event::Closed(Closed {
        status: status::UNAVAILABLE,
        message: why.as_bytes().to_vec(),
        ours: true,
    }))
}

#[test]
fn an_upstream_that_answers_pings_is_asked_again_and_again_and_one_that_does_not_is_dead() {
    let mut connection = connected();
    let (call, _outbox) = stream();
    connection.take(7, call);
    let mut now = Instant::now();
    connection.expire(now);
    for _ in 0..3 {
        connection.expire(now + PING_AFTER - MOMENT);
        assert!(pings(&connection.output()).is_empty());
        now += PING_AFTER;
        connection.expire(now);
        let asked = pings(&connection.output());
        assert_eq!(asked.len(), 1);
        connection.expire(now + SILENCE - MOMENT);
        assert!(pings(&connection.output()).is_empty(), "once");
        connection.receive(&frame(PING, ACK, &asked[0]));
        now += SILENCE;
        connection.expire(now);
        assert_eq!(last_event(&mut connection), None);
    }

    now += PING_AFTER;
    connection.expire(now);
    assert_eq!(pings(&connection.output()).len(), 1);
    connection.expire(now + SILENCE - MOMENT);
    assert_eq!(last_event(&mut connection), None);
    connection.expire(now + SILENCE);
    assert_eq!(
        last_event(&mut connection),
        unavailable("nothing is heard of the upstream any more")
    );
    assert!(!connection.has_room());
    assert!(connection.is_over());
}

#[test]
fn whatever_comes_shows_that_somebody_is_there() {
    let mut connection = connected();
    let (call, _outbox) = stream();
    connection.take(7, call);
    let mut now = Instant::now();
    connection.expire(now);
    for _ in 0..5 {
        now += PING_AFTER - MOMENT;
        connection.receive(&frame(PING, 0, &[0; 8]));
        connection.expire(now);
        assert!(pings(&connection.output()).is_empty());
    }
    // An upstream that speaks, but does not answer.
    for _ in 0..3 {
        now += PING_AFTER;
        connection.expire(now);
        connection.output();
        now += SILENCE - MOMENT;
        connection.receive(&frame(PING, 0, &[0; 8]));
        connection.expire(now);
        assert_eq!(last_event(&mut connection), None);
    }
}

#[test]
fn without_calls_nobody_is_asked_and_silence_means_nothing() {
    let mut connection = connected();
    let mut now = Instant::now();
    for _ in 0..10 {
        connection.expire(now);
        assert!(pings(&connection.output()).is_empty());
        now += PING_AFTER * 2;
    }
    assert!(connection.has_room());
    // Nor is a call punished for a silence before it.
    let (call, _outbox) = stream();
    connection.take(7, call);
    connection.expire(now - PING_AFTER - MOMENT);
    assert!(pings(&connection.output()).is_empty());
    assert_eq!(last_event(&mut connection), None);
}

#[test]
fn an_upstream_that_does_not_shake_hands_is_given_up() {
    let config = TlsConfig::new(TlsOptions {
        alpn: &[b"h2"],
        unverified: true,
        ..TlsOptions::default()
    });
    let tls = Tls::new(&config.unwrap(), b"a.example").unwrap();
    let mut connection = Connection::new("a:1".to_owned(), Some(tls));
    let (call, _outbox) = stream();
    connection.take(7, call);
    let now = Instant::now();
    // There is no connection yet: that has a time of its own.
    connection.expire(now);
    connection.expire(now + SILENCE * 2);
    assert_eq!(last_event(&mut connection), None);

    connection.open();
    assert!(!connection.output().is_empty());
    let now = now + SILENCE * 2;
    connection.expire(now);
    connection.expire(now + SILENCE - MOMENT);
    assert_eq!(last_event(&mut connection), None);
    connection.expire(now + SILENCE);
    assert_eq!(
        last_event(&mut connection),
        unavailable("TLS: the upstream does not shake hands")
    );
}

#[test]
fn a_call_that_is_late_before_the_connection_is_there_holds_up_no_other() {
    let mut connection = Connection::new("a:1".to_owned(), None);
    let (call, _first) = stream();
    let now = Instant::now();
    let deadline = Some(now + MOMENT);
    connection.take(1, Call { deadline, ..call });
    let (call, _second) = stream();
    connection.take(2, call);
    connection.expire(now + MOMENT * 2);
    assert_eq!(connection.next_event().map(|(owner, _)| owner), Some(1));

    connection.open();
    connection.receive(&frame(SETTINGS, 0, &[]));
    let sent = connection.output();
    assert!(headers_in(&sent[PREFACE..]), "the second is sent");
}

#[test]
fn what_waits_on_a_connection_that_closes_goes_to_another_one() {
    let mut connection = connected();
    let (call, _first) = stream();
    let now = Instant::now();
    let deadline = Some(now + MOMENT);
    connection.take(1, Call { deadline, ..call });
    connection.output();
    let (call, _second) = stream();
    // It came behind the first, which nobody answers.
    connection.expire(now + MOMENT * 2);
    connection.take(2, call);
    connection.output();
    let returned = connection.next_returned();
    assert_eq!(returned.map(|(owner, _)| owner), Some(2));
}
