//! What all contexts of one request share: its end, and what only Lua could
//! read or will only later write.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::effect::LocalResponse;
use super::front_map::FrontMap;
use super::header_list::HeaderList;
use crate::host::{Host, Request, Result};

/// A header as it is kept: lower-cased name, value.
pub type Header = (Vec<u8>, Vec<u8>);

/// The state of one request, shared by the contexts of all its plugins.
pub struct RequestState {
    pub request: Request,
    /// Contexts that have it.
    users: Cell<u32>,
    /// Set by the host when the request ends. nginx reuses the address of a
    /// request at once: an ended state never stands for a new request.
    ended: Rc<Cell<bool>>,
    /// In the log phase an ended request can still be read.
    in_log_phase: Cell<bool>,
    /// Tells the request from a later one at the same address.
    number: u64,
    /// An answer without a body stands for its response: what comes of that
    /// is dropped.
    refused: Cell<bool>,
    /// The response's headers, handed over by Lua in the header filter.
    pub response_headers: RefCell<Option<HeaderList>>,
    /// A `:path` that a plugin set and Lua has not applied yet.
    pub path: RefCell<Option<Vec<u8>>>,
    /// Names of trailers that plugins have set, lower-cased.
    pub trailers: RefCell<Vec<Vec<u8>>>,
    /// Values of `proxy_set_property`, readable by later plugins.
    pub properties: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Why the response is a local one, for `response.code_details`; `None`
    /// when it is not.
    pub code_details: RefCell<Option<Vec<u8>>>,
}

thread_local! {
    static LAST_NUMBER: Cell<u64> = const { Cell::new(0) };
    /// Requests whose response is refused.
    static REFUSED: Cell<u32> = const { Cell::new(0) };
    static REQUESTS: RefCell<FrontMap<Request, Rc<RequestState>>> = RefCell::default();
    /// States of requests that are gone: memory for those to come.
    static SPARE: RefCell<Vec<Rc<RequestState>>> = const { RefCell::new(Vec::new()) };
}

/// More requests are seldom in one worker at a time.
const MAX_SPARE: usize = 64;

impl RequestState {
    /// The state of a live request, made on first use, for one more context:
    /// to be let go of with [`RequestState::release`].
    ///
    /// Errors: the host refuses to watch the request's end.
    pub fn of(host: &dyn Host, request: Request) -> Result<Rc<RequestState>> {
        if let Some(state) = REQUESTS.with_borrow(|all| all.get(&request).cloned())
            && !state.ended()
        {
            state.users.set(state.users.get() + 1);
            return Ok(state);
        }

        let spare = SPARE.with_borrow_mut(Vec::pop);
        let ended = match &spare {
            // Nobody else looks at it any more.
            Some(spare) if Rc::strong_count(&spare.ended) == 1 => spare.ended.clone(),
            _ => Rc::default(),
        };
        ended.set(false);
        let number = LAST_NUMBER.get() + 1;
        LAST_NUMBER.set(number);
        host.watch_end(request, ended.clone(), number)?;
        let state = RequestState {
            request,
            users: Cell::new(1),
            ended,
            in_log_phase: Cell::new(false),
            number,
            refused: Cell::new(false),
            response_headers: RefCell::default(),
            path: RefCell::default(),
            trailers: RefCell::default(),
            properties: RefCell::default(),
            code_details: RefCell::default(),
        }
        .into_shared(spare);
        REQUESTS.with_borrow_mut(|all| all.insert(request, state.clone()));
        Ok(state)
    }

    /// In the memory of `spare`, if nobody has it any more.
    fn into_shared(self, spare: Option<Rc<Self>>) -> Rc<Self> {
        let Some(mut spare) = spare else {
            return Rc::new(self);
        };
        match Rc::get_mut(&mut spare) {
            Some(kept) => *kept = self,
            None => spare = Rc::new(self),
        }
        spare
    }

    pub fn ended(&self) -> bool {
        self.ended.get()
    }

    pub fn readable(&self) -> bool {
        !self.ended() || self.in_log_phase.get()
    }

    /// How many response headers Lua handed over, if it did.
    pub fn response_header_count(&self) -> Option<usize> {
        self.response_headers.borrow().as_ref().map(HeaderList::len)
    }

    /// Lists the headers of a local response instead of the upstream's: the
    /// plugins behind this one see what will be sent.
    pub fn list_local(&self, response: &LocalResponse) {
        let mut headers = self.response_headers.borrow_mut();
        if headers.is_none() {
            return;
        }
        let mut local = HeaderList::new();
        for (name, value) in &response.headers {
            local.push(name, value);
        }
        if let Some(upstream) = headers.replace(local) {
            upstream.recycle();
        }
    }

    /// Puts an answer without a body in the place of a request's response, in
    /// the header filter. False: the request is unknown.
    pub fn refuse_response(request: Request) -> bool {
        REQUESTS.with_borrow(|all| {
            let state = all.get(&request).filter(|state| !state.ended());
            let Some(state) = state else {
                return false;
            };
            if !state.refused.replace(true) {
                REFUSED.set(REFUSED.get() + 1);
            }
            // Plugins that come later see the answer.
            if let Some(headers) = state.response_headers.take() {
                headers.recycle();
            }
            true
        })
    }

    /// True for a request whose response is refused.
    pub fn is_refused(request: Request) -> bool {
        REQUESTS.with_borrow(|all| {
            let state = all.get(&request);
            state.is_some_and(|state| !state.ended() && state.refused.get())
        })
    }

    /// True while there is such a request.
    pub fn any_refused() -> bool {
        REFUSED.get() > 0
    }

    /// The log phase begins or is over.
    pub fn set_in_log_phase(&self, value: bool) {
        self.in_log_phase.set(value);
    }

    /// In the log phase: true when it is this very request that the host has at
    /// the address.
    pub fn is_still(&self, host: &dyn Host) -> bool {
        host.is_ending(self.request, self.number)
    }

    /// Lets go of a request; the last context that does removes it.
    pub fn release(self: Rc<Self>) {
        self.users.set(self.users.get() - 1);
        if self.users.get() > 0 {
            return;
        }
        if let Some(headers) = self.response_headers.take() {
            headers.recycle();
        }
        if self.refused.get() {
            REFUSED.set(REFUSED.get() - 1);
        }
        REQUESTS.with_borrow_mut(|all| {
            all.remove_if(&self.request, |kept| Rc::ptr_eq(kept, &self));
        });
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MAX_SPARE {
                spare.push(self);
            }
        });
    }
}
