//! The images that the application's folder is put together from.

use std::path::{Path, PathBuf};

use nodeos_sandbox::mounts::{
    MountError, SAFE, attach, bind, directory, escaped, make_error, memory_files, set_flags,
};
use nodeos_spec::application::{FILES_NAME, LAYERS};
use nodeos_spec::cmdline;
use nodeos_sys::error::OsError;
use rustix::io::Errno;
use rustix::mount::{self, MountFlags};
use thiserror::Error;

use crate::paths;

/// Devices of this name are memory that is mapped, and not read (Documentation/filesystems/dax.rst of the kernel).
const MAPPED: &str = "/dev/pmem";

#[derive(Debug, Error)]
pub(crate) enum LayersError {
    #[error(transparent)]
    Folder(#[from] MountError),
    #[error("the kernel's command line has {LAYERS}={word}, and {device:?} is no device")]
    Device { word: String, device: String },
    #[error("cannot mount the image on {device}")]
    Image { device: String, source: OsError },
    #[error("the image on {device} has no folder {FILES_NAME}")]
    NoFiles { device: String },
}

impl LayersError {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            LayersError::Device { .. } => Some("name devices like /dev/pmem1, with commas between"),
            LayersError::Image {
                source: OsError(Errno::NOENT | Errno::NXIO),
                ..
            } => Some("give the machine the image as a device, or take the word away"),
            LayersError::Image { .. } => Some("it has to be an EROFS image"),
            LayersError::NoFiles { .. } => Some("nodeos run makes images that have it"),
            LayersError::Folder(_) => None,
        }
    }
}

/// Whether the application's folder can be changed after this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    None,
    /// In memory, by root, up to so many bytes.
    UpTo(u64),
}

/// The mounted images, the lowest first: none where the folder is a part of the system.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) mounted: Vec<PathBuf>,
}

impl Layers {
    /// Mounts those that the kernel's command line names.
    pub(crate) fn mount(command_line: &str) -> Result<Layers, LayersError> {
        let mut layers = Layers::default();
        let devices = devices(command_line)?;
        if devices.is_empty() {
            return Ok(layers);
        }
        directory(Path::new(paths::LAYERS), 0o700)?;
        for (number, device) in devices.into_iter().enumerate() {
            let target = Path::new(paths::LAYERS).join(number.to_string());
            directory(&target, 0o755)?;
            let options = device.starts_with(MAPPED).then_some(c"dax=always");
            let flags = SAFE | MountFlags::RDONLY;
            mount::mount(device, &target, "erofs", flags, options).map_err(|errno| {
                LayersError::Image {
                    device: device.to_owned(),
                    source: OsError(errno),
                }
            })?;
            if !target.join(FILES_NAME).is_dir() {
                return Err(LayersError::NoFiles {
                    device: device.to_owned(),
                });
            }
            layers.mounted.push(target);
        }
        Ok(layers)
    }

    /// The folders that the application's is put together from, the lowest first. `system` is that of a system which has it
    /// itself.
    pub(crate) fn files(&self, system: &Path) -> Vec<PathBuf> {
        if self.mounted.is_empty() {
            return vec![system.to_owned()];
        }
        let mounted = self.mounted.iter();
        mounted.map(|layer| layer.join(FILES_NAME)).collect()
    }
}

/// Puts the folders together at `target`. With [`Changes::UpTo`] it can be written, until [`seal`].
pub(crate) fn put_together(
    files: &[PathBuf],
    target: &Path,
    changes: Changes,
) -> Result<(), MountError> {
    let mut options = lowers(files);
    match (files, changes) {
        ([only], Changes::None) => bind(only, target, SAFE | MountFlags::RDONLY),
        (_, Changes::None) => {
            let flags = SAFE | MountFlags::RDONLY;
            attach("overlay", "overlay", target, flags, Some(options))
        }
        (_, Changes::UpTo(bytes)) => {
            let place = Path::new(paths::UPPER);
            directory(place, 0o700)?;
            memory_files(place, "0700", bytes)?;
            for name in ["upper", "work"] {
                directory(&place.join(name), 0o755)?;
            }
            options.extend(format!(",upperdir={0}/upper,workdir={0}/work", paths::UPPER).bytes());
            attach("overlay", "overlay", target, SAFE, Some(options))?;
            // What the upper folder is, whatever the umask, the overlay's own is.
            rustix::fs::chmod(target, rustix::fs::Mode::from_raw_mode(0o755))
                .map_err(|errno| make_error(target, errno))
        }
    }
}

/// From now on nobody writes there.
pub(crate) fn seal(target: &Path) -> Result<(), MountError> {
    set_flags(target, SAFE | MountFlags::RDONLY)
}

/// `lowerdir=` with the topmost first, as overlayfs has it.
fn lowers(files: &[PathBuf]) -> Vec<u8> {
    let mut options = b"lowerdir=".to_vec();
    for (index, path) in files.iter().rev().enumerate() {
        if index > 0 {
            options.push(b':');
        }
        options.extend(escaped(path));
    }
    options
}

fn devices(command_line: &str) -> Result<Vec<&str>, LayersError> {
    let word = cmdline::value(command_line, LAYERS).unwrap_or_default();
    let devices: Vec<&str> = word
        .split(',')
        .filter(|device| !device.is_empty())
        .collect();
    match devices.iter().find(|device| !device.starts_with("/dev/")) {
        Some(device) => Err(LayersError::Device {
            word: word.to_owned(),
            device: (*device).to_owned(),
        }),
        None => Ok(devices),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_with_commas_between() {
        let found = devices("quiet nodeos.layers=/dev/pmem1,/dev/pmem2 ro").unwrap();
        assert_eq!(found, ["/dev/pmem1", "/dev/pmem2"]);
        assert!(devices("quiet").unwrap().is_empty());
        assert!(devices("nodeos.layers=").unwrap().is_empty());
        let error = devices("nodeos.layers=/dev/vdb,vdc").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the kernel's command line has nodeos.layers=/dev/vdb,vdc, and \"vdc\" is no device"
        );
        assert!(error.hint().is_some());
    }

    #[test]
    fn the_topmost_layer_is_the_overlays_first() {
        let files = ["/run/nodeos/layers/0/files", "/run/nodeos/layers/1/files"];
        assert_eq!(
            lowers(&files.map(PathBuf::from)),
            b"lowerdir=/run/nodeos/layers/1/files:/run/nodeos/layers/0/files"
        );
    }
}
