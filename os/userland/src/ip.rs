//! `ip`: shows devices, addresses and routes, and changes them where one may.

mod arguments;
mod json;
mod text;

use rustix::io::Errno;
use serde_json::Value;
use thiserror::Error;

use crate::applet::{Call, DONE, Stop};
use crate::ip::arguments::{Command, Request};
use crate::net::change::{self, Presence, RouteChange};
use crate::net::model::{Address, Family, Link};
use crate::net::read;
use crate::net::socket::{Netlink, NetlinkError};

pub(crate) const HELP: &str = "\
Usage: ip [OPTION]... address [show [DEVICE]]
       ip [OPTION]... address add|del ADDRESS/LENGTH dev DEVICE
       ip [OPTION]... link [show [DEVICE]]
       ip [OPTION]... link set DEVICE [up|down] [mtu BYTES]
       ip [OPTION]... route [show]
       ip [OPTION]... route add|del default|NETWORK/LENGTH [via ADDRESS] [dev DEVICE] [metric NUMBER]

Shows the devices, addresses and routes of the network. Changes are for root's network service, which reads them from
/etc/network.json; for everybody else they fail.

Options:
  -4      IPv4 only
  -6      IPv6 only
  -j      Print JSON
  --help  Show this
";

/// The only way in which `ip link` and every usual driver go from down to up.
const MODE: &str = "DEFAULT";

/// Why something of the network was not shown or changed.
#[derive(Debug, Error)]
pub(crate) enum NetworkError {
    #[error("cannot read the state of the network")]
    Read(#[source] NetlinkError),
    #[error("there is no device {name:?}")]
    NoDevice { name: String },
    #[error("cannot {deed}")]
    Change { deed: String, source: NetlinkError },
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let request = arguments::parse(std::mem::take(&mut call.args))?;
    let text = answer(request).map_err(failed)?;
    write!(call.out, "{text}")?;
    Ok(DONE)
}

/// A failure with what to do about it.
pub(crate) fn failed(error: NetworkError) -> Stop {
    let hint = match &error {
        NetworkError::Change {
            source: NetlinkError::Refused(Errno::PERM | Errno::ACCESS),
            ..
        } => Some("only root's network service may: /etc/network.json of root says what it does"),
        NetworkError::NoDevice { .. } => Some("ip link shows the devices that there are"),
        _ => None,
    };
    let stop = Stop::failed(error);
    match hint {
        Some(hint) => stop.hint(hint),
        None => stop,
    }
}

fn answer(request: Request) -> Result<String, NetworkError> {
    let netlink = Netlink::open().map_err(NetworkError::Read)?;
    let links = read::links(&netlink).map_err(NetworkError::Read)?;
    let wanted = |family: Family| request.family.is_none_or(|wanted| wanted == family);
    match request.command {
        Command::ShowLinks { device } => {
            let links = (chosen(&links, device)?, links.as_slice());
            Ok(show(request.json, links, None))
        }
        Command::ShowAddresses { device } => {
            let mut addresses = read::addresses(&netlink).map_err(NetworkError::Read)?;
            addresses.retain(|address| wanted(address.family()));
            let mut shown = chosen(&links, device)?;
            if request.family.is_some() {
                shown.retain(|link| addresses.iter().any(|address| address.device == link.index));
            }
            Ok(show(request.json, (shown, &links), Some(&addresses)))
        }
        Command::ShowRoutes => {
            let family = request.family.unwrap_or(Family::V4);
            let routes = read::routes(&netlink, family).map_err(NetworkError::Read)?;
            if request.json {
                let routes = routes.iter().map(|route| json::route(route, &links));
                return Ok(line(routes.map(Value::Object).collect()));
            }
            let mut text = String::new();
            for route in &routes {
                text::route(&mut text, route, &links);
            }
            Ok(text)
        }
        change => {
            perform(&netlink, &links, change)?;
            Ok(String::new())
        }
    }
}

/// Devices, with their addresses where those are asked for.
fn show(json: bool, links: (Vec<&Link>, &[Link]), addresses: Option<&[Address]>) -> String {
    let (shown, all) = links;
    let of = |link: &Link| {
        let index = link.index;
        let addresses = addresses.unwrap_or_default().iter();
        addresses.filter(move |address| address.device == index)
    };
    if json {
        let objects = shown.into_iter().map(|link| {
            let mut object = json::link(link, all);
            if addresses.is_some() {
                let addresses: Vec<Value> = of(link)
                    .map(|address| json::address(address).into())
                    .collect();
                object.insert("addr_info".to_owned(), addresses.into());
            } else {
                object.insert("linkmode".to_owned(), MODE.into());
            }
            Value::Object(object)
        });
        return line(objects.collect());
    }
    let mut text = String::new();
    for link in shown {
        let mode = addresses.is_none().then_some(MODE);
        text::link(&mut text, link, all, mode);
        for address in of(link) {
            text::address(&mut text, address, &link.name);
        }
    }
    text
}

fn line(objects: Vec<Value>) -> String {
    format!("{}\n", Value::Array(objects))
}

fn chosen(links: &[Link], device: Option<String>) -> Result<Vec<&Link>, NetworkError> {
    match device {
        None => Ok(links.iter().collect()),
        Some(name) => find(links, &name).map(|link| vec![link]),
    }
}

/// The device of a name.
pub(crate) fn find<'a>(links: &'a [Link], name: &str) -> Result<&'a Link, NetworkError> {
    links
        .iter()
        .find(|link| link.name == name)
        .ok_or_else(|| NetworkError::NoDevice {
            name: name.to_owned(),
        })
}

fn perform(netlink: &Netlink, links: &[Link], command: Command) -> Result<(), NetworkError> {
    match command {
        Command::ChangeAddress {
            presence,
            prefix,
            device,
        } => {
            let index = find(links, &device)?.index;
            let address = format!("{}/{}", prefix.address, prefix.length);
            let deed = match presence {
                Presence::Add => format!("add the address {address} to {device}"),
                Presence::Delete => format!("delete the address {address} of {device}"),
            };
            change::address(netlink, presence, index, prefix, &device)
                .map_err(|source| NetworkError::Change { deed, source })
        }
        Command::SetLink { device, change } => {
            let index = find(links, &device)?.index;
            let deed = format!("change the device {device}");
            change::link(netlink, index, change)
                .map_err(|source| NetworkError::Change { deed, source })
        }
        Command::ChangeRoute {
            presence,
            destination,
            gateway,
            device,
            metric,
        } => {
            let addresses = [destination.map(|prefix| prefix.address), gateway];
            let family = addresses
                .into_iter()
                .flatten()
                .next()
                .map_or(Family::V4, Family::of);
            let index = device.map(|name| find(links, &name).map(|link| link.index));
            let deed = match presence {
                Presence::Add => "add the route",
                Presence::Delete => "delete the route",
            };
            let change = RouteChange {
                family,
                destination,
                gateway,
                device: index.transpose()?,
                metric,
            };
            change::route(netlink, presence, change).map_err(|source| NetworkError::Change {
                deed: deed.to_owned(),
                source,
            })
        }
        Command::ShowAddresses { .. } | Command::ShowLinks { .. } | Command::ShowRoutes => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::model::Route;

    fn eth0() -> Link {
        Link {
            index: 2,
            name: "eth0".to_owned(),
            flags: 0x11043,
            kind: 1,
            mtu: 1500,
            qdisc: "fq_codel".to_owned(),
            state: "UP",
            queue: 1000,
            hardware: vec![0x52, 0x54, 0, 0x12, 0x34, 0x56],
            hardware_broadcast: vec![0xff; 6],
            ..Link::default()
        }
    }

    fn addresses() -> Vec<Address> {
        let v4 = Address {
            device: 2,
            local: "10.0.2.15".parse().unwrap(),
            prefix: 24,
            peer: None,
            broadcast: Some("10.0.2.255".parse().unwrap()),
            scope: 0,
            flags: 0,
            label: Some("eth0".to_owned()),
            valid: Some(86_394),
            preferred: Some(86_394),
        };
        let v6 = Address {
            local: "fe80::5054:ff:fe12:3456".parse().unwrap(),
            prefix: 64,
            broadcast: None,
            scope: 253,
            flags: 0x80,
            label: None,
            valid: None,
            preferred: None,
            ..v4.clone()
        };
        vec![v4, v6]
    }

    #[test]
    fn addresses_are_shown_as_everybody_knows_them() {
        let link = eth0();
        let all = std::slice::from_ref(&link);
        let expected = "\
2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff
    inet 10.0.2.15/24 brd 10.0.2.255 scope global dynamic eth0
       valid_lft 86394sec preferred_lft 86394sec
    inet6 fe80::5054:ff:fe12:3456/64 scope link
       valid_lft forever preferred_lft forever
";
        assert_eq!(
            show(false, (vec![&link], all), Some(&addresses())),
            expected
        );
        let expected = "\
2: eth0: <NO-CARRIER,BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP mode DEFAULT group default qlen 1000
    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff
";
        let link = Link {
            flags: 0x11003,
            ..eth0()
        };
        assert_eq!(show(false, (vec![&link], &[]), None), expected);
    }

    #[test]
    fn json_has_the_names_that_programs_expect() {
        let link = eth0();
        let text = show(true, (vec![&link], &[]), Some(&addresses()));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value[0]["ifname"], "eth0");
        assert_eq!(value[0]["flags"][2], "UP");
        assert_eq!(value[0]["address"], "52:54:00:12:34:56");
        assert_eq!(value[0]["addr_info"][0]["local"], "10.0.2.15");
        assert_eq!(value[0]["addr_info"][0]["prefixlen"], 24);
        assert_eq!(value[0]["addr_info"][0]["dynamic"], true);
        assert_eq!(value[0]["addr_info"][1]["valid_life_time"], u32::MAX);
    }

    #[test]
    fn routes_are_shown_as_everybody_knows_them() {
        let default = Route {
            family: Family::V4,
            destination: None,
            prefix: 0,
            gateway: Some("10.0.2.2".parse().unwrap()),
            device: Some(2),
            source: Some("10.0.2.15".parse().unwrap()),
            metric: Some(100),
            protocol: 16,
            scope: 0,
            kind: 1,
            flags: 0,
        };
        let network = Route {
            destination: Some("10.0.2.0".parse().unwrap()),
            prefix: 24,
            gateway: None,
            device: Some(7),
            metric: None,
            protocol: 2,
            scope: 253,
            flags: 16,
            ..default.clone()
        };
        let blackhole = Route {
            destination: Some("10.0.9.9".parse().unwrap()),
            prefix: 32,
            device: None,
            source: None,
            protocol: 186,
            scope: 0,
            kind: 6,
            ..network.clone()
        };
        let check = |route: &Route, expected: &str| {
            let mut text = String::new();
            text::route(&mut text, route, &[eth0()]);
            assert_eq!(text, expected);
        };
        check(
            &default,
            "default via 10.0.2.2 dev eth0 proto dhcp src 10.0.2.15 metric 100\n",
        );
        check(
            &network,
            "10.0.2.0/24 dev if7 proto kernel scope link src 10.0.2.15 linkdown\n",
        );
        check(&blackhole, "blackhole 10.0.9.9 proto 186 linkdown\n");
        let object = json::route(&default, &[eth0()]);
        assert_eq!(object["dst"], "default");
        assert_eq!(object["gateway"], "10.0.2.2");
        assert_eq!(object["metric"], 100);
    }
}
