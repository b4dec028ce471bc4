//! Where everything is that a `palmtree` reads, writes and listens on.

use std::path::PathBuf;

use nodeos_spec::{broker, control, service};

/// The folder of the logs.
const LOG: &str = "/log";
/// What the home runs once, whatever kind of program it is.
const INIT: &str = "/init";
/// This very program, also where it has been replaced on disk.
const PROGRAM: &str = "/proc/self/exe";

/// The places. Those of a session are the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The file with the services.
    pub config: PathBuf,
    /// Where `svc` is answered.
    pub socket: PathBuf,
    /// Where the broker answers.
    pub broker: PathBuf,
    /// The folder of the logs.
    pub log: PathBuf,
    /// The program that is run once.
    pub init: PathBuf,
    /// The program `palmtree`, through which services are started.
    pub program: PathBuf,
}

impl Default for Paths {
    fn default() -> Paths {
        Paths {
            config: service::PATH.into(),
            socket: control::SOCKET.into(),
            broker: broker::SOCKET.into(),
            log: LOG.into(),
            init: INIT.into(),
            program: PROGRAM.into(),
        }
    }
}

impl Paths {
    /// Palmtree's own log.
    pub(crate) fn journal(&self) -> PathBuf {
        self.log_of("palmtree")
    }

    /// The log of the service with this name.
    pub(crate) fn log_of(&self, name: &str) -> PathBuf {
        self.log.join(format!("{name}.log"))
    }
}
