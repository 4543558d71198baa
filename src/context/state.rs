//! What a host function finds: the host, the contexts, and who is calling.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use super::contexts::{Contexts, HttpContext, Ids, RootContext};
use super::effect::{Effect, SharedEffects};
use super::grpc::{GrpcCall, GrpcNews};
use super::hasher::FastMap;
use super::log::LogBudget;
use super::request::{Header, RequestState};
use crate::abi::limits::{Limits, WRITE_COST};
use crate::abi::pairs::Encoder;
use crate::abi::property::Encoding;
use crate::abi::types::LogLevel;
use crate::abi::version::AbiVersion;
use crate::abi::{Status, pairs};
use crate::callout::{Request as CalloutRequest, Response, Route, Share, Upstreams};
use crate::host::{Host, Request};
use crate::shared::Shared;

/// What is known of a plugin when it is loaded.
#[derive(Clone)]
pub struct PluginInfo {
    pub name: Vec<u8>,
    /// `plugin_root_id`: which of a module's plugins it is.
    pub root_id: Vec<u8>,
    /// `plugin_vm_id`: what the operator says, or nothing.
    pub vm_id: Vec<u8>,
    pub abi: AbiVersion,
    pub vm_configuration: Vec<u8>,
    /// The guest's environment: `NAME=value` and a NUL each.
    pub environment: Vec<Vec<u8>>,
    pub encoding: Encoding,
    /// Headers that are not UTF-8 are kept from it.
    pub only_text_headers: bool,
    /// Where its callouts may go.
    pub upstreams: Rc<Upstreams>,
    /// A paused request also goes on when its last callout was delivered.
    pub resume_after_callouts: bool,
    pub limits: Limits,
    /// Ticks run in the first worker only.
    pub ticks_in_one: bool,
}

/// Whose callback runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// The context that was called; 0: none.
    pub active: u32,
    /// The context that host functions act on.
    pub effective: u32,
}

/// Who made a callout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Gets the callback.
    pub root: u32,
    /// The http context that asked, or 0; it may be gone by now.
    pub http: u32,
}

/// A callout that was asked for and not yet answered.
pub struct Callout {
    pub origin: Origin,
    /// What is to be done; taken by whoever does it.
    pub work: Option<(CalloutRequest, Route)>,
    /// Until then it has its answer, or has failed.
    pub deadline: Instant,
    /// Bytes that are kept for it.
    bytes: usize,
}

impl Callout {
    pub fn new(origin: Origin, request: CalloutRequest, route: Route, deadline: Instant) -> Self {
        Callout {
            origin,
            bytes: request.content_size(),
            work: Some((request, route)),
            deadline,
        }
    }
}

/// Lines that a guest is still writing to stdout and stderr.
#[derive(Default)]
pub struct Stdio {
    pub out: Vec<u8>,
    pub err: Vec<u8>,
}

impl Stdio {
    pub fn is_empty(&self) -> bool {
        self.out.is_empty() && self.err.is_empty()
    }
}

pub struct State {
    pub host: Rc<dyn Host>,
    pub plugin: Rc<PluginInfo>,
    pub contexts: Contexts,
    pub current: Current,
    /// The guest starts or its allocator runs: only the log and WASI answer.
    pub restricted: bool,
    /// Some http context may be paused: then it is worth looking.
    pub any_paused: bool,
    /// Work that is no request's own.
    pub effects: SharedEffects,
    pub callouts: FastMap<u32, Callout>,
    /// Bytes that are kept for them.
    callout_bytes: usize,
    /// Bytes of callouts of lost instances that Lua still performs.
    orphans: FastMap<u32, usize>,
    pub grpc: FastMap<u32, GrpcCall>,
    /// For what comes of the answers to all of them.
    pub answers: Rc<Share>,
    last_token: u32,
    /// Upstreams that it was refused, as far as the log has them.
    pub denied: Vec<Vec<u8>>,
    /// The answer that `proxy_on_http_call_response` is about.
    pub callout_response: Option<Response>,
    /// What a callback of a gRPC callout is about.
    pub grpc_news: GrpcNews,
    /// What `proxy_on_foreign_function` is about.
    pub call_data: Option<Vec<u8>>,
    pub shared: Shared,
    pub stdio: Stdio,
    pub log_budget: LogBudget,
    /// What [`crate::shared::queues::Queues::enqueued`] was at the last look.
    pub seen_enqueued: u64,
    /// The root context and the queue that were told of last.
    pub told_last: (u32, u32),
    /// When the queues were looked at last, whatever that was.
    pub looked_at_queues: Option<Instant>,
    /// Guest calls, counted: which one has left what work.
    pub calls: u32,
    /// The last key of shared data that was refused, in which guest call, and how
    /// often in a row.
    refused: (Vec<u8>, u32, u32),
    /// The queue that an item was taken out of, which the guest has not got yet.
    pub dequeued: Option<u32>,
    /// Root contexts that said `proxy_done` in the call that runs.
    pub done: Vec<u32>,
    /// Reused for every serialized map.
    pub encoder: Encoder,
}

thread_local! {
    static LAST_SERIAL: Cell<u32> = const { Cell::new(0) };
}

impl State {
    pub fn new(host: Rc<dyn Host>, plugin: Rc<PluginInfo>, ids: Ids, shared: Shared) -> Self {
        let limits = &plugin.limits;
        let answers = Share::new(limits.callout_response, limits.callout_bytes);
        State {
            host,
            plugin,
            contexts: Contexts::new(ids),
            current: Current::default(),
            restricted: false,
            any_paused: false,
            effects: SharedEffects::default(),
            callouts: FastMap::default(),
            callout_bytes: 0,
            orphans: FastMap::default(),
            grpc: FastMap::default(),
            answers,
            last_token: 0,
            denied: Vec::new(),
            callout_response: None,
            grpc_news: GrpcNews::default(),
            call_data: None,
            shared,
            stdio: Stdio::default(),
            log_budget: LogBudget::default(),
            seen_enqueued: 0,
            told_last: (0, 0),
            looked_at_queues: None,
            calls: 0,
            refused: (Vec::new(), 0, 0),
            dequeued: None,
            done: Vec::new(),
            encoder: Encoder::default(),
        }
    }

    // -- who is meant ------------------------------------------------------

    /// The http context that host functions act on.
    pub fn http(&mut self) -> Option<&mut HttpContext> {
        let id = self.current.effective;
        self.contexts.http.get_mut(&id)
    }

    /// The root context that host functions act on: the effective one itself
    /// or the parent of the effective http context.
    pub fn root_id(&self) -> u32 {
        let id = self.current.effective;
        self.contexts.http.get(&id).map_or(id, |http| http.root)
    }

    /// Whose a callout is that a host function makes now.
    pub fn origin(&mut self) -> Origin {
        Origin {
            root: self.root_id(),
            http: self.http().map_or(0, |http| http.id),
        }
    }

    /// The live request that host functions act on.
    ///
    /// Errors: [`Status::BadArgument`] outside requests, as Envoy answers when
    /// a map is not there to be written.
    pub fn request(&mut self) -> Result<Rc<RequestState>, Status> {
        let http = self.http().ok_or(Status::BadArgument)?;
        if !http.request.readable() {
            return Err(Status::BadArgument);
        }
        Ok(http.request.clone())
    }

    /// The request for the log: nothing that fails.
    pub fn log_request(&mut self) -> Option<Request> {
        self.http().and_then(|http| http.live_request())
    }

    /// The request of whoever made a callout, while it is there.
    pub fn live_request(&self, origin: Origin) -> Option<Request> {
        self.contexts.http.get(&origin.http)?.live_request()
    }

    // -- contexts ----------------------------------------------------------

    /// Makes the http context of a request under a root.
    ///
    /// Errors: the host cannot watch the request.
    pub fn create_http(&mut self, root: u32, request: Request) -> Result<u32, Status> {
        let state = RequestState::of(&*self.host, request)?;
        let serial = LAST_SERIAL.get().wrapping_add(1).max(1);
        LAST_SERIAL.set(serial);
        let named = self.contexts.reuses_ids() && self.names_contexts_of(root);
        Ok(self.contexts.add_http(root, serial, state, named))
    }

    /// Forgets an http context.
    pub fn remove_http(&mut self, id: u32) {
        let http = self.contexts.http.get(&id);
        let named = http.is_some_and(|http| http.callouts > 0) || self.is_named_by_grpc(id);
        if let Some(request) = self.contexts.remove_http(id, named) {
            request.release();
        }
    }

    /// Forgets a root context.
    pub fn remove_root(&mut self, id: u32) {
        self.cancel_grpc(Some(id));
        let named = self.names_root(id);
        self.contexts.remove_root(id, named);
    }

    /// True while a callout could have its guest remember http contexts of a
    /// root, also those that are gone.
    fn names_contexts_of(&self, root: u32) -> bool {
        self.names_root(root) || self.grpc.values().any(|call| call.origin.root == root)
    }

    fn names_root(&self, id: u32) -> bool {
        let mut callouts = self.callouts.values();
        callouts.any(|callout| callout.origin.root == id)
    }

    /// The instance is gone, in the last guest call: its http contexts stay
    /// only to be forgotten in their order, its callouts are nobody's, its
    /// timers stop. True when it had some.
    pub fn lose_contexts(&mut self) -> bool {
        for http in self.contexts.http.values_mut() {
            if http.paused {
                self.effects.push(Effect::Resume {
                    serial: http.serial,
                });
            }
            http.lose(self.calls, self.current.active);
        }
        for effect in self.effects.iter() {
            if let Effect::HttpCall { token } = effect
                && let Some(callout) = self.callouts.remove(token)
            {
                self.callout_bytes -= callout.bytes;
            }
        }
        self.effects.retain(|effect| {
            use Effect::{GrpcOpen, HttpCall, Timer};
            !matches!(effect, HttpCall { .. } | GrpcOpen { .. } | Timer { .. })
        });
        let left = self.callouts.drain();
        self.orphans
            .extend(left.map(|(token, callout)| (token, callout.bytes)));
        self.cancel_grpc(None);
        self.done.clear();
        self.contexts.forget_pending_roots();
        let mut had_timers = false;
        for root in self.contexts.roots.values_mut() {
            had_timers |= root.has_timers();
            root.stop_timers();
            root.declared.clear();
            root.lost |= root.closing;
        }
        had_timers
    }

    /// Has the queues looked at, whether or not anything was enqueued since.
    pub fn look_at_queues(&mut self) {
        self.seen_enqueued = u64::MAX;
    }

    // -- effects -----------------------------------------------------------

    /// Leaves work for the request of the effective http context, and wakes
    /// the request if it is not the one that is being driven.
    ///
    /// Errors: [`Status::BadArgument`] without a request.
    pub fn push_effect(&mut self, effect: Effect) -> Result<(), Status> {
        let (driven, calls) = (self.current.active, self.calls);
        let http = self.http().ok_or(Status::BadArgument)?;
        let (id, serial) = (http.id, http.serial);
        http.effects.retain(|earlier| !effect.replaces(earlier));
        http.effects.push_back(effect);
        http.worked_in = calls;
        if id != driven {
            self.push_shared(Effect::Resume { serial });
        }
        Ok(())
    }

    /// Leaves work that is no request's own. What a guest asks for again and
    /// again is done once.
    pub fn push_shared(&mut self, effect: Effect) {
        for earlier in self.effects.iter_mut() {
            match (earlier, &effect) {
                (Effect::Resume { serial }, Effect::Resume { serial: again })
                    if *serial == *again =>
                {
                    return;
                }
                (Effect::Timer { after_ms }, Effect::Timer { after_ms: again }) => {
                    *after_ms = (*after_ms).min(*again);
                    return;
                }
                (Effect::GrpcWake { connection }, Effect::GrpcWake { connection: again })
                    if *connection == *again =>
                {
                    return;
                }
                _ => {}
            }
        }
        self.effects.push(effect);
    }

    /// Counts bytes that the guest writes into the request of the effective
    /// http context. False: they are too many, and must not be written.
    pub fn spend(&mut self, bytes: usize) -> bool {
        let limit = self.plugin.limits.written_headers;
        let Some(http) = self.http() else {
            return true;
        };
        let written = http
            .written
            .saturating_add(bytes)
            .saturating_add(WRITE_COST);
        let fits = written <= limit;
        if fits {
            http.written = written;
        }
        fits
    }

    /// Lets a paused http context go on. In its own callback, which may pause
    /// it yet, the wish is kept; at any other time there is nothing to let go
    /// on, and the next pause is not to be missed.
    pub fn resume(&mut self, id: u32) {
        let driven = self.current.active;
        let Some(http) = self.contexts.http.get_mut(&id) else {
            return;
        };
        http.response_held = false;
        if http.paused {
            http.paused = false;
            self.effects.push(Effect::Resume {
                serial: http.serial,
            });
        } else {
            http.continued |= driven == id;
        }
    }

    /// True when something that this instance has asked for will still come: an
    /// answer to a callout, a tick, an item in a queue.
    pub fn waits_for_anything(&self) -> bool {
        !self.callouts.is_empty()
            || !self.grpc.is_empty()
            || self.contexts.roots.values().any(RootContext::has_timers)
    }

    // -- callouts ----------------------------------------------------------

    /// Keeps a callout for Lua to perform. Gives its token: unique in this
    /// instance, never 0.
    ///
    /// Errors: [`Status::InternalFailure`] when too many are in flight, or too
    /// large ones; SDKs know it here, as Envoy gives it.
    pub fn add_callout(&mut self, callout: Callout) -> Result<u32, Status> {
        self.check_callouts("callout")?;
        let limit = self.plugin.limits.callout_bytes;
        if self.callout_bytes.saturating_add(callout.bytes) > limit {
            let line = format!(
                "a callout is refused: those in flight would have more than {limit} bytes \
                 (option max_callout_bytes)"
            );
            self.log(LogLevel::Error, line.as_bytes());
            return Err(Status::InternalFailure);
        }
        let token = self.new_token();
        if let Some(http) = self.contexts.http.get_mut(&callout.origin.http) {
            http.callouts += 1;
        }
        self.callout_bytes += callout.bytes;
        self.callouts.insert(token, callout);
        self.effects.push(Effect::HttpCall { token });
        Ok(token)
    }

    /// Errors: [`Status::InternalFailure`] when there are as many callouts as
    /// there may be; it is in the log.
    pub(super) fn check_callouts(&mut self, kind: &str) -> Result<(), Status> {
        let limit = self.plugin.limits.callouts;
        if self.callouts_in_flight() < limit as usize {
            return Ok(());
        }
        let line = format!(
            "a {kind} is refused: {limit} are in flight, which is the limit (option max_callouts)"
        );
        self.log(LogLevel::Error, line.as_bytes());
        Err(Status::InternalFailure)
    }

    /// Callouts of both kinds that Lua has or will have, those of lost instances
    /// with them: nobody waits for these, and they hold their connections all
    /// the same.
    pub fn callouts_in_flight(&self) -> usize {
        self.callouts.len() + self.orphans.len() + self.grpc.len()
    }

    pub(super) fn new_token(&mut self) -> u32 {
        loop {
            self.last_token = self.last_token.wrapping_add(1);
            let token = &self.last_token;
            let taken = self.callouts.contains_key(token)
                || self.orphans.contains_key(token)
                || self.grpc.contains_key(token);
            if *token != 0 && !taken {
                return *token;
            }
        }
    }

    /// True when a callout could still lead a guest to an http context.
    fn is_named(&self, id: u32) -> bool {
        let mut callouts = self.callouts.values();
        callouts.any(|callout| callout.origin.http == id) || self.is_named_by_grpc(id)
    }

    /// A callout of this origin is over.
    pub(super) fn forget_named(&mut self, origin: Origin) {
        let id = origin.http;
        if id != 0 && !self.contexts.http.contains_key(&id) && !self.is_named(id) {
            self.contexts.forget_id(id, origin.root);
        }
    }

    /// Ends a callout. `None`: nobody waits for it any more.
    pub fn finish_callout(&mut self, token: u32) -> Option<Callout> {
        if let Some(bytes) = self.orphans.remove(&token) {
            self.callout_bytes -= bytes;
            return None;
        }
        let callout = self.callouts.remove(&token)?;
        self.callout_bytes -= callout.bytes;
        if let Some(http) = self.contexts.http.get_mut(&callout.origin.http) {
            http.callouts -= 1;
        }
        self.forget_named(callout.origin);
        let root = callout.origin.root;
        if !self.contexts.roots.contains_key(&root) && !self.names_root(root) {
            self.contexts.forget_root_id(root);
        }
        Some(callout)
    }

    /// True while the answer that a callback is about is a failed one.
    pub fn callout_failed(&self) -> bool {
        let response = self.callout_response.as_ref();
        response.is_some_and(|response| response.headers.is_empty())
    }

    // -- bodies ------------------------------------------------------------

    /// Copies the chunk of response body that is still at the host behind
    /// what was held back before it.
    ///
    /// Errors: [`Status::NotFound`] without a request.
    pub fn take_response_chunk(&mut self) -> Result<(), Status> {
        let host = self.host.clone();
        let http = self.http().ok_or(Status::NotFound)?;
        if !http.chunk_at_host {
            return Ok(());
        }
        let request = http.live_request().ok_or(Status::NotFound)?;
        host.response_chunk(request, &mut |bytes| {
            http.response_body.extend_from_slice(bytes);
        })?;
        http.chunk_at_host = false;
        Ok(())
    }

    /// Counts values of shared data that were refused: how many there are of
    /// this key in a row, in the guest call that runs.
    pub fn refused_again(&mut self, key: &[u8]) -> u32 {
        let (last, call, count) = &mut self.refused;
        if *call != self.calls || last != key {
            *last = key.to_vec();
            (*call, *count) = (self.calls, 0);
        }
        *count += 1;
        *count
    }

    /// What is refused from now on is not refused in a row with what was before.
    pub fn not_refused(&mut self) {
        self.refused.2 = 0;
    }
}

/// Reads a map that a guest gives as owned pairs.
///
/// Errors: [`Status::BadArgument`] for a malformed map.
pub fn owned_pairs(map: &[u8]) -> Result<Vec<Header>, Status> {
    let pairs = pairs::decode(map)?;
    Ok(pairs
        .into_iter()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect())
}
