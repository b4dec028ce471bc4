//! Administrator mode: root at the console, with every file on the machine and nobody else there.

mod commands;

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode};

use nodeos_sandbox::log::Log;
use nodeos_spec::boot::LIBC;
use nodeos_spec::cmdline;
use nodeos_sys::fork::fork;
use nodeos_sys::{namespaces, signals};
use rustix::mount::{self, MountFlags, MountPropagationFlags};
use rustix::process::{WaitOptions, waitpid};

use crate::partition::Users;
use crate::paths;
use crate::users::User;

const BANNER: &str = "
*******************************************************************************
* Administrator mode: you are root, everybody's files are in /home, and nobody *
* else's session runs. `exit` powers the machine off.                         *
*******************************************************************************

";

/// Who says what is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orders {
    /// Whoever sits at the console.
    Shell,
    /// The host.
    Host,
}

/// Runs a shell, or the host's commands, until there are no more; the machine stops then, as nothing is left on it.
pub(crate) fn run(users: &[User], state: Users, orders: Orders, log: &mut Log) -> ExitCode {
    if orders == Orders::Shell {
        log.banner(BANNER);
    }
    if !users.iter().any(User::is_root) {
        log.say("there is no folder root on the users partition");
    }
    if state == Users::ReadOnly {
        log.say("the users partition is read-only");
    }
    // As in every session: the names of users, who translates names. A shell without them is better than none.
    let _ = symlink(paths::SYSTEM, "/run/system");
    let shell = fork(|| {
        let prepared = signals::unblock_all()
            .and_then(|()| namespaces::leave_mounts())
            .and_then(|()| {
                let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
                mount::mount_change("/", private)
            })
            .and_then(|()| {
                let home = Path::new("/home");
                mount::mount_bind(paths::USERS, home)?;
                let flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV;
                mount::mount_remount(home, flags, c"")
            });
        if let Err(errno) = prepared {
            log.say(&format!(
                "the users partition is at {}, and not at /home: {}",
                paths::USERS,
                nodeos_sys::error::OsError(errno)
            ));
        }
        match orders {
            Orders::Shell => shell(log),
            Orders::Host => commands::serve(log),
        }
    });
    let ended = shell.and_then(|pid| waitpid(Some(pid), WaitOptions::empty()));
    match ended {
        Ok(_) => ExitCode::SUCCESS,
        Err(errno) => {
            log.say(&format!(
                "cannot run a shell: {}",
                nodeos_sys::error::OsError(errno)
            ));
            ExitCode::FAILURE
        }
    }
}

/// The shell, else the prompt of Node.js. Returns only when neither can be started.
fn shell(log: &mut Log) -> i32 {
    use std::os::unix::process::CommandExt;
    let repl = "require('repl').start('Administrator mode> ')";
    let programs: [(&str, Vec<OsString>); 2] = [
        (paths::SHELL, vec!["-l".into()]),
        (paths::NODE, vec!["-e".into(), repl.into()]),
    ];
    for (path, args) in programs {
        let mut command = Command::new(path);
        command.args(args);
        environment(&mut command);
        let error = command.exec();
        log.say(&format!("cannot start {path}: {error}"));
    }
    1
}

/// What root's programs begin with.
fn environment(command: &mut Command) {
    let inherited = ["TERM", LIBC, cmdline::AUTHORITIES];
    let kept: Vec<(&str, OsString)> = inherited
        .into_iter()
        .filter_map(|name| std::env::var_os(name).map(|value| (name, value)))
        .collect();
    command
        .env_clear()
        .envs([
            ("HOME", "/home/root"),
            ("USER", "root"),
            ("LOGNAME", "root"),
            ("SHELL", paths::SHELL),
            ("PATH", paths::PATH),
            ("LANG", "C.UTF-8"),
            ("TERM", "linux"),
        ])
        .envs(kept)
        .current_dir("/home");
}
