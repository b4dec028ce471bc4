//! Devices, addresses and routes as `ip -j` prints them for programs, with the names that iproute2 gave them.

use serde_json::{Map, Value, json};

use crate::ip::text::device_name;
use crate::net::model::{Address, Link, Route, hardware};

/// A lifetime that does not end.
const FOR_EVER: u32 = u32::MAX;

pub(crate) fn link(link: &Link, all: &[Link]) -> Map<String, Value> {
    let mut object = object(json!({
        "ifindex": link.index,
        "ifname": link.name,
        "flags": link.flag_words(),
        "mtu": link.mtu,
        "qdisc": link.qdisc,
        "operstate": link.state,
        "group": link.group_word(),
        "txqlen": link.queue,
        "link_type": link.kind_word(),
    }));
    if let Some(index) = link.behind.filter(|index| *index != 0) {
        object.insert("link".to_owned(), device_name(index, all).into());
    }
    if !link.hardware.is_empty() {
        object.insert("address".to_owned(), hardware(&link.hardware).into());
        let broadcast = hardware(&link.hardware_broadcast);
        object.insert("broadcast".to_owned(), broadcast.into());
    }
    object
}

pub(crate) fn address(address: &Address) -> Map<String, Value> {
    let mut object = object(json!({
        "family": address.family().word(),
        "local": address.local.to_string(),
        "prefixlen": address.prefix,
        "scope": address.scope_word(),
        "valid_life_time": address.valid.unwrap_or(FOR_EVER),
        "preferred_life_time": address.preferred.unwrap_or(FOR_EVER),
    }));
    let texts = [
        ("address", address.peer.map(|peer| peer.to_string())),
        (
            "broadcast",
            address.broadcast.map(|address| address.to_string()),
        ),
        ("label", address.label.clone()),
    ];
    insert_texts(&mut object, texts);
    for flag in address.flag_words() {
        object.insert(flag.to_owned(), true.into());
    }
    object
}

pub(crate) fn route(route: &Route, all: &[Link]) -> Map<String, Value> {
    let mut object = object(json!({
        "dst": route.destination_word(),
        "protocol": route.protocol_word(),
        "flags": route.flag_words(),
    }));
    let texts = [
        ("type", route.kind_word()),
        ("gateway", route.gateway.map(|address| address.to_string())),
        ("dev", route.device.map(|index| device_name(index, all))),
        ("scope", route.scope_word()),
        ("prefsrc", route.source.map(|address| address.to_string())),
    ];
    insert_texts(&mut object, texts);
    if let Some(metric) = route.metric {
        object.insert("metric".to_owned(), metric.into());
    }
    object
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn insert_texts<const N: usize>(
    object: &mut Map<String, Value>,
    texts: [(&str, Option<String>); N],
) {
    for (name, text) in texts {
        if let Some(text) = text {
            object.insert(name.to_owned(), text.into());
        }
    }
}
