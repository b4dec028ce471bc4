//! The disk under the cache: making writes last, removing folders, counting what they take and what is free.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// st_blocks counts in units of this many bytes, whatever the file system's block size is (stat(2)).
const STAT_BLOCK: u64 = 512;
/// Up to so many files are synced one by one; beyond, syncing the whole file system is quicker.
const SYNC_ONE_BY_ONE: usize = 64;

/// Waits until everything below `dir` is on the disk.
pub(super) fn sync_tree(dir: &Path) -> io::Result<()> {
    let mut paths = Vec::new();
    collect(dir, &mut paths)?;
    if paths.len() > SYNC_ONE_BY_ONE {
        return Ok(rustix::fs::syncfs(File::open(dir)?)?);
    }
    paths.iter().try_for_each(|path| sync(path))
}

/// Waits until the file, or the names in the folder, are on the disk.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn collect(path: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), into)?;
        }
    }
    if meta.is_dir() || meta.is_file() {
        into.push(path.to_owned());
    }
    Ok(())
}

/// Removes a file or a whole folder.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

/// What is on the disk below some folders, in bytes. Files with several names count once.
#[derive(Debug, Default)]
pub(super) struct DiskUsage {
    seen: HashSet<(u64, u64)>,
}

impl DiskUsage {
    /// The bytes below `path`, less what was counted before. Files that vanish meanwhile count nothing.
    pub(super) fn of(&mut self, path: &Path) -> u64 {
        let Ok(meta) = fs::symlink_metadata(path) else {
            return 0;
        };
        if !meta.is_dir() && meta.nlink() > 1 && !self.seen.insert((meta.dev(), meta.ino())) {
            return 0;
        }
        let below = match meta.is_dir() {
            true => fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| self.of(&entry.path()))
                .sum(),
            false => 0,
        };
        meta.blocks() * STAT_BLOCK + below
    }
}

/// The mount point of the file system that holds `path` (or would hold it) and the bytes that we may still write there.
pub fn free_space(path: &Path) -> (PathBuf, u64) {
    let existing = path
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    let free = rustix::fs::statvfs(existing).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
    let here = device(existing);
    let mount = existing
        .ancestors()
        .take_while(|path| device(path) == here)
        .last();
    (mount.unwrap_or(existing).to_owned(), free)
}

/// A size for people: three digits that count, in binary units.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if value < 99.95 { 1 } else { 0 };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_for_people() {
        let check = |bytes, expected: &str| assert_eq!(human_bytes(bytes), expected);
        check(0, "0 bytes");
        check(1023, "1023 bytes");
        check(1024, "1.0 KiB");
        check(63 * 1024 * 1024 + 200_000, "63.2 MiB");
        check(140 << 20, "140 MiB");
        check(1000 << 20, "1.0 GiB");
        check(4 << 40, "4.0 TiB");
    }

    #[test]
    fn a_file_with_two_names_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), vec![1; 100_000]).unwrap();
        sync(&dir.path().join("a")).unwrap();
        let one = DiskUsage::default().of(dir.path());
        assert!(one >= 100_000, "{one}");
        fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        assert_eq!(DiskUsage::default().of(dir.path()), one);
    }

    #[test]
    fn space_is_told_for_a_folder_that_does_not_exist_yet() {
        let dir = tempfile::tempdir().unwrap();
        let (mount, free) = free_space(&dir.path().join("not/yet"));
        assert!(dir.path().starts_with(&mount), "{}", mount.display());
        assert!(free > 0);
        assert_eq!(free_space(Path::new("/proc/self/fd")).0, Path::new("/proc"));
    }
}
