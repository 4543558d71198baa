//! Host functions: shared data.

use super::Call;
use crate::abi::Status;
use crate::abi::limits::MAX_REFUSED;
use crate::abi::types::LogLevel;

/// Appends the value; gives its `cas`.
pub fn get_shared_data(call: &mut Call, key: &[u8]) -> Result<u32, Status> {
    let data = call.state.shared.data.clone();
    data.get(key, call.out)
}

/// Errors: [`Status::CasMismatch`], for what cannot be stored, too: it is the
/// one error that SDKs expect. A guest that tries one key again and again, and is
/// refused each time, gets [`Status::InternalFailure`] in the end.
pub fn set_shared_data(call: &mut Call, key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
    let set = call.shared.data.set(key, value, cas);
    let set = call
        .state
        .log_shared(set, "a value of the shared data is not set");
    if set == Some(Err(Status::BadArgument)) {
        let line = b"a value of the shared data is refused: it, or its key, is too large";
        call.state.log(LogLevel::Error, line);
    }
    match set {
        Some(set @ (Ok(()) | Err(Status::CasMismatch))) => {
            call.state.not_refused();
            set
        }
        _ if call.state.refused_again(key) > MAX_REFUSED => Err(Status::InternalFailure),
        _ => Err(Status::CasMismatch),
    }
}
