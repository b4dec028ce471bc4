//! npm, for packages of its registry.

use std::path::Path;
use std::process::Command;

use super::client::{self, Wanted};
use super::{ProviderError, UsedFile};
use crate::context::Context;
use crate::manifest::{Input, NpmPackage};
use crate::tool::Tool;

/// Downloads the package's tarball. The user's own configuration of npm (registry, certificates, proxy) applies.
pub(super) fn fetch(
    ctx: &Context,
    input: &Input,
    package: &NpmPackage,
    dir: &Path,
) -> Result<Vec<UsedFile>, ProviderError> {
    client::needs("npm", "npm", "install npm: sudo apt-get install npm")?;
    let scratch = client::scratch(dir)?;
    let mut command = Command::new("npm");
    command
        .arg("pack")
        .arg(format!("{}@{}", package.package, input.version));
    // Without the level, npm writes a line for each of thousands of files.
    command
        .args([
            "--loglevel=error",
            "--no-update-notifier",
            "--no-progress",
            "--pack-destination",
        ])
        .arg(scratch.path());
    command.arg("--cache").arg(scratch.path().join("npm-cache"));
    // npm takes a package.json in its working folder into account.
    command.current_dir(scratch.path());
    let wanted = Wanted {
        client: "npm",
        package: &package.package,
        input,
        suffix: ".tgz",
        sha256: &package.sha256,
        bytes: package.bytes,
    };
    let log = format!("fetch-{}-npm", input.name);
    let tool = Tool::new(command, "npm", &log);
    client::fetch_one(ctx, tool, &wanted, scratch.path(), dir)
}
