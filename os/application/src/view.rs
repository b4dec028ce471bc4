//! The filesystem that the application sees, in a mount namespace of its own: the system's programs, its own files, its
//! volumes, and private views of the kernel. But for volumes and filesystems in memory it is read-only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nodeos_sandbox::authorities::{self, Authorities};
use nodeos_sandbox::log::Log;
use nodeos_sandbox::mounts::{
    self, MountError, SAFE, attach, bind, directory, memory_files, set_flags,
};
use nodeos_sandbox::{devices, kernel, meminfo};
use nodeos_spec::application::{
    ApplicationSpec, COMPILE_CACHE, COMPILE_CACHE_VARIABLE, FOLDER, FOLLOW,
};
use nodeos_spec::cmdline::{self, Growth};
use nodeos_sys::error::OsError;
use nodeos_sys::namespaces;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use thiserror::Error;

use crate::identity;
use crate::layers::{self, Changes, Layers, LayersError};
use crate::orders::{self, FindOrdersError};
use crate::paths;
use crate::sizes::{self, MemoryFiles};
use crate::volumes::{self, VolumesError};

/// The mount namespace that this process is in (namespaces(7)).
const OWN_NAMESPACE: &str = "/proc/self/ns/mnt";
/// What the application sees of the system: Node.js, and the libraries that it needs.
const OF_THE_SYSTEM: [&str; 4] = ["bin", "lib", "lib64", "usr"];
/// What is mounted upon, or filled, in a root that has nothing yet.
const FOLDERS: [&str; 7] = ["app", "dev", "etc", "proc", "run", "sys", "tmp"];
/// So that no process makes a user namespace, in which it would be root, and none traces another (user_namespaces(7),
/// Documentation/admin-guide/LSM/Yama.rst of the kernel).
const SYSCTLS: [(&str, &str); 2] = [
    ("/proc/sys/user/max_user_namespaces", "0"),
    ("/proc/sys/kernel/yama/ptrace_scope", "2"),
];
/// For the root itself and what is in its /etc: a few short files, and the host's certificates.
const ROOT_OPTIONS: &[u8] = b"mode=0755,size=2M";

/// The application's view, and what was found out on the way.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) spec: ApplicationSpec,
    pub(crate) view: View,
    pub(crate) authorities: Authorities,
    pub(crate) follows: Follows,
}

/// Whether the host may change the application's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    Yes,
    No,
}

/// A way into the view, and to the terminals that are seen there.
#[derive(Debug)]
pub(crate) struct View {
    namespace: OwnedFd,
    terminals: OwnedFd,
}

#[derive(Debug, Error)]
pub(crate) enum MakeViewError {
    #[error("cannot read {}", paths::COMMAND_LINE)]
    CommandLine(#[source] io::Error),
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot have mounts of its own")]
    Namespace { source: OsError },
    #[error("cannot open {path}")]
    Open { path: &'static str, source: OsError },
    #[error("cannot set the host name")]
    HostName { source: OsError },
    #[error(transparent)]
    Layers(#[from] LayersError),
    #[error(transparent)]
    Orders(#[from] FindOrdersError),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    Volumes(#[from] VolumesError),
}

impl MakeViewError {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            MakeViewError::Layers(error) => error.hint(),
            MakeViewError::Orders(error) => error.hint(),
            MakeViewError::Volumes(error) => error.hint(),
            _ => None,
        }
    }
}

/// Finds out what is to run, and makes what it sees. This process itself sees what it saw before.
pub(crate) fn make(log: &mut Log) -> Result<Made, MakeViewError> {
    let namespace_error = |errno| MakeViewError::Namespace {
        source: OsError(errno),
    };
    let line = fs::read_to_string(paths::COMMAND_LINE).map_err(MakeViewError::CommandLine)?;
    for (path, value) in SYSCTLS {
        write(Path::new(path), value)?;
    }
    for path in [paths::ROOT, paths::ROOT_AGAIN] {
        fs::create_dir_all(path).map_err(|source| MakeViewError::Write {
            path: path.into(),
            source,
        })?;
    }
    namespaces::leave_ipc().map_err(namespace_error)?;
    let own = open_namespace()?;
    namespaces::leave_mounts().map_err(namespace_error)?;
    let made = build(&line, log);
    enter(own.as_fd()).map_err(namespace_error)?;
    let made = made?;
    let name = identity::host_name(&made.spec.name);
    rustix::system::sethostname(name.as_bytes()).map_err(|errno| MakeViewError::HostName {
        source: OsError(errno),
    })?;
    Ok(made)
}

impl View {
    /// Moves this process into it.
    pub(crate) fn enter(&self) -> Result<(), Errno> {
        enter(self.namespace.as_fd())
    }

    /// The folder of its terminals.
    pub(crate) fn terminals(&self) -> BorrowedFd<'_> {
        self.terminals.as_fd()
    }
}

/// In the new namespace.
fn build(line: &str, log: &mut Log) -> Result<Made, MakeViewError> {
    mounts::keep_private()?;
    mounts::leave_rootfs(Path::new(paths::ROOT_AGAIN))?;
    let layers = Layers::mount(line)?;
    let mut spec = orders::find(layers.mounted.last().map(PathBuf::as_path))?;
    // Without it Node.js finds its limits itself, which are for larger machines.
    sizes::fit(
        &mut spec,
        &fs::read_to_string(paths::MEMORY).unwrap_or_default(),
        sizes::processors(),
    );
    let follows = match cmdline::has(line, FOLLOW) {
        true => Follows::Yes,
        false => Follows::No,
    };
    let growth = Growth::of(line);
    let memory = fs::read_to_string(meminfo::PATH).unwrap_or_default();
    let sizes = sizes::memory_files(&memory);
    let root = Path::new(paths::ROOT);
    attach("tmpfs", "tmpfs", root, SAFE, Some(ROOT_OPTIONS.to_vec()))?;
    system(root)?;
    let authorities = describe(&spec, root, log)?;
    kernel::views(root)?;
    devices::make(&root.join("dev"), sizes.shared_memory, &[])?;
    memory_files(&root.join("tmp"), "1777", sizes.tmp)?;
    memory_files(&root.join("run"), "1777", sizes.run)?;
    application(&spec, &layers, root, (follows, growth, sizes), log)?;
    if root.join(&FOLDER[1..]).join(COMPILE_CACHE).is_dir() {
        let cache = spec.env.entry(COMPILE_CACHE_VARIABLE.to_owned());
        cache.or_insert_with(|| format!("{FOLDER}/{COMPILE_CACHE}"));
    }
    mounts::pivot(root)?;
    set_flags(Path::new("/"), SAFE | MountFlags::RDONLY)?;
    Ok(Made {
        spec,
        view: View {
            namespace: open_namespace()?,
            terminals: open("/dev/pts", OFlags::PATH | OFlags::DIRECTORY)?,
        },
        authorities,
        follows,
    })
}

fn system(root: &Path) -> Result<(), MountError> {
    for name in FOLDERS {
        directory(&root.join(name), 0o755)?;
    }
    for name in OF_THE_SYSTEM {
        let source = Path::new("/").join(name);
        if source.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            directory(&root.join(name), 0o755)?;
            bind(&source, &root.join(name), SAFE | MountFlags::RDONLY)?;
        }
    }
    Ok(())
}

/// Fills /etc.
fn describe(
    spec: &ApplicationSpec,
    root: &Path,
    log: &mut Log,
) -> Result<Authorities, MakeViewError> {
    let etc = root.join("etc");
    for (name, text) in identity::files(spec) {
        write(&etc.join(name), &text)?;
    }
    for (name, path) in [
        ("resolv.conf", paths::RESOLVER),
        ("os-release", "/etc/os-release"),
    ] {
        write(
            &etc.join(name),
            &fs::read_to_string(path).unwrap_or_default(),
        )?;
    }
    let Some(text) = authorities::read(log) else {
        return Ok(Authorities::OfNode);
    };
    let copy = root.join(identity::AUTHORITIES.trim_start_matches('/'));
    write(&copy, &text)?;
    Ok(Authorities::Added)
}

/// The application's own folder, and its volumes.
fn application(
    spec: &ApplicationSpec,
    layers: &Layers,
    root: &Path,
    (follows, growth, sizes): (Follows, Growth, MemoryFiles),
    log: &mut Log,
) -> Result<(), MakeViewError> {
    let folder = root.join(FOLDER.trim_start_matches('/'));
    let files = layers.files(Path::new(FOLDER));
    let needs_a_place = volumes::need_a_place(spec, &files);
    let changes = match follows == Follows::Yes || needs_a_place {
        true => Changes::UpTo(sizes.changes),
        false => Changes::None,
    };
    layers::put_together(&files, &folder, changes)?;
    for volume in volumes::in_order(spec) {
        volumes::mount(volume, spec, root, growth, log)?;
    }
    if needs_a_place && follows == Follows::No {
        layers::seal(&folder)?;
    }
    Ok(())
}

fn enter(namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Mount))
}

fn open_namespace() -> Result<OwnedFd, MakeViewError> {
    open(OWN_NAMESPACE, OFlags::RDONLY)
}

fn open(path: &'static str, flags: OFlags) -> Result<OwnedFd, MakeViewError> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| {
        MakeViewError::Open {
            path,
            source: OsError(errno),
        }
    })
}

fn write(path: &Path, text: &str) -> Result<(), MakeViewError> {
    fs::write(path, text).map_err(|source| MakeViewError::Write {
        path: path.to_owned(),
        source,
    })
}
