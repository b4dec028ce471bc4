//! `useradd`: makes a home, and with it a user.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use lexopt::Arg;
use nodeos_accounts::{accounts, password};
use nodeos_spec::logon::{DEFAULT_SHELL, Logon, Password};

use crate::applet::{Call, DONE, Stop, UsageError};
use crate::{homes, new_password};

pub(crate) const HELP: &str = "\
Usage: useradd [OPTION]... NAME

Makes a user: a home with the skeleton's files, owned by a number that nobody else has, and with a password, for which it
asks. Only root in administrator mode may.

Options:
  --uid NUMBER       The user's number; otherwise the first free one from 1000 on
  --shell PROGRAM    What runs after logging in, instead of /bin/sh
  --password-stdin   Take the password from the first line of standard input
  --no-password      Whoever knows the name may log in
  --non-interactive  Nobody logs in; the user's services run all the same
  --homes FOLDER     Where the homes are, instead of /home
  --help             Show this
";

/// Where the password comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Terminal,
    Stdin,
    /// Everybody may log in.
    None,
    /// Nobody may.
    NonInteractive,
}

#[derive(Debug)]
struct Options {
    name: Vec<OsString>,
    uid: Option<u32>,
    shell: String,
    source: Source,
    homes: PathBuf,
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let options = parse(call.parser())?;
    let name = homes::user_name(options.name)?;
    homes::check_writable(&options.homes)?;
    let password = match options.source {
        Source::Terminal => hashed(&new_password::ask_new()?)?,
        Source::Stdin => hashed(&new_password::read_new()?)?,
        Source::None => Password::None,
        Source::NonInteractive => Password::NonInteractive,
    };
    let logon = Logon {
        password,
        shell: options.shell,
        ..Logon::default()
    };
    let skeleton = Path::new(accounts::SKELETON);
    let owner = accounts::add(&options.homes, skeleton, &name, options.uid, &logon)
        .map_err(homes::failed)?;
    writeln!(
        call.err,
        "{name} is a user now, with the number {}",
        owner.uid
    )?;
    Ok(DONE)
}

/// The password as `logon.json` has it.
pub(crate) fn hashed(password: &str) -> Result<Password, Stop> {
    password::hash(password)
        .map(Password::Argon2)
        .map_err(Stop::failed)
}

fn parse(mut parser: lexopt::Parser) -> Result<Options, Stop> {
    let mut options = Options {
        name: Vec::new(),
        uid: None,
        shell: DEFAULT_SHELL.to_owned(),
        source: Source::Terminal,
        homes: homes::default_folder(),
    };
    let mut given: Option<&'static str> = None;
    while let Some(argument) = parser.next()? {
        let (source, name) = match argument {
            Arg::Long("help") => return Err(Stop::Help),
            Arg::Long("uid") => {
                let value = parser.value()?;
                let number = value.to_str().and_then(|text| text.parse().ok());
                options.uid = Some(number.ok_or_else(|| Stop::word("number of a user", value))?);
                continue;
            }
            Arg::Long("shell") => {
                options.shell = shell(parser.value()?)?;
                continue;
            }
            Arg::Long("homes") => {
                options.homes = parser.value()?.into();
                continue;
            }
            Arg::Long("password-stdin") => (Source::Stdin, "--password-stdin"),
            Arg::Long("no-password") => (Source::None, "--no-password"),
            Arg::Long("non-interactive") => (Source::NonInteractive, "--non-interactive"),
            Arg::Value(name) => {
                options.name.push(name);
                continue;
            }
            option => return Err(option.unexpected().into()),
        };
        if let Some(first) = given.filter(|first| *first != name) {
            let second = name;
            return Err(Stop::Usage(UsageError::Conflict { first, second }));
        }
        given = Some(name);
        options.source = source;
    }
    Ok(options)
}

/// What `logon.json` takes as a shell.
fn shell(value: OsString) -> Result<String, Stop> {
    let Some(shell) = value.to_str() else {
        return Err(Stop::word("shell", value));
    };
    let logon = Logon {
        shell: shell.to_owned(),
        ..Logon::default()
    };
    match Logon::parse(&logon.to_json()) {
        Ok(logon) => Ok(logon.shell),
        Err(_) => Err(Stop::word("shell", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Options, String> {
        match parse(lexopt::Parser::from_args(args)) {
            Ok(options) => Ok(options),
            Err(Stop::Usage(error)) => Err(error.to_string()),
            Err(stop) => panic!("{stop:?}"),
        }
    }

    #[test]
    fn the_password_comes_from_one_place() {
        let check = |args: &[&str], expected: Result<Source, &str>| {
            let source = parsed(args).map(|options| options.source);
            assert_eq!(source, expected.map_err(str::to_owned), "{args:?}");
        };
        check(&["ada"], Ok(Source::Terminal));
        check(&["--password-stdin", "ada"], Ok(Source::Stdin));
        check(&["ada", "--no-password", "--no-password"], Ok(Source::None));
        check(&["ada", "--non-interactive"], Ok(Source::NonInteractive));
        check(
            &["--no-password", "ada", "--password-stdin"],
            Err("--no-password and --password-stdin cannot be given together"),
        );
    }

    #[test]
    fn numbers_and_shells_are_checked() {
        let check = |args: &[&str], expected: &str| {
            assert_eq!(parsed(args).unwrap_err(), expected, "{args:?}");
        };
        check(&["--uid", "-1"], "-1 is no number of a user");
        check(&["--uid", "ada"], "ada is no number of a user");
        check(&["--shell", ""], " is no shell");
        assert_eq!(
            parsed(&["--uid", "7", "--shell", "/bin/node"])
                .unwrap()
                .shell,
            "/bin/node"
        );
    }
}
