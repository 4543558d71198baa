//! From a file to a plugin that has no instance yet. A large file comes to a
//! worker by a thread: what is wrong with it is then found out later.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::back_off::BackOff;
use super::error::Error;
use super::late::Late;
use super::lifecycle::{ALLOCATORS, Life, Options, Plugin};
use super::link::link;
use super::room::TurnedAway;
use super::wants::Wants;
use crate::abi::types::LogLevel;
use crate::abi::version::{self, AbiVersion};
use crate::context::log::log_line;
use crate::context::{PluginInfo, State};
use crate::host::{Host, hosts};
use crate::shared::Shared;
use crate::vm::cache::{self, Found};
use crate::vm::engine;
use crate::vm::{Module, NoCode};

impl Plugin {
    /// Compiles and links a module; no instance is made, nothing runs.
    ///
    /// Errors: [`Error::Load`].
    pub fn load(
        host: Rc<dyn Host>,
        name: &[u8],
        bytes: &[u8],
        options: Options,
    ) -> Result<Self, Error> {
        let module = cache::module(bytes, &options.code).map_err(Error::Load)?;
        let mut plugin = Plugin::without_module(host, name, options);
        plugin.take_module(module).map_err(Error::Load)?;
        Ok(plugin)
    }

    /// As [`Plugin::load`], but a thread reads and compiles the file while the
    /// process goes on, unless somebody in it has the module already. Not where
    /// a fork may follow.
    ///
    /// Errors: [`Error::Load`], as far as the beginning of the file tells.
    /// Whatever the thread finds, however soon, calls that need an instance give,
    /// as [`Error::Load`], too.
    pub fn load_later(
        host: Rc<dyn Host>,
        name: &[u8],
        path: &Path,
        options: Options,
    ) -> Result<Self, Error> {
        let Found { file, is_read } = cache::file(path, &options.code).map_err(Error::Load)?;
        let mut plugin = Plugin::without_module(host, name, options);
        plugin.late.file = Some(file);
        plugin.late.is_read = is_read;
        if !is_read {
            match plugin.check_code() {
                Ok(()) | Err(Error::Compiling) => {}
                Err(why) => return Err(why),
            }
        }
        plugin.late.path = path.display().to_string();
        Ok(plugin)
    }

    fn without_module(host: Rc<dyn Host>, name: &[u8], options: Options) -> Self {
        hosts::read();
        let info = Rc::new(PluginInfo {
            name: name.to_vec(),
            root_id: options.root_id.clone(),
            vm_id: options.vm_id.clone().unwrap_or_default(),
            // Until the module says so.
            abi: AbiVersion::V0_2_1,
            vm_configuration: options.vm_configuration.clone(),
            environment: options.environment.clone(),
            encoding: options.encoding,
            only_text_headers: options.only_text_headers,
            upstreams: options.upstreams.clone(),
            resume_after_callouts: options.resume_after_callouts,
            limits: options.limits,
            ticks_in_one: options.ticks_in_one,
        });
        let shared = Shared::new(
            host.store(),
            options.vm_id.as_deref(),
            name,
            &options.limits,
        );
        let state = State::new(host.clone(), info.clone(), options.ids, shared);
        Plugin {
            host,
            info,
            wants: Wants::unknown(&options),
            options,
            prepared: None,
            late: Late::default(),
            life: Life::Resting(Box::new(state)),
            back_off: BackOff::default(),
            turned_away: TurnedAway::default(),
            on_its_own: false,
            told: Vec::new(),
        }
    }

    /// Errors: it is no plugin; a sentence.
    fn take_module(&mut self, module: Arc<Module>) -> Result<(), String> {
        let abi = version::detect(module.exports()).map_err(|unknown| match unknown {
            Some(version) => format!("{version} is unknown: 0.1.0, 0.2.0 and 0.2.1 are known"),
            None => "no Proxy-Wasm plugin: it exports no proxy_abi_version_*".to_owned(),
        })?;
        let linked = link(module.clone(), &self.options.capabilities)?;
        check_memory(&module, &self.options)?;
        let (host, name) = (&*self.host, &self.info.name);
        tell_complaint(host, name);
        linked.tell(host, name);
        self.wants = Wants::of(&module, &self.options);
        self.info = Rc::new(PluginInfo {
            abi,
            ..(*self.info).clone()
        });
        self.state().plugin = self.info.clone();
        self.prepared = Some(linked.prepared);
        Ok(())
    }

    /// True as long as nobody knows what the module is.
    pub fn is_unknown(&self) -> bool {
        self.prepared.is_none()
    }

    /// Finds out whether there is code. What a thread has read meanwhile is
    /// linked.
    ///
    /// Errors: the code is not there yet, or can never be.
    pub fn check_code(&mut self) -> Result<(), Error> {
        if let Some(prepared) = &self.prepared {
            return prepared.ready().map_err(|why| match why {
                NoCode::Yet => Error::Compiling,
                NoCode::Ever(why) => Error::Load(why),
            });
        }
        if let Some(why) = &self.late.wrong {
            return Err(Error::Load(why.clone()));
        }
        let Some(read) = self.late.file.as_ref().and_then(|file| file.module()) else {
            return Err(Error::Compiling);
        };
        match read.and_then(|module| self.take_module(module)) {
            Ok(()) => self.check_code(),
            Err(why) => {
                let why = match &*self.late.path {
                    "" => why,
                    path => format!("{path}: {why}"),
                };
                self.late.wrong = Some(why.clone());
                Err(Error::Load(why))
            }
        }
    }
}

/// Says, once, why code is compiled anew by every process, and what plugins must
/// do without.
pub(super) fn tell_complaint(host: &dyn Host, name: &[u8]) {
    if let Some(why) = cache::complaint() {
        let line = format!("compiled code is not kept: {why}");
        log_line(host, name, None, LogLevel::Info, line.as_bytes());
    }
    if let Some(what) = engine::complaint() {
        log_line(host, name, None, LogLevel::Warn, what.as_bytes());
    }
}

/// A plugin brings a memory, and a way to get some of it.
fn check_memory(module: &Module, options: &Options) -> Result<(), String> {
    let limit = options.memory_limit;
    let Some(memory) = module.memory("memory") else {
        return Err("it exports no memory named \"memory\"".to_owned());
    };
    if memory.is_64 {
        return Err("its memory has 64-bit addresses: it must be built for wasm32".to_owned());
    }
    if memory.minimum > limit as u64 {
        return Err(format!(
            "it begins with {} bytes of memory, and may have {limit} (option memory_limit)",
            memory.minimum,
        ));
    }
    let elements = module.largest_table();
    let limit = options.limits.table_elements;
    if elements > limit.into() {
        return Err(format!(
            "it begins with a table of {elements} elements, and all that it may have is {limit} \
             (option max_table_elements)"
        ));
    }
    if ALLOCATORS.iter().any(|name| module.has_i32_function(name)) {
        return Ok(());
    }
    Err(
        match ALLOCATORS.iter().find(|name| module.has_function(name)) {
            Some(name) => format!("its allocator {name} is of another type than (i32) -> i32"),
            None => "it exports no allocator: neither malloc nor proxy_on_memory_allocate".into(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::{MemoryHost, MemoryRequest};

    #[test]
    fn what_a_thread_finds_is_told_later_however_soon_it_finds_it() {
        let path = std::env::temp_dir().join(format!("broken-{}.wasm", std::process::id()));
        let host = Rc::new(MemoryHost::new());
        for size in 1..200 {
            // Another file each time: one that failed is read anew anyway.
            let mut bytes = b"\0asm\x01\0\0\0".to_vec();
            bytes.resize(8 + size, 0xff);
            std::fs::write(&path, &bytes).expect("a file");
            let mut plugin = Plugin::load_later(host.clone(), b"p", &path, Options::default())
                .expect("its beginning is right");
            let file = plugin.late.file.clone().expect("a file");
            for _ in 0..1000 {
                if file.module().is_some() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            let root = plugin.add_root_later(b"").expect("accepted unseen");
            let request = host.add_request(MemoryRequest::default());
            let refused = plugin.request_headers(root, request);
            assert!(matches!(refused, Err(Error::Load(_))), "{refused:?}");
        }
        let _ = std::fs::remove_file(&path);
    }

    #[test]
    fn a_plugin_whose_code_never_comes_fails_its_requests_and_is_loaded_anew() {
        let bytes = wat::parse_str(
            r#"(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
                (func (export "malloc") (param i32) (result i32) (i32.const 1024))
                (func (export "never")))"#,
        )
        .expect("a module");
        let path = std::env::temp_dir().join(format!("never-{}.wasm", std::process::id()));
        std::fs::write(&path, &bytes).expect("a file");
        let host = Rc::new(MemoryHost::new());
        let load = || Plugin::load_later(host.clone(), b"p", &path, Options::default());
        let (_module, give_up) = cache::uncompiled(&bytes, &Options::default().code);
        let mut plugin = load().expect("it may come");
        let root = plugin.add_root(b"", false).expect("accepted unseen");
        let ask = |plugin: &mut Plugin, root| {
            let request = host.add_request(MemoryRequest::default());
            plugin.request_headers(root, request)
        };
        assert_eq!(ask(&mut plugin, root), Err(Error::Compiling));

        give_up("the compiler gave up");
        let never = Error::Load("the compiler gave up".to_owned());
        for _ in 0..2 {
            assert_eq!(ask(&mut plugin, root), Err(never.clone()));
        }
        assert_eq!(plugin.start_now(), Err(never));

        // Whoever loads it now does not wait for what never comes.
        let mut next = load().expect("another one");
        for _ in 0..1000 {
            if next.check_code() != Err(Error::Compiling) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!(next.check_code(), Ok(()));
        let root = next.add_root(b"", false).expect("a root context");
        assert!(ask(&mut next, root).is_ok());
        let _ = std::fs::remove_file(&path);
    }
}
