//! What of the shared store concerns an instance beside the values: what its
//! operator is told, and what it is told again.

use super::state::State;
use crate::abi::Status;
use crate::abi::types::LogLevel;
use crate::shared::Error;

impl State {
    /// Has a root context told once more, at the next look, of an item of a queue.
    pub fn tell_again(&mut self, root: u32, queue: u32) {
        let root = self.contexts.roots.get_mut(&root);
        let queues = root.map(|root| &mut root.queues).into_iter().flatten();
        for (token, seen) in queues {
            if *token == queue {
                *seen = seen.saturating_sub(1);
            }
        }
    }

    /// Passes a result of the shared store on, and tells the operator when it
    /// has no room, or the plugin has had its share.
    pub fn log_full_store<T>(&mut self, result: Result<T, Status>) -> Result<T, Status> {
        if let Err(Status::InternalFailure) = result {
            let line = match self.shared.account.has_refused() {
                true => format!(
                    "the plugin's share of shared state is full: {} bytes (option \
                     max_shared_bytes)",
                    self.shared.account.limit()
                ),
                false => {
                    "shared state is full: give lua_shared_dict proxy_wasm more room".to_owned()
                }
            };
            self.log(LogLevel::Error, line.as_bytes());
        }
        result
    }

    /// Splits a result of the shared store: what its room has to do with is
    /// logged. `None`: somebody else has it, which is logged, too; `what` it is.
    pub fn log_shared<T>(
        &mut self,
        result: Result<T, Error>,
        what: &str,
    ) -> Option<Result<T, Status>> {
        match result {
            Ok(value) => Some(Ok(value)),
            Err(Error::Status(status)) => Some(self.log_full_store(Err(status))),
            Err(Error::Busy) => {
                let line = format!(
                    "{what}: another worker has stopped in the middle of changing it, and lives"
                );
                self.log(LogLevel::Error, line.as_bytes());
                None
            }
        }
    }
}
