//! The least memory with which the REPL answers.

use std::fmt;
use std::time::{Duration, Instant};

use nodeos_build::recipe::RootKind;
use nodeos_vm::vm::Vm;
use serde::Serialize;

use super::machines::FIRST_PROMPT;
use super::parts::Parts;
use crate::machine;
use crate::search::{MOST_MIB, Search, bisect};

/// For prompt and answer together, ten times what they take with enough memory. A machine that takes longer is thrashing.
const DEADLINE: Duration = Duration::from_secs(40);

/// What the search found.
#[derive(Debug, Serialize)]
pub struct Found {
    /// None when not even the most is enough.
    pub mib: Option<u32>,
    /// Sizes were multiples of this.
    pub step_mib: u32,
    /// How often the size worked again.
    pub confirmations: usize,
    /// Every size tried, in order, and why it was too small, if it was.
    pub tried: Vec<Try>,
}

/// One boot.
#[derive(Debug, Serialize)]
pub struct Try {
    pub mib: u32,
    pub failure: Option<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mib {
            Some(mib) => write!(f, "{mib} MiB"),
            None => write!(f, "more than {MOST_MIB} MiB"),
        }
    }
}

/// Searches by bisection, then confirms; a size that does not work each time is too small.
pub(super) fn search(parts: &Parts, root: RootKind, search: Search) -> anyhow::Result<Found> {
    let mut tried = Vec::new();
    let mib = bisect(search, |mib| {
        let failure = answers(parts, root, mib).err();
        let works = failure.is_none();
        tried.push(Try {
            mib,
            failure: failure.map(|error| first_line(&error)),
        });
        works
    });
    Ok(Found {
        mib,
        step_mib: search.step_mib,
        confirmations: search.confirmations,
        tried,
    })
}

fn answers(parts: &Parts, root: RootKind, mib: u32) -> anyhow::Result<()> {
    let output = if root == RootKind::Disk {
        &parts.disk
    } else {
        &parts.pmem
    };
    let mut machine = machine::system(output, root);
    machine.memory_mib = mib;
    let end = Instant::now() + DEADLINE;
    let mut vm = Vm::boot(&machine)?;
    vm.console.expect(FIRST_PROMPT, DEADLINE)?;
    vm.console.send("1+1\r")?;
    vm.console
        .expect("\n2", end.saturating_duration_since(Instant::now()))?;
    Ok(())
}

/// Without the console that follows.
fn first_line(error: &anyhow::Error) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches(':')
        .to_owned()
}
