//! A tar archive of a whole system -> a [`Tree`], with its owners and modes.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nodeos_image::tree::{Content, Entry, Kind, Tree};
use tar::EntryType;

/// Everything in the archive. The contents of files are kept in memory.
pub(super) fn tree(archive: impl Read) -> anyhow::Result<Tree> {
    let mut tree = Tree::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = absolute(&entry.path()?);
        let with_path = || format!("cannot take {} out of the archive", path.display());
        let made = made(&mut entry, &tree).with_context(with_path)?;
        tree.insert(&path, made).with_context(with_path)?;
    }
    Ok(tree)
}

/// What a file holds; none of anything else, and of files that are on the host's disk.
pub(super) fn bytes(kind: &Kind) -> Option<&[u8]> {
    match kind {
        Kind::File(Content::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}

fn made(entry: &mut tar::Entry<'_, impl Read>, tree: &Tree) -> anyhow::Result<Entry> {
    let header = entry.header();
    let mode = u16::try_from(header.mode()? & 0o7777)?;
    let (uid, gid) = (u32::try_from(header.uid()?)?, u32::try_from(header.gid()?)?);
    let device = || -> anyhow::Result<(u32, u32)> {
        let (major, minor) = (header.device_major()?, header.device_minor()?);
        major.zip(minor).context("a device without numbers")
    };
    let made = match header.entry_type() {
        EntryType::Directory => Entry::directory(mode),
        EntryType::Char => {
            let (major, minor) = device()?;
            Entry::char_device(mode, major, minor)
        }
        EntryType::Block => {
            let (major, minor) = device()?;
            Entry::block_device(mode, major, minor)
        }
        EntryType::Fifo => Entry::fifo(mode),
        EntryType::Symlink => Entry::symlink(link(entry)?),
        // A tree has none: it becomes a second file of the same content, whose bytes are there once.
        EntryType::Link => {
            let target = absolute(&link(entry)?);
            return tree.get(&target).cloned().with_context(|| {
                format!("it is a link to {}, which is not there", target.display())
            });
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            Entry::file(mode, bytes)
        }
        other => bail!("a {other:?} cannot be in a filesystem"),
    };
    Ok(made.owned_by(uid, gid))
}

fn link(entry: &tar::Entry<'_, impl Read>) -> anyhow::Result<PathBuf> {
    let name = entry.link_name()?;
    Ok(name.context("it is a link to nothing")?.into_owned())
}

/// `./etc/passwd` as `/etc/passwd`.
fn absolute(path: &Path) -> PathBuf {
    Path::new("/").join(path.strip_prefix(".").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: EntryType, mode: u32, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(3);
        header.set_gid(4);
        header.set_size(size);
        header
    }

    #[test]
    fn everything_that_a_system_has_is_taken_over() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut append = |path: &str, mut header: tar::Header, link: Option<&str>, data: &[u8]| {
            if let Some(link) = link {
                header.set_link_name(link).unwrap();
            }
            builder.append_data(&mut header, path, data).unwrap();
        };
        append("./", header(EntryType::Directory, 0o755, 0), None, b"");
        append("./bin", header(EntryType::Directory, 0o1777, 0), None, b"");
        append(
            "./bin/a",
            header(EntryType::Regular, 0o4755, 2),
            None,
            b"hi",
        );
        append(
            "./bin/b",
            header(EntryType::Link, 0o4755, 0),
            Some("./bin/a"),
            b"",
        );
        append(
            "./bin/c",
            header(EntryType::Symlink, 0o777, 0),
            Some("../bin/a"),
            b"",
        );
        let mut null = header(EntryType::Char, 0o666, 0);
        null.set_device_major(1).unwrap();
        null.set_device_minor(3).unwrap();
        append("./null", null, None, b"");
        let tree = tree(builder.into_inner().unwrap().as_slice()).unwrap();
        let get = |path: &str| tree.get(path).unwrap().clone();
        assert_eq!(get("/bin"), Entry::directory(0o1777).owned_by(3, 4));
        assert_eq!(get("/bin/a"), Entry::file(0o4755, *b"hi").owned_by(3, 4));
        assert_eq!(get("/bin/b"), get("/bin/a"));
        assert_eq!(get("/bin/c"), Entry::symlink("../bin/a").owned_by(3, 4));
        assert_eq!(get("/null"), Entry::char_device(0o666, 1, 3).owned_by(3, 4));
        assert_eq!(bytes(&get("/bin/b").kind), Some(&b"hi"[..]));
        assert_eq!(bytes(&get("/bin").kind), None);
    }
}
