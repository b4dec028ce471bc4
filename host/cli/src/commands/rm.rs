//! `nodeos rm`: forgets machines that have ended.

use clap::Args;
use thiserror::Error;

use crate::machines::find;
use crate::machines::state::Machines;
use crate::output::errors::Failure;
use crate::output::streams::Streams;

/// Forget machines that have ended, and what they wrote
///
/// Volumes stay: they are nobody's but yours.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Forget all that have ended
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    /// Which ones
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub names: Vec<String>,
}

/// A machine is still needed.
#[derive(Debug, Error)]
#[error("the machine {name} runs")]
struct RunsError {
    name: String,
}

/// Removes their folders.
pub fn run(arguments: &Arguments, streams: &mut Streams) -> Result<(), Failure> {
    let machines = Machines::of_user()?;
    let chosen = if arguments.all {
        let mut ended = find::all(&machines)?;
        ended.retain(|known| known.connection.is_none());
        ended
    } else {
        let names = arguments.names.iter();
        names
            .map(|name| find::one(&machines, name))
            .collect::<Result<_, _>>()?
    };
    for known in chosen {
        let name = known.folder.name.to_string();
        if known.connection.is_some() || !known.folder.remove()? {
            let hint = Some(format!("stop it first: nodeos stop {name}"));
            return Err(Failure::new(RunsError { name }).hint(hint));
        }
        streams.print(&format!("{name}\n"))?;
    }
    Ok(())
}
