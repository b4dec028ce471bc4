//! The state of everything, put together from the configuration, the leases and what the kernel has.

use std::collections::BTreeMap;
use std::net::IpAddr;

use nodeos_spec::network::NetworkSpec;

use crate::address::{self, Address};
use crate::config::Plan;
use crate::interface::{Interface, Shared};
use crate::lease::Leases;
use crate::outputs::unique;
use crate::status::{By, InterfaceStatus, Status};
use crate::timekeeper::Clock;

/// The state now. Addresses are the kernel's own list, so those by router advertisement are among them.
pub fn status(
    spec: &NetworkSpec,
    interfaces: &BTreeMap<u32, Interface>,
    shared: &mut Shared<'_>,
    clock: &Clock,
) -> Status {
    // A list that cannot be had is told of where addresses are set.
    let addresses = address::addresses(&mut shared.netlink).unwrap_or_default();
    let leases: Vec<_> = interfaces.values().filter_map(Interface::lease).collect();
    // What the kernel was told counts until something better is known.
    let pnp = leases.is_empty().then(|| shared.pnp.clone());
    let pnp = pnp.unwrap_or_default();

    let leased = leases.iter().flat_map(|(lease, _)| &lease.nameservers);
    let told = leased
        .chain(&pnp.nameservers)
        .map(|server| IpAddr::V4(*server));
    let nameservers = unique(spec.nameservers.iter().copied().chain(told));
    let search = leases.iter().flat_map(|(lease, _)| lease.search.clone());
    let search = unique(search.chain(pnp.domain));
    let hostname = spec
        .hostname
        .clone()
        .or_else(|| leases.iter().find_map(|(lease, _)| lease.hostname.clone()));
    Status {
        interfaces: interfaces
            .values()
            .map(|interface| one(interface, &addresses, &shared.leases))
            .collect(),
        nameservers,
        search,
        hostname,
        clock: clock.clone(),
    }
}

fn one(interface: &Interface, addresses: &[Address], kept: &Leases) -> InterfaceStatus {
    let lease = interface.lease().map(|(lease, _)| lease);
    let kept = lease.and_then(|_| kept.get(&interface.link.name));
    let gateways: Vec<IpAddr> = match (&interface.plan, lease) {
        (_, Some(lease)) => {
            let routes = lease.routes.iter();
            let default = routes.filter(|route| route.destination.prefix_len() == 0);
            default
                .filter_map(|route| route.gateway.map(IpAddr::V4))
                .collect()
        }
        (Plan::Static(addresses), None) => {
            let v4 = addresses.v4.and_then(|network| network.gateway);
            let v6 = addresses.v6.and_then(|network| network.gateway);
            let v4 = v4.map(IpAddr::V4);
            v4.into_iter().chain(v6.map(IpAddr::V6)).collect()
        }
        _ => Vec::new(),
    };
    InterfaceStatus {
        name: interface.link.name.clone(),
        by: match interface.plan {
            Plan::SwitchOn => By::Kernel,
            Plan::Dhcp { .. } => By::Dhcp,
            Plan::Static(_) => By::Static,
            Plan::LeaveAlone => By::Off,
        },
        carrier: interface.link.has_carrier,
        addresses: addresses
            .iter()
            .filter(|address| address.index == interface.link.index)
            .map(|address| address.net.to_string())
            .collect(),
        gateways,
        server: lease.map(|lease| IpAddr::V4(lease.server)),
        ends: kept.and_then(|kept| kept.ends),
    }
}
