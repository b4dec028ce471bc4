//! The DHCP client of RFC 2131: [`machine`] decides, [`message`] speaks, [`reply`] listens, [`packet`] and [`socket`] carry.

pub mod action;
pub mod machine;
pub mod message;
pub mod packet;
pub mod reply;
pub mod socket;
