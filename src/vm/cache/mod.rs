//! Compiled code: in memory, shared by all who load the same bytes in this
//! process, and on disk for other processes.

mod disk;
mod map;

use std::collections::HashMap;
use std::panic;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use once_cell::sync::{Lazy, OnceCell};
use sha2::{Digest, Sha256};

use self::disk::Disk;
use super::engine::{compatibility, engine};
use super::module::{Module, NoCode, compile};
use super::process;
use crate::abi::limits::{COMPILER_STACK, MAX_COMPILED_AT_ONCE};

type Key = [u8; 32];

static MODULES: Lazy<Mutex<HashMap<Key, Weak<Module>>>> = Lazy::new(Default::default);

/// How code is got that nobody in this process has.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// The folder that has a folder for each user; `None`: nothing is written,
    /// and nothing believed.
    pub directory: Option<PathBuf>,
    /// Compile a large module in a thread of its own: its code comes later.
    /// Never before a fork.
    pub background: bool,
}

/// The module of these bytes, compiled unless somebody still holds it, or its
/// code is on disk.
///
/// Errors: a sentence that says what is wrong with the bytes.
pub fn module(bytes: &[u8], how: &How) -> Result<Arc<Module>, String> {
    let key: Key = Sha256::digest(bytes).into();
    let later = how.background && bytes.len() > MAX_COMPILED_AT_ONCE;
    // A panic under the lock leaves the map as it was: it is safe to go on.
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);

    if let Some(module) = modules.get(&key).and_then(Weak::upgrade) {
        match module.code() {
            Ok(_) => return Ok(module),
            Err(NoCode::Yet) if later => return Ok(module),
            // A thread may take long, and another attempt may do better.
            Err(_) => {}
        }
    }
    let store = Store::new(&key, how)?;
    let module = match store.find() {
        Some(code) => Arc::new(Module::with_code(bytes, code)?),
        None if later => compile_later(bytes, store)?,
        None => {
            let module = Module::compile(bytes)?;
            if let Ok(code) = module.code() {
                store.keep(code);
            }
            Arc::new(module)
        }
    };
    modules.retain(|_, module| module.strong_count() > 0);
    modules.insert(key, Arc::downgrade(&module));
    Ok(module)
}

/// Compiles in a thread; or at once, where there is none to be had.
fn compile_later(bytes: &[u8], store: Store) -> Result<Arc<Module>, String> {
    let module = Arc::new(Module::without_code(bytes)?);
    let job = {
        let (bytes, module, store) = (bytes.to_vec(), module.clone(), store.clone());
        move || {
            let code = panic::catch_unwind(panic::AssertUnwindSafe(|| store.get(&bytes)));
            let panicked = || Err("the compiler panicked".to_owned());
            module.set_code(code.unwrap_or_else(|_| panicked()));
        }
    };
    if process::start_thread("proxy_wasm_code", COMPILER_STACK, job).is_err() {
        module.set_code(store.get(bytes));
    }
    Ok(module)
}

/// Where the code of one module lies on disk.
#[derive(Clone)]
struct Store {
    directory: Option<PathBuf>,
    name: String,
}

impl Store {
    fn new(key: &Key, how: &How) -> Result<Self, String> {
        let compatibility = compatibility(engine()?);
        Ok(Store {
            directory: how.directory.clone(),
            name: format!("{}-{}", hex(key), hex(&compatibility[..16])),
        })
    }

    fn disk(&self) -> Option<Disk> {
        self.directory.as_deref().map(Disk::new)
    }

    fn find(&self) -> Option<wasmtime::Module> {
        let file = self.disk()?.find(&self.name)?;
        // SAFETY: a file of that name, whole, that nobody but the user of this
        // process or root can have written; and we write it once, from what
        // `serialize` gave.
        unsafe { map::code(engine().ok()?, file) }.ok()
    }

    fn keep(&self, code: &wasmtime::Module) {
        let Some(disk) = self.disk() else { return };
        let serialized = code.serialize().map_err(|error| format!("{error:#}"));
        if let Err(why) = serialized.and_then(|code| disk.store(&self.name, &code)) {
            complain(why);
        }
    }

    /// The code, made by one process while the others wait for its file.
    fn get(&self, bytes: &[u8]) -> Result<wasmtime::Module, String> {
        let _lock = self.disk().and_then(|disk| disk.lock());
        if let Some(code) = self.find() {
            return Ok(code);
        }
        let code = compile(bytes)?;
        self.keep(&code);
        Ok(code)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

static COMPLAINT: OnceCell<String> = OnceCell::new();
static TOLD: AtomicBool = AtomicBool::new(false);

fn complain(why: String) {
    let _ = COMPLAINT.set(why);
}

/// Why code could not be kept on disk, once in a process and those that it
/// forks.
pub fn complaint() -> Option<&'static str> {
    let why = COMPLAINT.get()?;
    (!TOLD.swap(true, Ordering::Relaxed)).then_some(why.as_str())
}
