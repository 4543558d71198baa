//! A thread that makes guest calls look at the clock.
//!
//! Compiled code compares the engine's epoch with a deadline at every loop and
//! function, which costs next to nothing. This thread moves the epoch on while
//! guests are called; a call that meets its deadline looks at the CPU time that
//! its own thread has used (src/vm/budget.rs). So what the thread sleeps is
//! measured by the wall, and what a guest uses by the guest's own thread: on a
//! busy machine a call only looks more often.
//!
//! # When there is such a thread
//!
//! The first call makes it, and all signals are blocked in it: they are nginx's.
//! A second after the last call it stands still. Then it is woken by the next
//! one; while it is awake, a call makes no system call.
//!
//! A process that forks must have no thread, so the master ends it with
//! [`until_drop`]. Should a process fork all the same, its child has none, and
//! finds out when it makes an instance; it inherits none (ARCHITECTURE.md).
#![forbid(unsafe_code)]

use std::ops::ControlFlow;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::engine::engines;
use super::process;
use crate::abi::limits::{MAX_TICK_MS, MAX_TICKS, MIN_TICK_MS};

/// How long the thread stays awake after the last call.
const AWAKE_FOR: Duration = Duration::from_secs(1);

/// No thread: not made yet, or ended.
const NONE: u32 = 0;
const AWAKE: u32 = 1;
const ASLEEP: u32 = 2;
const ENDING: u32 = 3;

static STATE: AtomicU32 = AtomicU32::new(NONE);
/// A guest was called, or looked at the clock, since the last tick.
static CALLED: AtomicBool = AtomicBool::new(false);
static TICK_MS: AtomicU32 = AtomicU32::new(MAX_TICK_MS);
static THREAD: Mutex<Option<Thread>> = Mutex::new(None);
/// The [`UntilDrop`]s that there are: one may begin inside another.
static UNTIL_DROP: AtomicU32 = AtomicU32::new(0);

struct Thread {
    handle: JoinHandle<()>,
    process: u32,
}

/// Makes ticks so short that this limit is told from twice as much.
pub fn serve(limit: Duration) {
    let tick = u32::try_from(limit.as_millis() / 8).unwrap_or(MAX_TICK_MS);
    TICK_MS.fetch_min(tick.clamp(MIN_TICK_MS, MAX_TICK_MS), Relaxed);
}

/// The whole ticks in this time; 1 at least, [`MAX_TICKS`] at most.
pub fn ticks(time: Duration) -> u64 {
    let ticks = time.as_millis() / u128::from(TICK_MS.load(Relaxed));
    u64::try_from(ticks).map_or(MAX_TICKS, |ticks| ticks.clamp(1, MAX_TICKS))
}

/// Makes sure that there is a thread in this very process.
///
/// Errors: none can be made.
pub fn start() -> Result<(), String> {
    drop(thread());
    // An engine that was made before is ticked, too: the thread looks for them
    // behind its own fence, if it falls asleep.
    fence(SeqCst);
    match STATE.load(SeqCst) {
        NONE => wake(),
        _ => Ok(()),
    }
}

/// The thread of this process, if there is one.
fn thread() -> MutexGuard<'static, Option<Thread>> {
    let mut thread = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some(stale) = thread.take_if(|thread| thread.process != process) {
        // A fork has left it behind: there is nothing to join or to detach.
        std::mem::forget(stale);
        STATE.store(NONE, SeqCst);
    }
    thread
}

/// Says that a guest is called now. Its deadline must have been set before, so
/// that it lies before the ticks with which the thread falls asleep.
///
/// Errors: there is no thread, and none can be made.
#[inline]
pub fn call() -> Result<(), String> {
    CALLED.store(true, Relaxed);
    // After the epoch was read for the deadline; no instruction on x86.
    fence(Acquire);
    match STATE.load(Relaxed) {
        AWAKE => Ok(()),
        _ => wake(),
    }
}

/// As [`call`], for a call that goes on: its new deadline is set afterwards.
pub fn go_on() -> Result<(), String> {
    // Either the thread sees this before it falls asleep, or this sees it
    // asleep.
    CALLED.store(true, SeqCst);
    match STATE.load(SeqCst) {
        AWAKE => Ok(()),
        _ => wake(),
    }
}

/// Ends the thread when the last of these is dropped, if there is one.
pub struct UntilDrop(());

/// For calls in a process that forks: what they start ends with the last of
/// these. A call may come to another, by a Lua function, and goes on after it.
pub fn until_drop() -> UntilDrop {
    UNTIL_DROP.fetch_add(1, SeqCst);
    UntilDrop(())
}

impl Drop for UntilDrop {
    fn drop(&mut self) {
        let mut thread = thread();
        if UNTIL_DROP.fetch_sub(1, SeqCst) > 1 {
            return;
        }
        let Some(Thread { handle, .. }) = thread.take() else {
            return;
        };
        STATE.store(ENDING, SeqCst);
        handle.thread().unpark();
        // It cannot have panicked; and if it had, it would be over, too.
        let _ = handle.join();
        STATE.store(NONE, SeqCst);
    }
}

#[cold]
fn wake() -> Result<(), String> {
    let mut thread = thread();
    if let Some(thread) = &*thread {
        if STATE
            .compare_exchange(ASLEEP, AWAKE, SeqCst, SeqCst)
            .is_ok()
        {
            thread.handle.thread().unpark();
        }
        return Ok(());
    }
    STATE.store(AWAKE, SeqCst);
    match process::start_thread("proxy_wasm_cpu", 64 << 10, run) {
        Ok(handle) => {
            let process = std::process::id();
            *thread = Some(Thread { handle, process });
            Ok(())
        }
        Err(why) => {
            STATE.store(NONE, SeqCst);
            Err(format!("no thread can be made to limit CPU time: {why}"))
        }
    }
}

/// Moves all engines on.
fn tick() {
    engines().for_each(wasmtime::Engine::increment_epoch);
}

fn run() {
    let mut quiet = Duration::ZERO;
    loop {
        let period = Duration::from_millis(TICK_MS.load(Relaxed).into());
        thread::park_timeout(period);
        if STATE.load(SeqCst) == ENDING {
            return;
        }
        tick();
        if CALLED.swap(false, SeqCst) {
            quiet = Duration::ZERO;
            continue;
        }
        quiet += period;
        if quiet >= AWAKE_FOR {
            quiet = Duration::ZERO;
            if sleep().is_break() {
                return;
            }
        }
    }
}

/// Stands still until a guest is called. Breaks when the thread must end.
fn sleep() -> ControlFlow<()> {
    if STATE
        .compare_exchange(AWAKE, ASLEEP, SeqCst, SeqCst)
        .is_err()
    {
        return ControlFlow::Break(());
    }
    if CALLED.swap(false, SeqCst) {
        // Wakes, unless somebody else already has.
        let _ = STATE.compare_exchange(ASLEEP, AWAKE, SeqCst, SeqCst);
        return ControlFlow::Continue(());
    }
    // A call may have found the thread awake, with a deadline that this reaches:
    // it then looks at the clock, and finds it asleep.
    fence(SeqCst);
    for _ in 0..MAX_TICKS {
        tick();
    }
    while STATE.load(SeqCst) == ASLEEP {
        thread::park();
    }
    match STATE.load(SeqCst) {
        ENDING => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}
