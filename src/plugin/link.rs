//! Gives a module the host functions that it imports.

use std::sync::Arc;

use super::capabilities::Capabilities;
use crate::abi::Status;
use crate::abi::types::LogLevel;
use crate::callbacks;
use crate::context::State;
use crate::context::log::{log_line, log_notice};
use crate::host::Host;
use crate::hostcalls::{self, Linked, env, wasi};
use crate::vm::instance::{Prepared, define_constant, linker};
use crate::vm::{ImportKind, Module};

/// WASI: "function not supported".
const NOSYS: i32 = 52;

/// WASI: "capabilities insufficient".
const NOTCAPABLE: i32 = 76;

/// The module, ready to be instantiated, and what it asked for in vain.
pub struct Link {
    pub prepared: Prepared<State>,
    /// For each import that a stub answers, which and why.
    pub stubs: Vec<String>,
    /// The names of those that are not allowed.
    pub refused: Vec<String>,
    /// The names of callbacks that are there and are not called for that.
    pub unheard: Vec<String>,
}

impl Link {
    /// Says what the plugin may miss.
    pub fn tell(&self, host: &dyn Host, plugin: &[u8]) {
        if !self.stubs.is_empty() {
            let line = format!("imports that a stub answers: {}", self.stubs.join(", "));
            log_notice(host, plugin, line.as_bytes());
        }
        // The operator's own will: told to who wants to know.
        for (what, names) in [
            ("imports that are not allowed", &self.refused),
            ("callbacks that are not called", &self.unheard),
        ] {
            if !names.is_empty() {
                let line = format!("{what}: {}", names.join(", "));
                log_line(host, plugin, None, LogLevel::Info, line.as_bytes());
            }
        }
    }
}

/// Resolves every import. What nobody has becomes a stub that answers
/// UNIMPLEMENTED: real modules import what they never call. What is not allowed
/// becomes one that answers as Envoy's do; what compilers import beside the
/// specification is always allowed.
///
/// Errors: an import that is no function, in words.
pub fn link(module: Arc<Module>, capabilities: &Capabilities) -> Result<Link, String> {
    let mut linker = linker::<State>(module.stack())?;
    let (mut stubs, mut refused) = (Vec::new(), Vec::new());

    for import in module.clone().imports() {
        let (from, name) = (import.module, import.name);
        let ImportKind::Function {
            params,
            results,
            ty,
        } = import.kind
        else {
            return Err(format!(
                "it imports {from}.{name}, which is not a function: a plugin brings its own memory and tables"
            ));
        };
        let is_wasi = wasi::MODULES.contains(&from);
        if (is_wasi || hostcalls::knows(name)) && !capabilities.allow(name) {
            let answer = match is_wasi {
                true => NOTCAPABLE,
                false => Status::InternalFailure.into(),
            };
            define_constant(&mut linker, from, name, &ty, answer)?;
            refused.push(name.to_owned());
            continue;
        }
        let linked = if is_wasi {
            wasi::link(&mut linker, from, name, &params, &results)?
        } else {
            match hostcalls::link(&mut linker, from, name, &params, &results)? {
                Linked::Unknown => env::link(&mut linker, from, name, &params, &results)?,
                linked => linked,
            }
        };
        let why = match linked {
            Linked::Built => continue,
            Linked::Unimplemented => "is not implemented",
            Linked::WrongType => "has another signature here",
            Linked::Unknown => "is unknown",
        };
        let answer = if is_wasi {
            NOSYS
        } else {
            Status::Unimplemented.into()
        };
        define_constant(&mut linker, from, name, &ty, answer)?;
        stubs.push(format!("{from}.{name} {why}"));
    }

    let unheard = module
        .exports()
        .filter(|name| callbacks::NAMES.contains(name));
    let unheard = unheard.filter(|name| !capabilities.allow(name));
    let unheard = unheard.map(str::to_owned).collect();
    let prepared = Prepared::new(linker, module)?;
    Ok(Link {
        prepared,
        stubs,
        refused,
        unheard,
    })
}
