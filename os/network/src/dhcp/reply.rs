//! What servers say, and what of it is believed.
//!
//! It may come from anybody on the network. What is not plausible is left out or refused here, so that a [`Lease`] can be
//! used as it is.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::Decodable;
use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode, OptionCode};
use ipnet::Ipv4Net;
use thiserror::Error;

use crate::dhcp::message::{COOKIE, COOKIE_AT, Client};
use crate::lease::{Lease, LeasedRoute};
use crate::names;

/// The two options without a length (RFC 2132, 3.1 and 3.2).
const PAD: u8 = 0;
const END: u8 = 255;
/// The options that are read.
const READ: [OptionCode; 15] = [
    OptionCode::SubnetMask,
    OptionCode::Router,
    OptionCode::DomainNameServer,
    OptionCode::Hostname,
    OptionCode::DomainName,
    OptionCode::InterfaceMtu,
    OptionCode::NtpServers,
    OptionCode::AddressLeaseTime,
    OptionCode::MessageType,
    OptionCode::ServerIdentifier,
    OptionCode::Message,
    OptionCode::Renewal,
    OptionCode::Rebinding,
    OptionCode::DomainSearch,
    OptionCode::ClasslessStaticRoute,
];
/// A shorter lease would be nothing but renewals: it is refused.
const SHORTEST_LEASE: Duration = Duration::from_secs(10);
/// "For ever" as a number of seconds (RFC 2131, 3.3).
const FOR_EVER: u32 = u32::MAX;
/// The smallest packet that every receiver takes (RFC 791); a smaller MTU makes a network useless.
const SMALLEST_MTU: u16 = 576;
/// More than anybody needs, and few enough to be no burden.
const MOST_ADDRESSES: usize = 8;
const MOST_ROUTES: usize = 64;
/// The length of what a server says about a refusal that is repeated.
const LONGEST_REASON: usize = 120;

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Offer(Box<Lease>),
    Ack(Box<Lease>),
    Nak {
        server: Ipv4Addr,
        reason: Option<String>,
    },
}

/// Why a message is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadReplyError {
    #[error("it is not a DHCP message")]
    Malformed,
    #[error("it is for another client or another exchange")]
    NotOurs,
    #[error("it is no reply")]
    NotAReply,
    #[error("it has no server identifier")]
    NoServer,
    #[error("it offers the address {address}")]
    Address { address: Ipv4Addr },
    #[error("its network mask is {mask}")]
    Mask { mask: Ipv4Addr },
    #[error("it has no lease time")]
    NoLifetime,
    #[error("it is for {} s", .lifetime.as_secs())]
    TooShort { lifetime: Duration },
}

/// Reads a message as the reply to `client` in the exchange `xid`.
pub fn read(bytes: &[u8], client: &Client, xid: u32) -> Result<Reply, ReadReplyError> {
    if bytes.get(COOKIE_AT..COOKIE_AT + COOKIE.len()) != Some(&COOKIE) {
        return Err(ReadReplyError::Malformed);
    }
    let message = Message::from_bytes(&only_read(bytes)).map_err(|_| ReadReplyError::Malformed)?;
    if message.opcode() != Opcode::BootReply {
        return Err(ReadReplyError::NotAReply);
    }
    // A length of hardware addresses beyond 16 is nonsense, and chaddr() does not check it.
    if usize::from(message.hlen()) != client.mac.len()
        || message.chaddr() != client.mac
        || message.xid() != xid
    {
        return Err(ReadReplyError::NotOurs);
    }
    let kind = message.opts().msg_type();
    let Some(DhcpOption::ServerIdentifier(server)) =
        message.opts().get(OptionCode::ServerIdentifier)
    else {
        return Err(ReadReplyError::NoServer);
    };
    let server = Some(*server)
        .filter(is_host)
        .ok_or(ReadReplyError::NoServer)?;
    match kind {
        Some(MessageType::Offer) => Ok(Reply::Offer(Box::new(lease(&message, server)?))),
        Some(MessageType::Ack) => Ok(Reply::Ack(Box::new(lease(&message, server)?))),
        Some(MessageType::Nak) => Ok(Reply::Nak {
            server,
            reason: reason(&message),
        }),
        _ => Err(ReadReplyError::NotAReply),
    }
}

/// The message without the options that are of no use here. One that cannot be read ends dhcproto's reading, or, in a
/// debug build, the program; so those that nobody asked for are not shown to it. Of an option given twice, the first counts.
fn only_read(bytes: &[u8]) -> Vec<u8> {
    let (fixed, mut rest) = bytes.split_at(COOKIE_AT + COOKIE.len());
    let mut only = fixed.to_vec();
    let mut seen = BTreeSet::new();
    while let [code, after @ ..] = rest {
        rest = match *code {
            PAD => after,
            END => break,
            code => {
                let Some((length, content)) = after.split_first() else {
                    break;
                };
                let Some((content, next)) = content.split_at_checked(usize::from(*length)) else {
                    break;
                };
                if READ.contains(&OptionCode::from(code)) && seen.insert(code) {
                    only.extend([code, *length]);
                    only.extend(content);
                }
                next
            }
        };
    }
    only.push(END);
    only
}

fn lease(message: &Message, server: Ipv4Addr) -> Result<Lease, ReadReplyError> {
    let options = message.opts();
    let address = message.yiaddr();
    if !is_host(&address) {
        return Err(ReadReplyError::Address { address });
    }
    let mask = match options.get(OptionCode::SubnetMask) {
        Some(DhcpOption::SubnetMask(mask)) => *mask,
        _ => mask_of_class(address),
    };
    let address =
        Ipv4Net::with_netmask(address, mask).map_err(|_| ReadReplyError::Mask { mask })?;
    if address.prefix_len() == 0 {
        return Err(ReadReplyError::Mask { mask });
    }
    let seconds = |code| match options.get(code) {
        Some(
            DhcpOption::AddressLeaseTime(seconds)
            | DhcpOption::Renewal(seconds)
            | DhcpOption::Rebinding(seconds),
        ) => Some(*seconds),
        _ => None,
    };
    let lifetime = match seconds(OptionCode::AddressLeaseTime).ok_or(ReadReplyError::NoLifetime)? {
        FOR_EVER => None,
        seconds => Some(Duration::from_secs(seconds.into())),
    };
    if let Some(lifetime) = lifetime.filter(|lifetime| *lifetime < SHORTEST_LEASE) {
        return Err(ReadReplyError::TooShort { lifetime });
    }
    let time = |code| seconds(code).map(|seconds| Duration::from_secs(seconds.into()));
    let (renew_after, rebind_after) = times(
        lifetime.unwrap_or_default(),
        time(OptionCode::Renewal),
        time(OptionCode::Rebinding),
    );
    let addresses = |code| match options.get(code) {
        Some(
            DhcpOption::Router(list)
            | DhcpOption::DomainNameServer(list)
            | DhcpOption::NtpServers(list),
        ) => {
            let hosts = list.iter().copied().filter(is_host);
            hosts.take(MOST_ADDRESSES).collect()
        }
        _ => Vec::new(),
    };
    Ok(Lease {
        address,
        server,
        routes: routes(message, &addresses(OptionCode::Router)),
        nameservers: addresses(OptionCode::DomainNameServer),
        search: search(message),
        hostname: match options.get(OptionCode::Hostname) {
            Some(DhcpOption::Hostname(name)) => names::hostname(name),
            _ => None,
        },
        mtu: match options.get(OptionCode::InterfaceMtu) {
            Some(DhcpOption::InterfaceMtu(mtu)) => Some(*mtu).filter(|mtu| *mtu >= SMALLEST_MTU),
            _ => None,
        },
        ntp: addresses(OptionCode::NtpServers),
        lifetime,
        renew_after,
        rebind_after,
    })
}

/// T1 and T2: as the server says where that is in order, else half and seven eighths of the lease (RFC 2131, 4.4.5).
fn times(lifetime: Duration, t1: Option<Duration>, t2: Option<Duration>) -> (Duration, Duration) {
    let (half, most) = (lifetime / 2, lifetime * 7 / 8);
    let t2 = t2
        .filter(|t2| !t2.is_zero() && *t2 < lifetime)
        .unwrap_or(most);
    let t1 = t1.filter(|t1| !t1.is_zero() && *t1 < t2);
    match t1 {
        Some(t1) => (t1, t2),
        None if half < t2 => (half, t2),
        None => (half, most),
    }
}

/// The routes of option 121, or where there is none the first router (RFC 3442).
fn routes(message: &Message, routers: &[Ipv4Addr]) -> Vec<LeasedRoute> {
    match message.opts().get(OptionCode::ClasslessStaticRoute) {
        Some(DhcpOption::ClasslessStaticRoute(list)) if !list.is_empty() => list
            .iter()
            .filter_map(|(destination, gateway)| {
                let gateway = Some(*gateway).filter(|gateway| !gateway.is_unspecified());
                let plausible = gateway.as_ref().is_none_or(is_host)
                    && !destination.addr().is_loopback()
                    && !destination.addr().is_multicast();
                plausible.then_some(LeasedRoute {
                    destination: destination.trunc(),
                    gateway,
                })
            })
            .take(MOST_ROUTES)
            .collect(),
        _ => routers
            .first()
            .map(|router| LeasedRoute {
                destination: Ipv4Net::default(),
                gateway: Some(*router),
            })
            .into_iter()
            .collect(),
    }
}

/// The domain, then those of option 119.
fn search(message: &Message) -> Vec<String> {
    let options = message.opts();
    let mut domains = Vec::new();
    if let Some(DhcpOption::DomainName(text)) = options.get(OptionCode::DomainName) {
        // Some servers put a list into it.
        domains.extend(text.split_whitespace().filter_map(names::domain));
    }
    if let Some(DhcpOption::DomainSearch(list)) = options.get(OptionCode::DomainSearch) {
        domains.extend(
            list.iter()
                .filter_map(|name| names::domain(&name.to_ascii())),
        );
    }
    let mut seen = BTreeSet::new();
    domains.retain(|domain| seen.insert(domain.clone()));
    domains.truncate(MOST_ADDRESSES);
    domains
}

fn reason(message: &Message) -> Option<String> {
    let Some(DhcpOption::Message(text)) = message.opts().get(OptionCode::Message) else {
        return None;
    };
    let text: String = text
        .chars()
        .filter(|character| !character.is_control())
        .take(LONGEST_REASON)
        .collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Whether an address can be that of one machine.
fn is_host(address: &Ipv4Addr) -> bool {
    // 240.0.0.0/4 is reserved, with the broadcast address at its end (RFC 1112, 4).
    address.octets()[0] != 0
        && !address.is_loopback()
        && !address.is_multicast()
        && address.octets()[0] < 240
}

/// What a network's mask is when nobody says (RFC 950).
fn mask_of_class(address: Ipv4Addr) -> Ipv4Addr {
    match address.octets()[0] {
        0..128 => Ipv4Addr::new(255, 0, 0, 0),
        128..192 => Ipv4Addr::new(255, 255, 0, 0),
        _ => Ipv4Addr::new(255, 255, 255, 0),
    }
}

#[cfg(test)]
pub(crate) mod tests;
