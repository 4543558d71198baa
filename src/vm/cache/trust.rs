//! Who can have put a file where it lies: its own owner, and whoever may write
//! to a folder that leads to it.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::super::process;
use crate::abi::limits::MAX_LINKS;

const ROOT: u32 = 0;
/// Bits of a mode: others may write; only owners may remove or rename.
const WRITABLE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// What the user of this process may believe.
pub struct Trust {
    pub user: u32,
}

impl Trust {
    pub fn of_process() -> Self {
        Trust {
            user: process::user(),
        }
    }

    fn is_ours(&self, about: &Metadata) -> bool {
        about.uid() == self.user || about.uid() == ROOT
    }

    /// Nobody but us and root can write it.
    pub fn has(&self, about: &Metadata) -> bool {
        self.is_ours(about) && about.mode() & WRITABLE == 0
    }

    /// Nobody but us and root can put something else in the place of a folder:
    /// neither in its own nor in that of any folder or link on the way there.
    /// Others may have folders of their own in it, where it is sticky.
    ///
    /// `path` is absolute.
    ///
    /// Errors: a sentence that names what is wrong, and the way out.
    pub fn check_way(&self, path: &Path) -> Result<(), String> {
        let mut left: VecDeque<OsString> = parts(path).collect();
        let mut links = 0;
        let mut at = PathBuf::from("/");
        self.check(&at, &about(&at)?)?;
        while let Some(part) = left.pop_front() {
            if part == ".." {
                at.pop();
                continue;
            }
            at.push(part);
            let found = about(&at)?;
            self.check(&at, &found)?;
            if !found.is_symlink() {
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(format!("{}: too many links", at.display()));
            }
            let target = fs::read_link(&at).map_err(|why| format!("{}: {why}", at.display()))?;
            match target.has_root() {
                true => at = PathBuf::from("/"),
                false => drop(at.pop()),
            }
            for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                left.push_front(part);
            }
        }
        match about(&at)?.is_dir() {
            true => Ok(()),
            false => Err(format!("{} is no folder", at.display())),
        }
    }

    fn check(&self, path: &Path, about: &Metadata) -> Result<(), String> {
        let path = path.display();
        if !self.is_ours(about) {
            return Err(format!(
                "{path} belongs to user {}, who could put other code there: give it to root or \
                 to user {} (chown), or use another folder (cache_directory)",
                about.uid(),
                self.user
            ));
        }
        // The mode of a link says nothing.
        let writable = !about.is_symlink() && about.mode() & WRITABLE != 0;
        if writable && about.mode() & STICKY == 0 {
            return Err(format!(
                "others may write to {path}, and put other code there: take that from them \
                 (chmod go-w), or use another folder (cache_directory)"
            ));
        }
        Ok(())
    }
}

fn about(path: &Path) -> Result<Metadata, String> {
    fs::symlink_metadata(path).map_err(|why| format!("{}: {why}", path.display()))
}

/// The names in a path, and `..`.
fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::new("..").to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}
