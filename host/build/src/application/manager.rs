//! Who installs the dependencies: the package manager whose lock file the project has, and how it is asked to.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{PrepareApplicationError, project};
use crate::node::host::{HostNode, npm, search_path};
use crate::recipe::{Arch, Libc};
use crate::tool::find_program;

/// npm's lock files, the one that counts first.
const NPM_LOCKS: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];
const PNPM_LOCK: &str = "pnpm-lock.yaml";
const YARN_LOCK: &str = "yarn.lock";
/// In every lock file of Yarn 2 and newer, and in none of Yarn 1.
const YARN_2: &str = "__metadata:";

/// The versions of pnpm that are told on the command line what to install for. Older ones read it in package.json, and
/// newer ones do not.
const PNPM_TAKES_TARGET: &str = ">=10.14";

/// A package manager, and its lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    Npm { lock: Option<&'static str> },
    Pnpm,
    Yarn1,
    Yarn2,
}

pub(super) fn has_lock(folder: &Path) -> bool {
    locks().any(|lock| folder.join(lock).exists())
}

pub(super) fn is_lock(name: &OsStr) -> bool {
    locks().any(|lock| name == lock)
}

fn locks() -> impl Iterator<Item = &'static str> {
    NPM_LOCKS.into_iter().chain([PNPM_LOCK, YARN_LOCK])
}

/// The manager of the project in this folder.
pub(super) fn of(folder: &Path) -> Result<Manager, PrepareApplicationError> {
    let there = |lock: &&str| folder.join(lock).exists();
    if let Some(lock) = NPM_LOCKS.into_iter().find(there) {
        return Ok(Manager::Npm { lock: Some(lock) });
    }
    if there(&PNPM_LOCK) {
        return Ok(Manager::Pnpm);
    }
    let path = folder.join(YARN_LOCK);
    if !path.exists() {
        return Ok(Manager::Npm { lock: None });
    }
    let text = fs::read_to_string(&path)
        .map_err(|source| PrepareApplicationError::Read { path, source })?;
    Ok(match text.contains(YARN_2) {
        true => Manager::Yarn2,
        false => Manager::Yarn1,
    })
}

impl Manager {
    /// The command's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Manager::Npm { .. } => "npm",
            Manager::Pnpm => "pnpm",
            Manager::Yarn1 | Manager::Yarn2 => "yarn",
        }
    }

    /// Files and folders beside package.json that it reads, where they are there.
    pub(super) fn inputs(self) -> Vec<&'static str> {
        match self {
            Manager::Npm { lock } => [".npmrc"].into_iter().chain(lock).collect(),
            Manager::Pnpm => vec![
                ".npmrc",
                PNPM_LOCK,
                project::PNPM_WORKSPACES,
                ".pnpmfile.cjs",
            ],
            Manager::Yarn1 => vec![".npmrc", ".yarnrc", YARN_LOCK],
            Manager::Yarn2 => vec![
                ".npmrc",
                ".yarnrc.yml",
                YARN_LOCK,
                ".yarn/releases",
                ".yarn/plugins",
                ".yarn/patches",
            ],
        }
    }

    /// A manager that is not npm has to be on the host.
    pub(super) fn must_be_there(self) -> Result<(), PrepareApplicationError> {
        let lock = match self {
            Manager::Npm { .. } => return Ok(()),
            Manager::Pnpm => PNPM_LOCK,
            Manager::Yarn1 | Manager::Yarn2 => YARN_LOCK,
        };
        let manager = self.name();
        match find_program(manager) {
            Some(_) => Ok(()),
            None => Err(PrepareApplicationError::NoManager { manager, lock }),
        }
    }

    /// The manager's version, as a command that prints it. None for npm, which comes with Node.js.
    pub(super) fn version(self, node: &HostNode) -> Option<Command> {
        if let Manager::Npm { .. } = self {
            return None;
        }
        let mut command = Command::new(self.name());
        command.arg("--version").env("PATH", search_path(node));
        Some(command)
    }

    /// What has to be said before the installation in `folder`, where the manager cannot be told with it: Yarn 2 reads what to
    /// install for in its settings, and `folder` has a copy of them.
    pub(super) fn settings(self, node: &HostNode, arch: Arch, folder: &Path) -> Option<Command> {
        if self != Manager::Yarn2 {
            return None;
        }
        let target = json!({
            "os": ["linux"],
            "cpu": [cpu(arch)],
            "libc": [node.libc.as_str()],
        });
        let mut command = Command::new(self.name());
        command
            .args(["config", "set", "--json", "supportedArchitectures"])
            .arg(target.to_string())
            .env("PATH", search_path(node))
            .current_dir(folder);
        Some(command)
    }

    /// Installs what production needs, for the machine, into `folder`, which has a copy of [`Manager::inputs`]. `version`
    /// is what the command of [`Manager::version`] has said.
    pub(super) fn install(
        self,
        node: &HostNode,
        arch: Arch,
        version: &str,
        folder: &Path,
    ) -> Command {
        let cpu = cpu(arch);
        let libc = node.libc.as_str();
        let target = [
            "--os=linux".to_owned(),
            format!("--cpu={cpu}"),
            format!("--libc={libc}"),
        ];
        let mut command = match self {
            Manager::Npm { lock } => {
                let mut command = npm(node);
                match lock {
                    Some(_) => command.arg("ci"),
                    None => command.args(["install", "--no-package-lock"]),
                };
                command.arg("--omit=dev").args(target);
                command
            }
            Manager::Pnpm => {
                let mut command = Command::new("pnpm");
                command
                    .args(["install", "--prod", "--frozen-lockfile"])
                    // Links into a store elsewhere would lead nowhere in the machine.
                    .arg("--config.enable-global-virtual-store=false");
                if project::contains(PNPM_TAKES_TARGET, version) == Some(true) {
                    command.args(target);
                }
                command
            }
            Manager::Yarn1 => {
                let mut command = Command::new("yarn");
                command.args([
                    "install",
                    "--production",
                    "--frozen-lockfile",
                    "--non-interactive",
                ]);
                command
            }
            Manager::Yarn2 => {
                let mut command = Command::new("yarn");
                command
                    .args(["workspaces", "focus", "--all", "--production"])
                    .env("YARN_NODE_LINKER", "node-modules")
                    .env("YARN_ENABLE_SCRIPTS", "true");
                command
            }
        };
        environment(&mut command, node, arch);
        command.current_dir(folder);
        command
    }
}

/// What install scripts look at to find or build the right thing. All else in the environment is the user's.
fn environment(command: &mut Command, node: &HostNode, arch: Arch) {
    let libc = node.libc.as_str();
    command
        .env("PATH", search_path(node))
        // prebuild-install's word.
        .env("npm_config_libc", libc)
        .env("npm_config_os", "linux")
        .env("npm_config_cpu", cpu(arch))
        // node-gyp-build's word.
        .env("LIBC", libc);
    if let Some(headers) = &node.headers {
        // node-gyp's word: without it, it would fetch them, or take those of the host's Node.js.
        command.env("npm_config_nodedir", headers);
    }
    if node.libc == Libc::Musl {
        // The host's headers would be those of another Node.js.
        command.env_remove("npm_config_nodedir");
    }
}

/// What Node.js calls the processor.
pub(super) fn cpu(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x64",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_says_who_installs() {
        let check = |files: &[(&str, &str)], expected: Manager| {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in files {
                fs::write(dir.path().join(name), text).unwrap();
            }
            assert_eq!(of(dir.path()).unwrap(), expected, "{files:?}");
            assert_eq!(has_lock(dir.path()), !files.is_empty());
        };
        let npm = |lock| Manager::Npm { lock };
        check(&[], npm(None));
        check(
            &[("package-lock.json", "{}"), (YARN_LOCK, "")],
            npm(Some("package-lock.json")),
        );
        check(
            &[("package-lock.json", "{}"), ("npm-shrinkwrap.json", "{}")],
            npm(Some("npm-shrinkwrap.json")),
        );
        check(&[(PNPM_LOCK, "")], Manager::Pnpm);
        check(&[(YARN_LOCK, "# yarn lockfile v1\n")], Manager::Yarn1);
        check(
            &[(YARN_LOCK, "__metadata:\n  version: 8\n")],
            Manager::Yarn2,
        );
    }
}
