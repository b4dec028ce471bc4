//! Homes as plain files -> a [`Tree`] of them, each with its owner.
//!
//! A folder for each user, and `owners.json` beside them: `{"nodeos": {"uid": 1, "gid": 1}}`. Who is not named there gets
//! the next number from [`FIRST_ID`] on, `root` is 0.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nodeos_image::tree::{Entry, HostFileError, InsertEntryError, Tree};
use nodeos_spec::user::{ParseUserNameError, UserName, is_user_folder};
use serde::Deserialize;

/// The first number of people on every distribution (login.defs(5), UID_MIN).
pub const FIRST_ID: u32 = 1000;

/// Names the owners of the folders beside it.
const OWNERS: &str = "owners.json";

/// Nobody sees into somebody else's: the mode of homes and of all files in them that are not programs.
const HOME: u16 = 0o700;
const FILE: u16 = 0o600;
/// Stands for an empty folder in a repository, which cannot hold one.
const KEEP: &str = ".keep";

/// Why homes could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not what it should be", .path.display())]
    Owners {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{} names {name}, which has no folder beside it", .path.display())]
    Unknown { path: PathBuf, name: String },
    #[error("{} cannot be a user", .path.display())]
    Name {
        path: PathBuf,
        #[source]
        source: ParseUserNameError,
    },
    #[error("{} cannot belong to user {uid}: 0 is root's, and root's alone", .path.display())]
    RootsNumber { path: PathBuf, uid: u32 },
    #[error("cannot take in a file")]
    HostFile(#[source] HostFileError),
    #[error("cannot take in a home")]
    Insert(#[source] InsertEntryError),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    uid: u32,
    gid: u32,
}

/// All homes of a folder, as a filesystem that has one folder for each.
pub fn tree(folder: &Path) -> Result<Tree, UsersError> {
    let mut given = owners(&folder.join(OWNERS))?;
    let mut names: Vec<(String, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error(folder))? {
        let entry = entry.map_err(read_error(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if !path.is_dir() || !is_user_folder(&name) {
            continue;
        }
        match UserName::new(&name) {
            Ok(_) => names.push((name, path)),
            Err(source) => return Err(UsersError::Name { path, source }),
        }
    }
    names.sort();
    let mut tree = Tree::new();
    tree.insert("/", Entry::directory(0o755))
        .map_err(UsersError::Insert)?;
    let mut next = FIRST_ID;
    for (name, path) in names {
        let is_root = name == UserName::ROOT;
        let owner = given.remove(&name).unwrap_or_else(|| {
            let id = if is_root { 0 } else { next };
            next += u32::from(!is_root);
            Owner { uid: id, gid: id }
        });
        if is_root != (owner.uid == 0) {
            let uid = owner.uid;
            return Err(UsersError::RootsNumber { path, uid });
        }
        add(&mut tree, &Path::new("/").join(&name), &path, owner)?;
    }
    match given.into_keys().next() {
        Some(name) => Err(UsersError::Unknown {
            path: folder.join(OWNERS),
            name,
        }),
        None => Ok(tree),
    }
}

fn owners(path: &Path) -> Result<BTreeMap<String, Owner>, UsersError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => {
            let path = path.to_owned();
            return Err(UsersError::Read { path, source });
        }
    };
    serde_json::from_str(&text).map_err(|source| UsersError::Owners {
        path: path.to_owned(),
        source,
    })
}

fn add(tree: &mut Tree, at: &Path, from: &Path, owner: Owner) -> Result<(), UsersError> {
    let metadata = fs::symlink_metadata(from).map_err(read_error(from))?;
    let entry = if metadata.is_dir() {
        Entry::directory(HOME)
    } else if metadata.is_symlink() {
        Entry::symlink(fs::read_link(from).map_err(read_error(from))?)
    } else {
        let is_program = metadata.permissions().mode() & 0o100 != 0;
        let mode = if is_program { HOME } else { FILE };
        Entry::host_file(mode, from).map_err(UsersError::HostFile)?
    };
    tree.insert(at, entry.owned_by(owner.uid, owner.gid))
        .map_err(UsersError::Insert)?;
    if !metadata.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(from).map_err(read_error(from))? {
        let entry = entry.map_err(read_error(from))?;
        let name = entry.file_name();
        if name != KEEP {
            add(tree, &at.join(&name), &entry.path(), owner)?;
        }
    }
    Ok(())
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> UsersError {
    let path = path.to_owned();
    move |source| UsersError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn homes(owners: Option<&str>, names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        if let Some(text) = owners {
            fs::write(folder.path().join(OWNERS), text).unwrap();
        }
        folder
    }

    fn owner(tree: &Tree, path: &str) -> (u32, u32, u16) {
        let entry = tree.get(path).unwrap();
        (entry.uid, entry.gid, entry.mode)
    }

    #[test]
    fn everybody_has_an_owner_given_or_counted() {
        let owners = r#"{"bob": {"uid": 7, "gid": 8}}"#;
        let folder = homes(Some(owners), &["root", "bob", "carl", "ada", ".git"]);
        fs::write(folder.path().join("bob/file"), "1").unwrap();
        fs::write(folder.path().join("bob/.keep"), "").unwrap();
        let tree = tree(folder.path()).unwrap();
        assert_eq!(owner(&tree, "/root"), (0, 0, 0o700));
        assert_eq!(owner(&tree, "/ada"), (1000, 1000, 0o700));
        assert_eq!(owner(&tree, "/bob"), (7, 8, 0o700));
        assert_eq!(owner(&tree, "/bob/file"), (7, 8, 0o600));
        assert_eq!(owner(&tree, "/carl"), (1001, 1001, 0o700));
        assert!(tree.get("/.git").is_none() && tree.get("/bob/.keep").is_none());
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_name() {
        let check = |owners: Option<&str>, names: &[&str], expected: &str| {
            let folder = homes(owners, names);
            let error = tree(folder.path()).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        };
        check(
            Some(r#"{"eve": {"uid": 1, "gid": 1}}"#),
            &["ada"],
            "owners.json names eve, which has no folder beside it",
        );
        check(
            Some(r#"{"ada": {"uid": 0, "gid": 0}}"#),
            &["ada"],
            "ada cannot belong to user 0: 0 is root's, and root's alone",
        );
        check(Some("{"), &[], "owners.json is not what it should be");
        check(None, &["Ada Lovelace"], "Ada Lovelace cannot be a user");
    }
}
