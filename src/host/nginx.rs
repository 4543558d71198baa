//! The host that the product runs on: nginx with lua-nginx-module, through
//! the C functions that lua-resty-core itself uses. They touch the request
//! directly and never call Lua.
//!
//! A `Request` is nginx's pointer to it. Every `unsafe` block here leans on its
//! contract: it was given by nginx to this thread and has not ended.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use super::method::{HEAD, method_bit};
use super::store::{HeapStore, Store};
use super::symbols::{CleanupAdd, CleanupHandler, LuaHeader, LuaStr, NgxRequest, Symbols};
use super::{
    Host, Phase, Request, Result, Visit, capture_number, check_header, check_variable, is_framing,
    level,
};
use crate::abi::Status;
use crate::abi::types::LogLevel;

// What the functions answer. The refusals other than `DECLINED` (-1: an
// error, -100: no Lua ran for the request, -101: a timer) need no telling
// apart.
const OK: c_int = 0;
const DECLINED: c_int = -5;
const AGAIN: c_int = -2;

/// Values of one response header for which there is room at once.
const USUAL_VALUES: usize = 64;

/// Room for an error message of `var_set`, which is not read.
const ERROR_ROOM: usize = 256;

/// The nginx that this process is. It belongs to the thread that made it, the
/// worker's only one.
pub struct NginxHost {
    symbols: Symbols,
    /// Room to list request headers in, kept so that a hostcall does not
    /// allocate. Empty between calls: it would hold pointers into a request.
    headers: RefCell<Vec<LuaHeader>>,
    /// Room where nginx lower-cases a name. Its content means nothing.
    name: RefCell<Vec<u8>>,
    /// Of this worker alone, until a dict is named.
    store: RefCell<Rc<dyn Store>>,
}

/// The store of a worker for which no dict is named. Plugins mostly need none,
/// and import its functions all the same: so it is said when one uses it.
fn own_store(symbols: &Symbols) -> Rc<dyn Store> {
    let raw_log = symbols.raw_log;
    Rc::new(HeapStore::telling(move || {
        let line = b"[proxy-wasm] there is no lua_shared_dict proxy_wasm: \
            shared data, queues and metrics are each worker's own";
        // SAFETY: nginx copies the line.
        unsafe { raw_log(ptr::null_mut(), level::NOTICE, line.as_ptr(), line.len()) };
    }))
}

impl NginxHost {
    /// Finds nginx in this process, or answers with the name of the function
    /// that it lacks.
    pub fn load() -> std::result::Result<NginxHost, &'static str> {
        let symbols = Symbols::load()?;
        Ok(NginxHost {
            headers: RefCell::default(),
            name: RefCell::default(),
            store: RefCell::new(own_store(&symbols)),
            symbols,
        })
    }

    /// The functions found, for what is no matter of a request.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// Lists the request headers for `read`. `read` may call the host: what
    /// the list points to lives as long as the request, changed or not.
    fn with_headers<T>(
        &self,
        request: Request,
        read: impl FnOnce(&[LuaHeader]) -> Result<T>,
    ) -> Result<T> {
        let mut headers = self.headers.take();
        let result = self
            .list_headers(request, &mut headers)
            .and_then(|()| read(&headers));
        headers.clear();
        self.headers.replace(headers);
        result
    }

    /// All of them: a plugin that judges requests must not miss one. Their
    /// number is bounded by nginx's own buffers.
    fn list_headers(&self, request: Request, headers: &mut Vec<LuaHeader>) -> Result<()> {
        const ALL: c_int = 0;
        let mut truncated = 0;
        // SAFETY: the request is live (module comment); `truncated` outlives
        // the call.
        let count =
            unsafe { (self.symbols.req_get_headers_count)(pointer(request), ALL, &mut truncated) };
        let room = usize::try_from(count).map_err(|_| Status::BadArgument)?;
        headers.clear();
        headers.resize(room, LuaHeader::EMPTY);
        // SAFETY: as above; there is room for `count` headers.
        check(unsafe {
            (self.symbols.req_get_headers)(pointer(request), headers.as_mut_ptr(), count, 0)
        })
    }

    /// The values of a response header; where they fill `room`, perhaps not all.
    fn list_values<'a>(
        &self,
        request: Request,
        name: &[u8],
        room: &'a mut [LuaStr],
    ) -> Result<&'a [LuaStr]> {
        let mut message: *mut c_char = ptr::null_mut();
        let count = self.with_name_room(name.len(), |lower| {
            // SAFETY: the request is live; there is room for the name and for
            // as many values as are asked for.
            unsafe {
                (self.symbols.get_resp_header)(
                    pointer(request),
                    name.as_ptr(),
                    name.len(),
                    lower,
                    room.as_mut_ptr(),
                    room.len() as c_int,
                    &mut message,
                )
            }
        });
        let count = usize::try_from(count).map_err(|_| Status::BadArgument)?;
        room.get(..count).ok_or(Status::BadArgument)
    }

    /// The chunk that the body filter holds: where it is, unless it is in
    /// several pieces, and its size.
    fn chunk(&self, request: Request) -> Result<(Option<*const u8>, usize)> {
        let mut data = ptr::null_mut();
        let mut size = 0;
        // SAFETY: the request is live; both results outlive the call.
        let code = unsafe {
            (self.symbols.get_body_filter_param_body)(pointer(request), &mut data, &mut size)
        };
        match code {
            OK => Ok((Some(data.cast_const()), size)),
            AGAIN => Ok((None, size)),
            _ => Err(Status::BadArgument),
        }
    }

    /// Calls `call` with room for a name of this length.
    fn with_name_room<T>(&self, len: usize, call: impl FnOnce(*mut u8) -> T) -> T {
        let mut room = self.name.take();
        room.resize(room.len().max(len), 0);
        let result = call(room.as_mut_ptr());
        self.name.replace(room);
        result
    }

    fn put_request_header(
        &self,
        request: Request,
        name: &[u8],
        value: Option<&[u8]>,
        replace: bool,
    ) -> Result<()> {
        check_header(name, value.unwrap_or_default())?;
        if is_framing(name) {
            return Ok(());
        }
        let (data, len) = value.map_or((ptr::null(), 0), |v| (v.as_ptr(), v.len()));
        let mut message: *mut c_char = ptr::null_mut();
        // SAFETY: the request is live; nginx copies name and value before it
        // returns; there is no array of values.
        check(unsafe {
            (self.symbols.req_set_header)(
                pointer(request),
                name.as_ptr(),
                name.len(),
                data,
                len,
                ptr::null_mut(),
                0,
                replace.into(),
                &mut message,
            )
        })
    }

    fn put_response_header(
        &self,
        request: Request,
        name: &[u8],
        value: Option<&[u8]>,
        replace: bool,
    ) -> Result<()> {
        check_header(name, value.unwrap_or_default())?;
        let (data, len) = value.map_or((ptr::null(), 0), |v| (v.as_ptr(), v.len()));
        let mut message: *mut c_char = ptr::null_mut();
        // SAFETY: the request is live; nginx copies name and value before it
        // returns; there is no array of values.
        check(unsafe {
            (self.symbols.set_resp_header)(
                pointer(request),
                name.as_ptr(),
                name.len(),
                value.is_none().into(),
                data,
                len,
                ptr::null_mut(),
                0,
                replace.into(),
                &mut message,
            )
        })
    }
}

impl Host for NginxHost {
    fn log(&self, request: Option<Request>, level: LogLevel, line: &[u8]) {
        let request = request.map_or(ptr::null_mut(), pointer);
        let level = level::of(level);
        // SAFETY: the request is live or null; nginx copies the line.
        unsafe { (self.symbols.raw_log)(request, level, line.as_ptr(), line.len()) };
    }

    fn log_notice(&self, line: &[u8]) {
        // SAFETY: nginx copies the line.
        unsafe {
            (self.symbols.raw_log)(ptr::null_mut(), level::NOTICE, line.as_ptr(), line.len())
        };
    }

    fn log_level(&self, request: Option<Request>) -> LogLevel {
        let Some(get_level) = self.symbols.get_sys_filter_level else {
            return LogLevel::Debug;
        };
        let request = request.map_or(ptr::null_mut(), pointer);
        // SAFETY: the request is live or null.
        level::written(unsafe { get_level(request) })
    }

    fn second(&self) -> i64 {
        // SAFETY: it only reads nginx's clock.
        unsafe { (self.symbols.time)() }
    }

    fn phase(&self, request: Request) -> Phase {
        let mut message: *mut c_char = ptr::null_mut();
        // SAFETY: the request is live; `message` outlives the call.
        let context = unsafe { (self.symbols.get_phase)(pointer(request), &mut message) };
        match context {
            // rewrite, access, server_rewrite
            0x2 | 0x4 | 0x8000 => Phase::Request,
            0x8 => Phase::Content,
            0x20 => Phase::HeaderFilter,
            0x40 => Phase::BodyFilter,
            0x10 => Phase::Log,
            // Among them set (0x1) and balancer (0x200), which belong to a
            // request but may not wait.
            _ => Phase::Other,
        }
    }

    fn is_subrequest(&self, request: Request) -> bool {
        // SAFETY: the request is live.
        unsafe { (self.symbols.is_subrequest)(pointer(request)) == 1 }
    }

    fn watch_end(&self, request: Request, ended: Rc<Cell<bool>>, number: u64) -> Result<()> {
        let room = size_of::<Watch>();
        // SAFETY: the request is live.
        let cleanup = unsafe { (self.symbols.cleanup_add)(pointer(request), room).as_mut() }
            .ok_or(Status::InternalFailure)?;
        let watch = Watch {
            number,
            ended: Cell::new(Some(ended)),
            request: pointer(request),
            cleanup_add: self.symbols.cleanup_add,
        };
        // SAFETY: nginx has given room for it, aligned for anything, that stays
        // as long as the request.
        unsafe { cleanup.data.cast::<Watch>().write(watch) };
        cleanup.handler = Some(request_ended);
        Ok(())
    }

    fn is_ending(&self, request: Request, number: u64) -> bool {
        // What is added leads to what was added before, as the list has no
        // other door.
        // SAFETY: the request is live.
        let mut next = unsafe { (self.symbols.cleanup_add)(pointer(request), 0) };
        // SAFETY: null, or an entry of the request's list, which stays as long
        // as the request.
        while let Some(cleanup) = unsafe { next.as_ref() } {
            let ours = |handler| ptr::fn_addr_eq(handler, request_ended as CleanupHandler);
            if cleanup.handler.is_some_and(ours)
                // SAFETY: `watch_end` has written it for this request.
                && unsafe { &*cleanup.data.cast::<Watch>() }.number == number
            {
                return true;
            }
            next = cleanup.next;
        }
        false
    }

    fn is_first_worker(&self) -> bool {
        // SAFETY: it looks at numbers of the process.
        unsafe { (self.symbols.worker_id)() == 0 }
    }

    fn request_headers(&self, request: Request, visit: Visit) -> Result<()> {
        self.with_headers(request, |headers| {
            for header in headers {
                // SAFETY: nginx has just listed it, and it lives as long as
                // the request.
                let (name, value) = unsafe { (bytes(&header.name), bytes(&header.value)) };
                // A module that adds a header may forget the lower-cased name.
                if !name.is_empty() {
                    visit(name, value);
                }
            }
            Ok(())
        })
    }

    fn request_header(&self, request: Request, name: &[u8], value: &mut Vec<u8>) -> Result<()> {
        self.with_headers(request, |headers| {
            let header = headers
                .iter()
                // SAFETY: nginx has just listed it.
                .find(|h| unsafe { bytes(&h.name) }.eq_ignore_ascii_case(name))
                .ok_or(Status::NotFound)?;
            // SAFETY: as above.
            value.extend_from_slice(unsafe { bytes(&header.value) });
            Ok(())
        })
    }

    fn set_request_header(
        &self,
        request: Request,
        name: &[u8],
        value: &[u8],
        replace: bool,
    ) -> Result<()> {
        self.put_request_header(request, name, Some(value), replace)
    }

    fn remove_request_header(&self, request: Request, name: &[u8]) -> Result<()> {
        self.put_request_header(request, name, None, true)
    }

    fn set_method(&self, request: Request, method: &[u8]) -> Result<()> {
        let bit = method_bit(method).ok_or(Status::BadArgument)?;
        // SAFETY: the request is live.
        check(unsafe { (self.symbols.req_set_method)(pointer(request), bit) })
    }

    fn response_header(&self, request: Request, name: &[u8], value: &mut Vec<u8>) -> Result<()> {
        let mut first = [LuaStr::EMPTY];
        match self.list_values(request, name, &mut first)? {
            // SAFETY: nginx has just given it, from the request's memory.
            [only] => value.extend_from_slice(unsafe { bytes(only) }),
            _ => return Err(Status::NotFound),
        }
        Ok(())
    }

    fn response_header_values(
        &self,
        request: Request,
        name: &[u8],
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let (mut usual, mut more) = ([LuaStr::EMPTY; USUAL_VALUES], Vec::new());
        let mut values = self.list_values(request, name, &mut usual)?;
        let mut room = USUAL_VALUES;
        // Nobody is to judge some of them for all.
        while values.len() == room {
            room *= 2;
            more.resize(room, LuaStr::EMPTY);
            values = self.list_values(request, name, &mut more)?;
        }
        // SAFETY: nginx has just given them, from the request's memory.
        values.iter().for_each(|it| visit(unsafe { bytes(it) }));
        Ok(())
    }

    fn set_response_header(
        &self,
        request: Request,
        name: &[u8],
        value: &[u8],
        replace: bool,
    ) -> Result<()> {
        self.put_response_header(request, name, Some(value), replace)
    }

    fn remove_response_header(&self, request: Request, name: &[u8]) -> Result<()> {
        self.put_response_header(request, name, None, true)
    }

    fn response_status(&self, request: Request) -> u32 {
        // SAFETY: the request is live.
        let status = unsafe { (self.symbols.get_resp_status)(pointer(request)) };
        status.try_into().unwrap_or(0)
    }

    fn set_response_status(&self, request: Request, status: u32) -> Result<()> {
        // lua-nginx-module checks the range only from 0.10.28 on.
        if !(100..=999).contains(&status) {
            return Err(Status::BadArgument);
        }
        // SAFETY: the request is live.
        check(unsafe { (self.symbols.set_resp_status)(pointer(request), status as c_int) })
    }

    fn is_head(&self, request: Request) -> bool {
        // SAFETY: the request is live.
        unsafe { (self.symbols.req_get_method)(pointer(request)) == HEAD }
    }

    fn response_chunk_size(&self, request: Request) -> Result<(usize, bool)> {
        let (_, size) = self.chunk(request)?;
        // SAFETY: the request is live.
        let last = unsafe { (self.symbols.get_body_filter_param_eof)(pointer(request)) };
        Ok((size, last == 1))
    }

    fn response_chunk(&self, request: Request, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
        let (whole, size) = self.chunk(request)?;
        if let Some(data) = whole {
            // SAFETY: nginx keeps the chunk while the body filter runs.
            visit(unsafe { slice(data, size) });
            return Ok(());
        }
        let mut pieces = vec![0; size];
        // SAFETY: the request is live; there is room for the whole chunk.
        check(unsafe {
            (self.symbols.copy_body_filter_param_body)(pointer(request), pieces.as_mut_ptr())
        })?;
        visit(&pieces);
        Ok(())
    }

    fn variable(&self, request: Request, name: &[u8], value: &mut Vec<u8>) -> Result<()> {
        // `$1` and its like are captures of the last match, which
        // lua-nginx-module asks for by number and without a name.
        let capture = capture_number(name);
        let (name, len) = match capture {
            Some(_) => (ptr::null(), 0),
            None => (name.as_ptr(), name.len()),
        };
        let mut found = (ptr::null_mut(), 0);
        let mut message: *mut c_char = ptr::null_mut();
        let code = self.with_name_room(len, |room| {
            // SAFETY: the request is live; there is room for the name; the
            // outputs outlive the call.
            unsafe {
                (self.symbols.var_get)(
                    pointer(request),
                    name,
                    len,
                    room,
                    capture.unwrap_or(0),
                    &mut found.0,
                    &mut found.1,
                    &mut message,
                )
            }
        });
        match code {
            // SAFETY: nginx has just given it, and it is not changed before it
            // is copied.
            OK => value.extend_from_slice(unsafe { slice(found.0, found.1) }),
            DECLINED => return Err(Status::NotFound),
            _ => return Err(Status::BadArgument),
        }
        Ok(())
    }

    fn store(&self) -> Rc<dyn Store> {
        self.store.borrow().clone()
    }

    fn set_store(&self, store: Option<Rc<dyn Store>>) {
        let own = || own_store(&self.symbols);
        self.store.replace(store.unwrap_or_else(own));
    }

    fn set_variable(&self, request: Request, name: &[u8], value: &[u8]) -> Result<()> {
        check_variable(name, value)?;
        let mut message = [0u8; ERROR_ROOM];
        let mut message_len = message.len();
        let code = self.with_name_room(name.len(), |room| {
            // SAFETY: the request is live; there is room for the name and the
            // message; nginx copies the value.
            unsafe {
                (self.symbols.var_set)(
                    pointer(request),
                    name.as_ptr(),
                    name.len(),
                    room,
                    value.as_ptr(),
                    value.len(),
                    message.as_mut_ptr(),
                    &mut message_len,
                )
            }
        });
        if code == OK {
            return Ok(());
        }
        // nginx tells "unknown" and "not changeable" apart only in words.
        self.variable(request, name, &mut Vec::new())?;
        Err(Status::BadArgument)
    }
}

/// Who wants to know of a request's end. It lies in the request's own memory.
struct Watch {
    number: u64,
    /// Until it is told.
    ended: Cell<Option<Rc<Cell<bool>>>>,
    request: *mut NgxRequest,
    cleanup_add: CleanupAdd,
}

/// What nginx calls when a watched request ends: with what
/// [`NginxHost::watch_end`] has written. It enters itself anew: nginx has
/// emptied its list before, and what is in it in the log phase is of the very
/// request that has just ended.
extern "C" fn request_ended(watch: *mut c_void) {
    // Nothing here panics; the wall is the law for what nginx calls.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let data = watch;
        // SAFETY: `watch_end` has written it, and the request, in whose memory
        // it lies, is still there.
        let watch = unsafe { &*data.cast::<Watch>() };
        if let Some(ended) = watch.ended.take() {
            ended.set(true);
        }
        // SAFETY: as above: nginx frees the request after its log phase.
        if let Some(cleanup) = unsafe { (watch.cleanup_add)(watch.request, 0).as_mut() } {
            cleanup.data = data;
            cleanup.handler = Some(request_ended);
        }
    }));
}

fn pointer(request: Request) -> *mut NgxRequest {
    ptr::with_exposed_provenance_mut(request.0.get())
}

fn check(code: c_int) -> Result<()> {
    match code {
        OK => Ok(()),
        _ => Err(Status::BadArgument),
    }
}

/// # Safety
/// The string is one of nginx's and stays for `'a`.
unsafe fn bytes<'a>(string: &LuaStr) -> &'a [u8] {
    let len = usize::try_from(string.len).unwrap_or(0);
    // SAFETY: the caller's promise.
    unsafe { slice(string.data, len) }
}

/// # Safety
/// `data` is null, or `len` bytes of nginx's that stay for `'a`.
unsafe fn slice<'a>(data: *const u8, len: usize) -> &'a [u8] {
    if data.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data, len) }
}
