//! Confining programs that are not to be trusted, for those who start them: `boot` does it with people's, `application` with
//! the one that a machine is for. What only one of the two needs is in that one.

#![forbid(unsafe_code)]

pub mod authorities;
pub mod block;
pub mod cgroup;
pub mod credentials;
pub mod devices;
pub mod filter;
pub mod grow;
pub mod kernel;
pub mod log;
pub mod meminfo;
pub mod mounts;
pub mod port;
pub mod process;
pub mod report;
