//! Locks of entries: one empty file each under `locks/`, held with flock(2) and removed by its last holder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::CacheError;
use crate::context::Context;
use crate::progress::Task;

/// How often a wait looks whether the user cancelled: quick enough to feel immediate.
const CANCEL_CHECK: Duration = Duration::from_millis(100);

/// A lock that is held until this is dropped, or until the process and all that it handed the file to are gone.
#[derive(Debug)]
pub(super) struct Lock {
    pub(super) file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock; while somebody else holds it, says so and waits.
    pub(super) fn wait(
        ctx: &Context,
        root: &Path,
        path: &Path,
        label: &str,
    ) -> Result<Lock, CacheError> {
        let unwritable = |e| CacheError::write(root, e);
        let cancelled = || CacheError::Cancelled {
            label: label.to_owned(),
        };
        let mut task: Option<Box<dyn Task>> = None;
        loop {
            if ctx.is_cancelled() {
                return Err(cancelled());
            }
            if let Some(lock) = Lock::try_take(path).map_err(unwritable)? {
                if let Some(task) = task {
                    task.finish("");
                }
                return Ok(lock);
            }
            task.get_or_insert_with(|| {
                ctx.progress
                    .begin(&format!("waiting for another build of {label}"), None)
            });
            let released = until_released(open(path).map_err(unwritable)?);
            loop {
                match released.recv_timeout(CANCEL_CHECK) {
                    Err(RecvTimeoutError::Timeout) if ctx.is_cancelled() => return Err(cancelled()),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                    Ok(result) => {
                        result.map_err(unwritable)?;
                        break;
                    }
                }
            }
        }
    }

    /// Takes the lock if nobody holds it.
    pub(super) fn try_take(path: &Path) -> io::Result<Option<Lock>> {
        loop {
            let file = open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(e),
            }
            // The last holder may have removed the file between our opening and locking it: then we hold the lock
            // of a file that nobody else will ever see.
            if is_still_at(&file, path)? {
                return Ok(Some(Lock {
                    file,
                    path: path.to_owned(),
                }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is held, see `try_take`. Neither failure matters: the file is empty, and closing unlocks.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Hears once when the present holder of the lock is done. flock(2) cannot be waited for together with anything else,
/// so a thread does; when nobody listens any more it lets go of the lock at once.
fn until_released(file: File) -> mpsc::Receiver<io::Result<()>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let result = file.lock();
        drop(file);
        let _ = sender.send(result);
    });
    receiver
}
