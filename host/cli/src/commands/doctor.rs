//! `nodeos doctor`: what this host has and lacks.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use thiserror::Error;

use crate::checks::host::Host;
use crate::checks::{self, Check, State};
use crate::environment;
use crate::exit::Exit;
use crate::output::errors::Failure;
use crate::output::streams::Streams;
use crate::output::table;

/// Say what this host has and lacks for building and booting, and what to do about it
///
/// The exit code is 0 where one can build and boot, and 69 where something has to be installed first.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where the builds would go, to see whether there is room
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Something has to be installed first.
#[derive(Debug, Error)]
#[error("this host cannot build and boot NodeOS yet: {} missing", .missing.join(", "))]
struct NotReadyError {
    missing: Vec<String>,
}

/// Looks at everything, and prints it.
pub fn run(arguments: &Arguments, streams: &mut Streams) -> Result<(), Failure> {
    let host = Host::of_process();
    let cache = environment::cache_root()?;
    let mut found = checks::machine::checks(&cache);
    found.extend(checks::build::checks(&host));
    found.extend(checks::space::checks(&cache, &arguments.out));
    if arguments.json {
        streams.print_json(&json!({ "ready": checks::is_enough(&found), "checks": found }))?;
    } else {
        streams.print(&as_text(&found))?;
    }
    if checks::is_enough(&found) {
        return Ok(());
    }
    let missing = found
        .into_iter()
        .filter(|check| check.state == State::Missing)
        .map(|check| check.name)
        .collect();
    Err(Failure::new(NotReadyError { missing }).exit(Exit::MachineryMissing))
}

/// The table, and below each row that needs it what to do.
fn as_text(found: &[Check]) -> String {
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|check| {
            vec![
                check.state.as_str().to_owned(),
                check.name.clone(),
                check.found.clone(),
            ]
        })
        .collect();
    let table = table::render(&[], &rows);
    let mut text = String::new();
    for (line, check) in table.lines().zip(found) {
        text.push_str(line);
        text.push('\n');
        if let Some(hint) = &check.hint {
            text.push_str(&format!("         {hint}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_below_what_is_missing() {
        let found = [
            Check::ok("gcc", "gcc 12.2.0"),
            Check::missing("flex", "not in PATH", "sudo apt-get install flex"),
            Check::without("accelerator", "emulation", "enable it"),
        ];
        assert_eq!(
            as_text(&found),
            "ok       gcc          gcc 12.2.0\n\
             missing  flex         not in PATH\n         sudo apt-get install flex\n\
             without  accelerator  emulation\n         enable it\n"
        );
    }
}
