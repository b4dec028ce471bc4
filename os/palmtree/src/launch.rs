//! Starting a program: found first, then started in a session of its own.
//!
//! Between palmtree and the program stands this program under another name, which makes the session and unblocks signals:
//! a program that has a terminal of its own, such as getty, can take it only there, and a group can be stopped at once.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use nodeos_sys::signals;
use rustix::fs::Access;
use rustix::process::{self, Pid};
use thiserror::Error;

use crate::paths::Paths;
use crate::streams::Streams;

/// The name by which this program becomes another one. Nobody calls it by hand.
pub(crate) const NAME: &str = "palmtree-start";

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/bin:/sbin:/usr/bin";

/// The codes of env(1) and of shells for a program that is not there, and for one that does not run.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// What is to be started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program<'a> {
    /// A path, or a name to be looked for in `PATH`.
    pub(crate) command: &'a str,
    pub(crate) args: &'a [String],
    /// Over this process's own environment.
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) cwd: Option<&'a str>,
}

/// Why nothing was started.
#[derive(Debug, Error)]
pub(crate) enum LaunchError {
    #[error("cannot find {command} in {path}")]
    NotFound { command: String, path: String },
    #[error("cannot execute {}", path.display())]
    Execute { path: PathBuf, source: io::Error },
    #[error("cannot go to the folder {folder}")]
    Folder { folder: String, source: io::Error },
    #[error("cannot make a process for {}", path.display())]
    Fork { path: PathBuf, source: io::Error },
}

/// Starts it, without input.
pub(crate) fn start(
    paths: &Paths,
    program: Program<'_>,
    stdout: Stdio,
    stderr: Stdio,
) -> Result<Pid, LaunchError> {
    let path = find(program)?;
    let failed = |source| LaunchError::Fork {
        path: path.clone(),
        source,
    };
    let mut command = Command::new(&paths.program);
    command
        .arg0(NAME)
        .arg(&path)
        .arg(program.command)
        .args(program.args);
    command
        .envs(program.env)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr);
    if let Some(folder) = program.cwd {
        check_folder(folder)?;
        command.current_dir(folder);
    }
    // It is waited for with all others, by its number alone.
    let child = command.spawn().map_err(failed)?;
    Ok(Pid::from_child(&child))
}

/// Becomes the program: its file, its own name for itself, and its arguments. Returns when that fails.
pub(crate) fn become_program(
    mut args: impl Iterator<Item = OsString>,
    streams: &mut Streams,
) -> ExitCode {
    let (Some(path), Some(name)) = (args.next(), args.next()) else {
        return ExitCode::from(crate::usage::WRONG_USAGE);
    };
    // Fails for the leader of a session, which then has what it needs.
    let _ = process::setsid();
    // Palmtree reads its signals, and so blocks them. Nobody else expects that.
    let _ = signals::unblock_all();
    let source = Command::new(&path).arg0(name).args(args).exec();
    let code = if source.kind() == io::ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_EXECUTABLE
    };
    streams.error(&LaunchError::Execute {
        path: path.into(),
        source,
    });
    ExitCode::from(code)
}

/// The file that is meant, if it can be executed.
fn find(program: Program<'_>) -> Result<PathBuf, LaunchError> {
    let command = program.command;
    if command.contains('/') {
        let path = Path::new(program.cwd.unwrap_or_default()).join(command);
        return match check(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(LaunchError::Execute { path, source }),
        };
    }
    let inherited = std::env::var_os("PATH");
    let path = program
        .env
        .get("PATH")
        .map(OsStr::new)
        .or(inherited.as_deref())
        .unwrap_or(OsStr::new(DEFAULT_PATH));
    std::env::split_paths(path)
        .map(|folder| folder.join(command))
        .find(|candidate| check(candidate).is_ok())
        .ok_or_else(|| LaunchError::NotFound {
            command: command.to_owned(),
            path: path.to_string_lossy().into_owned(),
        })
}

/// Whether there is a file that may be executed.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(rustix::fs::access(path, Access::EXEC_OK)?)
}

/// Said before the start, because a start fails with the same words for a missing folder and a missing program.
fn check_folder(folder: &str) -> Result<(), LaunchError> {
    let is_folder = fs::metadata(folder).and_then(|meta| {
        if meta.is_dir() {
            Ok(())
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    });
    is_folder.map_err(|source| LaunchError::Folder {
        folder: folder.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::sentence;
    use std::os::unix::fs::PermissionsExt;

    fn found(command: &str, path: &str, cwd: Option<&str>) -> String {
        let env = BTreeMap::from([("PATH".to_owned(), path.to_owned())]);
        let program = Program {
            command,
            args: &[],
            env: &env,
            cwd,
        };
        match find(program) {
            Ok(path) => path.display().to_string(),
            Err(error) => sentence(&error),
        }
    }

    #[test]
    fn programs_are_found_as_a_shell_does() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().to_str().unwrap();
        for (name, mode) in [("a/run", 0o755), ("b/run", 0o755), ("a/plain", 0o644)] {
            let path = scratch.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let check = |command: &str, path: &str, cwd: Option<&str>, expected: &str| {
            let [path, expected] = [path, expected].map(|text| text.replace("DIR", folder));
            let command = command.replace("DIR", folder);
            assert_eq!(found(&command, &path, cwd), expected);
        };
        check("run", "/missing:DIR/b:DIR/a", None, "DIR/b/run");
        check("DIR/a/run", "", None, "DIR/a/run");
        check("a/run", "", Some(folder), "DIR/a/run");
        check(
            "plain",
            "DIR/a:DIR/b",
            None,
            "cannot find plain in DIR/a:DIR/b",
        );
        check("a", "DIR", None, "cannot find a in DIR");
        check(
            "DIR/a/plain",
            "",
            None,
            "cannot execute DIR/a/plain: Permission denied",
        );
        check(
            "DIR/c",
            "",
            None,
            "cannot execute DIR/c: No such file or directory",
        );
    }
}
