//! The minimal Debian to compare with: made by Debian's own tools from the host's own mirrors, once, and kept in the cache.
//!
//! `mmdebstrap` needs no root (it becomes one in a namespace of its own) and gives an archive. What Debian's own tools
//! cannot know, the disk's name and Node.js, is added to that, and our ext4 writer makes the disk of it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use nodeos_build::cache::{KeyHasher, Kind};
use nodeos_build::context::Context;
use nodeos_build::fetch::host_sources::HostSources;
use nodeos_build::node::Node;
use nodeos_build::tool::{self, Tool, find_program};
use nodeos_image::ext4;
use nodeos_image::tree::{Entry, Tree};
use serde::{Deserialize, Serialize};

use super::unpack;

const PROGRAM: &str = "mmdebstrap";
/// Raised when something here changes what is made.
const BUILD_VERSION: &str = "1";
/// What Debian calls the processor.
const ARCH: &str = "amd64";
/// Beside the essential packages and apt (mmdebstrap(1), `minbase`): what makes a machine of them. There is no D-Bus,
/// because nobody needs it to log in, and so no logind.
const PACKAGES: &[&str] = &["linux-image-cloud-amd64", "systemd-sysv", "udev"];
/// What Debian's own tools do in the finished system: the user that logs in, root's password, DHCP. The machine has no
/// screen, so nobody waits for a login on its six virtual terminals.
const COMMANDS: &[&str] = &[
    r#"chroot "$1" useradd --create-home --shell /bin/bash nodeos"#,
    r#"printf 'nodeos:nodeos\nroot:root\n' | chroot "$1" chpasswd"#,
    r#"chroot "$1" systemctl enable systemd-networkd.service"#,
    r#"chroot "$1" systemctl disable getty@tty1.service"#,
    r#"chroot "$1" systemctl mask getty-static.service"#,
];
/// Files of a system that has a disk and a network: path and text.
const FILES: &[(&str, &str)] = &[
    (
        "/etc/fstab",
        "/dev/vda / ext4 defaults,errors=remount-ro 0 1\n",
    ),
    ("/etc/hostname", "debian\n"),
    ("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 debian\n"),
    (
        "/etc/systemd/network/80-dhcp.network",
        "[Match]\nType=ether\n\n[Network]\nDHCP=yes\n",
    ),
];
/// Options of `mmdebstrap` that it leaves behind for the system's own apt: they are the host's.
const LEFT_BEHIND: &str = "/etc/apt/apt.conf.d/99mmdebstrap";
/// Of the disk. What is not used is a hole.
const DISK_BYTES: u64 = 1 << 30;

/// The files in the folder of the cache.
const KERNEL: &str = "vmlinuz";
const INITRD: &str = "initrd.img";
const DISK: &str = "disk.img";

/// The system, ready to be booted. Nobody may write to its disk.
#[derive(Debug)]
pub struct Debian {
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    pub disk: PathBuf,
    pub versions: Versions,
}

/// What it is made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Versions {
    /// `12.11`.
    pub debian: String,
    /// `6.1.0-56-cloud-amd64`.
    pub kernel: String,
    /// `252.39-1~deb12u1`.
    pub systemd: String,
    pub packages: usize,
}

/// A server that the system starts when it boots.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    /// A folder of this host, which is [`SERVICE_FOLDER`] there.
    pub files: &'a Path,
    /// What Node.js runs, below that folder.
    pub script: &'a str,
}

/// Where FHS has the data of services.
const SERVICE_FOLDER: &str = "/srv/app";

impl Service<'_> {
    /// systemd.service(5), as somebody writes it who has a server to run.
    fn unit(&self) -> String {
        format!(
            "[Unit]\nDescription=The application\n\n[Service]\nExecStart=/usr/local/bin/node {SERVICE_FOLDER}/{}\n\
             WorkingDirectory={SERVICE_FOLDER}\nUser=nodeos\nEnvironment=NODE_ENV=production\n\n\
             [Install]\nWantedBy=multi-user.target\n",
            self.script
        )
    }

    fn add(&self, tree: &mut Tree) -> anyhow::Result<()> {
        let unit = Entry::file(0o644, self.unit().into_bytes());
        tree.insert("/etc/systemd/system/app.service", unit)?;
        // What `systemctl enable` does.
        let link = Entry::symlink("/etc/systemd/system/app.service");
        let enabled = "/etc/systemd/system/multi-user.target.wants/app.service";
        tree.insert_with_folders(enabled, link, 0o755)?;
        add_folder(tree, self.files, Path::new(SERVICE_FOLDER), |_| 0o644)
    }
}

impl Debian {
    /// From the cache, else made: some minutes and half a gigabyte of memory.
    ///
    /// # Errors
    /// When the host is no Debian, `mmdebstrap` is not installed, or it fails.
    pub fn prepare(
        ctx: &Context,
        node: &Node,
        service: Option<&Service<'_>>,
    ) -> anyhow::Result<Debian> {
        let host = HostSources::read(ARCH)?;
        ensure!(
            host.distribution == "debian",
            "a Debian can only be made from Debian's packages, and this host has those of {}",
            host.distribution
        );
        let mut key = KeyHasher::new("debian to compare with")
            .text("version", BUILD_VERSION)
            .text("sources", &host.deb822)
            .text("node", node.key.as_str());
        for text in [PACKAGES, COMMANDS].into_iter().flatten() {
            key = key.text("text", text);
        }
        for (path, text) in FILES {
            key = key.text(path, text);
        }
        if let Some(service) = service {
            key = key
                .text("unit", &service.unit())
                .path("files", service.files)?;
        }
        let label = format!("Debian {} to compare with", host.codename);
        let make = |dir: &Path| make(ctx, &host, node, service, dir).map_err(io::Error::other);
        let entry = ctx
            .cache
            .get_or_make(ctx, Kind::Images, &key.finish(), &label, make)?;
        let versions = entry.made_from::<Versions>();
        Ok(Debian {
            kernel: entry.dir.join(KERNEL),
            initrd: entry.dir.join(INITRD),
            disk: entry.dir.join(DISK),
            versions: versions.context("the cache says nothing about Debian's versions")?,
        })
    }
}

fn make(
    ctx: &Context,
    host: &HostSources,
    node: &Node,
    service: Option<&Service<'_>>,
    dir: &Path,
) -> anyhow::Result<Versions> {
    let step = ctx
        .progress
        .begin(&format!("make Debian {}", host.codename), None);
    let archive = dir.join("system.tar");
    bootstrap(ctx, host, &archive)?;
    let mut tree = unpack::tree(File::open(&archive)?)?;
    fs::remove_file(&archive)?;
    tree.remove(LEFT_BEHIND);
    for (path, text) in FILES {
        tree.insert(path, Entry::file(0o644, text.as_bytes()))?;
    }
    add_node(&mut tree, node)?;
    if let Some(service) = service {
        service.add(&mut tree)?;
    }
    let (kernel, release) = in_boot(&tree, "vmlinuz-")?;
    let (initrd, _) = in_boot(&tree, "initrd.img-")?;
    fs::write(dir.join(KERNEL), kernel)?;
    fs::write(dir.join(INITRD), initrd)?;
    let options = ext4::Options {
        // There is no second one beside it.
        uuid: *b"nodeos: a debian",
        hash_seed: *b"nodeos: a debian",
        label: "debian".to_owned(),
        time: u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?,
        size: DISK_BYTES,
        bytes_per_inode: ext4::BYTES_PER_INODE,
    };
    ext4::write(&tree, &options, &File::create_new(dir.join(DISK))?)?;
    let status = text(&tree, "/var/lib/dpkg/status")?;
    step.finish("");
    Ok(Versions {
        debian: text(&tree, "/etc/debian_version")?.trim().to_owned(),
        kernel: release.to_owned(),
        systemd: version_of(&status, "systemd").unwrap_or_default(),
        packages: packages(&status).count(),
    })
}

/// Has `mmdebstrap` write the system into `archive`.
fn bootstrap(ctx: &Context, host: &HostSources, archive: &Path) -> anyhow::Result<()> {
    find_program(PROGRAM).with_context(|| {
        format!("{PROGRAM} is not installed (hint: sudo apt-get install {PROGRAM})")
    })?;
    let sources = archive.with_file_name("host.sources");
    fs::write(&sources, &host.deb822)?;
    let mut command = Command::new(PROGRAM);
    command
        .args(["--variant=minbase", "--format=tar"])
        .arg(format!("--architectures={ARCH}"))
        .arg(format!("--include={}", PACKAGES.join(",")));
    command.args(acquire_options(ctx)?.map(|option| format!("--aptopt={option}")));
    command.args(
        COMMANDS
            .iter()
            .map(|line| format!("--customize-hook={line}")),
    );
    command.arg(&host.codename).arg(archive).arg(&sources);
    // The tools in there are not to speak the user's language, whose files they do not have.
    command.env("LC_ALL", "C.UTF-8");
    tool::run(ctx, Tool::new(command, PROGRAM, PROGRAM), &mut |_| {})?;
    fs::remove_file(sources)?;
    Ok(())
}

/// How the host's apt reaches its mirrors: proxies and certificates. `mmdebstrap` has a configuration of its own.
fn acquire_options(ctx: &Context) -> anyhow::Result<impl Iterator<Item = String>> {
    let mut command = Command::new("apt-config");
    command.args(["dump", "--no-empty", "--format", "%F \"%v\";%n", "Acquire"]);
    let dump = tool::capture(ctx, Tool::new(command, "apt", "apt-config"))?;
    let lines: Vec<String> = dump
        .lines()
        .filter(|line| is_about_the_way(line))
        .map(str::to_owned)
        .collect();
    Ok(lines.into_iter())
}

fn is_about_the_way(option: &str) -> bool {
    ["Acquire::http::", "Acquire::https::"]
        .iter()
        .any(|begin| option.starts_with(begin))
}

/// The same Node.js as in our own system with glibc, where an administrator would unpack it.
fn add_node(tree: &mut Tree, node: &Node) -> anyhow::Result<()> {
    tree.insert(
        "/usr/local/bin/node",
        Entry::host_file(0o755, &node.program)?,
    )?;
    let npm = node.npm.as_ref().context("this Node.js brings no npm")?;
    // npm's programs are started by their links, and those of its folder `bin` are executable.
    let mode = |name: &Path| match name.starts_with("bin") {
        true => 0o755,
        false => 0o644,
    };
    add_folder(
        tree,
        npm,
        Path::new("/usr/local/lib/node_modules/npm"),
        mode,
    )?;
    let link = Entry::symlink("../lib/node_modules/npm/bin/npm-cli.js");
    Ok(tree.insert("/usr/local/bin/npm", link)?)
}

/// A folder of this host with all that is in it. `mode` is that of a file with this path below it.
fn add_folder(
    tree: &mut Tree,
    from: &Path,
    to: &Path,
    mode: impl Fn(&Path) -> u16,
) -> anyhow::Result<()> {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        tree.insert_with_folders(to.join(&folder), Entry::directory(0o755), 0o755)?;
        for found in fs::read_dir(from.join(&folder))? {
            let found = found?;
            let name = folder.join(found.file_name());
            let kind = found.file_type()?;
            if kind.is_dir() {
                folders.push(name);
            } else if kind.is_symlink() {
                let target = fs::read_link(found.path())?;
                tree.insert(to.join(&name), Entry::symlink(target))?;
            } else {
                let entry = Entry::host_file(mode(&name), found.path())?;
                tree.insert(to.join(&name), entry)?;
            }
        }
    }
    Ok(())
}

/// A file of `/boot`, and what follows `begin` in its name.
fn in_boot<'a>(tree: &'a Tree, begin: &str) -> anyhow::Result<(&'a [u8], &'a str)> {
    let found = tree.iter().find_map(|(path, entry)| {
        let name = path.strip_prefix("/boot").ok()?.to_str()?;
        Some((unpack::bytes(&entry.kind)?, name.strip_prefix(begin)?))
    });
    found.with_context(|| format!("Debian's packages bring no /boot/{begin}*"))
}

fn text(tree: &Tree, path: &str) -> anyhow::Result<String> {
    let entry = tree.get(path);
    let bytes = entry.and_then(|entry| unpack::bytes(&entry.kind));
    let bytes = bytes.with_context(|| format!("Debian has no {path}"))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// The paragraphs of dpkg's list.
fn packages(status: &str) -> impl Iterator<Item = &str> {
    status
        .split("\n\n")
        .map(str::trim_start)
        .filter(|paragraph| paragraph.starts_with("Package: "))
}

fn version_of(status: &str, package: &str) -> Option<String> {
    let head = format!("Package: {package}\n");
    let paragraph = packages(status).find(|paragraph| paragraph.starts_with(&head))?;
    let version = |line: &str| line.strip_prefix("Version: ").map(str::to_owned);
    paragraph.lines().find_map(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: adduser\nStatus: install ok installed\nVersion: 3.134\nDescription: x\n y\n\n\
                          Package: systemd\nVersion: 252.39-1~deb12u1\n\n";

    #[test]
    fn versions_are_read_from_dpkgs_list() {
        assert_eq!(
            version_of(STATUS, "systemd").as_deref(),
            Some("252.39-1~deb12u1")
        );
        assert_eq!(version_of(STATUS, "systemd-sysv"), None);
        assert_eq!(packages(STATUS).count(), 2);
    }

    #[test]
    fn only_the_way_to_the_mirrors_is_the_hosts() {
        assert!(is_about_the_way(
            "Acquire::http::Proxy \"http://proxy.test\";"
        ));
        assert!(is_about_the_way("Acquire::https::CaInfo \"/etc/ca.pem\";"));
        assert!(!is_about_the_way("Acquire::GzipIndexes \"true\";"));
        assert!(!is_about_the_way("Acquire::httpx \"\";"));
    }

    #[test]
    fn the_kernel_is_found_by_the_beginning_of_its_name() {
        let mut tree = Tree::new();
        tree.insert("/boot", Entry::directory(0o755)).unwrap();
        tree.insert("/boot/config-6.1", Entry::file(0o644, *b"y"))
            .unwrap();
        assert!(in_boot(&tree, "vmlinuz-").is_err());
        tree.insert("/boot/vmlinuz-6.1", Entry::file(0o644, *b"MZ"))
            .unwrap();
        assert_eq!(in_boot(&tree, "vmlinuz-").unwrap(), (&b"MZ"[..], "6.1"));
    }
}
