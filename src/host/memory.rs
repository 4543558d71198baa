#![forbid(unsafe_code)]
//! A host without a proxy, for tests, tools and benchmarks: requests are
//! plain values. It keeps the rules of the nginx host, so that what passes
//! here passes there.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::method::method_bit;
use super::store::{HeapStore, Store};
use super::{Host, Phase, Request, Result, Visit, check_header, check_variable, is_framing};
use crate::abi::Status;
use crate::abi::field::percent_decoded;
use crate::abi::types::LogLevel;

/// Names and values, in order. Those of requests are as they were written,
/// those of responses lower-cased.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// A request of the [`MemoryHost`] and its response.
#[derive(Clone, Debug)]
pub struct MemoryRequest {
    pub method: Vec<u8>,
    pub scheme: Vec<u8>,
    /// Path and query.
    pub uri: Vec<u8>,
    pub headers: Headers,
    pub response_status: u32,
    pub response_headers: Headers,
    /// What nginx would know as `$name` beside the fields here. Only these
    /// and `$args` can be set.
    pub variables: HashMap<Vec<u8>, Vec<u8>>,
    pub phase: Phase,
    pub is_subrequest: bool,
    /// What the body filter holds, and whether it is the last.
    pub response_chunk: (Vec<u8>, bool),
}

impl Default for MemoryRequest {
    /// `GET http://localhost/` in the access phase, without a response yet.
    fn default() -> Self {
        MemoryRequest {
            method: b"GET".into(),
            scheme: b"http".into(),
            uri: b"/".into(),
            headers: vec![(b"host".into(), b"localhost".into())],
            response_status: 0,
            response_headers: Vec::new(),
            variables: HashMap::new(),
            phase: Phase::Request,
            is_subrequest: false,
            response_chunk: (Vec::new(), false),
        }
    }
}

impl MemoryRequest {
    fn path_and_query(&self) -> (&[u8], &[u8]) {
        match self.uri.iter().position(|byte| *byte == b'?') {
            Some(mark) => (&self.uri[..mark], &self.uri[mark + 1..]),
            None => (&self.uri, b""),
        }
    }

    /// A variable that is made of the request itself, lower-case.
    fn built_in(&self, name: &[u8]) -> Option<Vec<u8>> {
        let (path, query) = self.path_and_query();
        let header = |headers: &Headers, variable: &[u8]| {
            let dashed: Vec<u8> = variable
                .iter()
                .map(|byte| if *byte == b'_' { b'-' } else { *byte })
                .collect();
            first(headers, &dashed).map(<[u8]>::to_vec)
        };
        match name {
            b"request_method" => Some(self.method.clone()),
            b"request_uri" => Some(self.uri.clone()),
            b"server_name" => Some(b"localhost".into()),
            b"uri" => Some(percent_decoded(path)),
            b"args" | b"query_string" => Some(query.into()),
            b"is_args" => Some(if query.is_empty() {
                b"".into()
            } else {
                b"?".into()
            }),
            b"scheme" => Some(self.scheme.clone()),
            b"host" => first(&self.headers, b"host").map(<[u8]>::to_vec),
            b"status" => Some(format!("{:03}", self.response_status).into_bytes()),
            _ => {
                if let Some(rest) = name.strip_prefix(b"http_") {
                    header(&self.headers, rest)
                } else {
                    header(&self.response_headers, name.strip_prefix(b"sent_http_")?)
                }
            }
        }
    }
}

struct Entry {
    request: MemoryRequest,
    watchers: Vec<Rc<Cell<bool>>>,
}

/// Requests and a log in memory. Functions that take a [`Request`] panic when
/// it is none of this host's, except those of [`Host`], which refuse it.
pub struct MemoryHost {
    requests: RefCell<HashMap<usize, Entry>>,
    last: Cell<usize>,
    log: RefCell<Vec<(LogLevel, String)>>,
    level: Cell<Option<LogLevel>>,
    /// `None`: what the system's clock says.
    second: Cell<Option<i64>>,
    store: RefCell<Rc<dyn Store>>,
}

impl Default for MemoryHost {
    fn default() -> Self {
        MemoryHost::new()
    }
}

impl MemoryHost {
    /// A host without requests that logs everything.
    pub fn new() -> Self {
        MemoryHost {
            requests: RefCell::default(),
            last: Cell::default(),
            log: RefCell::default(),
            level: Cell::default(),
            second: Cell::default(),
            store: RefCell::new(Rc::new(HeapStore::default())),
        }
    }

    /// Takes a request in. Its number is never given to another one.
    pub fn add_request(&self, mut request: MemoryRequest) -> Request {
        for (name, _) in &mut request.response_headers {
            name.make_ascii_lowercase();
        }
        self.last.set(self.last.get() + 1);
        let watchers = Vec::new();
        self.requests
            .borrow_mut()
            .insert(self.last.get(), Entry { request, watchers });
        Request(NonZeroUsize::new(self.last.get()).expect("one was added"))
    }

    /// Looks at a request or changes it, as the proxy itself would.
    pub fn with<T>(&self, request: Request, look: impl FnOnce(&mut MemoryRequest) -> T) -> T {
        self.change(request, |found| Ok(look(found)))
            .expect("a request of this host")
    }

    /// Tells everyone who watches the request that it ends. As in nginx, it
    /// can still be read: its log phase is yet to come.
    pub fn end_request(&self, request: Request) {
        let mut requests = self.requests.borrow_mut();
        let entry = requests
            .get_mut(&request.0.get())
            .expect("a request of this host");
        for ended in entry.watchers.drain(..) {
            ended.set(true);
        }
    }

    /// Ends the request and takes it out.
    pub fn remove_request(&self, request: Request) -> MemoryRequest {
        self.end_request(request);
        let entry = self.requests.borrow_mut().remove(&request.0.get());
        entry.expect("a request of this host").request
    }

    /// The lines logged so far, oldest first.
    pub fn logs(&self) -> Vec<(LogLevel, String)> {
        self.log.borrow().clone()
    }

    /// Logs nothing more talkative than this from now on.
    pub fn set_log_level(&self, level: LogLevel) {
        self.level.set(Some(level));
    }

    /// The second that it is from now on.
    pub fn set_second(&self, second: i64) {
        self.second.set(Some(second));
    }

    fn read<T>(
        &self,
        request: Request,
        look: impl FnOnce(&MemoryRequest) -> Result<T>,
    ) -> Result<T> {
        let requests = self.requests.borrow();
        let entry = requests.get(&request.0.get()).ok_or(Status::BadArgument)?;
        look(&entry.request)
    }

    fn change<T>(
        &self,
        request: Request,
        change: impl FnOnce(&mut MemoryRequest) -> Result<T>,
    ) -> Result<T> {
        let mut requests = self.requests.borrow_mut();
        let entry = requests
            .get_mut(&request.0.get())
            .ok_or(Status::BadArgument)?;
        change(&mut entry.request)
    }

    fn change_response<T>(
        &self,
        request: Request,
        change: impl FnOnce(&mut MemoryRequest) -> T,
    ) -> Result<T> {
        self.change(request, |found| match found.phase {
            // The headers have been sent.
            Phase::BodyFilter | Phase::Log => Err(Status::BadArgument),
            _ => Ok(change(found)),
        })
    }
}

impl Host for MemoryHost {
    fn log(&self, _: Option<Request>, level: LogLevel, line: &[u8]) {
        if (level as u32) >= self.log_level(None) as u32 {
            let line = String::from_utf8_lossy(line).into_owned();
            self.log.borrow_mut().push((level, line));
        }
    }

    fn log_level(&self, _: Option<Request>) -> LogLevel {
        self.level.get().unwrap_or(LogLevel::Trace)
    }

    fn second(&self) -> i64 {
        self.second.get().unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.map_or(0, |since| since.as_secs() as i64)
        })
    }

    fn is_first_worker(&self) -> bool {
        true
    }

    fn phase(&self, request: Request) -> Phase {
        self.read(request, |found| Ok(found.phase))
            .unwrap_or(Phase::Other)
    }

    fn is_subrequest(&self, request: Request) -> bool {
        self.read(request, |found| Ok(found.is_subrequest))
            .unwrap_or(false)
    }

    fn watch_end(&self, request: Request, ended: Rc<Cell<bool>>, _: u64) -> Result<()> {
        let mut requests = self.requests.borrow_mut();
        let entry = requests
            .get_mut(&request.0.get())
            .ok_or(Status::BadArgument)?;
        entry.watchers.push(ended);
        Ok(())
    }

    /// No two requests of this host share an address.
    fn is_ending(&self, _: Request, _: u64) -> bool {
        true
    }

    fn request_headers(&self, request: Request, visit: Visit) -> Result<()> {
        self.read(request, |found| {
            for (name, value) in &found.headers {
                visit(&name.to_ascii_lowercase(), value);
            }
            Ok(())
        })
    }

    fn request_header(&self, request: Request, name: &[u8], value: &mut Vec<u8>) -> Result<()> {
        self.read(request, |found| append(first(&found.headers, name), value))
    }

    fn set_request_header(
        &self,
        request: Request,
        name: &[u8],
        value: &[u8],
        replace: bool,
    ) -> Result<()> {
        check_header(name, value)?;
        if is_framing(name) {
            return Ok(());
        }
        self.change(request, |found| {
            put(&mut found.headers, name, value, replace);
            Ok(())
        })
    }

    fn remove_request_header(&self, request: Request, name: &[u8]) -> Result<()> {
        self.set_request_header(request, name, b"", true)
    }

    fn set_method(&self, request: Request, method: &[u8]) -> Result<()> {
        method_bit(method).ok_or(Status::BadArgument)?;
        self.change(request, |found| {
            found.method = method.into();
            Ok(())
        })
    }

    fn response_header(&self, request: Request, name: &[u8], value: &mut Vec<u8>) -> Result<()> {
        self.read(request, |found| {
            append(first(&found.response_headers, name), value)
        })
    }

    fn response_header_values(
        &self,
        request: Request,
        name: &[u8],
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        self.read(request, |found| {
            for (key, value) in &found.response_headers {
                if key.eq_ignore_ascii_case(name) {
                    visit(value);
                }
            }
            Ok(())
        })
    }

    fn set_response_header(
        &self,
        request: Request,
        name: &[u8],
        value: &[u8],
        replace: bool,
    ) -> Result<()> {
        check_header(name, value)?;
        self.change_response(request, |found| {
            let name = name.to_ascii_lowercase();
            put(&mut found.response_headers, &name, value, replace);
        })
    }

    fn remove_response_header(&self, request: Request, name: &[u8]) -> Result<()> {
        self.set_response_header(request, name, b"", true)
    }

    fn response_status(&self, request: Request) -> u32 {
        self.read(request, |found| Ok(found.response_status))
            .unwrap_or(0)
    }

    fn set_response_status(&self, request: Request, status: u32) -> Result<()> {
        if !(100..=999).contains(&status) {
            return Err(Status::BadArgument);
        }
        self.change_response(request, |found| found.response_status = status)
    }

    fn is_head(&self, request: Request) -> bool {
        self.read(request, |found| Ok(found.method == b"HEAD"))
            .unwrap_or(false)
    }

    fn response_chunk_size(&self, request: Request) -> Result<(usize, bool)> {
        self.read(request, |found| {
            let (chunk, last) = &found.response_chunk;
            Ok((chunk.len(), *last))
        })
    }

    fn response_chunk(&self, request: Request, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
        let chunk = self.read(request, |found| Ok(found.response_chunk.0.clone()))?;
        visit(&chunk);
        Ok(())
    }

    fn variable(&self, request: Request, name: &[u8], value: &mut Vec<u8>) -> Result<()> {
        let name = name.to_ascii_lowercase();
        self.read(request, |found| match found.variables.get(&name) {
            Some(set) => append(Some(set), value),
            None => append(found.built_in(&name).as_deref(), value),
        })
    }

    fn store(&self) -> Rc<dyn Store> {
        self.store.borrow().clone()
    }

    fn set_store(&self, store: Option<Rc<dyn Store>>) {
        let own = || Rc::new(HeapStore::default()) as Rc<dyn Store>;
        self.store.replace(store.unwrap_or_else(own));
    }

    fn set_variable(&self, request: Request, name: &[u8], value: &[u8]) -> Result<()> {
        check_variable(name, value)?;
        let name = name.to_ascii_lowercase();
        self.change(request, |found| {
            if let Some(set) = found.variables.get_mut(&name) {
                *set = value.into();
            } else if name == b"args" {
                let (path, _) = found.path_and_query();
                found.uri = [path, b"?", value].concat();
            } else if found.built_in(&name).is_some() {
                return Err(Status::BadArgument);
            } else {
                return Err(Status::NotFound);
            }
            Ok(())
        })
    }
}

fn first<'a>(headers: &'a Headers, name: &[u8]) -> Option<&'a [u8]> {
    let (_, value) = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
    Some(value)
}

fn append(found: Option<&[u8]>, value: &mut Vec<u8>) -> Result<()> {
    value.extend_from_slice(found.ok_or(Status::NotFound)?);
    Ok(())
}

/// Replaces in the place of the first one, which keeps its name, as nginx does.
fn put(headers: &mut Headers, name: &[u8], value: &[u8], replace: bool) {
    if !replace {
        return headers.push((name.to_vec(), value.to_vec()));
    }
    let place = headers
        .iter()
        .position(|(n, _)| n.eq_ignore_ascii_case(name));
    let known = place.map(|place| headers[place].0.clone());
    headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    if !value.is_empty() {
        let name = known.unwrap_or_else(|| name.to_vec());
        headers.insert(place.unwrap_or(headers.len()), (name, value.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> MemoryRequest {
        MemoryRequest {
            uri: b"/a?b=c".into(),
            headers: vec![
                (b"Host".into(), b"h".into()),
                (b"X-One".into(), b"1".into()),
                (b"Accept".into(), b"*/*".into()),
                (b"x-one".into(), b"2".into()),
            ],
            variables: HashMap::from([(b"mine".into(), b"old".into())]),
            ..MemoryRequest::default()
        }
    }

    fn listed(host: &MemoryHost, request: Request) -> String {
        let mut all = String::new();
        let mut visit = |name: &[u8], value: &[u8]| {
            all += &String::from_utf8_lossy(&[name, b"=", value, b" "].concat());
        };
        host.request_headers(request, &mut visit).unwrap();
        all
    }

    fn variable(host: &MemoryHost, request: Request, name: &[u8]) -> Result<Vec<u8>> {
        let mut value = Vec::new();
        host.variable(request, name, &mut value).map(|()| value)
    }

    #[test]
    fn headers_are_replaced_in_place_added_at_the_end_and_removed() {
        let host = MemoryHost::new();
        let r = host.add_request(request());
        host.set_request_header(r, b"X-ONE", b"3", true).unwrap();
        assert_eq!(listed(&host, r), "host=h x-one=3 accept=*/* ");
        host.set_request_header(r, b"X-One", b"4", false).unwrap();
        assert_eq!(listed(&host, r), "host=h x-one=3 accept=*/* x-one=4 ");
        host.remove_request_header(r, b"x-One").unwrap();
        assert_eq!(listed(&host, r), "host=h accept=*/* ");
    }

    #[test]
    fn header_injection_is_refused() {
        let host = MemoryHost::new();
        let r = host.add_request(request());
        for (name, value) in [
            (&b""[..], &b"v"[..]),
            (b"n\r", b"v"),
            (b"n", b"v\nx: y"),
            (b"n", b"\0"),
        ] {
            let refused = Err(Status::BadArgument);
            assert_eq!(host.set_request_header(r, name, value, true), refused);
            assert_eq!(host.set_response_header(r, name, value, false), refused);
        }
    }

    #[test]
    fn the_framing_of_the_body_stays() {
        let host = MemoryHost::new();
        let r = host.add_request(MemoryRequest {
            headers: vec![(b"Content-Length".into(), b"3".into())],
            ..MemoryRequest::default()
        });
        host.remove_request_header(r, b"Content-Length").unwrap();
        let set = host.set_request_header(r, b"Transfer-Encoding", b"chunked", true);
        assert_eq!(set, Ok(()));
        assert_eq!(listed(&host, r), "content-length=3 ");
    }

    #[test]
    fn variables_are_built_in_or_given() {
        let host = MemoryHost::new();
        let r = host.add_request(request());
        assert_eq!(variable(&host, r, b"Request_URI").unwrap(), b"/a?b=c");
        assert_eq!(variable(&host, r, b"http_x_one").unwrap(), b"1");
        assert_eq!(variable(&host, r, b"http_no"), Err(Status::NotFound));
        host.set_variable(r, b"mine", b"new").unwrap();
        assert_eq!(variable(&host, r, b"mine").unwrap(), b"new");
        host.set_variable(r, b"args", b"d").unwrap();
        assert_eq!(variable(&host, r, b"request_uri").unwrap(), b"/a?d");
        let set = |name, value| host.set_variable(r, name, value);
        assert_eq!(set(b"args", b"d HTTP/1.1"), Err(Status::BadArgument));
        assert_eq!(set(b"scheme", b"https"), Err(Status::BadArgument));
        assert_eq!(set(b"unknown", b""), Err(Status::NotFound));
    }

    #[test]
    fn an_ended_request_sets_its_flags_and_stays_readable_until_removed() {
        let host = MemoryHost::new();
        let r = host.add_request(request());
        let ended = Rc::new(Cell::new(false));
        host.watch_end(r, ended.clone(), 1).unwrap();
        host.end_request(r);
        assert!(ended.get());
        assert_eq!(variable(&host, r, b"scheme").unwrap(), b"http");
        host.remove_request(r);
        assert_eq!(variable(&host, r, b"scheme"), Err(Status::BadArgument));
        assert_ne!(host.add_request(request()), r);
    }

    #[test]
    fn the_log_holds_what_its_level_lets_through() {
        let host = MemoryHost::new();
        host.set_log_level(LogLevel::Warn);
        host.log(None, LogLevel::Info, b"no");
        host.log(None, LogLevel::Warn, b"yes");
        assert_eq!(host.logs(), [(LogLevel::Warn, "yes".to_owned())]);
    }
}
