//! Host functions: shared queues.

use super::Call;
use crate::abi::Status;
use crate::abi::limits::{MAX_QUEUES, QUEUE_POLL_MS};
use crate::abi::types::LogLevel;
use crate::context::Effect;

/// The root context hears of every item from now on, in this worker, and of
/// those that wait in the queue already.
pub fn register_shared_queue(call: &mut Call, name: &[u8]) -> Result<u32, Status> {
    let token = call.shared.queues.register(name);
    if token == Err(Status::InternalFailure) && call.shared.queues.has_all() {
        let line = format!("a queue is refused: a VM id has no more than {MAX_QUEUES}");
        call.state.log(LogLevel::Error, line.as_bytes());
        return token;
    }
    let token = call.state.log_full_store(token)?;
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

pub fn enqueue_shared_queue(call: &mut Call, token: u32, value: &[u8]) -> Result<(), Status> {
    let enqueued = call.shared.queues.enqueue(token, value);
    call.state.log_full_store(enqueued).map_err(|why| {
        if why == Status::BadArgument {
            let line = b"an item of a shared queue is refused: it is too large";
            call.state.log(LogLevel::Error, line);
        }
        // The one error that SDKs expect here.
        Status::NotFound
    })
}

pub fn dequeue_shared_queue(call: &mut Call, token: u32) -> Result<(), Status> {
    let queues = call.state.shared.queues.clone();
    match queues.dequeue(token, call.out) {
        // Another worker has stopped in the middle: nothing can be had now.
        Err(Status::InternalFailure) => Err(Status::Empty),
        dequeued => dequeued,
    }
}
