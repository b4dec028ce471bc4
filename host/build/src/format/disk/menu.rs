//! The boot loader's menu, and what the kernel is told.
//!
//! The menu is one text for every system; what belongs to the system in a slot lies beside its kernel, in a folder of the
//! slot's. So an update writes the other slot's folder and then changes one letter of the menu.

use std::ops::Range;

use nodeos_image::verity::{self, BLOCK, HashTree};
use nodeos_spec::cmdline;
use nodeos_spec::device::gpt::Guid;

use crate::assemble::USERS_LABEL;
use crate::fetch::checksum::hex;
use crate::format::Goods;
use crate::format::loader::FOLDER;
use crate::recipe::{Flavor, Layer, Recipe};

/// The slot that is booted.
pub(in crate::format) const SLOT: &str = "a";
/// How long the menu waits for a key, in seconds.
const TIMEOUT: u32 = 3;
/// How long a kernel that has given up stays on the screen before it starts again, in seconds: long enough to be read, and
/// a machine that nobody looks at is not gone for good.
const PANIC: u32 = 30;
/// The speed of serial lines that firmware uses.
const BAUD: u32 = 115_200;
/// What a sector is for device mapper, in bytes.
const SECTOR: u64 = 512;

/// What the menu is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::format) enum Medium {
    Disk,
    /// A CD, or a stick with the same bytes.
    Cd,
}

/// Where the machine finds its users partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::format) enum Users {
    /// It has none.
    None,
    /// It has none, but an application's volumes, the last of which grows to the end of its disk.
    Volumes,
    /// In the partition with this number, which grows to the end of its disk.
    Partition(Guid),
    /// On whatever disk has one.
    Label,
    /// The same; without one homes are in memory.
    LabelIfThere,
}

impl Users {
    /// What the kernel is told.
    fn words(self) -> String {
        let word = cmdline::USERS;
        match self {
            Users::None => String::new(),
            Users::Volumes => format!(" {}", cmdline::GROW),
            Users::Partition(guid) => format!(" {word}=PARTUUID={guid} {}", cmdline::GROW),
            Users::Label => format!(" {word}=LABEL={USERS_LABEL}"),
            Users::LabelIfThere => {
                format!(
                    " {word}=LABEL={USERS_LABEL} {}=nofail",
                    cmdline::USERS_FLAGS
                )
            }
        }
    }
}

/// The menu: `grub.cfg`.
pub(in crate::format) fn menu(goods: &Goods<'_>, medium: Medium, users: Users) -> String {
    menu_of(goods.recipe, (goods.title(), &goods.words()), medium, users)
}

/// Of a system that people see by its title, and whose kernel is told the words in every entry.
fn menu_of(recipe: &Recipe, (title, words): (&str, &str), medium: Medium, users: Users) -> String {
    let users = users.words();
    let name = match medium {
        Medium::Disk => "disk",
        Medium::Cd => "medium",
    };
    let (first, other, other_name) = match recipe.flavor {
        Flavor::Mainframe => (serial(), screen(), "on the screen"),
        Flavor::Workstation => (screen(), serial(), "on the serial line"),
    };
    let mut entries = vec![
        entry(title, &first, ""),
        entry(&format!("{title}, {other_name}"), &other, ""),
    ];
    match recipe.layer {
        // What it boots is the prompt, or the one application, whose machine nobody is to become root of.
        Layer::Barebones | Layer::Application => {}
        Layer::Initramfs | Layer::Usersfs => entries.extend([
            entry(
                "Administrator mode: root, and everybody's files",
                &first,
                cmdline::SINGLE,
            ),
            entry("Node.js and nothing else", &first, "-- /bin/node"),
        ]),
    }
    if medium == Medium::Cd {
        entries.push(second_drive(title, &first));
    }
    format!(
        r#"# Which of the two systems is booted. An update changes this line last.
set slot={SLOT}

set timeout={TIMEOUT}
# UEFI's console is the serial line by itself, where there is one.
if [ "$grub_platform" = pc ]; then
    if serial --unit=0 --speed={BAUD}; then
        terminal_input console serial
        terminal_output console serial
    fi
fi

# Sets what belongs to the system: verity, the words for device mapper, system, the device that comes of them, and device, what
# that is made from.
source $prefix/$slot/slot.cfg

# Starts it with the words given. Linux checks the system itself, block by block; that it is the right Linux is checked here.
function start {{
    if sha256sum --check $prefix/$slot/sums --prefix $prefix/$slot; then
        echo "Loading {title} ..."
        linux $prefix/$slot/kernel "dm-mod.create=$verity" dm-mod.waitfor=$device gpt root=$system rootfstype=erofs ro init=/init quiet panic={PANIC}{words}{users} "$@"
    else
        echo "The kernel on this {name} is damaged, so it was not started. Write the image to the {name} again."
        sleep --interruptible 3600
    fi
}}

{}"#,
        entries.concat()
    )
}

/// What belongs to the system in a slot: `slot.cfg`.
pub(super) fn slot(system: Guid, tree: &HashTree, salt: &[u8; verity::HASH]) -> String {
    let verity = verity("$device", tree, salt);
    format!(
        "set device=PARTUUID={system}\n\
         set system=/dev/dm-0\n\
         set verity=\"{verity}\"\n"
    )
}

/// The same on a CD, which has no partitions for Linux: there the system is `place`, in bytes from the beginning of the drive. From a
/// stick with the same bytes it is the partition with the number `partition`.
pub(in crate::format) fn slot_on_cd(
    partition: Guid,
    place: &Range<u64>,
    tree: &HashTree,
    salt: &[u8; verity::HASH],
) -> String {
    let verity = verity("/dev/dm-0", tree, salt);
    let (first, length) = (place.start / SECTOR, (place.end - place.start) / SECTOR);
    format!(
        "if [ -z \"$drive\" ]; then\n    \
             set drive=/dev/sr0\n\
         fi\n\
         # The drive is called cd0 with UEFI if it is one of CDs; with the old firmware it has the name cd beside its number then.\n\
         if [ -e (cd)/{FOLDER}/grub.cfg ]; then\n    \
             set root=cd\n\
         fi\n\
         if regexp '^cd' \"$root\"; then\n    \
             set device=$drive\n    \
             set first={first}\n\
         else\n    \
             set device=PARTUUID={partition}\n    \
             set first=0\n\
         fi\n\
         set system=/dev/dm-1\n\
         set verity=\"medium,,,ro,0 {length} linear $device $first;{verity}\"\n"
    )
}

/// Of the system on `device`, for device mapper.
fn verity(device: &str, tree: &HashTree, salt: &[u8; verity::HASH]) -> String {
    let HashTree {
        root, data_blocks, ..
    } = tree;
    let sectors = data_blocks * BLOCK / SECTOR;
    // The superblock is for programs that look at the image; the kernel begins with the tree behind it.
    let first_hash = data_blocks + 1;
    let (root, salt) = (hex(root), hex(salt));
    format!(
        "nodeos,,,ro,0 {sectors} verity 1 {device} {device} {BLOCK} {BLOCK} {data_blocks} {first_hash} sha256 {root} {salt} \
         1 panic_on_corruption"
    )
}

/// The sum by which the kernel is known: `sums`.
pub(in crate::format) fn sums(kernel: &str) -> String {
    format!("{kernel}  kernel\n")
}

fn entry(title: &str, consoles: &str, words: &str) -> String {
    format!("menuentry \"{title}\" {{\n    start {consoles} {words}\n}}\n").replace(" \n", "\n")
}

/// Linux counts its drives, and firmware does not tell it from which one it has started. A server may have a second one by its
/// remote console.
fn second_drive(title: &str, consoles: &str) -> String {
    format!(
        "if regexp '^cd' \"$root\"; then\n    \
             menuentry \"{title}, from the second CD drive\" {{\n        \
                 set drive=/dev/sr1\n        \
                 source $prefix/$slot/slot.cfg\n        \
                 start {consoles}\n    \
             }}\n\
         fi\n"
    )
}

/// The last console is the one that programs talk to (Documentation/admin-guide/serial-console.rst); messages go to both.
fn serial() -> String {
    format!("console=tty0 console=ttyS0,{BAUD}")
}

fn screen() -> String {
    format!("console=ttyS0,{BAUD} console=tty0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_told_what_the_tree_says() {
        let tree = HashTree {
            root: [0xab; 32],
            data_blocks: 1000,
            bytes: Vec::new(),
        };
        let text = slot(Guid::of(0x1234), &tree, &[0xcd; 32]);
        let (root, salt) = ("ab".repeat(32), "cd".repeat(32));
        assert_eq!(
            text,
            format!(
                "set device=PARTUUID=00000000-0000-0000-0000-000000001234\n\
                 set system=/dev/dm-0\n\
                 set verity=\"nodeos,,,ro,0 8000 verity 1 $device $device 4096 4096 1000 1001 sha256 {root} {salt} 1 panic_on_corruption\"\n"
            )
        );
    }

    #[test]
    fn the_menu_fits_the_layer_and_the_flavor() {
        let menu = |layer, flavor| {
            let recipe = Recipe {
                layer,
                flavor,
                ..Recipe::BAREBONES
            };
            let users = match layer.has_users() {
                true => Users::Partition(Guid::of(5)),
                false => Users::None,
            };
            menu_of(&recipe, ("NodeOS", ""), Medium::Disk, users)
        };
        let people = menu(Layer::Usersfs, Flavor::Workstation);
        assert!(
            people.contains("start console=ttyS0,115200 console=tty0\n"),
            "{people}"
        );
        assert!(people.contains("console=tty0 single\n"), "{people}");
        assert!(people.contains("console=tty0 -- /bin/node\n"), "{people}");
        assert!(
            people.contains(
                " nodeos.users=PARTUUID=00000000-0000-0000-0000-000000000005 nodeos.grow "
            ),
            "{people}"
        );
        let prompt = menu(Layer::Barebones, Flavor::Mainframe);
        assert!(
            prompt.contains("start console=tty0 console=ttyS0,115200\n"),
            "{prompt}"
        );
        assert!(
            !prompt.contains("single") && !prompt.contains("nodeos.users"),
            "{prompt}"
        );
    }

    #[test]
    fn an_application_is_called_by_its_name_and_offered_on_both_consoles() {
        let recipe = Recipe {
            layer: Layer::Application,
            flavor: Flavor::Workstation,
            ..Recipe::BAREBONES
        };
        let menu = menu_of(
            &recipe,
            ("shop", " ip=::::shop::dhcp"),
            Medium::Disk,
            Users::None,
        );
        let entries: Vec<&str> = menu
            .lines()
            .filter(|line| line.starts_with("menuentry"))
            .collect();
        let expected = [
            "menuentry \"shop\" {",
            "menuentry \"shop, on the serial line\" {",
        ];
        assert_eq!(entries, expected);
        assert!(
            menu.contains(" panic=30 ip=::::shop::dhcp \"$@\"\n"),
            "{menu}"
        );
        assert!(!menu.contains("/bin/node"), "{menu}");
    }
}
