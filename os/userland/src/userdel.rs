//! `userdel`: removes a user, with or without what was in the home.

use std::path::{Path, PathBuf};

use lexopt::Arg;
use nodeos_accounts::accounts::{self, Files};
use nodeos_spec::broker::{self, Reply, Request, SessionState};
use nodeos_spec::user::UserName;
use thiserror::Error;

use crate::applet::{Call, DONE, Stop};
use crate::broker::Broker;
use crate::homes;

pub(crate) const HELP: &str = "\
Usage: userdel [OPTION]... NAME

Removes a user and all files of the home. Only root in administrator mode may.

Options:
  --keep-home     Keep the files, in a folder beside the homes that belongs to no user
  --homes FOLDER  Where the homes are, instead of /home
  --help          Show this
";

#[derive(Debug, Error)]
#[error("the session of {name} is running in that home")]
struct RunningError {
    name: UserName,
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut parser = call.parser();
    let mut names = Vec::new();
    let mut files = Files::Remove;
    let mut folder: PathBuf = homes::default_folder();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") => return Err(Stop::Help),
            Arg::Long("keep-home") => files = Files::Keep,
            Arg::Long("homes") => folder = parser.value()?.into(),
            Arg::Value(name) => names.push(name),
            option => return Err(option.unexpected().into()),
        }
    }
    let name = homes::user_name(names)?;
    if folder == homes::default_folder() && is_running(&name, Path::new(broker::SOCKET)) {
        let hint = "start the machine in administrator mode, with the word single: no session runs there but root's";
        return Err(Stop::failed(RunningError { name }).hint(hint));
    }
    match accounts::remove(&folder, &name, files).map_err(homes::failed)? {
        Some(kept) => writeln!(
            call.err,
            "{name} is no user any more; the files are in {}",
            kept.display()
        )?,
        None => writeln!(call.err, "{name} is no user any more")?,
    }
    Ok(DONE)
}

/// Whether the broker says so. Where there is none, no session runs.
fn is_running(name: &UserName, socket: &Path) -> bool {
    let ask = || {
        let broker = Broker::connect(socket)?;
        broker.send(&Request::Sessions.to_packet(), &[])?;
        broker.receive()
    };
    match ask() {
        Ok(Reply::Sessions { sessions }) => sessions
            .iter()
            .any(|session| session.user == name.as_str() && session.state == SessionState::Running),
        _ => false,
    }
}
