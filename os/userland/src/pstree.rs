//! `pstree`: the processes as a tree of parents and children.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use lexopt::Arg;
use thiserror::Error;

use crate::applet::{Call, DONE, Stop};

const PROC: &str = "/proc";

pub(crate) const HELP: &str = "\
Usage: pstree [OPTION]... [PID]

Shows the processes as a tree. In a session these are its own: nobody sees those of others. With a PID it shows that process
and what came from it.

Options:
  -a      Show arguments
  -p      Show the numbers of the processes
  --help  Show this
";

#[derive(Debug, Error)]
enum PstreeError {
    #[error("cannot read {PROC}")]
    Read(#[source] io::Error),
    #[error("there is no process {pid}")]
    Missing { pid: i32 },
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    name: String,
    /// Empty where the process has none, as one that has ended.
    args: Vec<String>,
}

/// What is shown of each.
#[derive(Debug, Clone, Copy, Default)]
struct Details {
    args: bool,
    pids: bool,
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut parser = call.parser();
    let mut details = Details::default();
    let mut root = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") => return Err(Stop::Help),
            Arg::Short('a') => details.args = true,
            Arg::Short('p') => details.pids = true,
            Arg::Value(value) if root.is_none() => {
                let pid = value.to_str().and_then(|text| text.parse().ok());
                root = Some(pid.ok_or_else(|| Stop::word("number of a process", value))?);
            }
            Arg::Value(extra) => return Err(Stop::extra(extra)),
            option => return Err(option.unexpected().into()),
        }
    }
    let processes =
        read(Path::new(PROC)).map_err(|error| Stop::failed(PstreeError::Read(error)))?;
    if let Some(pid) = root
        && !processes.iter().any(|process| process.pid == pid)
    {
        return Err(Stop::failed(PstreeError::Missing { pid }));
    }
    write!(call.out, "{}", tree(&processes, root, details))?;
    Ok(DONE)
}

/// All processes that there are, in the order of their numbers.
fn read(proc: &Path) -> io::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir(proc)? {
        let path = entry?.path();
        let is_process = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit));
        // Who has ended meanwhile is none any more.
        if let (true, Ok(stat)) = (is_process, fs::read(path.join("stat"))) {
            let args = fs::read(path.join("cmdline")).unwrap_or_default();
            processes.extend(parse(&String::from_utf8_lossy(&stat), &args));
        }
    }
    processes.sort_by_key(|process| process.pid);
    Ok(processes)
}

/// The files `stat` and `cmdline` of a process: proc_pid_stat(5), proc_pid_cmdline(5).
fn parse(stat: &str, cmdline: &[u8]) -> Option<Process> {
    // A name may have anything in it, parentheses too, but after it there are only numbers.
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let parent = rest.split(' ').nth(1)?;
    let args = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    let args = if args.is_empty() {
        Vec::new()
    } else {
        let args = args.split(|byte| *byte == 0);
        args.skip(1)
            .map(|arg| plain(&String::from_utf8_lossy(arg)))
            .collect()
    };
    Some(Process {
        pid: pid.parse().ok()?,
        parent: parent.parse().ok()?,
        name: plain(name),
        args,
    })
}

fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// The lines of the tree that begins with a process, or of all trees.
fn tree(processes: &[Process], root: Option<i32>, details: Details) -> String {
    let is_there = |pid: i32| processes.iter().any(|process| process.pid == pid);
    let mut children: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    let mut roots = Vec::new();
    for process in processes {
        // What was started from outside of this PID namespace has no parent in it.
        let is_root = root.map_or(!is_there(process.parent), |root| process.pid == root);
        if is_root {
            roots.push(process);
        }
        if process.parent != process.pid {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let mut text = String::new();
    for process in roots {
        text.push_str(&label(process, details));
        text.push('\n');
        branch(&children, process.pid, "", details, &mut text);
    }
    text
}

fn branch(
    children: &BTreeMap<i32, Vec<&Process>>,
    parent: i32,
    indent: &str,
    details: Details,
    text: &mut String,
) {
    let Some((last, others)) = children.get(&parent).and_then(|list| list.split_last()) else {
        return;
    };
    let lines = others.iter().map(|child| (child, "├─ ", "│  "));
    for (child, line, below) in lines.chain([(last, "└─ ", "   ")]) {
        text.push_str(&format!("{indent}{line}{}\n", label(child, details)));
        branch(
            children,
            child.pid,
            &format!("{indent}{below}"),
            details,
            text,
        );
    }
}

fn label(process: &Process, details: Details) -> String {
    let mut label = process.name.clone();
    if details.pids {
        label.push_str(&format!("({})", process.pid));
    }
    if details.args {
        for arg in &process.args {
            label.push(' ');
            label.push_str(arg);
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applet::try_run;

    fn process(pid: i32, parent: i32, name: &str, args: &[&str]) -> Process {
        Process {
            pid,
            parent,
            name: name.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        }
    }

    fn session() -> Vec<Process> {
        vec![
            process(1, 0, "palmtree", &[]),
            process(5, 1, "node", &["/hello/index.js"]),
            process(6, 1, "getty", &[]),
            process(9, 5, "sh", &["-c", "ls"]),
            process(12, 0, "nsh", &[]),
            process(14, 12, "pstree", &["-a"]),
        ]
    }

    #[test]
    fn children_stand_below_their_parents() {
        let expected = "\
palmtree
├─ node
│  └─ sh
└─ getty
nsh
└─ pstree
";
        assert_eq!(tree(&session(), None, Details::default()), expected);
    }

    #[test]
    fn numbers_and_arguments_are_shown_if_asked_for() {
        let details = Details {
            args: true,
            pids: true,
        };
        let expected = "node(5) /hello/index.js\n└─ sh(9) -c ls\n";
        assert_eq!(tree(&session(), Some(5), details), expected);
    }

    #[test]
    fn names_may_be_anything() {
        let check = |stat: &str, cmdline: &[u8], expected: Option<Process>| {
            assert_eq!(parse(stat, cmdline), expected, "{stat}");
        };
        check(
            "7 (node) S 1 7 7",
            b"node\0a b\0\0",
            Some(process(7, 1, "node", &["a b", ""])),
        );
        check(
            "7 (a) S 9 (b)) Z 1 7",
            b"",
            Some(process(7, 1, "a) S 9 (b)", &[])),
        );
        check(
            "7 (\x1b[2J) S 1 7",
            b"x\0",
            Some(process(7, 1, "?[2J", &[])),
        );
        check("7 (node)", b"", None);
        check("", b"", None);
    }

    #[test]
    fn this_very_process_is_shown() {
        let pid = std::process::id().to_string();
        let (code, out, _) = try_run(&["pstree", "-p", &pid]);
        assert_eq!(code, 0);
        assert!(out.contains(&format!("({pid})\n")), "{out}");
        let (code, _, err) = try_run(&["pstree", "2147483647"]);
        assert_eq!(
            (code, err.as_str()),
            (1, "error: there is no process 2147483647\n")
        );
    }
}
