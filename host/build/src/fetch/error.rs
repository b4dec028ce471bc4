//! Why an input could not be fetched.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::cache::CacheError;
use crate::tool::ToolError;

/// An input could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The manifest has no such input.
    #[error("the manifest has no input {name}")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The cache could not be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No provider worked.
    #[error("cannot fetch {name} {version}: no provider worked{}", listed(.failures))]
    AllFailed {
        /// The input.
        name: String,
        /// Its version.
        version: String,
        /// Each provider and its reason.
        failures: Vec<(String, ProviderError)>,
    },
    /// The cache's record of what was used cannot be read.
    #[error("the cache does not say what {name} was fetched from")]
    Record {
        /// The input.
        name: String,
    },
    /// The user wanted to stop.
    #[error("fetching {name} was cancelled")]
    Cancelled {
        /// The input.
        name: String,
    },
    /// The input could not be written: no provider would change that.
    #[error("cannot write {name}")]
    Write {
        /// The input.
        name: String,
        /// Why.
        #[source]
        source: Box<ProviderError>,
    },
}

/// A provider did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Its client is not installed.
    #[error("{client} is not available here")]
    Unavailable {
        /// The client.
        client: String,
        /// What to do about it.
        remedy: String,
    },
    /// Its client failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A sum is not the right one.
    #[error("wrong checksum of {file} for {input}: expected SHA-256 {expected}, found {found}")]
    Sum {
        /// The input.
        input: String,
        /// The file.
        file: String,
        /// What the manifest or the index says.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// The client left no file, or not the one that was asked for.
    #[error("{client} gave no file {wanted}")]
    NoFile {
        /// The client.
        client: String,
        /// What should have come.
        wanted: String,
    },
    /// The distribution's releases have no such package, or only older ones.
    #[error("no release of this distribution has {package}{}", needed(.at_least))]
    NoPackage {
        /// The package.
        package: String,
        /// The oldest version that will do.
        at_least: Option<String>,
    },
    /// The host's apt has no sources of its distribution.
    #[error("apt has no package source for {}", release(.codename))]
    NoSources {
        /// The distribution's release.
        codename: String,
    },
    /// A server did not answer as it should.
    #[error("cannot get {url}: {reason}")]
    Http {
        /// The address.
        url: String,
        /// What came instead.
        reason: String,
    },
    /// A file of the host could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The cache could not be used.
    #[error(transparent)]
    Cache(CacheError),
    /// A file could not be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The user wanted to stop.
    #[error("cancelled")]
    Cancelled,
}

impl FetchError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            FetchError::Cache(error) => error.hint(),
            FetchError::AllFailed { failures, .. } => {
                let first = failures.iter().find_map(|(_, error)| error.hint());
                Some(first.unwrap_or_else(|| {
                    "see whether this computer reaches the network, and try again".to_owned()
                }))
            }
            FetchError::Write { source, .. } => source.hint(),
            FetchError::Unknown { .. }
            | FetchError::Record { .. }
            | FetchError::Cancelled { .. } => None,
        }
    }

    /// Whether this is the user's own wish to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            FetchError::Cancelled { .. } => true,
            FetchError::Cache(error) => error.is_cancelled(),
            _ => false,
        }
    }
}

impl ProviderError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ProviderError::Unavailable { remedy, .. } => Some(remedy.clone()),
            ProviderError::Tool(error) => error.hint(),
            ProviderError::Cache(error) => error.hint(),
            _ => None,
        }
    }

    /// Whether this is the user's own wish to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            ProviderError::Cancelled => true,
            ProviderError::Tool(error) => error.is_cancelled(),
            ProviderError::Cache(error) => error.is_cancelled(),
            _ => false,
        }
    }
}

/// How apt-get, pip and npm begin the lines that say what is wrong. The first of them says why, the others what follows.
const COMPLAINTS: [&str; 3] = ["E: ", "ERROR: ", "npm error "];

/// A provider's error and its causes in one sentence: of a tool's output, only the line that says most.
pub(super) fn summary(error: &ProviderError) -> String {
    match error {
        ProviderError::Tool(ToolError::Failed {
            program,
            status,
            log,
            tail,
        }) => {
            let complains = |line: &&String| COMPLAINTS.iter().any(|start| line.starts_with(start));
            let first = tail.iter().find(complains);
            let line = first.or_else(|| tail.iter().rfind(|line| !line.trim().is_empty()));
            let line = line
                .map(|line| format!(": {}", line.trim()))
                .unwrap_or_default();
            format!(
                "{program} failed with {status}{line} (see {})",
                log.display()
            )
        }
        error => in_one_line(error),
    }
}

/// An error and its causes in one sentence.
pub(super) fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn listed(failures: &[(String, ProviderError)]) -> String {
    failures
        .iter()
        .map(|(provider, error)| format!("\n    {provider}: {}", summary(error)))
        .collect()
}

fn release(codename: &str) -> &str {
    match codename {
        "" => "this distribution's release",
        codename => codename,
    }
}

fn needed(at_least: &Option<String>) -> String {
    at_least
        .as_ref()
        .map(|version| format!(" {version} or newer"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn of_a_tool_s_output_the_line_that_says_why_is_shown() {
        let check = |tail: &[&str], expected: &str| {
            let error = ProviderError::Tool(ToolError::Failed {
                program: "apt-get".to_owned(),
                status: ExitStatus::from_raw(100 << 8),
                log: PathBuf::from("/log"),
                tail: tail.iter().map(|line| line.to_string()).collect(),
            });
            let text = format!("apt-get failed with exit status: 100{expected} (see /log)");
            assert_eq!(summary(&error), text);
        };
        check(
            &[
                "Err:1 host",
                "E: Failed to fetch x",
                "E: Some index files failed",
                "Reading...",
            ],
            ": E: Failed to fetch x",
        );
        check(
            &["npm notice", "npm error code ENOTFOUND", "npm error x"],
            ": npm error code ENOTFOUND",
        );
        check(&["something", "else ", ""], ": else");
        check(&[], "");
    }
}
