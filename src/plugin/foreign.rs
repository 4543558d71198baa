//! Foreign functions: calls that may wait for Lua, and the callback.

use super::lifecycle::{Plugin, call};
use super::registry::{self, Shared};
use super::run::Outcome;
use crate::context::foreign::any_registered;

pub use crate::vm::stack::{Progress, answer, begun, question, run};

/// True when a call of this plugin may come to wait for Lua. A plugin that is
/// busy is not called.
pub fn may_wait(plugin: &Shared) -> bool {
    any_registered()
        && plugin
            .try_borrow()
            .is_ok_and(|plugin| plugin.wants().foreign)
}

/// True when a call of any plugin may.
pub fn any_may_wait() -> bool {
    any_registered() && registry::all().iter().any(may_wait)
}

impl Plugin {
    /// `proxy_on_foreign_function` of a root context.
    pub fn on_foreign_function(&mut self, root: u32, function: u32, data: &[u8]) -> Outcome {
        self.guard(|plugin| plugin.run_foreign_function(root, function, data))
    }

    fn run_foreign_function(&mut self, root: u32, function: u32, data: &[u8]) -> Outcome {
        self.running()?;
        self.check_root(root)?;
        let params = (root, function, data.len() as u32);
        self.state().call_data = Some(data.to_vec());
        let result = self.call(root, "proxy_on_foreign_function", |running| {
            call(running, |c| &c.proxy_on_foreign_function, params)
        });
        self.state().call_data = None;
        result?;
        Ok(self.shared_flags())
    }
}
