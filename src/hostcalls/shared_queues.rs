//! Host functions: shared queues.

use super::Call;
use crate::abi::Status;
use crate::abi::limits::{MAX_PUT_BACKS, MAX_QUEUES, QUEUE_POLL_MS};
use crate::abi::types::LogLevel;
use crate::context::{Effect, State};
use crate::shared::Error;

/// Never the token of a queue.
const NO_QUEUE: u32 = 0;

/// The root context hears of every item from now on, in this worker, and of
/// those that wait in the queue already. Where it cannot be had, which is
/// logged, the token is that of no queue: SDKs panic on anything but OK.
pub fn register_shared_queue(call: &mut Call, name: &[u8]) -> Result<u32, Status> {
    let token = call.shared.queues.register(name);
    let token = match token {
        Ok(token) => token,
        Err(Status::InternalFailure) if !call.shared.queues.has_all() => {
            _ = call.state.log_full_store(token);
            return Ok(NO_QUEUE);
        }
        Err(why) => {
            let line = match why {
                Status::BadArgument => "a queue is refused: its name is too long".to_owned(),
                _ => format!("a queue is refused: a VM id has no more than {MAX_QUEUES}"),
            };
            call.state.log(LogLevel::Error, line.as_bytes());
            return Ok(NO_QUEUE);
        }
    };
    let dequeued = call.shared.queues.dequeued(token);
    let id = call.root_id();
    if let Some(root) = call.state.contexts.roots.get_mut(&id)
        && root.queues.iter().all(|(known, _)| *known != token)
    {
        root.queues.push((token, dequeued));
        call.state.look_at_queues();
        let after_ms = QUEUE_POLL_MS;
        call.state.push_shared(Effect::Timer { after_ms });
    }
    Ok(token)
}

pub fn resolve_shared_queue(call: &mut Call, vm_id: &[u8], name: &[u8]) -> Result<u32, Status> {
    call.shared.queues.resolve(vm_id, name)
}

/// Errors: [`Status::NotFound`] for all that is wrong: the one that SDKs expect
/// here.
pub fn enqueue_shared_queue(call: &mut Call, token: u32, value: &[u8]) -> Result<(), Status> {
    let enqueued = call.shared.queues.enqueue(token, value);
    let what = "an item of a shared queue is not enqueued";
    let enqueued = call.state.log_shared(enqueued, what);
    if enqueued == Some(Err(Status::BadArgument)) {
        let line = b"an item of a shared queue is refused: it is too large";
        call.state.log(LogLevel::Error, line);
    }
    match enqueued {
        Some(Ok(())) => Ok(()),
        _ => Err(Status::NotFound),
    }
}

/// Errors: [`Status::Empty`], also where an item cannot be had now: it stays,
/// and its root context is told of it again. [`Status::NotFound`].
pub fn dequeue_shared_queue(call: &mut Call, token: u32) -> Result<(), Status> {
    let queues = call.state.shared.queues.clone();
    let dequeued = queues.dequeue(token, call.out);
    let what = "an item of a shared queue cannot be had now";
    match call.state.log_shared(dequeued, what) {
        None | Some(Err(Status::InternalFailure)) => {
            let root = call.root_id();
            call.state.tell_again(root, token);
            Err(Status::Empty)
        }
        Some(dequeued) => {
            call.state.dequeued = dequeued.is_ok().then_some(token);
            dequeued
        }
    }
}

/// Puts back what was taken out, if anything was: an item that the guest's
/// allocator has no memory for, or traps at, is told of again.
pub fn put_back(state: &mut State, item: &[u8]) {
    let Some(token) = state.dequeued.take() else {
        return;
    };
    let queues = state.shared.queues.clone();
    let mut done = queues.put_back(token, item);
    for _ in 1..MAX_PUT_BACKS {
        if done == Err(Error::Busy) {
            done = queues.put_back(token, item);
        }
    }
    let line: &[u8] = match done {
        Ok(()) => {
            let root = state.root_id();
            state.tell_again(root, token);
            b"an item of a shared queue stays: the plugin has no memory for it"
        }
        Err(_) => {
            b"an item of a shared queue is lost: the plugin has no memory for it, and \
              it finds no place in the queue again"
        }
    };
    state.log(LogLevel::Error, line);
}
