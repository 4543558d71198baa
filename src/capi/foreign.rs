//! Foreign functions that Lua has.
//!
//! Call order: a call that gives `RPW_FOREIGN` waits for a function. What
//! `rpw_foreign_question` leads to says then which, and with what argument; call
//! it, and give its result to `rpw_foreign_answer`, which goes on with the call
//! and gives what the call itself would have given, or `RPW_FOREIGN` again, with
//! the next question. Calls that begin meanwhile must end before. The plugin that
//! waits refuses all calls.
//!
//! Lua reads a question with its interpreter, since no trace gets past a
//! coroutine: so it is flat, there is a number in it instead of a name, and no
//! call is needed to get it.

use std::cell::{RefCell, UnsafeCell};

use libc::c_char;

use super::error;
use super::handle::{bytes, rpw_str, wall};
use super::plugin::rpw_root;
use super::request::{RPW_FAILED, number};
use crate::context::foreign::register;
use crate::plugin::foreign::{Progress, answer, any_may_wait, question, run};
use crate::plugin::registry::{self, Shared};
use crate::plugin::{Error, Plugin};

/// The call waits for a Lua function.
pub const RPW_FOREIGN: i32 = -4;
/// The call is over, and a Lua function did on the way what none may do.
pub const RPW_MISBEHAVED: i32 = -5;

/// A Lua function has a result.
pub const RPW_ANSWER_OK: i32 = 0;
/// There is no such function any more.
pub const RPW_ANSWER_UNKNOWN: i32 = 1;
/// A Lua function failed.
pub const RPW_ANSWER_FAILED: i32 = 2;
/// A Lua function yielded or sent the response; its result says what.
pub const RPW_ANSWER_MISBEHAVED: i32 = 3;

/// What a call waits for.
#[repr(C)]
pub struct rpw_question {
    /// For `rpw_foreign_answer`.
    pub number: u32,
    /// What `rpw_foreign_register` gave for its name.
    pub callee: u32,
    /// Valid until it is answered.
    pub argument: *const c_char,
    pub argument_len: i32,
}

impl rpw_question {
    fn of(number: u32, callee: u32, argument: &[u8]) -> Self {
        let argument = rpw_str::lend(argument);
        rpw_question {
            number,
            callee,
            argument: argument.data,
            argument_len: argument.len,
        }
    }
}

pub(super) use crate::plugin::foreign::may_wait;

thread_local! {
    /// The last question of this thread.
    static QUESTION: UnsafeCell<rpw_question> = const {
        UnsafeCell::new(rpw_question {
            number: 0,
            callee: 0,
            argument: std::ptr::null(),
            argument_len: 0,
        })
    };
    /// Waiting calls that will end with `RPW_MISBEHAVED`, and why.
    static MISBEHAVED: RefCell<Vec<(u32, String)>> = const { RefCell::new(Vec::new()) };
}

/// Runs the body of an exported function that calls a plugin: where it may
/// come to wait, on a stack of its own.
pub(super) fn call(plugin: &Shared, otherwise: i32, body: impl FnOnce() -> i32 + 'static) -> i32 {
    if !may_wait(plugin) {
        return body();
    }
    on_stack(otherwise, body)
}

/// A call has come to wait.
fn waits() -> i32 {
    if let Some(asked) = question(rpw_question::of) {
        // SAFETY: of this thread, and nobody holds a reference to it.
        QUESTION.with(|last| unsafe { last.get().write(asked) });
    }
    RPW_FOREIGN
}

/// As [`call`], for a body that calls this plugin; `give` makes a number of
/// what came of it.
pub(super) fn call_with<R: 'static>(
    plugin: &Shared,
    otherwise: i32,
    body: impl FnOnce(&mut Plugin) -> Result<R, Error> + 'static,
    give: impl FnOnce(Result<R, Error>) -> i32 + 'static,
) -> i32 {
    let shared = plugin.clone();
    call(plugin, otherwise, move || {
        let result = match shared.try_borrow_mut() {
            Ok(mut plugin) => body(&mut plugin),
            Err(_) => Err(Error::Busy),
        };
        give(result)
    })
}

/// As [`call`], for a body that calls whichever plugin.
pub(super) fn call_all(otherwise: i32, body: impl FnOnce() -> i32 + 'static) -> i32 {
    if !any_may_wait() {
        return body();
    }
    on_stack(otherwise, body)
}

/// Runs a body that may come to wait.
pub(super) fn on_stack(otherwise: i32, body: impl FnOnce() -> i32 + 'static) -> i32 {
    match run(move || wall(otherwise, body)) {
        Ok(Progress::Done(result)) => result,
        Ok(Progress::Waits(_)) => waits(),
        Err(body) => body(),
    }
}

/// Names a function that Lua has for plugins, or with `there` 0 no longer has.
/// Gives its number: the same for a name as long as the process lives, and
/// never 0.
///
/// # Safety
///
/// The name must be readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_foreign_register(
    name: *const c_char,
    name_len: i32,
    there: i32,
) -> u32 {
    wall(0, || {
        // SAFETY: readable, as promised.
        register(unsafe { bytes(name, name_len) }, there != 0)
    })
}

/// Gives where it stands what a call waits for: written when a call gives
/// `RPW_FOREIGN`, the next one that does overwrites it. The same for all calls
/// of a thread, as long as it lives.
#[unsafe(no_mangle)]
pub extern "C" fn rpw_foreign_question() -> *const rpw_question {
    wall(std::ptr::null(), || {
        QUESTION.with(|last| last.get().cast_const())
    })
}

/// Answers the call that waits under a number, with `RPW_ANSWER_OK` or another
/// status, and goes on with it. Gives what the call gives: if that is
/// `RPW_FOREIGN`, it asks again.
///
/// # Safety
///
/// The result must be readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_foreign_answer(
    number: u32,
    status: i32,
    result: *const c_char,
    result_len: i32,
) -> i32 {
    wall(RPW_FAILED, || {
        // SAFETY: readable, as promised.
        let result = unsafe { bytes(result, result_len) };
        if status == RPW_ANSWER_MISBEHAVED {
            let why = String::from_utf8_lossy(result).into_owned();
            MISBEHAVED.with_borrow_mut(|calls| calls.push((number, why)));
        }
        let result = match answer(number, status, result) {
            Some(Progress::Waits(_)) => return waits(),
            Some(Progress::Done(result)) => result,
            None => {
                error::set("no call waits for this answer");
                RPW_FAILED
            }
        };
        let misbehaved = MISBEHAVED.with_borrow_mut(|calls| {
            let mine = |call: &mut (u32, String)| call.0 == number;
            calls.extract_if(.., mine).map(|call| call.1).next()
        });
        registry::close_late();
        match misbehaved {
            Some(why) => {
                error::set(why);
                RPW_MISBEHAVED
            }
            None => result,
        }
    })
}

/// `proxy_on_foreign_function` of a root context, with a number and data for
/// it. Gives `RPW_EFFECTS` or 0, or a negative number.
///
/// # Safety
///
/// `root` must be alive, the data readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_on_foreign_function(
    root: *const rpw_root,
    function: u32,
    data: *const c_char,
    data_len: i32,
) -> i32 {
    wall(RPW_FAILED, || {
        // SAFETY: alive and readable, as promised.
        let (root, data) = unsafe { (&*root, bytes(data, data_len).to_vec()) };
        let id = root.id;
        let body = move |plugin: &mut Plugin| plugin.on_foreign_function(id, function, &data);
        call_with(&root.plugin, RPW_FAILED, body, number)
    })
}
