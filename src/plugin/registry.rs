//! The plugins of this worker.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::lifecycle::Plugin;
use super::pause;
use super::status::Status;
use crate::abi::limits::TURN_MS;
use crate::context::{Effect, SharedEffects};

pub type Shared = Rc<RefCell<Plugin>>;

const TURN: Duration = Duration::from_millis(TURN_MS);

thread_local! {
    static PLUGINS: RefCell<Vec<Weak<RefCell<Plugin>>>> = RefCell::default();
    /// Where among them the last effect was found: the next one mostly is, too.
    static FOUND_AT: Cell<usize> = const { Cell::new(0) };
    /// Plugins that may have no owner left, but something to end.
    static KEPT: RefCell<Vec<Shared>> = RefCell::default();
    static SWEEP_AGAIN: Cell<Option<u32>> = const { Cell::new(None) };
    /// The plugin that had no turn in the last round of timers.
    static NEXT: RefCell<Weak<RefCell<Plugin>>> = const { RefCell::new(Weak::new()) };
    /// Root contexts that lost their owner while a call of their plugin waited.
    static CLOSING: RefCell<Vec<(Shared, u32)>> = RefCell::default();
}

/// Makes a plugin known; it is forgotten when its last owner drops it.
pub fn register(plugin: Plugin) -> Shared {
    let plugin = Rc::new(RefCell::new(plugin));
    PLUGINS.with_borrow_mut(|plugins| {
        plugins.retain(|plugin| plugin.strong_count() > 0);
        plugins.push(Rc::downgrade(&plugin));
    });
    plugin
}

/// Ends a root context that lost its owner; while a call of its plugin waits,
/// only remembers to.
pub fn close(plugin: Shared, root: u32) {
    let closed = plugin.try_borrow_mut().map(|mut plugin| {
        // Requests that are over do not keep it.
        plugin.sweep();
        plugin.close_root(root);
    });
    match closed {
        Ok(()) => release(plugin),
        Err(_) => CLOSING.with_borrow_mut(|closing| closing.push((plugin, root))),
    }
}

/// Ends what could not be ended while calls waited.
pub fn close_late() {
    for (plugin, root) in CLOSING.take() {
        close(plugin, root);
    }
}

/// Takes a plugin from an owner: it lives on until its last request is over
/// and its last root context is done, so that no context ends without its last
/// callbacks.
fn release(plugin: Shared) {
    if plugin.borrow_mut().is_needed() {
        KEPT.with_borrow_mut(|kept| {
            if !kept.iter().any(|other| Rc::ptr_eq(other, &plugin)) {
                kept.push(plugin);
            }
        });
    }
}

/// Ends kept plugins that nothing needs any more.
fn let_go() {
    // Taken out first: the last owner of a plugin ends it here.
    let over = KEPT.with_borrow_mut(|kept| {
        kept.extract_if(.., |plugin| {
            let plugin = plugin.try_borrow_mut();
            plugin.is_ok_and(|mut plugin| !plugin.is_needed())
        })
        .collect::<Vec<_>>()
    });
    drop(over);
}

pub fn all() -> Vec<Shared> {
    PLUGINS.with_borrow(|plugins| plugins.iter().filter_map(Weak::upgrade).collect())
}

/// Ends the contexts of requests that ended without a log phase. Gives the
/// number of http contexts that live.
///
/// Each plugin has its turn, pause or not: none's contexts wait for another's.
/// What a turn is too short for goes on behind the pause.
pub fn sweep() -> u32 {
    let (alive, more) = pause::count(Instant::now(), || {
        let plugins = all();
        let ready = plugins
            .iter()
            .filter_map(|plugin| plugin.try_borrow_mut().ok());
        let swept = ready.map(|mut plugin| plugin.sweep());
        let all = swept.fold((0, false), |(alive, more), swept| {
            (alive + swept.alive, more || swept.more)
        });
        let_go();
        all
    });
    SWEEP_AGAIN.set(more.then(|| pause::left(Instant::now()).max(1)));
    alive
}

/// The milliseconds until the next sweep, where the last one has left something
/// to end.
pub fn sweep_again() -> Option<u32> {
    SWEEP_AGAIN.get()
}

/// The number of http contexts that are paused.
pub fn paused() -> usize {
    let plugins = all();
    let known = plugins
        .iter()
        .filter_map(|plugin| plugin.try_borrow_mut().ok());
    known.map(|mut plugin| plugin.paused()).sum()
}

/// What each plugin has; one that is in the middle of a call cannot be asked.
pub fn status() -> Vec<Status> {
    let plugins = all();
    let idle = plugins
        .iter()
        .filter_map(|plugin| plugin.try_borrow_mut().ok());
    idle.map(|mut plugin| plugin.status()).collect()
}

/// Runs what is due in all plugins, unless there is a pause behind what was.
/// Gives the milliseconds until something is due again. Where that takes too
/// long, other plugins have their turn behind the pause, before those that had
/// theirs.
pub fn run_timers(now: Instant) -> Option<u32> {
    pause::around(now, || {
        let began = Instant::now();
        let mut plugins = all();
        let first = NEXT.take();
        let first = plugins
            .iter()
            .position(|it| Rc::as_ptr(it) == first.as_ptr());
        plugins.rotate_left(first.unwrap_or(0));
        let mut next = None;
        for plugin in &plugins {
            let took = began.elapsed();
            if took >= TURN {
                NEXT.set(Rc::downgrade(plugin));
                next = Some(1);
                break;
            }
            if let Ok(mut plugin) = plugin.try_borrow_mut() {
                let own = plugin.run_timers(now + took);
                next = next.into_iter().chain(own).min();
            }
        }
        let_go();
        next
    })
}

/// The milliseconds of the pause that are left for what needs no request; 0:
/// there is none.
pub fn pause_left() -> u32 {
    pause::left(Instant::now())
}

/// The next piece of work that is no request's own, with its plugin. What a
/// plugin has that is in the middle of a call comes later.
pub fn next_effect() -> Option<(Shared, Effect)> {
    if !SharedEffects::are_left() {
        return None;
    }
    PLUGINS.with_borrow(|plugins| {
        let (before, from) = plugins.split_at(FOUND_AT.get().min(plugins.len()));
        let found = from
            .iter()
            .chain(before)
            .enumerate()
            .find_map(|(at, plugin)| {
                let plugin = plugin.upgrade()?;
                let effect = plugin.try_borrow_mut().ok()?.next_shared_effect()?;
                Some((at, plugin, effect))
            });
        let (at, plugin, effect) = found?;
        if at > 0 {
            FOUND_AT.set((before.len() + at) % plugins.len());
        }
        Some((plugin, effect))
    })
}
