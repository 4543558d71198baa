//! The plugins of this worker.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Instant;

use super::lifecycle::Plugin;
use super::status::Status;
use crate::context::Effect;

pub type Shared = Rc<RefCell<Plugin>>;

thread_local! {
    static PLUGINS: RefCell<Vec<Weak<RefCell<Plugin>>>> = RefCell::default();
    /// Plugins that may have no owner left, but something to end.
    static KEPT: RefCell<Vec<Shared>> = RefCell::default();
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
pub fn sweep() -> u32 {
    let plugins = all();
    let swept = plugins
        .iter()
        .filter_map(|plugin| plugin.try_borrow_mut().ok());
    let alive = swept.map(|mut plugin| plugin.sweep()).sum();
    let_go();
    alive
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

/// Runs what is due in all plugins. Gives the milliseconds until something is
/// due again.
pub fn run_timers() -> Option<u32> {
    let plugins = all();
    let ready = plugins
        .iter()
        .filter_map(|plugin| plugin.try_borrow_mut().ok());
    let next = ready
        .filter_map(|mut plugin| plugin.run_timers(Instant::now()))
        .min();
    let_go();
    next
}

/// The next piece of work that is no request's own, with its plugin.
pub fn next_effect() -> Option<(Shared, Effect)> {
    PLUGINS.with_borrow(|plugins| {
        plugins.iter().filter_map(Weak::upgrade).find_map(|plugin| {
            let effect = plugin.try_borrow_mut().ok()?.next_shared_effect()?;
            Some((plugin, effect))
        })
    })
}
