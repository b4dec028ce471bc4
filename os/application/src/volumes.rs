//! What lasts: folders of the host and disks, mounted where the application wants them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeos_sandbox::block::{self, FindDeviceError};
use nodeos_sandbox::grow;
use nodeos_sandbox::log::Log;
use nodeos_sandbox::mounts::{MountError, SAFE, directory};
use nodeos_spec::application::{ApplicationSpec, FOLDER, Volume, VolumeSource};
use nodeos_spec::cmdline::Growth;
use nodeos_spec::device::DeviceSpec;
use nodeos_sys::error::OsError;
use rustix::fs::{self, Gid, Uid};
use rustix::io::Errno;
use rustix::mount::{self, MountFlags};
use thiserror::Error;

/// 9P as Linux speaks it, to QEMU (Documentation/filesystems/9p.rst of the kernel). `cache=mmap` is the least that lets a
/// program map a file and write to it, as databases do; it keeps nothing that fsync(2) was told to write. The size of a message
/// is what a request takes of the machine's memory, in one piece: a larger one is hard to find in a small machine.
const SHARE_OPTIONS: &std::ffi::CStr = c"trans=virtio,version=9p2000.L,msize=131072,cache=mmap";
/// An application that writes to a broken disk is to hear of it.
const DISK_OPTIONS: &std::ffi::CStr = c"errors=remount-ro";

/// How long a disk that is not there yet is waited for. What a machine is started with is there before this program is.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Error)]
pub(crate) enum VolumesError {
    #[error("there cannot be a volume at {}", path.display())]
    Place {
        path: PathBuf,
        #[source]
        source: MountError,
    },
    #[error("{} is in the way of a volume: it has to be a folder", path.display())]
    InTheWay { path: PathBuf },
    #[error("cannot look at {}", path.display())]
    Inspect {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the machine has no shared folder {tag:?} for {path}")]
    NoShare {
        tag: String,
        path: String,
        source: OsError,
    },
    #[error("cannot mount the shared folder {tag:?} on {path}")]
    Share {
        tag: String,
        path: String,
        source: OsError,
    },
    #[error("the machine has no disk {device} for {path}")]
    NoDisk { device: String, path: String },
    #[error("cannot look for the disk {device}")]
    Look {
        device: String,
        #[source]
        source: FindDeviceError,
    },
    #[error("{device}, which is to be {path}, holds no ext4 filesystem")]
    NotFormatted {
        device: String,
        path: String,
        source: OsError,
    },
    #[error("cannot mount {device} on {path}")]
    Disk {
        device: String,
        path: String,
        source: OsError,
    },
    #[error("cannot give {path} to the application")]
    Give { path: String, source: OsError },
}

impl VolumesError {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            VolumesError::NoDisk { .. } => {
                Some("give the machine a disk with an ext4 filesystem that is called so")
            }
            VolumesError::NotFormatted { .. } => {
                Some("the machine formats nothing: give it a disk with an ext4 filesystem")
            }
            VolumesError::NoShare { .. } => {
                Some("give the machine the folder with QEMU's -virtfs and this tag")
            }
            VolumesError::InTheWay { .. } | VolumesError::Place { .. } => {
                Some("choose another place for the volume, /data for instance")
            }
            _ => None,
        }
    }
}

/// The volumes in the order in which they are mounted: what lies in another one comes after it.
pub(crate) fn in_order(spec: &ApplicationSpec) -> Vec<&Volume> {
    let mut volumes: Vec<&Volume> = spec.volumes.iter().collect();
    volumes.sort_by_key(|volume| Path::new(&volume.path).components().count());
    volumes
}

/// Whether some volume's place has to be made in the application's folder, whose parts are `files`. Where the folder itself is
/// a volume, it is made in that.
pub(crate) fn need_a_place(spec: &ApplicationSpec, files: &[PathBuf]) -> bool {
    let below = |volume: &Volume| {
        let path = Path::new(&volume.path).strip_prefix(FOLDER).ok()?;
        Some(path.to_owned())
    };
    let places: Vec<PathBuf> = spec.volumes.iter().filter_map(below).collect();
    let is_there = |place: &PathBuf| files.iter().any(|files| files.join(place).is_dir());
    !places.contains(&PathBuf::new()) && !places.iter().all(is_there)
}

/// Mounts one below `root`, and makes the place for it.
pub(crate) fn mount(
    volume: &Volume,
    spec: &ApplicationSpec,
    root: &Path,
    growth: Growth,
    log: &mut Log,
) -> Result<(), VolumesError> {
    let target = place(root, &volume.path)?;
    let access = match volume.read_only {
        true => MountFlags::RDONLY,
        false => MountFlags::empty(),
    };
    let path = volume.path.clone();
    match &volume.source {
        VolumeSource::Share(tag) => {
            mount::mount(tag.as_str(), &target, "9p", SAFE | access, SHARE_OPTIONS).map_err(
                |errno| {
                    let (tag, source) = (tag.clone(), OsError(errno));
                    match errno {
                        Errno::NOENT => VolumesError::NoShare { tag, path, source },
                        _ => VolumesError::Share { tag, path, source },
                    }
                },
            )
        }
        VolumeSource::Disk(device) => {
            let found = disk(device, &path)?;
            let grows = growth == Growth::ToTheEnd && !volume.read_only;
            if grows {
                let what = format!("the partition of {path}");
                grow::tell(&what, grow::partition(&found), log);
            }
            mount::mount(&found, &target, "ext4", SAFE | access, DISK_OPTIONS).map_err(
                |errno| {
                    let (device, path, source) = (device.clone(), path.clone(), OsError(errno));
                    match errno {
                        Errno::INVAL => VolumesError::NotFormatted {
                            device,
                            path,
                            source,
                        },
                        _ => VolumesError::Disk {
                            device,
                            path,
                            source,
                        },
                    }
                },
            )?;
            if grows && let Some(superblock) = block::superblock(&found) {
                let grown = grow::filesystem(&found, &target, &superblock);
                grow::tell(&format!("the filesystem of {path}"), grown, log);
            }
            match volume.read_only {
                true => Ok(()),
                false => give(&target, spec).map_err(|errno| VolumesError::Give {
                    path,
                    source: OsError(errno),
                }),
            }
        }
    }
}

/// The path of a disk. One that was named by that is not looked for: mounting tells.
fn disk(device: &str, path: &str) -> Result<PathBuf, VolumesError> {
    let absent = || VolumesError::NoDisk {
        device: device.to_owned(),
        path: path.to_owned(),
    };
    match device.parse().map_err(|_| absent())? {
        DeviceSpec::Path(device) => Ok(device.into()),
        spec => block::wait_for(&spec, Some(PATIENCE), || {})
            .map_err(|source| VolumesError::Look {
                device: device.to_owned(),
                source,
            })?
            .ok_or_else(absent),
    }
}

/// A disk that was made for nobody becomes the application's, which could not write to it otherwise.
fn give(target: &Path, spec: &ApplicationSpec) -> Result<(), Errno> {
    let found = fs::stat(target)?;
    if (found.st_uid, found.st_gid) != (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(spec.uid), Gid::from_raw(spec.gid));
    fs::chown(target, Some(uid), Some(gid))
}

/// Makes the folders down to `path`. What is there may be folders only: mount(2) would follow a link out of the root.
fn place(root: &Path, path: &str) -> Result<PathBuf, VolumesError> {
    let mut at = root.to_owned();
    for part in path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        at.push(part);
        match at.symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(VolumesError::InTheWay { path: path.into() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                directory(&at, 0o755).map_err(|source| VolumesError::Place {
                    path: path.into(),
                    source,
                })?;
            }
            Err(source) => {
                return Err(VolumesError::Inspect {
                    path: path.into(),
                    source,
                });
            }
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(paths: &[&str]) -> ApplicationSpec {
        let volumes: Vec<String> = paths
            .iter()
            .map(|path| format!(r#"{{"source": {{"share": "v"}}, "path": "{path}"}}"#))
            .collect();
        let text = format!(
            r#"{{"name": "a", "argv": ["/bin/node"], "volumes": [{}]}}"#,
            volumes.join(",")
        );
        ApplicationSpec::parse(&text).unwrap()
    }

    #[test]
    fn what_lies_in_another_volume_is_mounted_after_it() {
        let spec = spec(&["/data/a/b", "/data", "/app/c"]);
        let order: Vec<&str> = in_order(&spec).iter().map(|v| v.path.as_str()).collect();
        assert_eq!(order, ["/data", "/app/c", "/data/a/b"]);
    }

    #[test]
    fn only_a_place_that_no_part_of_the_application_has_is_needed() {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("uploads")).unwrap();
        let files = [scratch.path().join("none"), scratch.path().to_owned()];
        let check = |path: &str, expected: bool| {
            assert_eq!(need_a_place(&spec(&[path]), &files), expected, "{path}");
        };
        check("/app/uploads", false);
        check("/app/data", true);
        check("/data", false);
        check("/application", false);
        assert!(!need_a_place(&spec(&["/app", "/app/data"]), &files));
    }

    #[test]
    fn places_are_folders_and_no_links() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        assert_eq!(place(root, "/a/./b/").unwrap(), root.join("a/b"));
        assert!(root.join("a/b").is_dir());
        std::os::unix::fs::symlink("/etc", root.join("a/link")).unwrap();
        let error = place(root, "/a/link/c").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/a/link/c is in the way of a volume: it has to be a folder"
        );
    }
}
