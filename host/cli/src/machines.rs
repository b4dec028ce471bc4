//! Machines that run applications: each has a monitor, a process of its own, and a folder that says what it is.
//!
//! Commands find machines by their folders and talk to their monitors; nothing else of a machine is theirs.

pub mod names;
pub mod protocol;
pub mod record;
pub mod room;
pub mod sockets;
pub mod state;

pub mod logs;

pub mod monitor;
pub mod start;
pub mod volumes;

pub mod archive;
pub mod command;
pub mod connection;
pub mod conversation;
pub mod ending;
pub mod find;
pub mod foreground;
pub mod inner;
