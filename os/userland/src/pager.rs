//! Long texts on a terminal: through a pager where they do not fit on the screen.

use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};

use rustix::termios;
use thiserror::Error;

use crate::applet::{Call, Stop};
use crate::markdown::{self, Look};

/// What shows a text screen by screen. `-R` lets it pass the looks of letters.
const PAGER: [&str; 2] = ["less", "-R"];

/// Where there is no terminal, or one that does not tell.
const USUAL_COLUMNS: usize = 80;

/// The pager could not be handed the text.
#[derive(Debug, Error)]
#[error("cannot hand the text to {}", PAGER[0])]
struct PageError(#[source] io::Error);

/// Prints Markdown: laid out for the terminal, or for 80 columns where the output goes elsewhere.
pub(crate) fn print(call: &mut Call<'_>, text: &str) -> Result<(), Stop> {
    let stdout = io::stdout();
    let size = termios::tcgetwinsize(&stdout)
        .ok()
        .filter(|_| stdout.is_terminal());
    let Some(size) = size else {
        call.out
            .write_all(markdown::render(text, USUAL_COLUMNS, Look::Plain).as_bytes())?;
        return Ok(());
    };
    let columns = match size.ws_col {
        0 => USUAL_COLUMNS,
        columns => columns.into(),
    };
    let page = markdown::render(text, columns, Look::Styled);
    if size.ws_row == 0 || page.lines().count() < size.ws_row.into() {
        call.out.write_all(page.as_bytes())?;
        return Ok(());
    }
    match through_pager(&page) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            call.out.write_all(page.as_bytes())?;
            Ok(())
        }
        result => result.map_err(|error| Stop::failed(PageError(error))),
    }
}

fn through_pager(page: &str) -> io::Result<()> {
    let [program, option] = PAGER;
    let mut pager = Command::new(program)
        .arg(option)
        .stdin(Stdio::piped())
        .spawn()?;
    let written = match pager.stdin.take() {
        Some(mut stdin) => stdin.write_all(page.as_bytes()),
        None => Ok(()),
    };
    pager.wait()?;
    match written {
        // Whoever has read enough leaves the pager before the end.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
