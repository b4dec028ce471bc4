//! The network service of root: links, addresses by DHCP or as configured, names, and the time.
//!
//! [`service`] is its loop. Decisions are in pure modules ([`dhcp::machine`], [`dns`], [`ntp`], [`config`]); what has effects
//! is around them.
#![forbid(unsafe_code)]

pub mod address;
pub mod apply;
pub mod clock;
pub mod config;
pub mod departure;
pub mod dhcp;
pub mod dns;
pub mod files;
pub mod interface;
pub mod lease;
pub mod link;
pub mod log;
pub mod names;
pub mod netlink;
pub mod ntp;
pub mod outputs;
pub mod paths;
pub mod pnp;
pub mod random;
pub mod report;
pub mod service;
pub mod status;
pub mod timekeeper;
pub mod usage;

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use crate::paths::Paths;
use crate::usage::{Form, HELP, Mode};

/// The exit code for a command line that nobody could mean.
const USAGE: u8 = 2;

/// Runs the program with its arguments, without its name.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let mode = match usage::parse(arguments) {
        Ok(mode) => mode,
        Err(error) => {
            let _ = writeln!(err, "network: {error}; network --help says what there is");
            return ExitCode::from(USAGE);
        }
    };
    let result: Result<(), Box<dyn Error>> = match mode {
        Mode::Help => print(out, HELP),
        Mode::Service { until, root } => {
            service::serve(Paths::below(&root), until, err).map_err(Into::into)
        }
        Mode::Status { form, root } => status::read(&Paths::below(&root).status)
            .map_err(Into::into)
            .and_then(|status| match form {
                Form::Json => print(out, &status.to_json()),
                Form::Table => {
                    let mut table = Vec::new();
                    status::table(&status, clock::unix(), &mut table)?;
                    print(out, &String::from_utf8_lossy(&table))
                }
            }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::Log(err).problem("network", error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// A reader that has seen enough is no failure.
fn print(out: &mut dyn Write, text: &str) -> Result<(), Box<dyn Error>> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
