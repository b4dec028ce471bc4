//! The floor that no operating system can go below: the same Node.js, translated by the same QEMU, without any machine.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nodeos_build::node::Node;
use nodeos_build::tool::find_program;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};

use super::machines::{FIRST_PROMPT, Measured};
use crate::cpu;
use crate::machine::Moment;

const PROGRAM: &str = "qemu-x86_64";
/// A hundred times what it takes on an idle machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// QEMU's user-mode emulation and a root folder for its program.
#[derive(Debug)]
pub struct UserMode {
    pub program: PathBuf,
    pub root: PathBuf,
}

impl UserMode {
    /// Where the emulator is.
    ///
    /// # Errors
    /// When it is not installed, with the line that installs it.
    pub fn find() -> anyhow::Result<PathBuf> {
        find_program(PROGRAM).with_context(|| {
            format!("{PROGRAM} is not installed (hint: sudo apt-get install qemu-user)")
        })
    }

    /// Lays Node.js and its libraries into `root` as they lie in an image.
    pub(crate) fn prepare(program: PathBuf, node: &Node, root: &Path) -> anyhow::Result<UserMode> {
        let libraries = node.libraries.iter().chain([&node.loader]);
        let files = libraries.map(|library| (library.file.as_path(), library.path.as_path()));
        for (file, path) in files.chain([(node.program.as_path(), Path::new("/bin/node"))]) {
            let to = root.join(path.strip_prefix("/")?);
            fs::create_dir_all(to.parent().context("a file of an image lies in a folder")?)?;
            // The cache may lie on another file system.
            if fs::hard_link(file, &to).is_err() {
                fs::copy(file, &to).with_context(|| format!("cannot copy {}", file.display()))?;
            }
        }
        Ok(UserMode {
            program,
            root: root.to_owned(),
        })
    }
}

/// Both ends of a pseudoterminal (pty(7)).
struct Terminal {
    our_end: File,
    program_end: File,
}

impl Terminal {
    fn open() -> anyhow::Result<Terminal> {
        let our_end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        unlockpt(&our_end)?;
        let program_end = ioctl_tiocgptpeer(
            &our_end,
            OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
        )?;
        Ok(Terminal {
            our_end: our_end.into(),
            program_end: program_end.into(),
        })
    }
}

/// Starts Node.js and measures up to its first prompt.
pub(super) fn prompt(user_mode: &UserMode) -> anyhow::Result<Measured> {
    let mut command = Command::new(&user_mode.program);
    command
        .arg("-L")
        .arg(&user_mode.root)
        .arg(user_mode.root.join("bin/node"));
    // A terminal, as the machine's console is one: the prompt of a terminal is more work than that of a pipe.
    let terminal = Terminal::open()?;
    command
        .env_clear()
        .env("TERM", "dumb")
        .env("HOME", &user_mode.root);
    command
        .stdin(terminal.program_end.try_clone()?)
        .stdout(terminal.program_end)
        .stderr(Stdio::null());
    let started = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {}", user_mode.program.display()))?;
    drop(command);
    let seen = wait_for_prompt(&child, terminal.our_end, started);
    // Only the way to the prompt counts. It may have ended by itself, which `seen` tells of.
    let _ = child.kill();
    child.wait()?;
    Ok(Measured {
        mark: seen?,
        end: None,
    })
}

fn wait_for_prompt(child: &Child, mut output: File, started: Instant) -> anyhow::Result<Moment> {
    let mut said = Vec::new();
    loop {
        let left = DEADLINE.saturating_sub(started.elapsed());
        let ready = poll(
            &mut [PollFd::new(&output, PollFlags::IN)],
            Some(&Timespec::try_from(left)?),
        );
        ensure!(
            ready != Ok(0),
            "Node.js did not prompt within {} s",
            DEADLINE.as_secs()
        );
        let mut chunk = [0; 4096];
        let count = output.read(&mut chunk)?;
        let wall = started.elapsed().as_secs_f64();
        said.extend_from_slice(&chunk[..count]);
        ensure!(
            count > 0,
            "Node.js ended before its prompt: {}",
            String::from_utf8_lossy(&said)
        );
        if said
            .windows(FIRST_PROMPT.len())
            .any(|window| window == FIRST_PROMPT.as_bytes())
        {
            return Ok(Moment {
                wall,
                cpu: cpu::of_process(child.id())?,
            });
        }
    }
}
