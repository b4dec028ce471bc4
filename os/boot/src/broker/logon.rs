//! Logging in: whether the password is right, and the shell on the terminal that came with it.
//!
//! The password is looked at by a process of its own, as the user whose it should be: to read what users write, and to
//! compute for a fifth of a second, is not for a program that has every capability.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nodeos_accounts::home::Home;
use nodeos_accounts::{file, password};
use nodeos_sandbox::credentials::{self, Credentials};
use nodeos_sandbox::log::sentence;
use nodeos_sandbox::process::{Program, Running, Streams};
use nodeos_spec::broker::Reply;
use nodeos_spec::logon::{DEFAULT_SHELL, Logon, Password};
use nodeos_spec::user::UserName;
use nodeos_sys::fork::fork;
use nodeos_sys::namespaces;
use rustix::fd::{AsFd, OwnedFd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    DumpableBehavior, Gid, Pid, Signal, Uid, pidfd_send_signal, set_dumpable_behavior,
};
use rustix::termios::isatty;
use rustix::thread::CapabilitySet;
use zeroize::Zeroizing;

use super::{Broker, terminal};
use crate::paths;
use crate::session::process;
use crate::sessions::{self, Common, Session, State, as_os};
use crate::users::User;

/// After the first wrong password, and at most; doubled in between.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A name that has not been tried for this long begins anew.
const FORGIVEN: Duration = Duration::from_secs(600);
/// So many names are remembered; more would be somebody who fills the memory.
const MAX_NAMES: usize = 1000;

/// Who looks at passwords of users that do not exist.
const NOBODY: u32 = 65534;

/// What the looking process writes: this and the shell with its arguments, each with a zero byte behind it.
const RIGHT: &[u8] = b"right";

/// A password that is being looked at.
#[derive(Debug)]
pub(super) struct Check {
    /// Who asked.
    pub(super) client: u64,
    /// Readable when the process has ended.
    pub(super) answer: OwnedFd,
    terminal: OwnedFd,
    name: String,
    /// The session that it is about, if there is one.
    session: Option<usize>,
}

/// A shell on a terminal.
#[derive(Debug)]
pub(super) struct Login {
    client: u64,
    pub(super) session: usize,
    running: Running,
    /// None when it has been taken from the shell already, and may be somebody else's by now.
    terminal: Option<OwnedFd>,
}

impl Login {
    fn clear_terminal(&mut self) {
        if let Some(terminal) = self.terminal.take() {
            terminal::clear(&terminal);
        }
    }

    fn hang_up(&self) {
        // It may have ended this moment.
        let _ = pidfd_send_signal(&self.running.pidfd, Signal::HUP);
    }
}

/// Wrong passwords by name, of users or not.
#[derive(Debug, Default)]
pub(super) struct Failures(BTreeMap<String, (u32, Instant)>);

impl Failures {
    /// How long whoever has just failed is to wait.
    fn add(&mut self, name: &str, now: Instant) -> Duration {
        self.0
            .retain(|_, (_, last)| now.saturating_duration_since(*last) < FORGIVEN);
        if self.0.len() >= MAX_NAMES && !self.0.contains_key(name) {
            return LONGEST_WAIT;
        }
        let (count, last) = self.0.entry(name.to_owned()).or_insert((0, now));
        *last = now;
        let wait = FIRST_WAIT.saturating_mul(1 << (*count).min(10));
        *count += 1;
        wait.min(LONGEST_WAIT)
    }

    fn forgive(&mut self, name: &str) {
        self.0.remove(name);
    }
}

impl Broker {
    pub(super) fn log_on(
        &mut self,
        id: u64,
        name: &str,
        password: String,
        mut descriptors: Vec<OwnedFd>,
    ) {
        let password = Zeroizing::new(password);
        let Some(client) = self.client(id) else {
            return;
        };
        if !self.sessions[client.session].user.is_root() {
            return self.fail(id, "only root's session logs people in");
        }
        let terminal = match (descriptors.pop(), descriptors.is_empty()) {
            (Some(terminal), true) if isatty(&terminal) => terminal,
            _ => return self.fail(id, "a terminal has to come with the request"),
        };
        if self.checks.iter().any(|check| check.client == id) {
            return self.fail(id, "the last password is still being looked at");
        }
        let session = UserName::new(name)
            .ok()
            .and_then(|name| self.sessions.iter().position(|s| s.user.name == name));
        match self.look_at(session, &password) {
            Ok(answer) => self.checks.push(Check {
                client: id,
                answer,
                terminal,
                name: name.to_owned(),
                session,
            }),
            Err(error) => self.fail(id, format!("cannot look at the password: {error}")),
        }
    }

    /// Starts the process that looks, and returns where it answers.
    fn look_at(&self, session: Option<usize>, password: &str) -> std::io::Result<OwnedFd> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let session = session.map(|at| &self.sessions[at]);
        let user = session.map(|session| &session.user);
        let (uid, gid) = user.map_or((Uid::from_raw(NOBODY), Gid::from_raw(NOBODY)), |user| {
            (user.uid, user.gid)
        });
        let credentials = Credentials {
            uid,
            gid,
            capabilities: CapabilitySet::empty(),
            filter: self.common.filter.clone(),
        };
        fork(|| {
            let home = session.and_then(home);
            if credentials::assume(&credentials).is_err() {
                return 1;
            }
            let answer = home.as_ref().and_then(|home| answer(home, password));
            if home.is_none() {
                password::dummy_verify(password);
            }
            let text = answer.unwrap_or_default();
            i32::from(File::from(writer).write_all(&text).is_err())
        })?;
        Ok(reader)
    }

    /// The looking process has written its answer, or ended without one.
    pub(super) fn checked(&mut self, id: u64) {
        let Some(at) = self.checks.iter().position(|check| check.client == id) else {
            return;
        };
        let check = self.checks.swap_remove(at);
        // Nobody is at that terminal any more, or somebody else is.
        if self.client(id).is_none() {
            return;
        }
        let mut text = Vec::new();
        // It writes once, so nobody waits for a second part.
        let read = File::from(check.answer).read_to_end(&mut text);
        let shell = read.ok().and_then(|_| shell(&text));
        match (shell, check.session) {
            (Some(shell), Some(session)) => {
                self.failures.forgive(&check.name);
                self.start_shell(id, session, check.terminal, shell);
            }
            _ => {
                let wait = self.failures.add(&check.name, Instant::now());
                // A name that is none may be a password typed in the wrong place.
                let whom = check
                    .session
                    .map_or("somebody who is no user", |_| check.name.as_str());
                self.log.note(&format!("wrong password for {whom}"));
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                self.reply(id, &Reply::Refused { wait_ms });
            }
        }
    }

    fn start_shell(&mut self, id: u64, at: usize, terminal: OwnedFd, shell: Shell) {
        let session = &self.sessions[at];
        let name = session.user.name.clone();
        let State::Running { first, .. } = &session.state else {
            let reason = session.info().reason.unwrap_or_default();
            return self.fail(id, format!("the session of {name} does not run: {reason}"));
        };
        terminal::give(&terminal, session.user.uid.as_raw());
        let started = process::start_in_session(
            first.pidfd.as_fd(),
            session.cgroup.as_fd(),
            &sessions::credentials(
                &session.user,
                CapabilitySet::empty(),
                self.common.filter.clone(),
            ),
            &shell.program(&session.user, &self.common),
            &Streams::Terminal(terminal.as_fd()),
        );
        match started {
            Ok(running) => {
                self.log.note(&format!("{name} has logged in"));
                self.logins.push(Login {
                    client: id,
                    session: at,
                    running,
                    terminal: Some(terminal),
                });
                self.reply(id, &Reply::Accepted);
            }
            Err(error) => {
                terminal::take_back(&terminal);
                self.fail(
                    id,
                    format!("cannot start the shell of {name}: {}", sentence(&error)),
                );
            }
        }
    }

    /// Returns whether it was a login's shell.
    pub(super) fn login_ended(&mut self, pid: Pid, status: ExitStatus) -> bool {
        let Some(at) = self
            .logins
            .iter()
            .position(|login| login.running.pid == pid)
        else {
            return false;
        };
        let mut login = self.logins.swap_remove(at);
        login.clear_terminal();
        let code = status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        self.reply(login.client, &Reply::Ended { code });
        true
    }

    /// Every terminal is gone, or will be in a moment.
    pub(super) fn hang_up(&mut self) {
        for login in &self.logins {
            login.hang_up();
        }
    }

    /// The program that asked is gone, and with it whoever sat at the terminal.
    pub(super) fn login_abandoned(&mut self, id: u64) {
        for login in self.logins.iter_mut().filter(|login| login.client == id) {
            login.hang_up();
            // A shell that is deaf to the signal is not to keep the terminal.
            login.clear_terminal();
        }
    }
}

/// What a user's logon.json says to start.
#[derive(Debug, PartialEq, Eq)]
struct Shell {
    path: OsString,
    args: Vec<OsString>,
}

impl Shell {
    fn program(&self, user: &User, common: &Common) -> Program {
        // A dash before its name tells a shell that it is a login's (login(1)).
        let base = self.path.as_bytes().rsplit(|&byte| byte == b'/').next();
        let name = [b"-", base.unwrap_or_default()].concat();
        let shell = self.path.to_string_lossy();
        let env = as_os(sessions::environment(user, common, &shell));
        Program {
            path: self.path.clone(),
            name: Some(OsString::from_vec(name)),
            args: self.args.clone(),
            otherwise: Some(Box::new(repl(env.clone()))),
            env,
            dir: "/".into(),
        }
    }
}

/// What a person gets whose shell cannot be started: the prompt of Node.js, named as the original's was.
fn repl(env: Vec<(OsString, OsString)>) -> Program {
    Program {
        path: paths::NODE.into(),
        name: None,
        args: vec!["-e".into(), "require('repl').start('logon> ')".into()],
        env,
        dir: "/".into(),
        otherwise: None,
    }
}

/// The user's home as the session has it. What is written to the folder beside a mounted overlay, that does not notice.
/// Without a session nobody else has it. To be called while this process may still pass the users partition.
fn home(session: &Session) -> Option<Home> {
    match &session.state {
        State::Running { first, .. } => {
            let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
            hidden
                .and_then(|()| namespaces::enter_session(first.pidfd.as_fd()))
                .ok()?;
            Home::open(Path::new("/")).ok()
        }
        State::Waiting { .. } => Home::open(&session.user.home).ok(),
    }
}

/// As the user: whether the password is right, and what to start then.
fn answer(home: &Home, given: &str) -> Option<Vec<u8>> {
    let logon = match file::read(home) {
        Ok(logon) => logon,
        Err(_) => {
            password::dummy_verify(given);
            return None;
        }
    };
    if !password::verify(&logon.password, given) || logon.locked {
        return None;
    }
    if let Password::Sha1(_) = logon.password {
        strengthen(home, &logon, given);
    }
    let mut text = [RIGHT, logon.shell.as_bytes()].join(&0);
    for argument in &logon.shell_args {
        text.push(0);
        text.extend(argument.as_bytes());
    }
    text.push(0);
    Some(text)
}

/// Writes the password as it is written today. If that fails it is tried again at the next login.
fn strengthen(home: &Home, logon: &Logon, given: &str) {
    if let Ok(hash) = password::hash(given) {
        let better = Logon {
            password: Password::Argon2(hash),
            ..logon.clone()
        };
        let _ = file::write(home, &better);
    }
}

fn shell(answer: &[u8]) -> Option<Shell> {
    let mut parts = answer.strip_suffix(&[0])?.split(|&byte| byte == 0);
    let is_right = parts.next() == Some(RIGHT);
    let mut words = parts.map(|word| OsString::from_vec(word.to_vec()));
    let path = words.next().filter(|_| is_right)?;
    let path = match path.as_bytes() {
        b"" => DEFAULT_SHELL.into(),
        _ => path,
    };
    Some(Shell {
        path,
        args: words.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_password_takes_longer_up_to_half_a_minute() {
        let mut failures = Failures::default();
        let now = Instant::now();
        let waits: Vec<u64> = (0..8)
            .map(|_| failures.add("ada", now).as_millis() as u64)
            .collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(
            failures.add("bob", now),
            FIRST_WAIT,
            "nobody waits for others"
        );
        assert_eq!(failures.add("ada", now + FORGIVEN), FIRST_WAIT);
        failures.forgive("ada");
        assert_eq!(failures.add("ada", now), FIRST_WAIT);
    }

    #[test]
    fn names_without_end_do_not_fill_the_memory() {
        let mut failures = Failures::default();
        let now = Instant::now();
        for n in 0..2 * MAX_NAMES {
            failures.add(&n.to_string(), now);
        }
        assert_eq!(failures.0.len(), MAX_NAMES);
    }

    #[test]
    fn the_answer_is_right_and_names_a_shell() {
        let check = |answer: &[u8], expected: Option<(&str, &[&str])>| {
            let expected = expected.map(|(path, args)| Shell {
                path: path.into(),
                args: args.iter().map(OsString::from).collect(),
            });
            assert_eq!(shell(answer), expected, "{answer:?}");
        };
        check(b"right\0/bin/sh\0", Some(("/bin/sh", &[])));
        check(b"right\0nsh\0-l\0\0", Some(("nsh", &["-l", ""])));
        check(b"right\0\0", Some(("/bin/sh", &[])));
        check(b"right\0/bin/sh", None);
        check(b"right", None);
        check(b"wrong\0/bin/sh\0", None);
        check(b"", None);
    }
}
