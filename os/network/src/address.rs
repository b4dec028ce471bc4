//! Addresses and routes of interfaces: read from, added to and taken from the kernel.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
    RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::io::Errno;

use crate::netlink::{Netlink, RequestError};

/// "For ever" as the kernel's number of seconds.
const FOR_EVER: u32 = u32::MAX;

/// An address that an interface has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    pub index: u32,
    pub net: IpNet,
    /// How long the kernel keeps it; none is for ever.
    pub lifetime: Option<Duration>,
}

/// A route of the main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub index: u32,
    pub destination: IpNet,
    pub gateway: Option<IpAddr>,
    /// The sender's address for what goes this way.
    pub source: Option<IpAddr>,
    pub metric: u32,
    pub origin: Origin,
}

/// Who made a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Dhcp,
    Static,
    /// The kernel, by `ip=` of its command line, or people, by `ip route`.
    Boot,
    Other,
}

/// The addresses of all interfaces.
pub fn addresses(netlink: &mut Netlink) -> Result<Vec<Address>, RequestError> {
    let answers = netlink.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    Ok(answers
        .iter()
        .filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(message) => read_address(message),
            _ => None,
        })
        .collect())
}

/// Gives an interface an address, or an address that it has another lifetime.
pub fn set_address(netlink: &mut Netlink, address: &Address) -> Result<(), RequestError> {
    let message = address_message(address);
    netlink.change(
        RouteNetlinkMessage::NewAddress(message),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

/// Takes an address from an interface, with the routes that send from it. One that is not there is as good as taken.
pub fn remove_address(netlink: &mut Netlink, address: &Address) -> Result<(), RequestError> {
    let message = address_message(address);
    let result = netlink.change(RouteNetlinkMessage::DelAddress(message), 0);
    unless(&[Errno::ADDRNOTAVAIL, Errno::NODEV], result)
}

/// The main table's routes of version 4 through an interface.
pub fn routes(netlink: &mut Netlink, index: u32) -> Result<Vec<Route>, RequestError> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    let answers = netlink.dump(RouteNetlinkMessage::GetRoute(message))?;
    Ok(answers
        .iter()
        .filter_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(message) => read_route(message),
            _ => None,
        })
        .filter(|route| route.index == index)
        .collect())
}

/// Adds a route, in place of one with the same destination and metric.
pub fn set_route(netlink: &mut Netlink, route: &Route) -> Result<(), RequestError> {
    netlink.change(
        RouteNetlinkMessage::NewRoute(route_message(route)),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

/// Takes a route away. One that is not there is as good as taken.
pub fn remove_route(netlink: &mut Netlink, route: &Route) -> Result<(), RequestError> {
    let result = netlink.change(RouteNetlinkMessage::DelRoute(route_message(route)), 0);
    unless(&[Errno::SRCH, Errno::NODEV], result)
}

fn unless(expected: &[Errno], result: Result<(), RequestError>) -> Result<(), RequestError> {
    match result {
        Err(error) if error.errno().is_some_and(|errno| expected.contains(&errno)) => Ok(()),
        result => result,
    }
}

fn read_address(message: &AddressMessage) -> Option<Address> {
    let (mut address, mut local, mut lifetime) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(ip) => address = Some(*ip),
            // On a point-to-point link the other one is the peer's.
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::CacheInfo(info) if info.ifa_valid != FOR_EVER => {
                lifetime = Some(Duration::from_secs(info.ifa_valid.into()));
            }
            _ => {}
        }
    }
    Some(Address {
        index: message.header.index,
        net: IpNet::new(local.or(address)?, message.header.prefix_len).ok()?,
        lifetime,
    })
}

fn address_message(address: &Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address.net.addr());
    message.header.prefix_len = address.net.prefix_len();
    message.header.index = address.index;
    message.attributes = vec![
        AddressAttribute::Local(address.net.addr()),
        AddressAttribute::Address(address.net.addr()),
    ];
    if let IpNet::V4(net) = address.net
        && has_broadcast(net)
    {
        message
            .attributes
            .push(AddressAttribute::Broadcast(net.broadcast()));
    }
    let seconds = address.lifetime.map_or(FOR_EVER, |lifetime| {
        u32::try_from(lifetime.as_secs()).unwrap_or(FOR_EVER)
    });
    let mut info = CacheInfo::default();
    info.ifa_preferred = seconds;
    info.ifa_valid = seconds;
    message.attributes.push(AddressAttribute::CacheInfo(info));
    if seconds == FOR_EVER {
        let flags = AddressFlags::Permanent;
        message.attributes.push(AddressAttribute::Flags(flags));
    }
    message
}

/// Networks of one or two machines have none (RFC 3021).
fn has_broadcast(net: Ipv4Net) -> bool {
    net.prefix_len() <= 30
}

fn read_route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let family = header.address_family;
    let is_main = header.table == RouteHeader::RT_TABLE_MAIN && header.kind == RouteType::Unicast;
    if !is_main {
        return None;
    }
    let (mut destination, mut gateway, mut source, mut index, mut metric) =
        (None, None, None, None, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => destination = ip(address),
            RouteAttribute::Gateway(address) => gateway = ip(address),
            RouteAttribute::PrefSource(address) => source = ip(address),
            RouteAttribute::Oif(number) => index = Some(*number),
            RouteAttribute::Priority(number) => metric = *number,
            _ => {}
        }
    }
    let destination = destination.unwrap_or(match family {
        AddressFamily::Inet6 => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        _ => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    });
    Some(Route {
        index: index?,
        destination: IpNet::new(destination, header.destination_prefix_length).ok()?,
        gateway,
        source,
        metric,
        origin: match header.protocol {
            RouteProtocol::Dhcp => Origin::Dhcp,
            RouteProtocol::Static => Origin::Static,
            RouteProtocol::Boot => Origin::Boot,
            _ => Origin::Other,
        },
    })
}

fn route_message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(route.destination.addr());
    header.destination_prefix_length = route.destination.prefix_len();
    header.table = RouteHeader::RT_TABLE_MAIN;
    header.kind = RouteType::Unicast;
    header.scope = match route.gateway {
        Some(_) => RouteScope::Universe,
        None => RouteScope::Link,
    };
    header.protocol = match route.origin {
        Origin::Dhcp => RouteProtocol::Dhcp,
        Origin::Static => RouteProtocol::Static,
        Origin::Boot => RouteProtocol::Boot,
        Origin::Other => RouteProtocol::Unspec,
    };
    if let Some(gateway) = route.gateway {
        // The gateway is on this link, whatever the length of the address's prefix says: clouds lend addresses of
        // networks of one machine.
        if gateway.is_ipv4() {
            header.flags |= RouteFlags::Onlink;
        }
        let gateway = RouteAttribute::Gateway(address(gateway));
        message.attributes.push(gateway);
    }
    if route.destination.prefix_len() != 0 {
        let destination = RouteAttribute::Destination(address(route.destination.addr()));
        message.attributes.push(destination);
    }
    let source = route.source.map(address).map(RouteAttribute::PrefSource);
    message.attributes.extend(source);
    message.attributes.extend([
        RouteAttribute::Oif(route.index),
        RouteAttribute::Priority(route.metric),
    ]);
    message
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_for_the_kernel_is_what_is_read_from_it() {
        for (net, lifetime) in [
            ("10.0.2.15/24", Some(Duration::from_secs(120))),
            ("10.0.2.15/32", None),
            ("fd00::2/64", None),
        ] {
            let net = net.parse().unwrap();
            let address = Address {
                index: 2,
                net,
                lifetime,
            };
            assert_eq!(read_address(&address_message(&address)), Some(address));
        }
        for (destination, gateway) in [
            ("0.0.0.0/0", Some("10.0.2.2")),
            ("10.9.0.0/16", None),
            ("::/0", Some("fe80::1")),
        ] {
            let route = Route {
                index: 2,
                destination: destination.parse().unwrap(),
                gateway: gateway.map(|gateway| gateway.parse().unwrap()),
                source: None,
                metric: 1002,
                origin: Origin::Dhcp,
            };
            assert_eq!(read_route(&route_message(&route)), Some(route));
        }
    }
}
