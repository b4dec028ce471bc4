//! `nodeos stop`: ends machines in good order.

use std::time::Duration;

use clap::Args;

use crate::machines::connection::{self, Frames};
use crate::machines::find;
use crate::machines::protocol::{ClientMessage, MonitorMessage};
use crate::machines::record::millis;
use crate::machines::state::Machines;
use crate::output::errors::Failure;
use crate::output::streams::Streams;

/// What a machine gets beyond its application's time to stop: its monitor ends it then itself.
const ROOM: Duration = Duration::from_secs(30);

/// Stop machines
///
/// The application is told to stop by SIGTERM, and killed when its time is over; then the machine powers off. The command returns when
/// it has.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Give the application this much time, instead of its own
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub time: Option<u64>,
    /// Which ones: a name, or the beginning of one
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// Tells them all, and then waits for each.
pub fn run(arguments: &Arguments, streams: &mut Streams) -> Result<(), Failure> {
    let machines = Machines::of_user()?;
    let grace = arguments.time.map(Duration::from_secs);
    let grace_ms = grace.map(millis);
    let mut told = Vec::new();
    for name in &arguments.names {
        let running = find::running(&machines, name)?;
        connection::say(&running.connection, &ClientMessage::Stop { grace_ms })?;
        told.push(running);
    }
    for running in told {
        let own = Duration::from_millis(running.record.stop_grace_ms);
        let deadline = grace.unwrap_or(own) + ROOM;
        let mut frames = Frames::new(running.connection);
        // A monitor that is gone without a word has no machine any more, too.
        while let Some(message) = frames.next_message(deadline)? {
            if matches!(message, MonitorMessage::Over { .. }) {
                break;
            }
        }
        streams.print(&format!("{}\n", running.name))?;
    }
    Ok(())
}
