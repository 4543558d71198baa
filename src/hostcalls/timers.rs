//! Host functions: timers.

use super::Call;
use crate::abi::Status;
use crate::context::Effect;

/// Sets the period of the root context's `proxy_on_tick`, from any of its
/// contexts, as on Envoy; 0 stops it.
pub fn set_tick_period_milliseconds(call: &mut Call, period: u32) -> Result<(), Status> {
    let id = call.root_id();
    // The guest cannot know that another worker does it.
    let here = !call.plugin.ticks_in_one || call.state.host.is_first_worker();
    let root = call.state.contexts.roots.get_mut(&id);
    // A request may outlive its root context.
    let Some(root) = root.filter(|_| here) else {
        return Ok(());
    };
    root.set_tick_period(period);
    if period > 0 {
        call.state.push_shared(Effect::Timer { after_ms: period });
    }
    Ok(())
}
