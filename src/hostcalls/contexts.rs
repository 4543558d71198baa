//! Host functions: contexts.

use super::Call;
use crate::abi::Status;
use crate::abi::types::LogLevel;

/// Host functions act on another context until the callback returns. Unknown
/// ids are bad arguments, as on Envoy; so are those of an instance before this
/// one.
pub fn set_effective_context(call: &mut Call, id: u32) -> Result<(), Status> {
    let contexts = &call.contexts;
    let root = contexts.roots.get(&id).is_some_and(|root| !root.lost);
    let http = contexts.http.get(&id).is_some_and(|http| !http.lost);
    if !root && !http {
        return Err(Status::BadArgument);
    }
    call.state.current.effective = id;
    Ok(())
}

/// Ends a root context whose `proxy_on_done` answered that it was not done.
/// Where nobody waits for it that is logged, and answered with OK: SDKs panic
/// on anything else.
pub fn done(call: &mut Call) -> Result<(), Status> {
    let id = call.root_id();
    let root = call.state.contexts.roots.get_mut(&id);
    let Some(root) = root.filter(|root| root.done_pending) else {
        let line = b"proxy_done is ignored: nobody waits for it";
        call.state.log(LogLevel::Warn, line);
        return Ok(());
    };
    root.done_pending = false;
    call.state.done.push(id);
    Ok(())
}
