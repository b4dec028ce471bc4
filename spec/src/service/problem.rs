//! What is wrong with an entry of a `palmtree.json` whose other entries can be started.

use alloc::string::String;
use core::fmt;

use thiserror::Error;

use crate::program::ProgramError;
use crate::service::MAX_NAME;

/// An entry of the file that cannot be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceProblem {
    /// Which of the file's entries it is, counted from 0.
    pub index: usize,
    /// Its name, if that much of it can be read.
    pub name: Option<String>,
    /// The line, counted from 1, where it is wrong or else where it begins.
    pub line: usize,
    pub error: ServiceError,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServiceError {
    #[error("{message}")]
    Json { message: String },
    #[error("the command is an empty text")]
    EmptyCommand,
    #[error(
        "{name:?} cannot be the name of a service: it may have up to {MAX_NAME} letters, digits, _, . , @ and -, and begins with none of . and -"
    )]
    Name { name: String },
    #[error("there is another service {name:?} before it")]
    Duplicate { name: String },
    #[error("{key} {path:?} does not begin with /")]
    RelativePath { key: &'static str, path: String },
    #[error(transparent)]
    Program(#[from] ProgramError),
}

impl fmt::Display for ServiceProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "palmtree.json, line {}: service ", self.line)?;
        match &self.name {
            Some(name) => write!(f, "{name:?}")?,
            None => write!(f, "number {}", self.index + 1)?,
        }
        write!(f, ": {}", self.error)
    }
}
