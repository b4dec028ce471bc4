//! The verbs, one file each: its flags, and what it does with them.

pub mod build;
pub mod cache;
pub mod doctor;
pub mod init;
pub mod start;
pub mod user;
