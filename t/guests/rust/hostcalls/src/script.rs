//! The script language: one command per line, `<callback> <command> [word…]`.
//!
//! Words are separated by blanks. Inside double quotes blanks are kept and `\n \r \t \0 \" \\ \xNN`
//! are escapes; a quoted part may be any part of a word (`key="two words"`). `fill:N:TEXT` is TEXT
//! repeated N times. Lines that are blank or begin with `#` do nothing.

use std::cell::Cell;

/// Where a line may hook in. All but the first two and `delete` are the host's callbacks.
pub const CALLBACKS: &[&str] = &[
    "root_create",
    "context_create",
    "vm_start",
    "configure",
    "tick",
    "queue_ready",
    "foreign_function",
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
    "http_call_response",
    "grpc_call_response",
    "grpc_initial_metadata",
    "grpc_message",
    "grpc_trailing_metadata",
    "grpc_close",
    "done",
    "log",
    "delete",
];

#[derive(Clone)]
pub struct Word {
    pub bytes: Vec<u8>,
    /// Began with a quote: text, even if it looks like a number or a variable.
    pub quoted: bool,
    /// As written, for the log.
    pub source: String,
}

impl Word {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A decimal or 0x… number, negative ones in two's complement.
    pub fn number(&self) -> Option<u64> {
        if self.quoted {
            return None;
        }
        let text = std::str::from_utf8(&self.bytes).ok()?;
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let value = match digits.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok()?,
            None => digits.parse().ok()?,
        };
        Some(if negative {
            value.wrapping_neg()
        } else {
            value
        })
    }
}

pub struct Line {
    pub number: usize,
    pub callback: &'static str,
    pub words: Vec<Word>,
    /// How often it ran, for `once` and `nth`.
    pub runs: Cell<u64>,
}

#[derive(Default)]
pub struct Script {
    pub lines: Vec<Line>,
}

impl Script {
    pub fn parse(source: &[u8]) -> Result<Script, String> {
        let mut lines = Vec::new();
        for (index, line) in source.split(|&byte| byte == b'\n').enumerate() {
            let number = index + 1;
            let words = split(line).map_err(|why| format!("line {number}: {why}"))?;
            let Some((first, rest)) = words.split_first() else {
                continue;
            };
            let Some(callback) = callback(first) else {
                return Err(format!("line {number}: no callback '{}'", first.text()));
            };
            if rest.is_empty() {
                return Err(format!("line {number}: no command"));
            }
            lines.push(Line {
                number,
                callback,
                words: rest.to_vec(),
                runs: Cell::new(0),
            });
        }
        Ok(Script { lines })
    }

    /// Whether this is meant as a script: the VM configuration may be anything.
    pub fn looks_like(source: &[u8]) -> bool {
        source
            .split(|&byte| byte == b'\n')
            .filter_map(|line| split(line).ok()?.into_iter().next())
            .next()
            .is_some_and(|first| callback(&first).is_some())
    }
}

fn callback(word: &Word) -> Option<&'static str> {
    CALLBACKS
        .iter()
        .copied()
        .find(|name| name.as_bytes() == word.bytes)
}

fn split(line: &[u8]) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if at >= line.len() || (words.is_empty() && line[at] == b'#') {
            return Ok(words);
        }
        let start = at;
        let mut bytes = Vec::new();
        let mut in_quotes = false;
        while let Some(&byte) = line.get(at) {
            match byte {
                b'"' => in_quotes = !in_quotes,
                b'\\' if in_quotes => {
                    at += 1;
                    bytes.push(escape(line, &mut at)?);
                    continue;
                }
                _ if byte.is_ascii_whitespace() && !in_quotes => break,
                _ => bytes.push(byte),
            }
            at += 1;
        }
        if in_quotes {
            return Err("a quote is not closed".into());
        }
        let quoted = line[start] == b'"';
        let source = String::from_utf8_lossy(&line[start..at]).into_owned();
        let bytes = if quoted { bytes } else { fill(bytes)? };
        words.push(Word {
            bytes,
            quoted,
            source,
        });
    }
}

/// Decodes what follows a backslash and moves behind it.
fn escape(line: &[u8], at: &mut usize) -> Result<u8, String> {
    let byte = *line.get(*at).ok_or("a backslash at the end")?;
    *at += 1;
    Ok(match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'0' => 0,
        b'"' | b'\\' => byte,
        b'x' => {
            let digits = line
                .get(*at..*at + 2)
                .and_then(|hex| std::str::from_utf8(hex).ok());
            *at += 2;
            digits
                .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                .ok_or("\\x wants two hexadecimal digits")?
        }
        other => return Err(format!("no escape '\\{}'", other as char)),
    })
}

/// Expands `fill:N:TEXT`, also as a value (`body=fill:N:TEXT`).
fn fill(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Ok(bytes);
    };
    let (key, rest) = match (text.strip_prefix("fill:"), text.split_once("=fill:")) {
        (Some(rest), _) => ("", rest),
        (None, Some((key, rest))) => (&text[..key.len() + 1], rest),
        _ => return Ok(bytes),
    };
    let (count, unit) = rest.split_once(':').ok_or("fill wants fill:N:TEXT")?;
    let count = count.parse().map_err(|_| "fill wants a number")?;
    Ok([key.as_bytes(), unit.repeat(count).as_bytes()].concat())
}

/// Splits `key=value`.
pub fn pair(word: &Word) -> Option<(Vec<u8>, Vec<u8>)> {
    let at = word.bytes.iter().position(|&byte| byte == b'=')?;
    Some((word.bytes[..at].to_vec(), word.bytes[at + 1..].to_vec()))
}
