//! From a lease or a configured address to what the kernel has of it.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nodeos_spec::network::{Network, Static};
use thiserror::Error;

use crate::address::{self, Address, Origin, Route};
use crate::lease::Lease;
use crate::link::{self, Link};
use crate::netlink::{Netlink, RequestError};

/// The metric of routes, to which an interface's number is added: the first card's way is the first choice, and whatever
/// people add by hand, without a metric, is before it.
const METRIC: u32 = 1000;

/// What an interface has had until now.
#[derive(Debug)]
pub struct Before<'a> {
    /// Addresses that others gave it, and that a lease takes the place of.
    pub inherited: Vec<Address>,
    pub lease: Option<&'a Lease>,
}

/// What of a configuration the kernel does not take. The rest of it is done all the same.
#[derive(Debug, Error)]
pub enum ApplyError {
    #[error("cannot have the address {net}")]
    Address {
        net: IpNet,
        #[source]
        source: RequestError,
    },
    #[error("cannot have the route to {destination} by {}", way(.gateway))]
    Route {
        destination: IpNet,
        gateway: Option<IpAddr>,
        #[source]
        source: RequestError,
    },
    #[error("cannot send packets of {mtu} bytes")]
    Mtu {
        mtu: u32,
        #[source]
        source: RequestError,
    },
    #[error("cannot be rid of what it had before")]
    Old(#[source] RequestError),
}

/// Gives an interface what a lease says, for the time that is left of it. First everything new, then away with the old: at
/// no time is the machine without an address.
pub fn lease(
    netlink: &mut Netlink,
    link: &Link,
    lease: &Lease,
    left: Option<Duration>,
    before: Before<'_>,
) -> Vec<ApplyError> {
    let new = address_of(link, lease, left);
    let routes = routes_of(link, lease);
    let mut failures = add(netlink, &new, &routes);
    match remove_old(netlink, link, &new, &routes, before) {
        // With an address the kernel takes away those of the same network that came after it.
        Ok(Removed::Addresses) => failures = add(netlink, &new, &routes),
        Ok(Removed::Nothing) => {}
        Err(error) => failures.push(ApplyError::Old(error)),
    }
    if let Some(mtu) = lease.mtu.map(u32::from).filter(|mtu| *mtu != link.mtu)
        && let Err(source) = link::set_mtu(netlink, link.index, mtu)
    {
        failures.push(ApplyError::Mtu { mtu, source });
    }
    failures
}

/// Whether addresses were taken away.
enum Removed {
    Addresses,
    Nothing,
}

fn remove_old(
    netlink: &mut Netlink,
    link: &Link,
    new: &Address,
    wanted: &[Route],
    before: Before<'_>,
) -> Result<Removed, RequestError> {
    let replaces_the_kernels = !before.inherited.is_empty();
    let mut old = before.inherited;
    old.extend(before.lease.map(|lease| address_of(link, lease, None)));
    old.retain(|address| address.net != new.net);
    for address in &old {
        address::remove_address(netlink, address)?;
    }
    for route in address::routes(netlink, link.index)? {
        let is_wanted = wanted
            .iter()
            .any(|wanted| (wanted.destination, wanted.metric) == (route.destination, route.metric));
        let is_the_kernels = replaces_the_kernels
            && route.origin == Origin::Boot
            && route.destination.prefix_len() == 0;
        if !is_wanted && (is_the_kernels || route.origin == Origin::Dhcp) {
            address::remove_route(netlink, &route)?;
        }
    }
    Ok(if old.is_empty() {
        Removed::Nothing
    } else {
        Removed::Addresses
    })
}

fn add(netlink: &mut Netlink, new: &Address, routes: &[Route]) -> Vec<ApplyError> {
    let mut failures = Vec::new();
    if let Err(source) = address::set_address(netlink, new) {
        failures.push(ApplyError::Address {
            net: new.net,
            source,
        });
    }
    for route in routes {
        if let Err(source) = address::set_route(netlink, route) {
            let (destination, gateway) = (route.destination, route.gateway);
            failures.push(ApplyError::Route {
                destination,
                gateway,
                source,
            });
        }
    }
    failures
}

fn way(gateway: &Option<IpAddr>) -> String {
    gateway.map_or("this link".to_owned(), |gateway| gateway.to_string())
}

/// Takes from an interface what a lease gave it.
pub fn without_lease(
    netlink: &mut Netlink,
    link: &Link,
    lease: &Lease,
) -> Result<(), RequestError> {
    for route in routes_of(link, lease) {
        address::remove_route(netlink, &route)?;
    }
    address::remove_address(netlink, &address_of(link, lease, None))
}

/// What is configured, of both versions alike.
pub fn networks(addresses: &Static) -> Vec<Network<IpAddr>> {
    let v4 = addresses.v4.as_ref().map(general);
    let v6 = addresses.v6.as_ref().map(general);
    v4.into_iter().chain(v6).collect()
}

/// Gives an interface a configured address, and the way out of its network.
pub fn network(netlink: &mut Netlink, index: u32, network: &Network<IpAddr>) -> Vec<ApplyError> {
    let address = Address {
        index,
        net: IpNet::new(network.address, network.prefix)
            .expect("spec has checked the length of the prefix"),
        lifetime: None,
    };
    let route = network.gateway.map(|gateway| Route {
        index,
        destination: match gateway {
            IpAddr::V4(_) => IpNet::V4(Ipv4Net::default()),
            IpAddr::V6(_) => IpNet::V6(Ipv6Net::default()),
        },
        gateway: Some(gateway),
        source: None,
        metric: METRIC + index,
        origin: Origin::Static,
    });
    add(netlink, &address, route.as_slice())
}

fn general<A: Copy + Into<IpAddr>>(network: &Network<A>) -> Network<IpAddr> {
    Network {
        address: network.address.into(),
        prefix: network.prefix,
        gateway: network.gateway.map(Into::into),
    }
}

fn address_of(link: &Link, lease: &Lease, lifetime: Option<Duration>) -> Address {
    Address {
        index: link.index,
        net: IpNet::V4(lease.address),
        lifetime,
    }
}

fn routes_of(link: &Link, lease: &Lease) -> Vec<Route> {
    let routes = lease.routes.iter();
    routes
        .map(|route| Route {
            index: link.index,
            destination: IpNet::V4(route.destination),
            gateway: route.gateway.map(IpAddr::V4),
            source: Some(IpAddr::V4(lease.address.addr())),
            metric: METRIC + link.index,
            origin: Origin::Dhcp,
        })
        .collect()
}
