//! `edit`: kibi, on one file.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use kibi::{Config, Editor, Error};

use crate::complain;

const HELP: &str = "\
Usage: edit [FILE]

A text editor. Ctrl-S saves, Ctrl-Q quits, Ctrl-F finds, Ctrl-G goes to a line, Ctrl-D duplicates one, Ctrl-C copies,
Ctrl-X cuts, Ctrl-V pastes, Ctrl-E runs a command and inserts what it says.
";
const USAGE_FAILED: i32 = 2;

pub(crate) fn run(args: Vec<OsString>) -> i32 {
    let file = match &args[1..] {
        [] => None,
        [option] if option == "--help" => {
            // A closed pipe is the reader's wish.
            let _ = io::stdout().write_all(HELP.as_bytes());
            return 0;
        }
        [file] => match file.to_str() {
            Some(file) => Some(file),
            None => return complain("edit: the file's name is not UTF-8", USAGE_FAILED),
        },
        _ => return complain(HELP.trim_end(), USAGE_FAILED),
    };
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return complain("edit: it needs a terminal", 1);
    }
    // The editor puts the terminal back when it is dropped, before anything is said.
    let result = Editor::new(Config::load()).and_then(|mut editor| editor.run(file));
    match result {
        Ok(()) => 0,
        Err(Error::Io(error)) => complain(&format!("edit: {error}"), 1),
        Err(Error::InvalidWindowSize | Error::CursorPosition) => {
            complain("edit: the terminal does not say how large it is", 1)
        }
        Err(error) => complain(&format!("edit: {error:?}"), 1),
    }
}
