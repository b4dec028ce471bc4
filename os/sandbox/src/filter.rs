//! Which system calls a confined process may not make: seccomp(2).
//!
//! What needs a capability is refused by the kernel already, as there are none. The filter takes away the code behind it,
//! too: most holes of kernels were in calls that an ordinary program never makes.

use std::collections::BTreeMap;

use nodeos_sys::calls;
use rustix::thread::CapabilitySet;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};
use thiserror::Error;

/// Refused with EPERM.
const REFUSED: &[i64] = &[
    // Mounts, and other roots.
    calls::MOUNT,
    calls::UMOUNT2,
    calls::PIVOT_ROOT,
    calls::CHROOT,
    calls::MOVE_MOUNT,
    calls::MOUNT_SETATTR,
    calls::OPEN_TREE,
    calls::FSOPEN,
    calls::FSCONFIG,
    calls::FSMOUNT,
    calls::FSPICK,
    calls::OPEN_BY_HANDLE_AT,
    calls::QUOTACTL,
    // Namespaces; clone is looked at below.
    calls::UNSHARE,
    calls::SETNS,
    // Code in the kernel.
    calls::INIT_MODULE,
    calls::FINIT_MODULE,
    calls::DELETE_MODULE,
    calls::KEXEC_LOAD,
    calls::KEXEC_FILE_LOAD,
    calls::BPF,
    calls::PERF_EVENT_OPEN,
    calls::USERFAULTFD,
    // Other processes.
    calls::PTRACE,
    calls::PROCESS_VM_READV,
    calls::PROCESS_VM_WRITEV,
    // Keys of the kernel, which know no namespaces.
    calls::ADD_KEY,
    calls::REQUEST_KEY,
    calls::KEYCTL,
    // The machine as a whole.
    calls::REBOOT,
    calls::SWAPON,
    calls::SWAPOFF,
    calls::ACCT,
    calls::SYSLOG,
    calls::VHANGUP,
    #[cfg(target_arch = "x86_64")]
    calls::IOPL,
    #[cfg(target_arch = "x86_64")]
    calls::IOPERM,
];

/// Refused with EPERM but to who has CAP_SYS_TIME. adjtimex is none of them: without the capability it only reads.
const CLOCK: &[i64] = &[calls::SETTIMEOFDAY, calls::CLOCK_SETTIME];

/// Answered as by a kernel that does not have them, so that programs take the older way: clone3 hides its flags in
/// memory, where no filter sees them, and io_uring makes calls past every filter.
const UNKNOWN: &[i64] = &[
    calls::CLONE3,
    calls::IO_URING_SETUP,
    calls::IO_URING_ENTER,
    calls::IO_URING_REGISTER,
];

/// Every CLONE_NEW* that clone(2) takes, by the kernel's sched.h: mount, cgroup, UTS, IPC, user, PID and network namespaces.
const NEW_NAMESPACES: [u64; 7] = [
    0x0002_0000,
    0x0200_0000,
    0x0400_0000,
    0x0800_0000,
    0x1000_0000,
    0x2000_0000,
    0x4000_0000,
];

/// EPERM and ENOSYS, by errno(3).
const NOT_PERMITTED: u32 = 1;
const NO_SUCH_CALL: u32 = 38;

/// A filter for each answer, ready for the kernel.
#[derive(Debug, Clone)]
pub struct Filter(Vec<BpfProgram>);

#[derive(Debug, Error)]
pub enum FilterError {
    #[error("cannot make the filter of system calls")]
    Compile {
        #[source]
        source: BackendError,
    },
    #[error("cannot install the filter of system calls")]
    Install {
        #[source]
        source: seccompiler::Error,
    },
}

impl Filter {
    /// The filter of a process that will have `capabilities`.
    pub fn for_capabilities(capabilities: CapabilitySet) -> Result<Filter, FilterError> {
        let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
            REFUSED.iter().map(|&call| (call, Vec::new())).collect();
        if !capabilities.contains(CapabilitySet::SYS_TIME) {
            refused.extend(CLOCK.iter().map(|&call| (call, Vec::new())));
        }
        let compile = |source| FilterError::Compile { source };
        let rules: Result<Vec<SeccompRule>, BackendError> =
            NEW_NAMESPACES.into_iter().map(clone_with).collect();
        refused.insert(calls::CLONE, rules.map_err(compile)?);
        let unknown = UNKNOWN.iter().map(|&call| (call, Vec::new())).collect();
        let programs = [(refused, NOT_PERMITTED), (unknown, NO_SUCH_CALL)]
            .into_iter()
            .map(|(rules, errno)| program(rules, errno));
        Ok(Filter(programs.collect::<Result<_, _>>().map_err(compile)?))
    }

    /// Puts this process and all that come from it under the filter. It also sets no_new_privs.
    pub fn install(&self) -> Result<(), FilterError> {
        for program in &self.0 {
            seccompiler::apply_filter(program).map_err(|source| FilterError::Install { source })?;
        }
        Ok(())
    }
}

/// clone(2) whose flags, the first argument on every architecture of ours, contain this one.
fn clone_with(flag: u64) -> Result<SeccompRule, BackendError> {
    let condition = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(flag),
        flag,
    )?;
    SeccompRule::new(vec![condition])
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: u32) -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno),
        arch,
    )?
    .try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_that_is_refused_is_tried_by_the_escape_test() {
        let tried: Vec<i64> = calls::PRIVILEGED.iter().map(|(_, call)| *call).collect();
        for call in [REFUSED, CLOCK, UNKNOWN].concat() {
            assert!(tried.contains(&call), "{call}");
        }
    }

    #[test]
    fn filters_fit_into_what_the_kernel_takes() {
        for capabilities in [CapabilitySet::empty(), CapabilitySet::SYS_TIME] {
            let filter = Filter::for_capabilities(capabilities).unwrap();
            assert_eq!(filter.0.len(), 2);
            // BPF_MAXINSNS of the kernel's bpf_common.h.
            assert!(filter.0.iter().all(|program| program.len() < 4096));
        }
    }
}
