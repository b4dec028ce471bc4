//! The boot loader's menu, and what the kernel is told.
//!
//! The menu is one text for every system; what belongs to the system in a slot lies beside its kernel, in a folder of the
//! slot's. So an update writes the other slot's folder and then changes one letter of the menu.

use nodeos_image::verity::{self, BLOCK, HashTree};
use nodeos_spec::cmdline;
use nodeos_spec::device::gpt::Guid;

use crate::fetch::checksum::hex;
use crate::format::Goods;
use crate::recipe::{Flavor, Layer, Recipe};

/// The slot that is booted.
pub(super) const SLOT: &str = "a";
/// How long the menu waits for a key, in seconds.
const TIMEOUT: u32 = 3;
/// How long a kernel that has given up stays on the screen before it starts again, in seconds: long enough to be read, and
/// a machine that nobody looks at is not gone for good.
const PANIC: u32 = 30;
/// The speed of serial lines that firmware uses.
const BAUD: u32 = 115_200;
/// What a sector is for device mapper, in bytes.
const SECTOR: u64 = 512;

/// The menu: `grub.cfg`.
pub(super) fn menu(goods: &Goods<'_>, users: Option<Guid>) -> String {
    menu_of(goods.recipe, goods.title(), &goods.words(), users)
}

/// Of a system that people see as `title`, whose kernel is told `words` in every entry.
fn menu_of(recipe: &Recipe, title: &str, words: &str, users: Option<Guid>) -> String {
    let users = users.map_or(String::new(), |guid| {
        format!(" {}=PARTUUID={guid} {}", cmdline::USERS, cmdline::GROW)
    });
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

# Sets what belongs to the system: verity, the words for device mapper, and device, its partition.
source $prefix/$slot/slot.cfg

# Starts it with the words given. Linux checks the system itself, block by block; that it is the right Linux is checked here.
function start {{
    if sha256sum --check $prefix/$slot/sums --prefix $prefix/$slot; then
        echo "Loading {title} ..."
        linux $prefix/$slot/kernel "dm-mod.create=$verity" dm-mod.waitfor=$device gpt root=/dev/dm-0 rootfstype=erofs ro init=/init quiet panic={PANIC}{words}{users} "$@"
    else
        echo "The kernel on this disk is damaged, so it was not started. Write the image to the disk again."
        sleep --interruptible 3600
    fi
}}

{}"#,
        entries.concat()
    )
}

/// What belongs to the system in a slot: `slot.cfg`.
pub(super) fn slot(system: Guid, tree: &HashTree, salt: &[u8; verity::HASH]) -> String {
    let HashTree {
        root, data_blocks, ..
    } = tree;
    let sectors = data_blocks * BLOCK / SECTOR;
    // The superblock is for programs that look at the image; the kernel begins with the tree behind it.
    let first_hash = data_blocks + 1;
    let (root, salt) = (hex(root), hex(salt));
    format!(
        "set device=PARTUUID={system}\n\
         set verity=\"nodeos,,,ro,0 {sectors} verity 1 $device $device {BLOCK} {BLOCK} {data_blocks} {first_hash} sha256 {root} {salt} \
         1 panic_on_corruption\"\n"
    )
}

/// The sum by which the kernel is known: `sums`.
pub(super) fn sums(kernel: &str) -> String {
    format!("{kernel}  kernel\n")
}

fn entry(title: &str, consoles: &str, words: &str) -> String {
    format!("menuentry \"{title}\" {{\n    start {consoles} {words}\n}}\n").replace(" \n", "\n")
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
            let users = layer.has_users().then(|| Guid::of(5));
            menu_of(&recipe, "NodeOS", "", users)
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
        let menu = menu_of(&recipe, "shop", " ip=::::shop::dhcp", None);
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
