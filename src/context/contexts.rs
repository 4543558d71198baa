//! The contexts of one plugin, by id and by request.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::effect::Effect;
use super::hasher::FastMap;
use super::http_contexts::HttpContexts;
use super::phase::Stage;
use super::request::RequestState;
use crate::abi::limits::MAX_FREE_IDS;
use crate::host::Request;

use std::collections::{BTreeMap, VecDeque};

/// A plugin's configuration in one place where it is used (spec: plugin
/// context).
pub struct RootContext {
    pub configuration: Rc<[u8]>,
    /// Http contexts that are still alive.
    pub children: u32,
    /// Nobody uses it any more: it goes with its last child.
    pub closing: bool,
    /// `proxy_on_done` answered that it was not: it waits for `proxy_done`.
    pub done_pending: bool,
    /// Its instance was lost when it was closing: the next one never hears of
    /// it.
    pub lost: bool,
    /// Properties that it declared: whether each is read-only.
    pub declared: BTreeMap<Vec<u8>, bool>,
    /// Queues that it registered, and the last item it heard of.
    pub queues: Vec<(u32, u64)>,
    /// Period of its ticks, and when the next one is due.
    tick: Option<(Duration, Instant)>,
    /// Ids for its next http contexts.
    free: VecDeque<u32>,
}

impl RootContext {
    /// 0 stops the ticks.
    pub fn set_tick_period(&mut self, milliseconds: u32) {
        let period = Duration::from_millis(milliseconds.into());
        self.tick = (milliseconds > 0).then(|| (period, Instant::now() + period));
    }

    pub fn tick_due(&self) -> Option<Instant> {
        self.tick.map(|(_, due)| due)
    }

    /// The next tick is a period from now: ticks that were missed are not
    /// made up for.
    pub fn tick_again(&mut self, now: Instant) {
        self.tick = self.tick.map(|(period, _)| (period, now + period));
    }

    pub fn has_timers(&self) -> bool {
        self.tick.is_some() || !self.queues.is_empty()
    }

    pub fn stop_timers(&mut self) {
        self.tick = None;
        self.queues.clear();
    }
}

/// One request, as one root context sees it.
pub struct HttpContext {
    pub id: u32,
    pub root: u32,
    /// Names this context among all of the process, for Lua.
    pub serial: u32,
    pub request: Rc<RequestState>,
    pub stage: Stage,
    /// Waits until the guest continues it or answers.
    pub paused: bool,
    /// The guest continued it before the wait began.
    pub continued: bool,
    /// `end_of_stream` of the request headers was false: a body callback with
    /// it must follow.
    pub body_due: bool,
    /// The response has no body: no callback for it.
    pub response_ended: bool,
    /// A local response was given; the first one wins.
    pub answered: bool,
    /// Its instance is gone: it must not be called again.
    pub lost: bool,
    /// It had seen the whole request when that happened, and let it go on.
    pub judged: bool,
    /// The failure policy had its say: what still comes passes. Of a request
    /// that was refused it is the answer to that.
    pub failure_answered: bool,
    /// It was said that too much is held back.
    pub over_limit: bool,
    /// Bytes that the plugin has written into the request.
    pub written: usize,
    /// Its response is refused, though its instance lives.
    pub refused: bool,
    /// Callouts that it has in flight.
    pub callouts: u32,
    pub request_body: Option<Vec<u8>>,
    pub request_body_changed: bool,
    /// The request is on its way with that body: it can no longer be changed.
    pub request_body_passed: bool,
    /// More of it came than the plugin may be given: it is given none.
    pub request_body_refused: bool,
    /// What a body filter call holds, with what was held back before it.
    pub response_body: Vec<u8>,
    pub response_body_changed: bool,
    /// The chunk of this body filter call was not copied yet.
    pub chunk_at_host: bool,
    /// The response body is held back until the guest continues it.
    pub response_held: bool,
    /// What was held back, and continued by another callback: it goes out with
    /// the next run of the body filter, and its guest does not see it again.
    pub response_released: Vec<u8>,
    /// The body of a local response given in the header filter.
    pub replacement: Option<Vec<u8>>,
    /// Whether the response has a body whose headers are swapped in the header
    /// filter.
    pub had_body: bool,
    /// The replacement was written: what still comes is dropped.
    pub replaced: bool,
    /// Work for its own coroutine.
    pub effects: VecDeque<Effect>,
    /// The guest call that has left work last.
    pub worked_in: u32,
}

impl HttpContext {
    pub(super) fn new(id: u32, root: u32, serial: u32, request: Rc<RequestState>) -> Self {
        HttpContext {
            id,
            root,
            serial,
            request,
            stage: Stage::Created,
            paused: false,
            continued: false,
            body_due: false,
            response_ended: false,
            answered: false,
            lost: false,
            judged: false,
            failure_answered: false,
            over_limit: false,
            written: 0,
            refused: false,
            callouts: 0,
            request_body: None,
            request_body_changed: false,
            request_body_passed: false,
            request_body_refused: false,
            response_body: Vec::new(),
            response_body_changed: false,
            chunk_at_host: false,
            response_held: false,
            response_released: Vec::new(),
            replacement: None,
            had_body: false,
            replaced: false,
            effects: VecDeque::new(),
            worked_in: 0,
        }
    }

    /// The request, while it is there.
    pub fn live_request(&self) -> Option<Request> {
        self.request.readable().then_some(self.request.request)
    }

    /// Takes on, in the header filter, a local response that came when the
    /// request was on its way to the upstream. False: there is none.
    pub fn take_late_response(&mut self, is_head: bool) -> bool {
        let HttpContext {
            effects,
            replacement,
            request,
            ..
        } = self;
        for effect in effects {
            if let Effect::LocalResponse(response) = effect {
                *replacement = Some(response.keep_for_body_filter(is_head));
                request.answer_response(response);
                return true;
            }
        }
        false
    }

    /// What another callback continued while no body filter ran is no longer the
    /// guest's when the next chunk comes. Until then it may be changed, also
    /// behind the continue, as on Envoy.
    pub fn release_continued_body(&mut self) {
        if self.response_held || (self.response_body.is_empty() && !self.response_body_changed) {
            return;
        }
        self.response_body_changed = false;
        self.response_released = std::mem::take(&mut self.response_body);
    }

    /// Its guest can still do something in it.
    pub fn lives(&self) -> bool {
        !self.lost && !self.request.ended()
    }

    /// What its guest has left for it is its end.
    pub fn ends(&self) -> bool {
        self.replacement.is_some() || self.replaced || self.effects.iter().any(Effect::ends_request)
    }

    /// Its instance is gone, in the guest call of this number, for the context
    /// `active`. What that call wanted is not done; an answer that an earlier
    /// one gave stands.
    pub fn lose(&mut self, in_call: u32, active: u32) {
        let seen = self.stage >= Stage::RequestHeaders && !self.body_due;
        self.judged = seen && !self.paused && self.id != active;
        self.lost = true;
        self.paused = false;
        self.callouts = 0;
        if self.answered && self.worked_in != in_call {
            self.effects.retain(Effect::ends_request);
            return;
        }
        self.answered = false;
        self.request_body_changed = false;
        if self.effects.iter().any(Effect::is_path) {
            self.request.path.take();
        }
        if self.replacement.take().is_some() {
            self.request.take_answer_back();
        }
        self.effects.clear();
    }
}

/// How ids are given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// Never the same again.
    #[default]
    Unique,
    /// As wasm-nginx-module: a root context takes the id of one that is gone,
    /// an http context the id of one that is gone under the same root context,
    /// each the one that is free for longest. A guest that has a tick, a queue
    /// or a callout may come back to contexts that are gone: it gets new ids.
    Reused,
}

#[derive(Default)]
pub struct Contexts {
    pub roots: FastMap<u32, RootContext>,
    pub http: HttpContexts,
    ids: Ids,
    last_id: u32,
    wrapped: bool,
    /// Ids for the next root contexts.
    free: VecDeque<u32>,
}

impl Contexts {
    pub fn new(ids: Ids) -> Self {
        Contexts {
            ids,
            ..Contexts::default()
        }
    }

    pub fn reuses_ids(&self) -> bool {
        self.ids == Ids::Reused
    }

    fn new_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let id = self.last_id;
            // After four billion contexts the numbers begin again: 0 is the
            // VM's own, and the living keep theirs.
            self.wrapped |= id == 0;
            let taken = self.wrapped
                && (id == 0 || self.http.contains_key(&id) || self.roots.contains_key(&id));
            if !taken {
                return id;
            }
        }
    }

    pub fn add_root(&mut self, configuration: &[u8]) -> u32 {
        let id = self.free.pop_front().unwrap_or_else(|| self.new_id());
        let root = RootContext {
            configuration: configuration.into(),
            children: 0,
            closing: false,
            done_pending: false,
            lost: false,
            declared: BTreeMap::new(),
            queues: Vec::new(),
            tick: None,
            free: VecDeque::new(),
        };
        self.roots.insert(id, root);
        id
    }

    /// Removes the root contexts that wait for `proxy_done`: their instance is
    /// gone, the next one must not know them.
    pub fn forget_pending_roots(&mut self) {
        let pending = self.roots.iter().filter(|(_, root)| root.done_pending);
        let pending: Vec<u32> = pending.map(|(id, _)| *id).collect();
        for id in pending {
            self.remove_root(id, false);
        }
    }

    /// Forgets a root context. Its id is kept back when `still_named`: a
    /// callout could still lead a guest to it.
    pub fn remove_root(&mut self, id: u32, still_named: bool) {
        if self.roots.remove(&id).is_some() && !still_named {
            self.forget_root_id(id);
        }
    }

    /// Gives an id back that [`Contexts::remove_root`] had kept.
    pub fn forget_root_id(&mut self, id: u32) {
        if self.ids == Ids::Reused {
            self.free.push_back(id);
        }
    }

    /// The http context of a request under a root; an ended request's, whose
    /// address came again, is none.
    pub fn find(&mut self, request: Request, root: u32) -> Option<&mut HttpContext> {
        let id = self.http.of_request(request, root)?;
        let context = self.http.get_mut(&id)?;
        (!context.request.ended()).then_some(context)
    }

    /// The http context of a request that ended just now and is in its log
    /// phase, or of an older one at the same address.
    pub fn find_ending(&self, request: Request, root: u32) -> Option<u32> {
        self.http.of_request(request, root)
    }

    /// Makes an http context. It gets an id of its own when `others_named`: a
    /// callout of the root could still lead a guest to a context that is gone.
    pub fn add_http(
        &mut self,
        root: u32,
        serial: u32,
        request: Rc<RequestState>,
        others_named: bool,
    ) -> u32 {
        let parent = self.roots.get_mut(&root);
        let free = parent.and_then(|parent| {
            parent.children += 1;
            match others_named || parent.has_timers() {
                true => None,
                false => parent.free.pop_front(),
            }
        });
        let id = free.unwrap_or_else(|| self.new_id());
        self.http.insert(id, root, serial, request);
        id
    }

    /// Forgets an http context. Its id is kept back when `still_named`: a
    /// callout could still lead a guest to it.
    pub fn remove_http(&mut self, id: u32, still_named: bool) -> Option<Rc<RequestState>> {
        let (root, request) = self.http.remove(&id)?;
        if let Some(parent) = self.roots.get_mut(&root) {
            parent.children -= 1;
        }
        if !still_named {
            self.forget_id(id, root);
        }
        Some(request)
    }

    /// Gives an id back that [`Contexts::remove_http`] had kept.
    pub fn forget_id(&mut self, id: u32, root: u32) {
        if self.ids == Ids::Reused
            && let Some(root) = self.roots.get_mut(&root)
            && root.free.len() < MAX_FREE_IDS
            && !root.has_timers()
        {
            root.free.push_back(id);
        }
    }
}
