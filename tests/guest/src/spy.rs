//! In the place of `/sbin/init`: becomes `boot`, and leaves a process behind that says who else runs on the machine.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};

/// What is started here in the end.
const BOOT: &str = "/sbin/boot";
/// How long the system may take until everything runs.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// Starts the watcher, and becomes `boot`: returns only if that fails.
pub fn become_boot() -> io::Error {
    let watcher = std::env::current_exe().and_then(|own| Command::new(own).arg("watch").spawn());
    match watcher {
        Ok(_) => Command::new(BOOT).exec(),
        Err(error) => error,
    }
}

/// Waits until a process runs whose command line is each of `awaited`, and lists every process then, each as
/// `process: COMMAND uid=... caps=...`, kernel threads and itself left out.
pub fn watch(awaited: &[&str], out: &mut dyn Write) -> io::Result<()> {
    // Whoever gives up the console hangs up on those who have it, too.
    rustix::process::setsid()?;
    let end = Instant::now() + DEADLINE;
    loop {
        let processes = processes()?;
        let runs = |name: &&str| processes.iter().any(|line| line.contains(*name));
        let is_late = Instant::now() >= end;
        if awaited.iter().all(runs) || is_late {
            for line in processes {
                writeln!(out, "process: {line}\r")?;
            }
            writeln!(out, "processes: {}\r", if is_late { "late" } else { "all" })?;
            return Ok(());
        }
        let mut nothing: [PollFd<'_>; 0] = [];
        poll(&mut nothing, Some(&PAUSE))?;
    }
}

fn processes() -> io::Result<BTreeSet<String>> {
    let own = std::process::id().to_string();
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name == own || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // A process may end between the listing and the reading.
        let (Ok(command), Ok(status)) = (
            fs::read(format!("/proc/{name}/cmdline")),
            fs::read_to_string(format!("/proc/{name}/status")),
        ) else {
            continue;
        };
        // Kernel threads have none.
        if command.is_empty() {
            continue;
        }
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let field = |name: &str| {
            let found = status.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap_or("?").trim().replace('\t', " ")
        };
        found.insert(format!(
            "{}: uid={} permitted={} bounding={} nnp={} seccomp={}",
            command.trim_end(),
            field("Uid:"),
            field("CapPrm:"),
            field("CapBnd:"),
            field("NoNewPrivs:"),
            field("Seccomp:"),
        ));
    }
    Ok(found)
}
