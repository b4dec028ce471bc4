//! Containers, as podman runs them: with Docker's seccomp profile and capabilities, which are podman's defaults too.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::boot::Scratch;

/// The longest that anything may take, in seconds, for timeout(1).
const DEADLINE: &str = "120";

/// A store of images and containers that is nobody's but the test's.
#[derive(Debug)]
pub struct Podman {
    pub scratch: Scratch,
    /// podman takes no more than 50 characters for the path of what is there only while containers run.
    run: TempDir,
}

impl Podman {
    pub fn new(name: &str) -> anyhow::Result<Podman> {
        Ok(Podman {
            scratch: Scratch::new(name)?,
            run: tempfile::tempdir()?,
        })
    }

    /// A command of podman's.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command
            .args([DEADLINE, "podman", "--root"])
            .arg(self.scratch.dir.join("podman"))
            .arg("--runroot")
            .arg(self.run.path())
            // Neither an overlay in an overlay nor systemd is everywhere. crun knows no hybrid of old and new control groups.
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"])
            .args(["--runtime", "runc"])
            .args(words)
            .stdin(Stdio::null());
        command
    }

    /// A container of the image `image` that runs `words`, without a network. Limits that are higher than those of the
    /// test's own process are not everybody's to give.
    pub fn run(&self, flags: &[&str], image: &str, words: &[&str]) -> Command {
        let mut command = self.command(&["run", "--network", "none"]);
        command
            .args([
                "--ulimit",
                "nofile=1024:1024",
                "--ulimit",
                "nproc=1000:1000",
            ])
            .args(flags)
            .arg(image)
            .args(words);
        command
    }

    /// Takes an image in, and returns its ID. `from` is as in `podman pull`: `oci:FOLDER:latest`, `docker-archive:FILE`.
    pub fn pull(&self, from: &str) -> anyhow::Result<String> {
        let said = succeeded(self.command(&["pull", "--quiet", from]))?;
        let id = said.lines().last().context("podman names the image")?;
        Ok(id.to_owned())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Its folders belong to others where a container has written as somebody else.
        let _ = self.command(&["rm", "--all", "--force"]).output();
        let _ = self.command(&["rmi", "--all", "--force"]).output();
    }
}

/// What a command says on standard output. That it fails is an error, with what it says on the other one.
pub fn succeeded(mut command: Command) -> anyhow::Result<String> {
    let output = output_of(&mut command)?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What a command ends with.
pub fn output_of(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output();
    output.with_context(|| format!("{command:?}: bin/install-dependencies --test installs it"))
}

/// The layers of an image in a layout, by their digests.
pub fn layers(layout: &Path) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new("skopeo");
    command
        .arg("inspect")
        .arg(format!("oci:{}:latest", layout.display()));
    let said: serde_json::Value = serde_json::from_str(&succeeded(command)?)?;
    let layers = said["Layers"].as_array().context("there are layers")?;
    let digest = |layer: &serde_json::Value| layer.as_str().map(str::to_owned);
    layers
        .iter()
        .map(|layer| digest(layer).context("a layer is a digest"))
        .collect()
}
