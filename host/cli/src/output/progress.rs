//! Chooses how a build is narrated: bars on a terminal, lines anywhere else. The drawing is in `bars` and `lines`.

use std::sync::Arc;

use nodeos_build::progress::{Progress, Unit};

use crate::output::bars::Bars;
use crate::output::lines::Lines;
use crate::output::size;
use crate::output::streams::Streams;

/// Whether the commands that a build runs are shown (`-v`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commands {
    Shown,
    Hidden,
}

/// The narrator that suits where standard error goes.
pub fn narrator(streams: &Streams, commands: Commands) -> Arc<dyn Progress> {
    // A terminal that calls itself dumb cannot move its cursor back to redraw a bar.
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if streams.err_is_terminal && !is_dumb {
        Arc::new(Bars::new(commands, colour()))
    } else {
        Arc::new(Lines::new(streams.err.clone(), commands))
    }
}

/// Whether a drawing may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Yes,
    No,
}

/// What the user says about colours: any value of `NO_COLOR` but an empty one forbids them (<https://no-color.org>).
fn colour() -> Colour {
    match std::env::var_os("NO_COLOR") {
        Some(value) if !value.is_empty() => Colour::No,
        _ => Colour::Yes,
    }
}

/// A count with its unit: `12.3 MB`, `412 objects`.
pub fn amount(count: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => size::bytes(count),
        Unit::Objects => format!("{count} objects"),
    }
}
