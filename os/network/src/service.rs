//! The service: one loop over the kernel's news, signals, sockets and the time.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use netlink_packet_route::RouteNetlinkMessage;
use nodeos_spec::network::{NetworkSpec, Ntp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use thiserror::Error;

use crate::clock;
use crate::config;
use crate::dhcp::machine::Event;
use crate::interface::{Interface, Shared};
use crate::lease::{self, Leases};
use crate::link::{self, Link};
use crate::log::Log;
use crate::names;
use crate::netlink::{Heard, Netlink, News, RequestError, Topic};
use crate::outputs::{self, Output};
use crate::paths::Paths;
use crate::pnp;
use crate::random::Random;
use crate::report;
use crate::timekeeper::{Outcome, Sources, Timekeeper};
use crate::usage::Until;

/// What the kernel itself was told, seen from any root.
const PNP: &str = "/proc/net/pnp";
const COMMAND_LINE: &str = "/proc/cmdline";
/// How long `--once` waits.
const ONCE: Duration = Duration::from_secs(30);

/// Why the service cannot run.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error("cannot open a socket to the kernel's network")]
    Netlink(#[source] io::Error),
    #[error("cannot list the network interfaces")]
    Links(#[source] RequestError),
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
    #[error("cannot wait for events")]
    Poll(#[source] io::Error),
    #[error("not every interface was configured within {} s", ONCE.as_secs())]
    NotConfigured,
}

/// What there is to attend to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    News,
    Signals,
    Interface(u32),
    Time,
}

#[derive(Debug)]
struct Service<'a> {
    paths: Paths,
    spec: NetworkSpec,
    shared: Shared<'a>,
    interfaces: BTreeMap<u32, Interface>,
    news: News,
    signals: UnixStream,
    timekeeper: Timekeeper,
    /// The leases as they are in their file.
    saved: Leases,
    resolv: Output,
    hostname: Output,
    status: Output,
}

/// Runs until it is stopped, or until everything is configured.
pub fn serve(paths: Paths, until: Until, err: &mut dyn Write) -> Result<(), ServeError> {
    let mut service = Service::new(paths, err)?;
    service.look_again()?;
    let end = clock::now() + ONCE;
    loop {
        service.publish();
        if until == Until::Configured {
            let all = service.interfaces.values();
            if all.clone().all(|interface| interface.is_configured) {
                return Ok(());
            }
            if clock::now() >= end {
                return Err(ServeError::NotConfigured);
            }
        }
        let limit = (until == Until::Configured).then_some(end);
        for source in service.wait(limit)? {
            match source {
                Source::Signals if service.is_stopped() => {
                    service.stop();
                    return Ok(());
                }
                Source::Signals => {}
                Source::News => service.hear()?,
                Source::Interface(index) => {
                    if let Some(interface) = service.interfaces.get_mut(&index) {
                        interface.read(&mut service.shared);
                    }
                }
                Source::Time => service.read_time(),
            }
        }
        service.let_time_pass();
    }
}

impl<'a> Service<'a> {
    fn new(paths: Paths, err: &'a mut dyn Write) -> Result<Service<'a>, ServeError> {
        let mut log = Log(err);
        let spec = config::load(&paths.config).unwrap_or_else(|error| {
            log.problem("network", &error);
            NetworkSpec::default()
        });
        let saved = lease::load(&paths.leases).unwrap_or_else(|error| {
            log.problem("network", &error);
            Leases::new()
        });
        let (signals, other_end) = UnixStream::pair().map_err(ServeError::Signals)?;
        signals.set_nonblocking(true).map_err(ServeError::Signals)?;
        for signal in [SIGTERM, SIGINT] {
            let other_end = other_end.try_clone().map_err(ServeError::Signals)?;
            pipe::register(signal, other_end).map_err(ServeError::Signals)?;
        }
        let shared = Shared {
            netlink: Netlink::open().map_err(ServeError::Netlink)?,
            log,
            leases: saved.clone(),
            pnp: pnp::parse(&text_of(PNP), &text_of(COMMAND_LINE)),
            hostname: spec.hostname.as_deref().and_then(names::hostname),
            random: Random::new(clock::now()),
        };
        Ok(Service {
            paths,
            spec,
            shared,
            interfaces: BTreeMap::new(),
            // Before the interfaces are listed, so that none is missed.
            news: News::open(Topic::Links).map_err(ServeError::Netlink)?,
            signals,
            timekeeper: Timekeeper::default(),
            saved,
            resolv: Output::default(),
            hostname: Output::default(),
            status: Output::default(),
        })
    }

    /// Lists all interfaces, and does to each what is new with it.
    fn look_again(&mut self) -> Result<(), ServeError> {
        let links = link::list(&mut self.shared.netlink).map_err(ServeError::Links)?;
        self.interfaces
            .retain(|index, _| links.iter().any(|link| link.index == *index));
        for link in links {
            self.take(link);
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<(), ServeError> {
        for heard in self.news.hear().map_err(ServeError::Netlink)? {
            match heard {
                Heard::Message(RouteNetlinkMessage::NewLink(message)) => {
                    if let Some(link) = Link::read(&message) {
                        self.take(link);
                    }
                }
                Heard::Message(RouteNetlinkMessage::DelLink(message)) => {
                    let gone = self.interfaces.remove(&message.header.index);
                    if let Some(gone) = gone.filter(Interface::is_ours) {
                        let name = gone.link.name;
                        self.shared.log.say(format_args!("{name}: it is gone"));
                    }
                }
                Heard::Lost => self.look_again()?,
                Heard::Message(_) | Heard::Nothing => {}
            }
        }
        Ok(())
    }

    /// A link is new, or something about it is.
    fn take(&mut self, link: Link) {
        let plan = config::plan(&self.spec, &link);
        match self.interfaces.get_mut(&link.index) {
            // Another name or another hardware address make it another interface.
            Some(interface) if interface.plan == plan && interface.link.name == link.name => {
                interface.changed(link, &mut self.shared);
            }
            _ => {
                let index = link.index;
                let interface = Interface::new(link, plan, &mut self.shared);
                self.interfaces.insert(index, interface);
            }
        }
    }

    /// Waits for events until the next deadline.
    fn wait(&self, limit: Option<Duration>) -> Result<Vec<Source>, ServeError> {
        let mut sources: Vec<(Source, BorrowedFd<'_>)> = vec![
            (Source::News, self.news.as_fd()),
            (Source::Signals, self.signals.as_fd()),
        ];
        for (index, interface) in &self.interfaces {
            let sockets = interface.sockets();
            sources.extend(sockets.map(|socket| (Source::Interface(*index), socket)));
        }
        let socket = self.timekeeper.socket();
        sources.extend(socket.map(|socket| (Source::Time, socket)));

        let deadline = self
            .interfaces
            .values()
            .filter_map(Interface::deadline)
            .chain(self.timekeeper.deadline())
            .chain(limit)
            .min();
        // Rounded up to the kernel's own precision: to wake a moment too early would be to poll.
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_sub(clock::now()) + Duration::from_millis(1);
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let mut fds: Vec<PollFd<'_>> = sources
            .iter()
            .map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            // The signal itself is read from its socket.
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(errno) => return Err(ServeError::Poll(errno.into())),
        }
        let ready = fds.iter().zip(&sources);
        Ok(ready
            .filter(|(fd, _)| !fd.revents().is_empty())
            .map(|(_, (source, _))| *source)
            .collect())
    }

    fn is_stopped(&mut self) -> bool {
        matches!(self.signals.read(&mut [0; 16]), Ok(1..))
    }

    fn let_time_pass(&mut self) {
        for interface in self.interfaces.values_mut() {
            let now = clock::now();
            if interface.deadline().is_some_and(|deadline| deadline <= now) {
                interface.happen(Event::Due, &mut self.shared);
            }
        }
        let shared = &mut self.shared;
        self.timekeeper.due(&mut shared.random, &mut shared.log);
    }

    fn read_time(&mut self) {
        let shared = &mut self.shared;
        let outcome = self.timekeeper.read(&mut shared.random, &mut shared.log);
        if outcome == Outcome::Set {
            // The ends of leases are kept by the clock that has just been set.
            for (index, interface) in &self.interfaces {
                if let Some(kept) = interface.kept() {
                    let name = self.interfaces[index].link.name.clone();
                    shared.leases.insert(name, kept);
                }
            }
        }
    }

    fn stop(&mut self) {
        for interface in self.interfaces.values_mut() {
            interface.happen(Event::Stop, &mut self.shared);
        }
        self.publish();
        // Whoever asks for the state is to hear that nobody keeps it.
        let _ = fs::remove_file(&self.paths.status);
    }

    /// Writes to files what has changed, and tells the timekeeper.
    fn publish(&mut self) {
        let status = report::status(
            &self.spec,
            &self.interfaces,
            &mut self.shared,
            &self.timekeeper.clock,
        );
        let log = &mut self.shared.log;
        if self.shared.leases != self.saved {
            self.saved = self.shared.leases.clone();
            if let Err(error) = lease::save(&self.paths.leases, &self.saved) {
                log.problem("network", &error);
            }
        }
        let resolv = outputs::resolv_conf(&status.nameservers, &status.search);
        self.resolv.write(&self.paths.resolv, resolv, log);
        if let Some(hostname) = &status.hostname {
            let text = format!("{hostname}\n");
            self.hostname.write(&self.paths.hostname, text, log);
        }
        let sources = Sources {
            hosts: self.time_servers(),
            nameservers: status.nameservers.clone(),
            has_network: self.interfaces.values().any(|interface| {
                interface.is_configured && interface.is_ours() || !interface.inherited.is_empty()
            }),
        };
        self.status
            .write(&self.paths.status, status.to_json(), &mut self.shared.log);
        let shared = &mut self.shared;
        self.timekeeper
            .use_sources(sources, &mut shared.random, &mut shared.log);
    }

    fn time_servers(&self) -> Option<Vec<String>> {
        match &self.spec.ntp {
            Ntp::Off => None,
            Ntp::Hosts(hosts) => Some(hosts.clone()),
            Ntp::Automatic => {
                let leases = self.interfaces.values().filter_map(Interface::lease);
                let servers = leases.flat_map(|(lease, _)| &lease.ntp);
                Some(outputs::unique(
                    servers.map(|server| IpAddr::V4(*server).to_string()),
                ))
            }
        }
    }
}

/// The text of a file that only some kernels have.
fn text_of(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
