//! Work folders: unfinished work that survives a kill, so that the next build continues it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::lock::Lock;
use super::{Cache, CacheError, Kind, disk};
use crate::cache::Key;
use crate::context::Context;

/// The folder of the cache that holds work folders.
pub(super) const WORK: &str = "work";
/// The file in a work folder that says for people what is made there.
pub(super) const LABEL_FILE: &str = "label";
/// The folder in a work folder that belongs to whoever works.
const TREE: &str = "tree";

/// A folder that is ours alone until this is dropped, and keeps its contents between builds.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    lock: Lock,
    root: PathBuf,
}

impl WorkDir {
    /// Where to work. Empty at first; after an interrupted build, with what that left.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock's file as the input of a tool: as empty as /dev/null, and locked until the tool has ended.
    pub(crate) fn lock_as_input(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.lock.file.try_clone()?))
    }

    /// Removes the folder: the work is done and its result is elsewhere.
    ///
    /// # Errors
    /// [`CacheError::Write`].
    pub fn remove(self) -> Result<(), CacheError> {
        let whole = self
            .path
            .parent()
            .expect("the tree lies in the work folder");
        disk::remove(whole).map_err(|e| CacheError::write(&self.root, e))
    }
}

impl Cache {
    /// The folder in which the entry `key` is made step by step, locked against other builds. While another build
    /// has it, says so and waits.
    ///
    /// Give it to the tools that run in it (see [`crate::tool::Tool::work`]): they keep it locked when this process
    /// is killed and they are not.
    ///
    /// # Errors
    /// [`CacheError`]: the cache cannot be written, or the user cancelled while waiting.
    pub fn work_dir(
        &self,
        ctx: &Context,
        kind: Kind,
        key: &Key,
        label: &str,
    ) -> Result<WorkDir, CacheError> {
        let name = format!("{kind}-{key}");
        let lock = Lock::wait(ctx, &self.root, &self.work_lock_path(&name), label)?;
        let whole = self.root.join(WORK).join(name);
        let path = whole.join(TREE);
        let create = || {
            fs::create_dir_all(&path)?;
            fs::write(whole.join(LABEL_FILE), label)
        };
        create().map_err(|e| CacheError::write(&self.root, e))?;
        Ok(WorkDir {
            path,
            lock,
            root: self.root.clone(),
        })
    }

    pub(super) fn work_lock_path(&self, name: &str) -> PathBuf {
        self.root.join("locks").join(format!("{WORK}-{name}"))
    }
}
