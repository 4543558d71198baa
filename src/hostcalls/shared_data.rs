//! Host functions: shared data.

use super::Call;
use crate::abi::Status;

/// Appends the value; gives its `cas`.
pub fn get_shared_data(call: &mut Call, key: &[u8]) -> Result<u32, Status> {
    let data = call.state.shared.data.clone();
    data.get(key, call.out)
}

pub fn set_shared_data(call: &mut Call, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
    let set = call.shared.data.set(key, value, cas);
    call.state.log_full_store(set)
}
