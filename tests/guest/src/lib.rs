//! The agent of a guest test: runs one program and reports what it said and how it ended.
//!
//! It owns the words of the test's order ([`order`]) and the way back ([`port`]). Booting, shutting down and PID 1 are
//! the business of NodeOS's own `init`, which every guest test exercises in passing.

#![forbid(unsafe_code)]

pub mod escape;
pub mod filesystem;
pub mod nonsense;
pub mod order;
pub mod port;
pub mod program;
pub mod scenario;
pub mod spy;
pub mod terminal;

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nodeos_spec::channel::{RESULTS, TestReport};
use thiserror::Error;

use crate::order::{Order, ParseOrderError};
use crate::port::{FindPortError, Reporter};

/// Why no test was run, or its report did not get out.
#[derive(Debug, Error)]
pub enum RunOrderError {
    #[error("cannot read {}", .path.display())]
    ReadOrder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not an order", .path.display())]
    ParseOrder {
        path: PathBuf,
        #[source]
        source: ParseOrderError,
    },
    #[error("cannot find the port for results")]
    FindPort(#[source] FindPortError),
    #[error("cannot make the link {}", .path.display())]
    Link {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot start {}", .program.display())]
    Start {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot report to the host")]
    Report(#[source] io::Error),
}

/// Does what the order at `path` says, and returns when the host has the whole report.
pub fn run(path: &Path) -> Result<(), RunOrderError> {
    let text = fs::read_to_string(path).map_err(|source| RunOrderError::ReadOrder {
        path: path.to_owned(),
        source,
    })?;
    let order = Order::parse(&text).map_err(|source| RunOrderError::ParseOrder {
        path: path.to_owned(),
        source,
    })?;
    let device = port::find(Path::new(port::CLASS), RESULTS).map_err(RunOrderError::FindPort)?;
    let mut reporter = Reporter::open(&device).map_err(RunOrderError::Report)?;
    for (path, text) in &order.links {
        let path = Path::new(path);
        make_link(path, Path::new(text)).map_err(|source| RunOrderError::Link {
            path: path.to_owned(),
            source,
        })?;
    }
    let code = program::run(&order, &mut |line| {
        reporter.send(&TestReport::Output { line })
    })?;
    reporter
        .send(&TestReport::Done { code })
        .map_err(RunOrderError::Report)?;
    reporter.wait_until_taken().map_err(RunOrderError::Report)
}

fn make_link(path: &Path, text: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    symlink(text, path)
}
