//! `nodeos user`: adds, removes and changes the users of a users partition, by booting it in administrator mode.
//!
//! So it needs no root on this host, and what happens is what the machine's own commands do.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use nodeos_build::assemble;
use nodeos_build::recipe::{Layer, Recipe};
use thiserror::Error;

use crate::administrator::{self, Order};
use crate::arguments::Global;
use crate::output::errors::Failure;
use crate::output::streams::Streams;

/// List and change the users of a users partition
///
/// Boots the image in administrator mode, which takes some seconds, and has the system's own commands do it. The image must
/// not be in use by a running machine.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    pub action: Action,
    /// The image of the users partition [default: the one of the mainframe in the folder out]
    #[arg(long, global = true, value_name = "FILE")]
    pub image: Option<PathBuf>,
}

/// What to do with the users.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the users: name, number, and how they log in
    List {
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a user, with the skeleton's files in the home
    Add {
        /// The user's name
        name: String,
        /// The user's number; otherwise the first free one from 1000 on
        #[arg(long, value_name = "NUMBER")]
        uid: Option<u32>,
        /// What runs after logging in, instead of /bin/sh
        #[arg(long, value_name = "PROGRAM")]
        shell: Option<String>,
        /// Whoever knows the name may log in
        #[arg(long, conflicts_with_all = ["non_interactive", "password_stdin"])]
        no_password: bool,
        /// Nobody logs in; the user's services run all the same
        #[arg(long, conflicts_with = "password_stdin")]
        non_interactive: bool,
        /// Take the password from the first line of standard input, instead of asking
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove a user and all files of the home
    Remove {
        /// The user's name
        name: String,
        /// Keep the files, in a folder beside the homes that belongs to no user
        #[arg(long)]
        keep_home: bool,
    },
    /// Set a user's password
    Passwd {
        /// The user's name
        name: String,
        /// Take the password from the first line of standard input, instead of asking
        #[arg(long)]
        password_stdin: bool,
    },
    /// Lock a user out, whatever the password
    Lock {
        /// The user's name
        name: String,
    },
    /// Let a locked user in again
    Unlock {
        /// The user's name
        name: String,
    },
}

/// Why there is no password.
#[derive(Debug, Error)]
enum GetPasswordError {
    #[error("cannot ask for a password")]
    Ask(#[source] io::Error),
    #[error("cannot read a password from standard input")]
    Read(#[source] io::Error),
    #[error("the two passwords differ")]
    Differ,
    #[error("standard input is not a terminal on which a password could be asked")]
    NoTerminal,
}

/// The machine's own command has said what is wrong, in the same form as we do: causes and hint are lines of it.
#[derive(Debug, Error)]
#[error("{said}")]
struct CommandFailedError {
    said: String,
}

/// Asks for what is missing, boots, and passes on what the machine says.
pub fn run(arguments: &Arguments, global: &Global, streams: &mut Streams) -> Result<(), Failure> {
    let image = arguments.image.clone().unwrap_or_else(|| {
        let recipe = Recipe {
            layer: Layer::Usersfs,
            ..Recipe::BAREBONES
        };
        assemble::output_paths(&recipe, "out".as_ref()).users
    });
    administrator::check_image(&image)?;
    let order = order(&arguments.action)?;
    let ended = administrator::run(&image, &order, global, streams)?;
    if ended.code != 0 {
        let said = ended.stderr.trim_end();
        let said = said.strip_prefix("error: ").unwrap_or(said).to_owned();
        return Err(Failure::new(CommandFailedError { said }));
    }
    for line in ended.stderr.lines() {
        streams.err.line(line);
    }
    Ok(streams.print(&ended.stdout)?)
}

/// The command of the machine's that does it.
fn order(action: &Action) -> Result<Order, Failure> {
    let mut input = String::new();
    let mut argv: Vec<String> = Vec::new();
    let mut word = |text: &str| argv.push(text.to_owned());
    match action {
        Action::List { json } => {
            word("users");
            if *json {
                word("--json");
            }
        }
        Action::Add {
            name,
            uid,
            shell,
            no_password,
            non_interactive,
            password_stdin,
        } => {
            word("useradd");
            if let Some(uid) = uid {
                word("--uid");
                word(&uid.to_string());
            }
            if let Some(shell) = shell {
                word("--shell");
                word(shell);
            }
            match (no_password, non_interactive) {
                (true, _) => word("--no-password"),
                (_, true) => word("--non-interactive"),
                _ => {
                    word("--password-stdin");
                    input = password(*password_stdin)?;
                }
            }
            word("--");
            word(name);
        }
        Action::Remove { name, keep_home } => {
            word("userdel");
            if *keep_home {
                word("--keep-home");
            }
            word("--");
            word(name);
        }
        Action::Passwd {
            name,
            password_stdin,
        } => {
            ["passwd", "--stdin", "--", name].into_iter().for_each(word);
            input = password(*password_stdin)?;
        }
        Action::Lock { name } => {
            ["usermod", "--lock", "--", name].into_iter().for_each(word);
        }
        Action::Unlock { name } => {
            ["usermod", "--unlock", "--", name]
                .into_iter()
                .for_each(word);
        }
    }
    Ok(Order { argv, input })
}

/// A line with the password. Whether it is fit to be one the machine decides.
fn password(from_stdin: bool) -> Result<String, Failure> {
    if from_stdin {
        // More than a line is nobody's password, and a machine takes no more than this.
        let mut text = String::new();
        io::stdin()
            .lock()
            .take(4096)
            .read_to_string(&mut text)
            .map_err(|error| Failure::new(GetPasswordError::Read(error)))?;
        let line = text.lines().next().unwrap_or_default();
        return Ok(format!("{line}\n"));
    }
    if !io::stdin().is_terminal() {
        let hint = "give --password-stdin to pass it on standard input".to_owned();
        return Err(Failure::new(GetPasswordError::NoTerminal).hint(Some(hint)));
    }
    let ask = |question| {
        rpassword::prompt_password(question)
            .map_err(|error| Failure::new(GetPasswordError::Ask(error)))
    };
    let first = ask("new password: ")?;
    if first != ask("the same once more: ")? {
        return Err(Failure::new(GetPasswordError::Differ));
    }
    Ok(format!("{first}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_is_a_command_of_the_machine() {
        let check = |action: Action, expected: &str| {
            assert_eq!(order(&action).unwrap().argv.join(" "), expected);
        };
        let name = || "ada".to_owned();
        check(Action::List { json: true }, "users --json");
        check(
            Action::Add {
                name: name(),
                uid: Some(7),
                shell: Some("/bin/node".to_owned()),
                no_password: true,
                non_interactive: false,
                password_stdin: false,
            },
            "useradd --uid 7 --shell /bin/node --no-password -- ada",
        );
        check(
            Action::Remove {
                name: name(),
                keep_home: true,
            },
            "userdel --keep-home -- ada",
        );
        check(Action::Lock { name: name() }, "usermod --lock -- ada");
        check(Action::Unlock { name: name() }, "usermod --unlock -- ada");
    }
}
