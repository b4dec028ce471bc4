//! The command line of `svc`.

use std::ffi::OsString;

use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt;
use nodeos_spec::control::Command;
use thiserror::Error;

pub(super) const HELP: &str = "\
Usage: svc COMMAND

Lists, starts and stops your services, which /etc/palmtree.json describes.

Commands:
  list                      Show every service and how it is
  start NAME                Start a service
  stop NAME                 Stop a service, and wait until it has ended
  restart NAME              Stop a service if it runs, and start it
  logs [-n N] [-f] NAME     Show what a service wrote last
  reload                    Read /etc/palmtree.json again, and do what has changed in it

Options of logs:
  -n, --lines N  Show so many lines, 20 if not given
  -f, --follow   Go on with what the service writes from now on

The names palmtree and init stand for the logs of palmtree itself and of /init.

Options:
  -h, --help     Show this
  -V, --version  Show the version

The exit code is 0 when it is done, 1 when it failed, 2 when the command line is wrong.
";

/// What a screen shows beside the command itself.
const DEFAULT_LINES: u64 = 20;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Options {
    Help,
    Version,
    Ask(Command),
}

#[derive(Debug, Error)]
pub(super) enum ParseOptionsError {
    #[error("there is no command")]
    NoCommand,
    #[error("there is no command {0}")]
    UnknownCommand(String),
    #[error("{0} needs the name of a service")]
    NoName(String),
    #[error("{0} is only for logs")]
    OnlyForLogs(&'static str),
    #[error(transparent)]
    Word(#[from] lexopt::Error),
}

/// What stands there, whatever it means together.
#[derive(Default)]
struct Raw {
    command: Option<String>,
    name: Option<String>,
    lines: Option<u64>,
    follow: bool,
}

pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Result<Options, ParseOptionsError> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut raw = Raw::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Options::Help),
            Short('V') | Long("version") => return Ok(Options::Version),
            Short('n') | Long("lines") => raw.lines = Some(parser.value()?.parse()?),
            Short('f') | Long("follow") => raw.follow = true,
            Value(value) if raw.command.is_none() => raw.command = Some(value.string()?),
            Value(value) if raw.name.is_none() && raw.takes_name() => {
                raw.name = Some(value.string()?);
            }
            _ => return Err(argument.unexpected().into()),
        }
    }
    raw.command().map(Options::Ask)
}

impl Raw {
    fn takes_name(&self) -> bool {
        let command = self.command.as_deref();
        matches!(command, Some("start" | "stop" | "restart" | "logs"))
    }

    fn command(self) -> Result<Command, ParseOptionsError> {
        let word = self.command.ok_or(ParseOptionsError::NoCommand)?;
        if word != "logs" {
            if self.lines.is_some() {
                return Err(ParseOptionsError::OnlyForLogs("--lines"));
            }
            if self.follow {
                return Err(ParseOptionsError::OnlyForLogs("--follow"));
            }
        }
        let name =
            |given: Option<String>| given.ok_or_else(|| ParseOptionsError::NoName(word.clone()));
        Ok(match word.as_str() {
            "list" => Command::List,
            "reload" => Command::Reload,
            "start" => Command::Start {
                name: name(self.name)?,
            },
            "stop" => Command::Stop {
                name: name(self.name)?,
            },
            "restart" => Command::Restart {
                name: name(self.name)?,
            },
            "logs" => Command::Logs {
                name: name(self.name)?,
                lines: self.lines.unwrap_or(DEFAULT_LINES),
                follow: self.follow,
            },
            _ => return Err(ParseOptionsError::UnknownCommand(word)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, ParseOptionsError> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn every_command_is_understood() {
        let name = || "web".to_owned();
        let check = |line: &str, expected: Command| {
            assert_eq!(parsed(line).unwrap(), Options::Ask(expected), "{line}");
        };
        check("list", Command::List);
        check("reload", Command::Reload);
        check("start web", Command::Start { name: name() });
        check("stop web", Command::Stop { name: name() });
        check("restart -- web", Command::Restart { name: name() });
        let logs = |lines, follow| Command::Logs {
            name: name(),
            lines,
            follow,
        };
        check("logs web", logs(20, false));
        check("logs -fn5 web", logs(5, true));
        check("logs web --lines=0 --follow", logs(0, true));
        assert_eq!(parsed("stop --help").unwrap(), Options::Help);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |line: &str, expected: &str| {
            assert_eq!(parsed(line).unwrap_err().to_string(), expected, "{line}");
        };
        check("", "there is no command");
        check("lost", "there is no command lost");
        check("stop", "stop needs the name of a service");
        check("list web", "unexpected argument \"web\"");
        check("stop web db", "unexpected argument \"db\"");
        check("stop -f web", "--follow is only for logs");
        check("list -n 5", "--lines is only for logs");
        check(
            "logs -n x web",
            "cannot parse argument \"x\": invalid digit found in string",
        );
        check("logs -x web", "invalid option '-x'");
    }
}
