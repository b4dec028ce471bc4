//! `ps`, `pgrep` and `pkill`: what `/proc` says of processes. There is no kept library for these.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use lexopt::{Arg, ValueExt as _};
use rustix::process::{Pid, Signal, kill_process};

use crate::complain;

const PS_HELP: &str = "\
Usage: ps [-e] [-f] [-p PID,...] [-o FIELD,...]

Shows processes: yours on this terminal, or all (-e, -A, a, x). -f (or u) shows more of each.
Fields: pid ppid user uid stat tty time rss vsz comm args
";
const PGREP_HELP: &str = "\
Usage: pgrep [-flvx] [-u USER] PATTERN
       pkill [-SIGNAL] [-fvx] [-u USER] PATTERN

Finds processes by name, or by their whole command line (-f). -x wants the whole name, -u only this user's, -l shows
names. pkill sends a signal, TERM by default.
";
const USAGE_FAILED: i32 = 2;
/// `pgrep` found nothing.
const NOTHING: i32 = 1;
const SHORT: &str = "pid,tty,time,comm";
const FULL: &str = "user,pid,ppid,stat,rss,tty,time,args";

#[derive(Debug)]
struct Process {
    pid: i32,
    ppid: i32,
    uid: u32,
    state: char,
    /// Major and minor number of the terminal; 0 for none.
    tty: u32,
    /// Processor time in ticks of the kernel.
    ticks: u64,
    /// In KiB.
    vsz: u64,
    rss: u64,
    comm: String,
    args: String,
}

/// Why a command line is not understood.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error("{0}")]
    Syntax(#[from] lexopt::Error),
    #[error("there is no field {0}")]
    Field(String),
    #[error("there is no signal {0}")]
    Signal(String),
    #[error("the pattern is not understood")]
    Pattern,
}

/// All processes that can be seen; one that ends meanwhile is left out.
fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut processes: Vec<Process> = pids.filter_map(read).collect();
    processes.sort_by_key(|process| process.pid);
    processes
}

fn read(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let uid = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let args = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    parse(&stat, &args, uid)
}

/// The fields of `/proc/PID/stat`; the name stands in brackets and may hold brackets itself.
/// <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
fn parse(stat: &str, args: &[u8], uid: u32) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (comm, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
    };
    let page = rustix::param::page_size() as u64;
    let args: Vec<_> = args
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    let args = args.join(" ").trim_end().to_owned();
    Some(Process {
        pid: pid.parse().ok()?,
        ppid: fields.get(1)?.parse().ok()?,
        uid,
        state: fields.first()?.chars().next()?,
        tty: u32::try_from(number(4).unwrap_or(0)).unwrap_or(0),
        ticks: number(11)? + number(12)?,
        vsz: number(20)? / 1024,
        rss: number(21)? * page / 1024,
        // A thread of the kernel has no command line.
        args: if args.is_empty() {
            format!("[{comm}]")
        } else {
            args
        },
        comm: comm.to_owned(),
    })
}

/// Names of users, without the C library.
fn users() -> BTreeMap<u32, String> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let users = text.lines().filter_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?.to_owned();
        Some((parts.nth(1)?.parse().ok()?, name))
    });
    users.collect()
}

impl Process {
    fn field(&self, name: &str, users: &BTreeMap<u32, String>) -> Option<String> {
        Some(match name {
            "pid" => self.pid.to_string(),
            "ppid" => self.ppid.to_string(),
            "uid" => self.uid.to_string(),
            "user" => users
                .get(&self.uid)
                .cloned()
                .unwrap_or_else(|| self.uid.to_string()),
            "stat" | "state" | "s" => self.state.to_string(),
            "tty" | "tt" => terminal(self.tty),
            "time" => {
                let seconds = self.ticks / rustix::param::clock_ticks_per_second();
                format!(
                    "{:02}:{:02}:{:02}",
                    seconds / 3600,
                    seconds / 60 % 60,
                    seconds % 60
                )
            }
            "rss" => self.rss.to_string(),
            "vsz" => self.vsz.to_string(),
            "comm" => self.comm.clone(),
            "args" | "cmd" | "command" => self.args.clone(),
            _ => return None,
        })
    }
}

/// <https://www.kernel.org/doc/Documentation/admin-guide/devices.txt>
fn terminal(tty: u32) -> String {
    let minor = tty & 0xff | tty >> 12 & 0xfff00;
    match tty >> 8 & 0xfff {
        0 => "?".to_owned(),
        4 if minor < 64 => format!("tty{minor}"),
        4 => format!("ttyS{}", minor - 64),
        5 => "console".to_owned(),
        136..=143 => format!("pts/{minor}"),
        229 => format!("hvc{minor}"),
        major => format!("{major}:{minor}"),
    }
}

pub(crate) fn ps(args: Vec<OsString>) -> i32 {
    match list(args) {
        Ok(code) => code,
        Err(error) => complain(&format!("ps: {error}"), USAGE_FAILED),
    }
}

fn list(mut args: Vec<OsString>) -> Result<i32, UsageError> {
    args.remove(0);
    // BSD's way: `ps aux`.
    for arg in &mut args {
        let is_letters = |text: &str| !text.is_empty() && text.chars().all(|c| "axuef".contains(c));
        if arg.to_str().is_some_and(is_letters) {
            *arg = format!("-{}", arg.to_string_lossy()).into();
        }
    }
    let (mut everybody, mut fields, mut pids) = (false, SHORT.to_owned(), Vec::new());
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('e' | 'A' | 'a' | 'x') => everybody = true,
            Arg::Short('f' | 'u' | 'l') => fields = FULL.to_owned(),
            Arg::Short('o') => fields = parser.value()?.string()?,
            Arg::Short('p') => {
                for pid in parser.value()?.string()?.split(',') {
                    pids.push(
                        pid.parse::<i32>()
                            .map_err(|_| UsageError::Field(pid.to_owned()))?,
                    );
                }
            }
            Arg::Long("help") => {
                let _ = io::stdout().write_all(PS_HELP.as_bytes());
                return Ok(0);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let own = read(rustix::process::getpid().as_raw_nonzero().get());
    let is_shown = |process: &Process| match &own {
        _ if !pids.is_empty() => pids.contains(&process.pid),
        _ if everybody => true,
        Some(own) => process.uid == own.uid && process.tty == own.tty,
        None => true,
    };
    let processes: Vec<Process> = all().into_iter().filter(is_shown).collect();
    let users = users();
    let mut rows = vec![
        fields
            .split(',')
            .map(str::to_uppercase)
            .collect::<Vec<String>>(),
    ];
    for process in &processes {
        let row = fields.split(',').map(|name| {
            process
                .field(name, &users)
                .ok_or_else(|| UsageError::Field(name.to_owned()))
        });
        rows.push(row.collect::<Result<_, _>>()?);
    }
    // A closed pipe is the reader's wish.
    let _ = io::stdout().write_all(table(&rows).as_bytes());
    Ok(if processes.is_empty() { NOTHING } else { 0 })
}

/// Rows in columns; numbers stand to the right.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let is_number = |column: usize| {
        rows.iter()
            .skip(1)
            .all(|row| row[column].parse::<u64>().is_ok())
    };
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column).unwrap_or(0);
            if is_number(column) {
                line.push_str(&format!("{cell:>width$} "));
            } else if column + 1 < columns {
                line.push_str(&format!("{cell:<width$} "));
            } else {
                line.push_str(cell);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

pub(crate) fn pgrep(args: Vec<OsString>) -> i32 {
    search(args, None).unwrap_or_else(|error| complain(&format!("pgrep: {error}"), USAGE_FAILED))
}

pub(crate) fn pkill(mut args: Vec<OsString>) -> i32 {
    let mut signal = Signal::TERM;
    if let Some(name) = args.get(1).and_then(|arg| arg.to_str()?.strip_prefix('-'))
        && let Some(number) = uucore::signals::signal_by_name_or_value(name)
    {
        let number = i32::try_from(number).ok();
        match number.and_then(Signal::from_named_raw) {
            Some(found) => signal = found,
            None => {
                let error = UsageError::Signal(name.to_owned());
                return complain(&format!("pkill: {error}"), USAGE_FAILED);
            }
        }
        args.remove(1);
    }
    search(args, Some(signal))
        .unwrap_or_else(|error| complain(&format!("pkill: {error}"), USAGE_FAILED))
}

fn search(mut args: Vec<OsString>, signal: Option<Signal>) -> Result<i32, UsageError> {
    args.remove(0);
    let (mut full, mut exact, mut invert, mut names) = (false, false, false, false);
    let (mut user, mut pattern) = (None, String::new());
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('f') => full = true,
            Arg::Short('x') => exact = true,
            Arg::Short('v') => invert = true,
            Arg::Short('l' | 'a') => names = true,
            Arg::Short('u') => user = Some(parser.value()?.string()?),
            Arg::Long("help") => {
                let _ = io::stdout().write_all(PGREP_HELP.as_bytes());
                return Ok(0);
            }
            Arg::Value(value) => pattern = value.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    if exact {
        pattern = format!("^(?:{pattern})$");
    }
    let pattern = regex::Regex::new(&pattern).map_err(|_| UsageError::Pattern)?;
    let users = users();
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let mut code = NOTHING;
    for process in all().into_iter().filter(|process| process.pid != own) {
        let name = if full { &process.args } else { &process.comm };
        let is_theirs = user.as_ref().is_none_or(|user| {
            users.get(&process.uid) == Some(user) || process.uid.to_string() == *user
        });
        if !is_theirs || pattern.is_match(name) == invert {
            continue;
        }
        code = 0;
        let Some(signal) = signal else {
            let shown = if names {
                format!(" {name}")
            } else {
                String::new()
            };
            // A closed pipe is the reader's wish.
            let _ = writeln!(io::stdout(), "{}{shown}", process.pid);
            continue;
        };
        let pid = Pid::from_raw(process.pid);
        if let Some(Err(error)) = pid.map(|pid| kill_process(pid, signal))
            && error != rustix::io::Errno::SRCH
        {
            code = complain(&format!("pkill: cannot signal {}: {error}", process.pid), 1);
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_read_to_its_last_one() {
        let stat = "7 (a) b) S 1 7 7 34816 7 0 0 0 0 0 250 50 0 0 20 0 1 0 9 2048 3 0";
        let process = parse(stat, b"a\0-x\0", 5).unwrap();
        assert_eq!(
            (process.pid, process.ppid, process.comm.as_str()),
            (7, 1, "a) b")
        );
        assert_eq!(
            (process.ticks, process.vsz, process.args.as_str()),
            (300, 2, "a -x")
        );
        assert_eq!(terminal(process.tty), "pts/0");
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let row = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        let rows = [
            row(&["PID", "COMM"]),
            row(&["7", "a"]),
            row(&["1234", "b c"]),
        ];
        assert_eq!(table(&rows), " PID COMM\n   7 a\n1234 b c\n");
    }
}
