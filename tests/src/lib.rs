//! The harness of the boot tests: builds the real system, boots it, and keeps everything when a test fails.
//!
//! What is tested stands in `tests/tests/`, a file a subject.

#![forbid(unsafe_code)]

pub mod application;
pub mod boot;
pub mod cli;
pub mod disk_image;
pub mod http;
pub mod nodeos_run;
pub mod pc;
pub mod people;
pub mod pjdfstest;
pub mod podman;
pub mod registry;
pub mod screen;
pub mod system;
