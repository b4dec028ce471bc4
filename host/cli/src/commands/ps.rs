//! `nodeos ps`: which machines there are.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::machines::ending;
use crate::machines::find::{self, Known};
use crate::machines::record::{Pause, Record, now_ms};
use crate::machines::state::Machines;
use crate::output::errors::Failure;
use crate::output::streams::Streams;
use crate::output::{size, table};

/// List the machines that `nodeos run` has started
///
/// Those that run, whichever terminal they were started from, and however that ended. An application is starting, then running, and
/// ready when it listens on its first port; one that has ended and is to be started again is shown with how it ended, and in JSON as
/// restarting, or as waiting for a change of its files.
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

/// What a machine does: a word, or how it ended.
fn state(record: &Record) -> String {
    match (&record.ended, &record.pause) {
        (Some(ended), _) => ending::in_short(&ended.ending),
        (None, Some(Pause { again_ms, .. })) if again_ms.is_some() => "restarting".to_owned(),
        (None, Some(_)) => "waiting".to_owned(),
        (None, None) if record.ready_after_ms.is_some() => "ready".to_owned(),
        (None, None) if record.running_after_ms.is_some() => "running".to_owned(),
        (None, None) => "starting".to_owned(),
    }
}

/// The same with how the application ended that is to be started again, and when it is.
fn state_at(record: &Record, now_ms: u64) -> String {
    let Some(Pause { ending, again_ms }) = record.pause.as_ref().filter(|_| record.ended.is_none())
    else {
        return state(record);
    };
    let how = ending::in_short(ending);
    match again_ms.map(|at| at.saturating_sub(now_ms)) {
        Some(0) => format!("{how}, restarts now"),
        Some(left) => {
            let left = size::duration(Duration::from_millis(left));
            format!("{how}, restarts in {left}")
        }
        None => format!("{how}, waits for a change"),
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
        state_at(record, now_ms),
        size::duration(span),
        format!("{}M", record.memory_mib),
        ports.join(" "),
        record.source.clone(),
    ]
}

fn as_json(known: &Known) -> Value {
    let mut value = json!(known.record);
    value["name"] = json!(known.folder.name.as_str());
    value["state"] = json!(state(&known.record));
    value["folder"] = json!(known.folder.path);
    value
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use nodeos_spec::application::message::End;

    use super::*;
    use crate::machines::protocol::Ending;
    use crate::machines::record::Mode;

    #[test]
    fn the_state_is_what_the_application_does_now() {
        let mut record = Record::new(".".to_owned(), Mode::Detached, PathBuf::new());
        let check = |record: &Record, json: &str, table: &str| {
            assert_eq!(state(record), json);
            assert_eq!(state_at(record, 10_000), table);
        };
        check(&record, "starting", "starting");
        record.running_after_ms = Some(1);
        check(&record, "running", "running");
        record.ready_after_ms = Some(2);
        check(&record, "ready", "ready");
        let ending = Ending::Application {
            how: End::Code(3),
            out_of_memory: false,
            memory_peak: 2,
            memory_limit: 1,
        };
        let pause = |again_ms| {
            let ending = ending.clone();
            Some(Pause { ending, again_ms })
        };
        record.pause = pause(Some(12_000));
        check(&record, "restarting", "exit code 3, restarts in 2.0 s");
        record.pause = pause(Some(9_000));
        check(&record, "restarting", "exit code 3, restarts now");
        record.pause = pause(None);
        check(&record, "waiting", "exit code 3, waits for a change");
        record.end(ending.clone(), 11_000);
        check(&record, "exit code 3", "exit code 3");
    }

    #[test]
    fn a_record_of_an_earlier_version_is_read() {
        let record = Record::new(".".to_owned(), Mode::Detached, PathBuf::new());
        let mut earlier = json!(record);
        for key in ["pause", "logGap"] {
            earlier.as_object_mut().unwrap().remove(key).unwrap();
        }
        assert_eq!(serde_json::from_value::<Record>(earlier).unwrap(), record);
    }
}
