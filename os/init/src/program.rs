//! Which program is started, with which arguments and environment. Only choices; the starting is in `nodeos-sys`.

use alloc::ffi::CString;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;
use core::str::Utf8Error;

use nodeos_spec::boot::{self, BootSpec, ParseBootSpecError};
use nodeos_sys::entry::Invocation;
use nodeos_sys::error::OsError;
use nodeos_sys::spawn::{self, Program, SpawnError, Terminal};
use rustix::fs;
use rustix::io::Errno;
use rustix::process::{Pid, WaitStatus};
use thiserror::Error;

use crate::files;
use crate::log::Log;

const SYSTEM_INIT: &CStr = c"/sbin/init";
const THIS_PROGRAM: &CStr = c"/proc/self/exe";

/// Where programs are looked for by those who look, unless the environment says otherwise.
const DEFAULT_PATH: &str = "/bin:/sbin:/usr/bin";

/// What the kernel gives PID 1 when its command line says nothing of them (`envp_init` in its init/main.c), so that they
/// are nobody's wish.
const KERNEL_DEFAULTS: [&[u8]; 2] = [b"HOME=/", b"TERM=linux"];

/// A program with everything it is started with. The first argument is its path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) args: Vec<CString>,
    pub(crate) env: Vec<CString>,
}

/// What stands at `/sbin/init`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SystemInit {
    Absent,
    /// This very program, perhaps through a link. To start it again would start nothing else.
    Ourselves,
    Another,
}

#[derive(Debug, Error)]
pub(crate) enum StartProgramError {
    #[error("there is no program to start: {} does not exist and {} names none", SYSTEM_INIT.to_string_lossy(), boot::PATH)]
    NoProgram,
    #[error("there is no program to start: {} is init itself and {} names none", SYSTEM_INIT.to_string_lossy(), boot::PATH)]
    OnlyOurselves,
    #[error("cannot start {}", path.to_string_lossy())]
    Exec { path: CString, source: OsError },
    #[error("cannot make a process for {}", path.to_string_lossy())]
    Fork { path: CString, source: OsError },
}

#[derive(Debug, Error)]
enum ReadBootSpecError {
    #[error("cannot read {}", boot::PATH)]
    Read { source: OsError },
    #[error("{} is not UTF-8", boot::PATH)]
    Encoding { source: Utf8Error },
    #[error("cannot use {}", boot::PATH)]
    Parse { source: ParseBootSpecError },
}

impl StartProgramError {
    /// The exit code that tells of it, as shells and env(1) have it.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            StartProgramError::NoProgram | StartProgramError::OnlyOurselves => 127,
            StartProgramError::Exec {
                source: OsError(Errno::NOENT | Errno::NOTDIR),
                ..
            } => 127,
            StartProgramError::Exec { .. } | StartProgramError::Fork { .. } => 126,
        }
    }
}

/// The image's own `boot.json`. A broken one is logged, and the machine goes on as without.
pub(crate) fn boot_spec(log: &mut Log) -> BootSpec {
    match read_boot_spec() {
        Ok(spec) => spec.unwrap_or_default(),
        Err(error) => {
            log.error(&error);
            BootSpec::default()
        }
    }
}

/// Who gives `init` its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Giver {
    /// The kernel: everything on its command line that it does not know itself.
    Kernel,
    /// A person, or a program in a person's place, as with `docker run IMAGE node --version`.
    Person,
}

/// Chooses the program: the command line's (an absolute path as first argument; of a person any name that is no option,
/// which is looked for in `PATH`), else `/sbin/init` with the arguments given, else `boot.json`'s with the arguments given
/// after its own.
pub(crate) fn plan(
    invocation: &Invocation,
    spec: &BootSpec,
    giver: Giver,
) -> Result<Plan, StartProgramError> {
    let given = invocation.args.get(1..).unwrap_or_default();
    let env = environment(&invocation.env, spec);
    let args = match (giver, given) {
        (Giver::Person, [name, rest @ ..]) if !name.as_bytes().starts_with(b"-") => {
            let program = find(name, &env)?;
            core::iter::once(program)
                .chain(rest.iter().cloned())
                .collect()
        }
        _ => choose(given, &spec.program, system_init)?,
    };
    Ok(Plan { args, env })
}

/// The file of a program as execvp(3) finds it: a name with a slash is a path.
fn find(name: &CStr, env: &[CString]) -> Result<CString, StartProgramError> {
    if name.to_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let path = env
        .iter()
        .find_map(|variable| variable.as_bytes().strip_prefix(b"PATH="))
        .unwrap_or_default();
    let candidates = path
        .split(|&byte| byte == b':')
        .filter_map(|folder| CString::new([folder, b"/", name.to_bytes()].concat()).ok());
    let mut programs = candidates.filter(|file| {
        fs::stat(file).is_ok_and(|found| fs::FileType::from_raw_mode(found.st_mode).is_file())
            && fs::access(file, fs::Access::EXEC_OK).is_ok()
    });
    programs.next().ok_or_else(|| StartProgramError::Exec {
        path: name.into(),
        source: OsError(Errno::NOENT),
    })
}

/// Starts it. When it does not start nothing else is tried: a machine that runs another program than the one it was
/// built for is worse than one that says why it stops.
pub(crate) fn start(
    plan: &Plan,
    terminal: Terminal<'_>,
    dir: Option<&CStr>,
) -> Result<Pid, StartProgramError> {
    let path = plan.args.first().ok_or(StartProgramError::NoProgram)?;
    spawn::spawn(
        Program {
            path,
            args: &plan.args,
            env: &plan.env,
            dir,
        },
        terminal,
    )
    .map_err(|error| {
        let path = path.clone();
        match error {
            SpawnError::Exec(errno) => StartProgramError::Exec {
                path,
                source: OsError(errno),
            },
            SpawnError::Fork(errno) => StartProgramError::Fork {
                path,
                source: OsError(errno),
            },
        }
    })
}

/// The exit code of a program that has ended: its own, or 128 and the number of the signal that ended it.
pub(crate) fn exit_code(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        // Neither ended nor killed: not reported, as nobody asked for it.
        (None, None) => 0,
    }
}

fn choose(
    given: &[CString],
    named: &[String],
    system_init: impl FnOnce() -> SystemInit,
) -> Result<Vec<CString>, StartProgramError> {
    if given
        .first()
        .is_some_and(|first| first.as_bytes().starts_with(b"/"))
    {
        return Ok(given.to_vec());
    }
    let before = match (system_init(), named) {
        (SystemInit::Another, _) => Vec::from([SYSTEM_INIT.into()]),
        (SystemInit::Absent, []) => return Err(StartProgramError::NoProgram),
        (SystemInit::Ourselves, []) => return Err(StartProgramError::OnlyOurselves),
        // `BootSpec` has no NUL in its strings, so none is left out.
        (_, named) => named
            .iter()
            .filter_map(|argument| CString::new(argument.as_str()).ok())
            .collect(),
    };
    Ok([before, given.to_vec()].concat())
}

fn system_init() -> SystemInit {
    match (fs::stat(SYSTEM_INIT), fs::stat(THIS_PROGRAM)) {
        (Err(_), _) => SystemInit::Absent,
        (Ok(its), Ok(ours)) if (its.st_dev, its.st_ino) == (ours.st_dev, ours.st_ino) => {
            SystemInit::Ourselves
        }
        (Ok(_), _) => SystemInit::Another,
    }
}

/// What was passed, then what `boot.json` adds. Who typed a variable on the kernel's command line, or gave it to the
/// container, meant it: it wins over `boot.json`, which in turn wins over the kernel's defaults.
fn environment(passed: &[CString], spec: &BootSpec) -> Vec<CString> {
    let mut env: Vec<CString> = passed
        .iter()
        .filter(|variable| {
            let is_default = KERNEL_DEFAULTS.contains(&variable.as_bytes());
            !(is_default && spec.env.keys().any(|name| has_name(variable, name)))
        })
        .cloned()
        .collect();
    let added = spec
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in added.chain([("PATH", DEFAULT_PATH)]) {
        if !env.iter().any(|variable| has_name(variable, name)) {
            env.extend(CString::new([name, "=", value].concat()));
        }
    }
    env
}

fn has_name(variable: &CStr, name: &str) -> bool {
    variable
        .to_bytes()
        .strip_prefix(name.as_bytes())
        .is_some_and(|rest| rest.starts_with(b"="))
}

fn read_boot_spec() -> Result<Option<BootSpec>, ReadBootSpecError> {
    let path = CString::new(boot::PATH.to_string()).unwrap_or_default();
    let text = match files::read(&path) {
        Ok(text) => text,
        // An image need not have one.
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => {
            return Err(ReadBootSpecError::Read {
                source: OsError(errno),
            });
        }
    };
    let text =
        core::str::from_utf8(&text).map_err(|source| ReadBootSpecError::Encoding { source })?;
    BootSpec::parse(text)
        .map(Some)
        .map_err(|source| ReadBootSpecError::Parse { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<CString> {
        texts
            .iter()
            .map(|text| CString::new(*text).unwrap())
            .collect()
    }

    fn choice(given: &[&str], system_init: SystemInit, named: &[&str]) -> String {
        let named: Vec<_> = named
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        match choose(&strings(given), &named, || system_init) {
            Ok(args) => args
                .iter()
                .map(|arg| arg.to_str().unwrap())
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_absolute_path_on_the_command_line_comes_first() {
        assert_eq!(
            choice(&["/bin/a", "b"], SystemInit::Another, &["/bin/node"]),
            "/bin/a b"
        );
    }

    #[test]
    fn sbin_init_comes_next_and_gets_the_arguments() {
        assert_eq!(
            choice(&[], SystemInit::Another, &["/bin/node"]),
            "/sbin/init"
        );
        assert_eq!(
            choice(&["single", "/b"], SystemInit::Another, &[]),
            "/sbin/init single /b"
        );
    }

    #[test]
    fn boot_json_comes_last_and_gets_the_arguments_too() {
        assert_eq!(
            choice(&[], SystemInit::Absent, &["/bin/node", "-i"]),
            "/bin/node -i"
        );
        assert_eq!(
            choice(&["single"], SystemInit::Ourselves, &["/bin/node"]),
            "/bin/node single"
        );
    }

    #[test]
    fn a_person_names_a_program_as_in_a_shell_and_options_are_the_programs_own() {
        let spec = BootSpec {
            program: vec!["/bin/node".to_owned()],
            ..BootSpec::default()
        };
        let check = |given: &[&str], expected: &str| {
            let invocation = Invocation {
                args: strings(&[&["/init"], given].concat()),
                env: strings(&["PATH=/nowhere:/proc/self"]),
            };
            let said = match plan(&invocation, &spec, Giver::Person) {
                Ok(plan) => plan
                    .args
                    .iter()
                    .map(|arg| arg.to_str().unwrap())
                    .collect::<Vec<_>>()
                    .join(" "),
                Err(error) => crate::log::sentence(&error),
            };
            assert_eq!(said, expected, "{given:?}");
        };
        check(&["exe", "-a"], "/proc/self/exe -a");
        check(&["./a", "b"], "./a b");
        check(&["/bin/a"], "/bin/a");
        // A folder is no program.
        check(&["fd"], "cannot start fd: No such file or directory");
    }

    #[test]
    fn without_any_program_it_says_where_it_looked() {
        let expected = "there is no program to start: /sbin/init does not exist and /etc/nodeos/boot.json names none";
        assert_eq!(choice(&["single"], SystemInit::Absent, &[]), expected);
        let expected = "there is no program to start: /sbin/init is init itself and /etc/nodeos/boot.json names none";
        assert_eq!(choice(&[], SystemInit::Ourselves, &[]), expected);
    }

    fn check_env(passed: &[&str], spec: &[(&str, &str)], expected: &[&str]) {
        let env = spec
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let spec = BootSpec {
            env,
            ..BootSpec::default()
        };
        assert_eq!(environment(&strings(passed), &spec), strings(expected));
    }

    #[test]
    fn there_is_always_a_path() {
        check_env(
            &["HOME=/", "TERM=linux"],
            &[],
            &["HOME=/", "TERM=linux", "PATH=/bin:/sbin:/usr/bin"],
        );
        check_env(&["PATH=/a"], &[], &["PATH=/a"]);
        check_env(&["PATHS=/a"], &[("PATH", "/b")], &["PATHS=/a", "PATH=/b"]);
    }

    #[test]
    fn the_command_line_wins_over_boot_json_and_that_over_the_kernels_defaults() {
        let spec = [
            ("HOME", "/root"),
            ("TERM", "vt100"),
            ("A", "spec"),
            ("PATH", "/p"),
        ];
        check_env(
            &["HOME=/", "TERM=linux"],
            &spec,
            &["A=spec", "HOME=/root", "PATH=/p", "TERM=vt100"],
        );
        check_env(
            &["HOME=/", "TERM=xterm", "A=line"],
            &spec,
            &["TERM=xterm", "A=line", "HOME=/root", "PATH=/p"],
        );
    }

    #[test]
    fn failures_to_start_have_the_codes_of_shells() {
        let check = |errno, code, text: &str| {
            let error = StartProgramError::Exec {
                path: c"/bin/node".into(),
                source: OsError(errno),
            };
            assert_eq!(
                (error.exit_code(), crate::log::sentence(&error).as_str()),
                (code, text)
            );
        };
        check(
            Errno::NOENT,
            127,
            "cannot start /bin/node: No such file or directory",
        );
        check(
            Errno::ACCESS,
            126,
            "cannot start /bin/node: Permission denied",
        );
    }
}
