//! Scenarios of the boot tests: each does one thing to the machine and says on the console what came of it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, mount as mount_filesystem};

/// How long PID 1 may take to reap what was left to it.
const REAP_DEADLINE: Duration = Duration::from_secs(20);

/// Leaves `count` ended processes to PID 1, and reports how many of them nobody has reaped in the end.
pub fn orphans(count: &str, out: &mut dyn Write) -> io::Result<()> {
    let count: u32 = count.parse().map_err(io::Error::other)?;
    let program = std::env::current_exe()?;
    for _ in 0..count {
        Command::new(&program)
            .arg("orphan-maker")
            .stdin(Stdio::null())
            .status()?;
    }
    let deadline = Instant::now() + REAP_DEADLINE;
    let mut left = others()?;
    while !left.is_empty() && Instant::now() < deadline {
        std::thread::yield_now();
        left = others()?;
    }
    let zombies = left.iter().filter(|process| process.state == 'Z').count();
    writeln!(
        out,
        "orphans made: {count}, processes left: {}, zombies: {zombies}",
        left.len()
    )
}

/// Starts a process and does not wait for it.
pub fn make_orphan() -> io::Result<()> {
    Command::new(std::env::current_exe()?)
        .arg("orphan")
        .stdin(Stdio::null())
        .spawn()
        .map(drop)
}

/// Mounts a tmpfs at `path` and leaves it there.
pub fn mount(path: &str, out: &mut dyn Write) -> io::Result<()> {
    fs::create_dir_all(path)?;
    mount_filesystem("tmpfs", path, "tmpfs", MountFlags::empty(), None)?;
    writeln!(out, "mounted {path:?}")
}

/// What PID 1 has given its program: parent, session, terminal, blocked and ignored signals.
pub fn status(out: &mut dyn Write) -> io::Result<()> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat_fields(&stat);
    let field = |index: usize| fields.get(index).copied().unwrap_or("?");
    let own = std::process::id().to_string();
    writeln!(out, "ppid: {}", field(1))?;
    writeln!(out, "leads its session: {}", field(3) == own)?;
    writeln!(out, "has a terminal: {}", field(4) != "0")?;
    for line in fs::read_to_string("/proc/self/status")?.lines() {
        if line.starts_with("SigBlk") || line.starts_with("SigIgn") {
            writeln!(out, "{}", line.replace('\t', " "))?;
        }
    }
    Ok(())
}

/// Runs a program as an ordinary user with this id in its place, without any group more; returns only if that fails.
pub fn become_user(id: &str, program: &str, arguments: &[&str]) -> io::Error {
    match id.parse() {
        Ok(id) => Command::new(program).args(arguments).uid(id).gid(id).exec(),
        Err(error) => io::Error::other(error),
    }
}

struct Process {
    state: char,
}

/// Every process of user space but PID 1 and this one.
fn others() -> io::Result<Vec<Process>> {
    let own = std::process::id();
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end between the listing and the reading.
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else {
            continue;
        };
        let fields = stat_fields(&stat);
        let parent = fields.get(1).copied().unwrap_or_default();
        // Kernel threads are children of kthreadd, PID 2.
        if id == 1 || id == own || id == 2 || parent == "2" {
            continue;
        }
        let state = fields
            .first()
            .and_then(|state| state.chars().next())
            .unwrap_or('?');
        processes.push(Process { state });
    }
    Ok(processes)
}

/// The fields of proc_pid_stat(5) after the name, which may contain anything: state ppid pgrp session tty_nr ...
fn stat_fields(stat: &str) -> Vec<&str> {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().collect()
}
