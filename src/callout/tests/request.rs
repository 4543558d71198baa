use crate::abi::Status;
use crate::callout::{Http1, Request, Scheme, Share};

type Text = (&'static str, &'static str);

const GOOD: [Text; 3] = [(":method", "GET"), (":path", "/"), (":authority", "h")];

fn good_and(more: &[Text]) -> Vec<Text> {
    GOOD.iter().chain(more).copied().collect()
}

/// `GOOD` with the value of one name changed.
fn good_but(name: &str, value: &'static str) -> Vec<Text> {
    GOOD.map(|(n, v)| if n == name { (n, value) } else { (n, v) })
        .to_vec()
}

/// What is sent for the pairs and the body.
fn check(pairs: &[Text], body: &str, sent: &str) {
    let request = Request::from_pairs(pairs, body, &[]).expect(sent);
    let exchange = Http1::new(request, &Share::new(0, 0));
    assert_eq!(String::from_utf8_lossy(exchange.output()), sent);
}

fn check_bad(pairs: &[Text]) {
    let request = Request::from_pairs(pairs, "", &[]);
    assert_eq!(request, Err(Status::BadArgument), "{pairs:?}");
}

#[test]
fn sent() {
    check(&GOOD, "", "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    // Order and spelling are the guest's, pseudo headers stand anywhere.
    check(
        &[
            ("X-B", "1"),
            (":authority", "h:8080"),
            ("x-a", " two words\t\u{e9} "),
            (":path", "/a|b{}?c=\"d\"&e=\u{e9}"),
            ("X-B", ""),
            (":scheme", "https"),
            (":method", "PURGE"),
        ],
        "",
        "PURGE /a|b{}?c=\"d\"&e=\u{e9} HTTP/1.1\r\nHost: h:8080\r\nX-B: 1\r\n\
         x-a:  two words\t\u{e9} \r\nX-B: \r\n\r\n",
    );
    check(
        &good_but(":path", "*"),
        "",
        "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    // What belongs to the connection is ours.
    check(
        &good_and(&[
            ("Connection", "close, x-a"),
            ("keep-alive", "timeout=5"),
            ("Proxy-Connection", "close"),
            ("TE", "trailers"),
            ("transfer-encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("content-Length", "99"),
            ("host", "evil"),
            ("x-a", "kept"),
        ]),
        "",
        "GET / HTTP/1.1\r\nHost: h\r\nx-a: kept\r\n\r\n",
    );
}

#[test]
fn content_length() {
    for (method, body, length) in [
        ("GET", "", None),
        ("HEAD", "", None),
        ("DELETE", "", None),
        ("post", "", None),
        ("POST", "", Some(0)),
        ("PUT", "", Some(0)),
        ("PATCH", "", Some(0)),
        ("POST", "12345", Some(5)),
        ("GET", "12345", Some(5)),
        ("DELETE", "\r\n\r\n", Some(4)),
    ] {
        let line = length.map_or(String::new(), |length| {
            format!("Content-Length: {length}\r\n")
        });
        let sent = format!("{method} / HTTP/1.1\r\nHost: h\r\n{line}\r\n{body}");
        check(&good_but(":method", method), body, &sent);
    }
}

#[test]
fn bad_arguments() {
    check_bad(&[]);
    for (name, _) in GOOD {
        let without: Vec<Text> = GOOD.iter().filter(|pair| pair.0 != name).copied().collect();
        check_bad(&without);
        check_bad(&good_but(name, ""));
        check_bad(&good_and(&[(name, "twice")]));
        for bad in [
            "a b",
            "a\r\nb: c",
            "a\n",
            "\ra",
            "a\0",
            "a\tb",
            "a\u{7f}",
            " ",
        ] {
            check_bad(&good_but(name, bad));
        }
    }
    for method in ["CONNECT", "G(T", "GET:", "G\u{c9}T"] {
        check_bad(&good_but(":method", method));
    }
    for (name, value) in [
        (":scheme", "ftp"),
        (":scheme", ""),
        (":scheme", "http\r\n"),
        (":status", "200"),
        (":protocol", "websocket"),
        (":Method", "GET"),
        (":", ""),
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("a\r\nb", "x"),
        ("\u{e4}", "x"),
        ("x", "a\r\nb: c"),
        ("x", "\r"),
        ("x", "\n"),
        ("x", "a\0"),
    ] {
        check_bad(&good_and(&[(name, value)]));
    }
}

#[test]
fn scheme() {
    let of = |more: &[Text]| {
        Request::from_pairs(&good_and(more), "", &[])
            .unwrap()
            .scheme()
    };
    assert_eq!(of(&[]), Scheme::Http);
    assert_eq!(of(&[(":scheme", "http")]), Scheme::Http);
    assert_eq!(of(&[(":scheme", "HTTPS")]), Scheme::Https);
}

#[test]
fn trailers() {
    let of = |name, value| Request::from_pairs(&GOOD, "", &[(name, value)]);
    let sent = |request: Request| {
        let exchange = Http1::new(request, &Share::new(0, 0));
        String::from_utf8_lossy(exchange.output()).into_owned()
    };
    // They are not sent, and counted all the same.
    let good = of("x", "1").unwrap();
    assert_eq!(good.content_size(), 2);
    assert_eq!(sent(good), "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(of("Content-Length", "1").unwrap().content_size(), 0);
    for (name, value) in [(":path", "/"), ("", ""), ("a b", ""), ("x", "\r\n")] {
        assert_eq!(of(name, value), Err(Status::BadArgument), "{name}");
    }
}

#[test]
fn what_is_known_of_a_request() {
    let of = |method, more: &[Text], body| {
        let mut pairs = good_but(":method", method);
        pairs.extend(more);
        Request::from_pairs(&pairs, body, &[]).unwrap()
    };
    for (method, repeatable) in [
        ("GET", true),
        ("HEAD", true),
        ("PUT", true),
        ("DELETE", true),
        ("POST", false),
        ("PATCH", false),
        ("get", false),
    ] {
        assert_eq!(of(method, &[], "").repeatable(), repeatable, "{method}");
    }
    assert_eq!(of("GET", &[], "").authority(), b"h");
    assert_eq!(
        of("GET", &[("host", "h"), ("ab", "c"), ("d", "")], "body").content_size(),
        8
    );
}
