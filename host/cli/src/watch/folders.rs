//! The folders of a project, and what happens in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use nodeos_build::application::outline::Outline;
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use thiserror::Error;

use super::follow::Word;
use crate::output::errors::Failure;

/// Folders that are watched, one by one: what lies in others, `node_modules` above all, is not even looked at.
#[derive(Debug)]
pub(super) struct Folders {
    root: PathBuf,
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
}

/// A folder cannot be watched.
#[derive(Debug, Error)]
pub(super) enum WatchFolderError {
    #[error("cannot watch for changes")]
    Begin(#[source] notify::Error),
    #[error("cannot watch {}", .path.display())]
    Watch {
        path: PathBuf,
        #[source]
        source: notify::Error,
    },
}

impl WatchFolderError {
    /// What the user can do.
    fn hint(&self) -> Option<String> {
        let (WatchFolderError::Begin(error) | WatchFolderError::Watch { source: error, .. }) = self;
        // ENOSPC and EMFILE (inotify(7)).
        let is_limit = match &error.kind {
            ErrorKind::MaxFilesWatch => true,
            ErrorKind::Io(error) => matches!(error.raw_os_error(), Some(24 | 28)),
            _ => false,
        };
        is_limit.then(|| {
            "this user watches as much as Linux allows: end other programs that do, or raise fs.inotify.max_user_watches \
             and fs.inotify.max_user_instances (sysctl)"
                .to_owned()
        })
    }
}

impl From<WatchFolderError> for Failure {
    fn from(error: WatchFolderError) -> Failure {
        let hint = error.hint();
        Failure::new(error).hint(hint)
    }
}

impl Folders {
    /// Tells of what happens below this folder, in folders that are to be watched.
    pub(super) fn begin(root: &Path, tell: Sender<Word>) -> Result<Folders, WatchFolderError> {
        let watcher = notify::recommended_watcher(move |event| {
            // Nobody listens when all is over.
            let _ = tell.send(Word::Event(event));
        });
        Ok(Folders {
            root: root.to_owned(),
            watcher: watcher.map_err(WatchFolderError::Begin)?,
            watched: BTreeSet::new(),
        })
    }

    /// Watches these below the root, and no others. True where some were not watched before: what happened in them meanwhile was
    /// not seen.
    pub(super) fn watch(&mut self, folders: &[PathBuf]) -> Result<bool, WatchFolderError> {
        let wanted: BTreeSet<PathBuf> = folders.iter().map(|path| self.root.join(path)).collect();
        let gone: Vec<PathBuf> = self.watched.difference(&wanted).cloned().collect();
        gone.iter().for_each(|path| self.forget(path));
        let mut has_new = false;
        for path in wanted {
            if self.watched.contains(&path) {
                continue;
            }
            match self.watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                // It has gone again, which is a change of the folder above.
                Err(notify::Error {
                    kind: ErrorKind::PathNotFound,
                    ..
                }) => continue,
                Err(source) => return Err(WatchFolderError::Watch { path, source }),
            }
            self.watched.insert(path);
            has_new = true;
        }
        Ok(has_new)
    }

    /// Whether something may have changed by this.
    pub(super) fn concerns(&mut self, event: &Event, outline: &Outline) -> bool {
        if event.need_rescan() {
            return true;
        }
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
            // To look at files is to read them.
            EventKind::Access(_) => return false,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                // What comes to lie there is another folder.
                for path in &event.paths {
                    let within = |watched: &&PathBuf| watched.starts_with(path);
                    let gone: Vec<_> = self.watched.iter().filter(within).cloned().collect();
                    gone.iter().for_each(|path| self.forget(path));
                }
            }
            _ => {}
        }
        let below_root = |path: &PathBuf| {
            let path = path.strip_prefix(&self.root).ok()?;
            Some(outline.concerns(path))
        };
        event
            .paths
            .iter()
            .any(|path| below_root(path) != Some(false))
    }

    fn forget(&mut self, path: &PathBuf) {
        self.watched.remove(path);
        // A folder that is gone is watched by nobody.
        let _ = self.watcher.unwatch(path);
    }
}
