//! The session broker: what `boot` is from when the sessions run until the machine stops.
//!
//! One loop over everything that can be waited for. What a request does is in the modules below.

mod logon;
mod service;
mod terminal;

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nodeos_sandbox::log::Log;
use nodeos_spec::broker::{Power, Reply, Request};
use nodeos_spec::host::HostMessage;
use nodeos_sys::error::OsError;
use nodeos_sys::signals::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, Uid, WaitOptions, kill_process, wait};
use thiserror::Error;

use crate::host::{self, Heard, Host, Reading};
use crate::sessions::{Common, Session, State};
use crate::socket::{self, Received};

use logon::{Check, Login};
use service::ServiceProcess;

/// More connections than this from one session are refused: a session is one person and some services.
const MAX_CLIENTS: usize = 64;

/// Everything that goes on.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) log: Log,
    common: Common,
    signals: SignalFd,
    sessions: Vec<Session>,
    clients: Vec<Client>,
    /// Passwords that are being looked at.
    checks: Vec<Check>,
    /// Shells on terminals.
    logins: Vec<Login>,
    services: Vec<ServiceProcess>,
    failures: logon::Failures,
    /// None where the host has nothing to say.
    host: Option<Host>,
    next_client: u64,
    is_stopping: bool,
}

/// A connection from a session.
#[derive(Debug)]
struct Client {
    id: u64,
    /// Its place in [`Broker::sessions`].
    session: usize,
    connection: OwnedFd,
}

#[derive(Debug, Error)]
pub(crate) enum RunBrokerError {
    #[error("cannot wait for what happens")]
    Wait(#[source] OsError),
    #[error("cannot receive signals")]
    Signals(#[source] OsError),
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Signals,
    /// Somebody connects to the socket of this session.
    Connect(usize),
    /// This client has sent something, or is gone.
    Client(u64),
    /// The check of a password that this client asked for has an answer.
    Checked(u64),
    /// The host says something, or is gone.
    Host,
}

impl Broker {
    pub(crate) fn new(
        log: Log,
        common: Common,
        sessions: Vec<Session>,
        signals: SignalFd,
    ) -> Broker {
        Broker {
            log,
            common,
            signals,
            sessions,
            clients: Vec::new(),
            checks: Vec::new(),
            logins: Vec::new(),
            services: Vec::new(),
            failures: logon::Failures::default(),
            host: Host::open(Reading::DoesNot),
            next_client: 0,
            is_stopping: false,
        }
    }

    /// Runs until the machine stops, and every session with it.
    pub(crate) fn run(&mut self) -> Result<(), RunBrokerError> {
        while !self.is_over() {
            self.start_sessions();
            for event in self.wait()? {
                match event {
                    Event::Signals => self.receive_signals()?,
                    Event::Connect(session) => self.connect(session),
                    Event::Client(id) => self.hear(id),
                    Event::Checked(id) => self.checked(id),
                    Event::Host => self.hear_host(),
                }
            }
        }
        Ok(())
    }

    /// When the machine stops everybody is told to end by PID 1, and this program goes last.
    fn is_over(&self) -> bool {
        let runs = |session: &Session| matches!(session.state, State::Running { .. });
        self.is_stopping && !self.sessions.iter().any(runs)
    }

    fn start_sessions(&mut self) {
        let now = Instant::now();
        for session in &mut self.sessions {
            let is_due = matches!(session.state, State::Waiting { until, .. } if until <= now);
            if is_due && !self.is_stopping {
                let before = session.info().reason;
                match session.start(&self.common) {
                    Ok(()) => self
                        .log
                        .note(&format!("the session of {} runs", session.user.name)),
                    Err(error) => {
                        let reason = nodeos_sandbox::log::sentence(&error);
                        let text = format!(
                            "the session of {} cannot start: {reason}",
                            session.user.name
                        );
                        // It is tried again for ever: nobody at the console has to read it each time.
                        match before == Some(reason) {
                            true => self.log.note(&text),
                            false => self.log.say(&text),
                        }
                    }
                }
            }
        }
    }

    fn wait(&self) -> Result<Vec<Event>, RunBrokerError> {
        let mut sources: Vec<(Event, BorrowedFd<'_>)> =
            vec![(Event::Signals, self.signals.as_fd())];
        let listeners = self.sessions.iter().enumerate();
        sources
            .extend(listeners.map(|(at, session)| (Event::Connect(at), session.listener.as_fd())));
        sources.extend(
            self.clients
                .iter()
                .map(|client| (Event::Client(client.id), client.connection.as_fd())),
        );
        sources.extend(
            self.checks
                .iter()
                .map(|check| (Event::Checked(check.client), check.answer.as_fd())),
        );
        sources.extend(self.host.iter().map(|host| (Event::Host, host.as_fd())));
        let mut ready: Vec<PollFd<'_>> = sources
            .iter()
            .map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        match poll(&mut ready, self.time_to_next_start().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(RunBrokerError::Wait(OsError(errno))),
        }
        let happened = sources.iter().zip(&ready);
        Ok(happened
            .filter(|(_, ready)| !ready.revents().is_empty())
            .map(|((event, _), _)| *event)
            .collect())
    }

    fn time_to_next_start(&self) -> Option<Timespec> {
        if self.is_stopping {
            return None;
        }
        let next = self
            .sessions
            .iter()
            .filter_map(|session| match session.state {
                State::Waiting { until, .. } => Some(until),
                State::Running { .. } => None,
            });
        let left = next.min()?.saturating_duration_since(Instant::now());
        // Rounded up: to wake a moment too early would be to go round for nothing.
        Timespec::try_from(left + Duration::from_millis(1)).ok()
    }

    fn receive_signals(&mut self) -> Result<(), RunBrokerError> {
        loop {
            match self.signals.read() {
                Ok(Some(Signal::CHILD)) => self.reap(),
                Ok(Some(Signal::TERM)) => {
                    self.is_stopping = true;
                    // A shell at a prompt is deaf to TERM, which everybody gets from PID 1 now.
                    self.hang_up();
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(errno) => return Err(RunBrokerError::Signals(OsError(errno))),
            }
        }
    }

    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let status = ExitStatus::from_raw(status.as_raw());
            self.child_ended(pid, status);
        }
    }

    fn child_ended(&mut self, pid: Pid, status: ExitStatus) {
        let of_session = self.sessions.iter_mut().find(
            |session| matches!(&session.state, State::Running { first, .. } if first.pid == pid),
        );
        if let Some(session) = of_session {
            session.ended(&format!("its first process ended with {status}"));
            if !self.is_stopping {
                let name = session.user.name.clone();
                self.log
                    .say(&format!("the session of {name} has ended with {status}"));
            }
            return;
        }
        if !self.login_ended(pid, status) {
            self.service_ended(pid, status);
        }
    }

    fn connect(&mut self, session: usize) {
        while let Some((connection, peer)) = socket::accept(self.sessions[session].listener.as_fd())
        {
            if let Err(message) = self.admit(session, peer) {
                socket::send(&connection, &Reply::Failed { message }.to_packet());
                continue;
            }
            self.next_client += 1;
            self.clients.push(Client {
                id: self.next_client,
                session,
                connection,
            });
        }
    }

    fn admit(&self, session: usize, peer: Uid) -> Result<(), String> {
        if peer != self.sessions[session].user.uid {
            return Err("this socket is another user's".to_owned());
        }
        let of_session = |client: &&Client| client.session == session;
        if self.clients.iter().filter(of_session).count() >= MAX_CLIENTS {
            return Err("this session has too many connections to the broker".to_owned());
        }
        Ok(())
    }

    fn client(&self, id: u64) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }

    fn reply(&self, id: u64, reply: &Reply) {
        if let Some(client) = self.client(id) {
            socket::send(&client.connection, &reply.to_packet());
        }
    }

    fn fail(&self, id: u64, message: impl Into<String>) {
        self.reply(
            id,
            &Reply::Failed {
                message: message.into(),
            },
        );
    }

    fn hear(&mut self, id: u64) {
        let Some(client) = self.client(id) else {
            return;
        };
        match socket::receive(client.connection.as_fd()) {
            Received::Message { bytes, descriptors } => match Request::parse(&bytes) {
                Ok(request) => self.perform(id, request, descriptors),
                Err(error) => self.fail(id, nodeos_sandbox::log::sentence(&error)),
            },
            Received::Nonsense => self.fail(id, "the message is too long"),
            Received::Nothing => {}
            Received::End => self.forget(id),
        }
    }

    /// A port without a host at its other end is always ready, so it is let go.
    fn hear_host(&mut self) {
        while let Some(host) = &mut self.host {
            match host.hear() {
                Heard::Message(HostMessage::ConsoleSize { columns, rows }) => {
                    host::set_console_size(columns, rows);
                }
                // Only in administrator mode.
                Heard::Message(HostMessage::Run { .. }) | Heard::Nothing => {}
                Heard::End => self.host = None,
            }
            if !self.host.as_ref().is_some_and(Host::has_more) {
                return;
            }
        }
    }

    fn forget(&mut self, id: u64) {
        self.clients.retain(|client| client.id != id);
        self.login_abandoned(id);
    }

    fn perform(&mut self, id: u64, request: Request, descriptors: Vec<OwnedFd>) {
        match request {
            Request::Logon { user, password } => self.log_on(id, &user, password, descriptors),
            Request::Power { how } => self.power(id, how),
            Request::Sessions => {
                let sessions = self.sessions.iter().map(Session::info).collect();
                self.reply(id, &Reply::Sessions { sessions });
            }
            Request::StartService { .. } => self.start_service(id, request, descriptors),
            Request::StopService { name, signal } => self.stop_service(id, &name, signal),
        }
    }

    /// Root may stop the machine, and who sits at it: they could pull its plug as well.
    fn power(&mut self, id: u64, how: Power) {
        let Some(client) = self.client(id) else {
            return;
        };
        let session = &self.sessions[client.session];
        let is_at_the_machine = self
            .logins
            .iter()
            .any(|login| login.session == client.session);
        if !session.user.is_root() && !is_at_the_machine {
            return self.fail(
                id,
                "only root, or who is logged in at the machine, may stop it",
            );
        }
        let name = session.user.name.clone();
        self.log.note(&format!("{name} asks for {how:?}"));
        // What PID 1 takes them for: os/init/src/events.rs.
        let signal = match how {
            Power::PowerOff => Signal::TERM,
            Power::Restart => Signal::INT,
            Power::Halt => Signal::USR1,
        };
        match kill_process(Pid::INIT, signal) {
            Ok(()) => self.reply(id, &Reply::Done),
            Err(errno) => self.fail(id, format!("cannot tell PID 1: {}", OsError(errno))),
        }
    }
}
