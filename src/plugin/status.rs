//! What a plugin has at this moment, in this worker: for operators.

use std::time::Instant;

use super::lifecycle::{Life, Plugin};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub name: Vec<u8>,
    /// It has an instance.
    pub running: bool,
    /// Its code is compiled in the background.
    pub compiling: bool,
    /// Milliseconds in which it gets no instance, as it has failed.
    pub back_off_ms: u32,
    /// Bytes of the instance's linear memory.
    pub memory: usize,
    pub root_contexts: usize,
    /// Those that still live: a request that ended without a log phase keeps
    /// its own for up to a second.
    pub http_contexts: usize,
    /// Http contexts that wait.
    pub paused: usize,
    /// Callouts that were asked for and not answered yet.
    pub callouts: usize,
}

impl Plugin {
    pub fn status(&mut self) -> Status {
        let (running, memory) = match &mut self.life {
            Life::Running(running) => (true, running.instance.memory_size()),
            _ => (false, 0),
        };
        let paused = self.paused();
        let name = self.info.name.clone();
        let compiling = self.is_compiling();
        let back_off = self.back_off.left(Instant::now()).unwrap_or_default();
        let state = self.state();
        Status {
            name,
            running,
            compiling,
            // A part of one is one: 0 is none.
            back_off_ms: back_off.as_micros().div_ceil(1000) as u32,
            memory,
            root_contexts: state.contexts.roots.len(),
            http_contexts: state.contexts.http.len(),
            paused,
            callouts: state.callouts_in_flight(),
        }
    }
}
