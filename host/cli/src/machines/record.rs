//! What is known of a machine, as its folder keeps it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use nodeos_vm::machine::PortForward;
use serde::{Deserialize, Serialize};

use crate::machines::protocol::Ending;

/// `machine.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// What was to be run: a folder, a file, or a package.
    pub source: String,
    pub mode: Mode,
    pub memory_mib: u32,
    pub cpus: u32,
    pub ports: Vec<Port>,
    /// Images of volumes, which one machine has at a time.
    pub volumes: Vec<PathBuf>,
    /// How long its application may take to stop.
    pub stop_grace_ms: u64,
    /// Where its sockets are.
    pub sockets: PathBuf,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// Process ids, for people. That a process has this number proves nothing.
    pub monitor_pid: Option<u32>,
    pub qemu_pid: Option<u32>,
    /// When its application was started first, and since when it has been ready, in milliseconds after the machine was started.
    pub running_after_ms: Option<u64>,
    pub ready_after_ms: Option<u64>,
    /// Its application is between two of its runs.
    #[serde(default)]
    pub pause: Option<Pause>,
    /// Why not all is in its log that its application wrote: the whole sentence.
    #[serde(default)]
    pub log_gap: Option<String>,
    pub ended: Option<Ended>,
}

/// That an application has ended, and is to be started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    /// How it ended.
    pub ending: Ending,
    /// When it is started again, in milliseconds since 1970. None where that takes a change of its files.
    pub again_ms: Option<u64>,
}

/// Whether somebody's terminal is the application's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Its command waits for it, and nothing is left of it afterwards.
    Foreground,
    Detached,
}

/// A port of the host that is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    pub address: Ipv4Addr,
    pub host: u16,
    pub guest: u16,
}

/// That a machine has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ended {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub ending: Ending,
}

impl Record {
    /// Of a machine that is started now, and of which nothing else is known.
    pub fn new(source: String, mode: Mode, sockets: PathBuf) -> Record {
        Record {
            source,
            mode,
            memory_mib: 0,
            cpus: 0,
            ports: Vec::new(),
            volumes: Vec::new(),
            stop_grace_ms: 0,
            sockets,
            started_ms: now_ms(),
            monitor_pid: None,
            qemu_pid: None,
            running_after_ms: None,
            ready_after_ms: None,
            pause: None,
            log_gap: None,
            ended: None,
        }
    }

    /// It has ended.
    pub fn end(&mut self, ending: Ending, at_ms: u64) {
        self.pause = None;
        self.ended = Some(Ended { at_ms, ending });
    }
}

impl From<PortForward> for Port {
    fn from(forward: PortForward) -> Port {
        Port {
            address: forward.address,
            host: forward.host,
            guest: forward.guest,
        }
    }
}

impl Port {
    /// Where somebody on this host finds what listens there: all addresses are the loopback's, too.
    pub fn reachable_at(&self) -> Ipv4Addr {
        if self.address.is_unspecified() {
            Ipv4Addr::LOCALHOST
        } else {
            self.address
        }
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    millis(since)
}

/// A time span in milliseconds.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
