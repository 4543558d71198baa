//! Answers, whole and in pieces.

use crate::abi::HeaderList;
use crate::abi::limits::{MAX_HEAD, MAX_HEADERS};
use crate::callout::{Error, Http1, Progress, Request, Response, Share};

/// How one exchange ended.
pub(super) type Outcome = Result<(bool, Response), Error>;

pub(super) fn start(method: &str, max_response: usize) -> Http1 {
    let pairs = [(":method", method), (":path", "/"), (":authority", "h")];
    let share = Share::new(max_response, usize::MAX);
    Http1::new(Request::from_pairs(&pairs, "", &[]).unwrap(), &share)
}

/// Feeds pieces, and where they are not enough, the end of the stream.
pub(super) fn feed<'a>(mut http: Http1, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut progress = http.receive(b"")?;
    for piece in pieces {
        progress = http.receive(piece)?;
    }
    if progress == Progress::NeedMore {
        progress = http.end_of_stream()?;
    }
    match progress {
        Progress::Done { reusable } => Ok((reusable, http.into_response())),
        Progress::NeedMore => unreachable!("after the end of the stream"),
    }
}

/// In pieces of 1, 7, 1000 bytes and at once: the outcome is the same.
fn outcome(method: &str, limit: usize, answer: &[u8]) -> Outcome {
    let outcomes =
        [1, 7, 1000, usize::MAX].map(|size| feed(start(method, limit), answer.chunks(size)));
    for other in &outcomes[1..] {
        assert_eq!(&outcomes[0], other, "{}", String::from_utf8_lossy(answer));
    }
    outcomes.into_iter().next().unwrap()
}

fn text(list: &HeaderList) -> String {
    let line = |(name, value): (&[u8], &[u8])| {
        format!(
            "{}={}",
            String::from_utf8_lossy(name),
            String::from_utf8_lossy(value)
        )
    };
    list.iter().map(line).collect::<Vec<_>>().join("|")
}

const REUSE: bool = true;
const CLOSE: bool = false;

/// `expected`: reusable, headers, body, trailers.
fn check_method(method: &str, answer: &str, expected: (bool, &str, &str, &str)) {
    let (reusable, response) = outcome(method, 1 << 20, answer.as_bytes()).expect(answer);
    let body = String::from_utf8_lossy(&response.body);
    let got = (
        reusable,
        &*text(&response.headers),
        &*body,
        &*text(&response.trailers),
    );
    assert_eq!(got, expected, "{answer}");
}

/// The answer to a GET, its headers not looked at.
fn check(answer: &str, reusable: bool, body: &str, trailers: &str) {
    let (got, response) = outcome("GET", 1 << 20, answer.as_bytes()).expect(answer);
    assert_eq!(got, reusable, "{answer}");
    assert_eq!(String::from_utf8_lossy(&response.body), body, "{answer}");
    assert_eq!(text(&response.trailers), trailers, "{answer}");
}

fn check_error(answer: &str, error: Error) {
    assert_eq!(
        outcome("GET", 1 << 20, answer.as_bytes()),
        Err(error),
        "{answer}"
    );
    assert!(error.to_string().starts_with("the upstream"));
}

/// A chunked body behind a good head.
fn chunked(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

fn with(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}")
}

#[test]
fn heads() {
    // Names in lower case, values of one name in order, bytes as they came.
    check_method(
        "GET",
        &with(
            "Set-Cookie: a\r\nX-Y:  \u{e9} z \r\nset-cookie: b\r\nE:\r\nContent-Length: 0\r\n",
            "",
        ),
        (
            REUSE,
            ":status=200|set-cookie=a|x-y=\u{e9} z|set-cookie=b|e=|content-length=0",
            "",
            "",
        ),
    );
    let head = |line: &str| format!("{line}\r\nContent-Length: 0\r\n\r\n");
    for (line, status) in [
        ("HTTP/1.1 404 Not Found", 404),
        ("HTTP/1.1 200", 200),
        ("HTTP/1.1 200 ", 200),
        ("HTTP/1.1 999 Request denied", 999),
        ("HTTP/1.1 500 d\u{e9}sol\u{e9}", 500),
    ] {
        let headers = format!(":status={status}|content-length=0");
        check_method("GET", &head(line), (REUSE, &headers, "", ""));
    }
    // Lines that end in LF alone.
    check("HTTP/1.1 200 OK\nContent-Length: 2\n\nab", REUSE, "ab", "");
}

#[test]
fn bodies() {
    check(&with("Content-Length: 5\r\n", "hello"), REUSE, "hello", "");
    check(&with("Content-Length: 0\r\n", ""), REUSE, "", "");
    check(
        &with("Content-Length: 0005\r\n", "hello"),
        REUSE,
        "hello",
        "",
    );
    check(
        &with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        REUSE,
        "hello",
        "",
    );
    check(
        &with("Content-Length: 5, 5\r\n", "hello"),
        REUSE,
        "hello",
        "",
    );
    check(&with("", "until the end"), CLOSE, "until the end", "");
    check(&with("", ""), CLOSE, "", "");
    let long = "x".repeat(100_000);
    check(&with("Content-Length: 100000\r\n", &long), REUSE, &long, "");
    check(&with("", &long), CLOSE, &long, "");
}

#[test]
fn chunked_bodies() {
    check(&chunked("0\r\n\r\n"), REUSE, "", "");
    check(
        &chunked("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"),
        REUSE,
        "hello!",
        "",
    );
    check(
        &chunked("00A\r\n0123456789\r\n000\r\n\r\n"),
        REUSE,
        "0123456789",
        "",
    );
    check(&chunked("2\r\n\r\n\r\n0\r\n\r\n"), REUSE, "\r\n", "");
    check(
        &chunked("1;a\r\nx\r\n1 ; b=\"c d\";e\r\ny\r\n1 \t\r\nz\r\n0;f\r\n\r\n"),
        REUSE,
        "xyz",
        "",
    );
    let extension = "e".repeat(1000);
    check(
        &chunked(&format!("1;{extension}\r\nx\r\n0\r\n\r\n")),
        REUSE,
        "x",
        "",
    );
    let long = "y".repeat(100_000);
    check(
        &chunked(&format!("186a0\r\n{long}\r\n0\r\n\r\n")),
        REUSE,
        &long,
        "",
    );
    let many = "1\r\nz\r\n".repeat(5000) + "0\r\n\r\n";
    check(&chunked(&many), REUSE, &"z".repeat(5000), "");
    // The coding's name is written as people like; 1.0 with it is not trusted.
    check(
        &with("transfer-encoding:CHUNKED\r\n", "1\r\nx\r\n0\r\n\r\n"),
        REUSE,
        "x",
        "",
    );
    let old = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(&format!("{old}1\r\nx\r\n0\r\n\r\n"), CLOSE, "x", "");
}

#[test]
fn trailers() {
    check(&chunked("1\r\nx\r\n0\r\nA: 1\r\n\r\n"), REUSE, "x", "a=1");
    check(
        &chunked("0\r\nGrpc-Status: 0\r\nx: 1\r\ngrpc-message:\r\nX: 2\r\n\r\n"),
        REUSE,
        "",
        "grpc-status=0|x=1|grpc-message=|x=2",
    );
    // They stay trailers, whatever they are called.
    check(
        &chunked("0\r\nContent-Length: 9\r\n\r\n"),
        REUSE,
        "",
        "content-length=9",
    );
    let long = "v".repeat(60_000);
    check(
        &chunked(&format!("0\r\nx: {long}\r\n\r\n")),
        REUSE,
        "",
        &format!("x={long}"),
    );

    // They have a limit of their own, besides that of the head.
    let coding = "Transfer-Encoding: chunked\r\n";
    let answer = with(
        &format!("{coding}h: {long}\r\n"),
        &format!("0\r\nx: {long}\r\n\r\n"),
    );
    check(&answer, REUSE, "", &format!("x={long}"));

    check_error(&chunked("0\r\nno colon\r\n\r\n"), Error::BadTrailers);
    check_error(&chunked("0\r\na b: 1\r\n\r\n"), Error::BadTrailers);
    check_error(&chunked("0\r\n: 1\r\n\r\n"), Error::BadTrailers);
    check_error(&chunked("0\r\na: \0\r\n\r\n"), Error::BadTrailers);
    check_error(&chunked("0\r\n\r\r\n"), Error::BadTrailers);
    check_error(&chunked("0\r\na: 1\r\n"), Error::Truncated);
    let many: String = (0..=MAX_HEADERS).map(|n| format!("h{n}: v\r\n")).collect();
    check_error(&chunked(&format!("0\r\n{many}\r\n")), Error::TooManyHeaders);
    let long = "v".repeat(MAX_HEAD);
    check_error(
        &chunked(&format!("0\r\nx: {long}\r\n\r\n")),
        Error::HeadTooLarge,
    );
}

#[test]
fn answers_without_a_body() {
    for (method, head, reusable) in [
        ("HEAD", "200 OK\r\nContent-Length: 5", REUSE),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked", REUSE),
        ("HEAD", "200 OK\r\nX: y", REUSE),
        ("HEAD", "200 OK\r\nConnection: close", CLOSE),
        ("GET", "304 Not Modified\r\nContent-Length: 5", REUSE),
        ("GET", "304 Not Modified\r\nX: y", REUSE),
        ("GET", "204 No Content\r\nX: y", REUSE),
        ("GET", "204 No Content\r\nContent-Length: 0", REUSE),
        // They might send what they announce, against the rules.
        ("GET", "204 No Content\r\nContent-Length: 5", CLOSE),
        ("GET", "204 No Content\r\nTransfer-Encoding: chunked", CLOSE),
    ] {
        let answer = format!("HTTP/1.1 {head}\r\n\r\n");
        let (got, response) = outcome(method, 1 << 20, answer.as_bytes()).expect(head);
        assert_eq!((got, &*response.body), (reusable, &b""[..]), "{head}");
        // A body that comes nevertheless is nobody's.
        let answer = answer + "hello";
        let (got, response) = outcome(method, 1 << 20, answer.as_bytes()).expect(head);
        assert_eq!((got, &*response.body), (CLOSE, &b""[..]), "{head}");
    }
    // An announced length does not count against the limit where nothing comes.
    let large = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
    assert!(outcome("HEAD", 1000, large).is_ok());
}

#[test]
fn interim_answers() {
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
    let done = (REUSE, ":status=200|content-length=2", "ab", "");
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nDate: now\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Hint: no\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    ] {
        check_method("GET", &format!("{interim}{last}"), done);
        check_error(interim, Error::Truncated);
    }
    let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n";
    check_error(switched, Error::SwitchedProtocols);
    // Without end they are one endless head.
    let endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_HEAD / 25 + 1);
    check_error(&endless, Error::HeadTooLarge);
}

#[test]
fn reuse() {
    let body = "Content-Length: 2\r\n";
    for (version, field, reusable) in [
        ("1.1", "", REUSE),
        ("1.1", "Connection: keep-alive\r\n", REUSE),
        ("1.1", "Connection: closed\r\n", REUSE),
        ("1.1", "Connection: close\r\n", CLOSE),
        ("1.1", "connection: CLOSE\r\n", CLOSE),
        ("1.1", "Connection: x-a , close\r\n", CLOSE),
        ("1.1", "Connection: x-a\r\nConnection: close\r\n", CLOSE),
        ("1.0", "", CLOSE),
        ("1.0", "Connection: keep-alive\r\n", CLOSE),
    ] {
        check(
            &format!("HTTP/{version} 200 OK\r\n{field}{body}\r\nab"),
            reusable,
            "ab",
            "",
        );
    }
    // Bytes behind the answer.
    check(&with(body, "abc"), CLOSE, "ab", "");
    check(&with(body, "abHTTP/1.1 200 OK\r\n\r\n"), CLOSE, "ab", "");
    check(&chunked("1\r\nx\r\n0\r\n\r\n\r\n"), CLOSE, "x", "");
    check(&with("Content-Length: 0\r\n", "x"), CLOSE, "", "");
}

#[test]
fn framing_that_could_be_read_two_ways() {
    check_error(
        &with("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"),
        Error::BadContentLength,
    );
    for length in [
        "5, 6",
        "+5",
        "-5",
        "0x5",
        "5 5",
        "5;",
        "",
        ",",
        "5,",
        "99999999999999999999",
    ] {
        check_error(
            &with(&format!("Content-Length: {length}\r\n"), "hello"),
            Error::BadContentLength,
        );
    }
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    check_error(&with(both, "0\r\n\r\n"), Error::LengthAndCoding);
    for coding in [
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "identity",
        "x",
        "",
    ] {
        let field = format!("Transfer-Encoding: {coding}\r\n");
        check_error(&with(&field, "0\r\n\r\n"), Error::UnsupportedCoding);
        let both = format!("{field}Content-Length: 5\r\n");
        check_error(&with(&both, "hello"), Error::UnsupportedCoding);
    }
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    check_error(&with(twice, "0\r\n\r\n"), Error::UnsupportedCoding);
}

#[test]
fn bad_chunks() {
    let endless_line = format!("1;{}", "e".repeat(2000));
    let zeros = format!("{}1\r\nx\r\n0\r\n\r\n", "0".repeat(2000));
    for body in [
        "x\r\n",
        "\r\n",
        ";a\r\n",
        " 5\r\nhello\r\n",
        "+5\r\nhello\r\n",
        "-5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "5 5\r\nhello\r\n",
        "5\nhello\r\n",
        "5\rhello\r\n",
        "5;a\nb\r\nhello\r\n",
        "5;a\rb\r\nhello\r\n",
        "5;\0\r\nhello\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "10000000000000000\r\n",
        "\u{ff11}\r\nx\r\n0\r\n\r\n",
        &endless_line,
        &zeros,
    ] {
        check_error(&chunked(body), Error::BadChunk);
    }
}

#[test]
fn truncated() {
    check_error("", Error::NoAnswer);
    for answer in [
        with("Content-Length: 5\r\n", "hello"),
        chunked("5;a\r\nhello\r\n1\r\n!\r\n0\r\nA: 1\r\n\r\n"),
    ] {
        for end in 1..answer.len() {
            check_error(&answer[..end], Error::Truncated);
        }
    }
}

#[test]
fn garbage() {
    for answer in [
        "\0",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/0.9",
        "http/1.1 200 OK\r\n\r\n",
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}P",
        "<html>hello</html>",
    ] {
        check_error(answer, Error::NotHttp);
    }
    for head in [
        "HTTP/1.2 200 OK",
        "HTTP/1.1",
        "HTTP/1.1 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1200 OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 OK\r\nno colon",
        "HTTP/1.1 200 OK\r\na b: c",
        "HTTP/1.1 200 OK\r\na : c",
        "HTTP/1.1 200 OK\r\n: c",
        "HTTP/1.1 200 OK\r\n a: folded",
        "HTTP/1.1 200 OK\r\na: b\r\n folded",
        "HTTP/1.1 200 OK\r\na: b\0",
        "HTTP/1.1 200 OK\r\na: b\rc",
        "HTTP/1.1 200 OK\r\n\u{e9}: b",
        "HTTP/1.1 200 OK\r\n\r",
    ] {
        check_error(&format!("{head}\r\n\r\n"), Error::BadHead);
    }
}

#[test]
fn limits_of_the_head() {
    let most: String = (1..MAX_HEADERS).map(|n| format!("h{n}: v\r\n")).collect();
    let (_, response) = outcome("GET", 1 << 20, with(&most, "").as_bytes()).unwrap();
    assert_eq!(response.headers.len(), MAX_HEADERS);
    let most = format!("{most}x: 1\r\nContent-Length: 0\r\n");
    check_error(&with(&most, ""), Error::TooManyHeaders);

    let filled = |length: usize| {
        let empty = with("Content-Length: 0\r\nx: \r\n", "").len();
        with(
            &format!("Content-Length: 0\r\nx: {}\r\n", "v".repeat(length - empty)),
            "",
        )
    };
    assert_eq!(filled(MAX_HEAD).len(), MAX_HEAD);
    check(&filled(MAX_HEAD), REUSE, "", "");
    check_error(&filled(MAX_HEAD + 1), Error::HeadTooLarge);
    check_error(
        &format!("HTTP/1.1 200 {}", "x".repeat(MAX_HEAD)),
        Error::HeadTooLarge,
    );
}

#[test]
fn limits_of_the_answer() {
    let check = |answer: &str, least: usize| {
        let of = |limit| outcome("GET", limit, answer.as_bytes());
        assert!(of(least).is_ok(), "{answer}");
        for limit in [least - 1, least / 2, 1, 0] {
            assert_eq!(of(limit), Err(Error::TooLarge { limit }), "{answer}");
        }
    };
    // Everything counts but the chunked coding itself.
    let answer = with("Content-Length: 5\r\n", "hello");
    check(&answer, answer.len());
    let answer = with("", "hello");
    check(&answer, answer.len());
    let answer = format!("HTTP/1.1 100 Continue\r\n\r\n{answer}");
    check(&answer, answer.len());
    let answer = chunked("3\r\nhel\r\n2\r\nlo\r\n0\r\nA: 1\r\n\r\n");
    check(
        &answer,
        chunked("").len() + "hello".len() + "A: 1\r\n\r\n".len(),
    );

    // Chunks that each fit, but not together.
    let answer = chunked(&"3\r\nabc\r\n".repeat(5));
    let limit = chunked("").len() + 4;
    let got = outcome("GET", limit, answer.as_bytes());
    assert_eq!(got, Err(Error::TooLarge { limit }));

    // What is too large is refused when it is announced.
    for (head, body) in [
        ("Content-Length: 18446744073709551615\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\n"),
    ] {
        let mut http = start("GET", 1000);
        let error = Error::TooLarge { limit: 1000 };
        assert_eq!(http.receive(with(head, body).as_bytes()), Err(error));
        assert_eq!(
            error.to_string(),
            "the upstream's answer is longer than 1000 bytes (option max_callout_response)"
        );
    }
}

#[test]
fn a_large_body_byte_by_byte() {
    let body: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let mut answer = chunked("").into_bytes();
    for chunk in body.chunks(999) {
        answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
        answer.extend(chunk);
        answer.extend(b"\r\n");
    }
    answer.extend(b"0\r\n\r\n");
    let (reusable, response) = feed(start("GET", 2 << 20), answer.chunks(1)).unwrap();
    assert!(reusable && response.body == body);
}

#[test]
fn calls_after_the_end() {
    let answer = with("Content-Length: 2\r\n", "ab");
    let mut http = start("GET", 1000);
    assert_eq!(http.receive(b""), Ok(Progress::NeedMore));
    assert_eq!(
        http.receive(answer.as_bytes()),
        Ok(Progress::Done { reusable: true })
    );
    assert_eq!(http.receive(b""), Ok(Progress::Done { reusable: true }));
    assert_eq!(http.end_of_stream(), Ok(Progress::Done { reusable: false }));
    assert_eq!(http.receive(b"x"), Ok(Progress::Done { reusable: false }));
    assert_eq!(http.into_response().body, b"ab");

    let mut http = start("GET", 1000);
    assert_eq!(http.receive(b"nonsense"), Err(Error::NotHttp));
    assert_eq!(http.receive(answer.as_bytes()), Err(Error::NotHttp));
    assert_eq!(http.end_of_stream(), Err(Error::NotHttp));
    assert_eq!(http.into_response(), Response::default());

    // No part of an answer passes for the whole.
    let mut http = start("GET", 1000);
    assert_eq!(
        http.receive(&answer.as_bytes()[..answer.len() - 1]),
        Ok(Progress::NeedMore)
    );
    assert_eq!(http.into_response(), Response::default());
}

#[test]
fn answers_under_way_share_what_there_is() {
    let share = Share::new(1000, 150);
    let start = || {
        let pairs = [(":method", "GET"), (":path", "/"), (":authority", "h")];
        let request = Request::from_pairs(&pairs, "", &[]).unwrap();
        Http1::new(request, &share)
    };
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\n";
    let (mut one, mut two) = (start(), start());
    assert_eq!(one.receive(head), Ok(Progress::NeedMore));
    assert_eq!(one.receive(&[b'x'; 59]), Ok(Progress::NeedMore));
    assert_eq!(share.taken(), head.len() + 59);
    // The other one is too much, and gives back what it had.
    assert_eq!(two.receive(head), Ok(Progress::NeedMore));
    let error = Error::NoShareLeft { limit: 150 };
    assert_eq!(two.receive(&[b'x'; 20]), Err(error));
    assert_eq!(two.receive(b"x"), Err(error));
    assert_eq!(share.taken(), head.len() + 59);
    assert_eq!(two.into_response(), Response::default());

    let done = Ok(Progress::Done { reusable: true });
    assert_eq!(one.receive(b"x"), done);
    assert_eq!(one.into_response().body.len(), 60);
    assert_eq!(share.taken(), 0);
    let mut next = start();
    assert_eq!(next.receive(head), Ok(Progress::NeedMore));
    assert_eq!(next.receive(&[b'x'; 60]), done);
}
