//! What a session is made of: its root, its credentials, its filter of system calls, and processes in it.

pub(crate) mod credentials;
pub(crate) mod filter;
pub(crate) mod process;
pub(crate) mod root;
