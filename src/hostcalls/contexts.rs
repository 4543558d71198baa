//! Host functions: contexts.

use super::Call;
use crate::abi::Status;

/// Host functions act on another context until the callback returns. Unknown
/// ids are bad arguments, as on Envoy.
pub fn set_effective_context(call: &mut Call, id: u32) -> Result<(), Status> {
    let known = call.contexts.roots.contains_key(&id) || call.contexts.http.contains_key(&id);
    if !known {
        return Err(Status::BadArgument);
    }
    call.state.current.effective = id;
    Ok(())
}
