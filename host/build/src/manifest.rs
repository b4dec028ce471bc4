//! The manifest of outside inputs, `layers/inputs.toml`: what the build takes from others, and where from.
//!
//! Parses and validates. Fetching is `fetch`.

mod raw;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Where the manifest lies in the checkout.
pub const MANIFEST_FILE: &str = "layers/inputs.toml";

/// All outside inputs, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Name to input: `linux`, `node.musl.x86_64`.
    pub inputs: BTreeMap<String, Input>,
}

/// One thing that the build takes from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Its name in the manifest.
    pub name: String,
    /// What it is, for people.
    pub what: String,
    /// The version or, where the provider replaces its packages, the series.
    pub version: String,
    /// Where it comes from; the first one that works is used.
    pub providers: Vec<Provider>,
}

/// One place that an input may come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Provider {
    /// Packages of the distribution.
    Apt(AptPackages),
    /// A wheel from the Python package index.
    Pip(PipWheel),
    /// A package from the npm registry.
    Npm(NpmPackage),
    /// A file from the host of whoever makes it.
    Url(UrlFile),
}

/// Packages of Debian or Ubuntu. Verified with the sums in apt's signed index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AptPackages {
    /// The packages; all are needed. The first one's version counts.
    pub packages: Vec<String>,
    /// Debian's name of the architecture: `amd64`.
    pub arch: String,
    /// The oldest version of the first package that will do.
    pub at_least: Option<String>,
    /// Releases to look in when the host's own has none or only older ones: distribution (`debian`) to codenames.
    pub newer: BTreeMap<String, Vec<String>>,
}

/// A wheel, pinned exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PipWheel {
    /// The project's name.
    pub package: String,
    /// The platform tag: `musllinux_1_2_x86_64`.
    pub platform: String,
    /// The wheel's sum.
    pub sha256: Sha256Sum,
    /// The wheel's size in bytes.
    pub bytes: u64,
}

/// An npm package, pinned exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NpmPackage {
    /// The package's name.
    pub package: String,
    /// The tarball's sum.
    pub sha256: Sha256Sum,
    /// The tarball's size in bytes.
    pub bytes: u64,
}

/// A file with an address, pinned exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UrlFile {
    /// The address.
    pub url: String,
    /// The version that lies there.
    pub version: String,
    /// The file's sum.
    pub sha256: Sha256Sum,
}

/// A SHA-256 sum: 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Sha256Sum(String);

impl Sha256Sum {
    /// The sum, if the text is one.
    pub fn parse(text: &str) -> Option<Sha256Sum> {
        let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        (text.len() == 64 && text.bytes().all(digit)).then(|| Sha256Sum(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sha256Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Provider::Apt(apt) => write!(f, "apt {}", apt.packages.join(" ")),
            Provider::Pip(pip) => write!(f, "pip {}", pip.package),
            Provider::Npm(npm) => write!(f, "npm {}", npm.package),
            Provider::Url(url) => write!(f, "url {}", url.url),
        }
    }
}

/// The manifest is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ReadManifestError {
    /// It cannot be read.
    #[error("cannot read the manifest {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What it says makes no sense.
    #[error("the manifest {} is wrong", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ParseManifestError,
    },
}

/// The manifest's text is not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ParseManifestError {
    /// It is not TOML, or has other keys than a manifest has.
    #[error("not a manifest of inputs")]
    Syntax(#[source] Box<toml::de::Error>),
    /// Two inputs have one name.
    #[error("input {name} stands there twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// An input has no provider.
    #[error("input {name} has no provider")]
    NoProvider {
        /// The input.
        name: String,
    },
    /// A value is missing or must not be there.
    #[error("input {name}, provider {number}: {problem}")]
    Provider {
        /// The input.
        name: String,
        /// Which of its providers, from 1.
        number: usize,
        /// What is wrong with it.
        problem: ProviderProblem,
    },
    /// An input has no name that could be one.
    #[error("input name is not a name: {name}")]
    Name {
        /// What stands there.
        name: String,
    },
    /// A value of the input itself is empty or not what it should be.
    #[error("input {name}: {problem}")]
    Value {
        /// The input.
        name: String,
        /// What is wrong with it.
        problem: ProviderProblem,
    },
}

/// What is wrong with a provider in the manifest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProviderProblem {
    /// It does not say what it is, or says two things.
    #[error("exactly one of apt, pip, npm and url is needed")]
    Client,
    /// A key is missing.
    #[error("{client} needs {key}")]
    Missing {
        /// The package client.
        client: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A key means nothing there.
    #[error("{client} has no use for {key}")]
    Useless {
        /// The package client.
        client: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A sum is no sum.
    #[error("sha256 is not 64 hexadecimal digits in lower case: {text}")]
    Sum {
        /// What stands there.
        text: String,
    },
    /// A name would be taken for an option or a path, or names something else than intended.
    #[error("{key} is not a name: {text}")]
    Name {
        /// The key.
        key: &'static str,
        /// What stands there.
        text: String,
    },
    /// A value is empty.
    #[error("{key} is empty")]
    Empty {
        /// The key.
        key: &'static str,
    },
    /// An address is neither http nor https.
    #[error("url is not an http or https address: {text}")]
    Address {
        /// What stands there.
        text: String,
    },
}

impl Manifest {
    /// The manifest that is the text.
    ///
    /// # Errors
    /// [`ParseManifestError`].
    pub fn parse(text: &str) -> Result<Manifest, ParseManifestError> {
        raw::parse(text)
    }

    /// The manifest of the checkout `source`.
    ///
    /// # Errors
    /// [`ReadManifestError`].
    pub fn load(source: &Path) -> Result<Manifest, ReadManifestError> {
        let path = source.join(MANIFEST_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                Manifest::parse(&text).map_err(|source| ReadManifestError::Parse { path, source })
            }
            Err(source) => Err(ReadManifestError::Read { path, source }),
        }
    }
}
