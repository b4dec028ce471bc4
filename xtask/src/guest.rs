//! What a guest test boots: the kernel, the image around one test program, and the machine.

pub mod image;
pub mod kernel;
pub mod machine;
