//! What Lua and nginx do around the library, on the in-memory host: a chain of
//! plugins, and requests that go through all phases.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use resty_proxy_wasm::abi::HeaderList;
use resty_proxy_wasm::abi::types::LogLevel;
use resty_proxy_wasm::callout::{Progress, Response as CalloutResponse};
use resty_proxy_wasm::context::{Effect, LocalResponse, RequestState};
use resty_proxy_wasm::host::memory::{Headers, MemoryHost, MemoryRequest};
use resty_proxy_wasm::host::{Host, Phase, Request};
use resty_proxy_wasm::plugin::registry::{self, Shared};
use resty_proxy_wasm::plugin::{Error, Flags, Options, Outcome, Plugin};

use super::blocks::{bytes, text};
use super::content::Content;

/// How long a request waits for what only a timer can bring.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where nobody listens, for callouts.
const NOBODY: &str = "127.0.0.1:1";

pub struct Proxy {
    pub host: Rc<MemoryHost>,
    /// What answers every callout; `None`: nothing ever does.
    pub answer: Option<Server>,
    /// What gives the response, and whether it does so behind the proxy.
    pub server: Server,
    pub is_behind: bool,
    chain: Vec<Entry>,
    /// The request's body, as plugins have made it.
    body: RefCell<Option<Vec<u8>>>,
    in_flight: RefCell<VecDeque<(Shared, u32)>>,
}

/// What a server does with a request.
#[derive(Clone, Default)]
pub enum Server {
    #[default]
    Hello,
    /// It answers with the request that it gets.
    Echo,
    Content(Content),
}

struct Entry {
    name: String,
    plugin: Shared,
    root: u32,
}

/// What the client gets.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u32,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// Why a request has no response.
#[derive(Debug)]
pub enum NoResponse {
    /// The connection is closed without one.
    Closed,
    /// It waits for what does not come here.
    Waits,
}

/// How a phase ended for one plugin.
enum Step {
    Done(Flags),
    Answered(LocalResponse),
    Closed,
    Waits,
    Failed(Error),
}

impl Proxy {
    pub fn new() -> Self {
        Proxy {
            host: Rc::new(MemoryHost::new()),
            answer: None,
            server: Server::Hello,
            is_behind: false,
            chain: Vec::new(),
            body: RefCell::default(),
            in_flight: RefCell::default(),
        }
    }

    /// As `new_chain` in the master: tried, and made in earnest with the first
    /// request.
    pub fn add(
        &mut self,
        name: &str,
        bytes: &[u8],
        config: &[u8],
        options: Options,
    ) -> Result<(), Error> {
        let plugin = Plugin::load(self.host.clone(), name.as_bytes(), bytes, options)?;
        let plugin = registry::register(plugin);
        let root = plugin.borrow_mut().add_root(config, true)?;
        self.drain();
        self.chain.push(Entry {
            name: name.to_owned(),
            plugin,
            root,
        });
        Ok(())
    }

    /// Does what is no request's own: callouts, which are answered later. Timers
    /// are looked at when somebody waits.
    fn drain(&self) {
        while let Some((plugin, effect)) = registry::next_effect() {
            if let Effect::HttpCall { token } = effect {
                self.in_flight.borrow_mut().push_back((plugin, token));
            }
        }
    }

    /// Answers the oldest callout. False: there is none, or no answer.
    fn answer_one(&self) -> bool {
        let Some((plugin, token)) = self.in_flight.borrow_mut().pop_front() else {
            return false;
        };
        let begun = plugin.borrow_mut().begin_callout(token);
        if let Some(exchange) = &begun
            && exchange.route.to_string().ends_with(NOBODY)
        {
            let mut plugin = plugin.borrow_mut();
            plugin.log_failed_callout(exchange, "connection refused");
            let _ = plugin.deliver(token, CalloutResponse::default());
            drop(plugin);
            self.drain();
            return true;
        }
        let Some(answer) = &self.answer else {
            return false;
        };
        if let Some(mut exchange) = begun {
            let answered = match answer {
                Server::Hello => ok(&Content::default()),
                Server::Echo => {
                    let sent = exchange.http1.output().to_vec();
                    ok(&echoed(&sent))
                }
                Server::Content(content) => {
                    for line in &content.log {
                        self.host.log(None, LogLevel::Error, line.as_bytes());
                    }
                    ok(content)
                }
            };
            let received = exchange.http1.receive(&answered);
            assert!(matches!(received, Ok(Progress::Done { .. })));
            // A failure is in the log.
            let _ = plugin
                .borrow_mut()
                .deliver(token, exchange.http1.into_response());
        }
        self.drain();
        true
    }

    fn log(&self, entry: &Entry, what: &str, error: &Error) {
        let line = format!("[proxy-wasm] {}: {what}: {error}", entry.name);
        self.host.log(None, LogLevel::Error, line.as_bytes());
    }

    /// Does what a call left to do.
    fn settle(&self, entry: &Entry, request: Request, mut outcome: Outcome) -> Step {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let flags = match outcome {
                Ok(flags) => flags,
                Err(error) => return Step::Failed(error),
            };
            if !flags.effects && !flags.paused {
                return Step::Done(flags);
            }
            if !flags.effects {
                if Instant::now() > deadline {
                    return Step::Waits;
                }
                // For an answer, a tick, or the news of a queue.
                let _ = registry::run_timers(std::time::Instant::now());
                self.drain();
                if !self.answer_one() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                outcome = entry.plugin.borrow_mut().flags(entry.root, request);
                continue;
            }
            loop {
                let effect = entry.plugin.borrow_mut().next_effect(entry.root, request);
                let change = |change: &mut dyn FnMut(&mut MemoryRequest)| {
                    self.host.with(request, |found| change(found));
                };
                match effect {
                    None => {
                        self.drain();
                        break;
                    }
                    Some(Effect::LocalResponse(response)) => {
                        let in_place = self.host.phase(request) == Phase::HeaderFilter;
                        if !in_place {
                            return Step::Answered(response);
                        }
                        change(&mut |found| {
                            found.response_status = response.status;
                            found.response_headers = response.headers.clone();
                        });
                    }
                    Some(Effect::SetPath { path, query }) => change(&mut |found| {
                        let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
                        found.uri = [&escaped(&path), mark, &query].concat();
                    }),
                    Some(Effect::SetRequestBody(body)) => drop(self.body.replace(Some(body))),
                    Some(Effect::SetResponseBody { body, last }) => change(&mut |found| {
                        found.response_chunk = (body.clone(), last || found.response_chunk.1);
                    }),
                    Some(Effect::CloseStream) => return Step::Closed,
                    Some(_) => {}
                }
            }
            outcome = entry.plugin.borrow_mut().flags(entry.root, request);
        }
    }

    /// A request, from its headers to its end.
    pub fn serve(&self, asked: MemoryRequest, body: &[u8]) -> Result<Response, NoResponse> {
        let request = self.host.add_request(asked);
        self.body.replace((!body.is_empty()).then(|| body.to_vec()));
        let response = self.respond(request);
        self.host.with(request, |found| found.phase = Phase::Log);
        self.host.end_request(request);
        for entry in &self.chain {
            // A failure is in the log.
            let _ = entry.plugin.borrow_mut().log_request(entry.root, request);
        }
        self.drain();
        while self.answer_one() {}
        response
    }

    fn respond(&self, request: Request) -> Result<Response, NoResponse> {
        let local = self.request(request)?;
        let (status, headers, chunks) = match local {
            None => self.served(request),
            Some(response) => {
                let has_length = response.may_have_body();
                let mut headers = response.headers;
                if has_length {
                    let length = response.body.len().to_string();
                    headers.push((b"content-length".into(), length.into_bytes()));
                }
                let chunks = match response.body.is_empty() {
                    true => vec![Vec::new()],
                    false => vec![response.body, Vec::new()],
                };
                (response.status, headers, chunks)
            }
        };
        self.host.with(request, |found| {
            found.phase = Phase::HeaderFilter;
            found.response_status = status;
            // Those that a plugin has set before, but for what is set now.
            let set = |name: &[u8]| headers.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
            found.response_headers.retain(|(name, _)| !set(name));
            found.response_headers.extend(headers);
        });
        self.response_headers(request)?;
        let mut response = self.host.with(request, |found| {
            found.phase = Phase::BodyFilter;
            let mut headers = found.response_headers.clone();
            headers.push((b"connection".into(), b"close".into()));
            let has_length = headers.iter().any(|(name, _)| name == b"content-length");
            let has_body = found.method != b"HEAD" && !matches!(found.response_status, 204 | 304);
            if has_body && !has_length {
                headers.push((b"transfer-encoding".into(), b"chunked".into()));
            }
            Response {
                status: found.response_status,
                headers,
                body: Vec::new(),
            }
        });
        let count = chunks.len();
        for (index, chunk) in chunks.into_iter().enumerate() {
            self.host.with(request, |found| {
                found.response_chunk = (chunk, index + 1 == count);
            });
            if !self.response_body(request)? {
                break;
            }
            self.host.with(request, |found| {
                if found.method != b"HEAD" {
                    response.body.extend_from_slice(&found.response_chunk.0);
                }
            });
        }
        Ok(response)
    }

    /// Status, headers and the pieces of the body, where no plugin answers.
    fn served(&self, request: Request) -> (u32, Headers, Vec<Vec<u8>>) {
        let mut headers: Headers = vec![(b"content-type".into(), b"text/plain".into())];
        let (status, mut chunks) = match &self.server {
            Server::Hello => (200, vec![b"hello\n".to_vec()]),
            Server::Echo => (200, vec![self.sent_on(request)]),
            Server::Content(content) => {
                let body: Vec<Vec<u8>> = content.chunks.iter().map(|it| bytes(it)).collect();
                for (name, values) in &content.headers {
                    let name = name.to_ascii_lowercase().into_bytes();
                    headers.retain(|(it, _)| *it != name);
                    let values = values.iter().filter(|value| !value.is_empty());
                    headers.extend(values.map(|value| (name.clone(), bytes(value))));
                }
                let knows_length = headers.iter().any(|(name, _)| name == b"content-length");
                if !content.chunked && !knows_length {
                    let length = body.concat().len().to_string();
                    headers.push((b"content-length".into(), length.into_bytes()));
                }
                for line in &content.log {
                    self.host.log(None, LogLevel::Error, line.as_bytes());
                }
                (content.status, body)
            }
        };
        chunks.push(Vec::new());
        if self.is_behind {
            self.host.with(request, |found| {
                let mut set = |name: &str, value: String| {
                    found.variables.insert(name.into(), value.into());
                };
                set("upstream_addr", "unix:/backend.sock".to_owned());
                set("upstream_status", status.to_string());
            });
        }
        (status, headers, chunks)
    }

    /// The request as nginx passes it on: `Host` first, then the length of the
    /// body, and nothing that is of the connection.
    fn sent_on(&self, request: Request) -> Vec<u8> {
        let body = self.body.borrow();
        self.host.with(request, |found| {
            let mut text = [&found.method, &b" "[..], &found.uri, b" HTTP/1.1\n"].concat();
            let mut line = |name: &[u8], value: &[u8]| {
                text.extend_from_slice(&[name, b": ", value, b"\n"].concat());
            };
            let is = |name: &[u8], other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            for (name, value) in &found.headers {
                if is(name, "host") {
                    line(b"Host", value);
                }
            }
            if let Some(body) = &*body {
                line(b"Content-Length", body.len().to_string().as_bytes());
            }
            for (name, value) in &found.headers {
                let known = ["host", "connection", "content-length"];
                if !known.iter().any(|other| is(name, other)) {
                    line(name, value);
                }
            }
            // Without a body the server leaves one line end out.
            if let Some(body) = body.as_ref().filter(|body| !body.is_empty()) {
                text.push(b'\n');
                text.extend_from_slice(body);
            }
            text
        })
    }

    /// The rewrite or access phase. Gives the response that a plugin has made.
    fn request(&self, request: Request) -> Result<Option<LocalResponse>, NoResponse> {
        let mut wants_body = false;
        for entry in &self.chain {
            let called = entry
                .plugin
                .borrow_mut()
                .request_headers(entry.root, request);
            match self.settle(entry, request, called) {
                Step::Done(flags) => wants_body |= flags.body,
                step => return self.end(entry, request, step),
            }
        }
        if !wants_body {
            return Ok(None);
        }
        for entry in &self.chain {
            if !entry.plugin.borrow().wants().request_body {
                continue;
            }
            let body = self.body.borrow().clone().unwrap_or_default();
            let mut plugin = entry.plugin.borrow_mut();
            let called = plugin.request_body(entry.root, request, &body, true);
            drop(plugin);
            match self.settle(entry, request, called) {
                Step::Done(_) => {}
                step => return self.end(entry, request, step),
            }
        }
        Ok(None)
    }

    fn end(
        &self,
        entry: &Entry,
        request: Request,
        step: Step,
    ) -> Result<Option<LocalResponse>, NoResponse> {
        match step {
            Step::Done(_) => Ok(None),
            Step::Answered(response) => Ok(Some(response)),
            Step::Closed => Err(NoResponse::Closed),
            Step::Waits => Err(NoResponse::Waits),
            Step::Failed(error) => {
                self.log(entry, "the request is refused", &error);
                let mut plugin = entry.plugin.borrow_mut();
                let _ = plugin.failure_was_answered(entry.root, request);
                Ok(Some(LocalResponse {
                    status: 503,
                    headers: vec![(b"content-type".into(), b"text/html".into())],
                    ..LocalResponse::default()
                }))
            }
        }
    }

    fn response_headers(&self, request: Request) -> Result<(), NoResponse> {
        for entry in &self.chain {
            let mut called = entry
                .plugin
                .borrow_mut()
                .response_headers(entry.root, request);
            if called.as_ref().is_ok_and(|flags| flags.response_headers) {
                let mut headers = HeaderList::new();
                self.host.with(request, |found| {
                    for (name, value) in &found.response_headers {
                        headers.push(name, value);
                    }
                });
                headers.push(b"connection", b"close");
                let mut plugin = entry.plugin.borrow_mut();
                let handed = plugin.hand_response_headers(entry.root, request, headers);
                called = handed.and_then(|_| plugin.response_headers(entry.root, request));
            }
            match self.settle(entry, request, called) {
                // Nothing can wait here.
                Step::Done(_) | Step::Answered(_) | Step::Waits => {}
                Step::Closed => return Err(NoResponse::Closed),
                Step::Failed(error) => {
                    self.log(entry, "the response is refused", &error);
                    RequestState::refuse_response(request);
                    self.host.with(request, |found| {
                        found.response_status = 503;
                        found.response_headers = vec![(b"content-length".into(), b"0".into())];
                    });
                }
            }
        }
        Ok(())
    }

    /// One chunk; false when nothing comes behind it.
    fn response_body(&self, request: Request) -> Result<bool, NoResponse> {
        if RequestState::is_refused(request) {
            return Ok(false);
        }
        for entry in &self.chain {
            let called = entry.plugin.borrow_mut().response_body(entry.root, request);
            match self.settle(entry, request, called) {
                Step::Done(_) | Step::Answered(_) | Step::Waits => {}
                Step::Closed | Step::Failed(_) => return Err(NoResponse::Closed),
            }
        }
        Ok(true)
    }
}

/// A path as nginx writes it.
fn escaped(path: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for byte in path {
        match byte {
            ..=b' '
            | b'"'
            | b'#'
            | b'%'
            | b'<'
            | b'>'
            | b'?'
            | b'\\'
            | b'^'
            | b'`'
            | b'{'..=b'}'
            | 0x7f.. => {
                text.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
            _ => text.push(*byte),
        }
    }
    text
}

/// The request, without CR and, where it has no body, without the last line
/// end.
fn echoed(request: &[u8]) -> Content {
    let request = text(request).replace('\r', "");
    let (_, body) = request.split_once("\n\n").expect("a request");
    let end = request.len() - usize::from(body.is_empty());
    Content {
        status: 200,
        chunks: vec![request[..end].to_owned()],
        chunked: true,
        ..Content::default()
    }
}

/// An answer to a callout, as nginx gives it.
fn ok(content: &Content) -> Vec<u8> {
    if let Some(raw) = &content.raw {
        return bytes(raw);
    }
    let status = content.status;
    let mut head = format!(
        "HTTP/1.1 {status} OK\r\nServer: nginx\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
         Content-Type: text/plain\r\n"
    );
    let body = content.chunks.concat();
    let (chunked, length) = (content.chunked, body.len());
    head += &match chunked {
        true => "Transfer-Encoding: chunked\r\n".to_owned(),
        false => format!("Content-Length: {length}\r\n"),
    };
    head += "Connection: keep-alive\r\n";
    for (name, values) in &content.headers {
        for value in values {
            head += &format!("{name}: {value}\r\n");
        }
    }
    let body = match (chunked, length) {
        (false, _) => body,
        (true, 0) => "0\r\n\r\n".to_owned(),
        (true, _) => format!("{length:x}\r\n{body}\r\n0\r\n\r\n"),
    };
    bytes(&(head + "\r\n" + &body))
}
