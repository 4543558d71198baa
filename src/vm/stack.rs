//! Calls that can wait in the middle: each runs on a stack of its own, stands
//! still when it asks a question, and goes on with the answer. The thread does
//! other things meanwhile, other such calls among them.
//!
//! # Nesting
//!
//! The engine keeps a list of the guest calls of a thread, the youngest first,
//! and each of them takes itself off the front of it. So what begins while a
//! call waits must end before that call goes on, and it does: the youngest call
//! goes on first, whichever is meant, and what was given up on the way goes on
//! to its end without an answer.
//!
//! # Limits of the stack
//!
//! The engine counts a guest's stack from where it is entered, here or
//! elsewhere, so that one recursing without end traps before the stack is
//! full; below that there is room for host functions.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use corosensei::stack::{DefaultStack, Stack};
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::engine::largest_stack;
use crate::abi::limits::{MAX_IDLE_STACKS, WAITING_STACK};

/// What a call waits for: meant for whoever began the call.
#[derive(Clone, Copy)]
struct Question {
    subject: u32,
    /// Lent by the call that waits, which stands still.
    bytes: NonNull<[u8]>,
}

#[derive(Clone, Copy)]
struct Answer {
    code: i32,
    /// Lent by whoever answers, until the call has gone on.
    bytes: NonNull<[u8]>,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is over, with this result.
    Done(i32),
    /// It waits, under this number.
    Waits(u32),
}

/// `None` begins the call, or goes on without an answer.
type Input = Option<Answer>;
type Call = Coroutine<Input, Question, i32, DefaultStack>;

struct Waiting {
    number: u32,
    question: Question,
    /// Never dropped but when it is over: to unwind a guest call is the
    /// engine's business alone. What is left at the end of the process stays.
    call: ManuallyDrop<Call>,
}

thread_local! {
    static IDLE: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
    /// The call that runs now: how it comes to wait.
    static RUNNING: Cell<Option<NonNull<Yielder<Input, Question>>>> = const { Cell::new(None) };
    /// The calls that wait, the youngest last.
    static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
    static LAST_NUMBER: Cell<u32> = const { Cell::new(0) };
    static BEGUN: Cell<u64> = const { Cell::new(0) };
}

/// Forgets, at its end, which call runs.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(None);
    }
}

/// Begins a call on a stack of its own.
///
/// Errors: the body, when there is no stack to be had, or the caller itself is
/// on one.
pub fn run<F: FnOnce() -> i32 + 'static>(body: F) -> Result<Progress, F> {
    if RUNNING.get().is_some() {
        return Err(body);
    }
    let Some(stack) = stack(largest_stack() + WAITING_STACK) else {
        return Err(body);
    };
    BEGUN.set(BEGUN.get() + 1);
    let call = Coroutine::with_stack(stack, |inside, _| {
        RUNNING.set(Some(NonNull::from(inside)));
        let _running = Running;
        body()
    });
    Ok(go_on(call, None, None))
}

/// A stack of so many bytes. An idle one that is smaller is older than an engine
/// whose guests have more.
fn stack(bytes: usize) -> Option<DefaultStack> {
    while let Some(idle) = IDLE.with_borrow_mut(Vec::pop) {
        if idle.base().get() - idle.limit().get() >= bytes {
            return Some(idle);
        }
    }
    DefaultStack::new(bytes).ok()
}

/// Asks whoever began the call that runs now, and waits for the answer, of which
/// `take` is shown the code and the bytes. `None`: this is no call that could
/// wait, or there is no answer.
pub fn ask<R>(subject: u32, bytes: &[u8], take: impl FnOnce(i32, &[u8]) -> R) -> Option<R> {
    let inside = RUNNING.take()?;
    let question = Question {
        subject,
        bytes: NonNull::from(bytes),
    };
    // SAFETY: `RUNNING` has it only while the body that it was given to runs,
    // of which this is a part: it lies further up on this very stack.
    let answer = unsafe { inside.as_ref() }.suspend(question);
    RUNNING.set(Some(inside));
    // SAFETY: it was given a moment ago, by `answer`, which holds the bytes
    // until this call waits again or is over.
    answer.map(|answer| take(answer.code, unsafe { answer.bytes.as_ref() }))
}

/// Lets `look` see what the youngest call waits for, if any does: its number,
/// the subject, and the bytes, which are there until it goes on.
pub fn question<R>(look: impl FnOnce(u32, u32, &[u8]) -> R) -> Option<R> {
    WAITING.with_borrow(|waiting| {
        let youngest = waiting.last()?;
        let question = youngest.question;
        // SAFETY: the call lent them when it asked, and has not gone on since:
        // else it would not be in the list.
        let bytes = unsafe { question.bytes.as_ref() };
        Some(look(youngest.number, question.subject, bytes))
    })
}

/// Answers a call that waits, and goes on with it. `None`: no call waits under
/// this number.
pub fn answer(number: u32, code: i32, bytes: &[u8]) -> Option<Progress> {
    if RUNNING.get().is_some() {
        return None;
    }
    WAITING.with_borrow(|waiting| waiting.iter().find(|call| call.number == number).map(drop))?;
    let bytes = NonNull::from(bytes);
    loop {
        let youngest = WAITING.with_borrow_mut(Vec::pop)?;
        let call = ManuallyDrop::into_inner(youngest.call);
        if youngest.number == number {
            return Some(go_on(call, Some(number), Some(Answer { code, bytes })));
        }
        go_on(call, Some(youngest.number), None);
    }
}

/// How many calls this thread has begun on stacks of their own.
pub fn begun() -> u64 {
    BEGUN.get()
}

fn go_on(mut call: Call, number: Option<u32>, input: Input) -> Progress {
    match call.resume(input) {
        CoroutineResult::Return(result) => {
            IDLE.with_borrow_mut(|idle| {
                if idle.len() < MAX_IDLE_STACKS {
                    idle.push(call.into_stack());
                }
            });
            Progress::Done(result)
        }
        CoroutineResult::Yield(question) => {
            let number = number.unwrap_or_else(|| {
                LAST_NUMBER.set(LAST_NUMBER.get().wrapping_add(1));
                LAST_NUMBER.get()
            });
            let call = ManuallyDrop::new(call);
            WAITING.with_borrow_mut(|waiting| {
                waiting.push(Waiting {
                    number,
                    question,
                    call,
                });
            });
            Progress::Waits(number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IDLE, Progress, answer, ask, question, run};

    fn asks(subject: u32) -> Option<i32> {
        ask(subject, b"bytes", |code, bytes| {
            assert_eq!(bytes, b"result");
            code
        })
    }

    fn begin(body: impl FnOnce() -> i32 + 'static) -> Progress {
        run(body).unwrap_or_else(|_| panic!("no stack"))
    }

    fn reply(number: u32, code: i32) -> Option<Progress> {
        answer(number, code, b"result")
    }

    fn seen(_: u32, subject: u32, bytes: &[u8]) -> (u32, Vec<u8>) {
        (subject, bytes.to_vec())
    }

    #[track_caller]
    fn waits(progress: Progress) -> u32 {
        let Progress::Waits(number) = progress else {
            panic!("{progress:?}");
        };
        number
    }

    #[test]
    fn a_call_waits_and_goes_on_with_the_answer() {
        let number = waits(begin(|| 10 * asks(1).unwrap() + asks(2).unwrap()));
        assert_eq!(question(seen), Some((1, b"bytes".to_vec())));
        // The same call keeps its number.
        assert_eq!(reply(number, 4), Some(Progress::Waits(number)));
        assert_eq!(question(seen), Some((2, b"bytes".to_vec())));
        assert_eq!(reply(number, 2), Some(Progress::Done(42)));
        assert_eq!(question(seen), None);
        assert_eq!(reply(number, 2), None);
    }

    #[test]
    fn outside_such_a_call_nobody_answers() {
        assert_eq!(asks(1), None);
        let outer = waits(begin(|| asks(1).unwrap()));
        assert_eq!(asks(2), None);
        assert_eq!(reply(outer, 0), Some(Progress::Done(0)));
        assert_eq!(asks(1), None);
        // On a stack already: no other one is taken.
        assert_eq!(begin(|| i32::from(run(|| 0).is_err())), Progress::Done(1));
    }

    #[test]
    fn what_began_later_ends_first() {
        let outer = waits(begin(|| asks(3).unwrap()));
        let lost = waits(begin(|| asks(4).unwrap_or(-1)));
        let inner = waits(begin(|| asks(5).unwrap()));
        assert_eq!(reply(inner, 1), Some(Progress::Done(1)));
        // `lost` is never answered, and ends without.
        assert_eq!(reply(outer, 2), Some(Progress::Done(2)));
        assert_eq!(reply(lost, 3), None);
        assert_eq!(question(seen), None);
    }

    #[test]
    fn stacks_are_used_again() {
        for _ in 0..10_000 {
            let number = waits(begin(|| asks(1).unwrap()));
            assert_eq!(reply(number, 1), Some(Progress::Done(1)));
        }
        assert_eq!(IDLE.with_borrow(Vec::len), 1);
    }

    #[test]
    fn a_panic_comes_through_and_leaves_nothing_behind() {
        let number = waits(begin(|| {
            asks(1);
            panic!("on purpose")
        }));
        let caught = std::panic::catch_unwind(|| reply(number, 1));
        assert!(caught.is_err());
        assert_eq!(asks(1), None);
        assert_eq!(begin(|| 7), Progress::Done(7));
    }
}
