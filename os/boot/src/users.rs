//! Who the users are: the folders of the users partition, and what the system's files say of them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nodeos_sandbox::log::Log;
use nodeos_spec::user::{UserName, is_user_folder};
use rustix::process::{Gid, Uid};
use thiserror::Error;

use crate::paths;

/// A user: a folder and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: UserName,
    pub(crate) home: PathBuf,
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

#[derive(Debug, Error)]
#[error("cannot read the users partition")]
pub(crate) struct ListUsersError(#[source] io::Error);

impl User {
    /// Its session has the rights of root: its folder is called so, and is root's.
    pub(crate) fn is_root(&self) -> bool {
        self.name.is_root() && self.uid.is_root()
    }
}

/// Every user, root first and the others by name. A folder that cannot be a user's is named in the log and left out.
pub(crate) fn list(partition: &Path, log: &mut Log) -> Result<Vec<User>, ListUsersError> {
    let mut users = Vec::new();
    for entry in fs::read_dir(partition).map_err(ListUsersError)? {
        let entry = entry.map_err(ListUsersError)?;
        let file_name = entry.file_name();
        // Not followed where it is a link: only a folder is a user.
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // What is broken in one home is no reason to keep everybody else out.
            Err(error) => {
                log.say(&format!(
                    "cannot look at {file_name:?} of the users partition: {error}"
                ));
                continue;
            }
        };
        let name = file_name.to_string_lossy();
        if !metadata.is_dir() || !is_user_folder(&name) {
            continue;
        }
        match UserName::new(&name) {
            Ok(name) => match owner(&name, &metadata) {
                Ok((uid, gid)) => users.push(User {
                    home: entry.path(),
                    name,
                    uid,
                    gid,
                }),
                Err(reason) => log.say(&reason),
            },
            Err(error) => log.say(&format!(
                "the folder {:?} of the users partition is left alone: {error}",
                file_name
            )),
        }
    }
    users.sort_by(|a, b| (!a.is_root(), &a.name).cmp(&(!b.is_root(), &b.name)));
    Ok(users)
}

/// Only the folder `root` is root's: another one would be a second root that nobody expects.
fn owner(name: &UserName, metadata: &fs::Metadata) -> Result<(Uid, Gid), String> {
    let (uid, gid) = (metadata.uid(), metadata.gid());
    match (name.is_root(), uid) {
        (true, 0) => Ok((Uid::from_raw(uid), Gid::from_raw(gid))),
        (true, _) => Err("the folder root is left alone: it does not belong to root".to_owned()),
        (false, 0) => Err(format!(
            "the folder {name} is left alone: it belongs to root, and only root's own may"
        )),
        // The number that means "nobody" in chown(2).
        (false, u32::MAX) => Err(format!("the folder {name} is left alone: nobody owns it")),
        (false, _) => Ok((Uid::from_raw(uid), Gid::from_raw(gid))),
    }
}

/// Root as it is where the users partition has none.
pub(crate) fn temporary_root() -> User {
    User {
        name: UserName::new(UserName::ROOT).expect("it is a name"),
        home: Path::new(paths::HOMES_IN_MEMORY).join(UserName::ROOT),
        uid: Uid::ROOT,
        gid: Gid::ROOT,
    }
}

/// passwd(5). There are no passwords in it, and the home of each is where its session's root is.
pub(crate) fn passwd(users: &[User]) -> String {
    let line = |name: &str, uid: u32, gid: u32| format!("{name}:x:{uid}:{gid}::/:/bin/sh\n");
    let others = users.iter().filter(|user| !user.is_root());
    let mut text = line("root", 0, 0);
    text.extend(others.map(|user| line(user.name.as_str(), user.uid.as_raw(), user.gid.as_raw())));
    text.push_str("nobody:x:65534:65534::/:/bin/false\n");
    text
}

/// group(5): each user's own, and that of terminals.
pub(crate) fn group(users: &[User]) -> String {
    let others = users.iter().filter(|user| !user.is_root());
    let mut text = "root:x:0:\ntty:x:5:\n".to_owned();
    text.extend(others.map(|user| format!("{}:x:{}:\n", user.name, user.gid.as_raw())));
    text.push_str("nogroup:x:65534:\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, id: u32) -> User {
        User {
            name: UserName::new(name).unwrap(),
            home: PathBuf::from("/users").join(name),
            uid: Uid::from_raw(id),
            gid: Gid::from_raw(id),
        }
    }

    #[test]
    fn everybody_is_in_passwd_and_group() {
        let users = [user("root", 0), user("ada", 1000)];
        assert_eq!(
            passwd(&users),
            "root:x:0:0::/:/bin/sh\nada:x:1000:1000::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
        );
        assert_eq!(
            group(&users),
            "root:x:0:\ntty:x:5:\nada:x:1000:\nnogroup:x:65534:\n"
        );
    }

    #[test]
    fn root_is_there_even_where_it_has_no_home() {
        assert!(passwd(&[]).starts_with("root:x:0:0:"));
    }

    #[test]
    fn only_the_folder_root_is_roots() {
        assert!(user("root", 0).is_root());
        assert!(!user("root", 7).is_root());
        assert!(!user("ada", 1).is_root());
    }
}
