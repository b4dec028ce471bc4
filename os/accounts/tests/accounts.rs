//! Users added, locked, removed and listed on a real folder, as root. What a user could have prepared is not fallen for.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use nodeos_accounts::accounts::{self, Access, AddUserError, Files, Lock};
use nodeos_accounts::file::{self, ReadLogonError};
use nodeos_accounts::home::{Home, Owner};
use nodeos_spec::logon::{Logon, Password};
use nodeos_spec::user::UserName;
use tempfile::TempDir;

/// What a test has: an empty folder of homes, and a skeleton.
struct Partition {
    scratch: TempDir,
}

impl Partition {
    fn new() -> Partition {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("homes")).unwrap();
        let skeleton = scratch.path().join("skeleton");
        fs::create_dir_all(skeleton.join("etc")).unwrap();
        fs::write(skeleton.join("init"), "#!/usr/bin/env node\n").unwrap();
        fs::set_permissions(skeleton.join("init"), Permissions::from_mode(0o4755)).unwrap();
        symlink("init", skeleton.join("link")).unwrap();
        Partition { scratch }
    }

    fn homes(&self) -> std::path::PathBuf {
        self.scratch.path().join("homes")
    }

    fn home(&self, name: &str) -> std::path::PathBuf {
        self.homes().join(name)
    }

    fn add(&self, name: &str) -> Result<Owner, AddUserError> {
        self.add_with(name, None, Password::None)
    }

    fn add_with(
        &self,
        name: &str,
        uid: Option<u32>,
        password: Password,
    ) -> Result<Owner, AddUserError> {
        let logon = Logon {
            password,
            ..Logon::default()
        };
        let skeleton = self.scratch.path().join("skeleton");
        accounts::add(&self.homes(), &skeleton, &user(name), uid, &logon)
    }

    /// Name, number, and how the user logs in, in one line each.
    fn list(&self) -> Vec<String> {
        let users = accounts::list(&self.homes()).unwrap();
        users
            .iter()
            .map(|user| {
                let access = match &user.access {
                    Access::Unknown(error) => error.to_string(),
                    access => format!("{access:?}"),
                };
                format!("{} {} {access}", user.name.display(), user.owner.uid)
            })
            .collect()
    }
}

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn read(home: &Path) -> Result<Logon, ReadLogonError> {
    file::read(&Home::open(home).unwrap())
}

#[test]
fn a_new_home_is_its_users_alone_and_has_what_every_home_has() {
    let partition = Partition::new();
    assert_eq!(
        partition.add("ada").unwrap(),
        Owner {
            uid: 1000,
            gid: 1000
        }
    );
    let check = |path: &str, mode: u32| {
        let metadata = fs::symlink_metadata(partition.home("ada").join(path)).unwrap();
        assert_eq!(metadata.mode() & 0o7777, mode, "{path}");
        assert_eq!((metadata.uid(), metadata.gid()), (1000, 1000), "{path}");
    };
    check("", 0o700);
    check("bin", 0o755);
    check("lib/node_modules", 0o755);
    check("etc", 0o755);
    check("etc/logon.json", 0o600);
    // Without the bit that would start it as its owner.
    check("init", 0o755);
    check("link", 0o777);
    assert_eq!(
        fs::read_link(partition.home("ada").join("link")).unwrap(),
        Path::new("init")
    );
    // Nothing else is left beside it.
    assert_eq!(fs::read_dir(partition.homes()).unwrap().count(), 1);
}

#[test]
fn users_get_the_first_free_number_and_no_number_twice() {
    let partition = Partition::new();
    assert_eq!(partition.add("ada").unwrap().uid, 1000);
    assert_eq!(partition.add("bob").unwrap().uid, 1001);
    accounts::remove(&partition.homes(), &user("ada"), Files::Remove).unwrap();
    assert_eq!(partition.add("eve").unwrap().uid, 1000);
    assert_eq!(partition.add("root").unwrap().uid, 0);
    let error = partition
        .add_with("mallory", Some(1001), Password::None)
        .unwrap_err();
    assert_eq!(error.to_string(), "cannot give mallory a number");
    let error = partition.add("bob").unwrap_err();
    assert_eq!(error.to_string(), "there is a user bob already");
    assert_eq!(
        partition.list(),
        [
            "bob 1001 NoPassword",
            "eve 1000 NoPassword",
            "root 0 NoPassword"
        ]
    );
}

#[test]
fn what_is_left_of_an_attempt_that_was_cut_off_is_in_nobodys_way() {
    let partition = Partition::new();
    fs::create_dir_all(partition.home(".new-ada/etc")).unwrap();
    assert!(partition.list().is_empty());
    partition.add("ada").unwrap();
    assert_eq!(partition.list(), ["ada 1000 NoPassword"]);
    fs::write(partition.home("ada").join("etc/.logon.json.new"), "{").unwrap();
    accounts::set_lock(&partition.home("ada"), Lock::Locked).unwrap();
    assert_eq!(partition.list(), ["ada 1000 Locked"]);
}

#[test]
fn an_attempt_that_fails_leaves_nothing() {
    let partition = Partition::new();
    let pipe = partition.scratch.path().join("skeleton/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    let error = partition.add("ada").unwrap_err().to_string();
    assert!(error.ends_with("has no place in a skeleton"), "{error}");
    assert_eq!(fs::read_dir(partition.homes()).unwrap().count(), 0);
}

#[test]
fn a_removed_user_is_gone_with_or_without_the_files() {
    let partition = Partition::new();
    partition.add("ada").unwrap();
    partition.add("bob").unwrap();
    fs::create_dir_all(partition.home(".work/ada/work")).unwrap();
    let remove = |name: &str, files| accounts::remove(&partition.homes(), &user(name), files);
    assert_eq!(remove("ada", Files::Remove).unwrap(), None);
    assert!(!partition.home("ada").exists());
    assert!(!partition.home(".work/ada").exists());

    let kept = remove("bob", Files::Keep).unwrap().unwrap();
    assert_eq!(kept, partition.home(".removed-bob"));
    assert!(kept.join("init").exists());
    partition.add("bob").unwrap();
    let kept = remove("bob", Files::Keep).unwrap().unwrap();
    assert_eq!(kept, partition.home(".removed-bob-2"));
    assert!(partition.list().is_empty());
    let error = remove("bob", Files::Keep).unwrap_err().to_string();
    assert!(error.starts_with("there is no home"), "{error}");
}

#[test]
fn locking_keeps_the_password_and_the_rest_of_the_file() {
    let partition = Partition::new();
    let password = Password::Sha1([7; 20]);
    partition.add_with("ada", None, password.clone()).unwrap();
    let home = partition.home("ada");
    accounts::set_lock(&home, Lock::Locked).unwrap();
    assert_eq!(partition.list(), ["ada 1000 Locked"]);
    assert!(read(&home).unwrap().password == password);
    accounts::set_lock(&home, Lock::Unlocked).unwrap();
    assert_eq!(partition.list(), ["ada 1000 Password"]);
    accounts::set_password(&home, Password::None).unwrap();
    assert_eq!(partition.list(), ["ada 1000 NoPassword"]);
    let owner = fs::metadata(home.join("etc/logon.json")).unwrap();
    assert_eq!((owner.uid(), owner.mode() & 0o777), (1000, 0o600));
}

#[test]
fn a_file_that_somebody_else_owns_lets_nobody_in() {
    let partition = Partition::new();
    partition.add("ada").unwrap();
    let file = partition.home("ada").join("etc/logon.json");
    chown(&file, Some(1001), Some(1000)).unwrap();
    let error = read(&partition.home("ada")).unwrap_err().to_string();
    assert!(
        error.ends_with("belongs to 1001:1000, and its home to 1000:1000"),
        "{error}"
    );
}

#[test]
fn links_and_other_things_in_place_of_the_file_are_not_followed() {
    let partition = Partition::new();
    partition.add("ada").unwrap();
    partition.add("bob").unwrap();
    let (etc, file) = (
        partition.home("ada").join("etc"),
        partition.home("ada").join("etc/logon.json"),
    );
    let check = |expected: &str| {
        let error = read(&partition.home("ada")).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    };
    fs::remove_file(&file).unwrap();
    check("logon.json");
    symlink(partition.home("bob").join("etc/logon.json"), &file).unwrap();
    check("is not a plain file");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    check("is not a plain file");
    fs::remove_dir(&file).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    check("is not a plain file");
    fs::remove_file(&file).unwrap();
    fs::write(&file, vec![b' '; 65_537]).unwrap();
    chown(&file, Some(1000), Some(1000)).unwrap();
    check("has more than 65536 bytes");

    // Nor does root write through a link, whatever it leads to.
    fs::remove_dir_all(&etc).unwrap();
    symlink(partition.home("bob").join("etc"), &etc).unwrap();
    check("is not a plain file");
    accounts::set_password(&partition.home("ada"), Password::Sha1([1; 20])).unwrap_err();
    assert!(read(&partition.home("bob")).unwrap().password == Password::None);
}

#[test]
fn a_broken_file_is_reported_and_not_written_over() {
    let partition = Partition::new();
    partition.add("ada").unwrap();
    let file = partition.home("ada").join("etc/logon.json");
    fs::write(&file, r#"{"pasword": ""}"#).unwrap();
    accounts::set_lock(&partition.home("ada"), Lock::Locked).unwrap_err();
    assert_eq!(fs::read_to_string(&file).unwrap(), r#"{"pasword": ""}"#);
    let [line] = partition.list().try_into().unwrap();
    assert!(
        line.ends_with("logon.json is not as it should be"),
        "{line}"
    );
}

#[test]
fn folders_that_are_no_users_are_not_listed() {
    let partition = Partition::new();
    for name in [".work", "lost+found", "Old User"] {
        fs::create_dir(partition.home(name)).unwrap();
    }
    fs::write(partition.home("notes"), "").unwrap();
    symlink("Old User", partition.home("link")).unwrap();
    assert_eq!(partition.list(), ["Old User 0 NonInteractive"]);
}
