//! The host as the checks see it: which programs are in `PATH`, and what they answer.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::fs::{Access, access};

/// Where programs are looked for.
#[derive(Debug, Clone)]
pub struct Host {
    /// The value of `PATH`.
    pub path: OsString,
}

impl Host {
    /// This process's host.
    pub fn of_process() -> Host {
        Host {
            path: std::env::var_os("PATH").unwrap_or_default(),
        }
    }

    /// The first executable file of that name in `PATH`.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        // An empty PATH means the current folder to some shells; what lies there by chance is no tool of ours.
        std::env::split_paths(&self.path)
            .filter(|folder| !folder.as_os_str().is_empty())
            .map(|folder| folder.join(program))
            .find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
    }

    /// The first line that a program prints when run so; none where it is missing, fails or says nothing.
    pub fn first_line<S: AsRef<OsStr>>(&self, program: &str, arguments: &[S]) -> Option<String> {
        let output = self
            .command(program)?
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().next()?.trim().to_owned();
        (output.status.success() && !line.is_empty()).then_some(line)
    }

    /// Whether a program, given a text on its standard input, succeeds.
    pub fn accepts(&self, program: &str, arguments: &[&str], input: &str) -> bool {
        let Some(mut command) = self.command(program) else {
            return false;
        };
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else {
            return false;
        };
        // A compiler that reads nothing has failed, which its status says.
        let _ = child
            .stdin
            .take()
            .map(|mut stdin| stdin.write_all(input.as_bytes()));
        child.wait().is_ok_and(|status| status.success())
    }

    fn command(&self, program: &str) -> Option<Command> {
        Some(Command::new(self.find(program)?))
    }
}

/// The advice that installs packages on the distributions that the build knows.
pub fn install(packages: &str) -> String {
    format!("sudo apt-get install {packages}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn programs_are_executable_files_in_the_path() {
        let scratch = tempfile::tempdir().unwrap();
        let program = |name: &str, mode: u32| {
            let file = scratch.path().join(name);
            fs::write(&file, "#!/bin/sh\nread line\necho \"$1 $line\"\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        };
        program("tool", 0o755);
        program("notes", 0o644);
        fs::create_dir(scratch.path().join("folder")).unwrap();
        let host = Host {
            path: scratch.path().into(),
        };
        assert_eq!(host.find("tool"), Some(scratch.path().join("tool")));
        for name in ["notes", "folder", "absent"] {
            assert_eq!(host.find(name), None, "{name}");
        }
        assert_eq!(
            host.first_line("tool", &["--version"]).as_deref(),
            Some("--version")
        );
        assert!(host.accepts("tool", &[], "text"));
        assert!(!host.accepts("absent", &[], "text"));
    }

    #[test]
    fn an_empty_path_has_no_programs() {
        assert_eq!(
            Host {
                path: OsString::new()
            }
            .find("sh"),
            None
        );
    }
}
