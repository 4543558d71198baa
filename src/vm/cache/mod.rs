//! Compiled code: in memory, shared by all who load the same bytes in this
//! process, and on disk for other processes.

mod disk;
mod file;
mod map;
mod trust;
mod turns;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use once_cell::sync::{Lazy, OnceCell};
use sha2::{Digest, Sha256};

use self::disk::{Disk, Locked};
pub use self::file::{File, Found, file};
use self::turns::TURNS;
use super::effort;
use super::engine::{Stack, compatibility, engine};
use super::module::{Module, NoCode, compile};
use crate::abi::limits::{COMPILE_MEMORY, COMPILE_TIME_MS};

/// What tells modules from each other.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    digest: [u8; 32],
    /// Code belongs to the engine that made it.
    stack: Stack,
}

impl Key {
    fn of(bytes: &[u8], stack: Stack) -> Self {
        Key {
            digest: Sha256::digest(bytes).into(),
            stack,
        }
    }
}

static MODULES: Lazy<Mutex<HashMap<Key, Weak<Module>>>> = Lazy::new(Default::default);

/// How code is got that nobody in this process has.
#[derive(Clone, Debug)]
pub struct How {
    /// The folder that has a folder for each user; `None`: nothing is written,
    /// and nothing believed.
    pub directory: Option<PathBuf>,
    /// What its guests have.
    pub stack: Stack,
    /// What compiling it may take.
    pub compile: effort::Limits,
}

impl Default for How {
    fn default() -> Self {
        How {
            directory: None,
            stack: Stack::default(),
            compile: effort::Limits {
                memory: COMPILE_MEMORY,
                time_ms: COMPILE_TIME_MS,
            },
        }
    }
}

/// The module of these bytes, compiled unless somebody still holds it, or its
/// code is on disk.
///
/// Errors: a sentence that says what is wrong with the bytes.
pub fn module(bytes: &[u8], how: &How) -> Result<Arc<Module>, String> {
    let key = Key::of(bytes, how.stack);
    if let Some(module) = find(&key)
        // A thread may take long.
        && module.code().is_ok()
    {
        return Ok(module);
    }
    let store = Store::new(&key, how)?;
    let module = match store.find() {
        Some(code) => Module::with_code(bytes, how.stack, code)?,
        None => {
            effort::check(bytes, &how.compile)?;
            let module = Module::compile(bytes, how.stack)?;
            if let Ok(code) = module.code() {
                store.keep(code);
            }
            module
        }
    };
    Ok(keep(key, Arc::new(module)))
}

/// True when a worker is not to wait for the module of these bytes: nobody has
/// it, and compiling it takes long.
pub fn takes_long(bytes: &[u8], how: &How) -> bool {
    if !effort::takes_long(bytes, &how.compile) {
        return false;
    }
    let key = Key::of(bytes, how.stack);
    let is_there = find(&key).is_some_and(|module| module.code().is_ok())
        || Store::new(&key, how).is_ok_and(|store| store.find().is_some());
    !is_there
}

fn modules() -> MutexGuard<'static, HashMap<Key, Weak<Module>>> {
    // A panic under the lock leaves the map as it was: it is safe to go on.
    MODULES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A module that has its code, or is to get it from a thread.
fn find(key: &Key) -> Option<Arc<Module>> {
    let module = modules().get(key).and_then(Weak::upgrade);
    module.filter(|module| !matches!(module.code(), Err(NoCode::Ever(_))))
}

/// True when somebody has a module of this size.
fn has_size(size: u64) -> bool {
    let modules = modules();
    let mut modules = modules.values().filter_map(Weak::upgrade);
    modules.any(|module| module.size() as u64 == size)
}

/// Shares a module; gives the one that is shared, which may be another's.
fn keep(key: Key, own: Arc<Module>) -> Arc<Module> {
    let mut modules = modules();
    modules.retain(|_, module| module.strong_count() > 0);
    if let Some(module) = modules.get(&key).and_then(Weak::upgrade) {
        match module.code() {
            Ok(_) => return module,
            Err(NoCode::Yet) if own.code().is_err() => return module,
            Err(_) => {}
        }
    }
    modules.insert(key, Arc::downgrade(&own));
    own
}

/// So often does a thread that waits for its turn look for what it would make.
const LOOK: Duration = Duration::from_secs(1);

/// Where the code of one module lies on disk.
#[derive(Clone)]
struct Store {
    directory: Option<PathBuf>,
    name: String,
    stack: Stack,
}

impl Store {
    fn new(key: &Key, how: &How) -> Result<Self, String> {
        let compatibility = compatibility(engine(how.stack)?);
        Ok(Store {
            directory: how.directory.clone(),
            name: format!("{}-{}", hex(&key.digest), hex(&compatibility[..16])),
            stack: how.stack,
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
        unsafe { map::code(engine(self.stack).ok()?, file) }.ok()
    }

    fn keep(&self, code: &wasmtime::Module) {
        let Some(disk) = self.disk() else { return };
        let serialized = code.serialize().map_err(|error| format!("{error:#}"));
        if let Err(why) = serialized.and_then(|code| disk.store(&self.name, &code)) {
            complain(why);
        }
    }

    /// The code, made by one process while the others that want it wait for its
    /// file. Nobody waits for another module's, unless this process compiles as
    /// many as it may.
    fn get(&self, bytes: &[u8]) -> Result<wasmtime::Module, String> {
        let disk = self.disk();
        loop {
            // Perhaps another process, which had a turn to give, has made it.
            if let Some(code) = self.find() {
                return Ok(code);
            }
            let Some(turn) = TURNS.take(LOOK) else {
                continue;
            };
            let lock = disk.as_ref().map(|disk| disk.lock(&self.name));
            if let Some(Locked::ByAnother(theirs)) = lock {
                // To wait takes no turn.
                drop(turn);
                theirs.wait();
                continue;
            }
            // It can have come just before the lock.
            if let Some(code) = self.find() {
                return Ok(code);
            }
            let code = compile(bytes, self.stack)?;
            self.keep(&code);
            return Ok(code);
        }
    }
}

/// A module that is to get its code from nobody; and what ends the wait for it,
/// with a reason.
#[cfg(test)]
pub fn uncompiled(bytes: &[u8], how: &How) -> (Arc<Module>, impl FnOnce(&str) + use<>) {
    let own = Module::without_code(bytes, how.stack).expect("valid");
    let module = keep(Key::of(bytes, how.stack), Arc::new(own));
    let waited_for = module.clone();
    let give_up = move |why: &str| waited_for.set_code(Err(why.to_owned()));
    (module, give_up)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::instance::{Prepared, linker};

    #[test]
    fn a_module_that_never_gets_code_is_given_up() {
        let bytes = wat::parse_str(r#"(module (func (export "never")))"#).expect("a module");
        let how = How::default();
        let key = Key::of(&bytes, how.stack);
        let (module, give_up) = uncompiled(&bytes, &how);
        let linker = linker::<()>(how.stack).expect("a linker");
        let prepared = Prepared::new(linker.clone(), module.clone()).expect("it may come");
        assert_eq!(prepared.ready(), Err(NoCode::Yet));
        assert!(find(&key).is_some_and(|found| Arc::ptr_eq(&found, &module)));

        give_up("the compiler gave up");
        let never = NoCode::Ever("the compiler gave up".to_owned());
        // Whoever waits for it is told why, and whoever links it now.
        assert_eq!(prepared.ready(), Err(never.clone()));
        assert_eq!(prepared.ready(), Err(never));
        let linked = Prepared::new(linker, module.clone());
        assert_eq!(linked.err().as_deref(), Some("the compiler gave up"));
        // It is nobody else's any more, though somebody holds it.
        assert!(find(&key).is_none());
        let made = self::module(&bytes, &how).expect("it can be compiled");
        assert!(made.code().is_ok() && !Arc::ptr_eq(&made, &module));
        assert!(find(&key).is_some_and(|found| Arc::ptr_eq(&found, &made)));
        // What comes later does not change what is said.
        module.set_code(Ok(made.code().expect("it has code").clone()));
        assert!(matches!(module.code(), Err(NoCode::Ever(_))));
    }

    #[test]
    fn engines_share_what_is_on_disk_and_not_what_is_in_memory() {
        let folder = std::env::temp_dir().join(format!("engines-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a folder");
        let how = |bytes| How {
            directory: Some(folder.clone()),
            stack: Stack::of(bytes),
            ..How::default()
        };
        let bytes = wat::parse_str(r#"(module (func (export "shared")))"#).expect("a module");
        let small = module(&bytes, &how(64 << 10)).expect("compiled");
        let large = module(&bytes, &how(1 << 20)).expect("mapped");
        assert!(!Arc::ptr_eq(&small, &large));
        let again = module(&bytes, &how(64 << 10)).expect("in memory");
        assert!(Arc::ptr_eq(&small, &again));
        let user = super::super::process::user();
        let files = std::fs::read_dir(folder.join(format!("proxy-wasm-{user}")));
        let names = files.expect("the folder of this user").map(|file| {
            let name = file.expect("a file").file_name();
            name.into_string().expect("a name")
        });
        let code = names.filter(|name| name.ends_with(".cwasm")).count();
        let removed = std::fs::remove_dir_all(&folder);
        assert_eq!(code, 1);
        assert!(removed.is_ok());
    }
}
