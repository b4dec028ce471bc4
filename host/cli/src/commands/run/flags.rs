//! What can be said to `nodeos run`, and what it comes to with what package.json says.

use std::path::PathBuf;

use clap::Args;
use nodeos_build::recipe::RootKind;
use nodeos_spec::package::port::PublishedPort;
use nodeos_spec::package::volume::VolumeOrder;
use nodeos_spec::package::{LibcChoice, Optimize, Package};
use nodeos_spec::service::Restart;
use nodeos_vm::machine::PortForward;

use super::{DEFAULT_CPUS, DEFAULT_MEMORY_MIB, INITRAMFS_MEMORY_MIB};
use crate::arguments::one_of;
use crate::env_file;
use crate::machines::names::Name;
use crate::memory::{self, ApplicationMemoryError, Giver, Memory};

const LIBCS: &[LibcChoice] = &[LibcChoice::Auto, LibcChoice::Musl, LibcChoice::Glibc];
const RESTARTS: &[Restart] = &[Restart::Never, Restart::OnFailure, Restart::Always];

/// Run an npm project, a file or a package as a machine of its own
///
/// Its output appears as if it ran here: standard output on standard output, standard error on standard error. Its exit code is this
/// command's, standard input is passed on, Ctrl-C goes to it, and a second Ctrl-C ends the machine. What package.json says under
/// "nodeos" is followed, and flags go over it.
///
/// Nothing that the application writes lasts, but in volumes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A folder with a package.json, a file that Node.js runs, or a package of npm's: NAME or NAME@VERSION
    #[arg(value_name = "DIR|FILE|PACKAGE", default_value = ".")]
    pub what: String,
    /// Arguments of the application
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
    /// Start it and leave it running: `nodeos ps` lists it, and `nodeos stop` ends it
    ///
    /// The command returns when the application listens on its first port, or runs where it has none, and prints the machine's name.
    #[arg(short, long)]
    pub detach: bool,
    /// Bring changes of the folder or file into the running machine, and start the application anew there
    ///
    /// Only what goes into the machine counts. Where dependencies or settings change, another machine takes its place. An application
    /// that has ended is started by the next change; Ctrl-C ends it all. It needs this command to go on, so not with --detach.
    #[arg(short, long, conflicts_with = "detach")]
    pub watch: bool,
    /// Call the machine this
    ///
    /// Without this flag it is called as the application is, with a number behind it where such a machine runs.
    #[arg(long, value_name = "NAME")]
    pub name: Option<Name>,
    /// Say nothing but errors: not what is built, and not when the application is ready
    #[arg(short, long)]
    pub quiet: bool,
    /// Build what is missing, print the command that would boot the machine, and do not run it
    #[arg(long)]
    pub dry_run: bool,
    /// Pass connections to this host's port HOST on to the application's port GUEST
    ///
    /// TCP, from this host only, unless an address of this host stands before: 0.0.0.0:80:3000 is for everybody. One number is both ports.
    /// Can be given several times; the application is ready when it listens on the first.
    #[arg(
        short,
        long = "port",
        value_name = "[IP:]HOST:GUEST",
        help_heading = "The machine"
    )]
    pub ports: Vec<PublishedPort>,
    /// Give the machine this much memory: 64M, 1G, or a number of MiB
    ///
    /// Without this flag it is 128M, or 384M with --root initramfs; 48M, and 4M for each processor beyond the first, is the least. Node.js is
    /// told, so that it does not outgrow it.
    #[arg(short, long, value_name = "SIZE", value_parser = memory::of_any_size, help_heading = "The machine")]
    pub memory: Option<Memory>,
    /// Give the machine this many processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255), help_heading = "The machine")]
    pub cpus: Option<u32>,
    /// Mount a folder of this host, or a volume that NodeOS keeps by its name, in the machine
    ///
    /// A folder begins with / or ./ and so on. A name is a filesystem of its own, made when it is first used, of up to 1 GiB, in
    /// $XDG_DATA_HOME/nodeos/volumes. Nobody writes to what ends with :ro. Can be given several times.
    #[arg(
        long = "volume",
        value_name = "HOST_DIR|NAME:DIR[:ro]",
        help_heading = "The machine"
    )]
    pub volumes: Vec<VolumeOrder>,
    /// How the system and the application reach the machine
    ///
    /// pmem maps their images from this host's memory, which all machines share; disk makes them read-only disks; initramfs unpacks the
    /// system into the machine's memory. Without this flag it is pmem, or disk where QEMU has no virtio-pmem.
    #[arg(long, value_name = "ROOT", value_parser = one_of(RootKind::ALL, RootKind::as_str), help_heading = "The machine")]
    pub root: Option<RootKind>,
    /// Give the application this variable
    #[arg(short = 'e', long = "env", value_name = "NAME=VALUE", value_parser = env_file::parse_variable, help_heading = "The application")]
    pub variables: Vec<(String, String)>,
    /// Give the application the variables in this file, as `node --env-file` reads it
    #[arg(
        long = "env-file",
        value_name = "FILE",
        help_heading = "The application"
    )]
    pub env_files: Vec<PathBuf>,
    /// Start it again when it has ended
    ///
    /// on-failure is: unless it ended with exit code 0.
    #[arg(long, value_name = "WHEN", value_parser = one_of(RESTARTS, restart_name), help_heading = "The application")]
    pub restart: Option<Restart>,
    /// Let debuggers in, by this port of this host
    ///
    /// From this host only. Editors and browsers attach as to a process that runs here, for instance by chrome://inspect. Without a
    /// number it is the port that Node.js itself has.
    #[arg(
        long,
        value_name = "PORT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "9229",
        help_heading = "The application"
    )]
    pub inspect: Option<u16>,
    /// Bundle the application and what it imports into one file, so that it starts faster
    ///
    /// As "optimize": true in package.json. What cannot be bundled is named and stays as it is. --watch and --inspect need the files as they
    /// are, and switch it off.
    #[arg(long, help_heading = "The application")]
    pub optimize: bool,
    /// The C library that its Node.js uses
    ///
    /// auto is musl, unless a native add-on has only a build for glibc.
    #[arg(long, value_name = "LIBC", value_parser = one_of(LIBCS, libc_name), help_heading = "The application")]
    pub libc: Option<LibcChoice>,
    /// Have Node.js in the machine trust the certificate authorities in this file, too
    ///
    /// Without this flag it is the file that the variable NODE_EXTRA_CA_CERTS names, as for Node.js on this host.
    #[arg(long, value_name = "FILE", help_heading = "The application")]
    pub ca_bundle: Option<PathBuf>,
}

fn libc_name(libc: LibcChoice) -> &'static str {
    match libc {
        LibcChoice::Auto => "auto",
        LibcChoice::Musl => "musl",
        LibcChoice::Glibc => "glibc",
    }
}

fn restart_name(restart: Restart) -> &'static str {
    match restart {
        Restart::Never => "never",
        Restart::OnFailure => "on-failure",
        Restart::Always => "always",
    }
}

impl Arguments {
    /// Whether the application is to be one file, where that is not for package.json to say; and what has to be said about it.
    pub(super) fn optimize(&self) -> (Option<Optimize>, Option<&'static str>) {
        let switch = match (self.watch, self.inspect) {
            (true, _) => {
                "--optimize is not followed, because --watch brings files into the machine as they are"
            }
            (false, Some(_)) => {
                "--optimize is not followed, because --inspect is for the files as they are"
            }
            (false, None) => return (self.optimize.then_some(Optimize::On), None),
        };
        (Some(Optimize::Off), self.optimize.then_some(switch))
    }
}

/// The ports as QEMU has them.
pub(crate) fn ports(ports: &[PublishedPort]) -> Vec<PortForward> {
    let forward = |port: &PublishedPort| PortForward {
        address: port.address,
        host: port.host,
        guest: port.guest,
    };
    ports.iter().map(forward).collect()
}

/// How large a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) memory_mib: u32,
    pub(crate) cpus: u32,
}

/// The machine's size: the flags, else what package.json says, else what is enough for most. Memory that is too little is refused, but for
/// an initramfs, whose own size decides.
pub(crate) fn size(
    memory: Option<Memory>,
    cpus: Option<u32>,
    config: &Package,
    root: RootKind,
) -> Result<Size, ApplicationMemoryError> {
    let cpus = cpus.or(config.cpus).unwrap_or(DEFAULT_CPUS);
    let giver = match memory {
        Some(_) => Giver::CommandLine,
        None => Giver::Package,
    };
    let given = memory.map(|memory| memory.mib).or(config.memory_mib);
    let memory_mib = match (given, root) {
        (Some(given_mib), RootKind::Pmem | RootKind::Disk) => {
            memory::for_application(given_mib, cpus, giver)?;
            given_mib
        }
        (Some(given_mib), RootKind::Initramfs) => given_mib,
        (None, RootKind::Pmem | RootKind::Disk) => {
            DEFAULT_MEMORY_MIB.max(memory::needed_for_application(cpus))
        }
        (None, RootKind::Initramfs) => INITRAMFS_MEMORY_MIB,
    };
    Ok(Size { memory_mib, cpus })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Cli, Verb};

    fn arguments(words: &[&str]) -> Arguments {
        let line = ["nodeos", "run"].into_iter().chain(words.iter().copied());
        match Cli::try_parse_from(line).unwrap().verb {
            Verb::Run(arguments) => arguments,
            verb => panic!("{verb:?}"),
        }
    }

    #[test]
    fn what_stands_behind_two_dashes_is_the_applications() {
        let given = arguments(&["http-server@14", "-p", "8080", "--", "-p", "8080"]);
        assert_eq!(given.what, "http-server@14");
        assert_eq!(ports(&given.ports), [PortForward::local(8080, 8080)]);
        assert_eq!(given.args, ["-p", "8080"]);
        assert_eq!(arguments(&[]).what, ".");
    }

    #[test]
    fn who_works_on_the_files_has_them_as_they_are() {
        let check = |words: &[&str], expected: Option<Optimize>, said: Option<&str>| {
            let given = arguments(words);
            let (optimize, note) = given.optimize();
            assert_eq!(optimize, expected, "{words:?}");
            assert_eq!(
                note.and_then(|note| note.split_once(" because "))
                    .map(|(_, why)| why),
                said
            );
        };
        check(&[], None, None);
        check(&["--optimize"], Some(Optimize::On), None);
        check(&["--watch"], Some(Optimize::Off), None);
        check(
            &["--optimize", "--watch"],
            Some(Optimize::Off),
            Some("--watch brings files into the machine as they are"),
        );
        check(
            &["--optimize", "--inspect"],
            Some(Optimize::Off),
            Some("--inspect is for the files as they are"),
        );
    }

    #[test]
    fn flags_go_over_package_json_and_that_over_what_is_usual() {
        let check = |words: &[&str], config_mib: Option<u32>, root: RootKind, expected: u32| {
            let config = Package {
                memory_mib: config_mib,
                ..Package::default()
            };
            let given = arguments(words);
            let size = size(given.memory, given.cpus, &config, root).unwrap();
            assert_eq!(size.memory_mib, expected);
        };
        check(&["--memory", "64M"], Some(96), RootKind::Pmem, 64);
        check(&[], Some(96), RootKind::Pmem, 96);
        check(&[], None, RootKind::Disk, DEFAULT_MEMORY_MIB);
        check(&[], None, RootKind::Initramfs, INITRAMFS_MEMORY_MIB);
        let many = memory::needed_for_application(255);
        check(&["--cpus", "255"], None, RootKind::Pmem, many);
    }

    #[test]
    fn who_gives_too_little_memory_is_told_where() {
        let check = |words: &[&str], config_mib: Option<u32>, expected: &str| {
            let config = Package {
                memory_mib: config_mib,
                ..Package::default()
            };
            let given = arguments(words);
            let error = size(given.memory, given.cpus, &config, RootKind::Pmem).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        };
        check(&["--memory", "0"], Some(96), "0 MiB of memory are too");
        check(&["--cpus", "4"], Some(36), "package.json gives the");
    }
}
