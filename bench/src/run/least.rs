//! The least memory with which the application answers.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::nodeos::Root;
use super::servers::{Servers, stop};
use super::{client, servers};
use crate::search::{MOST_MIB, Search, bisect};

/// Ten times what it takes with enough memory. A machine that takes longer is thrashing.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the search found.
#[derive(Debug, Serialize)]
pub struct Found {
    /// None when not even the most is enough.
    pub mib: Option<u32>,
    /// Sizes were multiples of this.
    pub step_mib: u32,
    /// How often the size worked again.
    pub confirmations: usize,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mib {
            Some(mib) => write!(f, "{mib} MiB"),
            None => write!(f, "more than {MOST_MIB} MiB"),
        }
    }
}

pub(super) fn search(servers: &Servers, root: Root, search: Search) -> Found {
    Found {
        mib: bisect(search, |mib| answers(servers, root, mib).is_ok()),
        step_mib: search.step_mib,
        confirmations: search.confirmations,
    }
}

fn answers(servers: &Servers, root: Root, mib: u32) -> anyhow::Result<()> {
    let port = client::free_port()?;
    let memory = format!("{mib}M");
    let mut child = servers
        .nodeos
        .run(&servers.application, port, root, &["--memory", &memory])?;
    let answered =
        client::first_answer(port, DEADLINE, || servers::still_runs(&mut child)).map(drop);
    // It may have ended by itself.
    let _ = stop(&mut child);
    answered
}
