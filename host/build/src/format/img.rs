//! The format `img`: the disk without the users partition, and that as a file of its own, as the first NodeOS had them. One is
//! for what is replaced by each new version, the other one for what stays. An application has a file for each of its volumes.

use std::path::Path;

use super::disk::{self, Homes};
use super::{Goods, Packed, PackedFile};
use crate::assemble::BuildError;
use crate::assemble::application::provide_volume;

const SYSTEM: &str = "bootfs.img";
const USERS: &str = "usersfs.img";

pub(super) fn write(goods: &Goods<'_>, dir: &Path) -> Result<Packed, BuildError> {
    // What may be somebody's first: where it is not ours, nothing else is made.
    let users = goods.users(&dir.join(USERS))?;
    let volumes = goods.application.map_or(Ok(Vec::new()), |contents| {
        let names = contents.volumes.iter();
        names
            .map(|name| provide_volume(dir, contents.application, name, goods.order.renewal))
            .collect::<Result<_, _>>()
    })?;
    let path = dir.join(SYSTEM);
    let made = disk::image(goods, &path, Homes::Elsewhere)?;
    let mut packed = Packed::of(goods, dir, vec![path])?;
    let files = users.iter().map(|users| users.path.clone());
    for path in files.chain(volumes) {
        packed.files.push(PackedFile::at(path)?);
    }
    packed.users = users;
    packed.inputs = made.inputs;
    Ok(packed)
}
