//! The headers of IPv4 and UDP around a DHCP message, for as long as the kernel has no address to put into them.

use std::net::Ipv4Addr;

/// Ports of client and server (RFC 2131, 4.1).
pub const CLIENT_PORT: u16 = 68;
pub const SERVER_PORT: u16 = 67;

/// Lengths without options (RFC 791, RFC 768).
const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
/// The number of UDP among the protocols of IP.
const UDP: u8 = 17;
/// Enough routers for any network that DHCP works in; the value that most systems use.
const TIME_TO_LIVE: u8 = 64;
/// "More fragments follow", and where in the whole this one belongs (RFC 791, 3.1).
const FRAGMENT: u16 = 0x3fff;

/// A broadcast from a client without an address to all servers.
pub fn broadcast(message: &[u8]) -> Vec<u8> {
    let (from, to) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
    let udp_length = length(UDP_HEADER + message.len());
    let mut packet = Vec::with_capacity(IP_HEADER + UDP_HEADER + message.len());
    packet.extend([0x45, 0x10]); // version 4, 5 words; low delay
    packet.extend(length(IP_HEADER + UDP_HEADER + message.len()).to_be_bytes());
    packet.extend([0, 0, 0, 0, TIME_TO_LIVE, UDP, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    let checksum = !sum(&packet, 0);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());

    packet.extend(CLIENT_PORT.to_be_bytes());
    packet.extend(SERVER_PORT.to_be_bytes());
    packet.extend(udp_length.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(message);
    let checksum = !sum(&packet[IP_HEADER..], pseudo_header(from, to, udp_length));
    // Zero means that there is none (RFC 768).
    let checksum = if checksum == 0 { u16::MAX } else { checksum };
    packet[IP_HEADER + 6..IP_HEADER + 8].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// The DHCP message in a packet from a server, if that is what it is.
pub fn message(packet: &[u8]) -> Option<&[u8]> {
    let word = |bytes: &[u8], at: usize| {
        bytes
            .get(at..at + 2)
            .map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let total = usize::from(word(packet, 2)?);
    let is_ip = packet.first()? >> 4 == 4
        && header >= IP_HEADER
        && total >= header + UDP_HEADER
        && total <= packet.len()
        && packet[9] == UDP
        && word(packet, 6)? & FRAGMENT == 0
        && sum(&packet[..header], 0) == u16::MAX;
    if !is_ip {
        return None;
    }
    let [from, to] = [12, 16]
        .map(|at| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]));
    let udp = &packet[header..total];
    let (udp_length, checksum) = (word(udp, 4)?, word(udp, 6)?);
    let udp = udp.get(..usize::from(udp_length))?;
    let pseudo = pseudo_header(from, to, udp_length);
    let is_whole = checksum == 0
        || sum(udp, pseudo) == u16::MAX
        // A packet that never was on a wire: its sender left the sum to a network card, and only prepared it
        // (Documentation/networking/checksum-offloads.rst).
        || checksum == sum(&[], pseudo);
    let is_ours = udp.len() >= UDP_HEADER
        && word(udp, 0)? == SERVER_PORT
        && word(udp, 2)? == CLIENT_PORT
        && is_whole;
    is_ours.then(|| &udp[UDP_HEADER..])
}

fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).expect("the messages of a client are short")
}

/// The part of the sum that stands for the addresses (RFC 768).
fn pseudo_header(from: Ipv4Addr, to: Ipv4Addr, length: u16) -> u32 {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&from.octets());
    bytes[4..8].copy_from_slice(&to.octets());
    bytes[9] = UDP;
    bytes[10..].copy_from_slice(&length.to_be_bytes());
    u32::from(sum(&bytes, 0))
}

/// The sum of 16-bit words in ones' complement (RFC 1071).
fn sum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default());
    }
    while sum > u32::from(u16::MAX) {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// A packet as a server sends it: ours with the ports exchanged, which changes no sum.
    fn from_server(message: &[u8]) -> Vec<u8> {
        let mut packet = broadcast(message);
        packet[20..24].rotate_left(2);
        packet
    }

    #[test]
    fn the_sums_are_those_of_another_implementation() {
        // The example of RFC 1071, section 3.
        assert_eq!(
            sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0),
            0xddf2
        );
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        for text in ["", "a", "ab", "a longer message"] {
            let packet = from_server(text.as_bytes());
            assert_eq!(message(&packet), Some(text.as_bytes()));
            // What follows is the filling of a short Ethernet frame.
            let padded = [&packet[..], &[0; 9]].concat();
            assert_eq!(message(&padded), Some(text.as_bytes()));
        }
    }

    #[test]
    fn a_sum_that_was_left_to_a_network_card_is_accepted() {
        let mut packet = from_server(b"message");
        let pseudo = sum(
            &[],
            pseudo_header(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, 15),
        );
        packet[26..28].copy_from_slice(&pseudo.to_be_bytes());
        assert_eq!(message(&packet), Some(&b"message"[..]));
        packet[26..28].copy_from_slice(&[0, 0]);
        assert_eq!(message(&packet), Some(&b"message"[..]));
        packet[26..28].copy_from_slice(&[1, 0]);
        assert_eq!(message(&packet), None);
    }

    #[test]
    fn whatever_else_comes_is_ignored() {
        let whole = from_server(b"message");
        assert_eq!(
            message(&broadcast(b"message")),
            None,
            "it comes from a client"
        );
        for length in 0..whole.len() {
            assert_eq!(message(&whole[..length]), None, "{length}");
        }
        let mut random = Random::from_seed(3);
        for _ in 0..20_000 {
            let mut packet = whole.clone();
            let at = random.next_u32() as usize % packet.len();
            packet[at] ^= 1 << (random.next_u32() % 8);
            // One flipped bit is always found, but for the sum that may be left out, and that of the filling.
            assert_eq!(message(&packet), None, "{at}");
        }
    }
}
