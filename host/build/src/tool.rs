//! Runs the tools of others: with a log file, a process group of their own, and an end when the user cancels.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::cache::{WorkDir, is_disk_full};
use crate::context::Context;

/// How often a running tool is looked at: for the user's wish to stop, and to draw progress.
const TICK: Duration = Duration::from_millis(100);
/// How long a tool may take to end by itself when it is asked to.
const GRACE: Duration = Duration::from_secs(3);
/// How long the last output may take to arrive after the tool's end. Only a process that the tool left behind with
/// its output open makes us wait that long.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
/// How many lines of the log an error shows.
const TAIL_LINES: usize = 15;

/// A tool to be run.
#[derive(Debug)]
pub struct Tool<'a> {
    /// Program, arguments, folder and environment. Input, output and process group are set by [`run`].
    pub command: Command,
    /// The Debian package that has the program, for the hint when it is missing.
    pub package: &'a str,
    /// The name of the log file, without `.log`. Two tools that may run at once have different names.
    pub log: &'a str,
    /// The folder in which it works, if that is a work folder of the cache: it stays locked as long as the tool runs,
    /// even when this process is killed.
    pub work: Option<&'a WorkDir>,
}

impl<'a> Tool<'a> {
    /// A tool that works in no folder of the cache.
    pub fn new(command: Command, package: &'a str, log: &'a str) -> Tool<'a> {
        Tool {
            command,
            package,
            log,
            work: None,
        }
    }
}

/// What is told while a tool runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// A line of its output, without the line feed.
    Line(&'a str),
    /// Time has passed (a tenth of a second or so).
    Tick,
}

/// A tool did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not installed.
    #[error("{program} is not installed")]
    Missing {
        /// The program.
        program: String,
        /// The package that has it.
        package: String,
    },
    /// It could not be started.
    #[error("cannot run {program}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended with a failure.
    #[error("{program} failed with {status}\nits last lines (all of them are in {}):\n{}", .log.display(), indented(.tail))]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// All that it wrote.
        log: PathBuf,
        /// The last lines of that.
        tail: Vec<String>,
    },
    /// Its log could not be written.
    #[error("cannot write the log file {}", .path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The user wanted to stop; it was ended.
    #[error("{program} was cancelled")]
    Cancelled {
        /// The program.
        program: String,
    },
}

impl ToolError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ToolError::Missing { package, .. } => {
                Some(format!("install it: sudo apt-get install {package}"))
            }
            ToolError::Failed { .. } | ToolError::Log { .. } if is_disk_full(self) => {
                Some("free some space; `nodeos cache clean --all` empties the cache".to_owned())
            }
            _ => None,
        }
    }

    /// Whether this is the user's own wish to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, ToolError::Cancelled { .. })
    }
}

/// Where `program` is on the `PATH`; itself when it is a path already.
pub fn find_program(program: &str) -> Option<PathBuf> {
    find_program_in(program, std::env::var_os("PATH").as_deref())
}

fn find_program_in(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |file: &Path| {
        fs::metadata(file)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|file| runs(file));
    }
    std::env::split_paths(path?)
        .map(|dir| dir.join(program))
        .find(|file| runs(file))
}

/// Runs the tool to its end and returns its log file. What it writes goes to the log, and line by line to `watch`;
/// standard output and error are one stream, so that their order is kept. It has no input. When the user cancels, its
/// whole process group is ended.
///
/// # Errors
/// [`ToolError`].
pub fn run(
    ctx: &Context,
    tool: Tool<'_>,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<PathBuf, ToolError> {
    run_with(ctx, tool, Errors::AmongOutput, watch)
}

/// As [`run`], for a tool whose standard output is wanted as a whole, and nothing else.
///
/// # Errors
/// [`ToolError`].
pub fn capture(ctx: &Context, tool: Tool<'_>) -> Result<String, ToolError> {
    let mut output = String::new();
    run_with(ctx, tool, Errors::ToLogOnly, &mut |event| {
        if let Event::Line(line) = event {
            output.push_str(line);
            output.push('\n');
        }
    })?;
    Ok(output)
}

/// Where the tool's standard error goes.
enum Errors {
    AmongOutput,
    ToLogOnly,
}

fn run_with(
    ctx: &Context,
    tool: Tool<'_>,
    errors: Errors,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<PathBuf, ToolError> {
    let mut command = tool.command;
    ctx.progress.command(&command);
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if ctx.is_cancelled() {
        return Err(ToolError::Cancelled { program });
    }
    let (log, path) = open_log(ctx, tool.log)?;
    let log_error = |source| ToolError::Log {
        path: path.clone(),
        source,
    };
    // The lock is an empty file: for the tool it is the same as /dev/null, and the lock lives as long as its process.
    let stdin = match tool.work {
        Some(work) => work.lock_as_input().map_err(log_error)?,
        None => Stdio::null(),
    };
    let start_error = |source| ToolError::Start {
        program: program.clone(),
        source,
    };
    let (output, input) = io::pipe().map_err(start_error)?;
    let stderr = match errors {
        Errors::AmongOutput => Stdio::from(input.try_clone().map_err(start_error)?),
        Errors::ToLogOnly => Stdio::from(log.try_clone().map_err(log_error)?),
    };
    command
        .stdin(stdin)
        .stdout(input)
        .stderr(stderr)
        .process_group(0);
    let spawned = command.spawn();
    let is_there = find_program(&command.get_program().to_string_lossy()).is_some();
    // Our copies of the pipe's end and of the lock go with it.
    drop(command);
    let mut child = spawned.map_err(|source| match is_there {
        true => start_error(source),
        false => ToolError::Missing {
            program: program.clone(),
            package: tool.package.to_owned(),
        },
    })?;
    let news = listen(&child, output, log);
    let end = watch_until_end(ctx, &child, &news, watch);
    // Whatever the tool left in its group ends with it. The tool itself has ended but is not reaped yet, so the
    // number of the group cannot have passed to others.
    let _ = kill_process_group(pid(&child), Signal::KILL);
    let status = child.wait().map_err(start_error)?;
    drain(&news, watch);
    match end {
        End::Cancelled => Err(ToolError::Cancelled { program }),
        End::Exited if status.success() => Ok(path),
        End::Exited => Err(ToolError::Failed {
            program,
            status,
            tail: tail(&path),
            log: path,
        }),
    }
}

enum News {
    Line(String),
    Exited,
}

#[derive(Clone, Copy)]
enum End {
    Exited,
    Cancelled,
}

/// Starts the threads that wait for what the child does. The channel closes when it has ended and its output is read.
fn listen(child: &Child, output: PipeReader, mut log: File) -> Receiver<News> {
    let (lines, news) = mpsc::channel();
    let exits = lines.clone();
    thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            // A full disk must not stop the tool here: it will stop by itself and say so.
            let _ = log.write_all(&line);
            let text = String::from_utf8_lossy(&line)
                .trim_end_matches(['\n', '\r'])
                .to_owned();
            line.clear();
            // Nobody listens any more after a cancellation, but the pipe is to be emptied all the same.
            let _ = lines.send(News::Line(text));
        }
    });
    let pid = pid(child);
    thread::spawn(move || {
        // Not reaped here: until `Child::wait` its number stays its own.
        let _ = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        );
        let _ = exits.send(News::Exited);
    });
    news
}

/// Returns when the child has ended: by itself, or because the user cancelled.
fn watch_until_end(
    ctx: &Context,
    child: &Child,
    news: &Receiver<News>,
    watch: &mut dyn FnMut(Event<'_>),
) -> End {
    let mut end = End::Exited;
    let mut kill_at: Option<Instant> = None;
    let mut next_tick = Instant::now() + TICK;
    loop {
        match news.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
            Ok(News::Line(line)) => watch(Event::Line(&line)),
            Ok(News::Exited) | Err(RecvTimeoutError::Disconnected) => return end,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if Instant::now() < next_tick {
            continue;
        }
        next_tick = Instant::now() + TICK;
        watch(Event::Tick);
        match kill_at {
            None if ctx.is_cancelled() => {
                end = End::Cancelled;
                kill_at = Some(Instant::now() + GRACE);
                let _ = kill_process_group(pid(child), Signal::TERM);
            }
            Some(deadline) if Instant::now() > deadline => {
                let _ = kill_process_group(pid(child), Signal::KILL);
            }
            _ => {}
        }
    }
}

/// Passes on what the tool wrote last.
fn drain(news: &Receiver<News>, watch: &mut dyn FnMut(Event<'_>)) {
    let deadline = Instant::now() + LAST_OUTPUT;
    while let Ok(event) = news.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        if let News::Line(line) = event {
            watch(Event::Line(&line));
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// A new log file, and its path: in the cache, or in the folder for temporary files where the cache is read-only.
///
/// # Errors
/// [`ToolError::Log`].
pub fn open_log(ctx: &Context, name: &str) -> Result<(File, PathBuf), ToolError> {
    let in_cache = ctx.cache.root().join("logs");
    let in_temp = std::env::temp_dir().join(format!(
        "nodeos-logs-{}",
        rustix::process::getuid().as_raw()
    ));
    create_log(&in_cache, name)
        .or_else(|_| create_log(&in_temp, name))
        .map_err(|source| ToolError::Log {
            path: in_temp.join(format!("{name}.log")),
            source,
        })
}

fn create_log(dir: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    fs::create_dir_all(dir)?;
    let path = dir.join(format!("{name}.log"));
    // A new file each time: another build may still write to the old one.
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .open(&path)?;
    Ok((file, path))
}

fn tail(log: &Path) -> Vec<String> {
    let mut last = VecDeque::new();
    let Ok(file) = File::open(log) else {
        return Vec::new();
    };
    for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
        if last.len() == TAIL_LINES {
            last.pop_front();
        }
        last.push_back(String::from_utf8_lossy(&line).into_owned());
    }
    last.into()
}

fn indented(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
