//! The kernel's command line: NodeOS's own words on it, and how a line is cut into words.

use alloc::borrow::ToOwned;
use alloc::string::String;

use thiserror::Error;

use crate::device::{DeviceSpec, ParseDeviceSpecError};

/// With this word `init` writes a line beginning with [`MARK`] to the console at each stage of the boot.
pub const CHART: &str = "nodeos.chart";

/// `nodeos.console=COLUMNSxROWS`: the size of the terminal that shows a serial console.
pub const CONSOLE_SIZE: &str = "nodeos.console";

/// How a mark begins: `nodeos: mark STAGE SECONDS`, the seconds counted by the guest since its kernel started.
pub const MARK: &str = "nodeos: mark";

/// `nodeos.off=restart`: the machine ends with a restart, where its hypervisor takes that for the end and does not know how to
/// switch a machine off (Firecracker).
pub const OFF: &str = "nodeos.off";

/// The one value of [`OFF`].
pub const OFF_BY_RESTART: &str = "restart";

/// `nodeos.users=DEVICE`: the users partition of a machine whose root is the system image.
pub const USERS: &str = "nodeos.users";

/// `nodeos.usersfstype=TYPE`: its filesystem, when that is not to be found out.
pub const USERS_FSTYPE: &str = "nodeos.usersfstype";

/// `nodeos.usersflags=OPTIONS`: its mount options, as mount(8) has them behind `-o`.
pub const USERS_FLAGS: &str = "nodeos.usersflags";

/// With this word the users partition, or an application's volume, takes what its disk has behind it, where it is the last one
/// there.
pub const GROW: &str = "nodeos.grow";

/// `single`: administrator mode.
pub const SINGLE: &str = "single";

/// With this word administrator mode takes its commands from the host ([`crate::host`]) and not from a shell.
pub const COMMANDS: &str = "nodeos.commands";

/// Names a file with authorities that Node.js trusts beside its own. The kernel makes a variable of PID 1's of it, as of every
/// word that it does not know.
pub const AUTHORITIES: &str = "NODE_EXTRA_CA_CERTS";

/// The original's words for the users partition. They are the kernel's own for its root, and so have this meaning only
/// where the kernel mounts no root: in an initramfs.
pub const ROOT: &str = "root";
pub const ROOT_FSTYPE: &str = "rootfstype";
pub const ROOT_FLAGS: &str = "rootflags";
pub const READ_ONLY: &str = "ro";
pub const READ_WRITE: &str = "rw";
pub const ROOT_WAIT: &str = "rootwait";

/// Where the system itself is, which decides what `root=` and the words beside it mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemRoot {
    /// `root=` is the system image.
    Image,
    /// `root=` is the users partition, as in the original.
    Initramfs,
}

/// What a command line says about the users partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsersPartition {
    /// None when no word names one.
    pub device: Option<DeviceSpec>,
    pub fstype: Option<String>,
    pub flags: Option<String>,
    pub access: Access,
    pub wait: Wait,
    pub growth: Growth,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    #[default]
    ReadWrite,
    ReadOnly,
}

/// How long a device that is not there is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wait {
    #[default]
    UpToALimit,
    ForEver,
}

/// Whether a partition takes what its disk has behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Growth {
    #[default]
    None,
    ToTheEnd,
}

impl Growth {
    /// What the line says.
    pub fn of(line: &str) -> Growth {
        match has(line, GROW) {
            true => Growth::ToTheEnd,
            false => Growth::None,
        }
    }
}

/// Why the words about the users partition make no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the kernel's command line has {word}={given}")]
pub struct ParseUsersPartitionError {
    pub word: &'static str,
    pub given: String,
    #[source]
    pub source: ParseDeviceSpecError,
}

impl UsersPartition {
    /// Reads a command line. NodeOS's own words win over the original's, each for itself.
    pub fn parse(
        line: &str,
        system: SystemRoot,
    ) -> Result<UsersPartition, ParseUsersPartitionError> {
        // A word with nothing behind it takes back what stood before it.
        let given = |word| value(line, word).filter(|value| !value.is_empty());
        let either = |ours, originals| match system {
            SystemRoot::Image => given(ours).map(|value| (ours, value)),
            SystemRoot::Initramfs => given(ours)
                .map(|value| (ours, value))
                .or_else(|| given(originals).map(|value| (originals, value))),
        };
        let device = either(USERS, ROOT)
            .map(|(word, given)| {
                given.parse().map_err(|source| ParseUsersPartitionError {
                    word,
                    given: given.to_owned(),
                    source,
                })
            })
            .transpose()?;
        let text = |ours, originals| either(ours, originals).map(|(_, value)| value.to_owned());
        // Of an initramfs these two say which filesystem the kernel unpacks it into.
        let fstype =
            text(USERS_FSTYPE, ROOT_FSTYPE).filter(|name| name != "ramfs" && name != "tmpfs");
        let (access, wait) = match system {
            SystemRoot::Image => Default::default(),
            SystemRoot::Initramfs => (access(line), wait(line)),
        };
        Ok(UsersPartition {
            device,
            fstype,
            flags: text(USERS_FLAGS, ROOT_FLAGS),
            access,
            wait,
            growth: Growth::of(line),
        })
    }
}

/// Whether the word stands on the line by itself.
pub fn has(line: &str, word: &str) -> bool {
    words(line).any(|found| found == word)
}

/// The value of `name=value` on a command line; `Some("")` for the word alone. The last one wins, as in the kernel.
///
/// Double quotes protect spaces, as the kernel's `next_arg` has it (lib/cmdline.c).
pub fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    words(line)
        .filter_map(|word| match word.strip_prefix(name)? {
            "" => Some(""),
            rest => rest.strip_prefix('=').map(unquote),
        })
        .last()
}

/// The words of a command line, with quotes kept where they stand.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    })
    .filter(|word| !word.is_empty())
}

/// A terminal's size as written in [`CONSOLE_SIZE`]: `(columns, rows)`, none for anything that is not one.
pub fn parse_size(text: &str) -> Option<(u16, u16)> {
    let (columns, rows) = text.split_once('x')?;
    let size = (columns.parse().ok()?, rows.parse().ok()?);
    (size.0 > 0 && size.1 > 0).then_some(size)
}

fn access(line: &str) -> Access {
    let last = words(line)
        .filter(|word| [READ_ONLY, READ_WRITE].contains(word))
        .last();
    if last == Some(READ_ONLY) {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    }
}

fn wait(line: &str) -> Wait {
    if has(line, ROOT_WAIT) {
        Wait::ForEver
    } else {
        Wait::UpToALimit
    }
}

fn unquote(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_their_whole_name() {
        let line = "quiet root=/dev/pmem0 nodeos.chart nodeos.console=80x24 a=\"b c\" a.b=d";
        let check =
            |name: &str, expected: Option<&str>| assert_eq!(value(line, name), expected, "{name}");
        check("root", Some("/dev/pmem0"));
        check("nodeos.chart", Some(""));
        check("nodeos.console", Some("80x24"));
        check("nodeos", None);
        check("a", Some("b c"));
        check("a.b", Some("d"));
        assert_eq!(words(line).count(), 6);
    }

    #[test]
    fn the_last_of_several_wins() {
        assert_eq!(value("init=/a init=/b", "init"), Some("/b"));
    }

    #[test]
    fn a_word_by_itself_is_told_from_one_with_a_value() {
        let check = |line, expected| assert_eq!(has(line, SINGLE), expected, "{line}");
        check("quiet single", true);
        check("single=no singles nodeos.single", false);
    }

    fn check_users(line: &str, system: SystemRoot, expected: UsersPartition) {
        assert_eq!(
            UsersPartition::parse(line, system).unwrap(),
            expected,
            "{line}"
        );
    }

    #[test]
    fn beside_a_system_image_only_our_own_words_are_about_the_users_partition() {
        check_users(
            "root=/dev/pmem0 rootfstype=erofs rootflags=dax ro rootwait",
            SystemRoot::Image,
            UsersPartition::default(),
        );
        check_users(
            "root=/dev/pmem0 ro nodeos.users=LABEL=users nodeos.usersfstype=ext4 nodeos.usersflags=ro,noatime nodeos.grow",
            SystemRoot::Image,
            UsersPartition {
                device: Some(DeviceSpec::Label("users".to_owned())),
                fstype: Some("ext4".to_owned()),
                flags: Some("ro,noatime".to_owned()),
                growth: Growth::ToTheEnd,
                ..UsersPartition::default()
            },
        );
    }

    #[test]
    fn in_an_initramfs_the_originals_words_are_and_ours_win() {
        let expected = UsersPartition {
            device: Some(DeviceSpec::Path("/dev/sda".to_owned())),
            fstype: Some("ext2".to_owned()),
            flags: Some("noatime".to_owned()),
            access: Access::ReadOnly,
            wait: Wait::ForEver,
            growth: Growth::None,
        };
        check_users(
            "root=/dev/sda rootfstype=ext2 rootflags=noatime rw ro rootwait ip=dhcp",
            SystemRoot::Initramfs,
            expected.clone(),
        );
        check_users(
            "nodeos.users=/dev/sda root=/dev/sdb rootfstype=ext2 rootflags=noatime ro rootwait",
            SystemRoot::Initramfs,
            expected,
        );
        check_users(
            "root=container ro rw",
            SystemRoot::Initramfs,
            UsersPartition {
                device: Some(DeviceSpec::Container),
                ..UsersPartition::default()
            },
        );
        check_users("root= rw", SystemRoot::Initramfs, UsersPartition::default());
    }

    #[test]
    fn a_word_that_names_no_device_is_an_error_with_the_word() {
        let error = UsersPartition::parse("nodeos.users=sdb", SystemRoot::Image).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the kernel's command line has nodeos.users=sdb"
        );
        assert!(
            error
                .source
                .to_string()
                .starts_with("\"sdb\" names no device")
        );
    }

    #[test]
    fn sizes_are_two_positive_numbers() {
        assert_eq!(parse_size("120x40"), Some((120, 40)));
        for bad in ["", "80", "80x", "x24", "0x24", "80x0", "-1x2", "80x24x1"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
