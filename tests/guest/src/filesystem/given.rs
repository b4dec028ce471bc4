//! Questions about files that were there before: in a home, about the system's. Each has a folder of its own.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock, flock, inotify};

use super::own::{keeps_attribute, sees};
use super::{Question, locks_for_others, yes_or_no};

pub(super) const QUESTIONS: &[Question] = &[
    (
        "a given file and its folder are on the same device",
        |place| {
            let folder = place.given("a");
            yes_or_no(folder.metadata()?.dev() == folder.join("file").metadata()?.dev())
        },
    ),
    (
        "a given file keeps its number when it is changed",
        |place| {
            let file = place.given("b").join("file");
            let before = file.metadata()?.ino();
            append(&file)?;
            yes_or_no(file.metadata()?.ino() == before)
        },
    ),
    (
        "a given file keeps its device when it is changed",
        |place| {
            let file = place.given("c").join("file");
            let before = file.metadata()?.dev();
            append(&file)?;
            yes_or_no(file.metadata()?.dev() == before)
        },
    ),
    (
        "who opened a given file before it is changed reads the change",
        |place| {
            let path = place.given("d").join("file");
            let mut file = File::open(&path)?;
            append(&path)?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            yes_or_no(text == "givenmore")
        },
    ),
    (
        "who opened a given file before it is changed sees its new length",
        |place| {
            let path = place.given("e").join("file");
            let file = File::open(&path)?;
            append(&path)?;
            yes_or_no(file.metadata()?.len() == path.metadata()?.len())
        },
    ),
    ("a lock of a given file holds when it is changed", |place| {
        let path = place.given("f").join("file");
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        append(&path)?;
        // Whoever closes a file, as that has just been done, gives up the process's record locks of it (fcntl_locking(2)).
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
        locks_for_others(&path)
    }),
    (
        "a watcher of a given file sees that it is changed",
        |place| {
            let path = place.given("g").join("file");
            sees(&path, inotify::WatchFlags::MODIFY, || append(&path))
        },
    ),
    ("a given folder can be renamed", |place| {
        let folder = place.given("h");
        fs::rename(folder.join("folder"), folder.join("renamed"))?;
        yes_or_no(folder.join("renamed/inner").exists() && !folder.join("folder").exists())
    }),
    (
        "a folder made over a removed given one can be renamed",
        |place| {
            let folder = place.given("i");
            let old = folder.join("folder");
            fs::remove_dir_all(&old)?;
            fs::create_dir(&old)?;
            fs::rename(&old, folder.join("renamed"))?;
            yes_or_no(fs::read_dir(folder.join("renamed"))?.count() == 0)
        },
    ),
    (
        "a given file can be renamed, and keeps its number",
        |place| {
            let folder = place.given("j");
            let before = folder.join("file").metadata()?.ino();
            fs::rename(folder.join("file"), folder.join("renamed"))?;
            yes_or_no(folder.join("renamed").metadata()?.ino() == before)
        },
    ),
    (
        "a given file and its new second name are one file",
        |place| {
            let folder = place.given("k");
            let (first, second) = (folder.join("file"), folder.join("second"));
            fs::hard_link(&first, &second)?;
            append(&second)?;
            yes_or_no(fs::read(&first)? == b"givenmore" && first.metadata()?.nlink() == 2)
        },
    ),
    (
        "a given file and its new second name have one number",
        |place| {
            let folder = place.given("r");
            let (first, second) = (folder.join("file"), folder.join("second"));
            fs::hard_link(&first, &second)?;
            yes_or_no(first.metadata()?.ino() == second.metadata()?.ino())
        },
    ),
    (
        "a given file keeps its number when it is given a second name",
        |place| {
            let folder = place.given("s");
            let (first, second) = (folder.join("file"), folder.join("second"));
            let before = first.metadata()?.ino();
            fs::hard_link(&first, &second)?;
            yes_or_no(first.metadata()?.ino() == before)
        },
    ),
    ("a given file that is removed is gone", |place| {
        let folder = place.given("l");
        fs::remove_file(folder.join("file"))?;
        let left: Vec<_> = fs::read_dir(&folder)?.collect();
        yes_or_no(left.len() == 1 && !folder.join("file").exists())
    }),
    (
        "a folder made in the place of a removed given one is empty",
        |place| {
            let folder = place.given("m").join("folder");
            fs::remove_dir_all(&folder)?;
            fs::create_dir(&folder)?;
            yes_or_no(fs::read_dir(&folder)?.count() == 0)
        },
    ),
    ("a given folder's link count counts its folders", |place| {
        let folder = place.given("n");
        fs::create_dir(folder.join("new"))?;
        yes_or_no(folder.metadata()?.nlink() == 4)
    }),
    ("a given file can have attributes of its user's", |place| {
        yes_or_no(keeps_attribute(&place.given("o").join("file"))?)
    }),
    (
        "a given file keeps its content and time when its mode is changed",
        |place| {
            let path = place.given("p").join("file");
            let before = path.metadata()?.modified()?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            let found = path.metadata()?;
            let is_kept = found.modified()? == before && found.mode() & 0o777 == 0o600;
            yes_or_no(is_kept && fs::read(&path)? == b"given")
        },
    ),
    (
        "a given file's times and number are its open descriptor's",
        |place| {
            let path = place.given("q").join("file");
            let file = File::open(&path)?;
            append(&path)?;
            let (by_descriptor, by_path) = (file.metadata()?, path.metadata()?);
            yes_or_no(
                by_descriptor.ino() == by_path.ino()
                    && by_descriptor.modified()? == by_path.modified()?,
            )
        },
    ),
];

fn append(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .append(true)
        .open(path)?
        .write_all(b"more")
}
