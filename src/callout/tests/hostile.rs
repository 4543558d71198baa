//! Mutated answers: no panic, bounded memory, and the same outcome however
//! the bytes are cut.

use super::exchange::{feed, start};
use crate::abi::limits::MAX_HEAD;

const ROUNDS: usize = 20_000;
const LIMIT: usize = 4096;

const SEEDS: [&str; 6] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-A: b\r\n\r\nhello world",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nConnection: close\r\n\r\nuntil close",
    "HTTP/1.0 404 Not Found\r\nContent-Length: 2, 2\r\n\r\nno",
    "HTTP/1.1 204 No Content\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
];

const PIECES: [&str; 16] = [
    "\r\n",
    "\r",
    "\n",
    "\r\n\r\n",
    "\0",
    "\u{ff}",
    ":",
    ";",
    ",",
    "0",
    "ffffffffffffffff",
    "HTTP/1.1 100 \r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "Content-Length: 7\r\n",
    "Transfer-Encoding: chunked\r\n",
    "999999999",
];

/// xorshift64: the same sequence in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }
}

fn mutate(answer: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(answer.len().max(1)).min(answer.len());
    let to = (at + random.below(20)).min(answer.len());
    match random.below(6) {
        0 if at < to => answer[at] ^= 1 << random.below(8),
        1 if at < to => answer[at] = random.below(256) as u8,
        2 => drop(answer.drain(at..to)),
        3 => {
            let piece = PIECES[random.below(PIECES.len())];
            drop(answer.splice(at..at, piece.bytes()));
        }
        4 => {
            let copy = answer[at..to].repeat(1 + random.below(4));
            drop(answer.splice(at..at, copy));
        }
        // Long enough for every limit, seldom because it takes long.
        5 if random.below(50) == 0 => {
            let filler = vec![random.below(256) as u8; random.below(2 * MAX_HEAD)];
            drop(answer.splice(at..at, filler));
        }
        _ => {}
    }
}

#[test]
fn mutated_answers() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut good, mut bad) = (0, 0);
    for round in 0..ROUNDS {
        let mut answer = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..random.below(6) {
            mutate(&mut answer, &mut random);
        }
        let method = ["GET", "GET", "POST", "HEAD"][random.below(4)];
        // A large limit for the head's own one to be met, too.
        let limit = [LIMIT, LIMIT, 64, 4 * MAX_HEAD][random.below(4)];

        let mut pieces = Vec::new();
        let mut rest = &answer[..];
        let longest = [1, 3, 50, 100_000][random.below(4)];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(1 + random.below(longest)));
            pieces.push(piece);
            rest = more;
        }

        let mut http = start(method, limit);
        for piece in &pieces {
            if http.receive(piece).is_err() {
                assert_eq!(http.held(), 0, "a failed exchange keeps nothing");
                break;
            }
            // A vector doubles when it grows.
            assert!(http.held() <= 2 * limit + 64, "{} bytes held", http.held());
        }
        let cut = feed(start(method, limit), pieces.into_iter());
        let whole = feed(start(method, limit), std::iter::once(&answer[..]));
        assert_eq!(cut, whole, "{}", answer.escape_ascii());
        match whole {
            Ok((_, response)) => {
                let first = response.headers.iter().next();
                assert!(first.is_some_and(|(name, _)| name == b":status"));
                good += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                bad += 1;
            }
        }
    }
    // The mutations are neither harmless nor all fatal.
    assert!(
        good > ROUNDS / 10 && bad > ROUNDS / 10,
        "{good} good, {bad} bad"
    );
}
