//! The binary in a sealed environment: an empty home, its own cache, and only the variables that a test gives.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A home folder, and the command line that lives in it.
pub(crate) struct Sealed {
    pub(crate) home: TempDir,
}

/// What a run said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Sealed {
    pub(crate) fn new() -> Sealed {
        Sealed {
            home: tempfile::tempdir().expect("tests have a folder for temporary files"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.home.path()
    }

    /// The command, in the sealed environment, with the `PATH` of an installation without anything.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodeos"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("XDG_CACHE_HOME", self.path().join("cache"))
            .env("PATH", "");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.say(&mut self.command(arguments))
    }

    /// Runs a command; this test's folder is `HOME` in what it says.
    pub(crate) fn say(&self, command: &mut Command) -> Said {
        let Output {
            status,
            stdout,
            stderr,
        } = command
            .output()
            .expect("the binary was built for this test");
        let home = self
            .path()
            .to_str()
            .expect("temporary folders have plain names")
            .to_owned();
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                .expect("we print UTF-8")
                .replace(&home, "HOME")
        };
        Said {
            code: status.code(),
            out: text(stdout),
            err: text(stderr),
        }
    }
}
