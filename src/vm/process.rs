//! What the operating system says of this process, and threads in it.

use std::io;
use std::mem::MaybeUninit;
use std::panic::{catch_unwind, resume_unwind};
use std::ptr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Whose rights the process has.
pub fn user() -> u32 {
    // SAFETY: it takes nothing, and cannot fail.
    unsafe { libc::geteuid() }
}

/// Bytes of address space that the process may have (`ulimit -v`); `None`
/// without a limit.
pub fn address_space() -> Option<u64> {
    limit(libc::RLIMIT_AS)
}

fn limit(of: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: it writes to that variable alone.
    if unsafe { libc::getrlimit(of, limit.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: written, as it said.
    let limit = unsafe { limit.assume_init() }.rlim_cur;
    (limit != libc::RLIM_INFINITY).then_some(limit)
}

/// Bytes that the stack of the calling thread may grow to (`ulimit -s`); `None`
/// where it is not the main thread, or has no limit.
pub fn stack() -> Option<u64> {
    // SAFETY: neither takes anything, and neither can fail.
    let is_main = unsafe { libc::gettid() == libc::getpid() };
    is_main.then(|| limit(libc::RLIMIT_STACK)).flatten()
}

/// The CPU time that the calling thread has used.
pub fn cpu_time() -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: it writes to that variable alone.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, time.as_mut_ptr()) };
    assert_eq!(result, 0, "every Linux has this clock");
    // SAFETY: written, as it said.
    let time = unsafe { time.assume_init() };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Lets a signal for a fault that somebody sends, and that nothing here has
/// done, end the process as it always does. To be called before the engine puts
/// its handler before this one: that takes each signal for a fault, goes back to
/// the default and waits for the fault to come again, which does not come.
pub fn die_of_sent_faults() {
    for signal in [libc::SIGSEGV, libc::SIGILL, libc::SIGFPE] {
        let mut before = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: it writes to that variable alone.
        if unsafe { libc::sigaction(signal, ptr::null(), before.as_mut_ptr()) } != 0 {
            continue;
        }
        // SAFETY: written, as it said.
        let mut action = unsafe { before.assume_init() };
        // Others have their own ideas.
        if action.sa_sigaction != libc::SIG_DFL {
            continue;
        }
        action.sa_sigaction = fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // SAFETY: the handler is never unloaded (`-z nodelete`), and calls only
        // what may be called in one.
        unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
    }
}

/// A fault that is no guest's: to the default. A real one comes again at once,
/// one that was sent is sent again.
extern "C" fn fault(signal: libc::c_int, info: *const libc::siginfo_t, _: *const libc::c_void) {
    let _ = catch_unwind(|| {
        // SAFETY: the kernel's own description of the signal, readable until the
        // handler returns.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            if (*info).si_code <= libc::SI_USER {
                libc::raise(signal);
            }
        }
    });
}

/// Starts a thread that no signal is ever delivered to: nginx's are meant for
/// its one thread. It must be over before a fork, which would leave it behind.
///
/// Errors: the system has no thread to give.
pub fn start_thread(
    name: &str,
    stack: usize,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let builder = thread::Builder::new()
        .name(name.to_owned())
        .stack_size(stack);
    without_signals(|| builder.spawn(run))
}

/// Lets the calling thread take less of a busy machine than the one that serves
/// requests: the scheduler gives it a third of that one's share.
pub fn step_back() {
    // SAFETY: it takes a number. On Linux it is the calling thread's alone.
    unsafe { libc::nice(5) };
}

/// Runs this on a stack of at least so many bytes: the main thread's own, or
/// where that is smaller, a thread's that is over when this returns.
pub fn on_stack<R: Send>(bytes: usize, run: impl FnOnce() -> R + Send) -> R {
    if stack().is_none_or(|own| own >= bytes as u64) {
        return run();
    }
    let mut run = Some(run);
    let made = thread::scope(|scope| {
        let job = || run.take().map(|run| run());
        let builder = thread::Builder::new().stack_size(bytes);
        let thread = without_signals(|| builder.spawn_scoped(scope, job));
        thread.ok().map(|thread| thread.join())
    });
    match made {
        Some(Ok(Some(result))) => result,
        Some(Err(panic)) => resume_unwind(panic),
        // There is no thread to be had.
        _ => run.take().expect("nobody has run it")(),
    }
}

/// Starts a thread with all signals blocked.
fn without_signals<T>(spawn: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both write to these variables alone; the mask is this thread's,
    // and a new thread begins with it.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let started = spawn();
    // SAFETY: what the call above wrote, which cannot fail with these arguments.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
    }
    started
}
