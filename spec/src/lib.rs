//! The words that the host, which builds a machine, and the target, which is that machine, have in common.
//!
//! Everything here parses and validates text; nothing here reads a file, opens a socket or prints.

#![cfg_attr(not(test), no_std)] // `init` stands without std, whose static start-up code alone is over its budget of 1 MB
#![forbid(unsafe_code)]

extern crate alloc;

pub mod application;
pub mod boot;
pub mod broker;
pub mod capability;
pub mod channel;
pub mod cmdline;
pub mod control;
pub mod device;
pub mod host;
pub mod logon;
pub mod network;
pub mod package;
pub mod program;
pub mod service;
pub mod session;
mod size;
pub mod user;
