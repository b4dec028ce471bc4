//! Fetches the outside inputs, builds the kernel and the system programs, and puts layers together into images.
#![forbid(unsafe_code)]
pub mod application;
pub mod assemble;
pub mod cache;
pub mod context;
pub mod fetch;
pub mod format;
pub mod kernel;
pub mod layer;
pub mod manifest;
pub mod node;
pub mod programs;
pub mod progress;
pub mod recipe;
pub mod sentence;
pub mod tool;
