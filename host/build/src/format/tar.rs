//! The format `tar`: the root filesystem of a container as one packed archive, for whatever unpacks one.

use std::path::Path;

use super::container::{self, Container};
use super::{Goods, Packed};
use crate::assemble::{BuildError, output};

const FILE: &str = "root.tar.gz";

pub(super) fn write(goods: &Goods<'_>, dir: &Path) -> Result<Packed, BuildError> {
    let layer = goods.recipe.layer;
    let whole = Container::of(goods)?.whole(layer)?;
    let name = format!("{} in one", container::what(goods));
    let blob = container::blob(goods, &name, &whole)?;
    let path = dir.join(FILE);
    output::link(&blob.path, &path)?;
    Packed::of(goods, dir, vec![path])
}
