//! [`Action`]: what a DHCP client wants done, and [`Notice`], what it wants said.

use std::fmt;
use std::net::Ipv4Addr;

use crate::lease::Lease;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To send a message by the socket that [`Machine::needs`](crate::dhcp::machine::Machine::needs) names.
    Send { to: To, message: Vec<u8> },
    /// To give the interface what the lease says, in place of what it has.
    Configure(Box<Lease>),
    /// To take everything of a lease from the interface.
    Unconfigure(Box<Lease>),
    /// To tell the user.
    Say(Notice),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    Everybody,
    Server(Ipv4Addr),
}

/// What the user wants to know, but for the leases themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    NoServer,
    Refused {
        server: Ipv4Addr,
        reason: Option<String>,
    },
    Ended {
        address: Ipv4Addr,
    },
    NotRenewed {
        server: Ipv4Addr,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::NoServer => f.write_str("no DHCP server answers; the search goes on"),
            Notice::Refused {
                server,
                reason: None,
            } => write!(f, "{server} refuses the address"),
            Notice::Refused {
                server,
                reason: Some(reason),
            } => write!(f, "{server} refuses the address: {reason}"),
            Notice::Ended { address } => write!(f, "the time of {address} is over"),
            Notice::NotRenewed { server } => {
                write!(f, "{server} does not answer; every DHCP server is asked")
            }
        }
    }
}
