//! [`Link`]: a network interface as the kernel describes it, and the changes that are made to one.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};

use crate::dhcp::message::Mac;
use crate::netlink::{Netlink, RequestError};

/// What is to be known of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub kind: Kind,
    pub is_up: bool,
    pub has_carrier: bool,
    pub mtu: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Loopback,
    /// A network card, also a virtual machine's.
    Ethernet {
        mac: Mac,
    },
    /// What somebody made: a bridge, an end of a pair, ... It is left alone unless it is named in network.json.
    Made {
        mac: Mac,
    },
    /// Anything without Ethernet's addresses.
    Other,
}

impl Link {
    /// The address for those that have one.
    pub fn mac(&self) -> Option<Mac> {
        match self.kind {
            Kind::Ethernet { mac } | Kind::Made { mac } => Some(mac),
            Kind::Loopback | Kind::Other => None,
        }
    }

    /// Reads the kernel's message. None without a name, which every link has.
    pub fn read(message: &LinkMessage) -> Option<Link> {
        let header = &message.header;
        let (mut name, mut mac, mut mtu, mut is_made) = (None, None, 0, false);
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(text) => name = Some(text.clone()),
                LinkAttribute::Address(bytes) => mac = Mac::try_from(&bytes[..]).ok(),
                LinkAttribute::Mtu(number) => mtu = *number,
                LinkAttribute::LinkInfo(infos) => {
                    is_made |= infos.iter().any(|info| matches!(info, LinkInfo::Kind(_)));
                }
                _ => {}
            }
        }
        let kind = match (header.link_layer_type, mac) {
            _ if header.flags.contains(LinkFlags::Loopback) => Kind::Loopback,
            (LinkLayerType::Ether, Some(mac)) if is_made => Kind::Made { mac },
            (LinkLayerType::Ether, Some(mac)) => Kind::Ethernet { mac },
            _ => Kind::Other,
        };
        Some(Link {
            index: header.index,
            name: name?,
            kind,
            is_up: header.flags.contains(LinkFlags::Up),
            has_carrier: header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
            mtu,
        })
    }
}

/// All links.
pub fn list(netlink: &mut Netlink) -> Result<Vec<Link>, RequestError> {
    let answers = netlink.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    Ok(answers
        .iter()
        .filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(message) => Link::read(message),
            _ => None,
        })
        .collect())
}

/// Switches a link on.
pub fn set_up(netlink: &mut Netlink, index: u32) -> Result<(), RequestError> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    netlink.change(RouteNetlinkMessage::SetLink(message), 0)
}

/// Sets the size of the largest packet.
pub fn set_mtu(netlink: &mut Netlink, index: u32, mtu: u32) -> Result<(), RequestError> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes.push(LinkAttribute::Mtu(mtu));
    netlink.change(RouteNetlinkMessage::SetLink(message), 0)
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::InfoKind;

    use super::*;

    fn message(flags: LinkFlags, layer: LinkLayerType, mac: &[u8]) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 2;
        message.header.flags = flags;
        message.header.link_layer_type = layer;
        message.attributes = vec![
            LinkAttribute::IfName("eth0".to_owned()),
            LinkAttribute::Mtu(1500),
            LinkAttribute::Address(mac.to_vec()),
        ];
        message
    }

    #[test]
    fn links_are_told_apart() {
        let mac = [2, 0, 0, 0, 0, 1];
        let check = |message: &LinkMessage, expected: Kind| {
            assert_eq!(Link::read(message).unwrap().kind, expected);
        };
        let mut ethernet = message(LinkFlags::Up, LinkLayerType::Ether, &mac);
        check(&ethernet, Kind::Ethernet { mac });
        let kind = LinkInfo::Kind(InfoKind::Veth);
        ethernet
            .attributes
            .push(LinkAttribute::LinkInfo(vec![kind]));
        check(&ethernet, Kind::Made { mac });
        let loopback = message(LinkFlags::Loopback, LinkLayerType::Loopback, &[0; 6]);
        check(&loopback, Kind::Loopback);
        check(
            &message(LinkFlags::Up, LinkLayerType::Ether, &[1]),
            Kind::Other,
        );
        check(
            &message(LinkFlags::Up, LinkLayerType::Tunnel, &mac),
            Kind::Other,
        );
    }

    #[test]
    fn a_carrier_counts_only_on_a_link_that_is_on() {
        let check = |flags, expected| {
            let link = Link::read(&message(flags, LinkLayerType::Ether, &[2; 6])).unwrap();
            assert_eq!(link.has_carrier, expected, "{flags:?}");
        };
        check(LinkFlags::Up, false);
        check(LinkFlags::LowerUp, false);
        check(LinkFlags::Up | LinkFlags::LowerUp, true);
    }
}
