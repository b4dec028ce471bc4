//! Devices here are files: a real one is written in the same way.

use std::fs::File;
use std::path::Path;

use nodeos_build::progress::Silent;
use nodeos_image::disk::{Layout, Part, copy_image};
use nodeos_spec::device::gpt::Guid;

use super::*;
use crate::install::devices::Kernel;
use crate::install::target::{self, Caution};

const MIB: u64 = 1 << 20;

/// An image of a disk with two partitions, in which some is data and some is not.
fn image(folder: &Path) -> Image {
    let part = |name: &str, size: u64| Part {
        kind: Guid::LINUX,
        guid: Guid::of(u128::from(size)),
        name: name.to_owned(),
        size,
    };
    let layout = Layout::of(
        Guid::of(7),
        512,
        &[part("system", 9 * MIB), part("users", 5 * MIB)],
    );
    let path = folder.join("disk.img");
    let file = File::create(&path).unwrap();
    layout.write(b"boots", &file).unwrap();
    let contents = tempfile::tempfile().unwrap();
    contents.set_len(5 * MIB).unwrap();
    contents.write_all_at(b"of the system", 100).unwrap();
    contents.write_all_at(&vec![7; 2 << 20], 2 * MIB).unwrap();
    for place in &layout.places {
        copy_image(&contents, &file, place.start).unwrap();
    }
    Image::open(&path).unwrap()
}

/// A file that is full of what somebody had there.
fn used(folder: &Path, size: u64) -> std::path::PathBuf {
    let path = folder.join("device");
    let file = File::create(&path).unwrap();
    let old = vec![0xa5; 1 << 20];
    for at in (0..size).step_by(1 << 20) {
        file.write_all_at(&old, at).unwrap();
    }
    path
}

fn open(path: &Path, image: &Image) -> Result<Target, InstallError> {
    target::open(path, image, Caution::Careful, &Kernel::default())
}

fn bytes(file: &File, range: Range<u64>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
    file.read_exact_at(&mut bytes, range.start).unwrap();
    bytes
}

#[test]
fn a_used_device_has_the_image_and_a_table_for_its_own_size() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let target = open(&used(dir.path(), 40 * MIB), &image).unwrap();
    let made = write(&image, &target, &Silent, &AtomicBool::new(false)).unwrap();
    // 1 MiB for the first table, 9 for the system, and the last for the second table.
    assert_eq!(made.last_partition, 29 * MIB);
    let contents = MIB..15 * MIB;
    assert!(bytes(&image.file, contents.clone()) == bytes(&target.file, contents));
    assert_eq!(bytes(&target.file, 0..5), b"boots");
    let table = |here: u64| {
        let read = |at: u64, length: usize| Some(bytes(&target.file, at..at + length as u64));
        Table::read(512, here, read).unwrap()
    };
    let (first, second) = (table(1), table(40 * MIB / 512 - 1));
    assert_eq!(first, second);
    let users = first.partitions[1].as_ref().unwrap();
    assert_eq!((users.last + 1) * 512, 39 * MIB);
    assert_eq!(users.guid, image.table.partitions[1].as_ref().unwrap().guid);
}

#[test]
fn nothing_is_written_where_all_is_zero_already() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let path = dir.path().join("device");
    File::create(&path).unwrap().set_len(64 * MIB).unwrap();
    let target = open(&path, &image).unwrap();
    let made = write(&image, &target, &Silent, &AtomicBool::new(false)).unwrap();
    assert!(made.written < 7 * MIB, "{made:?}");
    assert!(path.metadata().unwrap().blocks() * 512 < 8 * MIB);
}

#[test]
fn a_device_that_was_not_written_wholly_has_no_table() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let before = bytes(&image.file, 0..image.size);
    let target = open(&used(dir.path(), 20 * MIB), &image).unwrap();
    let error = write(&image, &target, &Silent, &AtomicBool::new(true)).unwrap_err();
    assert!(matches!(error, InstallError::Stopped), "{error:?}");
    assert!(bytes(&target.file, 0..MIB).iter().all(|byte| *byte == 0));
    assert!(before == bytes(&image.file, 0..image.size));
}

#[test]
fn a_device_that_takes_nothing_any_more_is_an_error_at_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let path = used(dir.path(), 20 * MIB);
    let target = Target {
        file: File::open(&path).unwrap(),
        ..open(&path, &image).unwrap()
    };
    let error = write(&image, &target, &Silent, &AtomicBool::new(false)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot write to {} at 0 B", path.display())
    );
    assert!(error.hint().unwrap().contains("the image is as it was"));
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(dir.path());
    let path = used(dir.path(), 8 * MIB);
    let error = open(&path, &image).unwrap_err();
    assert!(matches!(error, InstallError::TooSmall { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .ends_with("has 8.4 MB, and the image needs 16.8 MB"),
        "{error}"
    );
    let error = open(&image.path, &image).unwrap_err();
    assert!(matches!(error, InstallError::Itself { .. }), "{error:?}");
    let error = open(dir.path(), &image).unwrap_err();
    assert!(
        matches!(error, InstallError::NotATarget { .. }),
        "{error:?}"
    );
    let error = open(&dir.path().join("none"), &image).unwrap_err();
    assert!(error.hint().unwrap().contains("truncate"), "{error:?}");
}

#[test]
fn an_image_that_is_cut_off_or_none_is_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = image(dir.path()).path;
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(10 * MIB).unwrap();
    let error = Image::open(&path).unwrap_err();
    assert!(matches!(error, InstallError::CutOff { .. }), "{error:?}");
    file.set_len(0).unwrap();
    file.set_len(10 * MIB).unwrap();
    let error = Image::open(&path).unwrap_err();
    assert!(matches!(error, InstallError::NotADisk { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("--format disk"));
}
