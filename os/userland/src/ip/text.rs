//! Devices, addresses and routes as `ip` prints them for people.

use std::fmt::Write;

use crate::net::model::{Address, Link, Route, hardware};

/// What stands on the first two lines of a device. `mode` is the word that `ip link` alone shows.
pub(crate) fn link(text: &mut String, link: &Link, all: &[Link], mode: Option<&str>) {
    let _ = write!(
        text,
        "{}: {}: <{}> mtu {} qdisc {} state {} ",
        link.index,
        name_and_behind(link, all),
        link.flag_words().join(","),
        link.mtu,
        link.qdisc,
        link.state,
    );
    if let Some(mode) = mode {
        let _ = write!(text, "mode {mode} ");
    }
    let _ = write!(text, "group {}", link.group_word());
    if link.queue > 0 {
        let _ = write!(text, " qlen {}", link.queue);
    }
    let _ = write!(text, "\n    link/{}", link.kind_word());
    if !link.hardware.is_empty() {
        let _ = write!(
            text,
            " {} brd {}",
            hardware(&link.hardware),
            hardware(&link.hardware_broadcast)
        );
    }
    text.push('\n');
}

/// The two lines of an address.
pub(crate) fn address(text: &mut String, address: &Address, device: &str) {
    let _ = write!(text, "    {} {}", address.family().word(), address.local);
    if let Some(peer) = address.peer {
        let _ = write!(text, " peer {peer}");
    }
    let _ = write!(text, "/{}", address.prefix);
    if let Some(broadcast) = address.broadcast {
        let _ = write!(text, " brd {broadcast}");
    }
    let _ = write!(text, " scope {}", address.scope_word());
    for flag in address.flag_words() {
        let _ = write!(text, " {flag}");
    }
    if let Some(label) = address
        .label
        .as_deref()
        .or_else(|| address.local.is_ipv4().then_some(device))
    {
        let _ = write!(text, " {label}");
    }
    let lifetime = |seconds: Option<u32>| match seconds {
        None => "forever".to_owned(),
        Some(seconds) => format!("{seconds}sec"),
    };
    let _ = writeln!(
        text,
        "\n       valid_lft {} preferred_lft {}",
        lifetime(address.valid),
        lifetime(address.preferred)
    );
}

/// The line of a route.
pub(crate) fn route(text: &mut String, route: &Route, all: &[Link]) {
    if let Some(kind) = route.kind_word() {
        let _ = write!(text, "{kind} ");
    }
    text.push_str(&route.destination_word());
    if let Some(gateway) = route.gateway {
        let _ = write!(text, " via {gateway}");
    }
    if let Some(device) = route.device {
        let _ = write!(text, " dev {}", device_name(device, all));
    }
    let _ = write!(text, " proto {}", route.protocol_word());
    if let Some(scope) = route.scope_word() {
        let _ = write!(text, " scope {scope}");
    }
    if let Some(source) = route.source {
        let _ = write!(text, " src {source}");
    }
    if let Some(metric) = route.metric {
        let _ = write!(text, " metric {metric}");
    }
    for flag in route.flag_words() {
        let _ = write!(text, " {flag}");
    }
    text.push('\n');
}

/// The name of a device; one that is gone meanwhile has its number only.
pub(crate) fn device_name(index: u32, all: &[Link]) -> String {
    all.iter()
        .find(|link| link.index == index)
        .map_or_else(|| format!("if{index}"), |link| link.name.clone())
}

fn name_and_behind(link: &Link, all: &[Link]) -> String {
    match link.behind {
        None => link.name.clone(),
        Some(0) => format!("{}@NONE", link.name),
        Some(index) => format!("{}@{}", link.name, device_name(index, all)),
    }
}
