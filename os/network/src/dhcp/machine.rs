//! [`Machine`]: the states of a DHCP client (RFC 2131, 4.4), and what each event makes it do.
//!
//! It does nothing itself: time and messages are given to it, and what is to be done comes back as a list of [`Action`]s.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::dhcp::action::{Action, Notice, To};
use crate::dhcp::message::{self, Client, Exchange};
use crate::dhcp::reply::{self, Reply};
use crate::lease::Lease;
use crate::random::Random;

/// The first and the longest wait for a reply, and by how much a wait differs (RFC 2131, 4.1).
const FIRST_WAIT: Duration = Duration::from_secs(4);
const LONGEST_WAIT: Duration = Duration::from_secs(64);
const JITTER: Duration = Duration::from_secs(1);
/// The shortest wait between two requests for more time (RFC 2131, 4.4.5).
const RENEWAL_WAIT: Duration = Duration::from_secs(60);
/// How often a server that made an offer is asked for it, about a minute in all, before the search begins anew.
const REQUESTS: u32 = 4;
/// How often an old address is asked for after a restart: a server that knows it answers at once.
const REBOOT_REQUESTS: u32 = 2;
/// After so many unanswered messages it is said that there is no server.
const SILENCE: u32 = 3;

/// Time since some fixed moment, going on while the machine is suspended.
pub type Time = Duration;

/// What happens to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The link has a carrier.
    Up,
    /// It has none any more.
    Down,
    /// Somebody sent this.
    Message(&'a [u8]),
    /// The time of [`Machine::deadline`] has come.
    Due,
    /// The service ends: what is lent is to be given back.
    Stop,
}

/// Which socket a client listens at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    None,
    Packet,
    Udp,
}

/// The client of one interface.
#[derive(Debug)]
pub struct Machine {
    client: Client,
    state: State,
    held: Option<Held>,
    /// An address that is still lent, from before the program started.
    known: Option<Ipv4Addr>,
    /// An address that would be welcome.
    wish: Option<Ipv4Addr>,
    xid: u32,
    /// When the exchange began.
    since: Time,
    /// Messages sent in this state, and when the last of them was.
    sent: u32,
    sent_at: Time,
    /// Refusals in a row.
    refusals: u32,
    told_of_silence: bool,
    random: Random,
}

/// The states, each with the time of what is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Down,
    Init { at: Time },
    Selecting { at: Time },
    Requesting { offer: Box<Lease>, at: Time },
    Rebooting { address: Ipv4Addr, at: Time },
    Bound,
    Renewing { at: Time },
    Rebinding { at: Time },
}

/// A lease that the interface is configured with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    lease: Lease,
    /// When it was asked for.
    since: Time,
}

impl Machine {
    /// A client on a link without carrier. `known` is an address that is still lent to it, `wish` one that it had.
    pub fn new(
        client: Client,
        known: Option<Ipv4Addr>,
        wish: Option<Ipv4Addr>,
        random: Random,
    ) -> Machine {
        Machine {
            client,
            state: State::Down,
            held: None,
            known,
            wish,
            xid: 0,
            since: Time::ZERO,
            sent: 0,
            sent_at: Time::ZERO,
            refusals: 0,
            told_of_silence: false,
            random,
        }
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// The lease that the interface is configured with, and when it ends.
    pub fn lease(&self) -> Option<(&Lease, Option<Time>)> {
        self.held.as_ref().map(|held| (&held.lease, held.end()))
    }

    /// The socket that the state needs.
    pub fn needs(&self) -> Socket {
        match self.state {
            State::Down | State::Init { .. } | State::Bound => Socket::None,
            State::Selecting { .. } | State::Requesting { .. } | State::Rebooting { .. } => {
                Socket::Packet
            }
            State::Renewing { .. } | State::Rebinding { .. } => Socket::Udp,
        }
    }

    /// When [`Event::Due`] is to come.
    pub fn deadline(&self) -> Option<Time> {
        let next = match &self.state {
            State::Down => None,
            State::Bound => self.held.as_ref().and_then(Held::renewal),
            State::Init { at }
            | State::Selecting { at }
            | State::Requesting { at, .. }
            | State::Rebooting { at, .. }
            | State::Renewing { at }
            | State::Rebinding { at } => Some(*at),
        };
        let end = self.held.as_ref().and_then(Held::end);
        [next, end].into_iter().flatten().min()
    }

    /// What `event` at the time `now` makes necessary.
    pub fn on(&mut self, event: Event<'_>, now: Time) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Up if self.state == State::Down => self.begin(now, &mut actions),
            Event::Up => {}
            // What is held stays: whoever plugs a cable in again wants the connections to go on.
            Event::Down => self.state = State::Down,
            Event::Message(bytes) => self.read(bytes, now, &mut actions),
            Event::Due => self.due(now, &mut actions),
            Event::Stop => self.stop(&mut actions),
        }
        actions
    }

    fn begin(&mut self, now: Time, actions: &mut Vec<Action>) {
        let address = self.held.as_ref().map(|held| held.lease.address.addr());
        match address.or(self.known) {
            Some(address) => {
                self.new_exchange(now);
                self.ask_again_for(address, now, actions);
            }
            None => self.discover_anew(now, actions),
        }
    }

    fn due(&mut self, now: Time, actions: &mut Vec<Action>) {
        if let Some(held) = self
            .held
            .take_if(|held| held.end().is_some_and(|end| end <= now))
        {
            let address = held.lease.address.addr();
            self.wish = Some(address);
            actions.push(Action::Unconfigure(Box::new(held.lease)));
            actions.push(Action::Say(Notice::Ended { address }));
            if matches!(
                self.state,
                State::Bound | State::Renewing { .. } | State::Rebinding { .. }
            ) {
                return self.discover_anew(now, actions);
            }
        }
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.state.clone() {
            State::Down => {}
            State::Init { .. } => self.discover_anew(now, actions),
            State::Selecting { .. } => self.discover(now, actions),
            State::Requesting { offer, .. } => {
                if self.sent < REQUESTS {
                    self.request(offer, now, actions);
                } else {
                    self.discover_anew(now, actions);
                }
            }
            State::Rebooting { address, .. } => {
                if self.sent < REBOOT_REQUESTS {
                    self.ask_again_for(address, now, actions);
                } else {
                    // Nobody knows us here. RFC 2131 allows to go on with the old address; whether this is still the
                    // network that it belongs to cannot be known, so another search is the better way.
                    self.known = None;
                    self.wish = Some(address);
                    self.discover_anew(now, actions);
                }
            }
            State::Bound => {
                self.new_exchange(now);
                self.renew(now, actions);
            }
            State::Renewing { .. } | State::Rebinding { .. } => self.renew(now, actions),
        }
    }

    fn read(&mut self, bytes: &[u8], now: Time, actions: &mut Vec<Action>) {
        // Whatever is not a reply to our last question is somebody else's business, or nobody's.
        let Ok(reply) = reply::read(bytes, &self.client, self.xid) else {
            return;
        };
        match (self.state.clone(), reply) {
            (State::Selecting { .. }, Reply::Offer(offer)) => {
                self.sent = 0;
                self.request(offer, now, actions);
            }
            (State::Requesting { offer, .. }, Reply::Ack(lease))
                if (lease.server, lease.address.addr()) == (offer.server, offer.address.addr()) =>
            {
                self.bind(lease, actions);
            }
            (State::Requesting { offer, .. }, Reply::Nak { server, reason })
                if server == offer.server =>
            {
                self.refused(server, reason, now, actions);
            }
            (State::Rebooting { address, .. }, Reply::Ack(lease))
                if lease.address.addr() == address =>
            {
                self.bind(lease, actions);
            }
            (State::Renewing { .. } | State::Rebinding { .. }, Reply::Ack(lease))
                if self
                    .held
                    .as_ref()
                    .is_some_and(|held| held.lease.address.addr() == lease.address.addr()) =>
            {
                self.bind(lease, actions);
            }
            (
                State::Rebooting { .. } | State::Renewing { .. } | State::Rebinding { .. },
                Reply::Nak { server, reason },
            ) => self.refused(server, reason, now, actions),
            _ => {}
        }
    }

    fn stop(&mut self, actions: &mut Vec<Action>) {
        let is_up = self.state != State::Down;
        self.state = State::Down;
        if let Some(Held { lease, .. }) = self.held.take() {
            if is_up {
                actions.push(Action::Send {
                    to: To::Server(lease.server),
                    message: message::release(&self.client, self.random.next_u32(), &lease),
                });
            }
            actions.push(Action::Unconfigure(Box::new(lease)));
        }
    }

    fn bind(&mut self, lease: Box<Lease>, actions: &mut Vec<Action>) {
        self.held = Some(Held {
            lease: (*lease).clone(),
            since: self.sent_at,
        });
        self.known = None;
        self.refusals = 0;
        self.told_of_silence = false;
        self.state = State::Bound;
        actions.push(Action::Configure(lease));
    }

    fn refused(
        &mut self,
        server: Ipv4Addr,
        reason: Option<String>,
        now: Time,
        actions: &mut Vec<Action>,
    ) {
        self.known = None;
        self.wish = None;
        if let Some(held) = self.held.take() {
            actions.push(Action::Unconfigure(Box::new(held.lease)));
        }
        actions.push(Action::Say(Notice::Refused { server, reason }));
        // The first refusal is what a machine meets that was moved to another network. One that goes on is no reason to
        // ask a thousand times a second.
        let wait = match self.refusals {
            0 => Duration::ZERO,
            refusals => growing(Duration::from_secs(1), refusals),
        };
        self.refusals += 1;
        if wait.is_zero() {
            self.discover_anew(now, actions);
        } else {
            self.state = State::Init { at: now + wait };
        }
    }

    fn discover_anew(&mut self, now: Time, actions: &mut Vec<Action>) {
        self.new_exchange(now);
        self.discover(now, actions);
    }

    fn discover(&mut self, now: Time, actions: &mut Vec<Action>) {
        if self.sent >= SILENCE && !self.told_of_silence {
            self.told_of_silence = true;
            actions.push(Action::Say(Notice::NoServer));
        }
        let message = message::discover(&self.client, self.exchange(now), self.wish);
        let at = self.send(To::Everybody, message, now, actions);
        self.state = State::Selecting { at };
    }

    fn request(&mut self, offer: Box<Lease>, now: Time, actions: &mut Vec<Action>) {
        let message = message::request_offered(&self.client, self.exchange(now), &offer);
        let at = self.send(To::Everybody, message, now, actions);
        self.state = State::Requesting { offer, at };
    }

    fn ask_again_for(&mut self, address: Ipv4Addr, now: Time, actions: &mut Vec<Action>) {
        let message = message::request_known(&self.client, self.exchange(now), address);
        let at = self.send(To::Everybody, message, now, actions);
        self.state = State::Rebooting { address, at };
    }

    /// Asks for more time: the server itself, or, when that has not answered until T2, every server.
    fn renew(&mut self, now: Time, actions: &mut Vec<Action>) {
        let Some((lease, rebinding, end)) = self
            .held
            .as_ref()
            .and_then(|held| Some((held.lease.clone(), held.rebinding()?, held.end()?)))
        else {
            self.state = State::Bound;
            return;
        };
        let message =
            message::request_longer(&self.client, self.exchange(now), lease.address.addr());
        let next = |until: Time| {
            let half = until.saturating_sub(now) / 2;
            until.min(now + half.max(RENEWAL_WAIT))
        };
        if now < rebinding {
            self.send(To::Server(lease.server), message, now, actions);
            self.state = State::Renewing {
                at: next(rebinding),
            };
        } else {
            if matches!(self.state, State::Renewing { .. }) {
                let server = lease.server;
                actions.push(Action::Say(Notice::NotRenewed { server }));
            }
            self.send(To::Everybody, message, now, actions);
            self.state = State::Rebinding { at: next(end) };
        }
    }

    fn new_exchange(&mut self, now: Time) {
        self.xid = self.random.next_u32();
        self.since = now;
        self.sent = 0;
    }

    fn exchange(&self, now: Time) -> Exchange {
        Exchange {
            xid: self.xid,
            elapsed: now.saturating_sub(self.since),
        }
    }

    /// Notes that a message goes out, and says when it has been unanswered for long enough.
    fn send(&mut self, to: To, message: Vec<u8>, now: Time, actions: &mut Vec<Action>) -> Time {
        actions.push(Action::Send { to, message });
        let wait = self.random.around(growing(FIRST_WAIT, self.sent), JITTER);
        self.sent += 1;
        self.sent_at = now;
        now + wait
    }
}

impl Held {
    fn end(&self) -> Option<Time> {
        self.lease.lifetime.map(|lifetime| self.since + lifetime)
    }

    fn renewal(&self) -> Option<Time> {
        let lifetime = self.lease.lifetime;
        lifetime.map(|_| self.since + self.lease.renew_after)
    }

    fn rebinding(&self) -> Option<Time> {
        let lifetime = self.lease.lifetime;
        lifetime.map(|_| self.since + self.lease.rebind_after)
    }
}

/// A wait that doubles with each attempt, up to the longest.
fn growing(first: Duration, attempts: u32) -> Duration {
    first.saturating_mul(1 << attempts.min(6)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests;
