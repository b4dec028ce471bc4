//! Numbers of system calls, for those who filter them: [`syscalls(2)`](https://man7.org/linux/man-pages/man2/syscalls.2.html).

pub use libc::{
    SYS_acct as ACCT, SYS_add_key as ADD_KEY, SYS_adjtimex as ADJTIMEX, SYS_bpf as BPF,
    SYS_chroot as CHROOT, SYS_clock_adjtime as CLOCK_ADJTIME, SYS_clock_settime as CLOCK_SETTIME,
    SYS_clone as CLONE, SYS_clone3 as CLONE3, SYS_delete_module as DELETE_MODULE,
    SYS_finit_module as FINIT_MODULE, SYS_fsconfig as FSCONFIG, SYS_fsmount as FSMOUNT,
    SYS_fsopen as FSOPEN, SYS_fspick as FSPICK, SYS_init_module as INIT_MODULE,
    SYS_io_uring_enter as IO_URING_ENTER, SYS_io_uring_register as IO_URING_REGISTER,
    SYS_io_uring_setup as IO_URING_SETUP, SYS_kexec_file_load as KEXEC_FILE_LOAD,
    SYS_kexec_load as KEXEC_LOAD, SYS_keyctl as KEYCTL, SYS_mount as MOUNT,
    SYS_mount_setattr as MOUNT_SETATTR, SYS_move_mount as MOVE_MOUNT,
    SYS_open_by_handle_at as OPEN_BY_HANDLE_AT, SYS_open_tree as OPEN_TREE,
    SYS_perf_event_open as PERF_EVENT_OPEN, SYS_pivot_root as PIVOT_ROOT,
    SYS_process_vm_readv as PROCESS_VM_READV, SYS_process_vm_writev as PROCESS_VM_WRITEV,
    SYS_ptrace as PTRACE, SYS_quotactl as QUOTACTL, SYS_reboot as REBOOT,
    SYS_request_key as REQUEST_KEY, SYS_setns as SETNS, SYS_settimeofday as SETTIMEOFDAY,
    SYS_swapoff as SWAPOFF, SYS_swapon as SWAPON, SYS_syslog as SYSLOG, SYS_umount2 as UMOUNT2,
    SYS_unshare as UNSHARE, SYS_userfaultfd as USERFAULTFD, SYS_vhangup as VHANGUP,
};
#[cfg(target_arch = "x86_64")]
pub use libc::{SYS_ioperm as IOPERM, SYS_iopl as IOPL};

use rustix::io;

use crate::error::last_error;

/// Calls that no program of a person needs, with their names. All of them are safe to make with zeros for arguments.
pub const PRIVILEGED: &[(&str, i64)] = &[
    ("acct", ACCT),
    ("add_key", ADD_KEY),
    ("bpf", BPF),
    ("chroot", CHROOT),
    ("clock_settime", CLOCK_SETTIME),
    ("delete_module", DELETE_MODULE),
    ("finit_module", FINIT_MODULE),
    ("fsconfig", FSCONFIG),
    ("fsmount", FSMOUNT),
    ("fsopen", FSOPEN),
    ("fspick", FSPICK),
    ("init_module", INIT_MODULE),
    ("kexec_file_load", KEXEC_FILE_LOAD),
    ("kexec_load", KEXEC_LOAD),
    ("keyctl", KEYCTL),
    ("mount", MOUNT),
    ("mount_setattr", MOUNT_SETATTR),
    ("move_mount", MOVE_MOUNT),
    ("open_by_handle_at", OPEN_BY_HANDLE_AT),
    ("open_tree", OPEN_TREE),
    ("perf_event_open", PERF_EVENT_OPEN),
    ("pivot_root", PIVOT_ROOT),
    ("process_vm_readv", PROCESS_VM_READV),
    ("process_vm_writev", PROCESS_VM_WRITEV),
    ("ptrace", PTRACE),
    ("quotactl", QUOTACTL),
    ("reboot", REBOOT),
    ("request_key", REQUEST_KEY),
    ("setns", SETNS),
    ("settimeofday", SETTIMEOFDAY),
    ("swapoff", SWAPOFF),
    ("swapon", SWAPON),
    ("syslog", SYSLOG),
    ("umount2", UMOUNT2),
    ("unshare", UNSHARE),
    ("userfaultfd", USERFAULTFD),
    ("vhangup", VHANGUP),
    ("clone3", CLONE3),
    ("io_uring_setup", IO_URING_SETUP),
    ("io_uring_enter", IO_URING_ENTER),
    ("io_uring_register", IO_URING_REGISTER),
    #[cfg(target_arch = "x86_64")]
    ("iopl", IOPL),
    #[cfg(target_arch = "x86_64")]
    ("ioperm", IOPERM),
];

/// Makes the call with this place in [`PRIVILEGED`] with zeros for arguments, to learn whether it is allowed: one that is
/// refused by a filter says so before it looks at them.
///
/// # Errors
/// What the kernel says. `EINVAL` for a place that is none.
pub fn try_with_zeros(place: usize) -> io::Result<()> {
    let (_, number) = PRIVILEGED.get(place).ok_or(io::Errno::INVAL)?;
    // SAFETY: zeros are null pointers and empty lengths, which these calls take as nothing or refuse with EFAULT: none of
    // them reads or writes the caller's memory then, changes its mappings or goes on in a second process.
    match unsafe { libc::syscall(*number, 0, 0, 0, 0, 0, 0) } {
        -1 => Err(last_error()),
        _ => Ok(()),
    }
}
