//! One boot with a stop watch: reads init's marks and the prompt from the console, then ends the machine.

use std::io;
use std::time::{Duration, Instant};

use nodeos_spec::cmdline;
use nodeos_vm::console::ExpectError;
use nodeos_vm::machine::Machine;
use nodeos_vm::vm::{BootError, Vm};
use thiserror::Error;

use crate::chart::{Goal, Observed};
use crate::ender::Ender;

/// A boot under emulation takes some three seconds, ten on a busy host. After a minute it will not come any more.
const BOOT_DEADLINE: Duration = Duration::from_secs(60);

/// How long the machine may take to power off after the prompt was left: init's grace period twice over.
const POWER_OFF_DEADLINE: Duration = Duration::from_secs(10);

/// Why a boot could not be measured.
#[derive(Debug, Error)]
pub enum MeasureError {
    #[error("the machine was ended, as a signal asked for")]
    ToldToEnd,
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    #[error("cannot start the machine")]
    Boot(#[source] BootError),
    #[error("the machine did not get to {stage} within {} s", BOOT_DEADLINE.as_secs())]
    Stage {
        stage: &'static str,
        #[source]
        source: ExpectError,
    },
    #[error("init's mark {text:?} is not a number of seconds")]
    Mark { text: String },
    #[error("the machine did not power off after its prompt was left")]
    PowerOff {
        #[source]
        source: ExpectError,
    },
}

/// Boots the machine, which must have its console on pipes and the chart's word on its command line, and ends it. One that
/// asks for a name has its plug pulled, so its disks must not be anybody's.
pub fn measure(machine: &Machine, goal: Goal) -> Result<Observed, MeasureError> {
    let started = Instant::now();
    let deadline = started + BOOT_DEADLINE;
    let mut vm = Vm::boot(machine).map_err(MeasureError::Boot)?;
    let ender = Ender::watch(vm.pid()).map_err(MeasureError::Signals)?;
    let observed = observe(&mut vm, goal, started, deadline);
    if ender.was_told() {
        Err(MeasureError::ToldToEnd)
    } else {
        observed
    }
}

fn observe(
    vm: &mut Vm,
    goal: Goal,
    started: Instant,
    deadline: Instant,
) -> Result<Observed, MeasureError> {
    let (init_at, init_guest) = mark(vm, "init", deadline)?;
    let (program_at, program_guest) = mark(vm, "program", deadline)?;
    let prompt_at = expect(vm, goal.text(), goal.name(), deadline)?;
    if goal == Goal::NodePrompt {
        let _ = vm.console.send(".exit\n");
        vm.wait(POWER_OFF_DEADLINE)
            .map_err(|source| MeasureError::PowerOff { source })?;
    }
    Ok(Observed {
        init_host: init_at - started,
        init_guest,
        program_host: program_at - started,
        program_guest,
        prompt_host: prompt_at - started,
    })
}

/// When the mark of that stage arrived, and the guest's time that stands in it.
fn mark(
    vm: &mut Vm,
    stage: &'static str,
    deadline: Instant,
) -> Result<(Instant, Duration), MeasureError> {
    let at = expect(vm, &format!("{} {stage} ", cmdline::MARK), stage, deadline)?;
    let left = deadline.saturating_duration_since(Instant::now());
    let text = vm
        .console
        .expect("\n", left)
        .map_err(|source| MeasureError::Stage { stage, source })?;
    Ok((
        at,
        seconds(&text).ok_or_else(|| MeasureError::Mark {
            text: text.trim().to_owned(),
        })?,
    ))
}

fn expect(
    vm: &mut Vm,
    text: &str,
    stage: &'static str,
    deadline: Instant,
) -> Result<Instant, MeasureError> {
    let left = deadline.saturating_duration_since(Instant::now());
    vm.console
        .expect_timed(text, left)
        .map_err(|source| MeasureError::Stage { stage, source })
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_seconds() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(
                seconds(text),
                expected.map(Duration::from_millis),
                "{text:?}"
            );
        };
        check("0.382\r", Some(382));
        check(" 12 ", Some(12_000));
        for bad in ["", "-1", "NaN", "inf", "1e300", "0.3 s"] {
            check(bad, None);
        }
    }
}
