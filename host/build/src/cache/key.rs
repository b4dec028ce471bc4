//! Keys: the hash of everything that an entry is made from.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::fetch::checksum::hex;

/// The hash of all inputs of an entry: 32 hexadecimal digits. Built with [`KeyHasher`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key as it stands in a folder's name. None when the name is no key.
    pub(super) fn parse(name: &str) -> Option<Key> {
        let digits = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        (name.len() == KEY_DIGITS && name.chars().all(digits)).then(|| Key(name.to_owned()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 128 bits: nobody attacks the keys of their own cache, and chance does not reach that far.
const KEY_DIGITS: usize = 32;

/// Collects named inputs. Equal inputs in equal order give equal keys, and no two different lists run together,
/// because each part is preceded by its length.
#[derive(Debug)]
pub struct KeyHasher {
    hash: Sha256,
}

impl KeyHasher {
    /// Begins a key. `purpose` keeps apart what is made from the same inputs in different ways; put a number in it and
    /// raise that when the code that makes the entry changes what it makes.
    pub fn new(purpose: &str) -> KeyHasher {
        KeyHasher {
            hash: Sha256::new(),
        }
        .part(purpose.as_bytes())
    }

    /// An input that is text.
    pub fn text(self, name: &str, value: &str) -> KeyHasher {
        self.bytes(name, value.as_bytes())
    }

    /// An input that is bytes.
    pub fn bytes(self, name: &str, value: &[u8]) -> KeyHasher {
        self.part(name.as_bytes()).part(value)
    }

    /// All files below `path` (or the file itself): relative names, executable bit and contents; of a symbolic link,
    /// its target. Times and owners do not count.
    ///
    /// # Errors
    /// `path` or something below it cannot be read.
    pub fn path(self, name: &str, path: &Path) -> io::Result<KeyHasher> {
        self.part(name.as_bytes()).file(Path::new(""), path)
    }

    /// The key.
    pub fn finish(self) -> Key {
        let mut digits = hex(&self.hash.finalize());
        digits.truncate(KEY_DIGITS);
        Key(digits)
    }

    fn part(mut self, bytes: &[u8]) -> KeyHasher {
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
        self
    }

    fn file(self, relative: &Path, path: &Path) -> io::Result<KeyHasher> {
        let meta = fs::symlink_metadata(path)?;
        let named = self.part(relative.as_os_str().as_bytes());
        if meta.is_dir() {
            let mut names = fs::read_dir(path)?
                .map(|e| Ok(e?.file_name()))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort();
            let start = named.part(format!("folder of {}", names.len()).as_bytes());
            names.iter().try_fold(start, |hasher, name| {
                hasher.file(&relative.join(name), &path.join(name))
            })
        } else if meta.is_symlink() {
            Ok(named
                .part(b"link")
                .part(fs::read_link(path)?.as_os_str().as_bytes()))
        } else {
            let kind: &[u8] = if meta.permissions().mode() & 0o111 == 0 {
                b"file"
            } else {
                b"program"
            };
            Ok(named.part(kind).part(&fs::read(path)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let key = |a: &str, b: &str| KeyHasher::new("test").text("x", a).text("y", b).finish();
        assert_eq!(key("ab", "c"), key("ab", "c"));
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_ne!(
            KeyHasher::new("one").finish(),
            KeyHasher::new("two").finish()
        );
    }

    #[test]
    fn a_key_is_thirty_two_digits_and_reads_back() {
        let key = KeyHasher::new("test").finish();
        assert_eq!(key.as_str().len(), 32);
        assert_eq!(Key::parse(key.as_str()), Some(key));
        assert_eq!(Key::parse("../../etc"), None);
    }

    #[test]
    fn every_part_of_a_folder_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        let key = || {
            KeyHasher::new("test")
                .path("tree", dir.path())
                .unwrap()
                .finish()
        };
        let mut seen = vec![key()];
        let mut changed = |what: &str| {
            let now = key();
            assert!(!seen.contains(&now), "{what} does not change the key");
            seen.push(now);
        };
        fs::write(&file, "one").unwrap();
        changed("a new file");
        fs::write(&file, "two").unwrap();
        changed("its contents");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        changed("the executable bit");
        fs::rename(&file, dir.path().join("b")).unwrap();
        changed("its name");
        std::os::unix::fs::symlink("b", dir.path().join("c")).unwrap();
        changed("a symbolic link");
        fs::create_dir(dir.path().join("d")).unwrap();
        changed("an empty folder");
    }

    #[test]
    fn a_missing_path_is_an_error() {
        assert!(
            KeyHasher::new("test")
                .path("tree", Path::new("/nowhere/at/all"))
                .is_err()
        );
    }
}
