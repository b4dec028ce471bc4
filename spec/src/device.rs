//! Which block device is meant: `root=`'s ways of naming one, and what superblocks say about themselves.
//!
//! Finding the device is the business of who may read devices.

pub mod ext;
pub mod gpt;
pub mod table;

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::device::ext::Superblock;

/// A way of naming a block device. UUIDs are in lower case, so that equal ones are equal texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceSpec {
    /// `/dev/vdb`
    Path(String),
    /// `UUID=`, the filesystem's.
    Uuid(String),
    /// `LABEL=`, the filesystem's.
    Label(String),
    /// `PARTUUID=`, the partition's.
    PartUuid(String),
    /// `PARTLABEL=`, the partition's.
    PartLabel(String),
    /// `container`: nothing is to be mounted, whoever made the container has done so.
    Container,
}

/// Why a text names no device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseDeviceSpecError {
    #[error("{tag}= has nothing behind it")]
    Empty { tag: &'static str },
    #[error("{given:?} is no UUID: it may have digits, letters from a to f, and -")]
    Uuid { given: String },
    #[error(
        "{given:?} names no device: it can be a path, UUID=, LABEL=, PARTUUID=, PARTLABEL= or container"
    )]
    Form { given: String },
}

const UUID: &str = "UUID";
const LABEL: &str = "LABEL";
const PART_UUID: &str = "PARTUUID";
const PART_LABEL: &str = "PARTLABEL";
const CONTAINER: &str = "container";

impl DeviceSpec {
    /// Whether the filesystem with this superblock is the one meant. A path or a partition cannot be told from it.
    pub fn names(&self, superblock: &Superblock) -> bool {
        match self {
            DeviceSpec::Uuid(uuid) => *uuid == superblock.uuid_text(),
            DeviceSpec::Label(label) => *label == superblock.label,
            _ => false,
        }
    }
}

impl FromStr for DeviceSpec {
    type Err = ParseDeviceSpecError;

    fn from_str(text: &str) -> Result<DeviceSpec, ParseDeviceSpecError> {
        if text.starts_with('/') {
            return Ok(DeviceSpec::Path(text.to_owned()));
        }
        if text == CONTAINER {
            return Ok(DeviceSpec::Container);
        }
        let form = || ParseDeviceSpecError::Form {
            given: text.to_owned(),
        };
        let (tag, value) = text.split_once('=').ok_or_else(form)?;
        match tag {
            UUID => Ok(DeviceSpec::Uuid(uuid(UUID, value)?)),
            LABEL => Ok(DeviceSpec::Label(some(LABEL, value)?)),
            PART_UUID => Ok(DeviceSpec::PartUuid(uuid(PART_UUID, value)?)),
            PART_LABEL => Ok(DeviceSpec::PartLabel(some(PART_LABEL, value)?)),
            _ => Err(form()),
        }
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceSpec::Path(path) => f.write_str(path),
            DeviceSpec::Uuid(uuid) => write!(f, "{UUID}={uuid}"),
            DeviceSpec::Label(label) => write!(f, "{LABEL}={label}"),
            DeviceSpec::PartUuid(uuid) => write!(f, "{PART_UUID}={uuid}"),
            DeviceSpec::PartLabel(label) => write!(f, "{PART_LABEL}={label}"),
            DeviceSpec::Container => f.write_str(CONTAINER),
        }
    }
}

fn some(tag: &'static str, value: &str) -> Result<String, ParseDeviceSpecError> {
    if value.is_empty() {
        return Err(ParseDeviceSpecError::Empty { tag });
    }
    Ok(value.to_owned())
}

/// Not only the form of 36 characters: FAT's and an MBR partition's are shorter.
fn uuid(tag: &'static str, value: &str) -> Result<String, ParseDeviceSpecError> {
    let uuid = some(tag, value)?.to_ascii_lowercase();
    if uuid
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    {
        return Ok(uuid);
    }
    Err(ParseDeviceSpecError::Uuid {
        given: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_the_original_and_the_kernel_do() {
        let check = |text: &str, expected: DeviceSpec| {
            let spec: DeviceSpec = text.parse().unwrap();
            assert_eq!(spec, expected);
            assert_eq!(spec.to_string().to_lowercase(), text.to_lowercase());
        };
        check("/dev/vdb", DeviceSpec::Path("/dev/vdb".to_owned()));
        check("UUID=5A3C-17F2", DeviceSpec::Uuid("5a3c-17f2".to_owned()));
        check("LABEL=users", DeviceSpec::Label("users".to_owned()));
        check("LABEL=a=b c", DeviceSpec::Label("a=b c".to_owned()));
        check(
            "PARTUUID=d2f0a1b3-02",
            DeviceSpec::PartUuid("d2f0a1b3-02".to_owned()),
        );
        check("PARTLABEL=Users", DeviceSpec::PartLabel("Users".to_owned()));
        check("container", DeviceSpec::Container);
    }

    #[test]
    fn what_names_no_device_is_refused() {
        let check = |text: &str, expected: &str| {
            assert_eq!(
                text.parse::<DeviceSpec>().unwrap_err().to_string(),
                expected
            );
        };
        check("UUID=", "UUID= has nothing behind it");
        check("PARTLABEL=", "PARTLABEL= has nothing behind it");
        check(
            "UUID=../vda",
            "\"../vda\" is no UUID: it may have digits, letters from a to f, and -",
        );
        for text in ["", "vdb", "uuid=12", "NAME=a"] {
            check(
                text,
                &format!(
                    "{text:?} names no device: it can be a path, UUID=, LABEL=, PARTUUID=, PARTLABEL= or container"
                ),
            );
        }
    }
}
