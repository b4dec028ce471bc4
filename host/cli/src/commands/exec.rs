//! `nodeos exec`: a command in a machine, beside its application.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};

use clap::Args;
use nodeos_spec::application::message::Terminal as Window;
use nodeos_vm::terminal::Terminal;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use thiserror::Error;

use crate::exit::Exit;
use crate::host_vm::console_size;
use crate::machines::command::{self, Ended};
use crate::machines::connection;
use crate::machines::conversation::{Conversation, Happening, Lent};
use crate::machines::find;
use crate::machines::protocol::ClientMessage;
use crate::machines::state::Machines;
use crate::output::errors::Failure;
use crate::output::streams::Streams;

/// What `TERM` is where it is not set: the least that a terminal is.
const PLAIN_TERM: &str = "dumb";

/// A terminal whose size nobody knows has this one, as terminals once had.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// Run a command in a machine, beside its application and as the same user
///
/// A machine has no shell: the command is a program and its arguments, such as `node -p 'process.memoryUsage()'`. Its output
/// is passed on as it is, and its exit code is this command's: 126 and 127 are what env(1) ends with where a program cannot be run
/// or is not there, and 125 says that something else is in the way.
///
/// `nodeos exec -it NAME node` is Node.js's prompt in the machine.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Pass on standard input
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command a terminal, which is this one
    #[arg(short, long)]
    pub tty: bool,
    /// Give the command this variable, beside those of the application
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = crate::env_file::parse_variable)]
    pub variables: Vec<(String, String)>,
    /// Which machine: a name, or the beginning of one
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The program and its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub command: Vec<String>,
}

/// There is no terminal to give.
#[derive(Debug, Error)]
#[error("standard input is not a terminal")]
struct NoTerminalError;

/// Lends the command this process's streams, and ends as it does.
pub fn run(arguments: &Arguments, streams: &mut Streams) -> Result<Exit, Failure> {
    let terminal = arguments.tty.then(window);
    if arguments.tty && arguments.interactive && !io::stdin().is_terminal() {
        let hint = "leave -t away: then input is passed on as it is".to_owned();
        return Err(Failure::new(NoTerminalError)
            .exit(Exit::Program(command::OTHER))
            .hint(Some(hint)));
    }
    let running = find::running(&Machines::of_user()?, &arguments.name)
        .map_err(|failure| failure.exit(Exit::Program(command::OTHER)))?;
    let order = ClientMessage::Run {
        argv: arguments.command.clone(),
        env: arguments
            .variables
            .iter()
            .cloned()
            .collect::<BTreeMap<_, _>>(),
        terminal,
    };
    connection::say(&running.connection, &order)?;
    // Restored when dropped, whatever happens.
    let _terminal = (arguments.tty && arguments.interactive).then(raw).flatten();
    let stdin = io::stdin();
    let lent = Lent {
        stdin: arguments.interactive.then(|| Box::new(stdin) as _),
        stdout: std::mem::replace(&mut streams.out, Box::new(io::sink())),
        stderr: Box::new(streams.err.clone()),
    };
    let signals = [SIGINT, SIGTERM, SIGHUP, SIGWINCH];
    let conversation =
        Conversation::begin(running.connection, lent, &signals).map_err(Failure::new)?;
    let ended = command::follow(conversation, |happening, conversation| {
        let Happening::Signal(signal) = happening else {
            return Ok(());
        };
        match *signal {
            SIGWINCH => match console_size().filter(|_| arguments.tty) {
                Some((columns, rows)) => {
                    conversation.say(&ClientMessage::WindowSize { columns, rows })
                }
                None => Ok(()),
            },
            // Under a raw terminal Ctrl-C is a letter; a signal comes from somebody else then.
            signal => conversation.say(&ClientMessage::Signal { signal }),
        }
    })?;
    match ended {
        Ended::How(how) => Ok(Exit::Program(how.exit_code())),
        Ended::Deaf => Ok(Exit::Done),
    }
}

/// What the command's terminal is to be like.
fn window() -> Window {
    let (columns, rows) = console_size().unwrap_or(USUAL_SIZE);
    let term = std::env::var("TERM").ok().filter(|term| !term.is_empty());
    Window {
        columns,
        rows,
        term: term.unwrap_or_else(|| PLAIN_TERM.to_owned()),
    }
}

/// Has every key come as it is pressed, until the value is dropped.
fn raw() -> Option<Terminal> {
    let before = Terminal::save()?;
    let mut settings = tcgetattr(io::stdin()).ok()?;
    settings.make_raw();
    tcsetattr(io::stdin(), OptionalActions::Drain, &settings).ok()?;
    Some(before)
}
