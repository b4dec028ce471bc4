//! Accounts: which folders are users, what their `logon.json` says, and whether a password is right.
//!
//! The users partition has no other list of users than its folders. Whoever asks for a password, shows a prompt or starts
//! a session is elsewhere.

#![forbid(unsafe_code)]

pub mod accounts;
pub mod file;
pub mod home;
pub mod password;
pub mod skeleton;
pub mod uid;
