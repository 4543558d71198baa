//! Serialized code in files: whose are believed, and how they come to be.
//!
//! The engine trusts what it maps. So a file counts only when nobody but the
//! user of this process or root can have written it: its owner and its mode
//! are asked of the open file, those of its folder and of all that lead there
//! before. A hash at its end tells a file that is damaged, or another's under
//! this name.
#![forbid(unsafe_code)]

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::trust::Trust;
use crate::abi::limits::MAX_CACHE;

const MAGIC: &[u8] = b"RPWCODE1";
const TRAILER: u64 = MAGIC.len() as u64 + 32;

const CODE: &str = ".cwasm";
const UNFINISHED: &str = ".new";
const LOCK: &str = ".lock";

const ROOT: u32 = 0;

/// Unfinished files and locks of processes that were killed go after this time;
/// so seldom is it noted that a file was used.
const HOUR: Duration = Duration::from_secs(3600);

/// What became of taking a lock.
pub enum Locked {
    ByUs(#[expect(dead_code, reason = "held until it is dropped")] Lock),
    /// Another process makes that file, or another thread of this one.
    ByAnother(Theirs),
    /// There is no folder to lock in.
    Never,
}

/// The lock of one name, a file that is there for as long as somebody holds it.
/// That of a process that was killed stays, without a lock on it, until somebody
/// takes it or tidies up.
pub struct Lock {
    path: PathBuf,
    _file: File,
}

/// A lock that another holds.
pub struct Theirs(File);

impl Theirs {
    /// Waits until nobody holds it, or nobody can tell.
    pub fn wait(self) {
        let _ = self.0.lock();
    }
}

impl Lock {
    /// `None`: there can be no such file here.
    fn take(trust: &Trust, path: &Path) -> Option<Locked> {
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                // Who may open it may hold it for ever.
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)
                .ok()?;
            let about = file.metadata().ok()?;
            if !about.is_file() || !trust.has(&about) {
                return None;
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Some(Locked::ByAnother(Theirs(file))),
                Err(TryLockError::Error(_)) => return None,
            }
            // Who held it may have removed it since it was opened: then it is
            // nobody's.
            if is_at(&about, path) {
                let path = path.to_owned();
                return Some(Locked::ByUs(Lock { path, _file: file }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is held: nobody else can have one of this name.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_at(about: &Metadata, path: &Path) -> bool {
    let there = fs::symlink_metadata(path);
    there.is_ok_and(|there| (there.dev(), there.ino()) == (about.dev(), about.ino()))
}

/// The files of one folder, as this process may use them.
pub struct Disk {
    trust: Trust,
    base: PathBuf,
}

impl Disk {
    pub fn new(base: &Path) -> Self {
        Disk {
            trust: Trust::of_process(),
            base: base.to_owned(),
        }
    }

    /// The folder of a user's files: only that user writes there.
    fn folder(&self, user: u32) -> PathBuf {
        self.base.join(format!("proxy-wasm-{user}"))
    }

    /// The file of this name, if one of ours or of root's is there, whole.
    pub fn find(&self, name: &str) -> Option<File> {
        self.trust.check_way(&self.base).ok()?;
        self.find_in(self.trust.user, name)
            .or_else(|| self.find_in(ROOT, name))
    }

    fn find_in(&self, user: u32, name: &str) -> Option<File> {
        let folder = self.folder(user);
        let about = fs::symlink_metadata(&folder).ok()?;
        if !about.is_dir() || !self.trust.has(&about) {
            return None;
        }
        let file = OpenOptions::new()
            .read(true)
            // Nothing that leads elsewhere, nothing that waits for a writer.
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(folder.join(format!("{name}{CODE}")))
            .ok()?;
        let about = file.metadata().ok()?;
        if !about.is_file() || !self.trust.has(&about) || !is_whole(&file, name).ok()? {
            return None;
        }
        let now = SystemTime::now();
        let used = about.modified().ok()?;
        if now.duration_since(used).is_ok_and(|age| age > HOUR) {
            // Of root's, or on a read-only file system, it cannot be noted.
            let _ = file.set_modified(now);
        }
        Some(file)
    }

    /// Our own folder, made if it is not there.
    ///
    /// Errors: a sentence about why there is none.
    fn own_folder(&self) -> Result<PathBuf, String> {
        self.trust.check_way(&self.base)?;
        let folder = self.folder(self.trust.user);
        let shown = folder.display();
        match DirBuilder::new().mode(0o755).create(&folder) {
            // Whatever the umask: workers of another user read root's.
            Ok(()) => fs::set_permissions(&folder, Permissions::from_mode(0o755))
                .map_err(|why| format!("{shown}: {why}"))?,
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            Err(why) => return Err(format!("{shown}: {why}")),
        }
        let about = fs::symlink_metadata(&folder).map_err(|why| format!("{shown}: {why}"))?;
        if !about.is_dir() || !self.trust.has(&about) {
            return Err(format!(
                "{shown} is no folder of ours, or others may write there"
            ));
        }
        Ok(folder)
    }

    /// The lock of this name, for whoever is to make the file of it.
    pub fn lock(&self, name: &str) -> Locked {
        let locked = self.own_folder().ok().and_then(|folder| {
            let path = folder.join(format!("{name}{LOCK}"));
            Lock::take(&self.trust, &path)
        });
        locked.unwrap_or(Locked::Never)
    }

    /// Puts serialized code in place, for this user's processes.
    ///
    /// Errors: a sentence; nothing is left behind then.
    pub fn store(&self, name: &str, code: &[u8]) -> Result<(), String> {
        let folder = self.own_folder()?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|why| why.to_string())?;
        let unfinished = folder.join(format!("{:016x}{UNFINISHED}", u64::from_ne_bytes(random)));
        let written = write(&unfinished, name, code)
            .and_then(|()| fs::rename(&unfinished, folder.join(format!("{name}{CODE}"))));
        if let Err(why) = written {
            let _ = fs::remove_file(&unfinished);
            return Err(format!("{}: {why}", folder.display()));
        }
        tidy(&self.trust, &folder, name);
        Ok(())
    }
}

fn write(path: &Path, name: &str, code: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    // Whatever the umask.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(code)?;
    file.write_all(MAGIC)?;
    file.write_all(&hash(name).chain_update(code).finalize())
}

/// The hash of a file begins with its name: no other file can stand for it.
fn hash(name: &str) -> Sha256 {
    Sha256::new()
        .chain_update(MAGIC)
        .chain_update((name.len() as u64).to_le_bytes())
        .chain_update(name)
}

fn is_whole(mut file: &File, name: &str) -> io::Result<bool> {
    let Some(size) = file.metadata()?.len().checked_sub(TRAILER) else {
        return Ok(false);
    };
    let mut hash = hash(name);
    let hashed = io::copy(&mut file.take(size), &mut hash)?;
    let mut trailer = Vec::new();
    file.take(TRAILER + 1).read_to_end(&mut trailer)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(hashed == size && trailer == [MAGIC, &hash.finalize()].concat())
}

/// Removes what was not used for longest, until what is left is small enough,
/// and unfinished files and locks of processes that were killed.
fn tidy(trust: &Trust, folder: &Path, keep: &str) {
    let keep = format!("{keep}{CODE}");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, file) = (entry.path(), entry.file_name());
        let name = file.to_string_lossy();
        let Ok(about) = entry.metadata() else {
            continue;
        };
        let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if name.ends_with(UNFINISHED) {
            if used.elapsed().is_ok_and(|age| age > HOUR) {
                let _ = fs::remove_file(path);
            }
        } else if name.ends_with(LOCK) {
            // Taken, it is removed; unless somebody holds it.
            if used.elapsed().is_ok_and(|age| age > HOUR) {
                drop(Lock::take(trust, &path));
            }
        } else if name.ends_with(CODE) {
            files.push((name == keep.as_str(), used, about.len(), path));
        }
    }
    files.sort();
    let mut size: u64 = files.iter().map(|(_, _, size, _)| size).sum();
    for (keep, _, bytes, path) in files {
        if size <= MAX_CACHE || keep {
            break;
        }
        // Who has it mapped keeps it.
        if fs::remove_file(path).is_ok() {
            size -= bytes;
        }
    }
}
