//! What people are told of a machine's end.

use nodeos_spec::application::message::End;
use thiserror::Error;

use crate::exit::Exit;
use crate::machines::protocol::Ending;
use crate::output::errors::Failure;
use crate::output::size;
use crate::output::streams::Streams;

/// A machine ended, and not because its application did.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MachineEndedError {
    #[error("{reason}")]
    NotStarted { reason: String },
    #[error("the machine was ended at once, as somebody asked for")]
    Killed,
    #[error("{reason}")]
    Failed { reason: String },
    #[error("the machine's monitor was killed, and the machine with it")]
    Lost,
}

/// How a program ended, as people read it.
pub fn describe(how: End) -> String {
    match how {
        End::Code(code) => format!("exit code {code}"),
        End::Signal(signal) => signal_hook::low_level::signal_name(signal)
            .map_or_else(|| format!("signal {signal}"), str::to_owned),
    }
}

/// The same of a machine, in a few words for a table.
pub fn in_short(ending: &Ending) -> String {
    match ending {
        Ending::Application {
            how,
            out_of_memory: true,
            ..
        } => format!("{}, out of memory", describe(*how)),
        Ending::Application { how, .. } => describe(*how),
        Ending::NotStarted { .. } => "not started".to_owned(),
        Ending::Killed => "ended at once".to_owned(),
        Ending::Failed { .. } => "failed".to_owned(),
        Ending::Lost => "lost".to_owned(),
    }
}

/// What is to be said of an application that ended because there was no memory left.
pub fn lack_of_memory(ending: &Ending) -> Option<String> {
    let Ending::Application {
        out_of_memory: true,
        memory_peak,
        memory_limit,
        ..
    } = ending
    else {
        return None;
    };
    let (peak, limit) = (size::bytes(*memory_peak), size::bytes(*memory_limit));
    Some(format!(
        "error: there was no memory left for the application: it had up to {peak} of {limit}\n\
         hint: give the machine more with --memory"
    ))
}

/// What a command ends with that waited for the machine. What has to be said besides is written to standard error.
pub fn outcome(ending: &Ending, streams: &Streams) -> Result<Exit, Failure> {
    let failure = match ending {
        Ending::Application { how, .. } => {
            if let Some(text) = lack_of_memory(ending) {
                streams.err.line(&text);
            }
            return Ok(Exit::Program(how.exit_code()));
        }
        Ending::NotStarted { reason } => Failure::new(MachineEndedError::NotStarted {
            reason: reason.clone(),
        }),
        Ending::Killed => Failure::new(MachineEndedError::Killed),
        Ending::Failed { reason, tail, hint } => {
            if !tail.is_empty() {
                streams.err.line(tail);
            }
            let memory = || {
                let is_lacking = tail.contains("Out of memory");
                is_lacking.then(|| "give the machine more memory with --memory".to_owned())
            };
            let hint = hint.clone().or_else(memory);
            let reason = reason.clone();
            Failure::new(MachineEndedError::Failed { reason }).hint(hint)
        }
        Ending::Lost => Failure::new(MachineEndedError::Lost),
    };
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_in_a_few_words() {
        let application = |how: End, out_of_memory: bool| Ending::Application {
            how,
            out_of_memory,
            memory_peak: 2,
            memory_limit: 1,
        };
        let check = |ending: Ending, expected: &str| assert_eq!(in_short(&ending), expected);
        check(application(End::Code(3), false), "exit code 3");
        check(application(End::Signal(9), true), "SIGKILL, out of memory");
        check(application(End::Signal(63), false), "signal 63");
        check(Ending::Lost, "lost");
    }
}
