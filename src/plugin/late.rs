//! A plugin whose code comes later, and root contexts that are made before:
//! nothing of the guest could say yet what it thinks of their configuration.

use std::sync::Arc;
use std::time::Instant;

use super::error::Error;
use super::lifecycle::{Life, Plugin};
use crate::abi::limits::CODE_POLL_MS;
use crate::abi::types::LogLevel;
use crate::context::Effect;
use crate::context::log::log_notice;
use crate::vm::cache;

#[derive(Default)]
pub(super) struct Late {
    /// Since when a root context waits for the code.
    since: Option<Instant>,
    /// Where the module comes from, for as long as the plugin lives: others that
    /// load the same file share it.
    pub file: Option<Arc<cache::File>>,
    /// A thread was reading it when the plugin was loaded.
    pub is_read: bool,
    /// Its name, for what is found out later.
    pub path: String,
    /// Why there is no module; a sentence.
    pub wrong: Option<String>,
    /// Accepted unseen; the first instance tries them.
    untried: Vec<u32>,
    /// What that instance refused: no instance knows them.
    refused: Vec<u32>,
}

impl Plugin {
    /// Accepts a root context unseen. A timer makes the instance once the code
    /// is there, unless a request comes first.
    pub(super) fn try_root_later(&mut self, root: u32) {
        self.late.untried.push(root);
        if self.late.since.is_none() {
            self.late.since = Some(Instant::now());
            let line = "its code is compiled in the background: until it is there, requests get \
                the policy of the option fail";
            log_notice(&*self.host, &self.info.name, line.as_bytes());
        }
        self.on_its_own = true;
        let after_ms = CODE_POLL_MS;
        self.state().push_shared(Effect::Timer { after_ms });
    }

    /// The code is there, or never will be; `fine` tells.
    pub(super) fn code_came(&mut self, fine: bool) {
        let Some(since) = self.late.since.take() else {
            return;
        };
        if fine {
            let seconds = since.elapsed().as_secs_f64();
            let line = format!("its code is compiled, after {seconds:.1} s");
            log_notice(&*self.host, &self.info.name, line.as_bytes());
        }
    }

    /// True while a root context waits for the code.
    pub(super) fn is_compiling(&self) -> bool {
        self.late.since.is_some()
    }

    /// Makes all root contexts on a new instance.
    ///
    /// Errors: of a root context that was in use before, or that took the
    /// instance with it. One that was never tried is refused for good, and
    /// alone.
    pub(super) fn start_roots(&mut self) -> Result<(), (u32, Error)> {
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
                return Err((root, why));
            }
            self.refuse_root(root, &why);
            if !matches!(self.life, Life::Running(_)) {
                return Err((root, why));
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
