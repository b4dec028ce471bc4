//! `passwd`: another password for oneself, or by root for somebody else.

use std::path::{Path, PathBuf};

use lexopt::Arg;
use nodeos_accounts::accounts;
use nodeos_accounts::file::{self, ReadLogonError};
use nodeos_accounts::home::Home;
use nodeos_accounts::password;
use nodeos_spec::logon::Password;
use thiserror::Error;

use crate::applet::{Call, DONE, Stop};
use crate::useradd::hashed;
use crate::{homes, new_password};

/// The home of whoever calls: in a session it is the root of everything.
const OWN_HOME: &str = "/";

pub(crate) const HELP: &str = "\
Usage: passwd [--stdin]
       passwd [--stdin] [--homes FOLDER] NAME

Changes your own password, after asking for the present one. With a NAME it changes that user's, which only root in
administrator mode may.

Options:
  --stdin         Take the passwords from lines of standard input: your present one if you have one, and the new one
  --homes FOLDER  Where the homes are, instead of /home
  --help          Show this
";

#[derive(Debug, Error)]
#[error("that is not your present password")]
struct WrongPasswordError;

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut parser = call.parser();
    let mut names = Vec::new();
    let mut from_stdin = false;
    let mut folder: Option<PathBuf> = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") => return Err(Stop::Help),
            Arg::Long("stdin") => from_stdin = true,
            Arg::Long("homes") => folder = Some(parser.value()?.into()),
            Arg::Value(name) => names.push(name),
            option => return Err(option.unexpected().into()),
        }
    }
    let home = if names.is_empty() && folder.is_none() {
        let home = PathBuf::from(OWN_HOME);
        check_present(&home, from_stdin)?;
        home
    } else {
        let name = homes::user_name(names)?;
        let home = folder
            .unwrap_or_else(homes::default_folder)
            .join(name.as_str());
        // Nobody types a password for a home that is not there.
        Home::open(&home).map_err(homes::failed)?;
        home
    };
    let new = if from_stdin {
        new_password::read_new()?
    } else {
        new_password::ask_new()?
    };
    accounts::set_password(&home, hashed(&new)?).map_err(homes::failed)?;
    writeln!(call.err, "the password is changed")?;
    Ok(DONE)
}

/// Asks for the present password, if there is one.
fn check_present(home: &Path, from_stdin: bool) -> Result<(), Stop> {
    let home = Home::open(home).map_err(Stop::failed)?;
    let present = match file::read(&home) {
        Ok(logon) => logon.password,
        Err(ReadLogonError::Missing { .. }) => Password::NonInteractive,
        Err(error) => return Err(Stop::failed(error)),
    };
    if matches!(present, Password::None | Password::NonInteractive) {
        return Ok(());
    }
    let given = if from_stdin {
        new_password::read_line()?
    } else {
        new_password::ask_one("present password: ")?
    };
    if password::verify(&present, &given) {
        Ok(())
    } else {
        Err(Stop::failed(WrongPasswordError))
    }
}
