//! What a program can tell of the filesystem under it: questions, each of which is answered in a few words.
//!
//! They are asked in a home and on plain ext4. Where the answers differ, a home is not quite what programs may expect. Some
//! are about files that were there before (`given`): in a home they are the system's, and lie in the lower layer of the
//! overlay. What holds for every filesystem is `pjdfstest`'s business.

mod given;
mod own;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, fcntl_lock, flock};

/// What is asked, and how the answer is found.
pub(crate) type Question = (&'static str, fn(&Place) -> io::Result<String>);

/// Where questions are asked.
pub(crate) struct Place {
    root: PathBuf,
}

impl Place {
    /// A folder that was there before, for one question: it has a `file` that says `given`, and a `folder` with an `inner` file.
    pub(crate) fn given(&self, name: &str) -> PathBuf {
        self.root.join("given").join(name)
    }

    /// A new folder for one question.
    pub(crate) fn own(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.root.join("own").join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }
}

/// Asks everything in the folder `root`, and prints each answer as `QUESTION: ANSWER`.
pub fn ask(root: &str, out: &mut dyn Write) -> io::Result<()> {
    let place = Place {
        root: PathBuf::from(root),
    };
    let mut asked = 0;
    for (question, find) in own::QUESTIONS.iter().chain(given::QUESTIONS) {
        match find(&place) {
            Ok(answer) => writeln!(out, "{question}: {answer}")?,
            Err(error) => writeln!(out, "{question}: {}", words(&error))?,
        }
        asked += 1;
    }
    writeln!(out, "questions: {asked}")
}

/// An error as people say it, without its number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// What another process is told that wants a lock of `path` for itself, of both kinds.
pub fn try_locks(path: &str, out: &mut dyn Write) -> io::Result<()> {
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    let answer = |is_taken: bool| if is_taken { "taken" } else { "free" };
    let whole = flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
    let record = fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
    writeln!(
        out,
        "flock {}, record lock {}",
        answer(whole),
        answer(record)
    )
}

/// As [`try_locks`], in a process of its own.
pub(crate) fn locks_for_others(path: &Path) -> io::Result<String> {
    let output = Command::new(std::env::current_exe()?)
        .arg("try-locks")
        .arg(path)
        .stdin(Stdio::null())
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(crate) fn yes_or_no(is_so: bool) -> io::Result<String> {
    Ok(if is_so { "yes" } else { "no" }.to_owned())
}
