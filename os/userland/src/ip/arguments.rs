//! The words of `ip`: options, an object, and what to do with it. Objects and commands may be shortened, as people do.

use std::ffi::OsString;
use std::net::IpAddr;

use crate::applet::{Stop, UsageError};
use crate::net::change::{LinkChange, Presence};
use crate::net::model::Family;
use crate::net::prefix::Prefix;

/// What `ip` is asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) family: Option<Family>,
    pub(crate) json: bool,
    pub(crate) command: Command,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    ShowAddresses {
        device: Option<String>,
    },
    ShowLinks {
        device: Option<String>,
    },
    ShowRoutes,
    ChangeAddress {
        presence: Presence,
        prefix: Prefix,
        device: String,
    },
    SetLink {
        device: String,
        change: LinkChange,
    },
    ChangeRoute {
        presence: Presence,
        /// None is everywhere else.
        destination: Option<Prefix>,
        gateway: Option<IpAddr>,
        device: Option<String>,
        metric: Option<u32>,
    },
}

/// The words that are left.
struct Words(std::vec::IntoIter<OsString>);

pub(crate) fn parse(args: Vec<OsString>) -> Result<Request, Stop> {
    let mut words = Words(args.into_iter());
    let (mut family, mut json) = (None, false);
    let object = loop {
        let word = words.next("an object: address, link or route")?;
        match word.to_str() {
            Some("--help" | "-help" | "-h" | "help") => return Err(Stop::Help),
            Some("-4") => family = Some(Family::V4),
            Some("-6") => family = Some(Family::V6),
            Some("-j" | "-json" | "--json") => json = true,
            Some(option) if option.starts_with('-') => {
                let option = lexopt::Error::UnexpectedOption(option.to_owned());
                return Err(Stop::Usage(UsageError::Option(option)));
            }
            _ => break word,
        }
    };
    let command = match shortened(&object, &["address", "link", "route"]) {
        Some("address") => address(&mut words)?,
        Some("link") => link(&mut words)?,
        Some("route") => route(&mut words)?,
        _ => {
            return Err(Stop::word(
                "object of ip: there are address, link and route",
                object,
            ));
        }
    };
    match words.0.next() {
        None => Ok(Request {
            family,
            json,
            command,
        }),
        Some(extra) => Err(Stop::extra(extra)),
    }
}

const SHOW: [&str; 3] = ["show", "list", "lst"];

fn address(words: &mut Words) -> Result<Command, Stop> {
    let Some(verb) = words.0.next() else {
        return Ok(Command::ShowAddresses { device: None });
    };
    let presence = match shortened(&verb, &["show", "list", "lst", "add", "delete"]) {
        Some("add") => Presence::Add,
        Some("delete") => Presence::Delete,
        Some(show) if SHOW.contains(&show) => {
            let device = words.device_to_show()?;
            return Ok(Command::ShowAddresses { device });
        }
        _ => {
            return Err(Stop::word(
                "command of ip address: there are show, add and del",
                verb,
            ));
        }
    };
    let text = words.next("an address such as 10.0.2.15/24")?;
    let prefix = text.to_str().and_then(|text| text.parse().ok());
    let prefix = prefix.ok_or_else(|| Stop::word("address such as 10.0.2.15/24", text))?;
    words.keyword("dev")?;
    let device = words.text("the name of a device")?;
    Ok(Command::ChangeAddress {
        presence,
        prefix,
        device,
    })
}

fn link(words: &mut Words) -> Result<Command, Stop> {
    let Some(verb) = words.0.next() else {
        return Ok(Command::ShowLinks { device: None });
    };
    match shortened(&verb, &["show", "list", "lst", "set"]) {
        Some("set") => {}
        Some(_) => {
            let device = words.device_to_show()?;
            return Ok(Command::ShowLinks { device });
        }
        None => {
            return Err(Stop::word(
                "command of ip link: there are show and set",
                verb,
            ));
        }
    }
    let mut device = words.text("the name of a device")?;
    if device == "dev" {
        device = words.text("the name of a device")?;
    }
    let mut change = LinkChange::default();
    while let Some(word) = words.0.next() {
        match word.to_str() {
            Some("up") => change.up = Some(true),
            Some("down") => change.up = Some(false),
            Some("mtu") => change.mtu = Some(words.number("the number of bytes")?),
            _ => {
                return Err(Stop::word(
                    "setting of a device: there are up, down and mtu",
                    word,
                ));
            }
        }
    }
    if change == LinkChange::default() {
        return Err(Stop::missing("what to set: up, down or mtu"));
    }
    Ok(Command::SetLink { device, change })
}

fn route(words: &mut Words) -> Result<Command, Stop> {
    let Some(verb) = words.0.next() else {
        return Ok(Command::ShowRoutes);
    };
    let presence = match shortened(&verb, &["show", "list", "lst", "add", "delete"]) {
        Some("add") => Presence::Add,
        Some("delete") => Presence::Delete,
        Some(_) => return Ok(Command::ShowRoutes),
        None => {
            return Err(Stop::word(
                "command of ip route: there are show, add and del",
                verb,
            ));
        }
    };
    let text = words.next("a destination: default, or a network such as 10.0.2.0/24")?;
    let destination = match text.to_str() {
        Some("default") => None,
        other => {
            let prefix = other.and_then(|text| text.parse().ok());
            Some(prefix.ok_or_else(|| Stop::word("network such as 10.0.2.0/24", text))?)
        }
    };
    let (mut gateway, mut device, mut metric) = (None, None, None);
    while let Some(word) = words.0.next() {
        match word.to_str() {
            Some("via") => {
                let text = words.next("the address of a gateway")?;
                let address = text.to_str().and_then(|text| text.parse().ok());
                gateway = Some(address.ok_or_else(|| Stop::word("address", text))?);
            }
            Some("dev") => device = Some(words.text("the name of a device")?),
            Some("metric") => metric = Some(words.number("a metric")?),
            _ => {
                return Err(Stop::word(
                    "part of a route: there are via, dev and metric",
                    word,
                ));
            }
        }
    }
    if presence == Presence::Add && gateway.is_none() && device.is_none() {
        return Err(Stop::missing("the way: via ADDRESS, dev DEVICE, or both"));
    }
    Ok(Command::ChangeRoute {
        presence,
        destination,
        gateway,
        device,
        metric,
    })
}

/// The word that begins with this one; the first of them where there are several.
fn shortened(word: &OsString, all: &[&'static str]) -> Option<&'static str> {
    let word = word.to_str().filter(|word| !word.is_empty())?;
    // As people write it, though it is no beginning.
    let word = if word == "ls" { "lst" } else { word };
    all.iter().copied().find(|whole| whole.starts_with(word))
}

impl Words {
    fn next(&mut self, what: &'static str) -> Result<OsString, Stop> {
        self.0.next().ok_or_else(|| Stop::missing(what))
    }

    fn text(&mut self, what: &'static str) -> Result<String, Stop> {
        self.next(what)?
            .into_string()
            .map_err(|word| Stop::word("name of a device", word))
    }

    fn number(&mut self, what: &'static str) -> Result<u32, Stop> {
        let word = self.next(what)?;
        let number = word.to_str().and_then(|text| text.parse().ok());
        number.ok_or_else(|| Stop::word("number", word))
    }

    fn keyword(&mut self, keyword: &'static str) -> Result<(), Stop> {
        let word = self.next("dev and the name of a device")?;
        if word == keyword {
            Ok(())
        } else {
            Err(Stop::word(
                "dev, which has to stand before the name of a device",
                word,
            ))
        }
    }

    /// `DEVICE` or `dev DEVICE`, or nothing.
    fn device_to_show(&mut self) -> Result<Option<String>, Stop> {
        let Some(word) = self.0.next() else {
            return Ok(None);
        };
        if word == "dev" {
            return self.text("the name of a device").map(Some);
        }
        word.into_string()
            .map(Some)
            .map_err(|word| Stop::word("name of a device", word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        let args = line.split_whitespace().map(OsString::from).collect();
        match parse(args) {
            Ok(request) => Ok(request),
            Err(Stop::Usage(error)) => Err(error.to_string()),
            Err(stop) => panic!("{stop:?}"),
        }
    }

    fn check(line: &str, expected: Command) {
        let request = parsed(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(request.command, expected, "{line}");
    }

    #[test]
    fn what_is_shown_may_be_shortened() {
        let all = || Command::ShowAddresses { device: None };
        for line in [
            "a",
            "addr",
            "address",
            "address show",
            "addr list",
            "a ls",
            "a s",
        ] {
            check(line, all());
        }
        let device = || Some("eth0".to_owned());
        check(
            "addr show eth0",
            Command::ShowAddresses { device: device() },
        );
        check(
            "addr show dev eth0",
            Command::ShowAddresses { device: device() },
        );
        check("l", Command::ShowLinks { device: None });
        check(
            "link show dev eth0",
            Command::ShowLinks { device: device() },
        );
        check("r", Command::ShowRoutes);
        check("route show", Command::ShowRoutes);
    }

    #[test]
    fn options_stand_before_the_object() {
        let request = parsed("-6 -j route").unwrap();
        assert_eq!((request.family, request.json), (Some(Family::V6), true));
        let request = parsed("-json -4 addr").unwrap();
        assert_eq!((request.family, request.json), (Some(Family::V4), true));
        assert_eq!(
            parsed("--color addr").unwrap_err(),
            "invalid option '--color'"
        );
    }

    #[test]
    fn changes_are_understood() {
        check(
            "addr add 10.0.2.15/24 dev eth0",
            Command::ChangeAddress {
                presence: Presence::Add,
                prefix: "10.0.2.15/24".parse().unwrap(),
                device: "eth0".to_owned(),
            },
        );
        check(
            "link set dev eth0 up mtu 1400",
            Command::SetLink {
                device: "eth0".to_owned(),
                change: LinkChange {
                    up: Some(true),
                    mtu: Some(1400),
                },
            },
        );
        let route =
            |presence, destination: Option<&str>, gateway: Option<&str>| Command::ChangeRoute {
                presence,
                destination: destination.map(|text| text.parse().unwrap()),
                gateway: gateway.map(|text| text.parse().unwrap()),
                device: None,
                metric: None,
            };
        check(
            "route add default via 10.0.2.2",
            route(Presence::Add, None, Some("10.0.2.2")),
        );
        check(
            "r del fd00::/64",
            route(Presence::Delete, Some("fd00::/64"), None),
        );
    }

    #[test]
    fn what_is_missing_or_unknown_is_said() {
        let check = |line: &str, expected: &str| {
            assert_eq!(parsed(line).unwrap_err(), expected, "{line}");
        };
        check("", "an object: address, link or route is missing");
        check(
            "neigh",
            "neigh is no object of ip: there are address, link and route",
        );
        check(
            "addr flush",
            "flush is no command of ip address: there are show, add and del",
        );
        check("addr add", "an address such as 10.0.2.15/24 is missing");
        check("addr add eth0", "eth0 is no address such as 10.0.2.15/24");
        check("addr add ::1/64", "dev and the name of a device is missing");
        check("link set eth0", "what to set: up, down or mtu is missing");
        check(
            "route add default",
            "the way: via ADDRESS, dev DEVICE, or both is missing",
        );
        check(
            "addr show eth0 eth1",
            "there is one argument too many: eth1",
        );
    }
}
