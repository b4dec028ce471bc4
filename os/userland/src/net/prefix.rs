//! An address with the length of its network, as people write it: `10.0.2.15/24`.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// An address and how many of its bits are the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) address: IpAddr,
    pub(crate) length: u8,
}

/// The text is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ParsePrefixError;

impl Prefix {
    /// The address of the network, all of whose further bits are 0.
    pub(crate) fn network(self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.length))
                    .unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.length))
                    .unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        }
    }

    /// The address by which everybody on an IPv4 network is reached, if it has room for one.
    pub(crate) fn broadcast(self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(address) if self.length < 31 => Some(Ipv4Addr::from_bits(
                address.to_bits() | u32::MAX >> self.length,
            )),
            _ => None,
        }
    }
}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    /// Without a length the network is the address alone.
    fn from_str(text: &str) -> Result<Prefix, ParsePrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ParsePrefixError)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            // A sign would be understood as a part of the number.
            Some(length) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
                .parse()
                .ok()
                .filter(|length| *length <= most)
                .ok_or(ParsePrefixError)?,
            Some(_) => return Err(ParsePrefixError),
        };
        Ok(Prefix { address, length })
    }
}

/// The mask of an IPv4 network of this length.
pub(crate) fn mask(length: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(
        u32::MAX
            .checked_shl(32 - u32::from(length.min(32)))
            .unwrap_or(0),
    )
}

/// The length of the network that a mask means.
pub(crate) fn length_of_mask(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let length = bits.leading_ones();
    (bits.count_ones() == length).then(|| u8::try_from(length).unwrap_or(32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read_and_their_networks_found() {
        let check = |text: &str, network: &str, broadcast: Option<&str>| {
            let prefix: Prefix = text.parse().unwrap();
            assert_eq!(format!("{}/{}", prefix.network(), prefix.length), network);
            let found = prefix.broadcast().map(|address| address.to_string());
            assert_eq!(found.as_deref(), broadcast, "{text}");
        };
        check("10.0.2.15/24", "10.0.2.0/24", Some("10.0.2.255"));
        check("10.0.2.15/8", "10.0.0.0/8", Some("10.255.255.255"));
        check("10.0.2.15", "10.0.2.15/32", None);
        check("10.0.2.15/31", "10.0.2.14/31", None);
        check("10.0.2.15/0", "0.0.0.0/0", Some("255.255.255.255"));
        check("fd00::1:2/64", "fd00::/64", None);
        check("fd00::1", "fd00::1/128", None);
        check("::/0", "::/0", None);
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in [
            "",
            "eth0",
            "10.0.2",
            "10.0.2.15/33",
            "10.0.2.15/",
            "10.0.2.15/+8",
            "::1/129",
            "1.2.3.4/8/8",
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(ParsePrefixError), "{text}");
        }
    }

    #[test]
    fn masks_and_lengths_are_the_same_thing() {
        for length in 0..=32 {
            assert_eq!(length_of_mask(mask(length)), Some(length));
        }
        assert_eq!(mask(20), Ipv4Addr::new(255, 255, 240, 0));
        assert_eq!(length_of_mask(Ipv4Addr::new(255, 0, 255, 0)), None);
    }
}
