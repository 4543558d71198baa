//! What all contexts of one request share: its end, and what only Lua could
//! read or will only later write.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::effect::LocalResponse;
use super::front_map::FrontMap;
use crate::abi::HeaderList;
use crate::abi::limits::MAX_SPARE_REQUESTS;
use crate::host::{Host, Request, Result};

/// A header as it is kept: lower-cased name, value.
pub type Header = (Vec<u8>, Vec<u8>);

/// What a plugin has set.
pub struct Property {
    pub value: Vec<u8>,
    /// Who set it first had declared it so.
    pub read_only: bool,
}

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
    /// In the response headers a plugin has answered, or failed and was answered
    /// for: no other is asked about the response any more.
    answered: Cell<bool>,
    /// An answer without a body stands for its response: what comes of that
    /// is dropped.
    refused: Cell<bool>,
    /// The body filter has asked whether it is.
    refusal_known: Cell<bool>,
    /// The response's headers, handed over by Lua in the header filter.
    pub response_headers: RefCell<Option<HeaderList>>,
    /// A `:path` that a plugin set and Lua has not applied yet.
    pub path: RefCell<Option<Vec<u8>>>,
    /// Names of trailers that plugins have set, lower-cased.
    pub trailers: RefCell<Vec<Vec<u8>>>,
    /// Values of `proxy_set_property`, readable by later plugins.
    pub properties: RefCell<BTreeMap<Vec<u8>, Property>>,
    /// Why the response is a local one, for `response.code_details`; `None`
    /// when it is not.
    pub code_details: RefCell<Option<Vec<u8>>>,
}

thread_local! {
    static LAST_NUMBER: Cell<u64> = const { Cell::new(0) };
    /// Requests whose response is answered.
    static ANSWERED: Cell<u32> = const { Cell::new(0) };
    /// Requests whose response is refused.
    static REFUSED: Cell<u32> = const { Cell::new(0) };
    static REQUESTS: RefCell<FrontMap<Request, Rc<RequestState>>> = RefCell::default();
    /// States of requests that are gone: memory for those to come.
    static SPARE: RefCell<Vec<Rc<RequestState>>> = const { RefCell::new(Vec::new()) };
}

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

        let number = LAST_NUMBER.get() + 1;
        LAST_NUMBER.set(number);
        let mut spare = SPARE.with_borrow_mut(Vec::pop);
        let state = match spare.as_mut().and_then(Rc::get_mut) {
            Some(state) => {
                state.request = request;
                state.number = number;
                spare.expect("it was there")
            }
            None => Rc::new(RequestState::new(request, number)),
        };
        host.watch_end(request, state.ended.clone(), number)?;
        REQUESTS.with_borrow_mut(|all| all.insert(request, state.clone()));
        Ok(state)
    }

    fn new(request: Request, number: u64) -> Self {
        RequestState {
            request,
            users: Cell::new(1),
            ended: Rc::default(),
            in_log_phase: Cell::new(false),
            number,
            answered: Cell::new(false),
            refused: Cell::new(false),
            refusal_known: Cell::new(false),
            response_headers: RefCell::default(),
            path: RefCell::default(),
            trailers: RefCell::default(),
            properties: RefCell::default(),
            code_details: RefCell::default(),
        }
    }

    /// Makes it as if new, for another request. Most requests leave nothing.
    /// False: the host still has an eye on the old one.
    fn clear(&mut self) -> bool {
        if Rc::strong_count(&self.ended) > 1 {
            return false;
        }
        self.ended.set(false);
        self.users.set(1);
        self.in_log_phase.set(false);
        self.answered.set(false);
        self.refused.set(false);
        self.refusal_known.set(false);
        if self.path.get_mut().is_some() {
            self.path.take();
        }
        if !self.trailers.get_mut().is_empty() {
            self.trailers.take();
        }
        if !self.properties.get_mut().is_empty() {
            self.properties.take();
        }
        if self.code_details.get_mut().is_some() {
            self.code_details.take();
        }
        true
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

    /// Takes a local response that the header filter gives for the response, and
    /// lists its headers instead of the upstream's.
    pub fn answer_response(&self, response: &LocalResponse) {
        self.set_answered();
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

    /// The answer to the response does not come: the others are asked about the
    /// response as it is. What is listed is of that answer.
    #[cold]
    pub fn take_answer_back(&self) {
        self.response_headers.take();
        if self.answered.replace(false) {
            ANSWERED.set(ANSWERED.get() - 1);
        }
    }

    fn set_answered(&self) {
        if !self.answered.replace(true) {
            ANSWERED.set(ANSWERED.get() + 1);
        }
    }

    /// True for a request whose response a plugin has answered in its headers, or
    /// failed.
    pub fn is_answered(request: Request) -> bool {
        ANSWERED.get() > 0 && Self::looks_answered(request)
    }

    #[cold]
    fn looks_answered(request: Request) -> bool {
        REQUESTS.with_borrow(|all| {
            let state = all.get(&request);
            state.is_some_and(|state| !state.ended() && state.answered.get())
        })
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
            state.set_answered();
            // What is listed from now on is the answer.
            if let Some(headers) = state.response_headers.take() {
                headers.recycle();
            }
            true
        })
    }

    /// In the body filter: true for a request whose response is refused.
    pub fn is_refused(request: Request) -> bool {
        REQUESTS.with_borrow(|all| {
            let state = all.get(&request);
            let refused = state.filter(|state| !state.ended() && state.refused.get());
            refused
                .inspect(|state| state.refusal_known.set(true))
                .is_some()
        })
    }

    /// True when no body filter has dropped what came of a refused response.
    pub fn was_not_dropped(&self) -> bool {
        self.refused.get() && !self.refusal_known.get()
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
    pub fn release(mut self: Rc<Self>) {
        self.users.set(self.users.get() - 1);
        if self.users.get() > 0 {
            return;
        }
        if let Some(headers) = self.response_headers.take() {
            headers.recycle();
        }
        if self.answered.get() {
            ANSWERED.set(ANSWERED.get() - 1);
        }
        if self.refused.get() {
            REFUSED.set(REFUSED.get() - 1);
        }
        REQUESTS.with_borrow_mut(|all| {
            all.remove_if(&self.request, |kept| Rc::ptr_eq(kept, &self));
        });
        if !Rc::get_mut(&mut self).is_some_and(Self::clear) {
            return;
        }
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MAX_SPARE_REQUESTS {
                spare.push(self);
            }
        });
    }
}
