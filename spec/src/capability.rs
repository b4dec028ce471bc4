//! Linux's capabilities, by the names that service files use.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The names in the order of their numbers, without `CAP_` ([`capabilities(7)`](https://man7.org/linux/man-pages/man7/capabilities.7.html)).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// One capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Capability(u8);

/// Why a text is no capability.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no capability {name:?}")]
pub struct ParseCapabilityError {
    pub name: String,
}

impl Capability {
    /// Its number, as capset(2) counts them.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its name, such as `net_admin`.
    pub fn name(self) -> &'static str {
        NAMES
            .get(usize::from(self.0))
            .expect("only numbers of names become capabilities")
    }
}

impl FromStr for Capability {
    type Err = ParseCapabilityError;

    fn from_str(name: &str) -> Result<Capability, ParseCapabilityError> {
        (0..)
            .zip(NAMES)
            .find(|(_, known)| *known == name)
            .map(|(number, _)| Capability(number))
            .ok_or_else(|| ParseCapabilityError {
                name: name.to_owned(),
            })
    }
}

impl TryFrom<String> for Capability {
    type Error = ParseCapabilityError;

    fn try_from(name: String) -> Result<Capability, ParseCapabilityError> {
        name.parse()
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> String {
        capability.name().to_owned()
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are the kernel's (include/uapi/linux/capability.h); a name too many or too few would shift them.
    #[test]
    fn names_have_the_kernels_numbers() {
        let check = |name: &str, number| {
            let capability: Capability = name.parse().unwrap();
            assert_eq!((capability.number(), capability.name()), (number, name));
        };
        check("chown", 0);
        check("setpcap", 8);
        check("net_bind_service", 10);
        check("net_admin", 12);
        check("net_raw", 13);
        check("sys_admin", 21);
        check("sys_time", 25);
        check("setfcap", 31);
        check("syslog", 34);
        check("checkpoint_restore", 40);
    }

    #[test]
    fn other_spellings_are_refused() {
        for name in [
            "CAP_NET_ADMIN",
            "cap_net_admin",
            "NET_ADMIN",
            "net-admin",
            "",
            "12",
        ] {
            let error = name.parse::<Capability>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("there is no capability {name:?}")
            );
        }
    }
}
