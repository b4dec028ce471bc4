//! Tests of what is read: replies as servers send them, and as nobody should.

use dhcproto::Encodable;
use dhcproto::v4::HType;

use super::*;
use crate::lease::tests::lease;
use crate::random::Random;

pub(crate) const XID: u32 = 0x1234_5678;
pub(crate) const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

pub(crate) fn client() -> Client {
    Client {
        mac: MAC,
        hostname: None,
    }
}

/// What a server says that lends [`lease`].
pub(crate) fn reply(kind: MessageType, xid: u32) -> Message {
    let lease = lease();
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(xid, none, lease.address.addr(), none, none, &MAC);
    message.set_opcode(Opcode::BootReply).set_htype(HType::Eth);
    for option in [
        DhcpOption::MessageType(kind),
        DhcpOption::ServerIdentifier(lease.server),
        DhcpOption::SubnetMask(lease.address.netmask()),
        DhcpOption::Router(vec![lease.server]),
        DhcpOption::DomainNameServer(lease.nameservers),
        DhcpOption::DomainName("example.org".to_owned()),
        DhcpOption::AddressLeaseTime(86_400),
    ] {
        message.opts_mut().insert(option);
    }
    message
}

fn changed(option: DhcpOption) -> Result<Lease, ReadReplyError> {
    let mut message = reply(MessageType::Ack, XID);
    message.opts_mut().insert(option);
    match read(&message.to_vec().unwrap(), &client(), XID)? {
        Reply::Ack(lease) => Ok(*lease),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plain_offer_is_read_as_the_lease_it_is() {
    let bytes = reply(MessageType::Offer, XID).to_vec().unwrap();
    assert_eq!(
        read(&bytes, &client(), XID),
        Ok(Reply::Offer(Box::new(lease())))
    );
}

#[test]
fn a_refusal_is_read_without_control_characters() {
    let mut message = reply(MessageType::Nak, XID);
    message
        .opts_mut()
        .insert(DhcpOption::Message("wrong\n\x1b[31mnetwork ".to_owned()));
    let read = read(&message.to_vec().unwrap(), &client(), XID);
    let reason = Some("wrong[31mnetwork".to_owned());
    let server = lease().server;
    assert_eq!(read, Ok(Reply::Nak { server, reason }));
}

#[test]
fn what_is_for_others_is_not_ours() {
    let bytes = reply(MessageType::Ack, XID).to_vec().unwrap();
    assert_eq!(read(&bytes, &client(), 1), Err(ReadReplyError::NotOurs));
    let other = Client {
        mac: [2; 6],
        hostname: None,
    };
    assert_eq!(read(&bytes, &other, XID), Err(ReadReplyError::NotOurs));
    // The length of the hardware address, beyond the field that holds it.
    let mut long = bytes.clone();
    long[2] = 255;
    assert_eq!(read(&long, &client(), XID), Err(ReadReplyError::NotOurs));
}

#[test]
fn what_is_no_reply_is_refused() {
    let mut request = reply(MessageType::Ack, XID);
    request.set_opcode(Opcode::BootRequest);
    let check = |bytes: &[u8], expected| assert_eq!(read(bytes, &client(), XID), Err(expected));
    check(&request.to_vec().unwrap(), ReadReplyError::NotAReply);
    check(
        &reply(MessageType::Discover, XID).to_vec().unwrap(),
        ReadReplyError::NotAReply,
    );
    check(&[], ReadReplyError::Malformed);
    let mut cookie = reply(MessageType::Ack, XID).to_vec().unwrap();
    cookie[COOKIE_AT] = 0;
    check(&cookie, ReadReplyError::Malformed);
}

#[test]
fn what_cannot_be_used_is_refused() {
    let mut message = reply(MessageType::Ack, XID);
    for address in [
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(224, 0, 0, 1),
    ] {
        message.set_yiaddr(address);
        let read = read(&message.to_vec().unwrap(), &client(), XID);
        assert_eq!(read, Err(ReadReplyError::Address { address }));
    }
    for mask in [
        Ipv4Addr::new(255, 0, 255, 0),
        Ipv4Addr::new(0, 0, 0, 255),
        Ipv4Addr::UNSPECIFIED,
    ] {
        let read = changed(DhcpOption::SubnetMask(mask));
        assert_eq!(read, Err(ReadReplyError::Mask { mask }));
    }
    let server = changed(DhcpOption::ServerIdentifier(Ipv4Addr::BROADCAST));
    assert_eq!(server, Err(ReadReplyError::NoServer));
    assert!(matches!(
        changed(DhcpOption::AddressLeaseTime(1)),
        Err(ReadReplyError::TooShort { .. })
    ));
    let mut without = reply(MessageType::Ack, XID);
    without.opts_mut().remove(OptionCode::AddressLeaseTime);
    let read = read(&without.to_vec().unwrap(), &client(), XID);
    assert_eq!(read, Err(ReadReplyError::NoLifetime));
}

#[test]
fn words_that_would_not_fit_into_a_file_are_left_out() {
    let check = |domain: &str, expected: &[&str]| {
        let lease = changed(DhcpOption::DomainName(domain.to_owned())).unwrap();
        assert_eq!(lease.search, expected, "{domain:?}");
    };
    check("a.example b.example a.example", &["a.example", "b.example"]);
    check(
        "a.example\nnameserver 6.6.6.6",
        &["a.example", "nameserver", "6.6.6.6"],
    );
    check("$(reboot)", &[]);
    let lease = changed(DhcpOption::Hostname("a\nb".to_owned())).unwrap();
    assert_eq!(lease.hostname, None);
    let lease = changed(DhcpOption::InterfaceMtu(68)).unwrap();
    assert_eq!(lease.mtu, None);
    let servers = vec![Ipv4Addr::BROADCAST, Ipv4Addr::new(10, 0, 0, 1)];
    let lease = changed(DhcpOption::DomainNameServer(servers)).unwrap();
    assert_eq!(lease.nameservers, [Ipv4Addr::new(10, 0, 0, 1)]);
}

#[test]
fn classless_routes_take_the_place_of_the_routers() {
    let gateway = Ipv4Addr::new(10, 0, 2, 1);
    let route = |destination: &str, gateway| LeasedRoute {
        destination: destination.parse().unwrap(),
        gateway,
    };
    let lease = changed(DhcpOption::ClasslessStaticRoute(vec![
        ("10.9.8.7/16".parse().unwrap(), gateway),
        ("0.0.0.0/0".parse().unwrap(), gateway),
        ("10.0.2.1/32".parse().unwrap(), Ipv4Addr::UNSPECIFIED),
        ("127.0.0.0/8".parse().unwrap(), gateway),
        ("10.7.0.0/16".parse().unwrap(), Ipv4Addr::BROADCAST),
    ]))
    .unwrap();
    let expected = [
        route("10.9.0.0/16", Some(gateway)),
        route("0.0.0.0/0", Some(gateway)),
        route("10.0.2.1/32", None),
    ];
    assert_eq!(lease.routes, expected);
}

#[test]
fn times_out_of_order_are_replaced() {
    let seconds = Duration::from_secs;
    let check = |t1: Option<u64>, t2: Option<u64>, expected: (u64, u64)| {
        let found = times(seconds(80), t1.map(seconds), t2.map(seconds));
        assert_eq!(
            found,
            (seconds(expected.0), seconds(expected.1)),
            "{t1:?} {t2:?}"
        );
    };
    check(None, None, (40, 70));
    check(Some(10), Some(20), (10, 20));
    check(Some(20), Some(10), (40, 70));
    check(Some(0), Some(0), (40, 70));
    check(Some(75), Some(80), (40, 70));
    check(None, Some(60), (40, 60));
    check(Some(30), None, (30, 70));
}

#[test]
fn a_lease_for_ever_has_no_end() {
    let lease = changed(DhcpOption::AddressLeaseTime(FOR_EVER)).unwrap();
    assert_eq!(lease.lifetime, None);
}

#[test]
fn options_that_nobody_asked_for_stand_in_no_way() {
    let mut bytes = reply(MessageType::Offer, XID).to_vec().unwrap();
    // Option 80 has no content, by its definition; 12 is cut off at the end.
    let end = bytes.pop();
    assert_eq!(end, Some(END));
    bytes.splice(240..240, [80, 3, 1, 2, 3, PAD]);
    bytes.extend([12, 200, b'a']);
    let expected = Reply::Offer(Box::new(lease()));
    assert_eq!(read(&bytes, &client(), XID), Ok(expected));
}

#[test]
fn no_message_whatever_is_in_it_does_harm() {
    let mut random = Random::from_seed(7);
    let whole = reply(MessageType::Ack, XID).to_vec().unwrap();
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..=random.next_u32() % 8 {
            let at = random.next_u32() as usize % bytes.len();
            bytes[at] = random.next_u32() as u8;
        }
        bytes.truncate(random.next_u32() as usize % (2 * bytes.len()));
        let _ = read(&bytes, &client(), XID);
    }
}
