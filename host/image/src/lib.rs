//! What a filesystem contains, and the writers that turn it into archives and images.
//!
//! Everything goes through [`tree::Tree`]: ownership, modes and device nodes are values in it, so that no writer needs
//! root, and the same tree gives the same bytes wherever and whenever it is written. This crate starts no processes and
//! knows no network.

#![forbid(unsafe_code)]

pub mod tree;

pub mod content;
mod copier;
mod numbered;

pub mod cpio;
pub mod disk;
pub mod erofs;
pub mod ext4;
pub mod fat;
pub mod gzip;
pub mod iso9660;
pub mod lz4;
pub mod oci;
pub mod tar;
pub mod verity;
