//! What the arguments and the environment of a program must hold, whichever file names them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use thiserror::Error;

/// What execve(2) cannot pass on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProgramError {
    #[error("{place} contains a NUL character")]
    Nul { place: String },
    #[error("{name:?} cannot be the name of an environment variable")]
    EnvName { name: String },
}

/// The text of a key of a file can be an argument or a path.
pub(crate) fn check_text(place: &str, text: &str) -> Result<(), ProgramError> {
    if text.contains('\0') {
        return Err(ProgramError::Nul {
            place: String::from(place),
        });
    }
    Ok(())
}

pub(crate) fn check_args(args: &[String]) -> Result<(), ProgramError> {
    match args.iter().find(|argument| argument.contains('\0')) {
        Some(argument) => Err(ProgramError::Nul {
            place: format!("argument {argument:?}"),
        }),
        None => Ok(()),
    }
}

pub(crate) fn check_env(env: &BTreeMap<String, String>) -> Result<(), ProgramError> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(ProgramError::EnvName { name: name.clone() });
        }
        check_text(&format!("the value of {name}"), value)?;
    }
    Ok(())
}
