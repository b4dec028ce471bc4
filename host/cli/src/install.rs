//! Writing a disk image to a stick, a card or a disk.
//!
//! The device holds the same bytes as the image afterwards, read back and compared, but for the partition table: that is
//! made for the device's own size, with the last partition as large as it can be. The table comes last, so that a device
//! whose writing was stopped does not look like one that boots.

pub mod devices;
pub mod image;
pub mod target;
mod write;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::output::size;

pub use write::{Written, write};

/// A device was not written, or not wholly.
#[derive(Debug, Error)]
pub enum InstallError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is no image of a disk", .path.display())]
    NotADisk {
        path: PathBuf,
        #[source]
        source: nodeos_spec::device::gpt::ReadTableError,
    },
    #[error("{} is cut off: its partitions reach to {}, and it ends at {}", .path.display(), size::bytes(*.needed), size::bytes(*.has))]
    CutOff {
        path: PathBuf,
        needed: u64,
        has: u64,
    },
    #[error("there is no {}", .path.display())]
    NoTarget { path: PathBuf },
    #[error("{} is neither a disk nor a file", .path.display())]
    NotATarget { path: PathBuf },
    #[error("{} is a partition, and the image is one of a whole disk", .path.display())]
    Partition {
        path: PathBuf,
        whole: Option<String>,
    },
    #[error("{} is the image itself", .path.display())]
    Itself { path: PathBuf },
    #[error("{} is no removable device", .path.display())]
    NotRemovable { path: PathBuf },
    #[error("{} is in use: {}", .path.display(), .uses.join(", "))]
    InUse { path: PathBuf, uses: Vec<String> },
    #[error("cannot open {} to write to it", .path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} can only be read", .path.display())]
    ReadOnly { path: PathBuf },
    #[error("{} has {}, and the image needs {}", .path.display(), size::bytes(*.has), size::bytes(*.needed))]
    TooSmall {
        path: PathBuf,
        has: u64,
        needed: u64,
    },
    #[error("{} has sectors of {device} bytes, and the image is for {image}", .path.display())]
    SectorSize {
        path: PathBuf,
        device: u64,
        image: u64,
    },
    #[error("cannot write to {} at {}", .path.display(), size::bytes(*.at))]
    Write {
        path: PathBuf,
        at: u64,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {} back at {}", .path.display(), size::bytes(*.at))]
    ReadBack {
        path: PathBuf,
        at: u64,
        #[source]
        source: io::Error,
    },
    #[error("{} does not hold what was written to it at {}", .path.display(), size::bytes(*.at))]
    Differs { path: PathBuf, at: u64 },
    #[error("stopped")]
    Stopped,
}

impl InstallError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        use InstallError as E;
        let text = match self {
            E::NotADisk { .. } => "nodeos build --format disk makes one",
            E::CutOff { .. } => "copy or build it again",
            E::NoTarget { path } if !path.starts_with("/dev") => {
                return Some(format!(
                    "a file to try it with is made by: truncate -s 4G {}",
                    path.display()
                ));
            }
            E::NoTarget { .. } => {
                "nodeos install IMAGE, without a device, lists those that there are"
            }
            E::NotATarget { .. } => "name a disk such as /dev/sdb, or a file",
            E::Partition {
                whole: Some(whole), ..
            } => return Some(format!("name the disk: {whole}")),
            E::NotRemovable { .. } => {
                "if it is the right one, and nothing on it is needed: --force"
            }
            E::InUse { .. } => "unmount it first; --force writes to it all the same",
            E::Open { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                return Some(format!(
                    "this one step may need root: sudo nodeos install IMAGE {}",
                    path.display()
                ));
            }
            E::ReadOnly { .. } => "many sticks and cards have a switch that forbids writing",
            E::TooSmall { .. } => {
                "take a larger one, or build with less space for users: --users-size"
            }
            E::Write { .. } | E::ReadBack { .. } => {
                "the image is as it was; plug the device in again, or try another one"
            }
            E::Differs { .. } => "the device loses what is written to it: take another one",
            E::Stopped => "the device does not boot; the same command begins anew",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
