//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg;

/// What `network --help` prints.
pub const HELP: &str = "\
Configure the network: addresses by DHCP or from /etc/network.json, name servers,
the machine's name, and the time

Usage: network [--once] [--root DIR]
       network --status [--json] [--root DIR]

Without --status it is the network service, which runs until it gets TERM; then it
gives back what DHCP servers have lent. It needs the capabilities net_admin, net_raw,
net_bind_service and sys_time, and is usually started by /etc/palmtree.json.

Options:
      --once      End when every interface is configured, or after 30 seconds
      --status    Show the state of the network
      --json      Show it as JSON
      --root DIR  Use the files below DIR: etc/network.json, var/network, run
  -h, --help      Print this help
";

/// One run, with what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Help,
    Service { until: Until, root: PathBuf },
    Status { form: Form, root: PathBuf },
}

/// When the service ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    Stopped,
    Configured,
}

/// How the state is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Table,
    Json,
}

/// Reads the arguments, without the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Mode, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut once, mut status, mut json) = (false, false, false);
    let mut root = PathBuf::from("/");
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Mode::Help),
            Arg::Long("once") => once = true,
            Arg::Long("status") => status = true,
            Arg::Long("json") => json = true,
            Arg::Long("root") => root = parser.value()?.into(),
            other => return Err(other.unexpected()),
        }
    }
    match (status, once, json) {
        (true, true, _) => Err("--once is nothing that --status could do".into()),
        (false, _, true) => Err("--json needs --status".into()),
        (true, false, json) => Ok(Mode::Status {
            form: if json { Form::Json } else { Form::Table },
            root,
        }),
        (false, once, false) => Ok(Mode::Service {
            until: if once {
                Until::Configured
            } else {
                Until::Stopped
            },
            root,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], expected: Result<Mode, &str>) {
        let parsed = parse(arguments.iter().map(OsString::from));
        let parsed = parsed.map_err(|error| error.to_string());
        assert_eq!(parsed, expected.map_err(str::to_owned), "{arguments:?}");
    }

    #[test]
    fn no_word_is_ignored() {
        let service = |until, root: &str| Mode::Service {
            until,
            root: PathBuf::from(root),
        };
        check(&[], Ok(service(Until::Stopped, "/")));
        check(
            &["--once", "--root", "/x"],
            Ok(service(Until::Configured, "/x")),
        );
        let status = |form| Mode::Status {
            form,
            root: PathBuf::from("/"),
        };
        check(&["--status"], Ok(status(Form::Table)));
        check(&["--status", "--json"], Ok(status(Form::Json)));
        check(&["--help", "nonsense"], Ok(Mode::Help));
        check(&["--json"], Err("--json needs --status"));
        check(
            &["--status", "--once"],
            Err("--once is nothing that --status could do"),
        );
        check(&["eth0"], Err("unexpected argument \"eth0\""));
        check(&["--on"], Err("invalid option '--on'"));
    }
}
