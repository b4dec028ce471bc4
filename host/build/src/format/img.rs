//! The format `img`: the disk without the users partition, and that as a file of its own, as the first NodeOS had them. One is
//! for what is replaced by each new version, the other one for what stays.

use std::path::Path;

use super::disk::{self, Homes};
use super::{Goods, Packed, PackedFile};
use crate::assemble::BuildError;

const SYSTEM: &str = "bootfs.img";
const USERS: &str = "usersfs.img";

pub(super) fn write(goods: &Goods<'_>, dir: &Path) -> Result<Packed, BuildError> {
    // The users partition first: where it is somebody's and not ours, nothing else is made.
    let users = goods.users(&dir.join(USERS))?;
    let path = dir.join(SYSTEM);
    let made = disk::image(goods, &path, Homes::Elsewhere)?;
    let mut packed = Packed::of(goods, dir, vec![path])?;
    if let Some(users) = &users {
        packed.files.push(PackedFile::at(users.path.clone())?);
    }
    packed.users = users;
    packed.inputs = made.inputs;
    Ok(packed)
}
