//! The disk or file that is written to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::InstallError;
use super::devices::{Device, Kernel};
use super::image::Image;

/// What is written to, opened.
#[derive(Debug)]
pub struct Target {
    pub path: PathBuf,
    pub file: File,
    /// Bytes.
    pub size: u64,
    /// None for a file.
    pub device: Option<Device>,
}

/// Whether a disk may be written to that is in use, or not made to be plugged out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caution {
    Careful,
    Forced,
}

/// Looks whether there is a disk or file that may be written to, and how large it is. Nothing is opened.
///
/// # Errors
/// [`InstallError`].
pub fn check(
    path: &Path,
    caution: Caution,
    kernel: &Kernel,
) -> Result<(u64, Option<Device>), InstallError> {
    let (meta, device) = look(path, caution, kernel)?;
    let size = device.as_ref().map_or(meta.len(), |device| device.size);
    Ok((size, device))
}

/// Looks whether a disk or file can take the image, and opens it. Nothing is written.
///
/// # Errors
/// [`InstallError`].
pub fn open(
    path: &Path,
    image: &Image,
    caution: Caution,
    kernel: &Kernel,
) -> Result<Target, InstallError> {
    let given = path.to_owned();
    let (meta, device) = look(path, caution, kernel)?;
    let own = image.file.metadata().ok();
    if own.is_some_and(|own| (own.dev(), own.ino()) == (meta.dev(), meta.ino())) {
        return Err(InstallError::Itself { path: given });
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if device.is_some() && caution == Caution::Careful {
        // The kernel refuses who asks for a disk alone while somebody has it (open(2)), also what was not found above.
        options.custom_flags(OFlags::EXCL.bits().cast_signed());
    }
    let mut file = options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem => InstallError::ReadOnly {
            path: given.clone(),
        },
        io::ErrorKind::ResourceBusy => InstallError::InUse {
            path: given.clone(),
            uses: vec!["another program has it".to_owned()],
        },
        _ => InstallError::Open {
            path: given.clone(),
            source,
        },
    })?;
    let size = file
        .seek(io::SeekFrom::End(0))
        .map_err(|source| InstallError::Read {
            path: given.clone(),
            source,
        })?;
    let sector = device
        .as_ref()
        .map_or(image.table.sector, |device| device.sector);
    if sector != image.table.sector {
        return Err(InstallError::SectorSize {
            path: given,
            device: sector,
            image: image.table.sector,
        });
    }
    if size < image.size {
        return Err(InstallError::TooSmall {
            path: given,
            has: size,
            needed: image.size,
        });
    }
    Ok(Target {
        path: given,
        file,
        size,
        device,
    })
}

/// What is at the path: a disk, or a file.
fn look(
    path: &Path,
    caution: Caution,
    kernel: &Kernel,
) -> Result<(fs::Metadata, Option<Device>), InstallError> {
    let given = path.to_owned();
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(InstallError::NoTarget { path: given });
        }
        Err(source) => {
            return Err(InstallError::Read {
                path: given,
                source,
            });
        }
    };
    let kind = meta.file_type();
    if kind.is_block_device() {
        return Ok((meta, Some(examine(path, caution, kernel)?)));
    }
    match kind.is_file() {
        true => Ok((meta, None)),
        false => Err(InstallError::NotATarget { path: given }),
    }
}

/// The disk behind a path, which may be a link such as those in `/dev/disk/by-id`.
fn examine(path: &Path, caution: Caution, kernel: &Kernel) -> Result<Device, InstallError> {
    let given = path.to_owned();
    let real = fs::canonicalize(path).map_err(|source| InstallError::Read {
        path: given.clone(),
        source,
    })?;
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    if let Some(disk) = kernel.disk_of_partition(&name) {
        return Err(InstallError::Partition {
            path: given,
            whole: Some(format!("/dev/{disk}")),
        });
    }
    let device = kernel.device(&name);
    if device.is_read_only {
        return Err(InstallError::ReadOnly { path: given });
    }
    if caution == Caution::Careful {
        if !device.uses.is_empty() {
            return Err(InstallError::InUse {
                path: given,
                uses: device.uses,
            });
        }
        if !device.is_removable {
            return Err(InstallError::NotRemovable { path: given });
        }
    }
    Ok(device)
}
