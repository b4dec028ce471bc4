//! [`Interface`]: one interface, its plan, and what has been done to it so far.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};

use ipnet::IpNet;
use nodeos_spec::network::Static;

use crate::address::{self, Address};
use crate::apply::{self, ApplyError, Before};
use crate::clock;
use crate::config::Plan;
use crate::departure;
use crate::dhcp::action::{Action, To};
use crate::dhcp::machine::{Event, Machine, Socket, Time};
use crate::dhcp::message::Client;
use crate::dhcp::packet;
use crate::dhcp::socket::{PacketSocket, UdpSocket};
use crate::lease::{Kept, Lease, Leases};
use crate::link::{self, Link};
use crate::log::{self, Log};
use crate::netlink::{Netlink, RequestError};
use crate::pnp::{self, Pnp};
use crate::random::Random;

/// How many packets of one socket are read before others have their turn.
const TURN: usize = 32;

/// What all interfaces share.
#[derive(Debug)]
pub struct Shared<'a> {
    pub netlink: Netlink,
    pub log: Log<'a>,
    pub leases: Leases,
    /// What the kernel was told before this program started.
    pub pnp: Pnp,
    /// The name that DHCP servers are told.
    pub hostname: Option<String>,
    pub random: Random,
}

/// An interface that the service knows.
#[derive(Debug)]
pub struct Interface {
    pub link: Link,
    pub plan: Plan,
    /// The addresses that the service found when it started, and keeps until it has its own.
    pub inherited: Vec<Address>,
    pub is_configured: bool,
    machine: Option<Machine>,
    packet: Option<PacketSocket>,
    udp: Option<UdpSocket>,
    /// A send that failed has been told of.
    told_of_failure: bool,
    told_of_no_carrier: bool,
}

impl Interface {
    /// Takes an interface over: switches it on, and configures what needs no carrier.
    pub fn new(link: Link, plan: Plan, shared: &mut Shared<'_>) -> Interface {
        let mut interface = Interface {
            inherited: Vec::new(),
            is_configured: false,
            machine: None,
            packet: None,
            udp: None,
            told_of_failure: false,
            told_of_no_carrier: false,
            link,
            plan,
        };
        if interface.plan != Plan::LeaveAlone && !interface.link.is_up {
            let result = link::set_up(&mut shared.netlink, interface.link.index);
            interface.link.is_up = result.is_ok();
            interface.tell("cannot be switched on", result, shared);
        }
        match interface.plan.clone() {
            Plan::SwitchOn | Plan::LeaveAlone => interface.is_configured = true,
            Plan::Static(addresses) => interface.configure_static(&addresses, shared),
            Plan::Dhcp { mac } => {
                interface.inherit(shared);
                let client = Client {
                    mac,
                    hostname: shared.hostname.clone(),
                };
                let (known, wish) = interface.earlier_address(shared);
                let random = Random::from_seed(shared.random.next_u64());
                interface.machine = Some(Machine::new(client, known, wish, random));
                if interface.link.has_carrier {
                    interface.happen(Event::Up, shared);
                }
            }
        }
        interface
    }

    /// Whether there is more to the interface than to switch it on.
    pub fn is_ours(&self) -> bool {
        matches!(self.plan, Plan::Dhcp { .. } | Plan::Static(_))
    }

    /// Takes note of what the kernel says about the link.
    pub fn changed(&mut self, link: Link, shared: &mut Shared<'_>) {
        let before = std::mem::replace(&mut self.link, link);
        if self.link.is_up
            && !before.is_up
            && let Plan::Static(addresses) = self.plan.clone()
        {
            // With the link the kernel had switched off its routes, and its addresses of version 6.
            self.configure_static(&addresses, shared);
        }
        if self.link.has_carrier != before.has_carrier {
            self.tell_of_carrier(shared);
            let event = if self.link.has_carrier {
                Event::Up
            } else {
                Event::Down
            };
            self.happen(event, shared);
        }
    }

    /// That a link gets its carrier when it is switched on is no news.
    fn tell_of_carrier(&mut self, shared: &mut Shared<'_>) {
        let name = &self.link.name;
        let is_news = self.told_of_no_carrier || !self.link.has_carrier;
        if is_news && self.is_ours() {
            self.told_of_no_carrier = !self.link.has_carrier;
            match self.link.has_carrier {
                true => shared.log.say(format_args!("{name}: the carrier is back")),
                false => shared.log.say(format_args!("{name}: the carrier is lost")),
            }
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        self.machine.as_ref().and_then(Machine::deadline)
    }

    /// The lease that the interface is configured with, and when it ends.
    pub fn lease(&self) -> Option<(&Lease, Option<Time>)> {
        self.machine.as_ref().and_then(Machine::lease)
    }

    /// The sockets to listen at.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let packet = self.packet.as_ref().map(AsFd::as_fd);
        packet.into_iter().chain(self.udp.as_ref().map(AsFd::as_fd))
    }

    /// Reads what has arrived at the sockets.
    pub fn read(&mut self, shared: &mut Shared<'_>) {
        for _ in 0..TURN {
            let received = match (&self.packet, &self.udp) {
                (Some(socket), _) => socket.receive().map(|received| {
                    received.map(|bytes| packet::message(&bytes).map(<[u8]>::to_vec))
                }),
                (None, Some(socket)) => socket.receive().map(|received| received.map(Some)),
                (None, None) => return,
            };
            match received {
                Ok(Some(Some(message))) => self.happen(Event::Message(&message), shared),
                Ok(Some(None)) => {}
                Ok(None) => return,
                // The link has gone down, or a server's machine has no server. Reading has taken the error away; what was
                // sent is sent again in time.
                Err(_) => return,
            }
        }
    }

    /// Lets something happen to the DHCP client, and does what follows.
    pub fn happen(&mut self, event: Event<'_>, shared: &mut Shared<'_>) {
        let Some(machine) = &mut self.machine else {
            return;
        };
        let before = machine.lease().map(|(lease, _)| lease.clone());
        let actions = machine.on(event, clock::now());
        let needs = machine.needs();
        self.open(needs, shared);
        for action in actions {
            match action {
                Action::Send { to, message } => self.send(to, &message, shared),
                Action::Configure(lease) => self.configure(&lease, before.as_ref(), shared),
                Action::Unconfigure(lease) => self.unconfigure(&lease, shared),
                Action::Say(notice) => {
                    let name = &self.link.name;
                    shared.log.say(format_args!("{name}: {notice}"));
                }
            }
        }
    }

    /// What is to be remembered of the lease, by the clock that people read.
    pub fn kept(&self) -> Option<Kept> {
        let (lease, end) = self.lease()?;
        let left = end.map(|end| end.saturating_sub(clock::now()));
        Some(Kept {
            mac: self.link.mac()?,
            lease: lease.clone(),
            ends: left.map(|left| (clock::unix() + left).as_secs()),
        })
    }

    /// Opens the socket that is needed, and closes the other.
    fn open(&mut self, needs: Socket, shared: &mut Shared<'_>) {
        if needs != Socket::Packet {
            self.packet = None;
        }
        if needs != Socket::Udp {
            self.udp = None;
        }
        let result = match needs {
            Socket::Packet if self.packet.is_none() => {
                PacketSocket::open(self.link.index).map(|socket| self.packet = Some(socket))
            }
            Socket::Udp if self.udp.is_none() => {
                UdpSocket::open(&self.link.name).map(|socket| self.udp = Some(socket))
            }
            _ => Ok(()),
        };
        if let Err(error) = result {
            let name = &self.link.name;
            let what = format!("{name}: cannot open a socket for DHCP");
            shared.log.problem(&what, &error);
        }
    }

    fn send(&mut self, to: To, message: &[u8], shared: &mut Shared<'_>) {
        let result = match (to, &self.packet, &self.udp) {
            (To::Everybody, Some(socket), _) => socket.broadcast(message),
            (To::Everybody, None, Some(socket)) => socket.send(Ipv4Addr::BROADCAST, message),
            (To::Server(server), _, Some(socket)) => socket.send(server, message),
            // Giving a lease back needs no socket for an answer.
            (To::Server(server), _, None) => {
                departure::send_at_last(&mut shared.netlink, &self.link, server, message)
            }
            // That it could not be opened has been told.
            (To::Everybody, None, None) => return,
        };
        match result {
            Ok(()) => self.told_of_failure = false,
            Err(error) if !self.told_of_failure => {
                self.told_of_failure = true;
                let name = &self.link.name;
                let what = format!("{name}: cannot send a DHCP message");
                shared.log.problem(&what, &error);
            }
            Err(_) => {}
        }
    }

    /// The addresses that are there already: the kernel's own, or those of an earlier run of this service. They can be
    /// told from people's by the kernel's list, by their limited time, or by the kept lease.
    fn inherit(&mut self, shared: &mut Shared<'_>) {
        let found = match address::addresses(&mut shared.netlink) {
            Ok(found) => found,
            Err(error) => return self.tell("has unknown addresses", Err(error), shared),
        };
        let kept = self
            .kept_before(shared)
            .map(|kept| IpNet::V4(kept.lease.address));
        self.inherited = found
            .into_iter()
            .filter(|address| address.index == self.link.index && address.net.addr().is_ipv4())
            .filter(|address| {
                shared.pnp.origin.is_some()
                    || address.lifetime.is_some()
                    || kept == Some(address.net)
            })
            .collect();
        for address in &self.inherited {
            let (name, net) = (&self.link.name, address.net);
            shared
                .log
                .say(format_args!("{name}: {net} is kept until there is a lease"));
        }
    }

    /// The lease that an earlier run kept for this interface.
    fn kept_before<'a>(&self, shared: &'a Shared<'_>) -> Option<&'a Kept> {
        let kept = shared.leases.get(&self.link.name);
        kept.filter(|kept| Some(kept.mac) == self.link.mac())
    }

    /// The address that is still lent to this interface, and one that is worth asking for.
    fn earlier_address(&self, shared: &Shared<'_>) -> (Option<Ipv4Addr>, Option<Ipv4Addr>) {
        let inherited = self.inherited.first().and_then(|address| {
            let IpAddr::V4(address) = address.net.addr() else {
                return None;
            };
            Some(address)
        });
        let kept = self.kept_before(shared);
        let kept_address = kept.map(|kept| kept.lease.address.addr());
        // What the kernel was lent at this boot is newer than what an earlier run was.
        let kernels = inherited.filter(|_| shared.pnp.origin == Some(pnp::Origin::Dhcp));
        let now = clock::unix().as_secs();
        let held = kept.filter(|kept| kept.holds_at(now)).and(kept_address);
        let known = kernels.or(held);
        (known, kept_address.or(inherited))
    }

    fn configure(&mut self, lease: &Lease, before: Option<&Lease>, shared: &mut Shared<'_>) {
        let left = match self.lease() {
            Some((_, Some(end))) => Some(end.saturating_sub(clock::now())),
            _ => None,
        };
        let inherited = std::mem::take(&mut self.inherited);
        let before_that = Before {
            inherited,
            lease: before,
        };
        let failures = apply::lease(&mut shared.netlink, &self.link, lease, left, before_that);
        self.is_configured = self.told_all(&failures, shared);
        let told = |lease: &Lease| (lease.address, lease.server, lease.lifetime);
        if before.map(told) != Some(told(lease)) {
            let name = &self.link.name;
            let (address, server) = (lease.address, lease.server);
            let time = match lease.lifetime {
                Some(time) => format!("for {}", log::duration(time)),
                None => "for ever".to_owned(),
            };
            shared.log.say(format_args!(
                "{name}: {address} by DHCP from {server}, {time}"
            ));
        }
        if let Some(kept) = self.kept() {
            shared.leases.insert(self.link.name.clone(), kept);
        }
    }

    fn unconfigure(&mut self, lease: &Lease, shared: &mut Shared<'_>) {
        self.is_configured = false;
        let result = apply::without_lease(&mut shared.netlink, &self.link, lease);
        self.tell("keeps what it should not have", result, shared);
        if let Some(kept) = shared.leases.get_mut(&self.link.name) {
            kept.ends = Some(0);
        }
    }

    fn configure_static(&mut self, addresses: &Static, shared: &mut Shared<'_>) {
        for network in apply::networks(addresses) {
            let (name, address, prefix) = (&self.link.name, network.address, network.prefix);
            let failures = apply::network(&mut shared.netlink, self.link.index, &network);
            if self.told_all(&failures, shared) {
                self.is_configured = true;
                let way = match network.gateway {
                    Some(gateway) => format!(", by {gateway}"),
                    None => String::new(),
                };
                let log = &mut shared.log;
                log.say(format_args!(
                    "{name}: {address}/{prefix} as configured{way}"
                ));
            }
        }
    }

    /// Tells what could not be done. Whether the interface has its address.
    fn told_all(&self, failures: &[ApplyError], shared: &mut Shared<'_>) -> bool {
        for failure in failures {
            shared.log.problem(&self.link.name, failure);
        }
        !failures
            .iter()
            .any(|failure| matches!(failure, ApplyError::Address { .. }))
    }

    fn tell(&self, what: &str, result: Result<(), RequestError>, shared: &mut Shared<'_>) {
        if let Err(error) = result {
            let what = format!("{}: {what}", self.link.name);
            shared.log.problem(&what, &error);
        }
    }
}
