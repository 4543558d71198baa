//! What upstreams answer, however it is cut, and the addresses that plugins
//! name.
//!
//! In: flags, the size of the pieces, the limit, and the answer.

use crate::engine::Target;
use resty_proxy_wasm::callout::{self, Error, Http1, Progress, Request, Response, Scheme, Share};

const METHODS: [&[u8]; 4] = [b"GET", b"HEAD", b"POST", b"PUT"];

fn start(flags: u8, limit: usize) -> Http1 {
    let pairs: [(&[u8], &[u8]); 3] = [
        (b":method", METHODS[usize::from(flags & 3)]),
        (b":path", b"/"),
        (b":authority", b"upstream"),
    ];
    let request = Request::from_pairs(&pairs, b"body", &[]).expect("a request");
    Http1::new(request, &Share::new(limit, usize::MAX))
}

fn feed<'a>(mut http: Http1, pieces: impl Iterator<Item = &'a [u8]>) -> Result<Response, Error> {
    for piece in pieces {
        if let Progress::Done { .. } = http.receive(piece)? {
            return Ok(http.into_response());
        }
    }
    http.end_of_stream()?;
    Ok(http.into_response())
}

pub const TARGET: Target = Target {
    name: "callouts",
    run,
    words: &[
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 \r\n\r\n",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffff",
        b"[::1]:",
        b"unix:/",
    ],
    more_seeds: Vec::new,
};

fn run(data: &[u8]) {
    let Some(([flags, size, limit], answer)) = data.split_first_chunk::<3>() else {
        return;
    };
    for scheme in [Scheme::Http, Scheme::Https] {
        if let Ok(target) = callout::Target::parse(answer, scheme) {
            // It is shown in the log.
            assert!(!target.to_string().is_empty());
            let _ = (target.host(), target.port());
        }
    }
    let limit = usize::from(*limit) * 64;
    let whole = feed(start(*flags, limit), std::iter::once(answer));
    let cut = feed(
        start(*flags, limit),
        answer.chunks(usize::from(*size).max(1)),
    );
    assert_eq!(whole, cut);
    match whole {
        Ok(response) => {
            let first = response.headers.iter().next();
            assert!(first.is_some_and(|(name, _)| name == b":status"));
            assert!(response.body.len() <= limit);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
