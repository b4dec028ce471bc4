//! The rules about the project's own sources, as tests. `cargo xtask tidy` runs them; CONTRIBUTING.md lists them.

mod code;
mod commands;
mod crates;
mod documents;
mod files;
mod sources;
mod words;
