//! `utilities`: the commands of a Unix system in one program, chosen by the name it is called with.
//!
//! Most are kept Rust programs used as libraries: uutils' coreutils, findutils, grep, sed and diffutils, and minus as the pager, kibi as the editor.
//! What is ours is small: `tar`, `curl`, `ps`, `free` and `dmesg`. The names are in [`applets::APPLETS`] and nowhere else.

#![forbid(unsafe_code)]

pub mod applets;
mod curl;
mod dmesg;
mod editor;
mod free;
mod kept;
mod names;
mod pager;
mod processes;
mod request;
mod tar;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use applets::APPLETS;

/// The name under which an applet is an argument: `utilities ls`.
const PROGRAM: &str = "utilities";
const USAGE_FAILED: i32 = 2;
const UNKNOWN: i32 = 127;

/// The whole program: takes the arguments with the program's own name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let called = args.first().map_or_else(String::new, base);
    let code = if called == PROGRAM {
        // What fails is named `utilities ls` then.
        uucore::set_utility_is_second_arg();
        args.remove(0);
        match args.first().map(|name| name.to_string_lossy().into_owned()) {
            None => complain(
                &format!("usage: {PROGRAM} NAME [ARGUMENT]..., or --list"),
                USAGE_FAILED,
            ),
            Some(option) if option == "--list" => list(),
            Some(option) if option == "--help" => list(),
            Some(name) => applet(&name, args),
        }
    } else {
        applet(&called, args)
    };
    let code = match std::io::stdout().flush() {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => code.max(1),
        _ => code,
    };
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1))
}

/// The last part of the name that the program is called with; a login shell's dash does not belong to it.
fn base(name: &OsString) -> String {
    let name = Path::new(name).file_name().unwrap_or(name);
    name.to_string_lossy().trim_start_matches('-').to_owned()
}

fn applet(name: &str, args: Vec<OsString>) -> i32 {
    let Some(applet) = applets::find(name) else {
        return complain(
            &format!("{PROGRAM}: there is no applet {name}; --list names them"),
            UNKNOWN,
        );
    };
    // Who writes where nobody reads ends without a word, as everywhere in Unix. Where this cannot be had, the applets report it.
    let _ = uucore::signals::enable_pipe_errors();
    (applet.main)(args)
}

fn list() -> i32 {
    let names: String = APPLETS
        .iter()
        .flat_map(|applet| [applet.name, "\n"])
        .collect();
    // A closed pipe is the reader's wish.
    let _ = std::io::stdout().write_all(names.as_bytes());
    0
}

fn complain(text: &str, code: i32) -> i32 {
    // Where standard error is closed, the exit code has to say it.
    let _ = writeln!(std::io::stderr(), "{text}");
    code
}

/// An error with all its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
