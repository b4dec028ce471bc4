//! A machine under test: boots, talks, and leaves behind everything about a failure.

use std::ffi::OsString;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nodeos_vm::machine::{ConsoleTo, Machine};
use nodeos_vm::vm::Vm;

/// How long a boot to the prompt may take: twenty times what it takes on an idle machine under emulation.
pub const BOOT: Duration = Duration::from_secs(60);
/// How long an answer may take.
pub const ANSWER: Duration = Duration::from_secs(30);
/// The first prompt of the REPL; nothing else at the boot has such an end.
const FIRST_PROMPT: &str = "> ";
/// The prompt after an answer, on a terminal without escape sequences.
const PROMPT: &str = "\n> ";

/// The folder of one test: made anew, removed when the test has passed, kept when it has failed.
#[derive(Debug)]
pub struct Scratch {
    pub dir: PathBuf,
    is_kept: bool,
}

impl Scratch {
    /// `name` is the test's.
    pub fn new(name: &str) -> anyhow::Result<Scratch> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../target/boot-tests")
            .join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        Ok(Scratch {
            dir: dir.canonicalize()?,
            is_kept: false,
        })
    }

    /// Leaves the folder where it is: something has failed that is no panic.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Boots `machine`, its console in our hands.
    pub fn boot(&self, machine: &Machine) -> anyhow::Result<Boot> {
        let mut machine = machine.clone();
        machine.console = ConsoleTo::Pipes;
        self.write_argv(&machine.argv())?;
        let vm = Vm::boot(&machine)?;
        Ok(Boot {
            vm,
            dir: self.dir.clone(),
        })
    }

    /// Starts QEMU with a command line of the test's own, whose console is its standard input and output.
    pub fn start(&self, argv: &[OsString]) -> anyhow::Result<Boot> {
        self.write_argv(argv)?;
        let vm = Vm::start(argv)?;
        Ok(Boot {
            vm,
            dir: self.dir.clone(),
        })
    }

    fn write_argv(&self, argv: &[OsString]) -> anyhow::Result<()> {
        let words: Vec<String> = argv
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        Ok(fs::write(self.dir.join("argv"), words.join("\n"))?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept && !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A running machine. When the test fails, its console is kept in the test's folder.
#[derive(Debug)]
pub struct Boot {
    vm: Vm,
    dir: PathBuf,
}

impl Boot {
    /// Waits for the first prompt of the REPL.
    pub fn prompt(&mut self) -> anyhow::Result<String> {
        self.vm
            .console
            .expect(FIRST_PROMPT, BOOT)
            .context("there is no prompt")
    }

    /// Evaluates `expression` in the REPL and returns what it answers: the lines between the echo and the next prompt.
    pub fn evaluate(&mut self, expression: &str) -> anyhow::Result<String> {
        self.vm.console.send(&format!("{expression}\r"))?;
        let before = self.vm.console.expect(PROMPT, ANSWER)?;
        let plain = without_escapes(&before);
        // The last echo of the expression ends where the terminal went to the next line.
        let answer = plain
            .rsplit_once(expression)
            .map_or(plain.as_str(), |(_, answer)| answer);
        Ok(answer.trim().to_owned())
    }

    /// Writes what the console and QEMU have said into the test's folder.
    pub fn keep(&self) {
        // A full disk must not hide the failure that this is about.
        let _ = fs::write(self.dir.join("console.log"), self.vm.console.transcript());
        let _ = fs::write(self.dir.join("qemu.stderr"), self.vm.stderr());
    }

    /// Waits for the machine to power off by itself.
    pub fn powered_off(&mut self) -> anyhow::Result<ExitStatus> {
        let status = self
            .vm
            .wait(ANSWER)
            .context("the machine did not power off")?;
        ensure!(status.success(), "QEMU ended with {status}");
        Ok(status)
    }
}

impl Deref for Boot {
    type Target = Vm;

    fn deref(&self) -> &Vm {
        &self.vm
    }
}

impl DerefMut for Boot {
    fn deref_mut(&mut self) -> &mut Vm {
        &mut self.vm
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep();
            eprintln!(
                "console, command line and images of the failed test are in {}",
                self.dir.display()
            );
        }
    }
}

/// What a terminal would show of `text`: without the escape sequences of ECMA-48 and without carriage returns.
pub fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                // A control sequence ends with a byte from @ to ~.
                while characters.next_if(|c| !('@'..='~').contains(c)).is_some() {}
                characters.next();
            }
            '\r' => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_not_text() {
        assert_eq!(
            without_escapes("\u{1b}[1G\u{1b}[0J> 1\u{1b}[90m2\u{1b}[39m\r\n"),
            "> 12\n"
        );
    }
}
