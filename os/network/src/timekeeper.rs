//! [`Timekeeper`]: asks time servers, and sets the clock where it is wrong.
//!
//! A clock that is off by less than [`TOLERANCE`] is left alone, and one that is off by more is stepped: nothing here turns
//! the clock slowly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::dhcp::machine::Time;
use crate::dns::{self, Lookup, Progress};
use crate::log::Log;
use crate::ntp::{self, Offset};
use crate::random::Random;

/// Servers that anybody may ask, where the network names none.
const POOL: [&str; 4] = [
    "0.pool.ntp.org",
    "1.pool.ntp.org",
    "2.pool.ntp.org",
    "3.pool.ntp.org",
];
/// How far off the clock may be, in nanoseconds: half a second.
const TOLERANCE: i128 = 500_000_000;
/// The time from one check to the next, and by how much it differs, so that machines started together do not ask together.
const INTERVAL: Duration = Duration::from_secs(3600);
const JITTER: Duration = Duration::from_secs(120);
/// The first wait after a check without result; it doubles up to [`INTERVAL`].
const RETRY: Duration = Duration::from_secs(15);
/// How long a time server may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// A longer answer than any that is read.
const LONGEST: usize = 4096;

/// What is known of the clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// The server that was asked last with success.
    pub server: Option<IpAddr>,
    /// When that was, in Unix time.
    pub checked: Option<u64>,
}

/// Whom to ask, by what the network says now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Names or addresses. None: the time is not asked for.
    pub hosts: Option<Vec<String>>,
    pub nameservers: Vec<IpAddr>,
    /// Whether there is any network.
    pub has_network: bool,
}

#[derive(Debug, Default)]
pub struct Timekeeper {
    pub clock: Clock,
    sources: Sources,
    /// Hosts of this check that have not been asked, the next one at the end.
    hosts: Vec<String>,
    phase: Phase,
    failures: u32,
}

#[derive(Debug, Default)]
enum Phase {
    /// There is nobody to ask.
    #[default]
    Off,
    Waiting {
        at: Time,
    },
    Resolving {
        lookup: Lookup,
        socket: UdpSocket,
        at: Time,
    },
    Asking {
        question: Question,
        socket: UdpSocket,
        at: Time,
    },
}

#[derive(Debug, Clone, Copy)]
struct Question {
    server: IpAddr,
    cookie: u64,
    /// Our clock when it was sent.
    sent: Duration,
}

/// Whether the clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Set,
    Unchanged,
}

impl Sources {
    /// The hosts of a check, in order. Without name servers those that are addresses; none when there is nobody to ask.
    fn to_ask(&self) -> Option<Vec<String>> {
        let hosts = self.hosts.as_ref().filter(|_| self.has_network)?;
        let mut hosts = match hosts.is_empty() {
            true => POOL.map(str::to_owned).to_vec(),
            false => hosts.clone(),
        };
        if self.nameservers.is_empty() {
            hosts.retain(|host| host.parse::<IpAddr>().is_ok());
        }
        Some(hosts).filter(|hosts| !hosts.is_empty())
    }
}

impl Timekeeper {
    /// Takes note of the network. With the first servers, or with others, the check begins at once.
    pub fn use_sources(&mut self, sources: Sources, random: &mut Random, log: &mut Log<'_>) {
        if sources == self.sources {
            return;
        }
        let is_same = sources.to_ask() == self.sources.to_ask();
        self.sources = sources;
        match self.sources.to_ask() {
            None => self.phase = Phase::Off,
            Some(_) if is_same && self.failures == 0 => {}
            Some(_) => {
                self.failures = 0;
                self.begin(random, log);
            }
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        match &self.phase {
            Phase::Off => None,
            Phase::Waiting { at } | Phase::Resolving { at, .. } | Phase::Asking { at, .. } => {
                Some(*at)
            }
        }
    }

    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.phase {
            Phase::Off | Phase::Waiting { .. } => None,
            Phase::Resolving { socket, .. } | Phase::Asking { socket, .. } => Some(socket.as_fd()),
        }
    }

    /// The time of [`Timekeeper::deadline`] may have come.
    pub fn due(&mut self, random: &mut Random, log: &mut Log<'_>) {
        if self.deadline().is_none_or(|at| clock::now() < at) {
            return;
        }
        match std::mem::take(&mut self.phase) {
            Phase::Off => {}
            Phase::Waiting { .. } => self.begin(random, log),
            Phase::Resolving { lookup, .. } => self.resolve(lookup, random, log),
            Phase::Asking { .. } => self.next_host(random, log),
        }
    }

    /// Reads what has arrived at the socket.
    pub fn read(&mut self, random: &mut Random, log: &mut Log<'_>) -> Outcome {
        let mut buffer = [0; LONGEST];
        match std::mem::take(&mut self.phase) {
            Phase::Resolving {
                mut lookup,
                socket,
                at,
            } => {
                let progress = match socket.recv(&mut buffer) {
                    Ok(length) => lookup.read(&buffer[..length]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        Progress::Ignored
                    }
                    // For instance: there is no name server at this address.
                    Err(_) => Progress::Next,
                };
                match progress {
                    Progress::Found(addresses) => self.ask(addresses[0], random, log),
                    Progress::Next => self.resolve(lookup, random, log),
                    Progress::Ignored => self.phase = Phase::Resolving { lookup, socket, at },
                }
                Outcome::Unchanged
            }
            Phase::Asking {
                question,
                socket,
                at,
            } => {
                let read = match socket.recv(&mut buffer) {
                    Ok(length) => {
                        let Question { cookie, sent, .. } = question;
                        ntp::read(&buffer[..length], cookie, sent, clock::unix())
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        Err(ntp::ReadTimeError::NotOurs)
                    }
                    Err(_) => Err(ntp::ReadTimeError::NotAnAnswer),
                };
                match read {
                    Ok(offset) => self.apply(question.server, offset, random, log),
                    // Anybody can send nonsense; the answer may still come.
                    Err(ntp::ReadTimeError::NotOurs) => {
                        self.phase = Phase::Asking {
                            question,
                            socket,
                            at,
                        };
                        Outcome::Unchanged
                    }
                    Err(_) => {
                        self.next_host(random, log);
                        Outcome::Unchanged
                    }
                }
            }
            phase => {
                self.phase = phase;
                Outcome::Unchanged
            }
        }
    }

    fn begin(&mut self, random: &mut Random, log: &mut Log<'_>) {
        self.hosts = self.sources.to_ask().unwrap_or_default();
        self.hosts.reverse();
        self.next_host(random, log);
    }

    fn next_host(&mut self, random: &mut Random, log: &mut Log<'_>) {
        while let Some(host) = self.hosts.pop() {
            if let Ok(address) = host.parse() {
                return self.ask(address, random, log);
            }
            match Lookup::new(&host, self.sources.nameservers.clone()) {
                Ok(lookup) => return self.resolve(lookup, random, log),
                Err(error) => log.problem("time", &error),
            }
        }
        if self.failures == 0 {
            log.say(format_args!(
                "time: no time server answers; the attempts go on"
            ));
        }
        let wait = RETRY
            .saturating_mul(1 << self.failures.min(8))
            .min(INTERVAL);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Waiting {
            at: clock::now() + random.around(wait, wait / 10),
        };
    }

    fn resolve(&mut self, mut lookup: Lookup, random: &mut Random, log: &mut Log<'_>) {
        // A new socket for each query has a new port, which an answer from elsewhere would have to guess.
        while let Ok((server, query)) = lookup.next(random.next_u32() as u16) {
            if let Ok(socket) = socket_to(server)
                && socket.send(&query).is_ok()
            {
                let at = clock::now() + dns::PATIENCE;
                self.phase = Phase::Resolving { lookup, socket, at };
                return;
            }
        }
        self.next_host(random, log);
    }

    fn ask(&mut self, server: IpAddr, random: &mut Random, log: &mut Log<'_>) {
        let cookie = random.next_u64();
        if let Ok(socket) = socket_to(SocketAddr::new(server, ntp::PORT)) {
            let sent = clock::unix();
            if socket.send(&ntp::request(cookie)).is_ok() {
                let question = Question {
                    server,
                    cookie,
                    sent,
                };
                self.phase = Phase::Asking {
                    question,
                    socket,
                    at: clock::now() + PATIENCE,
                };
                return;
            }
        }
        self.next_host(random, log);
    }

    fn apply(
        &mut self,
        server: IpAddr,
        offset: Offset,
        random: &mut Random,
        log: &mut Log<'_>,
    ) -> Outcome {
        self.failures = 0;
        self.phase = Phase::Waiting {
            at: clock::now() + random.around(INTERVAL, JITTER),
        };
        let outcome = if offset.0.abs() > TOLERANCE {
            step(server, offset, log)
        } else {
            Outcome::Unchanged
        };
        self.clock = Clock {
            server: Some(server),
            checked: Some(clock::unix().as_secs()),
        };
        outcome
    }
}

fn step(server: IpAddr, offset: Offset, log: &mut Log<'_>) -> Outcome {
    let right = clock::unix().as_nanos() as i128 + offset.0;
    let right = Duration::from_nanos(u64::try_from(right).unwrap_or_default());
    match clock::set_unix(right) {
        Ok(()) => {
            let direction = if offset.0 > 0 { "forward" } else { "back" };
            let seconds = offset.0.unsigned_abs() / 1_000_000_000;
            let tenths = offset.0.unsigned_abs() / 100_000_000 % 10;
            log.say(format_args!(
                "time: set {direction} by {seconds}.{tenths} s, as {server} says"
            ));
            Outcome::Set
        }
        Err(error) => {
            log.problem("time: the clock cannot be set", &error);
            Outcome::Unchanged
        }
    }
}

/// A socket that hears the other one only.
fn socket_to(other: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: IpAddr = match other {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect(other)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(hosts: Option<&[&str]>, nameservers: &[&str], has_network: bool) -> Sources {
        let nameservers = nameservers.iter().map(|server| server.parse().unwrap());
        Sources {
            hosts: hosts.map(|hosts| hosts.iter().map(|host| (*host).to_owned()).collect()),
            nameservers: nameservers.collect(),
            has_network,
        }
    }

    #[test]
    fn nobody_is_asked_without_a_network_or_when_that_is_not_wanted() {
        let check = |sources: Sources, expected: Option<&[&str]>| {
            let hosts = sources.to_ask();
            let expected =
                expected.map(|hosts| hosts.iter().map(|host| (*host).to_owned()).collect());
            assert_eq!(hosts, expected, "{sources:?}");
        };
        let dns = &["192.0.2.1"];
        check(sources(Some(&["a"]), dns, false), None);
        check(sources(None, dns, true), None);
        check(sources(Some(&["a"]), dns, true), Some(&["a"]));
        check(sources(Some(&[]), dns, true), Some(&POOL));
        check(sources(Some(&[]), &[], true), None);
        let both = Some(&["a", "10.0.0.1"][..]);
        check(sources(both, &[], true), Some(&["10.0.0.1"]));
    }

    #[test]
    fn a_check_without_result_is_told_once_and_repeated_later() {
        let mut text = Vec::new();
        let mut log = Log(&mut text);
        let mut random = Random::from_seed(1);
        let mut timekeeper = Timekeeper::default();
        assert_eq!(timekeeper.deadline(), None);
        let nobody = sources(Some(&["0.0.0.0"]), &[], true);
        let start = clock::now();
        timekeeper.use_sources(nobody, &mut random, &mut log);
        timekeeper.hosts.clear();
        timekeeper.next_host(&mut random, &mut log);
        let first = timekeeper.deadline().unwrap();
        assert!(first >= start + RETRY * 9 / 10, "{first:?}");
        timekeeper.next_host(&mut random, &mut log);
        let second = timekeeper.deadline().unwrap();
        assert!(second >= start + RETRY * 18 / 10, "{second:?}");
        timekeeper.use_sources(sources(None, &[], true), &mut random, &mut log);
        assert_eq!(timekeeper.deadline(), None);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, "time: no time server answers; the attempts go on\n");
    }
}
