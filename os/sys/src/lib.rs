//! The system calls and C calls that rustix lacks, behind safe functions. The only crate of the project with `unsafe`.
//!
//! It holds mechanisms only: what a signal means, which program starts and when a machine stops is its callers' business.
//! It stands without std, as `init` does.

#![no_std]

extern crate alloc;

pub mod block;
pub mod calls;
pub mod entry;
pub mod error;
pub mod fork;
pub mod heap;
pub mod namespaces;
pub mod packet;
pub mod signals;
pub mod spawn;
pub mod standard;
pub mod terminal;
