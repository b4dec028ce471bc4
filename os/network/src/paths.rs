//! Where the service's files are, all below one folder: `/`, or that of a test.

use std::path::{Path, PathBuf};

/// The files that the service reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Read: the configuration.
    pub config: PathBuf,
    /// Read and written: what is lent, over restarts.
    pub leases: PathBuf,
    /// Written, for every session: name servers and the machine's name.
    pub resolv: PathBuf,
    pub hostname: PathBuf,
    /// Written, for `network --status`.
    pub status: PathBuf,
}

impl Paths {
    pub fn below(root: &Path) -> Paths {
        Paths {
            config: root.join("etc/network.json"),
            leases: root.join("var/network/leases.json"),
            resolv: root.join("run/system/resolv.conf"),
            hostname: root.join("run/system/hostname"),
            status: root.join("run/network/status.json"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_where_spec_says() {
        let paths = Paths::below(Path::new("/"));
        assert_eq!(paths.config, Path::new(nodeos_spec::network::PATH));
    }
}
