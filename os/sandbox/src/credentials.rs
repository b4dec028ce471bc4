//! Becoming somebody for good: ids, capabilities, and what can be gained later, which is nothing.

use nodeos_sys::error::OsError;
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{self, CapabilitiesSecureBits, CapabilitySet, CapabilitySets};
use thiserror::Error;

use crate::filter::{Filter, FilterError};

/// What a process is to be.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub uid: Uid,
    pub gid: Gid,
    /// All that it has and can ever have.
    pub capabilities: CapabilitySet,
    pub filter: Filter,
}

#[derive(Debug, Error)]
pub enum AssumeCredentialsError {
    #[error("cannot drop the supplementary groups")]
    Groups { source: OsError },
    #[error("cannot take capabilities out of the bounding set")]
    Bounding { source: OsError },
    #[error("cannot take its powers from user id 0")]
    SecureBits { source: OsError },
    #[error("cannot become group {gid}")]
    Gid { gid: u32, source: OsError },
    #[error("cannot become user {uid}")]
    Uid { uid: u32, source: OsError },
    #[error("cannot set the capabilities")]
    Capabilities { source: OsError },
    #[error(transparent)]
    Filter(FilterError),
}

/// User id 0 has no powers by itself: not now, not after any execve(2), for good (capabilities(7), "The securebits flags").
/// Nor can capabilities be raised into the ambient set afterwards.
const POWERLESS_ROOT: CapabilitiesSecureBits = CapabilitiesSecureBits::NO_ROOT
    .union(CapabilitiesSecureBits::NO_ROOT_LOCKED)
    .union(CapabilitiesSecureBits::NO_SETUID_FIXUP)
    .union(CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED)
    .union(CapabilitiesSecureBits::KEEP_CAPS_LOCKED);
const NO_MORE_AMBIENT: CapabilitiesSecureBits = CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
    .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED);

/// Makes this process, which has every capability, what `credentials` says. What it was is gone even if this fails half way,
/// so the caller then has to end.
pub fn assume(credentials: &Credentials) -> Result<(), AssumeCredentialsError> {
    let Credentials {
        uid,
        gid,
        capabilities,
        filter,
    } = credentials;
    thread::set_thread_groups(&[]).map_err(|errno| AssumeCredentialsError::Groups {
        source: OsError(errno),
    })?;
    drop_from_bounding_set(CapabilitySet::all().difference(*capabilities)).map_err(|errno| {
        AssumeCredentialsError::Bounding {
            source: OsError(errno),
        }
    })?;
    thread::set_thread_res_gid(*gid, *gid, *gid).map_err(|errno| AssumeCredentialsError::Gid {
        gid: gid.as_raw(),
        source: OsError(errno),
    })?;
    let capabilities_error = |errno| AssumeCredentialsError::Capabilities {
        source: OsError(errno),
    };
    // To be raised into the ambient set a capability must be inheritable first.
    let all = thread::capabilities(None).map_err(capabilities_error)?;
    thread::set_capabilities(
        None,
        CapabilitySets {
            inheritable: *capabilities,
            ..all
        },
    )
    .map_err(capabilities_error)?;
    thread::clear_ambient_capability_set().map_err(capabilities_error)?;
    for capability in capabilities.iter() {
        thread::configure_capability_in_ambient_set(capability, true)
            .map_err(capabilities_error)?;
    }
    thread::set_capabilities_secure_bits(POWERLESS_ROOT | NO_MORE_AMBIENT).map_err(|errno| {
        AssumeCredentialsError::SecureBits {
            source: OsError(errno),
        }
    })?;
    thread::set_thread_res_uid(*uid, *uid, *uid).map_err(|errno| AssumeCredentialsError::Uid {
        uid: uid.as_raw(),
        source: OsError(errno),
    })?;
    // With NO_SETUID_FIXUP the change of user has left them as they were.
    thread::set_capabilities(
        None,
        CapabilitySets {
            effective: *capabilities,
            permitted: *capabilities,
            inheritable: *capabilities,
        },
    )
    .map_err(capabilities_error)?;
    filter.install().map_err(AssumeCredentialsError::Filter)
}

fn drop_from_bounding_set(capabilities: CapabilitySet) -> Result<(), Errno> {
    for capability in capabilities.iter() {
        match thread::remove_capability_from_bounding_set(capability) {
            // One that this kernel does not know yet.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
