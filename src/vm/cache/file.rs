//! Modules in files that a thread reads and compiles: whoever waits for one
//! looks now and then whether it is there.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::fs::{Metadata, OpenOptions};
use std::io::{Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use once_cell::sync::Lazy;

use super::super::effort;
use super::super::engine::{Stack, engine};
use super::super::module::{Module, NoCode, check_beginning};
use super::super::process;
use super::{How, Key, Store, find, has_size, keep};
use crate::abi::limits::{COMPILER_STACK, MAX_MODULE, MAX_UNUSED_MODULES};

/// A module in a file, which comes later: first what it is, then its code.
#[derive(Default)]
pub struct File {
    module: OnceLock<Result<Arc<Module>, String>>,
}

/// A file, and whether a thread was reading it when it was asked for: how soon
/// that ends is nothing to build on.
pub struct Found {
    pub file: Arc<File>,
    pub is_read: bool,
}

/// A file as it was at some time: device, number, size, and when its bytes and
/// its description were last changed.
type Identity = (u64, u64, u64, (i64, i64), (i64, i64));

fn identity(about: &Metadata) -> Identity {
    (
        about.dev(),
        about.ino(),
        about.size(),
        (about.mtime(), about.mtime_nsec()),
        (about.ctime(), about.ctime_nsec()),
    )
}

/// The files that somebody has, and those that were loaded last.
#[derive(Default)]
struct Known {
    files: HashMap<(Identity, Stack), Weak<File>>,
    /// A Lua VM for each request (`lua_code_cache off`) has a plugin no longer
    /// than that: the next one must find it there, or it would never run.
    last: VecDeque<Arc<File>>,
}

static KNOWN: Lazy<Mutex<Known>> = Lazy::new(Default::default);

impl File {
    /// What was read; `None`: nothing yet.
    ///
    /// Errors: a sentence that says what is wrong with the file.
    pub fn module(&self) -> Option<Result<Arc<Module>, String>> {
        self.module.get().cloned()
    }

    /// It can still come to something.
    fn is_hopeful(&self) -> bool {
        match self.module.get() {
            None => true,
            Some(Ok(module)) => !matches!(module.code(), Err(NoCode::Ever(_))),
            Some(Err(_)) => false,
        }
    }

    /// Whoever is first says what it is.
    fn is(&self, module: Result<Arc<Module>, String>) {
        let _ = self.module.set(module);
    }

    /// Takes what was found of it before its thread begins. True when that was
    /// the module: no thread is needed.
    ///
    /// Errors: the ones given, and whoever loads it next is not to wait for a
    /// thread that never was.
    fn settle(&self, found: Result<Option<Arc<Module>>, String>) -> Result<bool, String> {
        let found = found.inspect_err(|why| self.is(Err(why.clone())))?;
        let is_there = found.is_some();
        if let Some(module) = found {
            self.is(Ok(module));
        }
        Ok(is_there)
    }

    fn read(&self, from: &std::fs::File, size: u64, how: &How) -> Result<(), String> {
        let bytes = read(from, size)?;
        let key = Key::of(&bytes, how.stack);
        if let Some(module) = find(&key) {
            self.is(Ok(module));
            return Ok(());
        }
        let store = Store::new(&key, how)?;
        if let Some(code) = store.find() {
            let module = Module::with_code(&bytes, how.stack, prepare(code)?)?;
            self.is(Ok(keep(key, Arc::new(module))));
            return Ok(());
        }
        effort::check(&bytes, &how.compile)?;
        let own = Arc::new(Module::without_code(&bytes, how.stack)?);
        let module = keep(key, own.clone());
        self.is(Ok(module.clone()));
        // Else another thread makes it.
        if Arc::ptr_eq(&module, &own) {
            let get = || store.get(&bytes).and_then(prepare);
            let code = catch_unwind(AssertUnwindSafe(get));
            own.set_code(code.unwrap_or_else(|_| Err("the compiler panicked".to_owned())));
        }
        Ok(())
    }
}

/// The module in a file, read and compiled in a thread; or at once, where there
/// is none to be had. Each file has a thread of its own, so that none waits for
/// what another's bytes are; how many of them compile is bounded (`Turns`), and
/// one that only waits has its file's bytes and a stack that nothing touches. A
/// module that somebody in this process has is there at once.
///
/// Errors: a sentence about what the beginning of the file tells.
pub fn file(path: &Path, how: &How) -> Result<Found, String> {
    // Here, as the thread has another stack.
    engine(how.stack)?;
    let opened = OpenOptions::new()
        .read(true)
        // Nothing that waits for a writer.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|why| why.to_string())?;
    let about = opened.metadata().map_err(|why| why.to_string())?;
    if !about.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mut beginning = [0; 8];
    let begun = opened.read_at(&mut beginning, 0);
    check_beginning(&beginning[..begun.map_err(|why| why.to_string())?])?;

    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.files.retain(|_, file| file.strong_count() > 0);
    let name = (identity(&about), how.stack);
    let before = known.files.get(&name).and_then(Weak::upgrade);
    if let Some(file) = before.filter(|file| file.is_hopeful()) {
        let is_read = file.module().is_none();
        return Ok(Found { file, is_read });
    }
    let file = Arc::new(File::default());
    known.files.insert(name, Arc::downgrade(&file));
    known.last.push_back(file.clone());
    if known.last.len() > MAX_UNUSED_MODULES {
        known.last.pop_front();
    }
    drop(known);

    if file.settle(loaded(&opened, about.len(), how.stack))? {
        return Ok(Found {
            file,
            is_read: false,
        });
    }
    let job = {
        let (file, how, size) = (file.clone(), how.clone(), about.len());
        Arc::new(move || {
            let read = catch_unwind(AssertUnwindSafe(|| file.read(&opened, size, &how)));
            let panicked = |_| Err("the reader of modules panicked".to_owned());
            if let Err(why) = read.unwrap_or_else(panicked) {
                file.is(Err(why));
            }
        })
    };
    let in_thread = job.clone();
    let in_thread = move || {
        process::step_back();
        in_thread();
    };
    let is_read = process::start_thread("proxy_wasm_code", COMPILER_STACK, in_thread).is_ok();
    if !is_read {
        job();
    }
    Ok(Found { file, is_read })
}

/// The module, where somebody has it, perhaps as the master has loaded it: to
/// know that takes a tenth of what a thread would do, and nobody has to wait
/// for what is there. The file is at its beginning again.
fn loaded(opened: &std::fs::File, size: u64, stack: Stack) -> Result<Option<Arc<Module>>, String> {
    if !has_size(size) {
        return Ok(None);
    }
    let bytes = read(opened, size)?;
    let module = find(&Key::of(&bytes, stack));
    if module.is_none() {
        (&*opened).rewind().map_err(|why| why.to_string())?;
    }
    Ok(module)
}

/// Does now what the first instance would do.
fn prepare(code: wasmtime::Module) -> Result<wasmtime::Module, String> {
    code.initialize_copy_on_write_image()
        .map_err(|error| format!("no memory can be made of it: {error:#}"))?;
    Ok(code)
}

/// Errors: a sentence, also where there is no memory for it.
fn read(from: &std::fs::File, size: u64) -> Result<Vec<u8>, String> {
    if size > MAX_MODULE {
        return Err(format!(
            "it has {size} bytes, and a module may have {MAX_MODULE}"
        ));
    }
    let mut bytes = Vec::new();
    let room = bytes.try_reserve_exact(size as usize);
    room.map_err(|_| format!("there is no memory for its {size} bytes"))?;
    let read = from.take(MAX_MODULE).read_to_end(&mut bytes);
    read.map_err(|why| why.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_could_not_be_read_is_given_up() {
        let file = File::default();
        assert_eq!(file.settle(Ok(None)), Ok(false));
        assert!(file.is_hopeful());
        assert_eq!(file.settle(Err("gone".into())), Err("gone".into()));
        assert!(!file.is_hopeful());
        assert!(matches!(file.module(), Some(Err(why)) if why == "gone"));
    }
}
