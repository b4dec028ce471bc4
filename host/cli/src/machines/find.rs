//! Machines by what people type.

use std::os::unix::net::UnixStream;

use thiserror::Error;

use crate::machines::names::Name;
use crate::machines::record::{Mode, Record};
use crate::machines::state::{Folder, Machines, StateError};
use crate::output::errors::Failure;

/// A machine whose monitor is connected to.
#[derive(Debug)]
pub struct Running {
    pub name: Name,
    pub record: Record,
    pub connection: UnixStream,
}

/// A machine, running or not.
#[derive(Debug)]
pub struct Known {
    pub folder: Folder,
    pub record: Record,
    /// To its monitor, if it has one.
    pub connection: Option<UnixStream>,
    /// Its monitor was killed, which nobody has noticed before.
    pub was_lost: bool,
}

/// There is no such machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FindMachineError {
    #[error("there is no machine named {name}")]
    Unknown { name: String, names: Vec<String> },
    #[error("the machine {name} does not run any more")]
    Ended { name: String },
    #[error("{name} may be {}", .names.join(" or "))]
    Ambiguous { name: String, names: Vec<String> },
}

impl FindMachineError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            FindMachineError::Unknown { names, .. } if names.is_empty() => {
                Some("there are none: nodeos run --detach starts one".to_owned())
            }
            FindMachineError::Unknown { names, .. } => {
                Some(format!("there is {}", names.join(", ")))
            }
            FindMachineError::Ended { name } => {
                Some(format!("nodeos logs {name} shows what it wrote"))
            }
            FindMachineError::Ambiguous { .. } => None,
        }
    }
}

impl From<FindMachineError> for Failure {
    fn from(error: FindMachineError) -> Failure {
        let hint = error.hint();
        Failure::new(error).hint(hint)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Failure {
        let hint = error.hint();
        Failure::new(error).hint(hint)
    }
}

/// Every machine that there is. One whose monitor is dead has ended.
///
/// # Errors
/// [`StateError`].
pub fn all(machines: &Machines) -> Result<Vec<Known>, StateError> {
    let mut found = Vec::new();
    for folder in machines.list()? {
        found.extend(look(folder)?);
    }
    Ok(found)
}

/// The machine of this name, or of the only one that begins so.
///
/// # Errors
/// [`FindMachineError`] and [`StateError`].
pub fn one(machines: &Machines, text: &str) -> Result<Known, Failure> {
    let names: Vec<Name> = machines
        .list()?
        .into_iter()
        .map(|folder| folder.name)
        .collect();
    let name = choose(text, &names)?;
    match look(machines.folder(&name))? {
        Some(known) => Ok(known),
        None => Err(unknown(text, &names).into()),
    }
}

/// As [`one`], if it runs.
///
/// # Errors
/// As [`one`].
pub fn running(machines: &Machines, text: &str) -> Result<Running, Failure> {
    let Known {
        folder,
        record,
        connection,
        ..
    } = one(machines, text)?;
    let name = folder.name;
    match connection.filter(|_| record.ended.is_none()) {
        Some(connection) => Ok(Running {
            name,
            record,
            connection,
        }),
        None => Err(FindMachineError::Ended {
            name: name.to_string(),
        }
        .into()),
    }
}

fn look(folder: Folder) -> Result<Option<Known>, StateError> {
    let Some(record) = folder.record()? else {
        return Ok(None);
    };
    if let Some(stream) = folder.connect(&record)? {
        return Ok(Some(Known {
            folder,
            record,
            connection: Some(stream),
            was_lost: false,
        }));
    }
    let was_lost = record.ended.is_none();
    // A monitor that has said how its machine ended is about to end, too. Nobody is kept from taking the name by our looking at it.
    let is_over = |record: &Record| record.ended.is_some() && record.mode == Mode::Detached;
    let known = if is_over(&record) {
        Some(record)
    } else {
        // Somebody may be removing it, or making it anew.
        match folder.bury()? {
            None => folder.record()?.filter(is_over),
            buried => buried,
        }
    };
    let Some(record) = known else {
        return Ok(None);
    };
    Ok(Some(Known {
        folder,
        record,
        connection: None,
        was_lost,
    }))
}

fn choose(text: &str, names: &[Name]) -> Result<Name, FindMachineError> {
    if let Some(name) = names.iter().find(|name| name.as_str() == text) {
        return Ok(name.clone());
    }
    let close: Vec<&Name> = names
        .iter()
        .filter(|name| !text.is_empty() && name.as_str().starts_with(text))
        .collect();
    match close.as_slice() {
        [] => Err(unknown(text, names)),
        [name] => Ok((*name).clone()),
        several => Err(FindMachineError::Ambiguous {
            name: text.to_owned(),
            names: several.iter().map(|name| name.to_string()).collect(),
        }),
    }
}

fn unknown(text: &str, names: &[Name]) -> FindMachineError {
    FindMachineError::Unknown {
        name: text.to_owned(),
        names: names.iter().map(Name::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole_or_the_beginning_of_one() {
        let names: Vec<Name> = ["shop", "shop-2", "blog"].map(Name::near).to_vec();
        let check = |text: &str, expected: &str| {
            let said = match choose(text, &names) {
                Ok(name) => name.to_string(),
                Err(error) => error.to_string(),
            };
            assert_eq!(said, expected);
        };
        check("shop", "shop");
        check("shop-", "shop-2");
        check("b", "blog");
        check("sh", "sh may be shop or shop-2");
        check("", "there is no machine named ");
        let error = choose("cart", &names).unwrap_err();
        assert_eq!(error.to_string(), "there is no machine named cart");
        assert_eq!(error.hint().unwrap(), "there is shop, shop-2, blog");
    }
}
