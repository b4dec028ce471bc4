//! The registry that npm in a machine installs from: the real one, through QEMU's user-mode network.

use std::path::{Path, PathBuf};

use nodeos_spec::cmdline::AUTHORITIES;

use crate::people::Site;

/// A site from which npm reaches the registry, with homes as `change` leaves them. Where the host's Node.js trusts more than
/// its own authorities, because a proxy opens TLS, the machine's does.
pub fn site(name: &str, change: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<Site> {
    let mut site = Site::with_homes(name, change)?;
    site.machine.authorities = std::env::var_os(AUTHORITIES).map(PathBuf::from);
    Ok(site)
}
