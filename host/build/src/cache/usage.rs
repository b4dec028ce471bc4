//! What lies in the cache: listing it, cleaning it, and removing what killed processes left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::disk::{self, DiskUsage};
use super::lock::Lock;
use super::work::{LABEL_FILE, WORK};
use super::{Cache, CacheError, Key, Kind, MAKING, REMOVING, read_entry};

/// One thing in the cache.
#[derive(Debug, Clone)]
pub struct ListedEntry {
    /// What it is.
    pub kind: Kind,
    /// Under which key.
    pub key: Key,
    /// For what, as people say it.
    pub label: String,
    /// What it takes on the disk, in bytes. What several entries share counts for the first.
    pub bytes: u64,
    /// When it was made, or last worked on.
    pub created: SystemTime,
    /// Whether it is complete.
    pub state: State,
}

/// Whether something in the cache is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It can be used.
    Complete,
    /// A build works on it, or will continue it.
    Unfinished,
}

/// What cleaning did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// How many entries were removed.
    pub entries: usize,
    /// How many bytes of disk that freed.
    pub bytes: u64,
    /// The labels of what was left because a build has it in use.
    pub busy: Vec<String>,
}

/// A folder in the cache, its lock, and what it is called.
struct Item {
    entry: ListedEntry,
    dir: PathBuf,
    lock: PathBuf,
}

impl Cache {
    /// Everything in the cache, by kind and label. A cache that does not exist is empty.
    ///
    /// # Errors
    /// [`CacheError::Read`].
    pub fn list(&self) -> Result<Vec<ListedEntry>, CacheError> {
        let mut usage = DiskUsage::default();
        let mut entries: Vec<_> = self
            .items(&mut usage)?
            .into_iter()
            .map(|item| item.entry)
            .collect();
        entries.sort_by(|a, b| (a.kind, &a.label, &a.key).cmp(&(b.kind, &b.label, &b.key)));
        Ok(entries)
    }

    /// Removes all entries and all unfinished work of one kind, or of every kind together with the logs. What a
    /// build has in use stays.
    ///
    /// # Errors
    /// [`CacheError::Read`], [`CacheError::Write`].
    pub fn clean(&self, kind: Option<Kind>) -> Result<Cleaned, CacheError> {
        let unwritable = |e| CacheError::write(&self.root, e);
        let mut usage = DiskUsage::default();
        let mut cleaned = Cleaned::default();
        for item in self.items(&mut usage)? {
            if kind.is_some_and(|kind| kind != item.entry.kind) {
                continue;
            }
            let Some(lock) = Lock::try_take(&item.lock).map_err(unwritable)? else {
                cleaned.busy.push(item.entry.label);
                continue;
            };
            match self.remove_item(&item) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(unwritable(e)),
            }
            drop(lock);
            cleaned.entries += 1;
            cleaned.bytes += item.entry.bytes;
        }
        cleaned.bytes += self.remove_all_leftovers(&mut usage);
        let logs = self.root.join("logs");
        if kind.is_none() && logs.exists() {
            cleaned.bytes += usage.of(&logs);
            disk::remove(&logs).map_err(unwritable)?;
        }
        Ok(cleaned)
    }

    /// Removes what processes left that were killed while they made `key` (whose lock the caller holds) or any other
    /// entry. What cannot be removed stays: that is no reason not to build.
    pub(super) fn remove_leftovers(&self, kind: Kind, key: &Key) {
        for (path, _) in leftovers(&self.kind_dir(kind))
            .into_iter()
            .filter(|(_, of)| of == key)
        {
            let _ = disk::remove(&path);
        }
        self.remove_all_leftovers(&mut DiskUsage::default());
    }

    /// Removes the temporary folders whose maker is gone, and returns the bytes that they took.
    fn remove_all_leftovers(&self, usage: &mut DiskUsage) -> u64 {
        let mut bytes = 0;
        for &kind in Kind::ALL {
            for (path, key) in leftovers(&self.kind_dir(kind)) {
                if let Ok(Some(_lock)) = Lock::try_take(&self.lock_path(kind, &key)) {
                    let size = usage.of(&path);
                    if disk::remove(&path).is_ok() {
                        bytes += size;
                    }
                }
            }
        }
        bytes
    }

    fn remove_item(&self, item: &Item) -> io::Result<()> {
        if item.entry.state == State::Unfinished {
            return disk::remove(&item.dir);
        }
        // Renamed first, so that nobody finds half of it.
        let removing = item
            .dir
            .with_file_name(format!("{REMOVING}{}", item.entry.key));
        if removing.exists() {
            disk::remove(&removing)?;
        }
        fs::rename(&item.dir, &removing)?;
        disk::remove(&removing)
    }

    fn items(&self, usage: &mut DiskUsage) -> Result<Vec<Item>, CacheError> {
        let mut items = Vec::new();
        for &kind in Kind::ALL {
            for (name, dir) in folders(&self.kind_dir(kind))? {
                let Some(key) = Key::parse(&name) else {
                    continue;
                };
                let lock = self.lock_path(kind, &key);
                let (label, created, state) = match read_entry(&dir) {
                    Some(entry) => (entry.label, entry.created, State::Complete),
                    None => (
                        "not usable any more".to_owned(),
                        changed(&dir),
                        State::Unfinished,
                    ),
                };
                let entry = ListedEntry {
                    kind,
                    key,
                    label,
                    bytes: usage.of(&dir),
                    created,
                    state,
                };
                items.push(Item { entry, dir, lock });
            }
        }
        for (name, dir) in folders(&self.root.join(WORK))? {
            let Some((kind, key)) = name.split_once('-') else {
                continue;
            };
            let (Ok(kind), Some(key)) = (kind.parse(), Key::parse(key)) else {
                continue;
            };
            let lock = self.work_lock_path(&name);
            let label = fs::read_to_string(dir.join(LABEL_FILE)).unwrap_or_default();
            let (bytes, created) = (usage.of(&dir), changed(&dir));
            items.push(Item {
                entry: ListedEntry {
                    kind,
                    key,
                    label,
                    bytes,
                    created,
                    state: State::Unfinished,
                },
                dir,
                lock,
            });
        }
        Ok(items)
    }
}

/// The temporary folders in `dir`, with the keys of the entries that were made there.
fn leftovers(dir: &Path) -> Vec<(PathBuf, Key)> {
    let mut found = Vec::new();
    for (name, path) in folders(dir).unwrap_or_default() {
        let rest = name
            .strip_prefix(MAKING)
            .or_else(|| name.strip_prefix(REMOVING));
        let key = rest
            .and_then(|rest| rest.split('.').next())
            .and_then(Key::parse);
        found.extend(key.map(|key| (path, key)));
    }
    found
}

/// Name and path of what is in `dir`; nothing when it does not exist.
fn folders(dir: &Path) -> Result<Vec<(String, PathBuf)>, CacheError> {
    let unreadable = |source| CacheError::Read {
        path: dir.to_owned(),
        source,
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        found.push((
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        ));
    }
    Ok(found)
}

fn changed(dir: &Path) -> SystemTime {
    let modified = fs::metadata(dir).and_then(|meta| meta.modified());
    modified.unwrap_or(SystemTime::UNIX_EPOCH)
}
