//! What the kernel says about its network, as values.

use std::net::IpAddr;

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkMessage, State, Stats64};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::net::model::{Address, Counts, Direction, Family, Link, Route};
use crate::net::socket::{Netlink, NetlinkError};

/// A lifetime that does not end.
const FOR_EVER: u32 = u32::MAX;

/// All devices, in the order of their numbers.
pub(crate) fn links(netlink: &Netlink) -> Result<Vec<Link>, NetlinkError> {
    let answers = netlink.list(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let mut links: Vec<Link> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(message) => Some(link(message)),
            _ => None,
        })
        .collect();
    links.sort_by_key(|link| link.index);
    Ok(links)
}

/// The addresses of all devices, of both families, in the order in which the kernel has them.
pub(crate) fn addresses(netlink: &Netlink) -> Result<Vec<Address>, NetlinkError> {
    let answers = netlink.list(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    let addresses = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(message) => address(message),
        _ => None,
    });
    Ok(addresses.collect())
}

/// The routes of the main table.
pub(crate) fn routes(netlink: &Netlink, family: Family) -> Result<Vec<Route>, NetlinkError> {
    let mut request = RouteMessage::default();
    request.header.address_family = kernels(family);
    let answers = netlink.list(RouteNetlinkMessage::GetRoute(request))?;
    let routes = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewRoute(message) => route(family, message),
        _ => None,
    });
    Ok(routes.collect())
}

pub(crate) fn kernels(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

fn link(message: LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        flags: message.header.flags.bits(),
        kind: message.header.link_layer_type.into(),
        state: "UNKNOWN",
        ..Link::default()
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Qdisc(qdisc) => link.qdisc = qdisc,
            LinkAttribute::OperState(state) => link.state = state_word(state),
            LinkAttribute::Group(group) => link.group = group,
            LinkAttribute::TxQueueLen(length) => link.queue = length,
            LinkAttribute::Link(index) => link.behind = Some(index),
            LinkAttribute::Address(bytes) => link.hardware = bytes,
            LinkAttribute::Broadcast(bytes) => link.hardware_broadcast = bytes,
            LinkAttribute::Stats64(stats) => link.counts = counts(&stats),
            _ => {}
        }
    }
    link
}

fn state_word(state: State) -> &'static str {
    match state {
        State::NotPresent => "NOTPRESENT",
        State::Down => "DOWN",
        State::LowerLayerDown => "LOWERLAYERDOWN",
        State::Testing => "TESTING",
        State::Dormant => "DORMANT",
        State::Up => "UP",
        _ => "UNKNOWN",
    }
}

fn counts(stats: &Stats64) -> Counts {
    Counts {
        received: Direction {
            packets: stats.rx_packets,
            bytes: stats.rx_bytes,
            errors: stats.rx_errors,
            dropped: stats.rx_dropped + stats.rx_missed_errors,
            overruns: stats.rx_fifo_errors,
        },
        sent: Direction {
            packets: stats.tx_packets,
            bytes: stats.tx_bytes,
            errors: stats.tx_errors,
            dropped: stats.tx_dropped,
            overruns: stats.tx_fifo_errors,
        },
        frame: stats.rx_frame_errors,
        carrier: stats.tx_carrier_errors,
        collisions: stats.collisions,
    }
}

fn address(message: AddressMessage) -> Option<Address> {
    let header = message.header;
    let (mut local, mut other, mut flags) = (None, None, u32::from(header.flags.bits()));
    let (mut broadcast, mut label, mut cache) = (None, None, None);
    for attribute in message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(address),
            AddressAttribute::Address(address) => other = Some(address),
            AddressAttribute::Broadcast(address) => broadcast = Some(IpAddr::V4(address)),
            AddressAttribute::Label(text) => label = Some(text),
            AddressAttribute::Flags(all) => flags = all.bits(),
            AddressAttribute::CacheInfo(info) => cache = Some(info),
            _ => {}
        }
    }
    let lifetime = |seconds: Option<u32>| seconds.filter(|seconds| *seconds != FOR_EVER);
    Some(Address {
        device: header.index,
        // Without a peer the two are the same, and IPv6 has the second one alone.
        local: local.or(other)?,
        prefix: header.prefix_len,
        peer: other.filter(|other| local.is_some_and(|local| local != *other)),
        broadcast,
        scope: header.scope.into(),
        flags,
        label,
        valid: lifetime(cache.as_ref().map(|info| info.ifa_valid)),
        preferred: lifetime(cache.as_ref().map(|info| info.ifa_preferred)),
    })
}

fn route(family: Family, message: RouteMessage) -> Option<Route> {
    let header = message.header;
    let mut table = u32::from(header.table);
    let mut route = Route {
        family,
        destination: None,
        prefix: header.destination_prefix_length,
        gateway: None,
        device: None,
        source: None,
        metric: None,
        protocol: header.protocol.into(),
        scope: header.scope.into(),
        kind: header.kind.into(),
        flags: header.flags.bits(),
    };
    let is_multicast = header.kind == RouteType::Multicast;
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => route.destination = ip(address),
            RouteAttribute::Gateway(address) => route.gateway = ip(address),
            RouteAttribute::PrefSource(address) => route.source = ip(address),
            RouteAttribute::Oif(index) => route.device = Some(index),
            RouteAttribute::Priority(metric) => route.metric = Some(metric),
            RouteAttribute::Table(number) => table = number,
            _ => {}
        }
    }
    let is_main = table == u32::from(RouteHeader::RT_TABLE_MAIN);
    (is_main && !is_multicast).then_some(route)
}

fn ip(address: RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(address)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_devices_of_this_system_are_read() {
        // Every network namespace has one, whatever else it has.
        let links = links(&Netlink::open().unwrap()).unwrap();
        let lo = links.iter().find(|link| link.name == "lo").unwrap();
        assert_eq!(lo.kind_word(), "loopback");
        assert_eq!(lo.hardware, [0; 6]);
        assert!(lo.flag_words().contains(&"LOOPBACK"));
        assert!(lo.mtu > 0);
    }
}
