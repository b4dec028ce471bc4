//! pip, for wheels of the Python package index.

use std::path::Path;
use std::process::Command;

use super::client::{self, Wanted};
use super::{ProviderError, UsedFile};
use crate::context::Context;
use crate::manifest::{Input, PipWheel};
use crate::tool::{Tool, ToolError};

const CLIENT: &str = "python3 -m pip";
const REMEDY: &str = "install pip: sudo apt-get install python3-pip";

/// Downloads the wheel for the platform it is meant for, whatever this host is. The user's own configuration of pip
/// (index, certificates, proxy) applies.
pub(super) fn fetch(
    ctx: &Context,
    input: &Input,
    wheel: &PipWheel,
    dir: &Path,
) -> Result<Vec<UsedFile>, ProviderError> {
    client::needs("python3", CLIENT, REMEDY)?;
    let scratch = client::scratch(dir)?;
    let mut command = Command::new("python3");
    command.args([
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
    ]);
    // Only the messages that matter: bars are drawn by us.
    command.args([
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
        "--platform",
        &wheel.platform,
        "--dest",
    ]);
    command
        .arg(scratch.path())
        .arg(format!("{}=={}", wheel.package, input.version));
    // pip downloads into a temporary folder first: in the cache, because /tmp may be small and kept in memory.
    command.env("TMPDIR", scratch.path());
    let wanted = Wanted {
        client: "pip",
        package: &wheel.package,
        input,
        suffix: ".whl",
        sha256: &wheel.sha256,
        bytes: wheel.bytes,
    };
    let log = format!("fetch-{}-pip", input.name);
    let tool = Tool::new(command, "python3", &log);
    client::fetch_one(ctx, tool, &wanted, scratch.path(), dir).map_err(|e| match is_missing(&e) {
        true => client::unavailable(CLIENT, REMEDY),
        false => e,
    })
}

/// Python without pip, as Debian has it when only python3 is installed.
fn is_missing(error: &ProviderError) -> bool {
    match error {
        ProviderError::Tool(ToolError::Failed { tail, .. }) => {
            tail.iter().any(|line| line.contains("No module named pip"))
        }
        _ => false,
    }
}
