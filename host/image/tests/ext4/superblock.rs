//! What the superblock and its copies say.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nodeos_image::ext4::MIN_SIZE;
use nodeos_image::tree::Tree;

use crate::image::{GIB, MIB, assert_is_clean, image, options};
use crate::judges::{run, try_run};
use crate::trees::everyday_tree;

/// As `dumpe2fs` lists them.
const FEATURES: &str = "has_journal ext_attr dir_index filetype extent 64bit flex_bg sparse_super large_file huge_file \
    dir_nlink extra_isize metadata_csum";

#[test]
fn the_superblock_says_what_the_options_said() {
    let (_scratch, image) = image(&everyday_tree(), &options(512 * MIB));
    for (program, flag) in [("dumpe2fs", "-h"), ("tune2fs", "-l")] {
        let text = run(program, &[flag.as_ref(), image.as_os_str()]);
        let check = |field: &str, expected: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(field));
            let line = line.unwrap_or_else(|| panic!("no {field} in {text}"));
            assert_eq!(line.trim(), expected, "{field}");
        };
        check("Filesystem volume name:", "nodeos-test-name");
        check("Filesystem UUID:", "30313233-3435-3637-3839-616263646566");
        check("Filesystem features:", FEATURES);
        check("Filesystem flags:", "unsigned_directory_hash");
        check("Default mount options:", "user_xattr acl");
        check("Filesystem state:", "clean");
        check("Block count:", "131072");
        check("Inode count:", "32768");
        check("Reserved block count:", "0");
        check("Inode size:", "256");
        check("Filesystem created:", "Fri Jul 14 02:40:00 2017");
        check("Last checked:", "Fri Jul 14 02:40:00 2017");
        check(
            "Directory Hash Seed:",
            "66656463-6261-3938-3736-353433323130",
        );
    }
    let text = run("dumpe2fs", &["-h".as_ref(), image.as_os_str()]);
    let journal = text
        .lines()
        .find(|line| line.starts_with("Total journal size:"));
    assert!(journal.unwrap().ends_with(" 16M"), "{text}");
}

#[test]
fn what_is_not_ours_to_decide_is_as_mkfs_has_it() {
    // Whole groups, and less than we round up to one.
    for size in [MIN_SIZE, 256 * MIB, 512 * MIB, 3 * GIB, 20 * GIB] {
        let (scratch, ours) = image(&Tree::new(), &options(size));
        let theirs = scratch.path().join("theirs");
        File::create(&theirs).unwrap().set_len(size).unwrap();
        // All that their configuration could say otherwise.
        let features = format!("none,{}", FEATURES.replace(' ', ","));
        let mut arguments = vec!["-q", "-b", "4096", "-I", "256", "-i", "16384", "-m", "0"];
        arguments.extend(["-O", &features]);
        arguments.push(theirs.to_str().unwrap());
        run("mkfs.ext4", &arguments);
        let [ours, theirs] = [ours, theirs].map(|image| {
            let text = run("dumpe2fs", &["-h".as_ref(), image.as_os_str()]);
            let find = |field: &str| {
                let line = text.lines().find(|line| line.starts_with(field));
                // Older versions show less.
                line.map(str::to_owned)
            };
            [
                "Filesystem features:",
                "Filesystem revision #:",
                "Default mount options:",
                "Errors behavior:",
                "Inode count:",
                "Block count:",
                "Overhead clusters:",
                "Inodes per group:",
                "Flex block group size:",
                "Maximum mount count:",
                "Check interval:",
                "First inode:",
                "Required extra isize:",
                "Default directory hash:",
                "Journal backup:",
                "Journal features:",
                "Total journal blocks:",
                "Journal sequence:",
                "Journal start:",
            ]
            .map(find)
        });
        assert!(ours[0].is_some());
        assert_eq!(ours, theirs);
    }
}

#[test]
fn the_backups_are_as_good_as_the_original() {
    let (_scratch, image) = image(&everyday_tree(), &options(600 * MIB));
    let file = File::options().write(true).open(&image).unwrap();
    // Superblock and descriptors.
    file.write_all_at(&[0xA5; 8192], 0).unwrap();
    assert!(try_run("tune2fs", &["-l".as_ref(), image.as_os_str()]).is_err());
    let arguments = ["-fy", "-b", "32768", image.to_str().unwrap()];
    let repaired = try_run("e2fsck", &arguments).unwrap_err();
    assert!(repaired.contains("FILE SYSTEM WAS MODIFIED"), "{repaired}");
    // It forgets which groups are unused then, and writes their bitmaps; mkfs's images are no different in that.
    assert!(repaired.contains("Block bitmap differences"), "{repaired}");
    assert!(
        repaired.contains("Padding at end of inode bitmap"),
        "{repaired}"
    );
    assert_eq!(repaired.matches("Fix? yes").count(), 2, "{repaired}");
    assert_is_clean(&image);
}
