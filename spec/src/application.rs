//! An application as a machine: what the program that runs it is told, and how it and the host talk.

pub mod flow;
pub mod frame;
pub mod memory;
pub mod message;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::device::{DeviceSpec, ParseDeviceSpecError};
use crate::program::{self, ProgramError};
use crate::service::Restart;

/// Where the application's image keeps its orders, below the place where it is mounted.
pub const SPEC_NAME: &str = "application.json";

/// The folder of an image of the application or of its dependencies whose contents appear in [`FOLDER`].
pub const FILES_NAME: &str = "files";

/// Where the application's files are in the machine.
pub const FOLDER: &str = "/app";

/// What Node.js has compiled of the application before, below [`FOLDER`]. Not in `node_modules`: that would have to be put
/// together of two images then, with every look into it.
pub const COMPILE_CACHE: &str = ".node-compile-cache";

/// Where Node.js looks for that (node(1)).
pub const COMPILE_CACHE_VARIABLE: &str = "NODE_COMPILE_CACHE";

/// `nodeos.layers=DEVICE,DEVICE`: what [`FOLDER`] is put together from, the lowest first. Without this word it is a part of
/// the system.
pub const LAYERS: &str = "nodeos.layers";

/// `nodeos.follow`: the host may change [`FOLDER`] while the machine runs ([`message::HostMessage::Update`]).
pub const FOLLOW: &str = "nodeos.follow";

/// Orders from the host that are to be followed instead of the image's own: this name of QEMU's firmware configuration.
pub const HOST_SPEC: &str = "opt/org.nodeos/application";

/// The user of an application, unless it has to be somebody else.
pub const DEFAULT_ID: u32 = 1000;

/// Time between TERM and KILL, unless it is told otherwise: what a container has.
pub const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(10);

/// Waiting longer for an application that does not stop is taken for a mistake.
const MAX_STOP_GRACE: Duration = Duration::from_secs(3600);

/// A validated `application.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationSpec {
    /// What people call it: in messages and as the host name.
    pub name: String,
    /// The program, by its whole path, and its arguments.
    pub argv: Vec<String>,
    /// The program is Node.js, and the machine tells it how large it is ([`memory`]).
    pub fit_memory: bool,
    /// All of its environment, but for what the machine itself adds.
    pub env: BTreeMap<String, String>,
    /// The folder it starts in.
    pub cwd: String,
    /// Whom it runs as. Never 0.
    pub uid: u32,
    pub gid: u32,
    /// TCP ports. It is ready when something listens on the first; below 1024 it is given the right to.
    pub ports: Vec<u16>,
    /// The only places that it can write to and that last.
    pub volumes: Vec<Volume>,
    pub restart: Restart,
    pub stop_grace: Duration,
}

/// Something that is mounted for the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Volume {
    pub source: VolumeSource,
    /// Where, in the machine.
    pub path: String,
    #[serde(default)]
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeSource {
    /// A folder of the host, by its 9P tag (Documentation/filesystems/9p.rst of the kernel).
    Share(String),
    /// An ext4 filesystem on this device, by its path, or by `LABEL=` or `UUID=` of the filesystem: where the machine's maker does not
    /// know in which order it has its disks.
    Disk(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawApplicationSpec {
    name: String,
    argv: Vec<String>,
    #[serde(default)]
    fit_memory: bool,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default = "default_cwd")]
    cwd: String,
    #[serde(default = "default_id")]
    uid: u32,
    #[serde(default = "default_id")]
    gid: u32,
    #[serde(default)]
    ports: Vec<u16>,
    #[serde(default)]
    volumes: Vec<Volume>,
    #[serde(default = "default_restart")]
    restart: Restart,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop_grace_ms: Option<u64>,
}

fn default_cwd() -> String {
    FOLDER.to_owned()
}

fn default_id() -> u32 {
    DEFAULT_ID
}

/// A machine ends with its application.
fn default_restart() -> Restart {
    Restart::Never
}

/// Why a text is not an `application.json`.
#[derive(Debug, Error)]
pub enum ParseApplicationSpecError {
    #[error("{SPEC_NAME} is not what it should be")]
    Json(#[source] serde_json::Error),
    #[error("{SPEC_NAME} names no program")]
    NoProgram,
    #[error("{SPEC_NAME}: {place} {path:?} does not begin with /, or has .. in it")]
    Path { place: &'static str, path: String },
    #[error("{SPEC_NAME}: there is no disk {device:?}")]
    Disk {
        device: String,
        #[source]
        source: ParseDeviceSpecError,
    },
    #[error("{SPEC_NAME}: an application cannot be user or group 0")]
    Root,
    #[error("{SPEC_NAME}")]
    Program(#[source] ProgramError),
    #[error("{SPEC_NAME}: stopGraceMs is {given_ms}, which is more than {}", MAX_STOP_GRACE.as_millis())]
    StopGrace { given_ms: u64 },
}

impl ApplicationSpec {
    /// Reads and validates. Unknown keys are refused by name.
    pub fn parse(text: &str) -> Result<ApplicationSpec, ParseApplicationSpecError> {
        let raw: RawApplicationSpec =
            serde_json::from_str(text).map_err(ParseApplicationSpecError::Json)?;
        ApplicationSpec::try_from(raw)
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let raw = RawApplicationSpec {
            name: self.name.clone(),
            argv: self.argv.clone(),
            fit_memory: self.fit_memory,
            env: self.env.clone(),
            cwd: self.cwd.clone(),
            uid: self.uid,
            gid: self.gid,
            ports: self.ports.clone(),
            volumes: self.volumes.clone(),
            restart: self.restart,
            stop_grace_ms: Some(u64::try_from(self.stop_grace.as_millis()).unwrap_or(u64::MAX)),
        };
        let mut text =
            serde_json::to_string_pretty(&raw).expect("strings and numbers always serialise");
        text.push('\n');
        text
    }
}

impl TryFrom<RawApplicationSpec> for ApplicationSpec {
    type Error = ParseApplicationSpecError;

    fn try_from(raw: RawApplicationSpec) -> Result<ApplicationSpec, ParseApplicationSpecError> {
        let program = raw
            .argv
            .first()
            .ok_or(ParseApplicationSpecError::NoProgram)?;
        check_path("the program", program)?;
        check_path("cwd", &raw.cwd)?;
        for volume in &raw.volumes {
            check_path("the volume", &volume.path)?;
            if let VolumeSource::Disk(device) = &volume.source {
                check_disk(device)?;
            }
        }
        program::check_args(&raw.argv)
            .and_then(|()| program::check_env(&raw.env))
            .map_err(ParseApplicationSpecError::Program)?;
        if raw.uid == 0 || raw.gid == 0 {
            return Err(ParseApplicationSpecError::Root);
        }
        let stop_grace = raw
            .stop_grace_ms
            .map_or(DEFAULT_STOP_GRACE, Duration::from_millis);
        if stop_grace > MAX_STOP_GRACE {
            return Err(ParseApplicationSpecError::StopGrace {
                given_ms: raw.stop_grace_ms.unwrap_or_default(),
            });
        }
        Ok(ApplicationSpec {
            name: raw.name,
            argv: raw.argv,
            fit_memory: raw.fit_memory,
            env: raw.env,
            cwd: raw.cwd,
            uid: raw.uid,
            gid: raw.gid,
            ports: raw.ports,
            volumes: raw.volumes,
            restart: raw.restart,
            stop_grace,
        })
    }
}

/// What is known of a partition only its disk's table says, and images of ours have none.
fn check_disk(device: &str) -> Result<(), ParseApplicationSpecError> {
    device
        .parse::<DeviceSpec>()
        .map(drop)
        .map_err(|source| ParseApplicationSpecError::Disk {
            device: device.to_owned(),
            source,
        })
}

fn check_path(place: &'static str, path: &str) -> Result<(), ParseApplicationSpecError> {
    let leaves = path.split('/').any(|part| part == "..");
    if !path.starts_with('/') || leaves {
        return Err(ParseApplicationSpecError::Path {
            place,
            path: path.to_owned(),
        });
    }
    program::check_text(&format!("{place} {path:?}"), path)
        .map_err(ParseApplicationSpecError::Program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = ApplicationSpec::parse(text).expect_err("the text should be refused");
        match core::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let spec = ApplicationSpec {
            name: "shop".to_owned(),
            argv: vec!["/bin/node".to_owned(), "/app/server.js".to_owned()],
            fit_memory: true,
            env: BTreeMap::from([("NODE_ENV".to_owned(), "production".to_owned())]),
            cwd: FOLDER.to_owned(),
            uid: 1000,
            gid: 100,
            ports: vec![3000],
            volumes: vec![
                Volume {
                    source: VolumeSource::Share("volume0".to_owned()),
                    path: "/data".to_owned(),
                    read_only: true,
                },
                Volume {
                    source: VolumeSource::Disk("/dev/vda".to_owned()),
                    path: "/app/db".to_owned(),
                    read_only: false,
                },
            ],
            restart: Restart::OnFailure,
            stop_grace: Duration::from_millis(1500),
        };
        assert_eq!(ApplicationSpec::parse(&spec.to_json()).unwrap(), spec);
    }

    #[test]
    fn a_name_and_a_program_are_enough() {
        let spec = ApplicationSpec::parse(r#"{"name": "a", "argv": ["/bin/node"]}"#).unwrap();
        assert_eq!((spec.uid, spec.gid), (DEFAULT_ID, DEFAULT_ID));
        assert_eq!(spec.cwd, FOLDER);
        assert_eq!(spec.restart, Restart::Never);
        assert_eq!(spec.stop_grace, DEFAULT_STOP_GRACE);
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let check = |text: &str, expected: &str| {
            let said = refused(text);
            assert!(said.contains(expected), "{text}: {said}");
        };
        check(r#"{"name": "a", "argv": []}"#, "names no program");
        check(
            r#"{"name": "a", "argv": ["node"]}"#,
            "the program \"node\" does not begin with /",
        );
        check(r#"{"name": "a", "argv": ["/a/../b"]}"#, "has .. in it");
        check(
            r#"{"name": "a", "argv": ["/a"], "uid": 0}"#,
            "cannot be user or group 0",
        );
        check(
            r#"{"name": "a", "argv": ["/a", "b\u0000"]}"#,
            "contains a NUL",
        );
        check(
            r#"{"name": "a", "argv": ["/a"], "volumes": [{"source": {"disk": "vda"}, "path": "/b"}]}"#,
            "there is no disk \"vda\": \"vda\" names no device",
        );
        check(
            r#"{"name": "a", "argv": ["/a"], "port": 1}"#,
            "unknown field `port`",
        );
    }
}
