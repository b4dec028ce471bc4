//! What a session is made of: its root, and processes in it.

pub(crate) mod process;
pub(crate) mod root;
