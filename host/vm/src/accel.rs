//! Which accelerator works here.
//!
//! That `/dev/kvm` exists says little: on some hosts a guest under it never gets anywhere. So a short program is run.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use thiserror::Error;

use crate::findings::{Findings, KVM};
use crate::probe::{self, Outcome, ProbeError};
use crate::process::Qemu;

/// Overrides the choice.
pub const VARIABLE: &str = "NODEOS_ACCEL";

/// How QEMU runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// Emulation: works everywhere, slowest.
    Tcg,
    /// Linux's hypervisor.
    Kvm,
    /// macOS's hypervisor.
    Hvf,
}

/// An accelerator and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub accel: Accel,
    /// A clause that fits behind a colon.
    pub why: String,
}

/// Why no accelerator could be chosen.
#[derive(Debug, Error)]
pub enum ChooseAccelError {
    #[error("{VARIABLE} is {value:?}, which is not tcg, kvm or hvf")]
    Override { value: String },
    #[error("cannot find out which accelerator works")]
    Probe { source: ProbeError },
}

impl ChooseAccelError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ChooseAccelError::Override { .. } => {
                Some(format!("unset {VARIABLE}, or set it to one of the three"))
            }
            ChooseAccelError::Probe { .. } => {
                Some(format!("{VARIABLE}=tcg does without finding out"))
            }
        }
    }
}

impl Accel {
    pub const ALL: &[Accel] = &[Accel::Tcg, Accel::Kvm, Accel::Hvf];

    /// The name, as QEMU and `NODEOS_ACCEL` have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Accel::Tcg => "tcg",
            Accel::Kvm => "kvm",
            Accel::Hvf => "hvf",
        }
    }

    /// What `NODEOS_ACCEL` says, else the hypervisor of this host if a short program really runs under it (see
    /// [`crate::probe`]), else emulation. What was found out is kept in `cache` for this boot of the host.
    pub fn choose(qemu: &Qemu, cache: Option<&Path>) -> Result<Choice, ChooseAccelError> {
        if let Some(choice) = overridden(std::env::var_os(VARIABLE).as_deref())? {
            return Ok(choice);
        }
        let accel = match candidate() {
            Ok(accel) => accel,
            Err(why) => {
                return Ok(Choice {
                    accel: Accel::Tcg,
                    why,
                });
            }
        };
        let outcome = Findings::look_up(
            cache,
            qemu,
            |findings| &mut findings.hardware,
            || probe::run(accel),
        )
        .map_err(|source| ChooseAccelError::Probe { source })?;
        Ok(judge(accel, &outcome))
    }
}

/// The choice that `NODEOS_ACCEL` makes. Empty is the same as unset.
fn overridden(value: Option<&OsStr>) -> Result<Option<Choice>, ChooseAccelError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let accel = Accel::ALL
        .iter()
        .copied()
        .find(|accel| value == accel.as_str());
    let accel = accel.ok_or_else(|| ChooseAccelError::Override {
        value: value.to_string_lossy().into_owned(),
    })?;
    Ok(Some(Choice {
        accel,
        why: format!("{VARIABLE} says so"),
    }))
}

/// The hypervisor that is worth a probe, or why there is none.
fn candidate() -> Result<Accel, String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("this host has another processor than the machine".to_owned());
    }
    if cfg!(target_os = "macos") {
        return Ok(Accel::Hvf);
    }
    match std::fs::File::options().read(true).write(true).open(KVM) {
        Ok(_) => Ok(Accel::Kvm),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("there is no {KVM}"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(format!(
            "{KVM} is there, but this user may not open it (is the user in the group kvm?)"
        )),
        Err(error) => Err(format!("{KVM} is there, but cannot be opened ({error})")),
    }
}

/// What the probe's outcome means.
fn judge(accel: Accel, outcome: &Outcome) -> Choice {
    let device = if accel == Accel::Kvm {
        KVM
    } else {
        "a hypervisor"
    };
    match outcome {
        Outcome::Passed => Choice {
            accel,
            why: "a test program ran under it".to_owned(),
        },
        Outcome::TimedOut => Choice {
            accel: Accel::Tcg,
            why: format!(
                "{device} is there, but a test program of 512 bytes did not finish within {} s",
                probe::DEADLINE.as_secs(),
            ),
        },
        Outcome::Refused { .. } => Choice {
            accel: Accel::Tcg,
            why: format!("{device} is there, but a test program of 512 bytes did not run under it"),
        },
    }
}

impl fmt::Display for Accel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_override_names_one_of_three() {
        let check = |value: Option<&str>, expected: Option<Accel>| {
            let choice = overridden(value.map(OsStr::new)).unwrap();
            assert_eq!(choice.map(|choice| choice.accel), expected);
        };
        check(Some("tcg"), Some(Accel::Tcg));
        check(Some("kvm"), Some(Accel::Kvm));
        check(Some("hvf"), Some(Accel::Hvf));
        check(Some(""), None);
        check(None, None);

        let error = overridden(Some(OsStr::new("KVM"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "NODEOS_ACCEL is \"KVM\", which is not tcg, kvm or hvf"
        );
        assert_eq!(
            error.hint().unwrap(),
            "unset NODEOS_ACCEL, or set it to one of the three"
        );
    }

    #[test]
    fn only_a_probe_that_passed_chooses_the_hypervisor() {
        let check = |outcome: Outcome, accel: Accel, why: &str| {
            assert_eq!(
                judge(Accel::Kvm, &outcome),
                Choice {
                    accel,
                    why: why.to_owned()
                }
            );
        };
        check(Outcome::Passed, Accel::Kvm, "a test program ran under it");
        check(
            Outcome::TimedOut,
            Accel::Tcg,
            "/dev/kvm is there, but a test program of 512 bytes did not finish within 3 s",
        );
        check(
            Outcome::Refused {
                message: "failed to initialize kvm".to_owned(),
            },
            Accel::Tcg,
            "/dev/kvm is there, but a test program of 512 bytes did not run under it",
        );
    }

    #[test]
    fn a_choice_on_this_host_is_made_once_and_then_kept() {
        let qemu = Qemu::find().expect("QEMU is installed");
        let cache = tempfile::tempdir().unwrap();
        let first = Accel::choose(&qemu, Some(cache.path())).unwrap();
        assert!(!first.why.is_empty());
        assert_eq!(Accel::choose(&qemu, Some(cache.path())).unwrap(), first);
    }
}
