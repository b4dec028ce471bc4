//! The programs of the target that are NodeOS's own, in one file: which of them it is, its name says.
//!
//! None of them holds a privilege. What needs one is asked of the session broker, or fails with a sentence.

#![forbid(unsafe_code)]

pub mod applet;
mod table;

pub mod broker;
mod getty;
pub mod logon;
mod power;

mod homes;
mod new_password;
mod passwd;
mod useradd;
mod userdel;
mod usermod;
mod users;

mod ifconfig;
mod ip;
mod net;

mod help;
mod man;
mod markdown;
mod pager;

mod clear;
mod dmesg;
mod mount;
mod pstree;
mod which;

mod line;
pub mod question;
mod terminal;

pub use applet::run;
