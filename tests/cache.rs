//! Compiled code on disk: who may be believed, what a damaged file does, and
//! that one process compiles while others wait.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use resty_proxy_wasm::vm::cache::{self, How, module};
use resty_proxy_wasm::vm::instance::{Prepared, linker};
use resty_proxy_wasm::vm::{Module, NoCode, Stack};

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
                ..How::default()
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

    fn locks(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder()).unwrap().flatten();
        let paths = entries.map(|entry| entry.path());
        paths
            .filter(|path| path.extension().is_some_and(|it| it == "lock"))
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

    /// Has a thread load a file of these bytes.
    fn later(&self, bytes: &[u8]) -> Result<Arc<cache::File>, String> {
        let path = self.base.join("module.wasm");
        // Unless it is that file.
        if fs::read(&path).ok().as_deref() != Some(bytes) {
            fs::write(&path, bytes).unwrap();
        }
        Ok(cache::file(&path, &self.how)?.file)
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
    let prepared = Prepared::new(linker::<()>(Stack::default()).unwrap(), module.clone());
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

/// A module that a worker has a thread for.
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

/// Whoever may rename a folder on the way may put another in its place.
#[test]
fn nothing_is_kept_or_believed_where_others_can_exchange_a_folder_on_the_way() {
    type Change = fn(&Path);
    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    fn give_away(path: &Path) {
        std::os::unix::fs::lchown(path, Some(NOBODY), None).unwrap();
    }
    // In it, `real/cache` is the folder, and `link` leads to `via`, which leads
    // to `real`.
    let mut changes: Vec<(&str, bool, Change)> = vec![
        ("as it is", true, |_| {}),
        ("a parent that all may write", false, |top| {
            set(&top.join("real"), 0o777)
        }),
        ("one that a group may", false, |top| {
            set(&top.join("real"), 0o775)
        }),
        ("one that is sticky", true, |top| {
            set(&top.join("real"), 0o1777)
        }),
        ("its parent", false, |top| set(top, 0o777)),
        ("where the link lies", false, |top| {
            set(&top.join("links"), 0o777)
        }),
        ("where the next lies", false, |top| {
            set(&top.join("links/more"), 0o777)
        }),
        ("links that are in sticky folders", true, |top| {
            set(&top.join("links"), 0o1777)
        }),
    ];
    if user() == 0 {
        changes.push(("another's parent", false, |top| {
            give_away(&top.join("real"))
        }));
        changes.push(("another's link", false, |top| {
            set(&top.join("links"), 0o1777);
            give_away(&top.join("links/link"));
        }));
    }
    for (name, trusted, change) in changes {
        let mut cache = Cache::new();
        let top = cache.base.clone();
        for folder in ["real", "real/cache", "links", "links/more"] {
            fs::create_dir(top.join(folder)).unwrap();
            set(&top.join(folder), 0o755);
        }
        symlink("more/via", top.join("links/link")).unwrap();
        symlink(top.join("links/../real"), top.join("links/more/via")).unwrap();
        cache.how.directory = Some(top.join("links/link/cache"));
        let bytes = small();
        assert!(!cache.maps(&bytes), "{name}");
        assert!(cache.maps(&bytes), "{name}");

        change(&top);
        assert_eq!(
            cache.maps(&bytes),
            trusted,
            "{name}: what was kept is believed"
        );
        cache.load(&small());
        let entries = fs::read_dir(
            top.join("real/cache")
                .join(format!("proxy-wasm-{}", user())),
        );
        let kept = entries.unwrap().count();
        assert_eq!(
            kept,
            if trusted { 2 } else { 1 },
            "{name}: what is new is kept"
        );
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

/// Locks as another process of this user does.
fn lock(path: &Path) -> File {
    let lock = File::create(path).unwrap();
    lock.set_permissions(Permissions::from_mode(0o600)).unwrap();
    lock.lock().unwrap();
    lock
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

/// Of each thread that compiles, how far it steps back for others.
fn courtesies() -> Vec<i32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    texts
        .filter_map(|text| Some(text.split_once("(proxy_wasm_code) ")?.1.to_owned()))
        .map(|text| text.split(' ').nth(16).unwrap().parse().unwrap())
        .collect()
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

/// What a thread has found.
fn outcome(file: &cache::File) -> Result<Arc<Module>, String> {
    assert!(eventually(|| file.module().is_some()));
    file.module().unwrap()
}

/// In one test, as the threads are the process's.
#[test]
fn a_file_is_read_and_compiled_in_a_thread_by_one_process() {
    let (cache, bytes) = (Cache::new(), large());
    assert_eq!(ready(&cache.load(&bytes)), Ok(()));
    let finished = cache.file();
    assert!(cache.maps(&bytes));

    // Another process compiles it.
    let away = cache.base.join("away");
    fs::rename(&finished, &away).unwrap();
    let locked = finished.with_extension("lock");
    let lock = lock(&locked);
    let file = cache.later(&bytes).unwrap();
    let module = outcome(&file).unwrap();
    assert_eq!(ready(&module), Err(NoCode::Yet));
    assert!(
        Arc::ptr_eq(&file, &cache.later(&bytes).unwrap()),
        "one for all who load the file"
    );
    // Also those that have a copy of it.
    let copy = cache.base.join("copy.wasm");
    fs::copy(cache.base.join("module.wasm"), &copy).unwrap();
    let other = cache::file(&copy, &cache.how).unwrap();
    assert!(Arc::ptr_eq(&module, &outcome(&other.file).unwrap()));
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
    let own = fs::read_to_string("/proc/self/stat").unwrap();
    let own: i32 = own
        .rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .nth(16)
        .unwrap()
        .parse()
        .unwrap();
    assert!(eventually(|| courtesies() == [own + 5]));
    sleep(Duration::from_millis(200));
    assert_eq!(ready(&module), Err(NoCode::Yet));

    // Another module does not wait for it.
    let other = large();
    let path = cache.base.join("other.wasm");
    fs::write(&path, &other).unwrap();
    let another = outcome(&cache::file(&path, &cache.how).unwrap().file).unwrap();
    assert!(eventually(|| ready(&another) == Ok(())));
    assert_eq!(ready(&module), Err(NoCode::Yet));
    assert_eq!(cache.files().len(), 1, "nor is it compiled");
    assert_eq!(
        cache.locks(),
        std::slice::from_ref(&locked),
        "a lock goes with its holder"
    );
    drop(another);
    fs::remove_file(cache.file()).unwrap();

    // It is done: its file is mapped, nothing compiled.
    fs::rename(&away, &finished).unwrap();
    fs::remove_file(&locked).unwrap();
    drop(lock);
    assert!(eventually(|| ready(&module) == Ok(())));
    assert!(cache.maps(&bytes));
    drop((file, other, module));

    // Nobody has it: it is compiled, and kept.
    let bytes = large();
    let file = cache.later(&bytes).unwrap();
    let module = outcome(&file).unwrap();
    assert!(eventually(|| ready(&module) == Ok(())));
    drop((file, module));
    assert!(eventually(|| compilers().is_empty()));
    assert_eq!(cache.files().len(), 2);
    assert!(cache.locks().is_empty());
    let mapped = outcome(&cache.later(&bytes).unwrap()).unwrap();
    assert_eq!(ready(&mapped), Ok(()), "what is on disk is there at once");

    // And what somebody in this process has.
    let cache = Cache::new();
    let bytes = large();
    let held = cache.load(&bytes);
    let file = cache.later(&bytes).unwrap();
    assert!(Arc::ptr_eq(&file.module().unwrap().unwrap(), &held));

    a_compiler_that_is_killed_leaves_no_lock_that_stops_others();
    what_is_wrong_with_a_file_is_said();
}

fn a_compiler_that_is_killed_leaves_no_lock_that_stops_others() {
    let (cache, bytes) = (Cache::new(), large());
    cache.load(&bytes);
    let finished = cache.file();
    fs::remove_file(&finished).unwrap();
    let locked = finished.with_extension("lock");
    // The lock goes with the process, the file stays.
    let held = lock(&locked);
    let file = cache.later(&bytes).unwrap();
    let module = outcome(&file).unwrap();
    sleep(Duration::from_millis(200));
    assert_eq!(ready(&module), Err(NoCode::Yet));
    drop(held);
    assert!(eventually(|| ready(&module) == Ok(())));
    assert!(eventually(|| cache.locks().is_empty()));
    drop((file, module));

    // One that nobody wants any more goes when something else is compiled, but
    // none that was just made, and none that somebody holds for long.
    let [left, new, held] =
        ["left", "new", "held"].map(|it| cache.folder().join(it).with_extension("lock"));
    drop((lock(&left), lock(&new)));
    let holder = lock(&held);
    let hours_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
    lock(&left).set_modified(hours_ago).unwrap();
    holder.set_modified(hours_ago).unwrap();
    cache.load(&small());
    let mut locks = cache.locks();
    locks.sort();
    assert_eq!(locks, [held, new]);
}

fn what_is_wrong_with_a_file_is_said() {
    let cache = Cache::new();
    // At once, where its beginning tells.
    assert_eq!(cache.later(b"").err().as_deref(), Some("the file is empty"));
    let why = cache.later(b"<html>404 Not Found").err().unwrap();
    assert!(why.starts_with("no WebAssembly: it begins with"), "{why}");
    assert!(cache::file(Path::new("/dev/zero"), &cache.how).is_err());
    assert!(cache::file(&cache.base, &cache.how).is_err());
    assert!(cache::file(&cache.base.join("none"), &cache.how).is_err());

    // And else by the thread. A code section that nothing announces:
    let mut bytes = large();
    let end = bytes.len();
    bytes.splice(end.., [10, 4, 1, 2, 0, 11]);
    let file = cache.later(&bytes).unwrap();
    let why = outcome(&file).err().unwrap();
    assert!(why.starts_with("not a valid WebAssembly module: "), "{why}");
    // The file is made a good one.
    bytes.truncate(end);
    let good = cache.later(&bytes).unwrap();
    assert!(outcome(&good).is_ok());
    // Larger than any module; of holes, it takes no room.
    let path = cache.base.join("module.wasm");
    let whole = fs::OpenOptions::new().write(true).open(&path).unwrap();
    whole.set_len((1 << 30) + 1).unwrap();
    let file = cache::file(&path, &cache.how).unwrap();
    let why = outcome(&file.file).err().unwrap();
    assert!(why.starts_with("it has 1073741825 bytes"), "{why}");
}
