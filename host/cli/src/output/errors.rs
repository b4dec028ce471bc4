//! How a failure reaches the user: once, at the edge, as `error:` / `caused by:` / `hint:`.

use std::error::Error;
use std::fmt::Write;
use std::io;

use nodeos_build::application::PrepareApplicationError;
use nodeos_build::assemble::BuildError;
use nodeos_build::cache::CacheError;

use crate::ca_bundle::ReadBundleError;
use crate::chart::measure::MeasureError;
use crate::exit::Exit;
use crate::foreground::RunForegroundError;
use crate::host_vm::CheckPortError;
use crate::interrupt::{HandleSignalsError, InterruptedError};
use crate::output::streams::WriteOutputError;
use crate::plan::PlanError;
use crate::source::FindSourceError;

/// Why a command did not do what was asked, and what can be done about it.
#[derive(Debug)]
pub struct Failure {
    /// The code that the command ends with.
    pub exit: Exit,
    /// What happened, with its causes as sources.
    pub error: Box<dyn Error + Send + Sync>,
    /// What the user can do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with exit code 1 and no advice.
    pub fn new(error: impl Error + Send + Sync + 'static) -> Failure {
        Failure {
            exit: Exit::Failed,
            error: Box::new(error),
            hint: None,
        }
    }

    /// The same failure with another exit code.
    pub fn exit(self, exit: Exit) -> Failure {
        Failure { exit, ..self }
    }

    /// The same failure with advice.
    pub fn hint(self, hint: Option<String>) -> Failure {
        Failure { hint, ..self }
    }

    /// True where the reader of our output went away, which is its right: `nodeos cache list | head -1`.
    pub fn is_closed_pipe(&self) -> bool {
        self.error
            .downcast_ref::<WriteOutputError>()
            .is_some_and(|WriteOutputError(error)| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The text for standard error, without a line end.
    pub fn report(&self) -> String {
        let mut text = format!("error: {}", self.error);
        let mut next = self.error.source();
        while let Some(cause) = next {
            let _ = write!(text, "\ncaused by: {cause}");
            next = cause.source();
        }
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\nhint: {hint}");
        }
        text
    }
}

impl From<WriteOutputError> for Failure {
    fn from(error: WriteOutputError) -> Failure {
        Failure::new(error)
    }
}

impl From<HandleSignalsError> for Failure {
    fn from(error: HandleSignalsError) -> Failure {
        Failure::new(error)
    }
}

impl From<InterruptedError> for Failure {
    fn from(error: InterruptedError) -> Failure {
        let hint = error.hint();
        Failure::new(error).exit(Exit::Interrupted).hint(hint)
    }
}

impl From<RunForegroundError> for Failure {
    fn from(error: RunForegroundError) -> Failure {
        Failure::new(error)
    }
}

impl From<MeasureError> for Failure {
    fn from(error: MeasureError) -> Failure {
        let exit = match error {
            MeasureError::ToldToEnd => Exit::Interrupted,
            _ => Exit::Failed,
        };
        Failure::new(error).exit(exit)
    }
}

impl From<CheckPortError> for Failure {
    fn from(error: CheckPortError) -> Failure {
        let hint = error.hint();
        Failure::new(error).hint(hint)
    }
}

impl From<ReadBundleError> for Failure {
    fn from(error: ReadBundleError) -> Failure {
        let hint = error.hint();
        Failure::new(error).hint(hint)
    }
}

impl From<FindSourceError> for Failure {
    fn from(error: FindSourceError) -> Failure {
        let hint = error.hint();
        Failure::new(error).hint(hint)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Failure {
        let exit = if error.is_usage() {
            Exit::Usage
        } else {
            Exit::Failed
        };
        let hint = error.hint();
        Failure::new(error).exit(exit).hint(hint)
    }
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Failure {
        let exit = if error.is_cancelled() {
            Exit::Interrupted
        } else {
            Exit::Failed
        };
        let hint = error.hint();
        Failure::new(error).exit(exit).hint(hint)
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Failure {
        let exit = match (error.is_cancelled(), error.is_missing_machinery()) {
            (true, _) => Exit::Interrupted,
            (false, true) => Exit::MachineryMissing,
            (false, false) => Exit::Failed,
        };
        let hint = error.hint();
        Failure::new(error).exit(exit).hint(hint)
    }
}

impl From<PrepareApplicationError> for Failure {
    fn from(error: PrepareApplicationError) -> Failure {
        let exit = match (error.is_cancelled(), error.is_missing_machinery()) {
            (true, _) => Exit::Interrupted,
            (false, true) => Exit::MachineryMissing,
            (false, false) => Exit::Failed,
        };
        let hint = error.hint();
        Failure::new(error).exit(exit).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read {name}")]
    struct ReadError {
        name: &'static str,
        #[source]
        source: io::Error,
    }

    #[test]
    fn the_chain_is_printed_once_and_the_hint_last() {
        let error = ReadError {
            name: "inputs.toml",
            source: io::Error::other("the disk is on fire"),
        };
        let failure = Failure::new(error).hint(Some("put it out".to_owned()));
        assert_eq!(
            failure.report(),
            "error: cannot read inputs.toml\ncaused by: the disk is on fire\nhint: put it out"
        );
    }

    #[test]
    fn only_a_broken_pipe_is_a_closed_pipe() {
        let failure = |kind: io::ErrorKind| Failure::from(WriteOutputError(kind.into()));
        assert!(failure(io::ErrorKind::BrokenPipe).is_closed_pipe());
        assert!(!failure(io::ErrorKind::StorageFull).is_closed_pipe());
    }
}
