//! The registry that npm in a machine installs from: the real one, through QEMU's user-mode network.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;

use crate::people::Site;

/// Where Node.js on the host finds certificate authorities beyond its own. Behind a proxy that opens TLS, a machine needs
/// the same ones.
const BUNDLE: &str = "NODE_EXTRA_CA_CERTS";
/// Where the machine has them.
const BUNDLE_IN_MACHINE: &str = "/etc/registry-ca.pem";

/// A site from whose home `nodeos` npm reaches the registry, with homes as `change` leaves them.
pub fn site(name: &str, change: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<Site> {
    Site::with_homes(name, |homes| {
        change(homes)?;
        trust(&homes.join("nodeos"))
    })
}

/// Lets Node.js of this home trust what the host's does. Most hosts need nothing of the kind.
fn trust(home: &Path) -> anyhow::Result<()> {
    let Some(bundle) = std::env::var_os(BUNDLE) else {
        return Ok(());
    };
    let copy = home.join(BUNDLE_IN_MACHINE.trim_start_matches('/'));
    fs::copy(&bundle, copy).with_context(|| format!("{BUNDLE} names {}", bundle.display()))?;
    let mut profile = OpenOptions::new()
        .create(true)
        .append(true)
        .open(home.join(".profile"))?;
    writeln!(profile, "export {BUNDLE}={BUNDLE_IN_MACHINE}")?;
    Ok(())
}
