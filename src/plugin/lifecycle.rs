//! A plugin once it is loaded: instances, root contexts, and their end.

use std::rc::Rc;
use std::time::Instant;

use super::back_off::BackOff;
use super::capabilities::Capabilities;
use super::error::Error;
use super::failure::Policy;
use super::late::Late;
use super::load::tell_complaint;
use super::room::TurnedAway;
use super::wants::Wants;
use crate::abi::limits::{
    DEFAULT_CPU_LIMIT_MS, DEFAULT_MEMORY_LIMIT, DEFAULT_PAUSE_TIMEOUT_MS,
    DEFAULT_START_CPU_LIMIT_MS, Limits, MAX_HELD_RESPONSE_BODY,
};
use crate::abi::property::Encoding;
use crate::abi::types::LogLevel;
use crate::callbacks::Callbacks;
use crate::callout::Upstreams;
use crate::context::log::log_line;
use crate::context::{Current, Ids, PluginInfo, State};
use crate::host::{Host, Request};
use crate::hostcalls::wasi;
use crate::vm::instance::Prepared;
use crate::vm::{Allowance, Callback, CpuLimit, Instance, Trap, cache, cpu_time, ticker};

/// The exports that host functions get guest memory from, the first one first.
pub(super) const ALLOCATORS: [&str; 2] = ["malloc", "proxy_on_memory_allocate"];

/// What the operator says of a plugin.
#[derive(Clone, Debug)]
pub struct Options {
    /// `plugin_root_id`.
    pub root_id: Vec<u8>,
    /// Plugins of one VM id share data and queues; `None`: the plugin's own.
    pub vm_id: Option<Vec<u8>>,
    /// For `proxy_on_vm_start`.
    pub vm_configuration: Vec<u8>,
    /// Environment variables: `NAME=value` and a NUL each.
    pub environment: Vec<Vec<u8>>,
    /// What it may import and export.
    pub capabilities: Capabilities,
    pub encoding: Encoding,
    /// Headers that are not UTF-8 are kept from it.
    pub only_text_headers: bool,
    pub ids: Ids,
    pub resume_after_callouts: bool,
    /// Run ticks in the first worker only.
    pub ticks_in_one: bool,
    /// Milliseconds after which a paused request is answered with 504.
    pub pause_timeout_ms: u32,
    /// Where its callouts may go.
    pub upstreams: Rc<Upstreams>,
    /// Run request and response callbacks in subrequests, too.
    pub subrequests: bool,
    /// Call `proxy_on_request_body`, if it is there.
    pub request_body: bool,
    /// Call `proxy_on_response_body`, if it is there.
    pub response_body: bool,
    /// Bytes of a response body that a Pause holds back.
    pub max_held_body: usize,
    pub limits: Limits,
    /// Milliseconds of CPU time for one callback.
    pub cpu_limit_ms: u32,
    /// The same for entry points and for a root context's start.
    pub start_cpu_limit_ms: u32,
    /// Bytes of linear memory.
    pub memory_limit: usize,
    /// How its code is got.
    pub code: cache::How,
    /// What becomes of requests that the plugin has failed.
    pub policy: Policy,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            root_id: Vec::new(),
            vm_id: None,
            vm_configuration: Vec::new(),
            environment: Vec::new(),
            capabilities: Capabilities::default(),
            encoding: Encoding::default(),
            only_text_headers: false,
            ids: Ids::default(),
            resume_after_callouts: false,
            ticks_in_one: false,
            pause_timeout_ms: DEFAULT_PAUSE_TIMEOUT_MS,
            upstreams: Rc::default(),
            subrequests: false,
            request_body: true,
            response_body: true,
            max_held_body: MAX_HELD_RESPONSE_BODY,
            limits: Limits::default(),
            cpu_limit_ms: DEFAULT_CPU_LIMIT_MS,
            start_cpu_limit_ms: DEFAULT_START_CPU_LIMIT_MS,
            memory_limit: DEFAULT_MEMORY_LIMIT,
            code: cache::How::default(),
            policy: Policy::default(),
        }
    }
}

impl Options {
    fn cpu_limit(&self) -> CpuLimit {
        CpuLimit {
            ms: self.cpu_limit_ms,
            option: "cpu_limit",
        }
    }

    fn start_cpu_limit(&self) -> CpuLimit {
        CpuLimit {
            ms: self.start_cpu_limit_ms,
            option: "start_cpu_limit",
        }
    }
}

/// Live code with its callbacks.
pub(super) struct Running {
    pub instance: Instance<State>,
    pub callbacks: Callbacks,
}

/// The contexts are kept whether or not an instance lives: between two
/// instances they rest here.
pub(super) enum Life {
    Running(Box<Running>),
    /// No instance: not made yet, or lost.
    Resting(Box<State>),
    /// While the engine makes or frees an instance, and nothing else runs.
    Changing,
}

pub struct Plugin {
    pub(super) host: Rc<dyn Host>,
    pub(super) info: Rc<PluginInfo>,
    pub(super) options: Options,
    /// `None`: the module is still on its way.
    pub(super) prepared: Option<Prepared<State>>,
    pub(super) late: Late,
    pub(super) life: Life,
    pub(super) wants: Wants,
    pub(super) back_off: BackOff,
    pub(super) turned_away: TurnedAway,
    /// It is to have an instance without a request, too: it has ticks or
    /// queues, or was started by the operator.
    pub(super) on_its_own: bool,
    /// Warnings that are given once.
    pub(super) told: Vec<&'static str>,
}

impl Plugin {
    /// The contexts, whoever has them.
    pub(super) fn state(&mut self) -> &mut State {
        match &mut self.life {
            Life::Running(running) => running.instance.state(),
            Life::Resting(state) => state,
            Life::Changing => unreachable!("a change is over before anybody looks"),
        }
    }

    pub(super) fn log(&self, level: LogLevel, line: &str) {
        self.log_in(None, level, line);
    }

    /// As [`Plugin::log`], for what is about a request.
    pub(super) fn log_in(&self, request: Option<Request>, level: LogLevel, line: &str) {
        log_line(
            &*self.host,
            &self.info.name,
            request,
            level,
            line.as_bytes(),
        );
    }

    /// Warns, the first time: what goes wrong in one request, does in all of
    /// them.
    pub(super) fn tell_once(&mut self, request: Option<Request>, line: &'static str) {
        if !self.told.contains(&line) {
            self.told.push(line);
            self.log_in(request, LogLevel::Warn, line);
        }
    }

    /// The living instance, made with all its root contexts if there is none.
    ///
    /// Errors: the callback that failed, or it failed too often: there is a
    /// time before the next attempt.
    pub(super) fn running(&mut self) -> Result<&mut Running, Error> {
        if let Life::Resting(_) = self.life {
            self.may_start()?;
            self.start()?;
        }
        match &mut self.life {
            Life::Running(running) => Ok(running),
            _ => Err(Error::Unavailable("the plugin has no instance".to_owned())),
        }
    }

    fn start(&mut self) -> Result<(), Error> {
        let code = self.check_code();
        if code != Err(Error::Compiling) {
            self.code_came(code.is_ok());
        }
        if let Err(why) = code {
            if let Error::Load(cause) = &why
                && std::mem::take(&mut self.on_its_own)
            {
                // Its timer would try again for ever, and nobody would know.
                let line = format!("no instance can be made: {cause}");
                self.log(LogLevel::Error, &line);
            }
            return Err(why);
        }
        tell_complaint(&*self.host, &self.info.name);
        let Some(prepared) = &self.prepared else {
            return Err(Error::Compiling);
        };
        let Life::Resting(mut state) = std::mem::replace(&mut self.life, Life::Changing) else {
            return Ok(());
        };
        state.restricted = true;
        self.back_off.starts(cpu_time());
        let allowance = Allowance {
            cpu: self.options.start_cpu_limit(),
            memory: self.options.memory_limit,
            table_elements: self.options.limits.table_elements as usize,
        };
        match Instance::new(prepared, *state, allowance) {
            Ok(instance) => {
                self.life = Life::Running(Box::new(Running {
                    instance,
                    callbacks: Callbacks::default(),
                }));
            }
            Err((trap, mut state)) => {
                state.restricted = false;
                self.life = Life::Resting(Box::new(state));
                let line = format!("no instance can be made: {}", trap.message);
                self.log(LogLevel::Error, &line);
                self.failed();
                let cause = trap.cause();
                return Err(Error::Load(format!("no instance can be made: {cause}")));
            }
        }
        if let Life::Running(running) = &mut self.life {
            running.instance.set_allocator(&ALLOCATORS);
            let entered = enter(&mut running.instance);
            running.instance.state().restricted = false;
            wasi::flush(running.instance.state());
            let capabilities = &self.options.capabilities;
            running.callbacks =
                Callbacks::find(&mut running.instance, |name| capabilities.allow(name));
            if let Err((name, trap)) = entered {
                return Err(self.lose(name, trap));
            }
        }

        if let Err((root, why)) = self.start_roots() {
            if self.is_running() {
                let line = format!("the instance is dropped: {why} (root context {root})");
                self.log(LogLevel::Error, &line);
                self.end_instance();
                self.failed();
            }
            return Err(why);
        }
        self.back_off.started(Instant::now(), cpu_time());
        Ok(())
    }

    // -- root contexts -----------------------------------------------------

    /// Makes a root context with this configuration and gives its id. A
    /// `trial` (in the master process) runs it on an instance that is thrown
    /// away: workers make their own.
    ///
    /// While the code is still compiled, the root context is made unseen.
    ///
    /// Errors: a callback failed or refused; the root context is gone. Where it
    /// refused, other root contexts are not touched.
    pub fn add_root(&mut self, configuration: &[u8], trial: bool) -> Result<u32, Error> {
        // The master forks.
        let _no_thread_after = trial.then(ticker::until_drop);
        self.guard(|plugin| plugin.make_root(configuration, trial))
    }

    /// As [`Plugin::add_root`], right after [`Plugin::load_later`]: while
    /// a thread reads the file, the root context is made unseen, however soon it
    /// ends. What is wrong is then always found out later, not now and then.
    pub fn add_root_later(&mut self, configuration: &[u8]) -> Result<u32, Error> {
        if !(self.late.is_read && self.is_unknown()) {
            return self.add_root(configuration, false);
        }
        self.guard(|plugin| {
            let root = plugin.state().contexts.add_root(configuration);
            plugin.try_root_later(root);
            Ok(root)
        })
    }

    fn make_root(&mut self, configuration: &[u8], trial: bool) -> Result<u32, Error> {
        if self.state().contexts.roots.is_empty() {
            // Nobody uses the plugin: how often to try is the caller's affair.
            self.back_off = BackOff::default();
        }
        // Before the new root is there: a start would configure it, too.
        let started = self.running().map(drop);
        let root = self.state().contexts.add_root(configuration);
        if let Err(Error::Compiling) = started {
            self.try_root_later(root);
            return Ok(root);
        }
        let configured = started.and_then(|()| self.start_root(root));
        if configured.is_err() {
            self.close_root(root);
            // It was never in use: there is nothing to wait for.
            if self.state().contexts.roots.contains_key(&root) {
                self.delete_root(root);
            }
        }
        // What refused its only configuration begins anew with the next one.
        if trial || self.state().contexts.roots.is_empty() {
            self.end_instance();
            self.on_its_own = false;
        }
        configured.map(|()| root)
    }

    pub(super) fn start_root(&mut self, root: u32) -> Result<(), Error> {
        self.limit_cpu(self.options.start_cpu_limit());
        let started = self.run_start(root);
        self.limit_cpu(self.options.cpu_limit());
        started
    }

    fn limit_cpu(&mut self, limit: CpuLimit) {
        if let Life::Running(running) = &mut self.life {
            running.instance.limit_cpu(limit);
        }
    }

    fn run_start(&mut self, root: u32) -> Result<(), Error> {
        let sizes = (
            self.info.vm_configuration.len() as u32,
            self.state().contexts.roots[&root].configuration.len() as u32,
        );
        self.call(root, "proxy_on_context_create", |running| {
            call(running, |c| &c.proxy_on_context_create, (root, 0))
        })?;
        for (name, size) in [
            ("proxy_on_vm_start", sizes.0),
            ("proxy_validate_configuration", sizes.1),
            ("proxy_on_configure", sizes.1),
        ] {
            let params = (root, size);
            let accepted = self.call(root, name, |running| match name {
                "proxy_on_vm_start" => call(running, |c| &c.proxy_on_vm_start, params),
                "proxy_on_configure" => call(running, |c| &c.proxy_on_configure, params),
                _ => call(running, |c| &c.proxy_validate_configuration, params),
            })?;
            if accepted == Some(0) {
                return Err(Error::Callback {
                    callback: name,
                    cause: "the plugin refused its configuration".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Ends a root context: at once, or with the last request that has a
    /// context under it.
    pub fn close_root(&mut self, root: u32) {
        // A panic is in the log.
        let _ = self.guard(|plugin| {
            plugin.end_root(root);
            Ok(())
        });
    }

    fn end_root(&mut self, root: u32) {
        let Some(context) = self.state().contexts.roots.get_mut(&root) else {
            return;
        };
        context.closing = true;
        if context.children > 0 {
            return;
        }
        let lost = context.lost;
        if self.forget_late(root) || lost {
            self.state().remove_root(root);
            return;
        }
        if let Life::Running(_) = self.life {
            // A failure is in the log; the root is gone either way.
            let done = self.call(root, "proxy_on_done", |running| {
                call(running, |c| &c.proxy_on_done, (root,))
            });
            // wasm-nginx-module does not wait.
            let waits = self.options.ids == Ids::Unique && matches!(done, Ok(Some(0)));
            if waits && let Some(context) = self.state().contexts.roots.get_mut(&root) {
                // It says `proxy_done` when it is.
                context.done_pending = true;
                return;
            }
        }
        self.delete_root(root);
    }

    fn delete_root(&mut self, root: u32) {
        if let Life::Running(_) = self.life {
            let _ = self.call(root, "proxy_on_delete", |running| {
                call(running, |c| &c.proxy_on_delete, (root,))
            });
        }
        self.state().remove_root(root);
    }

    // -- calling -----------------------------------------------------------

    /// Runs guest callbacks for a context of the living instance.
    ///
    /// Errors: the instance is lost.
    pub(super) fn call<R>(
        &mut self,
        context: u32,
        name: &'static str,
        run: impl FnOnce(&mut Running) -> Result<R, Trap>,
    ) -> Result<R, Error> {
        let Life::Running(running) = &mut self.life else {
            return Err(Error::Lost("the plugin has no instance".to_owned()));
        };
        let state = running.instance.state();
        state.calls = state.calls.wrapping_add(1);
        state.current = Current {
            active: context,
            effective: context,
        };
        let result = run(running);
        let state = running.instance.state();
        match result {
            Ok(result) if state.stdio.is_empty() && state.done.is_empty() => {
                state.current = Current::default();
                Ok(result)
            }
            result => self.end_call(name, result),
        }
    }

    /// The end of a call that failed or has left something to do.
    #[cold]
    fn end_call<R>(&mut self, name: &'static str, result: Result<R, Trap>) -> Result<R, Error> {
        let state = self.state();
        if !state.stdio.is_empty() {
            wasi::flush(state);
        }
        let done = std::mem::take(&mut state.done);
        let result = match result {
            Ok(result) => {
                state.current = Current::default();
                Ok(result)
            }
            Err(trap) => Err(self.lose(name, trap)),
        };
        for root in done {
            self.delete_root(root);
        }
        result
    }
}

/// Calls a callback that the guest exports; `None` when it has none.
pub(super) fn call<P, R>(
    running: &mut Running,
    callback: impl FnOnce(&Callbacks) -> &Option<Callback<P, R>>,
    params: P,
) -> Result<Option<R>, Trap>
where
    P: crate::vm::Params,
    R: crate::vm::Results,
{
    match callback(&running.callbacks) {
        Some(callback) => running.instance.call(callback, params).map(Some),
        None => Ok(None),
    }
}

/// Runs the module's entry points: `_initialize` and then `main`, or `_start`.
fn enter(instance: &mut Instance<State>) -> Result<(), (&'static str, Trap)> {
    if let Some(initialize) = instance.callback::<(), ()>("_initialize") {
        run_entry(instance, "_initialize", &initialize, ())?;
        if let Some(main) = instance.callback::<(u32, u32), u32>("main") {
            run_entry(instance, "main", &main, (0, 0))?;
        } else if let Some(main) = instance.callback::<(), u32>("__main_void") {
            run_entry(instance, "__main_void", &main, ())?;
        }
    } else if let Some(start) = instance.callback::<(), ()>("_start") {
        run_entry(instance, "_start", &start, ())?;
    }
    Ok(())
}

fn run_entry<P, R>(
    instance: &mut Instance<State>,
    name: &'static str,
    entry: &Callback<P, R>,
    params: P,
) -> Result<(), (&'static str, Trap)>
where
    P: crate::vm::Params,
    R: crate::vm::Results,
{
    match instance.call(entry, params) {
        // A command ends with an exit when all is well.
        Err(trap) if trap.exit == Some(0) => Ok(()),
        Err(trap) => Err((name, trap)),
        Ok(_) => Ok(()),
    }
}
