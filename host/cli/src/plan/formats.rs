//! What a format does not have, and is asked for.

use nodeos_build::assemble::{Renewal, UsersOrder};
use nodeos_build::recipe::{Format, SectorSize};

use super::PlanError;

/// Refuses what is said about a users partition where none is made, but a kernel: without one, homes are what is packed.
pub fn partition(format: Format, order: &UsersOrder, size: Option<u64>) -> Result<(), PlanError> {
    let is_asked_for = order.folder.is_some() || size.is_some() || order.renewal == Renewal::Fresh;
    match format.has_kernel() && !format.has_users() && is_asked_for {
        true => Err(PlanError::NoPartition { format }),
        false => Ok(()),
    }
}

/// Refuses sectors that the format cannot have.
pub fn sectors(format: Format, size: SectorSize) -> Result<(), PlanError> {
    match format.has_sectors(size) {
        true => Ok(()),
        false => Err(PlanError::NoSectors { format, size }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_sectors_are_for_disks() {
        let large = SectorSize::Of4096;
        for format in Format::ALL {
            assert_eq!(sectors(*format, SectorSize::Of512), Ok(()));
        }
        for format in [Format::Disk, Format::Img, Format::Qcow2] {
            assert_eq!(sectors(format, large), Ok(()));
        }
        for format in [Format::Iso, Format::Vhd, Format::Oci, Format::Qemu] {
            let error = sectors(format, large).unwrap_err();
            let expected = format!("the format {format} cannot have sectors of 4096 bytes");
            assert_eq!(error.to_string(), expected);
            assert!(error.is_usage());
        }
    }

    #[test]
    fn a_medium_that_is_only_read_takes_no_word_about_users() {
        let order = UsersOrder::default();
        let size = Some(1 << 30);
        assert_eq!(partition(Format::Img, &order, size), Ok(()));
        assert_eq!(partition(Format::Iso, &order, None), Ok(()));
        let error = partition(Format::Iso, &order, size).unwrap_err();
        assert_eq!(error.to_string(), "the format iso has no users partition");
        assert!(error.is_usage());
        let folder = UsersOrder {
            folder: Some("homes".into()),
            ..UsersOrder::default()
        };
        assert!(partition(Format::Netboot, &folder, None).is_err());
        assert_eq!(partition(Format::Docker, &folder, None), Ok(()));
    }
}
