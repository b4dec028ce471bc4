//! The users partition: finding it, waiting for it, mounting it, or doing without.

mod temporary;

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nodeos_sandbox::log::Log;
use nodeos_sandbox::{block, grow};
use nodeos_spec::cmdline::{Access, Growth, UsersPartition, Wait};
use nodeos_spec::device::DeviceSpec;
use nodeos_spec::device::ext::Kind;
use nodeos_sys::error::OsError;
use rustix::mount::{self, MountFlags};
use thiserror::Error;

use crate::paths;

pub(crate) use temporary::{MakeTemporaryError, make_root};

/// How long a device that is not there yet is waited for: a slow USB disk needs five seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// The same for one that the machine can do without, for as long as others still appear: a stick is looked at one second after it
/// has been found.
const STEP: Duration = Duration::from_secs(2);

/// What appears: disks, and what is plugged in before it is known whether it is one.
const APPEARING: [&str; 2] = [block::BLOCK_DEVICES, "/sys/bus/usb/devices"];

/// Of the mount options, as mount(8) has it: the machine can do without.
const NO_FAIL: &str = "nofail";

/// What the partition is to do when it finds itself broken: ext4(5).
const ON_ERRORS: &str = "errors=remount-ro";

const TEMPORARY: &str = "
*******************************************************************************
* There is no users partition: everybody's files are in memory this time.     *
* Everything works, and EVERYTHING IS LOST when the machine stops.            *
* The word nodeos.users=DEVICE of the kernel's command line names a partition.*
*******************************************************************************

";

/// What is at /users now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Users {
    ReadWrite,
    ReadOnly,
}

#[derive(Debug, Error)]
pub(crate) enum MountUsersError {
    #[error("there is no {device}, and it has been waited for {} seconds", waited.as_secs())]
    Absent { device: String, waited: Duration },
    #[error("cannot look for the users partition")]
    Look(#[source] block::FindDeviceError),
    #[error("{} holds no filesystem that can be mounted", device.display())]
    Unknown { device: PathBuf },
    #[error("cannot mount {} as {fstype} on {}", device.display(), paths::USERS)]
    Mount {
        device: PathBuf,
        fstype: String,
        source: OsError,
    },
    #[error(transparent)]
    Temporary(MakeTemporaryError),
}

impl MountUsersError {
    /// What somebody can do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            MountUsersError::Absent { .. } | MountUsersError::Look(_) => {
                "attach the disk, or take the word nodeos.users away to begin with empty homes in memory"
            }
            MountUsersError::Unknown { .. } | MountUsersError::Mount { .. } => {
                "nothing was written to it: check it on another system, with e2fsck for instance"
            }
            MountUsersError::Temporary(_) => "the machine may have too little memory",
        }
    }
}

/// Mounts what the command line says, or makes something that lasts until the machine stops.
pub(crate) fn mount(words: &UsersPartition, log: &mut Log) -> Result<Users, MountUsersError> {
    match &words.device {
        None => make_temporary(log),
        Some(DeviceSpec::Container) => Ok(Users::ReadWrite),
        Some(device) => attach(device, words, log),
    }
}

fn make_temporary(log: &mut Log) -> Result<Users, MountUsersError> {
    log.banner(TEMPORARY);
    temporary::make().map_err(MountUsersError::Temporary)?;
    Ok(Users::ReadWrite)
}

fn attach(
    spec: &DeviceSpec,
    words: &UsersPartition,
    log: &mut Log,
) -> Result<Users, MountUsersError> {
    let given = words.flags.as_deref().unwrap_or_default();
    let options = Options::parse(given, words.access);
    let found = match (options.need, words.wait) {
        (Need::None, _) => look_for(spec, log)?,
        (Need::Absolute, Wait::UpToALimit) => wait_for(spec, Some(PATIENCE), log)?,
        (Need::Absolute, Wait::ForEver) => wait_for(spec, None, log)?,
    };
    let Some(device) = found else {
        return match options.need {
            Need::None => make_temporary(log),
            Need::Absolute => Err(MountUsersError::Absent {
                device: spec.to_string(),
                waited: PATIENCE,
            }),
        };
    };
    let grows = words.growth == Growth::ToTheEnd && options.users == Users::ReadWrite;
    if grows {
        grow::tell("the users partition", grow::partition(&device), log);
    }
    let superblock = block::superblock(&device);
    if let Some(superblock) = &superblock
        && superblock.has_errors
    {
        log.say(&format!(
            "{} has errors: check it with e2fsck from another system",
            device.display()
        ));
    }
    let fstype = words.fstype.clone().or_else(|| {
        superblock.as_ref().map(|superblock| {
            match superblock.kind {
                Kind::Ext2 => "ext2",
                Kind::Ext3 => "ext3",
                Kind::Ext4 => "ext4",
            }
            .to_owned()
        })
    });
    let fstype = fstype.ok_or_else(|| MountUsersError::Unknown {
        device: device.clone(),
    })?;
    let mut flags = MountFlags::NODEV | MountFlags::NOSUID;
    if options.users == Users::ReadOnly {
        flags |= MountFlags::RDONLY;
    }
    mount::mount(
        &device,
        paths::USERS,
        fstype.as_str(),
        flags,
        options.data.as_deref(),
    )
    .map_err(|errno| MountUsersError::Mount {
        device: device.clone(),
        fstype,
        source: OsError(errno),
    })?;
    if let Some(superblock) = superblock.filter(|_| grows) {
        let grown = grow::filesystem(&device, Path::new(paths::USERS), &superblock);
        grow::tell("its filesystem", grown, log);
    }
    Ok(options.users)
}

fn wait_for(
    spec: &DeviceSpec,
    patience: Option<Duration>,
    log: &mut Log,
) -> Result<Option<PathBuf>, MountUsersError> {
    let say_so = || log.say(&format!("{spec} is not there yet, and waited for"));
    block::wait_for(spec, patience, say_so).map_err(MountUsersError::Look)
}

/// Waits until no device has appeared for a while, or for as long as for one that has to be there.
fn look_for(spec: &DeviceSpec, log: &mut Log) -> Result<Option<PathBuf>, MountUsersError> {
    let end = Instant::now() + PATIENCE;
    let mut before = appeared();
    let mut found = wait_for(spec, Some(STEP), log)?;
    while found.is_none() && appeared() != before && Instant::now() < end {
        before = appeared();
        found = block::wait_for(spec, Some(STEP), || {}).map_err(MountUsersError::Look)?;
    }
    Ok(found)
}

fn appeared() -> usize {
    let folders = APPEARING.iter().flat_map(fs::read_dir);
    folders.map(Iterator::count).sum()
}

/// What is said of the mount, in the two ways in which mount(2) takes it.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    users: Users,
    need: Need,
    data: Option<CString>,
}

/// Whether a machine without the partition is one that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Absolute,
    None,
}

impl Options {
    fn parse(given: &str, access: Access) -> Options {
        let mut users = match access {
            Access::ReadWrite => Users::ReadWrite,
            Access::ReadOnly => Users::ReadOnly,
        };
        let mut need = Need::Absolute;
        let mut data = vec![ON_ERRORS];
        for option in given.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => users = Users::ReadOnly,
                "rw" => users = Users::ReadWrite,
                NO_FAIL => need = Need::None,
                other => data.push(other),
            }
        }
        Options {
            users,
            need,
            // The command line has no zero byte.
            data: CString::new(data.join(",")).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_flags_or_the_filesystems_own() {
        let check = |given: &str, access, users, data: &str| {
            let expected = Options {
                users,
                need: Need::Absolute,
                data: Some(CString::new(data).unwrap()),
            };
            assert_eq!(Options::parse(given, access), expected, "{given}");
        };
        let (rw, ro) = (Users::ReadWrite, Users::ReadOnly);
        check("", Access::ReadWrite, rw, "errors=remount-ro");
        check("ro", Access::ReadWrite, ro, "errors=remount-ro");
        check(
            "rw,noatime",
            Access::ReadOnly,
            rw,
            "errors=remount-ro,noatime",
        );
        // The last one counts.
        check(
            "errors=panic",
            Access::ReadOnly,
            ro,
            "errors=remount-ro,errors=panic",
        );
        let options = Options::parse("noatime,nofail", Access::ReadWrite);
        assert_eq!(options.need, Need::None);
        assert_eq!(options.data, Some(c"errors=remount-ro,noatime".to_owned()));
    }

    #[test]
    fn every_failure_says_what_to_do() {
        let absent = MountUsersError::Absent {
            device: "LABEL=users".to_owned(),
            waited: PATIENCE,
        };
        assert_eq!(
            absent.to_string(),
            "there is no LABEL=users, and it has been waited for 15 seconds"
        );
        assert!(absent.hint().starts_with("attach the disk"));
    }
}
