//! The benchmarks: each measures in one run, interleaved, and reports ratios.
//!
//! It owns what is compared with what, and how. Who calls it shows the report; nothing here prints, and no figure is
//! ever judged.

#![forbid(unsafe_code)]

pub mod boot;
pub mod cpu;
pub mod host;
pub mod login;
pub mod machine;
pub mod media;
pub mod ratio;
pub mod run;
pub mod search;
pub mod spread;
