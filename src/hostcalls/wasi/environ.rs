//! The environment of a guest: what the operator says, and nothing of the
//! host's.

use super::Answer;
use crate::context::State;
use crate::vm::guest;

/// `environ_sizes_get`: how many variables, and the bytes of all of them.
pub(super) fn sizes_get(memory: &mut [u8], state: &mut State, count: u32, size: u32) -> Answer {
    let environment = &state.plugin.environment;
    // Both are checked before one is written.
    guest::slice_mut(memory, count, 4)?;
    guest::write_u32(memory, size, bytes_of(environment))?;
    guest::write_u32(memory, count, environment.len() as u32)?;
    Ok(())
}

/// `environ_get`: the variables as `NAME=value` and a NUL, one behind the other
/// in `buffer`, and where each begins in `environ`.
pub(super) fn get(memory: &mut [u8], state: &mut State, environ: u32, buffer: u32) -> Answer {
    let environment = &state.plugin.environment;
    // Both are checked before anything is written, and no address overflows.
    guest::slice(memory, environ, 4 * environment.len() as u32)?;
    guest::slice(memory, buffer, bytes_of(environment))?;
    let (mut pointer, mut at) = (environ, buffer);
    for variable in environment {
        guest::write_u32(memory, pointer, at)?;
        guest::slice_mut(memory, at, variable.len() as u32)?.copy_from_slice(variable);
        pointer += 4;
        at += variable.len() as u32;
    }
    Ok(())
}

/// An operator's table is bounded: this is far below 4 GiB.
fn bytes_of(environment: &[Vec<u8>]) -> u32 {
    environment.iter().map(Vec::len).sum::<usize>() as u32
}
