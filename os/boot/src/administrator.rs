//! Administrator mode: root at the console, with every file on the machine and nobody else there.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use nodeos_sys::fork::fork;
use nodeos_sys::{namespaces, signals};
use rustix::mount::{self, MountFlags, MountPropagationFlags};
use rustix::process::{WaitOptions, waitpid};

use crate::log::Log;
use crate::partition::Users;
use crate::paths;
use crate::users::User;

const BANNER: &str = "
*******************************************************************************
* Administrator mode: you are root, everybody's files are in /home, and nobody *
* else's session runs. `exit` powers the machine off.                         *
*******************************************************************************

";

/// Runs a shell until it ends; the machine stops then, as nothing is left on it.
pub(crate) fn run(users: &[User], state: Users, log: &mut Log) -> ExitCode {
    log.banner(BANNER);
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
        shell(log)
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
        let error = std::process::Command::new(path)
            .args(args)
            .env_clear()
            .envs([
                ("HOME", "/home/root"),
                ("USER", "root"),
                ("LOGNAME", "root"),
                ("SHELL", paths::SHELL),
                ("PATH", paths::PATH),
                ("LANG", "C.UTF-8"),
            ])
            .env("TERM", std::env::var_os("TERM").unwrap_or("linux".into()))
            .current_dir("/home")
            .exec();
        log.say(&format!("cannot start {path}: {error}"));
    }
    1
}
