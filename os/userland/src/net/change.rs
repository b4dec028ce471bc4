//! Changes of the kernel's network. Only who has the capability CAP_NET_ADMIN may make them.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

use crate::net::model::Family;
use crate::net::prefix::Prefix;
use crate::net::read::kernels;
use crate::net::socket::{Netlink, NetlinkError};

/// Whether something is to be there or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Add,
    Delete,
}

/// What of a device is to change; what is none stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LinkChange {
    pub(crate) up: Option<bool>,
    pub(crate) mtu: Option<u32>,
}

/// A route to add or delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteChange {
    pub(crate) family: Family,
    /// None is everywhere else.
    pub(crate) destination: Option<Prefix>,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) device: Option<u32>,
    pub(crate) metric: Option<u32>,
}

pub(crate) fn link(netlink: &Netlink, index: u32, change: LinkChange) -> Result<(), NetlinkError> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    if let Some(up) = change.up {
        message.header.change_mask = LinkFlags::Up;
        if up {
            message.header.flags = LinkFlags::Up;
        }
    }
    message
        .attributes
        .extend(change.mtu.map(LinkAttribute::Mtu));
    netlink.change(RouteNetlinkMessage::SetLink(message), 0)
}

/// Adds or deletes an address. An IPv4 network's broadcast address comes with it.
pub(crate) fn address(
    netlink: &Netlink,
    presence: Presence,
    index: u32,
    prefix: Prefix,
    label: &str,
) -> Result<(), NetlinkError> {
    let mut message = AddressMessage::default();
    message.header.family = kernels(Family::of(prefix.address));
    message.header.prefix_len = prefix.length;
    message.header.index = index;
    message.header.scope = if prefix.address.is_loopback() {
        AddressScope::Host
    } else {
        AddressScope::Universe
    };
    message.attributes = vec![
        AddressAttribute::Local(prefix.address),
        AddressAttribute::Address(prefix.address),
    ];
    match presence {
        Presence::Add => {
            if prefix.address.is_ipv4() {
                let label = AddressAttribute::Label(label.to_owned());
                message.attributes.push(label);
            }
            let broadcast = prefix.broadcast().filter(|_| !prefix.address.is_loopback());
            message
                .attributes
                .extend(broadcast.map(AddressAttribute::Broadcast));
            netlink.change(
                RouteNetlinkMessage::NewAddress(message),
                NLM_F_CREATE | NLM_F_EXCL,
            )
        }
        Presence::Delete => netlink.change(RouteNetlinkMessage::DelAddress(message), 0),
    }
}

pub(crate) fn route(
    netlink: &Netlink,
    presence: Presence,
    change: RouteChange,
) -> Result<(), NetlinkError> {
    let mut message = RouteMessage::default();
    message.header.address_family = kernels(change.family);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    if let Some(destination) = change.destination {
        message.header.destination_prefix_length = destination.length;
        let network = RouteAttribute::Destination(destination.network().into());
        message.attributes.push(network);
    }
    let gateway = change
        .gateway
        .map(|gateway| RouteAttribute::Gateway(gateway.into()));
    message.attributes.extend(gateway);
    message
        .attributes
        .extend(change.device.map(RouteAttribute::Oif));
    message
        .attributes
        .extend(change.metric.map(RouteAttribute::Priority));
    match presence {
        Presence::Add => {
            message.header.protocol = RouteProtocol::Boot;
            message.header.kind = RouteType::Unicast;
            message.header.scope = match (change.family, change.gateway) {
                (Family::V4, None) => RouteScope::Link,
                _ => RouteScope::Universe,
            };
            netlink.change(
                RouteNetlinkMessage::NewRoute(message),
                NLM_F_CREATE | NLM_F_EXCL,
            )
        }
        Presence::Delete => {
            // "Nowhere" means whatever scope it has (ip-route(8) does the same).
            message.header.scope = RouteScope::NoWhere;
            netlink.change(RouteNetlinkMessage::DelRoute(message), 0)
        }
    }
}
