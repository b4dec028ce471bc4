//! A disk with partitions, as a sparse file: where they lie, the table that says so, and images copied into them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use nodeos_spec::device::gpt::{ALIGNMENT, Guid, PROTECTIVE, Partition, Piece, Table};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::copier;

/// A partition that is to be.
#[derive(Debug, Clone)]
pub struct Part {
    pub kind: Guid,
    pub guid: Guid,
    pub name: String,
    /// At least so many bytes.
    pub size: u64,
}

/// Where everything lies.
#[derive(Debug, Clone)]
pub struct Layout {
    pub table: Table,
    /// The bytes of each partition, in order.
    pub places: Vec<Range<u64>>,
    /// The size of the disk in bytes.
    pub size: u64,
}

impl Layout {
    /// Puts the parts one behind the other. Sectors are 512 or 4096 bytes.
    pub fn of(disk: Guid, sector: u64, parts: &[Part]) -> Layout {
        let mut end = ALIGNMENT;
        let mut places = Vec::new();
        let mut partitions = Vec::new();
        for part in parts {
            let place = end..end + part.size.next_multiple_of(ALIGNMENT);
            end = place.end;
            partitions.push(Some(Partition {
                kind: part.kind,
                guid: part.guid,
                first: place.start / sector,
                last: place.end / sector - 1,
                attributes: 0,
                name: part.name.clone(),
            }));
            places.push(place);
        }
        // The second table.
        let size = end + ALIGNMENT;
        let table = Table {
            disk,
            sector,
            sectors: size / sector,
            partitions,
        };
        Layout {
            table,
            places,
            size,
        }
    }

    /// Writes the tables into `out`, an empty file, and makes it as large as the disk. `boot` is what the firmware of old
    /// starts: at most 446 bytes.
    ///
    /// # Errors
    /// Those of writing.
    ///
    /// # Panics
    /// When `boot` is longer.
    pub fn write(&self, boot: &[u8], out: &File) -> io::Result<()> {
        assert!(boot.len() <= PROTECTIVE, "the table begins behind it");
        out.set_len(self.size)?;
        out.write_all_at(boot, 0)?;
        let tables = [self.table.backup(), self.table.primary()].concat();
        for Piece { at, bytes } in tables.iter().chain([&self.table.protective()]) {
            out.write_all_at(bytes, *at)?;
        }
        Ok(())
    }
}

/// How much is copied at once.
const BUFFER: usize = 1 << 20;

/// Copies all of `image` to the place `at` of `out`, where there are only zeros. Holes stay holes.
///
/// # Errors
/// Those of reading and writing.
pub fn copy_image(image: &File, out: &File, at: u64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let extents = extents(image, 0, image.metadata()?.len())?;
    for (data, _) in extents
        .into_iter()
        .filter(|(_, extent)| *extent == Extent::Data)
    {
        let mut here = data.start;
        while here < data.end {
            let room = usize::try_from(data.end - here)
                .unwrap_or(BUFFER)
                .min(BUFFER);
            image.read_exact_at(&mut buffer[..room], here)?;
            copier::write_sparse(out, &buffer[..room], at + here)?;
            here += room as u64;
        }
    }
    Ok(())
}

/// The bytes of a file in order, up to `end`: what has been written, and holes, where all is zero. Devices have no holes.
///
/// # Errors
/// Those of looking.
pub fn extents(file: &File, from: u64, end: u64) -> io::Result<Vec<(Range<u64>, Extent)>> {
    let mut found = Vec::new();
    let mut at = from;
    while at < end {
        let data = match seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.min(end),
            Err(Errno::NXIO) => end,
            // What cannot say where its holes are has none.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            Err(errno) => return Err(errno.into()),
        };
        if data > at {
            found.push((at..data, Extent::Hole));
        }
        at = data;
        if at == end {
            break;
        }
        let hole = match seek(file, SeekFrom::Hole(at)) {
            Ok(hole) => hole.min(end),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => end,
            Err(errno) => return Err(errno.into()),
        };
        found.push((at..hole, Extent::Data));
        at = hole;
    }
    Ok(found)
}

/// Whether there is anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Data,
    Hole,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(size: u64) -> Part {
        Part {
            kind: Guid::LINUX,
            guid: Guid::of(u128::from(size)),
            name: "part".to_owned(),
            size,
        }
    }

    #[test]
    fn partitions_lie_one_behind_the_other_at_whole_mebibytes() {
        const MIB: u64 = 1 << 20;
        for sector in [512, 4096] {
            let layout = Layout::of(
                Guid::of(1),
                sector,
                &[part(1), part(3 * MIB), part(MIB + 1)],
            );
            assert_eq!(
                layout.places,
                [MIB..2 * MIB, 2 * MIB..5 * MIB, 5 * MIB..7 * MIB]
            );
            assert_eq!(layout.size, 8 * MIB);
            let users = layout.table.partitions[2].as_ref().unwrap();
            assert_eq!(
                (users.first * sector, (users.last + 1) * sector),
                (5 * MIB, 7 * MIB)
            );
        }
    }

    #[test]
    fn an_image_is_copied_with_its_holes() {
        use std::os::unix::fs::MetadataExt;
        let image = tempfile::tempfile().unwrap();
        let out = tempfile::tempfile().unwrap();
        image.set_len(64 << 20).unwrap();
        for (bytes, at) in [
            (&b"first"[..], 0),
            (b"middle", 20 << 20),
            (b"last", (64 << 20) - 4),
        ] {
            image.write_all_at(bytes, at).unwrap();
        }
        out.set_len(80 << 20).unwrap();
        copy_image(&image, &out, 8 << 20).unwrap();
        let read = |at: u64| {
            let mut bytes = [0; 4];
            out.read_exact_at(&mut bytes, at).unwrap();
            bytes
        };
        assert_eq!(&read(8 << 20), b"firs");
        assert_eq!(&read(28 << 20), b"midd");
        assert_eq!(&read((72 << 20) - 4), b"last");
        assert!(out.metadata().unwrap().blocks() * 512 < 1 << 20);
    }

    #[test]
    fn holes_and_data_take_turns_up_to_the_end() {
        let file = tempfile::tempfile().unwrap();
        const MIB: u64 = 1 << 20;
        file.set_len(4 * MIB).unwrap();
        file.write_all_at(&vec![1; 1 << 20], MIB).unwrap();
        assert_eq!(
            extents(&file, 0, 4 * MIB).unwrap(),
            [
                (0..MIB, Extent::Hole),
                (MIB..2 * MIB, Extent::Data),
                (2 * MIB..4 * MIB, Extent::Hole)
            ]
        );
        assert_eq!(
            extents(&file, MIB + 5, MIB + 9).unwrap(),
            [(MIB + 5..MIB + 9, Extent::Data)]
        );
    }
}
