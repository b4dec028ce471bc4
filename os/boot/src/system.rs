//! What this program finds out about the machine, and what it tells all sessions of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nodeos_sandbox::authorities::{self, Authorities};
use nodeos_sandbox::log::{Log, sentence};
use nodeos_sandbox::{meminfo, mounts};
use nodeos_spec::cmdline::SystemRoot;
use nodeos_spec::network::{self, NetworkSpec};
use nodeos_spec::session::{self, SessionSpec};
use rustix::fd::OwnedFd;
use rustix::fs::statfs;
use thiserror::Error;

use crate::paths;
use crate::users::{self, User};

/// What PID 1 wrote down of the kernel's `ip=`.
const RESOLVER: &str = "/run/resolv.conf";

/// Written at the boot: no session makes a user namespace, in which it would be root, nobody traces another process
/// (user_namespaces(7), Documentation/admin-guide/LSM/Yama.rst of the kernel), and who can open the kernel's log may read
/// it: that is root's session, which has the node for it and no capability, and everybody else is refused the call.
const SYSCTLS: [(&str, &str); 3] = [
    ("/proc/sys/kernel/dmesg_restrict", "0"),
    ("/proc/sys/user/max_user_namespaces", "0"),
    ("/proc/sys/kernel/yama/ptrace_scope", "2"),
];

/// What sessions are made by.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) hostname: String,
    pub(crate) total_memory: u64,
    pub(crate) session_spec: SessionSpec,
    pub(crate) authorities: Authorities,
}

#[derive(Debug, Error)]
pub(crate) enum PrepareSystemError {
    #[error("cannot make the folder {}", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} does not say how much memory there is", meminfo::PATH)]
    Memory,
}

/// What `root=` means on this machine. Where that cannot be told it is an image, which almost all are.
pub(crate) fn root_kind() -> SystemRoot {
    match statfs("/") {
        Ok(found) if mounts::is_memory(found.f_type) => SystemRoot::Initramfs,
        _ => SystemRoot::Image,
    }
}

/// Folders and switches, before anybody is there.
pub(crate) fn prepare() -> Result<(), PrepareSystemError> {
    let folders = [
        paths::SYSTEM,
        paths::SOCKETS,
        paths::SESSION_ROOT,
        paths::ROOT_AGAIN,
    ];
    for path in folders {
        fs::create_dir_all(path).map_err(|source| PrepareSystemError::Folder {
            path: path.into(),
            source,
        })?;
    }
    for (path, value) in SYSCTLS {
        write(Path::new(path), value)?;
    }
    Ok(())
}

/// Writes what sessions see in /run/system, and reads what root has set for all of them.
pub(crate) fn describe(users: &[User], log: &mut Log) -> Result<Facts, PrepareSystemError> {
    let root = users.iter().find(|user| user.is_root());
    let network = setting(root, network::PATH, log, NetworkSpec::parse).unwrap_or_default();
    let hostname = network
        .hostname
        .unwrap_or_else(|| network::DEFAULT_HOSTNAME.to_owned());
    let resolver = fs::read_to_string(RESOLVER).unwrap_or_default();
    let files = [
        ("passwd", users::passwd(users)),
        ("group", users::group(users)),
        ("hostname", format!("{hostname}\n")),
        ("resolv.conf", resolver),
    ];
    for (name, text) in files {
        write(&Path::new(paths::SYSTEM).join(name), &text)?;
    }
    let authorities = authorities(log)?;
    let memory = fs::read_to_string(meminfo::PATH).unwrap_or_default();
    Ok(Facts {
        hostname,
        total_memory: meminfo::bytes(&memory, "MemTotal").ok_or(PrepareSystemError::Memory)?,
        authorities,
        session_spec: setting(root, session::PATH, log, SessionSpec::parse).unwrap_or_default(),
    })
}

/// Sessions get a copy.
fn authorities(log: &mut Log) -> Result<Authorities, PrepareSystemError> {
    let Some(text) = authorities::read(log) else {
        return Ok(Authorities::OfNode);
    };
    let copy = Path::new(paths::SYSTEM).join(paths::AUTHORITIES_NAME);
    write(&copy, &text)?;
    Ok(Authorities::Added)
}

/// Where nothing that is written arrives.
pub(crate) fn null() -> io::Result<OwnedFd> {
    fs::OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .map(OwnedFd::from)
}

/// A file of root's. One that is broken is named, and counts as not there.
fn setting<T, E: std::error::Error>(
    root: Option<&User>,
    path: &str,
    log: &mut Log,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    // Its folder is root's own, so links in it lead where root wants.
    let file = root?.home.join(path.trim_start_matches('/'));
    let text = fs::read_to_string(&file).ok()?;
    parse(&text)
        .map_err(|error| log.say(&format!("{path} of root: {}", sentence(&error))))
        .ok()
}

fn write(path: &Path, text: &str) -> Result<(), PrepareSystemError> {
    fs::write(path, text).map_err(|source| PrepareSystemError::Write {
        path: path.to_owned(),
        source,
    })
}
