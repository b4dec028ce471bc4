//! `nodeos ps`: which machines there are.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::machines::ending;
use crate::machines::find::{self, Known};
use crate::machines::record::now_ms;
use crate::machines::state::Machines;
use crate::output::errors::Failure;
use crate::output::streams::Streams;
use crate::output::{size, table};

/// List the machines that `nodeos run` has started
///
/// Those that run, whichever terminal they were started from, and however that ended.
#[derive(Debug, Args)]
pub struct Arguments {
    /// List those that have ended, too
    ///
    /// What was started with --detach is kept after its end, with what it wrote, until `nodeos rm` forgets it or another
    /// machine gets its name.
    #[arg(short, long)]
    pub all: bool,
    /// Print the list as JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the list.
pub fn run(arguments: &Arguments, streams: &mut Streams) -> Result<(), Failure> {
    let known = find::all(&Machines::of_user()?)?;
    for lost in known.iter().filter(|known| known.was_lost) {
        let name = &lost.folder.name;
        streams.err.line(&format!(
            "note: {name} has ended: its monitor was killed, and the machine with it"
        ));
    }
    let shown = |known: &&Known| arguments.all || known.record.ended.is_none();
    let known: Vec<&Known> = known.iter().filter(shown).collect();
    if arguments.json {
        let list: Vec<Value> = known.iter().map(|known| as_json(known)).collect();
        return Ok(streams.print_json(&list)?);
    }
    let head = ["NAME", "STATE", "FOR", "MEMORY", "PORTS", "WHAT"].map(str::to_owned);
    let now = now_ms();
    let rows: Vec<Vec<String>> = std::iter::once(head.to_vec())
        .chain(known.iter().map(|known| row(known, now)))
        .collect();
    let right = [false, false, false, true, false, false];
    Ok(streams.print(&table::render(&right, &rows))?)
}

/// What a machine does, in a word or a few.
fn state(known: &Known) -> String {
    let record = &known.record;
    match &record.ended {
        Some(ended) => ending::in_short(&ended.ending),
        None if record.ready_after_ms.is_some() => "ready".to_owned(),
        None if record.running_after_ms.is_some() => "running".to_owned(),
        None => "starting".to_owned(),
    }
}

fn row(known: &Known, now_ms: u64) -> Vec<String> {
    let record = &known.record;
    let since = record
        .ended
        .as_ref()
        .map_or(record.started_ms, |ended| ended.at_ms);
    let span = Duration::from_millis(now_ms.saturating_sub(since));
    let ports: Vec<String> = record
        .ports
        .iter()
        .map(|port| format!("{}:{}:{}", port.address, port.host, port.guest))
        .collect();
    vec![
        known.folder.name.to_string(),
        state(known),
        size::duration(span),
        format!("{}M", record.memory_mib),
        ports.join(" "),
        record.source.clone(),
    ]
}

fn as_json(known: &Known) -> Value {
    let mut value = json!(known.record);
    value["name"] = json!(known.folder.name.as_str());
    value["state"] = json!(state(known));
    value["folder"] = json!(known.folder.path);
    value
}
