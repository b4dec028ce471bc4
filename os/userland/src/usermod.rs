//! `usermod`: locks a user out, and lets them in again.

use std::path::PathBuf;

use lexopt::Arg;
use nodeos_accounts::accounts::{self, Lock};

use crate::applet::{Call, DONE, Stop, UsageError};
use crate::homes;

pub(crate) const HELP: &str = "\
Usage: usermod --lock NAME
       usermod --unlock NAME

Locks a user, who then cannot log in with any password, or unlocks them. The password stays what it is, and what of theirs
is running goes on. Only root in administrator mode may.

Options:
  --lock          Lock
  --unlock        Unlock
  --homes FOLDER  Where the homes are, instead of /home
  --help          Show this
";

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut parser = call.parser();
    let mut names = Vec::new();
    let mut lock = None;
    let mut folder: PathBuf = homes::default_folder();
    while let Some(argument) = parser.next()? {
        let wanted = match argument {
            Arg::Long("help") => return Err(Stop::Help),
            Arg::Long("lock") => Lock::Locked,
            Arg::Long("unlock") => Lock::Unlocked,
            Arg::Long("homes") => {
                folder = parser.value()?.into();
                continue;
            }
            Arg::Value(name) => {
                names.push(name);
                continue;
            }
            option => return Err(option.unexpected().into()),
        };
        if lock.is_some_and(|lock| lock != wanted) {
            let (first, second) = ("--lock", "--unlock");
            return Err(Stop::Usage(UsageError::Conflict { first, second }));
        }
        lock = Some(wanted);
    }
    let Some(lock) = lock else {
        return Err(Stop::missing("--lock or --unlock"));
    };
    let name = homes::user_name(names)?;
    accounts::set_lock(&folder.join(name.as_str()), lock).map_err(homes::failed)?;
    match lock {
        Lock::Locked => writeln!(call.err, "{name} is locked")?,
        Lock::Unlocked => writeln!(call.err, "{name} is unlocked")?,
    }
    Ok(DONE)
}
