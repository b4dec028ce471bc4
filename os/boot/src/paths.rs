//! Where things are while the system runs. Those of `boot`'s own are seen by nobody else.

/// The users partition.
pub(crate) const USERS: &str = "/users";
/// Beside the homes: the overlays' work directories, one for each user. A name that no user can have.
pub(crate) const WORK: &str = ".work";
/// Of the system image: the homes that a machine without a users partition begins with.
pub(crate) const SKELETON_USERS: &str = "/usr/share/nodeos/users";
/// Root's home where the users partition has none: below a folder of its own, as the others are.
pub(crate) const HOMES_IN_MEMORY: &str = "/run/nodeos/homes";
/// Where a session's root is put together, in its own mount namespace.
pub(crate) const SESSION_ROOT: &str = "/run/nodeos/root";
/// Where the kernel's first filesystem is laid over itself, in the same.
pub(crate) const ROOT_AGAIN: &str = "/run/nodeos/again";
/// What all sessions see as /run/system.
pub(crate) const SYSTEM: &str = "/run/nodeos/system";
/// In [`SYSTEM`]: the authorities that Node.js trusts beside its own.
pub(crate) const AUTHORITIES_NAME: &str = "ca-bundle.pem";
/// The broker's sockets, one for each session.
pub(crate) const SOCKETS: &str = "/run/nodeos/sockets";
/// The control groups of sessions.
pub(crate) const CGROUPS: &str = "/sys/fs/cgroup/sessions";

/// Of a session: its first process.
pub(crate) const PALMTREE: &str = "/bin/palmtree";
/// Of a session: the shell where nothing else is said.
pub(crate) const SHELL: &str = "/bin/sh";
/// Of a session, where its programs are looked for.
pub(crate) const PATH: &str = "/bin:/sbin:/usr/bin";
/// Of a session: how Node.js is asked to be a person's last resort.
pub(crate) const NODE: &str = "/bin/node";
