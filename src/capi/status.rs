//! What plugins have at this moment, in this worker.

use std::cell::RefCell;

use super::handle::{rpw_str, wall};
use crate::plugin::{Status, registry};

/// What one plugin has.
#[repr(C)]
pub struct rpw_status {
    pub name: rpw_str,
    /// 1: it has an instance.
    pub running: i32,
    /// 1: its code is compiled in the background.
    pub compiling: i32,
    /// Milliseconds in which it gets no instance, as it has failed.
    pub back_off: i32,
    /// KiB of the instance's linear memory.
    pub memory_kib: i32,
    pub root_contexts: i32,
    pub http_contexts: i32,
    /// Http contexts that wait.
    pub paused: i32,
    /// Callouts that were asked for and not answered yet.
    pub callouts: i32,
}

thread_local! {
    static TAKEN: RefCell<Vec<Status>> = RefCell::default();
}

/// Looks at all plugins of this worker, for `rpw_status_of`. Gives their
/// number; one that is in the middle of a call is not among them.
#[unsafe(no_mangle)]
pub extern "C" fn rpw_status_take() -> i32 {
    wall(0, || {
        let taken = registry::status();
        let count = number(taken.len());
        TAKEN.set(taken);
        count
    })
}

/// What the plugin of this index had, from 0 on; its name is lent until the
/// next `rpw_status_take`. Gives 1, or 0 when there are not so many.
///
/// # Safety
///
/// `status` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_status_of(index: i32, status: *mut rpw_status) -> i32 {
    wall(0, || {
        TAKEN.with_borrow(|taken| {
            let Some(of) = usize::try_from(index)
                .ok()
                .and_then(|index| taken.get(index))
            else {
                return 0;
            };
            let filled = rpw_status {
                name: rpw_str::lend(&of.name),
                running: of.running.into(),
                compiling: of.compiling.into(),
                back_off: number(of.back_off_ms as usize),
                memory_kib: number(of.memory >> 10),
                root_contexts: number(of.root_contexts),
                http_contexts: number(of.http_contexts),
                paused: number(of.paused),
                callouts: number(of.callouts),
            };
            // SAFETY: writable, as promised.
            unsafe { status.write(filled) };
            1
        })
    })
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
