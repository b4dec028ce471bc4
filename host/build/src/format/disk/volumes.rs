//! The volumes of an application as partitions of its disk. The machine finds each by the label of its filesystem.

use std::path::{Path, PathBuf};

use nodeos_spec::device::gpt::Partition;

use crate::application::for_files::label;
use crate::assemble::BuildError;
use crate::assemble::Renewal;
use crate::assemble::application::provide_volume;
use crate::format::Goods;

/// What the names of their partitions begin with.
const PREFIX: &str = "volume-";

/// A filesystem, and what its partition is called.
pub(super) struct Volume {
    pub(super) partition: String,
    pub(super) image: PathBuf,
}

/// Makes them, empty.
pub(super) fn make(goods: &Goods<'_>, scratch: &Path) -> Result<Vec<Volume>, BuildError> {
    let Some(contents) = goods.application else {
        return Ok(Vec::new());
    };
    let volumes = contents.volumes.iter().map(|name| {
        let image = provide_volume(scratch, contents.application, name, Renewal::Fresh)?;
        // The label is short enough for a partition, too.
        let partition = format!("{PREFIX}{}", label(name));
        Ok(Volume { partition, image })
    });
    volumes.collect()
}

/// Whether an application's files are on it.
pub(super) fn is_one(partition: &Partition) -> bool {
    partition.name.starts_with(PREFIX)
}
