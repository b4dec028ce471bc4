//! The processes that are there, as /proc shows them, and reaping those that have ended.

use alloc::string::String;
use alloc::vec::Vec;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::{self, Errno};
use rustix::process::{self, Pid, Signal, WaitOptions, WaitStatus};

use crate::files;

const PROC: &core::ffi::CStr = c"/proc";
const PROC_SELF: &core::ffi::CStr = c"/proc/self";

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    /// The first 15 bytes of its program's name, or what it calls itself.
    pub name: String,
    /// The letter of [`proc_pid_stat(5)`](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html); `Z` has ended.
    pub state: u8,
    pub parent: i32,
}

/// What [`reap`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Children,
    Nobody,
}

/// Which processes a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything but PID 1, which is the caller.
    Everything,
    /// The children of the caller and theirs: all that an `init` which is not PID 1 may touch.
    Descendants,
}

/// Takes away every child that has ended, and tells of each.
pub(crate) fn reap(mut ended: impl FnMut(Pid, WaitStatus)) -> Left {
    loop {
        match process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => ended(pid, status),
            Ok(None) => return Left::Children,
            Err(Errno::INTR) => {}
            // ECHILD; there is no other.
            Err(_) => return Left::Nobody,
        }
    }
}

/// Sends a signal to everybody in the scope. Who has ended meanwhile needs none.
pub(crate) fn signal(scope: Scope, signal: Signal) {
    match scope {
        Scope::Everything => {
            let _ = nodeos_sys::signals::send_to_all(signal);
        }
        Scope::Descendants => {
            for pid in alive()
                .iter()
                .filter_map(|process| Pid::from_raw(process.pid))
            {
                let _ = process::kill_process(pid, signal);
            }
        }
    }
}

/// The processes of either scope that have not ended, by ascending PID; none when /proc cannot be read. Everything but the
/// kernel's threads descends from PID 1, so both scopes are the caller's descendants.
pub(crate) fn alive() -> Vec<Process> {
    let mut found = descendants(
        &list().unwrap_or_default(),
        process::getpid().as_raw_nonzero().get(),
    );
    found.retain(|process| process.state != b'Z');
    found
}

/// Those of `processes` that descend from `ancestor`, in the order given.
pub fn descendants(processes: &[Process], ancestor: i32) -> Vec<Process> {
    let mut known = Vec::from([ancestor]);
    // A child may stand before its parent, since PIDs begin again at the end; each round finds at least one generation.
    loop {
        let before = known.len();
        for process in processes {
            if known.contains(&process.parent) && !known.contains(&process.pid) {
                known.push(process.pid);
            }
        }
        if known.len() == before {
            break;
        }
    }
    processes
        .iter()
        .filter(|process| process.pid != ancestor && known.contains(&process.pid))
        .cloned()
        .collect()
}

/// Reads one `/proc/PID/stat`. The name stands in parentheses and may contain any character, those included.
pub fn parse_stat(text: &[u8]) -> Option<Process> {
    let open = text.iter().position(|&byte| byte == b'(')?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let number = |bytes: &[u8]| core::str::from_utf8(bytes).ok()?.trim().parse().ok();
    let mut fields = text
        .get(close + 1..)?
        .split(|&byte| byte == b' ')
        .filter(|field| !field.is_empty());
    Some(Process {
        pid: number(text.get(..open)?)?,
        name: String::from_utf8_lossy(text.get(open + 1..close)?).into_owned(),
        state: *fields.next()?.first()?,
        parent: number(fields.next()?)?,
    })
}

fn list() -> io::Result<Vec<Process>> {
    // In a PID namespace whose maker left the /proc of another one in place, the numbers there are other processes'.
    let shown = fs::readlink(PROC_SELF, Vec::new())?;
    if shown.to_str().ok().and_then(|pid| pid.parse().ok())
        != Some(process::getpid().as_raw_nonzero().get())
    {
        return Err(Errno::SRCH);
    }
    let proc = fs::open(
        PROC,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut processes = Vec::new();
    for entry in fs::Dir::new(proc)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !name.iter().all(u8::is_ascii_digit) {
            continue;
        }
        let path =
            alloc::ffi::CString::new([b"/proc/", name, b"/stat"].concat()).unwrap_or_default();
        // Whoever cannot be read has ended since.
        processes.extend(files::read(&path).ok().and_then(|text| parse_stat(&text)));
    }
    processes.sort_by_key(|process| process.pid);
    Ok(processes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_process_is_read_whatever_its_name() {
        let check = |text: &str, name: &str| {
            let expected = Process {
                pid: 57,
                name: name.to_owned(),
                state: b'S',
                parent: 1,
            };
            assert_eq!(parse_stat(text.as_bytes()), Some(expected), "{text}");
        };
        check("57 (node) S 1 57 57 34816 57 4194304", "node");
        check("57 (a) Z 9 (b) c) S 1 57 57", "a) Z 9 (b) c");
        check("57 () S 1", "");
    }

    #[test]
    fn what_is_no_such_line_is_nobody() {
        for garbage in [
            "",
            "57",
            "57 (",
            "57 )node( S 1",
            "57 (node)",
            "57 (node) S",
            "x (node) S 1",
            "57 (node) S y",
        ] {
            assert_eq!(parse_stat(garbage.as_bytes()), None, "{garbage}");
        }
    }

    #[test]
    fn descendants_are_found_through_every_generation_in_any_order() {
        let process = |pid, parent| Process {
            pid,
            name: String::new(),
            state: b'S',
            parent,
        };
        let processes = [
            process(1, 0),
            process(2, 90),
            process(30, 2),
            process(40, 1),
            process(90, 50),
            process(50, 1),
        ];
        let check = |ancestor, expected: &[i32]| {
            let found: Vec<_> = descendants(&processes, ancestor)
                .iter()
                .map(|process| process.pid)
                .collect();
            assert_eq!(found, expected, "of {ancestor}");
        };
        check(1, &[2, 30, 40, 90, 50]);
        check(50, &[2, 30, 90]);
        check(40, &[]);
        check(7, &[]);
    }
}
