//! What a worker's timers do for all plugins, without a request.

use std::time::Instant;

use super::foreign;
use super::handle::wall;
use crate::plugin::registry;

/// Ends the contexts of requests that ended without a log phase, as many as there
/// is time for (`rpw_sweep_again`). Gives the number of http contexts that are
/// alive in this worker.
#[unsafe(no_mangle)]
pub extern "C" fn rpw_sweep() -> i32 {
    wall(0, || {
        foreign::call_all(0, || i32::try_from(registry::sweep()).unwrap_or(i32::MAX))
    })
}

/// The milliseconds until the next `rpw_sweep`, when the last one has left
/// contexts to end; otherwise 0.
#[unsafe(no_mangle)]
pub extern "C" fn rpw_sweep_again() -> i32 {
    wall(0, || number_of_ms(registry::sweep_again()))
}

/// The milliseconds that what needs no request is to wait, as such things took
/// as much of the worker; 0: it need not.
#[unsafe(no_mangle)]
pub extern "C" fn rpw_pause_left() -> i32 {
    wall(0, || number_of_ms(Some(registry::pause_left())))
}

fn number_of_ms(ms: Option<u32>) -> i32 {
    ms.map_or(0, |ms| i32::try_from(ms).unwrap_or(i32::MAX))
}

/// The number of requests of this worker that are paused.
#[unsafe(no_mangle)]
pub extern "C" fn rpw_paused() -> i32 {
    wall(0, || i32::try_from(registry::paused()).unwrap_or(i32::MAX))
}

/// Runs the ticks and queue callbacks that are due. Gives the milliseconds
/// until something is due again, or 0 when nothing is. There may be effects to
/// pull.
#[unsafe(no_mangle)]
pub extern "C" fn rpw_run_timers() -> i32 {
    wall(0, || {
        foreign::call_all(0, || number_of_ms(registry::run_timers(Instant::now())))
    })
}
