//! Root contexts that were made before the plugin's code was compiled: nothing
//! of the guest could say yet what it thinks of their configuration.

use super::error::Error;
use super::lifecycle::{Life, Plugin};
use crate::abi::limits::CODE_POLL_MS;
use crate::abi::types::LogLevel;
use crate::context::Effect;
use crate::vm::NoCode;

#[derive(Default)]
pub(super) struct Late {
    /// Accepted unseen; the first instance tries them.
    untried: Vec<u32>,
    /// What that instance refused: no instance knows them.
    refused: Vec<u32>,
}

impl Plugin {
    /// Errors: the code is still compiled, or can never be.
    pub(super) fn check_code(&self) -> Result<(), Error> {
        self.prepared.ready().map_err(|why| match why {
            NoCode::Yet => Error::Compiling,
            NoCode::Ever(why) => Error::Load(why),
        })
    }

    /// Accepts a root context unseen. A timer makes the instance once the code
    /// is there, unless a request comes first.
    pub(super) fn try_root_later(&mut self, root: u32) {
        self.late.untried.push(root);
        self.on_its_own = true;
        let after_ms = CODE_POLL_MS;
        self.state().push_shared(Effect::Timer { after_ms });
    }

    /// Makes all root contexts on a new instance.
    ///
    /// Errors: of a root context that was in use before, or that took the
    /// instance with it. One that was never tried is refused for good, and
    /// alone.
    pub(super) fn start_roots(&mut self) -> Result<(), Error> {
        let roots = self.state().contexts.roots.iter();
        let mut roots: Vec<u32> = roots
            .filter_map(|(id, root)| (!root.lost).then_some(*id))
            .collect();
        roots.retain(|root| !self.late.refused.contains(root));
        roots.sort_unstable();
        for root in roots {
            let Err(why) = self.start_root(root) else {
                self.late.untried.retain(|untried| *untried != root);
                continue;
            };
            if !self.late.untried.contains(&root) {
                return Err(why);
            }
            self.refuse_root(root, &why);
            if !matches!(self.life, Life::Running(_)) {
                return Err(why);
            }
        }
        Ok(())
    }

    fn refuse_root(&mut self, root: u32, why: &Error) {
        self.late.untried.retain(|untried| *untried != root);
        self.late.refused.push(root);
        if let Some(context) = self.state().contexts.roots.get_mut(&root) {
            context.stop_timers();
        }
        let line = format!("root context {root} cannot be used: {why}");
        self.log(LogLevel::Error, &line);
    }

    /// Errors: the root context was refused.
    pub(super) fn check_root(&self, root: u32) -> Result<(), Error> {
        if self.late.refused.is_empty() || !self.late.refused.contains(&root) {
            return Ok(());
        }
        Err(Error::Unavailable(
            "its configuration was refused".to_owned(),
        ))
    }

    /// A root context ends. True when no instance knows it.
    pub(super) fn forget_late(&mut self, root: u32) -> bool {
        self.late.untried.retain(|untried| *untried != root);
        let before = self.late.refused.len();
        self.late.refused.retain(|refused| *refused != root);
        self.late.refused.len() < before
    }
}
