//! `nodeos run` as people type it, and the application in its machine.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nodeos_build::manifest::Manifest;
use nodeos_build::node;
use nodeos_build::recipe::{Arch, Libc};
use nodeos_vm::process::has_ended_within;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::boot::Scratch;
use crate::http::free_port;
use crate::{cli, system};

/// From the command to what listens, with the installation of what the application depends on: ten times what was seen.
pub const READY: Duration = Duration::from_secs(600);
/// For an application to stop, and its machine with it.
pub const STOP: Duration = Duration::from_secs(60);
/// Where the applications of these tests listen.
const GUEST_PORT: u16 = 3000;

/// An application of `tests/applications`.
pub fn folder(name: &str) -> PathBuf {
    system::source().join("tests/applications").join(name)
}

/// The program, with machines and volumes of its own.
pub fn nodeos(scratch: &Scratch) -> Command {
    let mut command = Command::new(cli::nodeos());
    command
        .env("NODEOS_SOURCE", system::source())
        .env("XDG_STATE_HOME", scratch.dir.join("state"))
        .env("XDG_DATA_HOME", scratch.dir.join("data"))
        .env("XDG_RUNTIME_DIR", scratch.dir.join("state"));
    command
}

/// A file for `nodeos run`, with this in it.
pub fn script(scratch: &Scratch, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = scratch.dir.join(name);
    fs::write(&path, text)?;
    Ok(path)
}

/// A command that gets this input and then its end, and is to end by itself.
pub fn output_of_input(mut command: Command, input: &[u8]) -> anyhow::Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("it is piped")?;
    let input = input.to_owned();
    // Who takes no input ends nevertheless.
    thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let stdout = read_all(child.stdout.take().context("it is piped")?);
    let stderr = read_all(child.stderr.take().context("it is piped")?);
    if !has_ended_within(&child, READY) {
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        bail!("{command:?} did not end");
    }
    Ok(Output {
        status: child.wait()?,
        stdout: stdout.join().expect("reading does not panic"),
        stderr: stderr.join().expect("reading does not panic"),
    })
}

/// What `nodeos` says to these arguments: its exit code, and what it wrote to standard output and to standard error.
pub fn said(
    scratch: &Scratch,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> anyhow::Result<(i32, String, String)> {
    let mut command = nodeos(scratch);
    command.args(arguments);
    let output = output_of_input(command, &[])?;
    let code = output.status.code();
    Ok((
        code.context("it was ended by a signal")?,
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

/// Waits until no process is left of these machines. Each of them has the folder of its machine among its arguments.
pub fn nobody_is_left(scratch: &Scratch) -> anyhow::Result<()> {
    let folder = scratch.dir.join("state");
    let end = Instant::now() + STOP;
    loop {
        let left = processes_that_name(&folder)?;
        let Some(process) = left.first() else {
            return Ok(());
        };
        let time = end.saturating_duration_since(Instant::now());
        ensure!(
            !time.is_zero() && has_gone_within(*process, time),
            "processes of machines are left: {left:?}"
        );
    }
}

fn processes_that_name(folder: &Path) -> anyhow::Result<Vec<Pid>> {
    let folder = folder.as_os_str().as_encoded_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // Processes come and go.
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if words.windows(folder.len()).any(|part| part == folder) {
            found.extend(Pid::from_raw(pid));
        }
    }
    Ok(found)
}

fn has_gone_within(process: Pid, time: Duration) -> bool {
    // One that cannot be opened is gone already.
    let Ok(pidfd) = pidfd_open(process, PidfdFlags::empty()) else {
        return true;
    };
    let time = Timespec::try_from(time).ok();
    matches!(
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], time.as_ref()),
        Ok(1..)
    )
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is looked at.
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

/// A command that is to end by itself.
pub fn output(
    scratch: &Scratch,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> anyhow::Result<Output> {
    let output = nodeos(scratch)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    Ok(output)
}

/// A running application, in the foreground. It goes with this.
#[derive(Debug)]
pub struct Running {
    /// Of this host, where [`Running::start`] has chosen one.
    pub port: u16,
    child: Child,
    /// Lines of standard error, as they come.
    said: Receiver<String>,
    heard: Vec<String>,
    stdout: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// Starts it with a port of this host, and waits for something to listen.
    pub fn ready(scratch: &Scratch, application: &Path, more: &[&str]) -> anyhow::Result<Running> {
        let mut running = Running::start(scratch, application, more)?;
        running.wait_for("ready: ", READY)?;
        Ok(running)
    }

    pub fn start(scratch: &Scratch, application: &Path, more: &[&str]) -> anyhow::Result<Running> {
        let port = free_port()?;
        let forward = format!("{port}:{GUEST_PORT}");
        let mut arguments: Vec<&OsStr> = vec!["--port".as_ref(), forward.as_ref()];
        arguments.extend(more.iter().map(|word| OsStr::new(*word)));
        arguments.push(application.as_os_str());
        let mut running = Running::begin(scratch, arguments)?;
        running.port = port;
        Ok(running)
    }

    /// `nodeos run` with these arguments.
    pub fn begin(
        scratch: &Scratch,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> anyhow::Result<Running> {
        let mut command = nodeos(scratch);
        command
            .arg("run")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stderr = child.stderr.take().context("it is piped")?;
        let stdout = read_all(child.stdout.take().context("it is piped")?);
        let (tell, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Nobody may be listening any more.
                let _ = tell.send(line);
            }
        });
        Ok(Running {
            port: 0,
            child,
            said,
            heard: Vec::new(),
            stdout: Some(stdout),
        })
    }

    /// Waits for a line of standard error that has this in it.
    pub fn wait_for(&mut self, text: &str, deadline: Duration) -> anyhow::Result<String> {
        let end = Instant::now() + deadline;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(line) => {
                    self.heard.push(line.clone());
                    if line.contains(text) {
                        return Ok(line);
                    }
                }
                Err(_) => bail!(
                    "{text:?} was not said; what was:\n{}",
                    self.heard.join("\n")
                ),
            }
        }
    }

    /// Sends `nodeos run` a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Stops it by SIGTERM, and returns the exit code and what it wrote to standard output.
    pub fn stop(self) -> anyhow::Result<(i32, String)> {
        self.signal(Signal::TERM)?;
        self.ended(STOP)
    }

    /// Kills `nodeos run`, which cannot do anything about it.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end.
    pub fn ended(mut self, deadline: Duration) -> anyhow::Result<(i32, String)> {
        let end = Instant::now() + deadline;
        // Standard error ends with the process.
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(line) => self.heard.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    bail!("it did not end; it said:\n{}", self.heard.join("\n"))
                }
            }
        }
        let status = self.child.wait()?;
        let stdout = self.stdout.take().context("it is taken once")?;
        let stdout = stdout.join().expect("reading does not panic");
        let code = status.code().context("it was ended by a signal")?;
        Ok((code, String::from_utf8_lossy(&stdout).into_owned()))
    }

    /// All that was said so far, but for what the application wrote to standard output.
    pub fn heard(&self) -> String {
        self.heard.join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.signal(Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

/// Has the image's own npm do something in a folder of this host, as a developer would with theirs.
pub fn npm(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let context = system::context()?;
    let manifest = Manifest::load(&context.source)?;
    let (arch, libc) = (Arch::X86_64, Libc::Musl);
    let node = node::prepare(&context, &manifest, arch, libc)?;
    let node = node::host::prepare(&context, &manifest, &node, arch, libc)?;
    let output = node::host::npm(&node)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()?;
    ensure!(
        output.status.success(),
        "npm {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
