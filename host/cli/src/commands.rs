//! The verbs, one file each: its flags, and what it does with them.

pub mod build;
pub mod cache;
pub mod cp;
pub mod doctor;
pub mod exec;
pub mod init;
pub mod install;
pub mod logs;
pub mod ps;
pub mod rm;
pub mod run;
pub mod start;
pub mod stats;
pub mod stop;
pub mod user;
