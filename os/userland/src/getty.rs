//! `getty`: puts a program on a terminal, as the leader of a session of its own.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lexopt::Arg;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{self, Signal};
use rustix::system;
use thiserror::Error;

use crate::applet::{Call, Stop};
use crate::terminal;

const DEVICES: &str = "/dev";
const DEFAULT_TERMINAL: &str = "/dev/console";
/// What is shown before anything else.
const ISSUE: &str = "/etc/issue";
/// The terminals behind /dev/console; the last one gets what is typed (the kernel's serial-console.rst).
const CONSOLES: &str = "/sys/class/tty/console/active";
/// This program, whatever it is called.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// In the environment of a getty that a getty has started.
const IS_CHILD: &str = "NODEOS_GETTY_CHILD";

pub(crate) const HELP: &str = "\
Usage: getty [OPTION]... [TERMINAL] PROGRAM [ARGUMENT]...

Opens a terminal and becomes PROGRAM on it, in a session of its own.

TERMINAL is a name in /dev, such as ttyS0 or tty1, or a path that begins with /dev/; without it, it is /dev/console.
PROGRAM is a path with at least one slash in it. What follows it is the program's.

Shows /etc/issue first, in which \\n is the machine's name, \\s the system's, \\r its release, \\v its version, \\m the
processor and \\l the terminal. TERM is what it was, or else \"linux\" on a screen and \"vt220\" on a line.

Options:
  --baud NUMBER  Speed of a serial line in bits a second; otherwise it stays as it is
  --noclear      Do not clear the screen first (lines are never cleared)
  --help         Show this
";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    terminal: PathBuf,
    baud: Option<u32>,
    clear: bool,
    program: OsString,
    args: Vec<OsString>,
}

/// Why there is no program on the terminal.
#[derive(Debug, Error)]
enum GettyError {
    #[error("cannot open the terminal {}", path.display())]
    Open { path: PathBuf, source: Errno },
    #[error("{} is not a terminal", path.display())]
    NotATerminal { path: PathBuf },
    #[error("cannot begin a session")]
    Session { source: Errno },
    #[error("cannot start getty once more, outside of the group that it leads")]
    Again { source: std::io::Error },
    #[error("cannot make {} the terminal of the session", path.display())]
    Control { path: PathBuf, source: Errno },
    #[error("cannot set the terminal {}", path.display())]
    Set { path: PathBuf, source: Errno },
    #[error("cannot hand the terminal {} on", path.display())]
    HandOn { path: PathBuf, source: Errno },
    #[error("cannot start {}", program.display())]
    Start {
        program: OsString,
        source: std::io::Error,
    },
}

impl GettyError {
    fn hint(&self) -> Option<&'static str> {
        match self {
            GettyError::Control {
                source: Errno::PERM,
                ..
            } => Some("another session has it: end that one first"),
            GettyError::Open {
                source: Errno::NOENT,
                ..
            } => Some("ls /dev shows the terminals that there are"),
            _ => None,
        }
    }
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let all_args = call.args.clone();
    let options = parse(call.parser())?;
    match start(&options, &all_args) {
        Ok(code) => Ok(code),
        Err(error) => {
            let hint = error.hint();
            let stop = Stop::failed(error);
            Err(match hint {
                Some(hint) => stop.hint(hint),
                None => stop,
            })
        }
    }
}

fn parse(mut parser: lexopt::Parser) -> Result<Options, Stop> {
    let mut baud = None;
    let mut clear = true;
    let mut terminal = None;
    let program = loop {
        match parser.next()? {
            Some(Arg::Long("help")) => return Err(Stop::Help),
            Some(Arg::Long("baud")) => {
                let value = parser.value()?;
                let number = value.to_str().and_then(|text| text.parse().ok());
                match number {
                    Some(number @ 1_u32..) => baud = Some(number),
                    _ => return Err(Stop::word("speed", value)),
                }
            }
            Some(Arg::Long("noclear")) => clear = false,
            Some(Arg::Value(word)) => match terminal_path(&word) {
                Some(path) if terminal.is_none() => terminal = Some(path),
                None => break word,
                Some(_) => return Err(Stop::word("path of a program", word)),
            },
            Some(option) => return Err(option.unexpected().into()),
            None => return Err(Stop::missing("the path of a program")),
        }
    };
    Ok(Options {
        terminal: terminal.unwrap_or_else(|| PathBuf::from(DEFAULT_TERMINAL)),
        baud,
        clear,
        program,
        args: parser.raw_args()?.collect(),
    })
}

/// The terminal that a word means; none if it is the path of a program.
fn terminal_path(word: &OsStr) -> Option<PathBuf> {
    let path = Path::new(word);
    let has_slash = word.as_encoded_bytes().contains(&b'/');
    (!has_slash || path.starts_with(DEVICES)).then(|| Path::new(DEVICES).join(path))
}

/// Becomes the program. Returns only where a second getty had to, with that one's exit code.
fn start(options: &Options, all_args: &[OsString]) -> Result<u8, GettyError> {
    // A failed exec has already given standard error to the terminal, where no supervisor reads it.
    rustix::fs::access(&options.program, Access::EXEC_OK).map_err(|errno| GettyError::Start {
        program: options.program.clone(),
        source: errno.into(),
    })?;
    if !begin_session()? {
        return again(all_args);
    }
    let path = || options.terminal.clone();
    let shown = console_behind(&options.terminal);
    let terminal = open(&shown)?;
    process::ioctl_tiocsctty(&terminal).map_err(|source| GettyError::Control {
        path: path(),
        source,
    })?;
    terminal::make_sane(terminal.as_fd(), options.baud)
        .and_then(|()| terminal::make_sized(terminal.as_fd()))
        .map_err(|source| GettyError::Set {
            path: path(),
            source,
        })?;
    if is_screen(&shown) {
        // What cannot be set on this kind of screen needs no setting.
        let _ = nodeos_sys::terminal::make_text(terminal.as_fd());
    }
    if options.clear && is_screen(&shown) {
        // To the upper left corner, and blanks from there on.
        write(terminal.as_fd(), b"\x1b[H\x1b[2J");
    }
    if let Ok(issue) = fs::read_to_string(ISSUE) {
        write(
            terminal.as_fd(),
            issue_text(&issue, &Names::of_this_machine(&shown)).as_bytes(),
        );
    }
    Err(become_program(options, terminal.as_fd(), &shown))
}

/// Whether this process leads a session now. It cannot where it leads a group of another session (setsid(2)).
fn begin_session() -> Result<bool, GettyError> {
    match process::setsid() {
        Ok(_) => Ok(true),
        Err(Errno::PERM) => {
            let leads = process::getsid(None).is_ok_and(|session| session == process::getpid());
            Ok(leads)
        }
        Err(source) => Err(GettyError::Session { source }),
    }
}

/// Has a child do the work, which leads nothing yet and ends when this process does.
fn again(all_args: &[OsString]) -> Result<u8, GettyError> {
    if std::env::var_os(IS_CHILD).is_some() {
        // It would only be a child of its own kind for ever.
        let source = Errno::PERM;
        return Err(GettyError::Session { source });
    }
    let mut child = Command::new(OWN_PROGRAM);
    child.arg0("getty").args(all_args).env(IS_CHILD, "");
    match child.status() {
        Ok(status) => Ok(status
            .code()
            .and_then(|code| code.try_into().ok())
            .unwrap_or(1)),
        Err(source) => Err(GettyError::Again { source }),
    }
}

fn open(path: &Path) -> Result<OwnedFd, GettyError> {
    let cannot_open = |source| GettyError::Open {
        path: path.to_owned(),
        source,
    };
    // Without waiting for a modem; what is read and written afterwards does wait.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(path, flags, Mode::empty()).map_err(cannot_open)?;
    if !rustix::termios::isatty(&terminal) {
        return Err(GettyError::NotATerminal {
            path: path.to_owned(),
        });
    }
    let flags = rustix::fs::fcntl_getfl(&terminal).map_err(cannot_open)?;
    rustix::fs::fcntl_setfl(&terminal, flags - OFlags::NONBLOCK).map_err(cannot_open)?;
    Ok(terminal)
}

/// Returns only when it failed.
fn become_program(options: &Options, terminal: BorrowedFd<'_>, shown: &Path) -> GettyError {
    let copies = || -> Result<[OwnedFd; 3], Errno> {
        let copy = || rustix::io::fcntl_dupfd_cloexec(terminal, 3);
        Ok([copy()?, copy()?, copy()?])
    };
    let [stdin, stdout, stderr] = match copies() {
        Ok(copies) => copies,
        Err(source) => {
            let path = options.terminal.clone();
            return GettyError::HandOn { path, source };
        }
    };
    if std::env::var_os(IS_CHILD).is_some() {
        // Its parent is what the supervisor knows and ends.
        let _ = process::set_parent_process_death_signal(Some(Signal::HUP));
    }
    let mut program = Command::new(&options.program);
    program
        .args(&options.args)
        .env_remove(IS_CHILD)
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr));
    if std::env::var_os("TERM").is_none_or(|term| term.is_empty()) {
        program.env("TERM", if is_screen(shown) { "linux" } else { "vt220" });
    }
    GettyError::Start {
        program: options.program.clone(),
        source: program.exec(),
    }
}

/// The terminal that /dev/console is, as far as it can be told; others are what they are. Who has opened the console by its
/// own name keeps it when the terminal is hung up after a login, and would read the next one's password.
fn console_behind(path: &Path) -> PathBuf {
    if path != Path::new(DEFAULT_TERMINAL) {
        return path.to_owned();
    }
    let active = fs::read_to_string(CONSOLES).unwrap_or_default();
    match active.split_whitespace().next_back() {
        Some(name) if Path::new(DEVICES).join(name).exists() => Path::new(DEVICES).join(name),
        _ => path.to_owned(),
    }
}

/// A screen with a keyboard is `tty` and a number.
fn is_screen(path: &Path) -> bool {
    let number = path
        .file_name()
        .and_then(OsStr::to_str)
        .and_then(|name| name.strip_prefix("tty"));
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// What the escapes of /etc/issue stand for.
struct Names {
    machine: String,
    system: String,
    release: String,
    version: String,
    processor: String,
    terminal: String,
}

impl Names {
    fn of_this_machine(terminal: &Path) -> Names {
        let name = system::uname();
        let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
        Names {
            machine: text(name.nodename()),
            system: text(name.sysname()),
            release: text(name.release()),
            version: text(name.version()),
            processor: text(name.machine()),
            terminal: terminal
                .strip_prefix(DEVICES)
                .unwrap_or(terminal)
                .to_string_lossy()
                .into_owned(),
        }
    }
}

/// The text with its escapes replaced. Those that nobody knows stay as they are.
fn issue_text(issue: &str, names: &Names) -> String {
    let mut text = String::with_capacity(issue.len());
    let mut chars = issue.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push_str(&names.machine),
            Some('s') => text.push_str(&names.system),
            Some('r') => text.push_str(&names.release),
            Some('v') => text.push_str(&names.version),
            Some('m') => text.push_str(&names.processor),
            Some('l') => text.push_str(&names.terminal),
            Some('\\') => text.push('\\'),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

/// What cannot be shown is no reason to leave the terminal without its program.
fn write(terminal: BorrowedFd<'_>, bytes: &[u8]) {
    if let Ok(copy) = terminal.try_clone_to_owned() {
        let _ = fs::File::from(copy).write_all(bytes);
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
    fn the_terminal_is_told_from_the_program() {
        let check = |args: &[&str], terminal: &str, program: &str, rest: &[&str]| {
            let options = parsed(args).unwrap();
            assert_eq!(options.terminal, Path::new(terminal), "{args:?}");
            assert_eq!(options.program, program, "{args:?}");
            assert_eq!(options.args, rest, "{args:?}");
        };
        check(&["/bin/logon"], "/dev/console", "/bin/logon", &[]);
        check(&["tty1", "/bin/logon"], "/dev/tty1", "/bin/logon", &[]);
        check(
            &["/dev/ttyS0", "./x", "-a", "--help"],
            "/dev/ttyS0",
            "./x",
            &["-a", "--help"],
        );
        check(
            &["--noclear", "/dev/pts/3", "/bin/sh", "tty2"],
            "/dev/pts/3",
            "/bin/sh",
            &["tty2"],
        );
    }

    #[test]
    fn what_is_missing_or_too_much_is_said() {
        let check = |args: &[&str], expected: &str| {
            assert_eq!(parsed(args).unwrap_err(), expected, "{args:?}");
        };
        check(&[], "the path of a program is missing");
        check(&["tty1"], "the path of a program is missing");
        check(&["tty1", "logon"], "logon is no path of a program");
        check(&["--baud", "0", "/x"], "0 is no speed");
        check(&["--baud", "fast", "/x"], "fast is no speed");
    }

    #[test]
    fn the_speed_is_a_number() {
        assert_eq!(
            parsed(&["--baud", "115200", "/x"]).unwrap().baud,
            Some(115_200)
        );
        assert_eq!(parsed(&["/x"]).unwrap().baud, None);
    }

    #[test]
    fn escapes_of_the_issue_are_replaced() {
        let names = Names {
            machine: "box".to_owned(),
            system: "Linux".to_owned(),
            release: "6.12.1".to_owned(),
            version: "#1".to_owned(),
            processor: "x86_64".to_owned(),
            terminal: "ttyS0".to_owned(),
        };
        let check = |issue: &str, expected: &str| assert_eq!(issue_text(issue, &names), expected);
        check("NodeOS on \\n (\\l)\n", "NodeOS on box (ttyS0)\n");
        check("\\s \\r \\v \\m", "Linux 6.12.1 #1 x86_64");
        check("\\\\n \\q \\", "\\n \\q \\");
        check("grün", "grün");
    }

    #[test]
    fn screens_are_told_from_lines() {
        let check = |path: &str, expected: bool| {
            assert_eq!(is_screen(Path::new(path)), expected, "{path}");
        };
        check("/dev/tty1", true);
        check("/dev/tty12", true);
        check("/dev/tty", false);
        check("/dev/ttyS0", false);
        check("/dev/hvc0", false);
        check("/dev/console", false);
    }
}
