//! Host functions: shared queues.

use super::Call;
use crate::abi::Status;

pub fn register_shared_queue(call: &mut Call, name: &[u8]) -> Result<u32, Status> {
    let token = call.shared.queues.register(name);
    call.state.log_full_store(token)
}

pub fn resolve_shared_queue(call: &mut Call, vm_id: &[u8], name: &[u8]) -> Result<u32, Status> {
    call.shared.queues.resolve(vm_id, name)
}

pub fn enqueue_shared_queue(call: &mut Call, token: u32, value: &[u8]) -> Result<(), Status> {
    let enqueued = call.shared.queues.enqueue(token, value);
    call.state.log_full_store(enqueued)
}

pub fn dequeue_shared_queue(call: &mut Call, token: u32) -> Result<(), Status> {
    let queues = call.state.shared.queues.clone();
    queues.dequeue(token, call.out)
}
