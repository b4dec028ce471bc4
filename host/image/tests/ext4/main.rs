//! `e2fsck`, `debugfs`, `dumpe2fs`, `tune2fs` and `resize2fs` judge our ext4 images.

#[path = "../judges/mod.rs"]
mod judges;
#[path = "../trees/mod.rs"]
mod trees;

mod image;

mod contents;
mod directories;
mod refusals;
mod sizes;
mod superblock;
