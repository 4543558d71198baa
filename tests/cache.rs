//! Compiled code on disk: who may be believed, what a damaged file does, and
//! that one process compiles while others wait.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use resty_proxy_wasm::vm::cache::{How, module};
use resty_proxy_wasm::vm::instance::{Prepared, linker};
use resty_proxy_wasm::vm::{Module, NoCode};

const NOBODY: u32 = 65534;

fn user() -> u32 {
    // SAFETY: it takes nothing, and cannot fail.
    unsafe { libc::geteuid() }
}

/// A folder for code, gone when the test is over.
struct Cache {
    base: PathBuf,
    how: How,
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

impl Cache {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "proxy-wasm-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let base = std::env::temp_dir().join(name);
        fs::create_dir(&base).unwrap();
        fs::set_permissions(&base, Permissions::from_mode(0o755)).unwrap();
        Cache {
            how: How {
                directory: Some(base.clone()),
                background: false,
            },
            base,
        }
    }

    fn folder(&self) -> PathBuf {
        self.base.join(format!("proxy-wasm-{}", user()))
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths
            .filter(|path| path.extension().is_some_and(|it| it == "cwasm"))
            .collect()
    }

    /// The one file of serialized code.
    #[track_caller]
    fn file(&self) -> PathBuf {
        let files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        files.into_iter().next().unwrap()
    }

    fn load(&self, bytes: &[u8]) -> Arc<Module> {
        module(bytes, &self.how).unwrap()
    }

    /// Loads, and says whether the code is a file's.
    fn maps(&self, bytes: &[u8]) -> bool {
        let module = self.load(bytes);
        assert_eq!(ready(&module), Ok(()));
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        maps.contains(self.base.to_str().unwrap())
    }
}

fn ready(module: &Arc<Module>) -> Result<(), NoCode> {
    let prepared = Prepared::new(linker::<()>().unwrap(), module.clone());
    prepared.unwrap().ready()
}

/// A module that no other test has.
fn small() -> Vec<u8> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    wat::parse_str(format!(
        r#"(module (memory (export "memory") 1) (func (export "f") (result i32) (i32.const {number})))"#
    ))
    .unwrap()
}

/// A module that is compiled in the background.
fn large() -> Vec<u8> {
    let mut module = small();
    // A custom section: it is the size that counts.
    let size = 600_000u32;
    module.push(0);
    let mut left = size;
    while left >= 0x80 {
        module.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    module.push(left as u8);
    module.push(1);
    module.push(b'x');
    module.resize(module.len() + size as usize - 2, 0);
    module
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn code_is_kept_and_mapped_by_the_next() {
    let (cache, bytes) = (Cache::new(), small());
    assert!(!cache.maps(&bytes));
    assert_eq!(mode(&cache.folder()), 0o755);
    assert_eq!(mode(&cache.file()), 0o644);

    assert!(cache.maps(&bytes));
    // Nothing unfinished is left.
    let entries = fs::read_dir(cache.folder()).unwrap();
    assert_eq!(entries.count(), 1);
}

#[test]
fn without_a_folder_nothing_is_kept() {
    let (mut cache, bytes) = (Cache::new(), small());
    cache.how.directory = None;
    assert!(!cache.maps(&bytes));
    assert!(!cache.maps(&bytes));
    assert!(cache.files().is_empty());
}

#[test]
fn a_damaged_file_is_compiled_anew_and_replaced() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 6] = [
        ("empty", |code| code.clear()),
        ("cut off", |code| code.truncate(code.len() / 2)),
        ("without its end", |code| code.truncate(code.len() - 1)),
        ("longer", |code| code.push(0)),
        ("one bit", |code| {
            let middle = code.len() / 2;
            code[middle] ^= 1;
        }),
        ("its hash", |code| *code.last_mut().unwrap() ^= 1),
    ];
    for (name, damage) in damages {
        let (cache, bytes) = (Cache::new(), small());
        assert!(!cache.maps(&bytes));
        let mut code = fs::read(cache.file()).unwrap();
        damage(&mut code);
        fs::write(cache.file(), code).unwrap();

        assert!(!cache.maps(&bytes), "{name}");
        assert!(cache.maps(&bytes), "{name}: not replaced");
    }
}

#[test]
fn a_file_under_anothers_name_is_not_taken_for_it() {
    let (cache, bytes, others) = (Cache::new(), small(), small());
    cache.load(&others);
    let other = cache.file();
    cache.load(&bytes);
    let files = cache.files();
    let own = files.iter().find(|path| **path != other).unwrap();
    fs::copy(&other, own).unwrap();
    assert!(!cache.maps(&bytes));
}

#[test]
fn a_file_that_others_can_write_is_not_believed() {
    type Change = fn(&Path);
    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let mut changes: Vec<(&str, Change)> = vec![
        ("group", |path| set(path, 0o664)),
        ("all", |path| set(path, 0o646)),
        ("a link", |path| {
            let elsewhere = path.with_extension("elsewhere");
            fs::rename(path, &elsewhere).unwrap();
            symlink(&elsewhere, path).unwrap();
        }),
        ("the folder", |path| set(path.parent().unwrap(), 0o777)),
        ("the folder is a link", |path| {
            let folder = path.parent().unwrap();
            let elsewhere = folder.with_extension("elsewhere");
            fs::rename(folder, &elsewhere).unwrap();
            symlink(&elsewhere, folder).unwrap();
        }),
    ];
    if user() == 0 {
        changes.push(("another's file", |path| {
            chown(path, Some(NOBODY), None).unwrap();
        }));
        changes.push(("another's folder", |path| {
            chown(path.parent().unwrap(), Some(NOBODY), None).unwrap();
        }));
    }
    for (name, change) in changes {
        let (cache, bytes) = (Cache::new(), small());
        assert!(!cache.maps(&bytes));
        assert!(cache.maps(&bytes));
        change(&cache.file());
        assert!(!cache.maps(&bytes), "{name}");
    }
}

#[test]
fn a_pipe_in_place_of_a_file_does_not_stop_anybody() {
    let (cache, bytes) = (Cache::new(), small());
    cache.load(&bytes);
    let file = cache.file();
    fs::remove_file(&file).unwrap();
    let path = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
    // SAFETY: a string that ends with NUL.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    assert!(!cache.maps(&bytes));
}

#[test]
fn nothing_is_written_where_others_can_move_it() {
    let cache = Cache::new();
    for (mode, writes) in [(0o777, false), (0o775, false), (0o1777, true)] {
        fs::set_permissions(&cache.base, Permissions::from_mode(mode)).unwrap();
        cache.load(&small());
        assert_eq!(cache.files().len(), usize::from(writes), "{mode:o}");
    }
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    let cache = Cache::new();
    cache.load(&small());
    let make = |name: &str, mib: u64, hours: u64| {
        let file = File::create(cache.folder().join(name)).unwrap();
        // Of holes: it takes no room on the disk.
        file.set_len(mib << 20).unwrap();
        let age = Duration::from_secs(hours * 3600);
        file.set_modified(std::time::SystemTime::now() - age)
            .unwrap();
    };
    make("oldest.cwasm", 600, 48);
    make("older.cwasm", 600, 24);
    make("left.new", 1, 2);
    make("written.new", 1, 0);
    make("else", 600, 72);
    let bytes = small();
    cache.load(&bytes);

    let is_there = |name: &str| cache.folder().join(name).exists();
    assert!(!is_there("oldest.cwasm") && is_there("older.cwasm"));
    assert!(!is_there("left.new") && is_there("written.new"));
    assert!(is_there("else"));
    assert_eq!(cache.files().len(), 3);
    assert!(cache.maps(&bytes));
}

/// True as soon as `met` is.
fn eventually(mut met: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        if met() {
            return true;
        }
        sleep(Duration::from_millis(10));
    }
    false
}

/// The masks of blocked signals of the threads that compile.
fn compilers() -> Vec<u64> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    texts
        .filter(|text| text.starts_with("Name:\tproxy_wasm_code"))
        .filter_map(|text| {
            let mask = text.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
            u64::from_str_radix(mask.trim(), 16).ok()
        })
        .collect()
}

/// In one test, as the threads are the process's.
#[test]
fn a_large_module_is_compiled_in_a_thread_by_one_process() {
    let (mut cache, bytes) = (Cache::new(), large());
    // Not where a fork may follow.
    assert_eq!(ready(&cache.load(&bytes)), Ok(()));
    let finished = cache.file();

    cache.how.background = true;
    assert!(cache.maps(&bytes), "what is on disk is there at once");
    assert_eq!(ready(&cache.load(&small())), Ok(()), "a small one, too");

    // Another process compiles it.
    let away = cache.base.join("away");
    fs::rename(&finished, &away).unwrap();
    let lock = File::create(cache.folder().join("lock")).unwrap();
    fs::set_permissions(cache.folder().join("lock"), Permissions::from_mode(0o600)).unwrap();
    lock.lock().unwrap();
    let module = cache.load(&bytes);
    assert_eq!(ready(&module), Err(NoCode::Yet));
    assert!(Arc::ptr_eq(&module, &cache.load(&bytes)), "one for all");
    assert!(eventually(|| compilers().len() == 1));
    // All of 64 but SIGKILL and SIGSTOP, and two that are the C library's.
    let blocked = compilers()[0];
    let signals = [
        libc::SIGHUP,
        libc::SIGTERM,
        libc::SIGCHLD,
        libc::SIGALRM,
        libc::SIGIO,
    ];
    for signal in signals {
        assert!(blocked & 1 << (signal - 1) != 0, "signal {signal}");
    }
    sleep(Duration::from_millis(200));
    assert_eq!(ready(&module), Err(NoCode::Yet));

    // It is done: its file is mapped, nothing compiled.
    fs::rename(&away, &finished).unwrap();
    drop(lock);
    assert!(eventually(|| ready(&module) == Ok(())));
    assert!(cache.maps(&bytes));

    // Nobody has it: it is compiled, and kept.
    let bytes = large();
    let module = cache.load(&bytes);
    assert!(eventually(|| ready(&module) == Ok(())));
    drop(module);
    assert!(eventually(|| compilers().is_empty()));
    assert_eq!(cache.files().len(), 3);
    assert!(cache.maps(&bytes));
}

#[test]
fn what_is_wrong_with_a_large_module_is_said_at_once() {
    let mut cache = Cache::new();
    cache.how.background = true;
    let mut bytes = large();
    let end = bytes.len();
    // A code section that nothing announces.
    bytes.splice(end.., [10, 4, 1, 2, 0, 11]);
    let why = module(&bytes, &cache.how).err().unwrap();
    assert!(why.starts_with("not a valid WebAssembly module: "), "{why}");
}
