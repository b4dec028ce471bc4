//! The shell's command line, as `sh` has it. It decides what is read and with which options; it reads nothing itself.

use std::ffi::OsString;

use lexopt::Arg;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Usage: nsh [OPTION]... [FILE [ARGUMENT]...]
       nsh [OPTION]... -c COMMAND [NAME [ARGUMENT]...]
       nsh [OPTION]... -s [ARGUMENT]...

The shell of NodeOS. It understands POSIX's shell language and most of bash's.

  -c          run COMMAND; NAME is its $0
  -s          read commands from standard input
  -i          behave as at a terminal: prompt, history, jobs
  -l, --login read /etc/profile and ~/.profile first
  -o NAME     switch an option on, +o NAME off (`set -o` lists them)
  -aefmnuvxCE as in `set`; with + switched off
      --help  print this text
  --version   print the version
";

/// The letters of `set`, and the options that they stand for.
const LETTERS: &[(char, &str)] = &[
    ('a', "allexport"),
    ('b', "notify"),
    ('C', "noclobber"),
    ('E', "errtrace"),
    ('e', "errexit"),
    ('f', "noglob"),
    ('h', "hashall"),
    ('m', "monitor"),
    ('n', "noexec"),
    ('u', "nounset"),
    ('v', "verbose"),
    ('x', "xtrace"),
];

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Invocation {
    Help,
    Version,
    Run(Box<Arguments>),
}

/// Where the commands come from.
#[derive(Debug, PartialEq)]
pub(crate) enum Source {
    /// `-c`: the text itself.
    Text(String),
    /// The file of this name.
    File(String),
    /// Standard input, which may be a terminal.
    Input,
}

/// A shell to run.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) source: Source,
    /// `$0`.
    pub(crate) name: String,
    /// `$1` and so on.
    pub(crate) parameters: Vec<String>,
    pub(crate) login: bool,
    /// `-i`.
    pub(crate) interactive: bool,
    /// Options of `set -o`, switched on.
    pub(crate) on: Vec<String>,
    /// The same, switched off.
    pub(crate) off: Vec<String>,
}

/// Why a command line is not understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentsError {
    #[error("{0}")]
    Syntax(#[from] lexopt::Error),
    #[error("-c needs a command")]
    NoCommand,
    #[error("an argument is not UTF-8: {0:?}")]
    NotText(OsString),
}

fn text(value: OsString) -> Result<String, ArgumentsError> {
    value.into_string().map_err(ArgumentsError::NotText)
}

fn letter(letter: char) -> Option<String> {
    let known = LETTERS.iter().find(|(known, _)| *known == letter)?;
    Some(known.1.to_owned())
}

impl Invocation {
    /// Parses everything behind the program's own name, which is `program`.
    pub(crate) fn parse(program: &str, rest: Vec<OsString>) -> Result<Self, ArgumentsError> {
        let mut shell = Arguments {
            source: Source::Input,
            name: program.to_owned(),
            parameters: Vec::new(),
            // `login` and `getty` say so by a dash before the name.
            login: program.starts_with('-'),
            interactive: false,
            on: Vec::new(),
            off: Vec::new(),
        };
        let (mut command, mut input) = (false, false);
        let mut operands = Vec::new();
        let mut parser = lexopt::Parser::from_args(rest);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Short('c') => command = true,
                Arg::Short('s') => input = true,
                Arg::Short('i') => shell.interactive = true,
                Arg::Short('l') | Arg::Long("login") => shell.login = true,
                Arg::Short('o') => shell.on.push(text(parser.value()?)?),
                Arg::Short(short) => match letter(short) {
                    Some(name) => shell.on.push(name),
                    None => return Err(Arg::Short(short).unexpected().into()),
                },
                // What bash is called with by programs that think of no other shell.
                Arg::Long("posix" | "norc" | "noprofile" | "noediting") => {}
                Arg::Long("help") => return Ok(Self::Help),
                Arg::Long("version") => return Ok(Self::Version),
                Arg::Long(long) => return Err(Arg::Long(long).unexpected().into()),
                Arg::Value(value) => match value.to_str().and_then(|v| v.strip_prefix('+')) {
                    Some("o") => shell.off.push(text(parser.value()?)?),
                    Some(letters) if !letters.is_empty() => {
                        for short in letters.chars() {
                            let name = letter(short).ok_or_else(|| {
                                ArgumentsError::from(Arg::Value(value.clone()).unexpected())
                            })?;
                            shell.off.push(name);
                        }
                    }
                    _ => {
                        // The first operand ends the options; `-` alone does only that.
                        if value != "-" {
                            operands.push(value);
                        }
                        operands.extend(parser.raw_args()?);
                        break;
                    }
                },
            }
        }
        let mut operands = operands.into_iter().map(text);
        if command {
            shell.source = Source::Text(operands.next().ok_or(ArgumentsError::NoCommand)??);
            if let Some(name) = operands.next() {
                shell.name = name?;
            }
        } else if !input && let Some(file) = operands.next() {
            shell.name = file?;
            shell.source = Source::File(shell.name.clone());
        }
        shell.parameters = operands.collect::<Result<_, _>>()?;
        Ok(Self::Run(Box::new(shell)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Invocation, ArgumentsError> {
        let mut words = line.split(' ').map(OsString::from);
        let program = words.next().unwrap().into_string().unwrap();
        Invocation::parse(&program, words.collect())
    }

    fn run(line: &str) -> Arguments {
        match parse(line).unwrap() {
            Invocation::Run(arguments) => *arguments,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_command_is_the_first_operand_wherever_dash_c_stands() {
        for line in ["sh -c x n 1 2", "sh -c -e x n 1 2", "sh -ec x n 1 2"] {
            let shell = run(line);
            assert_eq!(shell.source, Source::Text("x".into()), "{line}");
            assert_eq!(
                (shell.name.as_str(), shell.parameters.join(" ")),
                ("n", "1 2".into())
            );
            assert_eq!(shell.on.is_empty(), line == "sh -c x n 1 2");
        }
    }

    #[test]
    fn options_end_at_the_first_operand() {
        let shell = run("sh -x file -e -c");
        assert_eq!(shell.source, Source::File("file".into()));
        assert_eq!(shell.on, ["xtrace"]);
        assert_eq!(shell.parameters, ["-e", "-c"]);
        assert_eq!(run("sh -s a b").parameters, ["a", "b"]);
        assert_eq!(run("sh -s a b").source, Source::Input);
        assert_eq!(run("sh -- -x").source, Source::File("-x".into()));
        assert_eq!(run("sh +e +o pipefail f").off, ["errexit", "pipefail"]);
    }

    #[test]
    fn a_dash_before_the_name_makes_a_login_shell() {
        assert!(run("-nsh").login);
        assert!(run("sh -l").login);
        assert!(!run("sh").login);
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (line, expected) in [
            ("sh -c", "-c needs a command"),
            ("sh -Z", "invalid option '-Z'"),
            ("sh --nothing", "invalid option '--nothing'"),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), expected);
        }
        assert_eq!(parse("sh --help").unwrap(), Invocation::Help);
    }
}
