//! What can be typed: the verbs, and the flags that several of them share. The doc comments are the help.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use nodeos_build::assemble::{DEFAULT_USERS_SIZE, Kept, Renewal, UsersImage, UsersOrder};
use nodeos_build::recipe::{Arch, Flavor, Layer, Libc, Recipe, RootKind, SectorSize};

use crate::commands::{
    build, cache, cp, doctor, exec, init, install, logs, ps, rm, run, start, stats, stop, user,
};
use crate::users_size;

/// Build an operating system that is a Linux kernel and Node.js, and boot it
///
/// Everything that is built or fetched is kept in a cache, so that the second build takes seconds.
#[derive(Debug, Parser)]
#[command(
    name = "nodeos",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "For every command")]
pub struct Global {
    /// Show the commands that are run
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Build from this checkout of NodeOS
    ///
    /// Otherwise NODEOS_SOURCE names it, or it is the one around the current folder, or the one this program was
    /// compiled from.
    #[arg(long, global = true, value_name = "DIR")]
    pub source: Option<PathBuf>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    Build(build::Arguments),
    Start(start::Arguments),
    Run(run::Arguments),
    Install(install::Arguments),
    Init(init::Arguments),
    User(user::Arguments),
    Ps(ps::Arguments),
    Logs(logs::Arguments),
    Stop(stop::Arguments),
    Exec(exec::Arguments),
    Cp(cp::Arguments),
    Stats(stats::Arguments),
    Rm(rm::Arguments),
    Doctor(doctor::Arguments),
    Cache(cache::Arguments),
}

/// What to build. Every flag has a default.
#[derive(Debug, Args)]
#[command(next_help_heading = "What to build")]
pub struct Selection {
    /// How much of the system: each layer boots on its own
    #[arg(long, value_name = "LAYER", default_value = "usersfs", value_parser = one_of(Layer::ALL, Layer::as_str))]
    pub layer: Layer,
    /// Who sits in front of it: a mainframe has a serial console, a workstation a screen and a keyboard
    ///
    /// Without this flag it is a mainframe, or a workstation with `nodeos start --display` and on a disk or a CD.
    #[arg(long, value_name = "FLAVOR", value_parser = one_of(Flavor::ALL, Flavor::as_str))]
    pub flavor: Option<Flavor>,
    /// The processor it runs on
    #[arg(long, value_name = "ARCH", default_value = "x86_64", value_parser = one_of(Arch::ALL, Arch::as_str))]
    pub arch: Arch,
    /// The C library that Node.js uses: glibc for native add-ons that ship no musl build
    ///
    /// Without this flag it is musl. With --app of `nodeos build` it is what package.json says, or musl, unless an add-on
    /// has only a build for glibc.
    #[arg(long, value_name = "LIBC", value_parser = one_of(Libc::ALL, Libc::as_str))]
    pub libc: Option<Libc>,
    /// How its root filesystem reaches the machine
    ///
    /// pmem maps the image from the host's memory, which takes the least memory and time; disk is a read-only disk;
    /// initramfs is unpacked into the machine's memory. Without this flag it is pmem; `nodeos start` takes disk where
    /// QEMU has no virtio-pmem.
    #[arg(long, value_name = "ROOT", value_parser = one_of(RootKind::ALL, RootKind::as_str))]
    pub root: Option<RootKind>,
    /// Make the users partition of the homes in this folder, instead of the ones that come with NodeOS
    ///
    /// A folder in it is a user. A file owners.json may say whose: {"ada": {"uid": 1000, "gid": 1000}}; otherwise they are
    /// counted from 1000 on.
    #[arg(long, value_name = "DIR")]
    pub users: Option<PathBuf>,
    /// Make the users partition this large: 512M, 8G, or a number of MiB
    ///
    /// Without this flag it is 512M. What is not used takes no space on this host.
    #[arg(long, value_name = "SIZE", value_parser = users_size::parse)]
    pub users_size: Option<u64>,
    /// Make a new users partition, also where a machine has written to the one that is there: its files are lost
    ///
    /// With --app of `nodeos build`, new volumes.
    #[arg(long)]
    pub fresh: bool,
    /// Put what is built below this folder, as ARCH/FLAVOR/FORMAT
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
}

impl Selection {
    /// What the users partition is to be.
    pub fn users_order(&self) -> UsersOrder {
        UsersOrder {
            folder: self.users.clone(),
            size: self.users_size.unwrap_or(DEFAULT_USERS_SIZE),
            renewal: if self.fresh {
                Renewal::Fresh
            } else {
                Renewal::Keep
            },
        }
    }

    /// What to say of a users partition that is not what was asked for, because a machine has written to it.
    pub fn users_note(&self, users: &UsersImage) -> Option<String> {
        let is_other =
            self.users.is_some() || self.users_size.is_some_and(|size| size != users.bytes);
        (users.kept == Kept::Used && is_other).then(|| {
            format!(
                "{} has been in use and stays as it is; --fresh makes a new one, and its files are lost then",
                users.path.display()
            )
        })
    }

    /// The recipe, with defaults for what depends on the verb and on this host.
    pub fn recipe(&self, flavor: Flavor, root: RootKind) -> Recipe {
        Recipe {
            layer: self.layer,
            flavor: self.flavor.unwrap_or(flavor),
            arch: self.arch,
            libc: self.libc.unwrap_or(Libc::Musl),
            root: self.root.unwrap_or(root),
            profile: None,
            sector_size: SectorSize::Of512,
        }
    }
}

/// A value's parser from the list of all there are and their names, so that the help lists them.
pub(crate) fn one_of<T>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let names: Vec<&'static str> = all.iter().map(|value| name(*value)).collect();
    PossibleValuesParser::new(names).map(move |given: String| {
        *all.iter()
            .find(|value| name(**value) == given)
            .expect("clap has let only these names through")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(words: &[&str]) -> Selection {
        let line = ["nodeos", "build"].into_iter().chain(words.iter().copied());
        match Cli::try_parse_from(line).unwrap().verb {
            Verb::Build(arguments) => arguments.selection,
            verb => panic!("{verb:?}"),
        }
    }

    #[test]
    fn a_partition_in_use_is_not_what_was_asked_for_and_that_is_said() {
        let check = |words: &[&str], kept: Kept, is_said: bool| {
            let users = UsersImage {
                path: "users.img".into(),
                bytes: 512 << 20,
                kept,
            };
            let note = selection(words).users_note(&users);
            assert_eq!(note.is_some(), is_said, "{words:?}: {note:?}");
        };
        check(&["--users-size", "1G"], Kept::Used, true);
        check(&["--users", "homes"], Kept::Used, true);
        check(&["--users-size", "512M"], Kept::Used, false);
        check(&["--users-size", "1G"], Kept::New, false);
        check(&[], Kept::Used, false);
    }
}
