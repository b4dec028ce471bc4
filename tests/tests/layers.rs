//! What is in a layer, entry by entry.

use nodeos_build::assemble;
use nodeos_build::recipe::{Layer, Libc, Recipe, RootKind};
use nodeos_image::tree::{Entry, Kind, Tree};
use nodeos_tests::people::USERSFS;
use nodeos_tests::system::{self, BAREBONES};

/// One line an entry: mode, owner, path, and where a link leads.
fn listing(tree: &Tree) -> String {
    let line = |path: &str, entry: &Entry| {
        let (kind, target) = match &entry.kind {
            Kind::Directory => ('d', String::new()),
            Kind::File(_) => ('-', String::new()),
            Kind::Symlink(target) => ('l', format!(" -> {}", target.display())),
            Kind::CharDevice { major, minor } => ('c', format!(" {major}:{minor}")),
            Kind::BlockDevice { .. } | Kind::Fifo => ('?', String::new()),
        };
        let Entry { mode, uid, gid, .. } = entry;
        format!("{kind}{mode:04o} {uid}:{gid} {path}{target}\n")
    };
    tree.iter()
        .map(|(path, entry)| line(&path.display().to_string(), entry))
        .collect()
}

fn check(recipe: Recipe, expected: &str) {
    let tree = assemble::tree(&system::context().unwrap(), &recipe).unwrap();
    // The names of the wheel's own libraries carry a part of their sums.
    assert_eq!(
        listing(&tree),
        expected,
        "the layer is not what layers/ and this test say"
    );
}

#[test]
fn barebones_is_a_kernel_less_handful_of_files_that_users_may_run_and_not_list() {
    check(
        BAREBONES,
        "d0755 0:0 /\n\
         d0555 0:0 /bin\n\
         -0555 0:0 /bin/node\n\
         d0000 0:0 /dev\n\
         d0555 0:0 /etc\n\
         -0444 0:0 /etc/hosts\n\
         d0111 0:0 /etc/nodeos\n\
         -0444 0:0 /etc/nodeos/boot.json\n\
         -0444 0:0 /etc/nodeos/sources.json\n\
         -0444 0:0 /etc/os-release\n\
         l0777 0:0 /etc/resolv.conf -> /run/resolv.conf\n\
         -0100 0:0 /init\n\
         d0111 0:0 /lib\n\
         -0555 0:0 /lib/ld-musl-x86_64.so.1\n\
         -0444 0:0 /lib/libgcc_s-0cd532bd.so.1\n\
         l0777 0:0 /lib/libgcc_s.so.1 -> /lib/libgcc_s-0cd532bd.so.1\n\
         -0444 0:0 /lib/libstdc++-5d72f927.so.6.0.33\n\
         l0777 0:0 /lib/libstdc++.so.6 -> /lib/libstdc++-5d72f927.so.6.0.33\n\
         d0000 0:0 /proc\n\
         d0000 0:0 /run\n\
         d0100 0:0 /sbin\n\
         l0777 0:0 /sbin/halt -> /init\n\
         l0777 0:0 /sbin/init -> /bin/node\n\
         l0777 0:0 /sbin/poweroff -> /init\n\
         l0777 0:0 /sbin/reboot -> /init\n\
         d0000 0:0 /sys\n\
         d0000 0:0 /tmp\n",
    );
}

#[test]
fn glibc_brings_its_loader_and_the_libraries_that_nodejs_names() {
    let tree = assemble::tree(
        &system::context().unwrap(),
        &Recipe {
            libc: Libc::Glibc,
            ..BAREBONES
        },
    )
    .unwrap();
    let listing = listing(&tree);
    for path in [
        "/lib64/ld-linux-x86-64.so.2",
        "libc.so.6",
        "libm.so.6",
        "libstdc++.so.6",
        "libgcc_s.so.1",
    ] {
        assert!(listing.contains(path), "{path} in\n{listing}");
    }
    assert!(!listing.contains("musl"), "{listing}");
}

#[test]
fn an_initramfs_has_its_console_and_nothing_has_privileges_of_its_own() {
    let recipes = RootKind::ALL
        .iter()
        .flat_map(|&root| [BAREBONES, USERSFS].map(|recipe| Recipe { root, ..recipe }));
    for recipe in recipes {
        let tree = assemble::tree(&system::context().unwrap(), &recipe).unwrap();
        let devices: Vec<_> = tree
            .iter()
            .filter(|(_, entry)| {
                matches!(
                    entry.kind,
                    Kind::CharDevice { .. } | Kind::BlockDevice { .. }
                )
            })
            .map(|(path, _)| path.display().to_string())
            .collect();
        let expected: &[&str] = if recipe.root == RootKind::Initramfs {
            &["/dev/console"]
        } else {
            &[]
        };
        assert_eq!(devices, expected);
        let privileged = tree.iter().find(|(_, entry)| entry.mode & 0o6000 != 0);
        assert_eq!(privileged, None);
    }
}

#[test]
fn the_layer_of_sessions_has_no_shell_no_login_and_no_npm() {
    let recipe = Recipe {
        layer: Layer::Initramfs,
        ..BAREBONES
    };
    let tree = assemble::tree(&system::context().unwrap(), &recipe).unwrap();
    let has = |path: &str| tree.get(path).is_some();
    for path in [
        "/sbin/boot",
        "/bin/palmtree",
        "/usr/bin/env",
        "/sbin/poweroff",
    ] {
        assert!(has(path), "{path}");
    }
    for path in ["/bin/sh", "/bin/npm", "/bin/getty", "/bin/ls", "/etc/issue"] {
        assert!(!has(path), "{path}");
    }
    assert!(has("/usr/share/nodeos/users/root/init"));
}

#[test]
fn homes_of_a_lower_layer_are_not_those_of_a_higher_one() {
    let tree = assemble::tree(&system::context().unwrap(), &USERSFS).unwrap();
    let homes = "/usr/share/nodeos/users";
    assert!(
        tree.get(format!("{homes}/root/etc/palmtree.json"))
            .is_some()
    );
    assert!(tree.get(format!("{homes}/root/init")).is_none());
}
