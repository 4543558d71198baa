use std::time::{Duration, Instant};

use crate::abi::limits::NODE_REST_MS;
use crate::abi::pairs::Encoder;
use crate::callout::{NoRoute, Route, Scheme, TargetError, Upstreams};

fn map(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    pairs
        .iter()
        .for_each(|(key, value)| encoder.push(key, value));
    let mut out = Vec::new();
    encoder.write(&mut out);
    out
}

fn upstreams(fields: &[(&[u8], &[u8])], allowed: &[u8]) -> Upstreams {
    Upstreams::read(&map(&[(b"svc", &map(fields))]), allowed).unwrap()
}

fn shown(route: &Route) -> String {
    route.target().to_string()
}

#[test]
fn nodes_take_turns_and_those_that_fail_come_last() {
    let three = upstreams(
        &[(b"address", b"a"), (b"address", b"b"), (b"address", b"c")],
        b"",
    );
    let now = Instant::now();
    let first = |at| {
        let route = three.route(b"svc", Scheme::Http, at).unwrap();
        assert_eq!(route.nodes_left(), 2);
        shown(&route)
    };
    let mut seen: Vec<String> = (0..3).map(|_| first(now)).collect();
    let again: Vec<String> = (0..3).map(|_| first(now)).collect();
    assert_eq!(seen, again);
    seen.sort();
    assert_eq!(seen, ["http://a:80", "http://b:80", "http://c:80"]);

    let mut route = three.route(b"svc", Scheme::Http, now).unwrap();
    let failed = shown(&route);
    assert!(route.next_node(now));
    for _ in 0..6 {
        assert_ne!(first(now), failed);
    }
    let later = now + Duration::from_millis(NODE_REST_MS.into());
    let after: Vec<String> = (0..3).map(|_| first(later)).collect();
    assert!(after.contains(&failed), "it rests for a while only");
}

#[test]
fn a_node_that_answers_rests_no_more() {
    let two = upstreams(&[(b"address", b"a"), (b"address", b"b")], b"");
    let now = Instant::now();
    let mut route = two.route(b"svc", Scheme::Http, now).unwrap();
    assert!(route.next_node(now));
    assert!(!route.next_node(now), "none is left");
    route.node_answered();
    let good = shown(&route);
    for _ in 0..3 {
        assert_eq!(shown(&two.route(b"svc", Scheme::Http, now).unwrap()), good);
    }
}

#[test]
fn scheme_and_names() {
    let now = Instant::now();
    let check = |fields: &[(&[u8], &[u8])], scheme, expected: &str, name: &str, verify| {
        let upstreams = upstreams(fields, b"");
        let route = upstreams.route(b"svc", scheme, now).unwrap();
        assert_eq!(shown(&route), expected);
        assert_eq!(route.server_name(b"auth.example:8443"), name.as_bytes());
        assert_eq!(route.verify(), verify);
    };
    use Scheme::{Http, Https};
    let auth = "auth.example";
    check(&[(b"address", b"a")], Https, "https://a:443", auth, true);
    check(
        &[(b"address", b"http://a")],
        Https,
        "http://a:80",
        auth,
        true,
    );
    let tls: (&[u8], &[u8]) = (b"tls", b"true");
    check(
        &[(b"address", b"a"), tls],
        Http,
        "https://a:443",
        auth,
        true,
    );
    check(
        &[(b"address", b"http://a"), tls],
        Http,
        "https://a:80",
        auth,
        true,
    );
    let plain: (&[u8], &[u8]) = (b"tls", b"false");
    check(
        &[(b"address", b"a:1"), plain],
        Https,
        "http://a:1",
        auth,
        true,
    );
    let named: (&[u8], &[u8]) = (b"sni", b"b.example");
    let loose: (&[u8], &[u8]) = (b"verify", b"false");
    let fields = [(&b"address"[..], &b"a"[..]), tls, named, loose];
    check(&fields, Http, "https://a:443", "b.example", false);
}

#[test]
fn nothing_is_called_that_nobody_allows() {
    let route = |allowed: &[u8], name: &[u8]| {
        let upstreams = upstreams(&[(b"address", b"a")], allowed);
        let route = upstreams.route(name, Scheme::Http, Instant::now());
        route.map(|route| shown(&route))
    };
    assert_eq!(route(b"", b"svc").as_deref(), Ok("http://a:80"));
    for name in ["a", "a:80", "127.0.0.1", "unix:/a", "", " ", "\0"] {
        assert_eq!(
            route(b"", name.as_bytes()),
            Err(NoRoute::Denied),
            "{name:?}"
        );
    }
    assert_eq!(route(b"*", b"x:1").as_deref(), Ok("http://x:1"));
    assert_eq!(
        route(b"*", b"x:0"),
        Err(NoRoute::Address(TargetError::Port))
    );
    assert_eq!(route(b"x:1\ny", b"y:7").as_deref(), Ok("http://y:7"));
    assert_eq!(route(b"x:1\ny", b"x"), Err(NoRoute::Denied));
    // A name is no other name's beginning or end.
    for name in ["ab.test", "test", "a.test.b", "test.a"] {
        assert_eq!(route(b"*.b.test", name.as_bytes()), Err(NoRoute::Denied));
    }
    assert!(route(b"*.b.test", b"a.B.test.").is_ok());
}

#[test]
fn what_an_operator_got_wrong_is_named() {
    let wrong = |fields: &[(&[u8], &[u8])]| {
        Upstreams::read(&map(&[(b"svc", &map(fields))]), b"").unwrap_err()
    };
    assert_eq!(wrong(&[]), "upstream \"svc\": it has no address");
    let error = wrong(&[(b"address", b"a"), (b"address", b"b:x")]);
    assert!(error.starts_with("upstream \"svc\": "), "{error}");
    assert!(
        error.contains("\"b:x\": the upstream address's port"),
        "{error}"
    );
    assert!(Upstreams::read(b"\x01", b"").is_err());
    assert!(Upstreams::read(&map(&[(b"svc", b"\x01\0\0\0")]), b"").is_err());
    let error = Upstreams::read(b"", b"a b").unwrap_err();
    assert!(
        error.starts_with("option \"callouts\": \"a b\" is no pattern: it is host, host:port, "),
        "{error}"
    );
}
