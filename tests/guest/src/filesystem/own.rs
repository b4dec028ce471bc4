//! Questions about files that were made where they lie.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, FlockOperation, IFlags, Mode, OFlags, RenameFlags,
    XattrFlags, fallocate, fcntl_lock, flock, getxattr, inotify, ioctl_getflags, ioctl_setflags,
    linkat, mknodat, openat, renameat_with, seek, setxattr,
};

use super::{Question, locks_for_others, yes_or_no};

const MIB: u64 = 1 << 20;

pub(super) const QUESTIONS: &[Question] = &[
    ("a file has as many names as it is given", |place| {
        let folder = place.own("names")?;
        let (first, second) = (folder.join("first"), folder.join("second"));
        fs::write(&first, "x")?;
        fs::hard_link(&first, &second)?;
        let (first, second) = (first.metadata()?, second.metadata()?);
        yes_or_no(first.nlink() == 2 && first.ino() == second.ino() && first.dev() == second.dev())
    }),
    ("a file and its folder are on the same device", |place| {
        let folder = place.own("device")?;
        let file = folder.join("file");
        fs::write(&file, "x")?;
        yes_or_no(folder.metadata()?.dev() == file.metadata()?.dev())
    }),
    ("a folder's link count counts its folders", |place| {
        let folder = place.own("count")?;
        fs::create_dir(folder.join("one"))?;
        fs::create_dir(folder.join("two"))?;
        yes_or_no(folder.metadata()?.nlink() == 4)
    }),
    ("a folder can be renamed", |place| {
        let folder = place.own("rename")?;
        fs::create_dir(folder.join("old"))?;
        fs::write(folder.join("old/file"), "x")?;
        fs::rename(folder.join("old"), folder.join("new"))?;
        yes_or_no(folder.join("new/file").exists())
    }),
    ("a file keeps its number when it is renamed", |place| {
        let folder = place.own("number")?;
        fs::write(folder.join("old"), "x")?;
        let before = folder.join("old").metadata()?.ino();
        fs::rename(folder.join("old"), folder.join("new"))?;
        yes_or_no(folder.join("new").metadata()?.ino() == before)
    }),
    ("two files can be exchanged", |place| {
        let folder = place.own("exchange")?;
        let (one, two) = (folder.join("one"), folder.join("two"));
        fs::write(&one, "1")?;
        fs::write(&two, "2")?;
        renameat_with(CWD, &one, CWD, &two, RenameFlags::EXCHANGE)?;
        yes_or_no(fs::read(&one)? == b"2" && fs::read(&two)? == b"1")
    }),
    ("a name that is taken can be spared", |place| {
        let folder = place.own("spare")?;
        let (one, two) = (folder.join("one"), folder.join("two"));
        fs::write(&one, "1")?;
        fs::write(&two, "2")?;
        let refused = renameat_with(CWD, &one, CWD, &two, RenameFlags::NOREPLACE).is_err();
        yes_or_no(refused && fs::read(&two)? == b"2")
    }),
    ("a file without a name can be given one", |place| {
        let folder = place.own("nameless")?;
        let flags = OFlags::TMPFILE | OFlags::RDWR;
        let mut file = File::from(openat(CWD, &folder, flags, Mode::from_raw_mode(0o600))?);
        file.write_all(b"x")?;
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        let name = folder.join("name");
        linkat(CWD, own, CWD, &name, AtFlags::SYMLINK_FOLLOW)?;
        yes_or_no(fs::read(&name)? == b"x")
    }),
    ("a removed file lives while it is open", |place| {
        let path = place.own("removed")?.join("file");
        fs::write(&path, "still here")?;
        let mut file = File::open(&path)?;
        fs::remove_file(&path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        yes_or_no(text == "still here" && file.metadata()?.nlink() == 0)
    }),
    ("space can be reserved", |place| {
        let file = File::create(place.own("reserved")?.join("file"))?;
        fallocate(&file, FallocateFlags::empty(), 0, MIB)?;
        let found = file.metadata()?;
        yes_or_no(found.len() == MIB && found.blocks() * 512 >= MIB)
    }),
    ("a hole can be made in a file", |place| {
        let mut file = File::create(place.own("hole")?.join("file"))?;
        file.write_all(&vec![1; MIB as usize])?;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&file, flags, MIB / 4, MIB / 4)?;
        let hole = seek(&file, rustix::fs::SeekFrom::Hole(0))?;
        let data = seek(&file, rustix::fs::SeekFrom::Data(hole))?;
        yes_or_no(hole == MIB / 4 && data == MIB / 2)
    }),
    ("a file that was only made long takes no space", |place| {
        let mut file = File::create(place.own("sparse")?.join("file"))?;
        file.set_len(1024 * MIB)?;
        file.seek(SeekFrom::End(-1))?;
        file.write_all(b"x")?;
        let found = file.metadata()?;
        yes_or_no(found.len() == 1024 * MIB && found.blocks() * 512 <= MIB)
    }),
    ("a file can have attributes of its user's", |place| {
        let path = place.own("attributes")?.join("file");
        fs::write(&path, "x")?;
        yes_or_no(keeps_attribute(&path)?)
    }),
    (
        "a file has the times it is given, to the nanosecond",
        |place| {
            let path = place.own("times")?.join("file");
            let file = File::create(&path)?;
            let time = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
            file.set_times(fs::FileTimes::new().set_accessed(time).set_modified(time))?;
            let found = path.metadata()?;
            yes_or_no(found.modified()? == time && found.accessed()? == time)
        },
    ),
    ("a file can be marked as not to be dumped", |place| {
        let file = File::create(place.own("flags")?.join("file"))?;
        ioctl_setflags(&file, ioctl_getflags(&file)? | IFlags::NODUMP)?;
        yes_or_no(ioctl_getflags(&file)?.contains(IFlags::NODUMP))
    }),
    ("a file can be opened past the page cache", |place| {
        let path = place.own("direct")?.join("file");
        fs::write(&path, vec![1; 4096])?;
        let flags = OFlags::DIRECT.bits() as i32;
        OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(&path)?;
        yes_or_no(true)
    }),
    ("locks hold against others", |place| {
        let path = place.own("locks")?.join("file");
        let file = File::create(&path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
        locks_for_others(&path)
    }),
    ("a watcher of a folder sees a new file", |place| {
        let folder = place.own("watched")?;
        sees(&folder, inotify::WatchFlags::CREATE, || {
            fs::write(folder.join("file"), "x")
        })
    }),
    ("the device 0:0 can be made", |place| {
        let path = place.own("whiteout")?.join("device");
        let kind = FileType::CharacterDevice;
        mknodat(CWD, &path, kind, Mode::empty(), 0)?;
        yes_or_no(true)
    }),
];

pub(super) fn keeps_attribute(path: &Path) -> io::Result<bool> {
    setxattr(path, "user.colour", b"green", XattrFlags::empty())?;
    let mut value = [0; 16];
    let length = getxattr(path, "user.colour", &mut value)?;
    Ok(value[..length] == *b"green")
}

/// Whether somebody who watches `path` for `flags` is told of what `act` does.
pub(super) fn sees(
    path: &Path,
    flags: inotify::WatchFlags,
    act: impl FnOnce() -> io::Result<()>,
) -> io::Result<String> {
    let watcher = inotify::init(inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&watcher, path, flags)?;
    act()?;
    let mut buffer = [MaybeUninit::uninit(); 512];
    let is_told = inotify::Reader::new(&watcher, &mut buffer).next().is_ok();
    yes_or_no(is_told)
}
