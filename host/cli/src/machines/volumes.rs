//! `--volume`: folders of the host, and volumes by their names, which are images that NodeOS keeps.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nodeos_build::application::volume::{self, Identity};
use nodeos_image::ext4::WriteExt4Error;
use nodeos_spec::application::{self, ApplicationSpec, Volume};
use nodeos_spec::package::volume::{VolumeOrder, VolumeSource};
use nodeos_vm::machine::Machine;
use nodeos_vm::machine::share::{Access, Share};
use rustix::rand::{GetRandomFlags, getrandom};
use thiserror::Error;

use crate::machines::room;

/// A volume cannot be used.
#[derive(Debug, Error)]
pub enum ProvideVolumeError {
    #[error("cannot use the folder {} as a volume", .path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not a folder", .path.display())]
    NotAFolder { path: PathBuf },
    #[error("cannot tell where volumes are: neither XDG_DATA_HOME nor HOME is set")]
    NoHome,
    #[error("cannot make the volume {}", .path.display())]
    Make {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot make the volume {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: WriteExt4Error,
    },
}

impl ProvideVolumeError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            ProvideVolumeError::Folder { path, source }
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Some(format!("make it: mkdir -p {}", path.display()))
            }
            ProvideVolumeError::NotAFolder { .. } => Some("name its folder".to_owned()),
            ProvideVolumeError::NoHome => {
                Some("set XDG_DATA_HOME to a folder for what is to last".to_owned())
            }
            ProvideVolumeError::Write { path, source } => {
                room::hint(path, source).or_else(|| source.hint())
            }
            ProvideVolumeError::Make { path, source } => room::hint(path, source),
            _ => None,
        }
    }
}

/// What a machine has got.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Provided {
    /// Images, which one machine has at a time.
    pub images: Vec<PathBuf>,
    /// What people should know.
    pub notes: Vec<String>,
}

/// Gives the machine and its application their volumes, making those that have a name and are not there. Paths that are not whole
/// begin at `beside`.
///
/// The application runs as the owner of the first folder that it may write to, since there it is to be allowed what its owner is.
///
/// # Errors
/// [`ProvideVolumeError`].
pub fn provide(
    orders: &[VolumeOrder],
    beside: &Path,
    machine: &mut Machine,
    spec: &mut ApplicationSpec,
) -> Result<Provided, ProvideVolumeError> {
    let mut provided = Provided::default();
    if let Some((path, owner)) = first_writable(orders, beside)? {
        if owner.uid == 0 {
            let path = path.display();
            provided.notes.push(format!(
                "{path} belongs to root, as whom no application runs: it can read there and not write"
            ));
        } else {
            spec.uid = owner.uid;
            spec.gid = if owner.gid == 0 { owner.uid } else { owner.gid };
        }
    }
    for order in orders {
        let source = match &order.source {
            VolumeSource::Folder(path) => {
                let (path, _) = folder(beside, path)?;
                let tag = format!("volume{}", machine.shares.len());
                machine.shares.push(Share {
                    tag: tag.clone(),
                    path,
                    access: match order.read_only {
                        true => Access::ReadOnly,
                        false => Access::ReadWrite,
                    },
                });
                application::VolumeSource::Share(tag)
            }
            VolumeSource::Named(name) => {
                let image = image(&root()?, name, spec)?;
                let device = machine.disk_device(machine.disks.len());
                machine.disks.push(image.clone());
                provided.images.push(image);
                application::VolumeSource::Disk(device)
            }
        };
        spec.volumes.push(Volume {
            source,
            path: order.path.clone(),
            read_only: order.read_only,
        });
    }
    Ok(provided)
}

/// Whom a folder belongs to.
struct Owner {
    uid: u32,
    gid: u32,
}

fn first_writable(
    orders: &[VolumeOrder],
    beside: &Path,
) -> Result<Option<(PathBuf, Owner)>, ProvideVolumeError> {
    for order in orders {
        if let (VolumeSource::Folder(path), false) = (&order.source, order.read_only) {
            return folder(beside, path).map(Some);
        }
    }
    Ok(None)
}

/// A folder of the host by what was written, which a shell may not have seen.
fn folder(beside: &Path, written: &str) -> Result<(PathBuf, Owner), ProvideVolumeError> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = match (written.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => beside.join(written),
    };
    let path = path.as_path();
    let failed = |source| ProvideVolumeError::Folder {
        path: path.to_owned(),
        source,
    };
    let whole = path.canonicalize().map_err(failed)?;
    let metadata = whole.metadata().map_err(failed)?;
    if !metadata.is_dir() {
        return Err(ProvideVolumeError::NotAFolder {
            path: path.to_owned(),
        });
    }
    let owner = Owner {
        uid: metadata.uid(),
        gid: metadata.gid(),
    };
    Ok((whole, owner))
}

/// Where volumes are kept.
fn root() -> Result<PathBuf, ProvideVolumeError> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let data = variable("XDG_DATA_HOME").filter(|path| path.is_absolute());
    let home = || {
        let home = variable("HOME").filter(|home| !home.as_os_str().is_empty())?;
        Some(home.join(".local/share"))
    };
    let data = data.or_else(home).ok_or(ProvideVolumeError::NoHome)?;
    Ok(data.join("nodeos/volumes"))
}

/// A volume's image: the one that is there, whatever is in it, or an empty filesystem.
fn image(root: &Path, name: &str, spec: &ApplicationSpec) -> Result<PathBuf, ProvideVolumeError> {
    let path = root.join(format!("{name}.img"));
    let failed = |source| ProvideVolumeError::Make {
        path: path.clone(),
        source,
    };
    if path.exists() {
        return Ok(path);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .map_err(failed)?;
    let temporary = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(root)
        .map_err(failed)?;
    write(temporary.as_file(), name, spec).map_err(|source| ProvideVolumeError::Write {
        path: path.clone(),
        source,
    })?;
    temporary.as_file().sync_all().map_err(failed)?;
    match temporary.persist_noclobber(&path) {
        // Somebody made it in the meantime, and it may be in use already.
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed(error.error))
        }
        _ => Ok(path),
    }
}

fn write(file: &File, name: &str, spec: &ApplicationSpec) -> Result<(), WriteExt4Error> {
    let time = crate::machines::record::now_ms() / 1000;
    let identity = Identity {
        uuid: random()?,
        hash_seed: random()?,
        time: u32::try_from(time).unwrap_or(u32::MAX),
    };
    volume::write(file, name, (spec.uid, spec.gid), identity)
}

fn random() -> Result<[u8; 16], WriteExt4Error> {
    let mut bytes = [0; 16];
    // So few bytes come at once (getrandom(2)).
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|error| WriteExt4Error::Write {
            source: error.into(),
        })
        .map(|_| bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nodeos_vm::machine::Root;

    use super::*;

    fn spec() -> ApplicationSpec {
        ApplicationSpec::parse(r#"{"name": "a", "argv": ["/bin/node"]}"#).unwrap()
    }

    fn machine() -> Machine {
        Machine::new("kernel".into(), Root::None)
    }

    #[test]
    fn an_application_is_who_owns_what_it_writes_to() {
        let folder = tempfile::tempdir().unwrap();
        let orders = [format!("{}:/data", folder.path().display())
            .parse()
            .unwrap()];
        let (mut machine, mut spec) = (machine(), spec());
        let provided = provide(&orders, Path::new("/"), &mut machine, &mut spec).unwrap();
        let owner = folder.path().metadata().unwrap().uid();
        if owner == 0 {
            assert_eq!(spec.uid, 1000);
            assert!(provided.notes[0].contains("belongs to root"));
        } else {
            assert_eq!((spec.uid, provided.notes), (owner, Vec::new()));
        }
        assert_eq!(machine.shares.len(), 1);
        assert_eq!(
            spec.volumes,
            [Volume {
                source: application::VolumeSource::Share("volume0".to_owned()),
                path: "/data".to_owned(),
                read_only: false
            }]
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_a_way_out() {
        let orders = ["./at/all:/data".parse().unwrap()];
        let nowhere = Path::new("/nowhere");
        let error = provide(&orders, nowhere, &mut machine(), &mut spec()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot use the folder /nowhere/./at/all as a volume"
        );
        assert_eq!(error.hint().unwrap(), "make it: mkdir -p /nowhere/./at/all");
    }

    #[test]
    fn a_named_volume_is_made_once_and_takes_no_room() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("volumes");
        let path = image(&root, "db", &spec()).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.len(), volume::BYTES);
        assert!(metadata.blocks() * 512 < volume::BYTES / 50, "it is sparse");
        let checked = std::process::Command::new("e2fsck")
            .args(["-f", "-n"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(checked.status.success(), "{checked:?}");
        fs::write(&path, "used").unwrap();
        assert_eq!(image(&root, "db", &spec()).unwrap(), path);
        assert_eq!(fs::read(&path).unwrap(), b"used");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    }
}
