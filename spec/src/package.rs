//! The section `"nodeos"` of a `package.json`: how an application wants to run.
//!
//! What is typed on the command line goes over it. Whether the files it names are there is for the builder to find out.

pub mod port;
pub mod section;
pub mod volume;

mod nearest;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::program;
use crate::service::Restart;
use crate::size::parse_bytes;

use port::{ParsePortError, PublishedPort};
use section::Section;
use volume::VolumeOrder;

/// The file that the section stands in.
pub const FILE: &str = "package.json";

/// The section's name.
pub const SECTION: &str = "nodeos";

/// Every key of the section, in the order in which people should read about them.
pub const KEYS: [&str; 15] = [
    "entry",
    "args",
    "nodeArgs",
    "env",
    "memory",
    "cpus",
    "ports",
    "volumes",
    "libc",
    "nodeVersion",
    "restart",
    "include",
    "exclude",
    "compileCache",
    "optimize",
];

/// Below this Linux alone does not start (measured: 36 MiB boots, 32 MiB does not).
const MIN_MEMORY_MIB: u64 = 36;

/// 1 TiB: more is a slip of the finger.
const MAX_MEMORY_MIB: u64 = 1 << 20;

/// As many as QEMU's machine takes without further devices.
const MAX_CPUS: u64 = 255;

/// A validated section. What it leaves out is none, or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The file that Node.js runs, below the project's folder, without `./`.
    pub entry: Option<String>,
    /// Arguments of the application.
    pub args: Vec<String>,
    /// Arguments of Node.js, before the entry.
    pub node_args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub memory_mib: Option<u32>,
    pub cpus: Option<u32>,
    pub ports: Vec<PublishedPort>,
    pub volumes: Vec<VolumeOrder>,
    pub libc: LibcChoice,
    /// A range of versions as npm has it, not looked at yet.
    pub node_version: Option<String>,
    pub restart: Restart,
    /// Files to take in that npm would not publish, in the language of `.gitignore`.
    pub include: Vec<String>,
    /// Files to leave out, in the same language.
    pub exclude: Vec<String>,
    /// Whether a first start is tried when the image is made, so that later ones find its scripts compiled.
    pub compile_cache: CompileCache,
    /// Whether the application is bundled into one file when the image is made.
    pub optimize: Optimize,
}

/// Whether compiled scripts go with the application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CompileCache {
    #[default]
    On,
    Off,
}

/// Whether the application and what it imports become one file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Optimize {
    On,
    #[default]
    Off,
}

/// Which C library Node.js is to have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LibcChoice {
    /// musl, unless a native add-on runs with glibc only.
    #[default]
    Auto,
    Musl,
    Glibc,
}

impl Default for Package {
    fn default() -> Package {
        Package {
            entry: None,
            args: Vec::new(),
            node_args: Vec::new(),
            env: BTreeMap::new(),
            memory_mib: None,
            cpus: None,
            ports: Vec::new(),
            volumes: Vec::new(),
            libc: LibcChoice::Auto,
            node_version: None,
            restart: Restart::Never,
            include: Vec::new(),
            exclude: Vec::new(),
            compile_cache: CompileCache::On,
            optimize: Optimize::Off,
        }
    }
}

/// Why a section cannot be followed. Every message names the file and the key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParsePackageError {
    #[error("{FILE}: \"{SECTION}\" is {found} instead of an object")]
    NotAnObject { found: &'static str },
    #[error("{FILE}: \"{SECTION}\" has an unknown key {key:?}{}", meant(.nearest))]
    UnknownKey {
        key: String,
        nearest: Option<&'static str>,
    },
    #[error("{FILE}: \"{SECTION}.{key}\" {reason}")]
    Value { key: String, reason: String },
}

fn meant(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!(": did you mean {name:?}?"))
}

impl ParsePackageError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ParsePackageError::UnknownKey { .. } => Some(format!("it knows {}", KEYS.join(", "))),
            ParsePackageError::NotAnObject { .. } | ParsePackageError::Value { .. } => None,
        }
    }
}

impl Package {
    /// The section of a whole `package.json`; where it has none, what holds without one.
    ///
    /// # Errors
    /// [`ParsePackageError`].
    pub fn of(package_json: &Map<String, Value>) -> Result<Package, ParsePackageError> {
        package_json
            .get(SECTION)
            .map_or_else(|| Ok(Package::default()), Package::parse)
    }

    /// The section itself.
    ///
    /// # Errors
    /// [`ParsePackageError`].
    pub fn parse(section: &Value) -> Result<Package, ParsePackageError> {
        let section = Section::of(section)?;
        let absent = Package::default();
        Ok(Package {
            entry: section.checked("entry", entry)?,
            args: section.texts("args")?,
            node_args: section.texts("nodeArgs")?,
            env: section.checked("env", env)?.unwrap_or_default(),
            memory_mib: section.checked("memory", memory)?,
            cpus: section.checked("cpus", cpus)?,
            ports: section.each("ports", port)?,
            volumes: section.each("volumes", volume)?,
            libc: section.choice("libc", "auto, musl or glibc")?,
            node_version: section.text("nodeVersion")?,
            restart: match section.has("restart") {
                true => section.choice("restart", "always, on-failure or never")?,
                false => absent.restart,
            },
            include: section.texts("include")?,
            exclude: section.texts("exclude")?,
            compile_cache: section
                .checked("compileCache", compile_cache)?
                .unwrap_or_default(),
            optimize: section.checked("optimize", optimize)?.unwrap_or_default(),
        })
    }
}

/// A path below the project's folder, without `./`.
fn entry(value: &Value) -> Result<String, String> {
    let text = section::text(value)?;
    relative(&text)
        .ok_or_else(|| format!("is {text:?}, which is no file below the project's folder"))
}

/// A path that stays below where it begins, without `.` in it. None for all others.
pub fn relative(text: &str) -> Option<String> {
    if text.starts_with('/') || text.contains('\0') {
        return None;
    }
    let mut names = Vec::new();
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            name => names.push(name),
        }
    }
    (!names.is_empty()).then(|| names.join("/"))
}

fn env(value: &Value) -> Result<BTreeMap<String, String>, String> {
    let object = value
        .as_object()
        .ok_or_else(|| format!("is {} instead of an object", section::kind(value)))?;
    let mut env = BTreeMap::new();
    for (name, value) in object {
        // An environment has texts only, and people write "PORT": 3000.
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            other => {
                return Err(format!(
                    "has {} for {name} instead of a text",
                    section::kind(other)
                ));
            }
        };
        env.insert(name.clone(), text);
    }
    program::check_env(&env).map_err(|error| format!("cannot be an environment: {error}"))?;
    Ok(env)
}

fn memory(value: &Value) -> Result<u32, String> {
    let mib = match value {
        Value::Number(number) => number.as_u64(),
        // As on the command line: a number alone is MiB.
        Value::String(text) => text
            .parse()
            .ok()
            .or_else(|| parse_bytes(text).map(|bytes| bytes >> 20)),
        _ => None,
    };
    let mib = mib.ok_or_else(|| {
        format!("is {value}: expected a number of MiB, or a text such as \"256M\" or \"1G\"")
    })?;
    if mib < MIN_MEMORY_MIB {
        return Err(format!(
            "is {value}, which is too little: the kernel needs at least {MIN_MEMORY_MIB} MiB"
        ));
    }
    u32::try_from(mib)
        .ok()
        .filter(|mib| u64::from(*mib) <= MAX_MEMORY_MIB)
        .ok_or_else(|| {
            format!(
                "is {value}, which is more than {} GiB",
                MAX_MEMORY_MIB >> 10
            )
        })
}

fn cpus(value: &Value) -> Result<u32, String> {
    value
        .as_u64()
        .filter(|cpus| (1..=MAX_CPUS).contains(cpus))
        .and_then(|cpus| u32::try_from(cpus).ok())
        .ok_or_else(|| format!("is {value}: expected a number from 1 to {MAX_CPUS}"))
}

fn compile_cache(value: &Value) -> Result<CompileCache, String> {
    match truth(value)? {
        true => Ok(CompileCache::On),
        false => Ok(CompileCache::Off),
    }
}

fn optimize(value: &Value) -> Result<Optimize, String> {
    match truth(value)? {
        true => Ok(Optimize::On),
        false => Ok(Optimize::Off),
    }
}

fn truth(value: &Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| format!("is {value}: expected true or false"))
}

fn port(value: &Value) -> Result<PublishedPort, String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        other => section::text(other)?,
    };
    text.parse()
        .map_err(|error: ParsePortError| format!("has {text:?}: {error}"))
}

fn volume(value: &Value) -> Result<VolumeOrder, String> {
    let text = section::text(value)?;
    text.parse()
        .map_err(|error: volume::ParseVolumeError| format!("has {text:?}: {error}"))
}

impl fmt::Display for LibcChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LibcChoice::Auto => "auto",
            LibcChoice::Musl => "musl",
            LibcChoice::Glibc => "glibc",
        })
    }
}

impl core::str::FromStr for LibcChoice {
    type Err = ParsePackageError;

    fn from_str(text: &str) -> Result<LibcChoice, ParsePackageError> {
        let value = Value::String(text.to_owned());
        section::choice(&value, "auto, musl or glibc").map_err(|reason| ParsePackageError::Value {
            key: "libc".to_owned(),
            reason,
        })
    }
}

#[cfg(test)]
mod tests;
