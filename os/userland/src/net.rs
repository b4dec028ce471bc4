//! What the kernel's network is: devices, addresses and routes, read and changed over rtnetlink(7).

pub(crate) mod change;
pub(crate) mod model;
pub(crate) mod prefix;
pub(crate) mod read;
pub(crate) mod socket;
