//! `less`: minus, given a file or standard input.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};

use crate::{complain, describe};

const HELP: &str = "\
Usage: less [FILE]...

Shows text a screen at a time. Arrows, Page Up and Page Down move, / searches, n goes to the next match,
q ends.
";

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error("cannot read {name}")]
    Read {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot use the terminal")]
    Terminal(#[source] minus::MinusError),
}

pub(crate) fn run(args: Vec<OsString>) -> i32 {
    let (options, names): (Vec<OsString>, Vec<OsString>) = args
        .into_iter()
        .skip(1)
        .partition(|arg| arg.len() > 1 && arg.to_string_lossy().starts_with('-'));
    if options.iter().any(|option| option == "--help") {
        let _ = io::stdout().write_all(HELP.as_bytes());
        return 0;
    }
    // The other options are habits of another pager (`less -R`): what they ask for is always so, or does not matter.
    if names.is_empty() && io::stdin().is_terminal() {
        return complain(HELP.trim_end(), 2);
    }
    match show(&names) {
        Ok(()) => 0,
        Err(error) => complain(&format!("less: {}", describe(&error)), 1),
    }
}

fn show(names: &[OsString]) -> Result<(), PageError> {
    let mut text = Vec::new();
    if names.is_empty() {
        read("standard input", io::stdin().lock(), &mut text)?;
    }
    for name in names {
        let shown = name.to_string_lossy().into_owned();
        if name == "-" {
            read("standard input", io::stdin().lock(), &mut text)?;
        } else {
            let file = std::fs::File::open(name).map_err(|source| PageError::Read {
                name: shown.clone(),
                source,
            })?;
            read(&shown, file, &mut text)?;
        }
    }
    if !io::stdout().is_terminal() {
        // A closed pipe is the reader's wish.
        let _ = io::stdout().write_all(&text);
        return Ok(());
    }
    let pager = minus::Pager::new();
    let title = names
        .first()
        .map_or("standard input".into(), |name| name.to_string_lossy());
    pager.set_prompt(title).map_err(PageError::Terminal)?;
    pager
        .push_str(String::from_utf8_lossy(&text))
        .map_err(PageError::Terminal)?;
    minus::page_all(pager).map_err(PageError::Terminal)
}

fn read(name: &str, mut input: impl Read, text: &mut Vec<u8>) -> Result<(), PageError> {
    input.read_to_end(text).map_err(|source| PageError::Read {
        name: name.to_owned(),
        source,
    })?;
    Ok(())
}
