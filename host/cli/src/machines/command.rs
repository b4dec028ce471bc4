//! What is run in a machine beside its application, until it ends.

use nodeos_spec::application::message::End;
use thiserror::Error;

use crate::exit::Exit;
use crate::machines::connection::TalkError;
use crate::machines::conversation::{Conversation, Happening};
use crate::machines::protocol::MonitorMessage;
use crate::output::errors::Failure;
use crate::output::streams::WriteOutputError;

/// The exit code where a command was not even tried (env(1)).
pub const OTHER: u8 = 125;

/// What is killed ends with this exit code: 128 and the number of SIGKILL.
pub const KILLED: u8 = 137;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    How(End),
    /// Nobody takes what it writes, which is their right.
    Deaf,
}

/// It was not run to its end.
#[derive(Debug, Error)]
pub enum RunCommandError {
    #[error("{reason}")]
    Failed { reason: String },
    #[error("the machine has ended")]
    MachineEnded,
}

/// Waits for its end. What happens besides is told to `notice`.
///
/// # Errors
/// A failure with the exit code that says why it did not end by itself.
pub fn follow(
    mut conversation: Conversation,
    mut notice: impl FnMut(&Happening, &Conversation) -> Result<(), TalkError>,
) -> Result<Ended, Failure> {
    let lost = || Failure::new(RunCommandError::MachineEnded).exit(Exit::Program(KILLED));
    let how = loop {
        let happening = conversation.hear();
        notice(&happening, &conversation)?;
        match happening {
            Happening::Message(MonitorMessage::CommandEnded { how }) => break how,
            Happening::Message(MonitorMessage::CommandFailed { reason, code }) => {
                conversation.finish();
                let failure = Failure::new(RunCommandError::Failed { reason });
                return Err(failure.exit(Exit::Program(code)));
            }
            Happening::Message(MonitorMessage::Over { .. }) | Happening::Gone(None) => {
                return Err(lost());
            }
            Happening::Gone(Some(error)) => return Err(error.into()),
            // The monitor ends the command when we are gone.
            Happening::CannotWrite(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                return Ok(Ended::Deaf);
            }
            Happening::CannotWrite(error) => return Err(WriteOutputError(error).into()),
            Happening::Message(_) | Happening::Signal(_) | Happening::Woken => {}
        }
    };
    match conversation.finish().failed {
        Some(error) => Err(WriteOutputError(error).into()),
        None => Ok(Ended::How(how)),
    }
}
