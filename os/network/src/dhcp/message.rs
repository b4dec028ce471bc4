//! What a client says. What servers say is read in [`crate::dhcp::reply`].

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{DhcpOption, Flags, HType, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Encodable};

use crate::lease::Lease;

/// The hardware address of an Ethernet interface.
pub type Mac = [u8; 6];

/// The largest message that is accepted, with its headers: the length of an Ethernet frame's content.
const MAX_MESSAGE: u16 = 1500;
/// Relays drop what is shorter: the size of a message of BOOTP (RFC 1542, 2.1).
const MIN_LENGTH: usize = 300;
/// Where the options begin, and what stands there (RFC 2131, 3).
pub const COOKIE_AT: usize = 236;
pub const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// What is asked for. RFC 3442 wants the classless routes before the routers.
const WANTED: [OptionCode; 12] = [
    OptionCode::SubnetMask,
    OptionCode::ClasslessStaticRoute,
    OptionCode::Router,
    OptionCode::DomainNameServer,
    OptionCode::Hostname,
    OptionCode::DomainName,
    OptionCode::DomainSearch,
    OptionCode::InterfaceMtu,
    OptionCode::NtpServers,
    OptionCode::AddressLeaseTime,
    OptionCode::Renewal,
    OptionCode::Rebinding,
];

/// Who asks. There is no client identifier: servers then go by the hardware address, as they do for the kernel's own
/// client (`ip=dhcp`), and lend both the same address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub mac: Mac,
    /// A name that servers may make known.
    pub hostname: Option<String>,
}

/// One exchange with servers: its number, and the time since it began.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    pub xid: u32,
    pub elapsed: Duration,
}

/// DHCPDISCOVER, with an address that would be welcome.
pub fn discover(client: &Client, exchange: Exchange, wish: Option<Ipv4Addr>) -> Vec<u8> {
    let mut message = begin(client, exchange, MessageType::Discover);
    if let Some(address) = wish {
        message
            .opts_mut()
            .insert(DhcpOption::RequestedIpAddress(address));
    }
    encode(&message)
}

/// DHCPREQUEST for what a server has offered.
pub fn request_offered(client: &Client, exchange: Exchange, offer: &Lease) -> Vec<u8> {
    let mut message = begin(client, exchange, MessageType::Request);
    let options = message.opts_mut();
    options.insert(DhcpOption::RequestedIpAddress(offer.address.addr()));
    options.insert(DhcpOption::ServerIdentifier(offer.server));
    encode(&message)
}

/// DHCPREQUEST for an address from before a restart, to whoever is the server now.
pub fn request_known(client: &Client, exchange: Exchange, address: Ipv4Addr) -> Vec<u8> {
    let mut message = begin(client, exchange, MessageType::Request);
    message
        .opts_mut()
        .insert(DhcpOption::RequestedIpAddress(address));
    encode(&message)
}

/// DHCPREQUEST for more time with the address that this message comes from.
pub fn request_longer(client: &Client, exchange: Exchange, address: Ipv4Addr) -> Vec<u8> {
    let mut message = begin(client, exchange, MessageType::Request);
    message.set_ciaddr(address);
    encode(&message)
}

/// DHCPRELEASE, which nobody answers.
pub fn release(client: &Client, xid: u32, lease: &Lease) -> Vec<u8> {
    let mut message = plain(client, xid, MessageType::Release);
    message.set_ciaddr(lease.address.addr());
    message
        .opts_mut()
        .insert(DhcpOption::ServerIdentifier(lease.server));
    encode(&message)
}

fn plain(client: &Client, xid: u32, kind: MessageType) -> Message {
    // dhcproto's own constructors ask the kernel for a random number, to no use here, and wait for it: without a source of
    // randomness in the machine for ever.
    let mut empty = [0; COOKIE_AT + COOKIE.len()];
    empty[COOKIE_AT..].copy_from_slice(&COOKIE);
    let mut message = Message::from_bytes(&empty).expect("nothing is missing");
    message
        .set_opcode(Opcode::BootRequest)
        .set_htype(HType::Eth)
        .set_xid(xid)
        .set_chaddr(&client.mac);
    // Replies may come to the address that is still to be configured: the packet socket gets them. So no broadcasts.
    message.set_flags(Flags::default());
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    message
}

fn begin(client: &Client, exchange: Exchange, kind: MessageType) -> Message {
    let mut message = plain(client, exchange.xid, kind);
    message.set_secs(u16::try_from(exchange.elapsed.as_secs()).unwrap_or(u16::MAX));
    let options = message.opts_mut();
    options.insert(DhcpOption::ParameterRequestList(WANTED.to_vec()));
    options.insert(DhcpOption::MaxMessageSize(MAX_MESSAGE));
    if let Some(name) = &client.hostname {
        options.insert(DhcpOption::Hostname(name.clone()));
    }
    message
}

fn encode(message: &Message) -> Vec<u8> {
    let mut bytes = message
        .to_vec()
        .expect("the options are short, and memory is all that is written to");
    bytes.resize(bytes.len().max(MIN_LENGTH), 0);
    bytes
}
