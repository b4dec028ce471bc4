//! Where things are while the machine runs. Those below /run are seen by this program alone.

/// Of QEMU's firmware configuration, by its name (Documentation/ABI/testing/sysfs-firmware-qemu_fw_cfg of the kernel).
pub(crate) const FIRMWARE: &str = "/sys/firmware/qemu_fw_cfg/by_name";
/// Which memory the machine has (proc_iomem(5)).
pub(crate) const MEMORY: &str = "/proc/iomem";
pub(crate) const COMMAND_LINE: &str = "/proc/cmdline";
/// Where the images of the application are mounted, each in a folder with its number.
pub(crate) const LAYERS: &str = "/run/nodeos/layers";
/// What is written over them.
pub(crate) const UPPER: &str = "/run/nodeos/upper";
/// Where the application's root is put together, in a mount namespace of its own.
pub(crate) const ROOT: &str = "/run/nodeos/root";
/// Where the kernel's first filesystem is laid over itself, in the same.
pub(crate) const ROOT_AGAIN: &str = "/run/nodeos/again";
/// What PID 1 wrote down of the kernel's `ip=`.
pub(crate) const RESOLVER: &str = "/run/resolv.conf";
/// The control groups of the application and its commands.
pub(crate) const CGROUP: &str = "/sys/fs/cgroup/application";
