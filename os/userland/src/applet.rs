//! Which program is called, and how each of them ends.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use thiserror::Error;

use crate::table::{self, APPLETS};

/// The name under which every other is reached: `userland NAME`.
const OWN_NAME: &str = "userland";

/// Exit codes, the same for all.
pub(crate) const DONE: u8 = 0;
const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

const HELP: &str = "\
Usage: userland NAME [ARGUMENT]...
       userland --list

Runs one of the programs below. Called by the name of one of them, it is that program.

Options:
  --list     Show the names alone, one a line
  --help     Show this
  --version  Show the version

Programs:
";

/// How a program is called: its name, its arguments, and where its results and its narration go.
pub(crate) struct Call<'a> {
    pub(crate) name: &'static str,
    pub(crate) args: Vec<OsString>,
    pub(crate) out: &'a mut dyn Write,
    pub(crate) err: &'a mut dyn Write,
}

/// Why a program ends before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was asked what it is.
    Help,
    /// It was called in a wrong way.
    Usage(UsageError),
    /// It could not do what it was asked for.
    Failed {
        error: Box<dyn Error>,
        hint: Option<String>,
    },
    /// Nobody reads its results any more, which is no failure.
    ClosedPipe,
}

/// What is wrong with the arguments.
#[derive(Debug, Error)]
pub(crate) enum UsageError {
    #[error(transparent)]
    Option(lexopt::Error),
    #[error("{what} is missing")]
    Missing { what: &'static str },
    #[error("there is one argument too many: {}", argument.display())]
    Extra { argument: OsString },
    #[error("{} is no {what}", argument.display())]
    Word {
        what: &'static str,
        argument: OsString,
    },
    #[error("{first} and {second} cannot be given together")]
    Conflict {
        first: &'static str,
        second: &'static str,
    },
}

#[derive(Debug, Error)]
#[error("cannot write the output")]
struct WriteOutputError(#[source] io::Error);

/// Runs the program that the first of the arguments names, and returns its exit code.
pub fn run(args: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let mut args = args.into_iter();
    let called = args.next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default();
    let (applet, args) = match table::find(name) {
        Some(applet) => (applet, args.collect()),
        None => match args.next() {
            Some(name) => match table::find(&name) {
                Some(applet) => (applet, args.collect()),
                None => return end(OWN_NAME, HELP, own(&name, out), out, err),
            },
            None => {
                return end(
                    OWN_NAME,
                    HELP,
                    Err(Stop::missing("the name of a program")),
                    out,
                    err,
                );
            }
        },
    };
    let mut call = Call {
        name: applet.name,
        args,
        out,
        err,
    };
    let result = (applet.run)(&mut call);
    end(applet.name, applet.help, result, out, err)
}

/// What this program itself is asked.
fn own(option: &std::ffi::OsStr, out: &mut dyn Write) -> Result<u8, Stop> {
    match option.to_str() {
        Some("--help") => Err(Stop::Help),
        Some("--list") => {
            for applet in APPLETS {
                writeln!(out, "{}", applet.name)?;
            }
            Ok(DONE)
        }
        Some("--version") => {
            writeln!(out, "userland (NodeOS) {}", env!("CARGO_PKG_VERSION"))?;
            Ok(DONE)
        }
        _ => Err(Stop::Usage(UsageError::Word {
            what: "program of userland",
            argument: option.to_owned(),
        })),
    }
}

/// Says how it ended, where there is something to say, and returns the exit code.
fn end(
    name: &str,
    help: &str,
    result: Result<u8, Stop>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let result = result.and_then(|code| Ok(out.flush().map(|()| code)?));
    let stop = match result {
        Ok(code) => return code,
        Err(Stop::Help) => match print_help(name, help, out) {
            Ok(()) => return DONE,
            Err(error) => Stop::from(error),
        },
        Err(stop) => stop,
    };
    // Where standard error is closed too, the exit code alone has to say it.
    let _ = say(name, &stop, err);
    match stop {
        Stop::Help | Stop::ClosedPipe => DONE,
        Stop::Usage(_) => WRONG_USAGE,
        Stop::Failed { .. } => FAILED,
    }
}

fn print_help(name: &str, help: &str, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(help.as_bytes())?;
    if name == OWN_NAME {
        for applet in APPLETS {
            writeln!(out, "  {:<10} {}", applet.name, applet.summary)?;
        }
    }
    out.flush()
}

fn say(name: &str, stop: &Stop, err: &mut dyn Write) -> io::Result<()> {
    match stop {
        Stop::Help | Stop::ClosedPipe => Ok(()),
        Stop::Usage(error) => {
            writeln!(err, "error: {name}: {error}")?;
            writeln!(err, "hint: {name} --help shows what it takes")
        }
        Stop::Failed { error, hint } => {
            writeln!(err, "error: {error}")?;
            let mut cause = error.source();
            while let Some(error) = cause {
                writeln!(err, "caused by: {}", in_words(&error.to_string()))?;
                cause = error.source();
            }
            match hint {
                Some(hint) => writeln!(err, "hint: {hint}"),
                None => Ok(()),
            }
        }
    }
}

/// What the system says, without the number that std puts behind the words.
fn in_words(text: &str) -> &str {
    let number = text.rfind(" (os error ").filter(|_| text.ends_with(')'));
    number.map_or(text, |at| &text[..at])
}

impl Stop {
    pub(crate) fn failed(error: impl Error + 'static) -> Stop {
        Stop::Failed {
            error: Box::new(error),
            hint: None,
        }
    }

    pub(crate) fn missing(what: &'static str) -> Stop {
        Stop::Usage(UsageError::Missing { what })
    }

    pub(crate) fn extra(argument: OsString) -> Stop {
        Stop::Usage(UsageError::Extra { argument })
    }

    pub(crate) fn word(what: &'static str, argument: impl Into<OsString>) -> Stop {
        Stop::Usage(UsageError::Word {
            what,
            argument: argument.into(),
        })
    }

    /// The same with the thing to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Stop {
        match self {
            Stop::Failed { error, .. } => Stop::Failed {
                error,
                hint: Some(hint.into()),
            },
            stop => stop,
        }
    }
}

impl From<lexopt::Error> for Stop {
    fn from(error: lexopt::Error) -> Stop {
        Stop::Usage(UsageError::Option(error))
    }
}

impl From<io::Error> for Stop {
    /// Only writing results ends in a bare error: everything else has a name.
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::ClosedPipe,
            _ => Stop::failed(WriteOutputError(error)),
        }
    }
}

impl Call<'_> {
    /// Its arguments, to be read one after the other.
    pub(crate) fn parser(&mut self) -> lexopt::Parser {
        lexopt::Parser::from_args(std::mem::take(&mut self.args))
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("name", &self.name)
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}

/// What a call prints, for tests: its exit code, its results, and its narration.
#[cfg(test)]
pub(crate) fn try_run(args: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(
        args.iter().map(OsString::from).collect(),
        &mut out,
        &mut err,
    );
    let text = |bytes| String::from_utf8(bytes).expect("what is printed is text");
    (code, text(out), text(err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_explains_itself_by_both_names() {
        for applet in APPLETS {
            let (code, out, err) = try_run(&[&format!("/bin/{}", applet.name), "--help"]);
            assert_eq!((code, err.as_str()), (DONE, ""), "{}", applet.name);
            assert!(out.starts_with(&format!("Usage: {}", applet.name)), "{out}");
            assert!(out.contains("--help"), "{out}");
            assert_eq!(try_run(&["userland", applet.name, "--help"]).1, out);
        }
    }

    #[test]
    fn every_program_refuses_an_option_that_it_does_not_know() {
        for applet in APPLETS {
            let (code, out, err) = try_run(&[applet.name, "--frobnicate"]);
            assert_eq!((code, out.as_str()), (WRONG_USAGE, ""), "{}", applet.name);
            let hint = format!("hint: {} --help shows what it takes\n", applet.name);
            assert!(
                err.contains("--frobnicate") && err.ends_with(&hint),
                "{err}"
            );
        }
    }

    #[test]
    fn names_are_in_order_and_listed_one_a_line() {
        let names: Vec<&str> = APPLETS.iter().map(|applet| applet.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        let (code, out, _) = try_run(&["userland", "--list"]);
        assert_eq!((code, out), (DONE, names.join("\n") + "\n"));
    }

    #[test]
    fn what_is_no_program_is_refused_by_name() {
        let check = |args: &[&str], expected: &str| {
            let (code, _, err) = try_run(args);
            assert_eq!(code, WRONG_USAGE);
            assert_eq!(
                err,
                format!("error: userland: {expected}\nhint: userland --help shows what it takes\n")
            );
        };
        check(&["userland"], "the name of a program is missing");
        check(&["userland", "gety"], "gety is no program of userland");
        check(&["/bin/other", "-x"], "-x is no program of userland");
    }

    #[test]
    fn a_closed_pipe_is_silent_success() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut err = Vec::new();
        let args = ["userland", "--list"].map(OsString::from).to_vec();
        assert_eq!(run(args, &mut Closed, &mut err), DONE);
        assert!(err.is_empty());
    }
}
