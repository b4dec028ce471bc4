//! Fetches the outside inputs, builds the kernel and the system programs, and puts layers together into images.
#![forbid(unsafe_code)]
pub mod recipe;
pub mod context;
pub mod progress;
pub mod cache;
pub mod manifest;
pub mod fetch;
pub mod tool;
pub mod assemble;
pub mod kernel;
pub mod layer;
pub mod node;
pub mod programs;
