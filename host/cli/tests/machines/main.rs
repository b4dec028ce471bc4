//! Monitors and commands against a machine that is played by the test: what is passed on, what is kept, and who survives whom.

#[path = "../common/mod.rs"]
mod common;
mod hands;
mod peer;

mod background;
mod changes;
mod commands;
mod foreground;
mod full_disk;
mod monitors;
