//! WASI preview 1, as much of it as a plugin has any business with: clocks,
//! randomness, and stdout and stderr that end up in the log. There are no
//! files, no sockets, no arguments, and of the environment only what the
//! operator says.
//!
//! Every function of WASI is here under its own signature, and those that do
//! nothing answer what Envoy answers: language runtimes are known to start
//! with these numbers.
//!
//! Both names of the module mean the same functions. Snapshot 0
//! (`wasi_unstable`) has their signatures; it differs in how `fd_seek` counts
//! `whence` and in the layout of file statistics, subscriptions and events,
//! none of which is ever read or written here. `sock_accept`, which it lacks,
//! does no harm there.

mod environ;
mod stdio;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use self::stdio::flush;

use super::clocks::wall_clock_nanoseconds;
use super::table::{Linked, has_type};
use crate::abi::limits::MAX_RANDOM_BYTES;
use crate::context::State;
use crate::vm::guest::{self, Fault, HostResult};
use crate::vm::{GuestCaller, GuestLinker, WasmType};

/// The names that guests import WASI under.
pub const MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// WASI's own error numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
enum Errno {
    Success = 0,
    BadF = 8,
    Exist = 20,
    Fault = 21,
    Inval = 28,
    Io = 29,
    NoEnt = 44,
    NoMem = 48,
    NoSys = 52,
    NotSup = 58,
}

use Errno::{BadF, Exist, NoEnt, NoSys, NotSup, Success};

/// How a function ends when it does not succeed.
enum Failure {
    Errno(Errno),
    Fault(Fault),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure::Errno(errno)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Fault(fault)
    }
}

type Answer = Result<(), Failure>;

/// The number for the guest, or the error that ends the guest call.
fn errno(answer: Answer) -> HostResult<i32> {
    let errno = match answer {
        Ok(()) => Success,
        Err(Failure::Errno(errno)) => errno,
        Err(Failure::Fault(Fault::OutOfBounds)) => Errno::Fault,
        Err(Failure::Fault(Fault::NoMemory)) => Errno::NoMem,
        Err(Failure::Fault(fault @ Fault::End(_))) => return guest::raise(fault),
    };
    Ok(errno as i32)
}

/// One function of WASI: `= number` always answers that, `=> function` calls
/// the function of this room with the guest's memory, the state and the
/// arguments.
macro_rules! wasi_shim {
    ([$($arg:ident: $type:ident)*] = $errno:expr) => {
        |$($arg: $type),*| -> i32 {
            let errno: Errno = $errno;
            errno as i32
        }
    };
    ([$($arg:ident: $type:ident)*] => $function:expr) => {
        |mut caller: GuestCaller<'_, State>, $($arg: $type),*| -> HostResult<i32> {
            errno(match guest::split(&mut caller) {
                Ok((memory, state)) => $function(memory, state, $($arg),*),
                Err(fault) => Err(fault.into()),
            })
        }
    };
}

macro_rules! wasm_type {
    (u32) => {
        WasmType::I32
    };
    (u64) => {
        WasmType::I64
    };
}

macro_rules! wasi_table {
    ($($name:literal ($($arg:ident: $type:ident),*) $kind:tt $what:expr;)*) => {
        /// The names of all functions.
        pub const NAMES: &[&str] = &[$($name,)* "proc_exit"];

        /// Defines the WASI function that an import asks for.
        ///
        /// Errors: the linker's, in words.
        #[allow(unused_variables, reason = "rows whose answer is always the same")]
        pub fn link(
            linker: &mut GuestLinker<State>,
            module: &str,
            name: &str,
            params: &[WasmType],
            results: &[WasmType],
        ) -> Result<Linked, String> {
            if !MODULES.contains(&module) {
                return Ok(Linked::Unknown);
            }
            let defined = match name {
                $($name => {
                    if !has_type(params, results, &[$(wasm_type!($type)),*]) {
                        return Ok(Linked::WrongType);
                    }
                    linker.func_wrap(module, name, wasi_shim!([$($arg: $type)*] $kind $what))
                })*
                // The only one without a result.
                "proc_exit" => {
                    if params != [WasmType::I32] || !results.is_empty() {
                        return Ok(Linked::WrongType);
                    }
                    linker.func_wrap(module, name, proc_exit)
                }
                _ => return Ok(Linked::Unknown),
            };
            defined
                .map(|_| Linked::Built)
                .map_err(|error| error.to_string())
        }
    };
}

wasi_table! {
    "args_get"(argv: u32, buffer: u32) = Success;
    "args_sizes_get"(count: u32, size: u32) => no_strings;
    "environ_get"(environ: u32, buffer: u32) => environ::get;
    "environ_sizes_get"(count: u32, size: u32) => environ::sizes_get;

    "clock_res_get"(id: u32, resolution: u32) => clock_res_get;
    "clock_time_get"(id: u32, precision: u64, time: u32) => clock_time_get;

    "fd_advise"(fd: u32, offset: u64, len: u64, advice: u32) = Success;
    "fd_allocate"(fd: u32, offset: u64, len: u64) = success_if_output(fd);
    "fd_close"(fd: u32) = Success;
    "fd_datasync"(fd: u32) = success_if_output(fd);
    "fd_fdstat_get"(fd: u32, stat: u32) => stdio::fdstat_get;
    "fd_fdstat_set_flags"(fd: u32, flags: u32) = NoSys;
    "fd_fdstat_set_rights"(fd: u32, base: u64, inheriting: u64) = success_if_output(fd);
    "fd_filestat_get"(fd: u32, stat: u32) = BadF;
    "fd_filestat_set_size"(fd: u32, size: u64) = success_if_output(fd);
    "fd_filestat_set_times"(fd: u32, accessed: u64, modified: u64, flags: u32) = success_if_output(fd);
    "fd_pread"(fd: u32, iovs: u32, count: u32, offset: u64, read: u32) = NoSys;
    // There is none: runtimes that look for directories stop at the first.
    "fd_prestat_get"(fd: u32, stat: u32) = BadF;
    "fd_prestat_dir_name"(fd: u32, path: u32, len: u32) = NoSys;
    "fd_pwrite"(fd: u32, iovs: u32, count: u32, offset: u64, written: u32) => stdio::pwrite;
    "fd_read"(fd: u32, iovs: u32, count: u32, read: u32) = NoSys;
    // ENOTDIR as Linux counts: Envoy's number, and any but 0 will do.
    "fd_readdir"(fd: u32, buffer: u32, len: u32, cookie: u64, used: u32) = Exist;
    "fd_renumber"(from: u32, to: u32) = if is_output(from) { NotSup } else { BadF };
    "fd_seek"(fd: u32, delta: u64, whence: u32, offset: u32) => seek;
    "fd_sync"(fd: u32) = success_if_output(fd);
    "fd_tell"(fd: u32, offset: u32) => tell;
    "fd_write"(fd: u32, iovs: u32, count: u32, written: u32) => stdio::write;

    "path_create_directory"(fd: u32, path: u32, len: u32) = NotSup;
    "path_filestat_get"(fd: u32, flags: u32, path: u32, len: u32, stat: u32) = NotSup;
    "path_filestat_set_times"(
        fd: u32, flags: u32, path: u32, len: u32, accessed: u64, modified: u64, times: u32
    ) = NotSup;
    "path_link"(
        fd: u32, flags: u32, path: u32, len: u32, new_fd: u32, new_path: u32, new_len: u32
    ) = NotSup;
    "path_open"(
        fd: u32, lookup: u32, path: u32, len: u32, flags: u32, base: u64, inheriting: u64, fd_flags: u32,
        opened: u32
    ) = NoEnt;
    "path_readlink"(fd: u32, path: u32, len: u32, buffer: u32, size: u32, used: u32) = NotSup;
    "path_remove_directory"(fd: u32, path: u32, len: u32) = NotSup;
    "path_rename"(fd: u32, path: u32, len: u32, new_fd: u32, new_path: u32, new_len: u32) = NotSup;
    "path_symlink"(target: u32, target_len: u32, fd: u32, path: u32, len: u32) = NotSup;
    "path_unlink_file"(fd: u32, path: u32, len: u32) = NotSup;

    "poll_oneoff"(subscriptions: u32, events: u32, count: u32, happened: u32) => poll_oneoff;
    // No signal has a handler here; runtimes go on to `unreachable`.
    "proc_raise"(signal: u32) = NoSys;
    "sched_yield"() = Success;
    "random_get"(buffer: u32, len: u32) => random_get;

    "sock_accept"(fd: u32, flags: u32, accepted: u32) = NotSup;
    "sock_recv"(fd: u32, iovs: u32, count: u32, flags: u32, read: u32, out_flags: u32) = NotSup;
    "sock_send"(fd: u32, iovs: u32, count: u32, flags: u32, written: u32) = NotSup;
    "sock_shutdown"(fd: u32, how: u32) = NotSup;
}

/// stdout or stderr.
fn is_output(fd: u32) -> bool {
    matches!(fd, 1 | 2)
}

/// For what changes nothing about a log, and needs a file otherwise.
fn success_if_output(fd: u32) -> Errno {
    if is_output(fd) { Success } else { BadF }
}

/// An empty list of strings.
fn no_strings(memory: &mut [u8], _: &mut State, count: u32, size: u32) -> Answer {
    guest::write_u32(memory, count, 0)?;
    guest::write_u32(memory, size, 0)?;
    Ok(())
}

/// One nanosecond, for every clock.
fn clock_res_get(memory: &mut [u8], _: &mut State, _id: u32, resolution: u32) -> Answer {
    guest::write_u64(memory, resolution, 1)?;
    Ok(())
}

fn clock_time_get(memory: &mut [u8], _: &mut State, id: u32, _precision: u64, time: u32) -> Answer {
    let now = match id {
        0 => wall_clock_nanoseconds(),
        1 => monotonic_nanoseconds(),
        // The CPU time of a guest is nothing that we know.
        _ => return Err(NotSup.into()),
    };
    guest::write_u64(memory, time, now)?;
    Ok(())
}

/// Nanoseconds since a day before this was first asked: Go does not start when
/// the clock says 0, and guests subtract durations from it.
fn monotonic_nanoseconds() -> u64 {
    const BEFORE: Duration = Duration::from_secs(24 * 60 * 60);
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let since = FIRST.get_or_init(Instant::now).elapsed() + BEFORE;
    since.as_nanos() as u64
}

/// A log has no position. What a guest would read from here is set all the
/// same: success must not leave it with whatever was there before.
fn tell(memory: &mut [u8], _: &mut State, _fd: u32, offset: u32) -> Answer {
    guest::write_u64(memory, offset, 0)?;
    Ok(())
}

/// As [`tell`].
fn seek(
    memory: &mut [u8],
    state: &mut State,
    fd: u32,
    _delta: u64,
    _whence: u32,
    offset: u32,
) -> Answer {
    tell(memory, state, fd, offset)
}

/// Nothing ever happens, and nobody waits for it: a host function must not
/// block the worker.
fn poll_oneoff(
    memory: &mut [u8],
    _: &mut State,
    _subscriptions: u32,
    _events: u32,
    _count: u32,
    happened: u32,
) -> Answer {
    guest::write_u32(memory, happened, 0)?;
    Ok(())
}

/// Random bytes of the operating system's: guests make keys and seeds of them.
fn random_get(memory: &mut [u8], _: &mut State, buffer: u32, len: u32) -> Answer {
    if len as usize > MAX_RANDOM_BYTES {
        return Err(Errno::Inval.into());
    }
    let buffer = guest::slice_mut(memory, buffer, len)?;
    getrandom::fill(buffer).map_err(|_| Errno::Io)?;
    Ok(())
}

/// Ends the guest call whatever the status is: code behind `proc_exit` is
/// unreachable to compilers. Who called the guest decides what 0 means.
fn proc_exit(status: i32) -> HostResult<()> {
    guest::raise(guest::exit(status))
}
