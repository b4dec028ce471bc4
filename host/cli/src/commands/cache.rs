//! `nodeos cache`: what lies in the cache, and cleaning it.

use std::time::SystemTime;

use clap::{Args, Subcommand};
use nodeos_build::cache::{Kind, ListedEntry, State};
use serde_json::{Value, json};
use thiserror::Error;

use crate::arguments::one_of;
use crate::environment;
use crate::exit::Exit;
use crate::output::errors::Failure;
use crate::output::streams::Streams;
use crate::output::{size, table};

/// Show or clean what earlier builds left for later ones
///
/// The cache is $XDG_CACHE_HOME/nodeos, or $HOME/.cache/nodeos.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the cache.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List what lies in the cache, how large it is and what it is for
    List {
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove one kind of entries, or all
    ///
    /// What a running build uses is left alone.
    Clean {
        /// The kind to remove, as `nodeos cache list` names it
        #[arg(conflicts_with = "all", value_parser = one_of(Kind::ALL, Kind::as_str))]
        kind: Option<Kind>,
        /// Remove everything
        #[arg(long)]
        all: bool,
        /// Print what was removed as JSON
        #[arg(long)]
        json: bool,
    },
}

/// The command line names nothing to clean.
#[derive(Debug, Error)]
#[error("nothing to clean was named")]
struct NothingNamedError;

/// Lists or cleans.
pub fn run(arguments: &Arguments, streams: &mut Streams) -> Result<(), Failure> {
    match &arguments.action {
        Action::List { json } => list(*json, streams),
        Action::Clean {
            kind: None,
            all: false,
            ..
        } => {
            let kinds: Vec<String> = Kind::ALL.iter().map(Kind::to_string).collect();
            let hint = format!("name a kind ({}), or give --all", kinds.join(", "));
            Err(Failure::new(NothingNamedError)
                .exit(Exit::Usage)
                .hint(Some(hint)))
        }
        Action::Clean { kind, json, .. } => clean(*kind, *json, streams),
    }
}

fn list(json: bool, streams: &mut Streams) -> Result<(), Failure> {
    let entries = environment::cache()?.list()?;
    if json {
        streams.print_json(&as_json(&entries))?;
    } else {
        streams.print(&as_table(&entries, SystemTime::now()))?;
    }
    Ok(())
}

fn clean(kind: Option<Kind>, json: bool, streams: &mut Streams) -> Result<(), Failure> {
    let cleaned = environment::cache()?.clean(kind)?;
    if json {
        streams.print_json(&json!({
            "entries": cleaned.entries,
            "bytes": cleaned.bytes,
            "busy": cleaned.busy,
        }))?;
    } else {
        let plural = if cleaned.entries == 1 {
            "entry"
        } else {
            "entries"
        };
        streams.print(&format!(
            "{} {plural} removed, {} freed\n",
            cleaned.entries,
            size::bytes(cleaned.bytes)
        ))?;
    }
    for label in &cleaned.busy {
        streams.err.line(&format!(
            "note: {label} is in use by a running build and was left"
        ));
    }
    Ok(())
}

fn as_table(entries: &[ListedEntry], now: SystemTime) -> String {
    let heading = ["KIND", "SIZE", "AGE", "WHAT"].map(str::to_owned).to_vec();
    let mut rows = vec![heading];
    for entry in entries {
        // A file from the future is the work of a clock that was set back; it is new.
        let age = now.duration_since(entry.created).unwrap_or_default();
        let unfinished = if entry.state == State::Unfinished {
            " (unfinished)"
        } else {
            ""
        };
        let what = format!("{}{unfinished}", entry.label);
        rows.push(vec![
            entry.kind.to_string(),
            size::bytes(entry.bytes),
            size::age(age),
            what,
        ]);
    }
    let total = entries.iter().map(|entry| entry.bytes).sum();
    let plural = if entries.len() == 1 {
        "entry"
    } else {
        "entries"
    };
    rows.push(vec![
        "all".to_owned(),
        size::bytes(total),
        String::new(),
        format!("{} {plural}", entries.len()),
    ]);
    table::render(&[false, true], &rows)
}

fn as_json(entries: &[ListedEntry]) -> Value {
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |time| time.as_secs())
    };
    let list: Vec<Value> = entries
        .iter()
        .map(|entry| {
            json!({
                "kind": entry.kind.to_string(),
                "key": entry.key.as_str(),
                "label": entry.label,
                "bytes": entry.bytes,
                "createdUnixSeconds": seconds(entry.created),
                "complete": entry.state == State::Complete,
            })
        })
        .collect();
    json!({ "entries": list, "bytes": entries.iter().map(|entry| entry.bytes).sum::<u64>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodeos_build::cache::KeyHasher;
    use std::time::Duration;

    #[test]
    fn the_table_says_what_is_there_and_how_much_it_is() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let entry = |kind: Kind, label: &str, bytes: u64, age: u64, state: State| ListedEntry {
            kind,
            key: KeyHasher::new(label).finish(),
            label: label.to_owned(),
            bytes,
            created: now - Duration::from_secs(age),
            state,
        };
        let entries = [
            entry(
                Kind::Downloads,
                "linux-source-6.12",
                148_000_000,
                90_000,
                State::Complete,
            ),
            entry(
                Kind::Kernels,
                "linux 6.12.117 cloud",
                24_300_000,
                3_700,
                State::Unfinished,
            ),
        ];
        assert_eq!(
            as_table(&entries, now),
            "KIND           SIZE  AGE     WHAT\n\
             downloads  148.0 MB  1 day   linux-source-6.12\n\
             kernels     24.3 MB  1 hour  linux 6.12.117 cloud (unfinished)\n\
             all        172.3 MB          2 entries\n"
        );
        let list = as_json(&entries);
        assert_eq!(list["bytes"], 172_300_000);
        assert_eq!(list["entries"][1]["complete"], false);
        assert_eq!(list["entries"][0]["createdUnixSeconds"], 910_000);
    }
}
