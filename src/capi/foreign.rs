//! Foreign functions that Lua has.
//!
//! Call order: a call that gives `RPW_FOREIGN` waits for a function.
//! `rpw_foreign_question` says which, with what argument; call it, and give its
//! result to `rpw_foreign_answer`, which goes on with the call and gives what
//! the call itself would have given, or `RPW_FOREIGN` again. Calls that begin
//! meanwhile must end before. The plugin that waits refuses all calls.

use std::cell::RefCell;

use libc::c_char;

use super::error;
use super::handle::{bytes, rpw_str, wall};
use super::plugin::rpw_root;
use super::request::{RPW_FAILED, number};
use crate::context::foreign::register;
use crate::plugin::foreign::{Answer, Progress, answer, any_may_wait, question, run};
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
    pub name: rpw_str,
    pub argument: rpw_str,
}

pub(super) use crate::plugin::foreign::may_wait;

thread_local! {
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
        Ok(Progress::Waits(_)) => RPW_FOREIGN,
        Err(body) => body(),
    }
}

/// Names a function that Lua has for plugins, or with `there` 0 no longer has.
///
/// # Safety
///
/// The name must be readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_foreign_register(name: *const c_char, name_len: i32, there: i32) {
    wall((), || {
        // SAFETY: readable, as promised.
        register(unsafe { bytes(name, name_len) }, there != 0);
    })
}

/// What the last call that gave `RPW_FOREIGN` waits for; the strings are valid
/// until it is answered. Gives 0, or -1 when no call waits.
///
/// # Safety
///
/// `filled` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rpw_foreign_question(filled: *mut rpw_question) -> i32 {
    wall(-1, || {
        let asked = question(|number, question| rpw_question {
            number,
            name: rpw_str::lend(&question.subject),
            argument: rpw_str::lend(&question.bytes),
        });
        let Some(asked) = asked else {
            return -1;
        };
        // SAFETY: writable, as promised.
        unsafe { filled.write(asked) };
        0
    })
}

/// Answers the call that waits under a number, with `RPW_ANSWER_OK` or another
/// status, and goes on with it. Gives what the call gives.
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
        let given = Answer {
            code: status,
            bytes: result.to_vec(),
        };
        let result = match answer(number, given) {
            Some(Progress::Waits(_)) => return RPW_FOREIGN,
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
        let (plugin, id) = (root.plugin.clone(), root.id);
        call(&root.plugin, RPW_FAILED, move || {
            let outcome = match plugin.try_borrow_mut() {
                Ok(mut plugin) => Plugin::on_foreign_function(&mut plugin, id, function, &data),
                Err(_) => Err(Error::Busy),
            };
            number(outcome)
        })
    })
}
