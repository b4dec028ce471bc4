//! What people and scripts see: results on standard output, narration and errors on standard error.

pub mod bars;
pub mod errors;
pub mod lines;
pub mod patience;
pub mod progress;
pub mod quote;
pub mod size;
pub mod streams;
pub mod table;
