//! `nodeos stats`: what machines use.

use std::time::Duration;

use clap::Args;
use nodeos_spec::application::message::Stats;
use serde_json::{Value, json};

use crate::machines::connection::{self, Frames};
use crate::machines::find::{self, Running};
use crate::machines::names::Name;
use crate::machines::protocol::{ClientMessage, HostStats, MonitorMessage};
use crate::machines::state::Machines;
use crate::output::errors::Failure;
use crate::output::streams::Streams;
use crate::output::{size, table};

/// How long a machine may take to answer. One that is emulated on a busy host needs a fraction of a second.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Show what machines use of their memory and of their host
///
/// CPU is the processor time of the application since its start, and HOST CPU that of the whole machine. MEMORY is what the application
/// has now, of what it can have; HOST MEMORY is what the machine takes of this host, with what it shares with other machines
/// divided among them.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the numbers as JSON: bytes, microseconds of the application's processor time, seconds of the host's
    #[arg(long)]
    pub json: bool,
    /// Which ones; all that run, without a name
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// Asks them all, and prints what they say.
pub fn run(arguments: &Arguments, streams: &mut Streams) -> Result<(), Failure> {
    let machines = Machines::of_user()?;
    let mut running = Vec::new();
    if arguments.names.is_empty() {
        for known in find::all(&machines)? {
            let is_up = known.record.ended.is_none() && known.record.running_after_ms.is_some();
            if let Some(connection) = known.connection.filter(|_| is_up) {
                running.push(Running {
                    name: known.folder.name,
                    record: known.record,
                    connection,
                });
            }
        }
    }
    for name in &arguments.names {
        running.push(find::running(&machines, name)?);
    }
    let mut answers = Vec::new();
    for machine in running {
        connection::say(&machine.connection, &ClientMessage::Stats)?;
        // One that has ended just now has no answer.
        answers.extend(answer(machine)?);
    }
    if arguments.json {
        let list: Vec<Value> = answers
            .iter()
            .map(|(name, machine, host)| json!({"name": name.as_str(), "machine": machine, "host": host}))
            .collect();
        return Ok(streams.print_json(&list)?);
    }
    let head = [
        "NAME",
        "CPU",
        "MEMORY",
        "LIMIT",
        "PROCESSES",
        "RECEIVED",
        "SENT",
        "HOST CPU",
        "HOST MEMORY",
    ];
    let rows: Vec<Vec<String>> = std::iter::once(head.map(str::to_owned).to_vec())
        .chain(answers.iter().map(row))
        .collect();
    let right = [false, true, true, true, true, true, true, true, true];
    Ok(streams.print(&table::render(&right, &rows))?)
}

fn answer(machine: Running) -> Result<Option<(Name, Stats, HostStats)>, Failure> {
    let mut frames = Frames::new(machine.connection);
    loop {
        match frames.next_message(ANSWER_WITHIN)? {
            Some(MonitorMessage::Stats {
                machine: stats,
                host,
            }) => return Ok(Some((machine.name, stats, host))),
            Some(MonitorMessage::Over { .. }) | None => return Ok(None),
            Some(_) => {}
        }
    }
}

fn row((name, machine, host): &(Name, Stats, HostStats)) -> Vec<String> {
    vec![
        name.to_string(),
        size::duration(Duration::from_micros(machine.cpu_us)),
        size::bytes(machine.memory),
        size::bytes(machine.memory_limit),
        machine.processes.to_string(),
        size::bytes(machine.received),
        size::bytes(machine.sent),
        size::duration(Duration::from_secs_f64(host.cpu_seconds)),
        size::bytes(host.memory),
    ]
}
