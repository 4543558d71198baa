//! Guest memory, as host functions see it.
#![forbid(unsafe_code)]

use std::rc::Rc;

use wasmtime::{Caller, Linker, Memory, TypedFunc};

use super::budget::Budget;
use super::trap::Exit;
use crate::abi::limits::MAX_IDLE_SCRATCH;

/// What a store holds: the host's state and the handles cached at
/// instantiation.
pub struct Data<S> {
    pub state: S,
    pub(super) memory: Option<Memory>,
    /// Shared by each call of it: a copy of the engine's handle costs nine
    /// atomic operations.
    pub(super) allocator: Option<Rc<TypedFunc<u32, u32>>>,
    pub(super) budget: Budget,
    /// Reused by every host function that returns bytes.
    scratch: Vec<u8>,
}

impl<S> Data<S> {
    pub(super) fn new(state: S, budget: Budget) -> Self {
        Data {
            state,
            memory: None,
            allocator: None,
            budget,
            scratch: Vec::new(),
        }
    }
}

pub type GuestCaller<'a, S> = Caller<'a, Data<S>>;
pub type GuestLinker<S> = Linker<Data<S>>;

/// What a host function gives to the engine: an error ends the guest call.
pub type HostResult<T> = wasmtime::Result<T>;

/// Why a host function could not finish.
pub enum Fault {
    /// A pointer of the guest's lies outside its memory.
    OutOfBounds,
    /// The guest has no allocator, or it gave no memory.
    NoMemory,
    /// The guest call ends: the allocator trapped, or the guest exits.
    End(wasmtime::Error),
}

/// Ends the guest call, as `proc_exit` does.
pub fn exit(status: i32) -> Fault {
    Fault::End(Exit(status).into())
}

/// Ends the guest call with a trap, as `abort` does.
pub fn abort(reason: &'static str) -> Fault {
    Fault::End(wasmtime::Error::msg(reason))
}

/// Ends the guest call whatever the fault is: for host functions that have no
/// status to answer with.
pub fn raise<T>(fault: Fault) -> HostResult<T> {
    Err(match fault {
        Fault::OutOfBounds => wasmtime::Error::msg("a pointer outside the guest's memory"),
        Fault::NoMemory => wasmtime::Error::msg("the guest has no memory to give"),
        Fault::End(error) => error,
    })
}

/// The guest's memory and the state, borrowed together.
///
/// Errors: [`Fault::OutOfBounds`] when the guest has no memory.
pub fn split<'c, S: 'static>(
    caller: &'c mut GuestCaller<'_, S>,
) -> Result<(&'c mut [u8], &'c mut S), Fault> {
    let memory = memory(caller)?;
    let (bytes, data) = memory.data_and_store_mut(caller);
    Ok((bytes, &mut data.state))
}

/// As [`split`], with what is left of the guest call's CPU time.
pub fn split_all<'c, S: 'static>(
    caller: &'c mut GuestCaller<'_, S>,
) -> Result<(&'c mut [u8], &'c mut S, &'c mut Budget), Fault> {
    let memory = memory(caller)?;
    let (bytes, data) = memory.data_and_store_mut(caller);
    Ok((bytes, &mut data.state, &mut data.budget))
}

/// The memory handle: cached, or looked up while the module still starts.
fn memory<S: 'static>(caller: &mut GuestCaller<'_, S>) -> Result<Memory, Fault> {
    if let Some(memory) = caller.data().memory {
        return Ok(memory);
    }
    caller
        .get_export("memory")
        .and_then(|export| export.into_memory())
        .ok_or(Fault::OutOfBounds)
}

/// `len` bytes at `ptr`; an empty slice is inside whatever its pointer.
pub fn slice(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8], Fault> {
    if len == 0 {
        return Ok(&[]);
    }
    let start = ptr as usize;
    let end = start.checked_add(len as usize).ok_or(Fault::OutOfBounds)?;
    memory.get(start..end).ok_or(Fault::OutOfBounds)
}

/// As [`slice`], to write to.
pub fn slice_mut(memory: &mut [u8], ptr: u32, len: u32) -> Result<&mut [u8], Fault> {
    if len == 0 {
        return Ok(&mut []);
    }
    let start = ptr as usize;
    let end = start.checked_add(len as usize).ok_or(Fault::OutOfBounds)?;
    memory.get_mut(start..end).ok_or(Fault::OutOfBounds)
}

/// Writes a number at `ptr`, aligned or not.
pub fn write_u32(memory: &mut [u8], ptr: u32, value: u32) -> Result<(), Fault> {
    slice_mut(memory, ptr, 4)?.copy_from_slice(&value.to_le_bytes());
    Ok(())
}

/// As [`write_u32`].
pub fn write_u64(memory: &mut [u8], ptr: u32, value: u64) -> Result<(), Fault> {
    slice_mut(memory, ptr, 8)?.copy_from_slice(&value.to_le_bytes());
    Ok(())
}

/// The scratch buffer, empty. Give it back with [`return_scratch`].
pub fn take_scratch<S: 'static>(caller: &mut GuestCaller<'_, S>) -> Vec<u8> {
    let mut scratch = std::mem::take(&mut caller.data_mut().scratch);
    scratch.clear();
    scratch
}

pub fn return_scratch<S: 'static>(caller: &mut GuestCaller<'_, S>, scratch: Vec<u8>) {
    if scratch.capacity() <= MAX_IDLE_SCRATCH {
        caller.data_mut().scratch = scratch;
    }
}

/// Copies `bytes` into memory of the guest's own allocator, exactly as large
/// as they are, and gives its address; 0 for no bytes, without asking the
/// allocator (Go's panics at 0).
///
/// The allocator runs guest code: whatever was borrowed from the memory before
/// is stale afterwards.
pub fn give<S: 'static>(caller: &mut GuestCaller<'_, S>, bytes: &[u8]) -> Result<u32, Fault> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let len = u32::try_from(bytes.len()).map_err(|_| Fault::NoMemory)?;
    let allocator = caller.data().allocator.clone().ok_or(Fault::NoMemory)?;
    let ptr = allocator.call(&mut *caller, len).map_err(Fault::End)?;
    if ptr == 0 {
        return Err(Fault::NoMemory);
    }
    let memory = memory(caller)?;
    slice_mut(memory.data_mut(&mut *caller), ptr, len)?.copy_from_slice(bytes);
    Ok(ptr)
}
