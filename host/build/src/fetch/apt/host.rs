//! What the host says about itself: its distribution, release and package sources.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fetch::ProviderError;
use crate::fetch::apt_sources::{AptSource, from_deb822, from_one_line, of_release};

const OS_RELEASE: &str = "etc/os-release";
const SOURCES_LIST: &str = "etc/apt/sources.list";
const SOURCES_PARTS: &str = "etc/apt/sources.list.d";

/// The host as far as apt cares.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::fetch) struct Host {
    /// `debian`, `ubuntu`.
    pub(in crate::fetch) distribution: String,
    /// `bookworm`, `noble`.
    pub(in crate::fetch) codename: String,
    /// The sources of that release.
    pub(in crate::fetch) sources: Vec<AptSource>,
}

impl Host {
    /// The host whose root folder this is.
    pub(in crate::fetch) fn read(root: &Path) -> Result<Host, ProviderError> {
        let os_release = root.join(OS_RELEASE);
        let text = fs::read_to_string(&os_release).map_err(|source| ProviderError::Read {
            path: os_release,
            source,
        })?;
        let distribution = os_release_value(&text, "ID").unwrap_or_default();
        let codename = os_release_value(&text, "VERSION_CODENAME").unwrap_or_default();
        let mut sources = Vec::new();
        for path in source_files(root) {
            let text = fs::read_to_string(&path).map_err(|source| ProviderError::Read {
                path: path.clone(),
                source,
            })?;
            match path
                .extension()
                .is_some_and(|extension| extension == "sources")
            {
                true => sources.extend(from_deb822(&text)),
                false => sources.extend(from_one_line(&text)),
            }
        }
        let sources = of_release(&sources, &distribution, &codename);
        match codename.is_empty() || sources.is_empty() {
            true => Err(ProviderError::NoSources { codename }),
            false => Ok(Host {
                distribution,
                codename,
                sources,
            }),
        }
    }
}

/// The files that apt reads, in its order.
fn source_files(root: &Path) -> Vec<PathBuf> {
    let parts = fs::read_dir(root.join(SOURCES_PARTS))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let is_source = |path: &PathBuf| {
        path.extension()
            .is_some_and(|e| e == "list" || e == "sources")
    };
    let mut parts: Vec<PathBuf> = parts.filter(is_source).collect();
    parts.sort();
    let list = root.join(SOURCES_LIST);
    list.exists()
        .then_some(list)
        .into_iter()
        .chain(parts)
        .collect()
}

/// A value of os-release(5), which quotes as a shell does.
fn os_release_value(text: &str, key: &str) -> Option<String> {
    let value = |line: &str| {
        line.trim()
            .strip_prefix(key)?
            .strip_prefix('=')
            .map(str::to_owned)
    };
    text.lines()
        .find_map(value)
        .map(|value| value.trim_matches(['"', '\'']).to_owned())
}
