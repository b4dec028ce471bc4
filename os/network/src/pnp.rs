//! `/proc/net/pnp`: what the kernel was told about the network before any program ran (`ip=` on its command line).

use std::net::Ipv4Addr;

/// What is of use of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pnp {
    pub origin: Option<Origin>,
    pub nameservers: Vec<Ipv4Addr>,
    pub domain: Option<String>,
}

/// Where the kernel had it from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Dhcp,
    /// BOOTP, RARP, or the command line itself.
    Other,
}

/// Reads the file's text. A kernel that was told nothing has the file too, and in it that it was configured by hand: so
/// its command line decides about that.
pub fn parse(text: &str, command_line: &str) -> Pnp {
    let mut pnp = Pnp::default();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("#PROTO:", "DHCP")) => pnp.origin = Some(Origin::Dhcp),
            Some(("#PROTO:", _)) => pnp.origin = Some(Origin::Other),
            Some(("nameserver", address)) => {
                pnp.nameservers.extend(address.trim().parse::<Ipv4Addr>());
            }
            Some(("domain", domain)) => pnp.domain = crate::names::domain(domain.trim()),
            _ => {}
        }
    }
    let is_told = command_line
        .split_whitespace()
        .any(|word| word.starts_with("ip="));
    if !is_told {
        return Pnp::default();
    }
    pnp.origin = pnp.origin.or(Some(Origin::Other));
    pnp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_was_told_is_read() {
        let text = "#PROTO: DHCP\ndomain example.org\nnameserver 10.0.2.3\nbootserver 10.0.2.2\n";
        let expected = Pnp {
            origin: Some(Origin::Dhcp),
            nameservers: vec![Ipv4Addr::new(10, 0, 2, 3)],
            domain: Some("example.org".to_owned()),
        };
        assert_eq!(parse(text, "quiet ip=dhcp"), expected);
        let origin = |text, command_line| parse(text, command_line).origin;
        let other = Some(Origin::Other);
        assert_eq!(origin("#MANUAL\n", "ip=10.0.0.2::10.0.0.1"), other);
        assert_eq!(origin("#PROTO: BOOTP\n", "ip=bootp"), other);
        assert_eq!(origin("#MANUAL\n", "quiet"), None);
        assert_eq!(origin("", ""), None);
    }
}
