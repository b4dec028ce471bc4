//! Where the host's own release comes from, for tools of the distribution that are no provider.

use std::path::Path;

use super::ProviderError;
use super::apt::Host;
use super::apt_sources::to_deb822;

/// The host's distribution and its package sources, as its apt has them. Those of others are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSources {
    /// `debian`, `ubuntu`.
    pub distribution: String,
    /// `bookworm`, `noble`.
    pub codename: String,
    /// The text of a `.sources` file (sources.list(5)).
    pub deb822: String,
}

impl HostSources {
    /// For packages of the architecture `arch`, in Debian's words: `amd64`.
    ///
    /// # Errors
    /// [`ProviderError`]: the host says nothing about its release, or its apt has no source of it.
    pub fn read(arch: &str) -> Result<HostSources, ProviderError> {
        let Host {
            distribution,
            codename,
            sources,
        } = Host::read(Path::new("/"))?;
        Ok(HostSources {
            distribution,
            codename,
            deb822: to_deb822(&sources, arch),
        })
    }
}
