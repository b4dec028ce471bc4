//! The service against a real DHCP server at the other end of a link.

mod peer;

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{DhcpOption, MessageType, OptionCode};
use ipnet::Ipv4Net;
use netlink_packet_route::link::LinkFlags;
use rustix::process::Signal;

use peer::{DhcpServer, Service, Wire};

/// A lease that is not renewed within a test.
const LONG: [u32; 3] = [3600, 1800, 3000];
/// One that is renewed every second.
const RENEWED: [u32; 3] = [3600, 1, 3000];

fn config(number: u8) -> String {
    format!(r#"{{"interfaces": {{"c{number}": "dhcp"}}, "ntp": false}}"#)
}

#[test]
fn a_lease_is_taken_renewed_and_given_back() {
    let mut wire = Wire::new(1);
    let server = DhcpServer::start(1, RENEWED);
    server.terms.lock().unwrap().options = vec![
        DhcpOption::DomainNameServer(vec![Ipv4Addr::new(10, 77, 1, 3)]),
        DhcpOption::DomainName("lab.example".to_owned()),
        DhcpOption::Hostname("machine-1.lab.example".to_owned()),
        DhcpOption::InterfaceMtu(1400),
    ];
    let mut service = Service::new(&config(1));
    service.start();
    let (_, from) = server.expect(MessageType::Discover);
    assert_eq!(from.to_string(), "0.0.0.0:68");
    let (_, from) = server.expect(MessageType::Request);
    assert_eq!(from.to_string(), "0.0.0.0:68");
    service.expect("c1: 10.77.1.50/24 by DHCP from 10.77.1.1, for 60 min");
    assert_eq!(wire.addresses(), ["10.77.1.50/24"]);
    assert_eq!(wire.routes(), ["0.0.0.0/0 by 10.77.1.9"]);

    let (renewal, from) = server.expect(MessageType::Request);
    assert_eq!(from.to_string(), "10.77.1.50:68");
    assert_eq!(renewal.ciaddr(), Ipv4Addr::new(10, 77, 1, 50));
    assert_eq!(renewal.opts().get(OptionCode::RequestedIpAddress), None);
    // Another second later that one has been granted too.
    server.expect(MessageType::Request);
    assert_eq!(wire.client().mtu, 1400);
    let resolv = "nameserver 10.77.1.3\nsearch lab.example\n";
    assert_eq!(service.file("run/system/resolv.conf"), resolv);
    assert_eq!(service.file("run/system/hostname"), "machine-1\n");
    let status = service.status();
    assert!(status.contains("c1         yes      dhcp"), "{status}");

    assert!(service.end(Signal::TERM).success());
    loop {
        let (message, _) = server.next();
        if message.opts().has_msg_type(MessageType::Release) {
            assert_eq!(message.ciaddr(), Ipv4Addr::new(10, 77, 1, 50));
            break;
        }
    }
    assert_eq!(wire.addresses(), [""; 0]);
    assert_eq!(wire.routes(), [""; 0]);
}

#[test]
fn a_server_that_changes_its_mind_gives_another_address() {
    let mut wire = Wire::new(2);
    let server = DhcpServer::start(2, RENEWED);
    let mut service = Service::new(&config(2));
    service.start();
    service.expect("c2: 10.77.2.50/24 by DHCP from 10.77.2.1, for 60 min");
    {
        let mut terms = server.terms.lock().unwrap();
        terms.refuses_requests = true;
    }
    service.expect("c2: 10.77.2.1 refuses the address: not any more");
    {
        let mut terms = server.terms.lock().unwrap();
        terms.refuses_requests = false;
        terms.address = Ipv4Addr::new(10, 77, 2, 51);
    }
    loop {
        let line = service.line();
        if line == "c2: 10.77.2.51/24 by DHCP from 10.77.2.1, for 60 min" {
            break;
        }
        assert_eq!(line, "c2: 10.77.2.1 refuses the address: not any more");
    }
    assert_eq!(wire.addresses(), ["10.77.2.51/24"]);
}

#[test]
fn after_a_crash_the_same_address_goes_on() {
    let mut wire = Wire::new(3);
    let server = DhcpServer::start(3, LONG);
    let mut service = Service::new(&config(3));
    let (status, _) = service.run_once();
    assert!(status.success());
    server.expect(MessageType::Discover);
    server.expect(MessageType::Request);
    assert_eq!(wire.addresses(), ["10.77.3.50/24"]);

    service.start();
    service.expect("c3: 10.77.3.50/24 is kept until there is a lease");
    let (message, _) = server.expect(MessageType::Request);
    let address = DhcpOption::RequestedIpAddress(Ipv4Addr::new(10, 77, 3, 50));
    let options = message.opts();
    assert_eq!(options.get(OptionCode::RequestedIpAddress), Some(&address));
    assert_eq!(options.get(OptionCode::ServerIdentifier), None);
    service.expect("c3: 10.77.3.50/24 by DHCP from 10.77.3.1, for 60 min");
    service.end(Signal::KILL);
    assert_eq!(wire.addresses(), ["10.77.3.50/24"]);
}

#[test]
fn an_address_that_is_there_stays_until_the_lease_takes_its_place() {
    let mut wire = Wire::new(4);
    let server = DhcpServer::start(4, LONG);
    let index = wire.client().index;
    let lifetime = Some(Duration::from_secs(3600));
    wire.add_address(index, "10.77.4.7/24", lifetime);
    // Somebody's own, for ever: it is none of the service's business, and of another network than the first.
    wire.add_address(index, "192.0.2.1/24", None);
    let mut service = Service::new(&config(4));
    service.start();
    service.expect("c4: 10.77.4.7/24 is kept until there is a lease");
    server.expect(MessageType::Discover);
    service.expect("c4: 10.77.4.50/24 by DHCP from 10.77.4.1, for 60 min");
    let mut addresses = wire.addresses();
    addresses.sort();
    assert_eq!(addresses, ["10.77.4.50/24", "192.0.2.1/24"]);
    assert_eq!(wire.routes(), ["0.0.0.0/0 by 10.77.4.9"]);
}

#[test]
fn an_interface_may_come_later_and_go() {
    let mut service = Service::new(&config(5));
    service.start();
    let wire = Wire::new(5);
    let _server = DhcpServer::start(5, LONG);
    service.expect("c5: 10.77.5.50/24 by DHCP from 10.77.5.1, for 60 min");
    wire.remove();
    loop {
        let line = service.line();
        if line == "c5: it is gone" {
            break;
        }
        // The kernel takes the carrier away first.
        assert_eq!(line, "c5: the carrier is lost");
    }
}

#[test]
fn a_cable_that_is_pulled_and_put_in_again_leaves_the_address() {
    let mut wire = Wire::new(6);
    let server = DhcpServer::start(6, LONG);
    let mut service = Service::new(&config(6));
    service.start();
    service.expect("c6: 10.77.6.50/24 by DHCP from 10.77.6.1, for 60 min");
    server.expect(MessageType::Discover);
    server.expect(MessageType::Request);
    let server_end = wire.server().index;
    wire.switch(server_end, LinkFlags::empty());
    service.expect("c6: the carrier is lost");
    assert_eq!(wire.addresses(), ["10.77.6.50/24"]);
    wire.switch(server_end, LinkFlags::Up);
    service.expect("c6: the carrier is back");
    let (message, _) = server.expect(MessageType::Request);
    assert_eq!(message.opts().get(OptionCode::ServerIdentifier), None);
    assert_eq!(wire.addresses(), ["10.77.6.50/24"]);
}

#[test]
fn classless_routes_are_set_and_one_that_goes_is_taken_away() {
    let mut wire = Wire::new(7);
    let server = DhcpServer::start(7, RENEWED);
    let gateway = peer::router_address(7);
    let route = |net: &str| (net.parse::<Ipv4Net>().unwrap(), gateway);
    let routes = |list: &[&str]| {
        DhcpOption::ClasslessStaticRoute(list.iter().map(|net| route(net)).collect())
    };
    server.terms.lock().unwrap().options = vec![routes(&["10.88.0.0/16", "10.99.0.0/16"])];
    let mut service = Service::new(&config(7));
    service.start();
    service.expect("c7: 10.77.7.50/24 by DHCP from 10.77.7.1, for 60 min");
    let expected = ["10.88.0.0/16 by 10.77.7.9", "10.99.0.0/16 by 10.77.7.9"];
    assert_eq!(wire.routes(), expected);
    server.terms.lock().unwrap().options = vec![routes(&["10.99.0.0/16"])];
    server.expect(MessageType::Discover);
    // The request, and the renewals: with the second of them the first has been granted.
    for _ in 0..4 {
        server.expect(MessageType::Request);
    }
    assert_eq!(wire.routes(), ["10.99.0.0/16 by 10.77.7.9"]);
}

#[test]
fn configured_addresses_need_nobody() {
    let mut wire = Wire::new(8);
    let service = Service::new(
        r#"{"hostname": "lab-8", "ntp": false, "nameservers": ["10.77.8.1", "fd77::1"], "interfaces": {"c8": {
            "address": "10.77.8.2/24", "gateway": "10.77.8.9", "address6": "fd77::2/64", "gateway6": "fe80::1"}}}"#,
    );
    let (status, said) = service.run_once();
    assert!(status.success(), "{said}");
    assert_eq!(
        said,
        "c8: 10.77.8.2/24 as configured, by 10.77.8.9\nc8: fd77::2/64 as configured, by fe80::1\n"
    );
    assert_eq!(wire.addresses(), ["10.77.8.2/24", "fd77::2/64"]);
    assert_eq!(wire.routes(), ["0.0.0.0/0 by 10.77.8.9"]);
    assert_eq!(service.file("run/system/hostname"), "lab-8\n");
    assert_eq!(
        service.file("run/system/resolv.conf"),
        "nameserver 10.77.8.1\nnameserver fd77::1\n"
    );
}

#[test]
fn an_interface_that_is_switched_off_and_on_gets_its_configured_routes_again() {
    let mut wire = Wire::new(10);
    let mut service = Service::new(
        r#"{"ntp": false, "interfaces": {"c10": {"address": "10.77.10.2/24", "gateway": "10.77.10.9"}}}"#,
    );
    service.start();
    let said = "c10: 10.77.10.2/24 as configured, by 10.77.10.9";
    service.expect(said);
    let index = wire.client().index;
    wire.switch(index, LinkFlags::empty());
    assert_eq!(wire.routes(), [""; 0]);
    wire.switch(index, LinkFlags::Up);
    while service.line() != said {}
    assert_eq!(wire.routes(), ["0.0.0.0/0 by 10.77.10.9"]);
}

#[test]
fn a_broken_configuration_is_named_with_its_place_and_the_rest_goes_on() {
    let service = Service::new("{\n\"interfaces\": {\"c9\": \"dhcp\"\n}");
    let (status, said) = service.run_once();
    assert!(status.success(), "{said}");
    assert_eq!(
        said,
        "network: the defaults are used: network.json is not what it should be: EOF while parsing an object at line 3 column 1\n"
    );
}
