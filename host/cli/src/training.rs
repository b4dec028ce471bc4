//! The first start of an application, whose only purpose is that Node.js compiles what it loads: in a machine of the very images,
//! without a network, without volumes, and without anybody who sees it.
//!
//! What it has compiled is handed over when it has been told to end. Its machine stays for that, because it is one whose
//! application is to be started again.

mod machine;

use std::path::Path;
use std::time::{Duration, Instant};

use nodeos_build::application::compile_cache::{self, Trained, Training};
use nodeos_build::application::{Application, LayerImage, PrepareApplicationError};
use nodeos_build::assemble::Bare;
use nodeos_build::assemble::image::machine_root;
use nodeos_build::context::Context;
use nodeos_build::recipe::RootKind;
use nodeos_build::tool;
use nodeos_spec::application::message::{End, HostMessage, MachineMessage};
use nodeos_vm::machine::{Machine, MappedImage, Network};
use rustix::process::Signal;

use crate::host_vm::HostVm;
use machine::{TalkToMachineError, TrainingMachine};
use nodeos_build::sentence::sentence;

/// What the machine has of memory, in MiB: enough for applications that are given more than most.
const MEMORY_MIB: u32 = 512;
/// The same where the system itself lies in it.
const INITRAMFS_MEMORY_MIB: u32 = 768;
/// Until the application runs: a boot takes seconds where everything is emulated.
const BOOT: Duration = Duration::from_secs(60);
/// An application that is not done with loading after this is stopped, and has compiled what it has.
const LONGEST: Duration = Duration::from_secs(60);
/// Between two looks at its processor time.
const PAUSE: Duration = Duration::from_millis(500);
/// It is quiet while it takes less than this share of a processor.
const QUIET: f64 = 0.1;
/// How many quiet looks in a row mean that it is done with loading: when it listens, and when nobody knows.
const LOOKS_WHEN_READY: u32 = 1;
const LOOKS_OTHERWISE: u32 = 4;
/// Ends the application: what is loaded before it listens to this signal. SIGTERM is what people ask an application to end with,
/// and then the machine ends, too.
const END: Signal = Signal::USR2;
/// From that to KILL: what has been compiled is written at once, and what an application does beyond that is of no interest.
const GRACE: Duration = Duration::from_secs(5);
/// To be gone, and to hand over a folder of a few MiB.
const ANSWER: Duration = Duration::from_secs(30);
/// The number of the command that hands the folder over.
const PACK: u32 = 1;

/// What a training is made with.
#[derive(Debug)]
pub struct Trainer<'a> {
    pub context: &'a Context,
    pub host: &'a HostVm,
    pub root: RootKind,
    pub system: &'a Bare,
    /// The application's ports, where the command line has other ones than package.json.
    pub ports: Vec<u16>,
}

impl Trainer<'_> {
    /// Sees to it that the application starts warm, where it is one that gains by that.
    ///
    /// # Errors
    /// Only where the user wants to stop.
    pub fn warm_up(&self, application: &mut Application) -> Result<(), PrepareApplicationError> {
        let layers: Vec<MappedImage> = application.layers().map(mapped).collect();
        compile_cache::provide(self.context, application, |training| {
            self.train(training, layers)
        })
    }

    fn train(&self, training: &Training, layers: Vec<MappedImage>) -> Trained {
        let (log, path) = match tool::open_log(self.context, &training.label) {
            Ok(opened) => opened,
            Err(error) => return failed(&error, None),
        };
        let mut training_machine = match TrainingMachine::start(
            self.context,
            self.machine(training, layers),
            &self.orders(training),
            log,
        ) {
            Ok(started) => started,
            Err(error) => return failed(&error, Some(&path)),
        };
        match attend(&mut training_machine, training.folder) {
            Ok(archive) => Trained::Archive(archive),
            Err(TalkToMachineError::Cancelled) => Trained::Cancelled,
            Err(error) => failed(&error, Some(&path)),
        }
    }

    fn memory_mib(&self) -> u32 {
        match self.root {
            RootKind::Initramfs => INITRAMFS_MEMORY_MIB,
            RootKind::Pmem | RootKind::Disk => MEMORY_MIB,
        }
    }

    fn machine(&self, training: &Training, layers: Vec<MappedImage>) -> Machine {
        let system = self.system;
        let root = machine_root(self.root, &system.system, system.system_bytes);
        let mut machine = Machine::new(system.kernel.clone(), root);
        machine.accel = self.host.accel;
        machine.memory_mib = self.memory_mib();
        machine.layers = [mapped(&training.preload)]
            .into_iter()
            .chain(layers)
            .collect();
        machine.network = Network::ForPorts;
        machine
    }

    fn orders(&self, training: &Training) -> String {
        let mut spec = training.spec.clone();
        if !self.ports.is_empty() {
            spec.ports.clone_from(&self.ports);
        }
        spec.to_json()
    }
}

/// An image as a machine has it.
pub fn mapped(layer: &LayerImage) -> MappedImage {
    MappedImage {
        image: layer.path.clone(),
        size: layer.bytes,
    }
}

fn failed(error: &dyn std::error::Error, log: Option<&Path>) -> Trained {
    let mut reason = sentence(error);
    if let Some(log) = log.map(Path::display) {
        reason.push_str(&format!(" ({log} has what it wrote)"));
    }
    Trained::Failed { reason }
}

/// Waits for the application to have loaded what it loads, ends it, and takes the folder out.
fn attend(machine: &mut TrainingMachine<'_>, folder: &str) -> Result<Vec<u8>, TalkToMachineError> {
    wait_for_start(machine)?;
    if !has_ended_by_itself(machine)? {
        end(machine)?;
    }
    machine.tell(&HostMessage::Pack {
        command: PACK,
        path: folder.to_owned(),
    });
    machine.keep_output_of(PACK);
    let deadline = Instant::now() + ANSWER;
    loop {
        match machine.hear(deadline)? {
            Some(MachineMessage::CommandEnded {
                command: PACK,
                how: End::Code(0),
            }) => return Ok(machine.take_output()),
            Some(MachineMessage::CommandEnded { command: PACK, .. }) | None => {
                return Err(TalkToMachineError::NotHandedOver);
            }
            Some(MachineMessage::CommandFailed { reason, .. }) => {
                return Err(TalkToMachineError::NothingKept { reason });
            }
            Some(_) => {}
        }
    }
}

fn wait_for_start(machine: &mut TrainingMachine<'_>) -> Result<(), TalkToMachineError> {
    let deadline = Instant::now() + BOOT;
    loop {
        match machine.hear(deadline)? {
            Some(MachineMessage::Started) => return Ok(()),
            Some(MachineMessage::NotStarted { reason }) => {
                return Err(TalkToMachineError::NotStarted { reason });
            }
            Some(_) => {}
            None => return Err(TalkToMachineError::Silent { waited: BOOT }),
        }
    }
}

/// Returns when the application has ended, and false when it is done with loading or has had its time.
fn has_ended_by_itself(machine: &mut TrainingMachine<'_>) -> Result<bool, TalkToMachineError> {
    let end = Instant::now() + LONGEST;
    let mut quiet = Quiet::default();
    while Instant::now() < end {
        machine.tell(&HostMessage::Stats);
        let next_look = Instant::now() + PAUSE;
        while let Some(message) = machine.hear(next_look)? {
            match message {
                MachineMessage::Ended { .. } => return Ok(true),
                MachineMessage::Ready { .. } => quiet.is_ready = true,
                MachineMessage::Stats(stats) => quiet.look(stats.uptime_ms, stats.cpu_us),
                _ => {}
            }
        }
        if quiet.is_done() {
            return Ok(false);
        }
    }
    Ok(false)
}

fn end(machine: &mut TrainingMachine<'_>) -> Result<(), TalkToMachineError> {
    for (signal, patience) in [(END, GRACE), (Signal::KILL, ANSWER)] {
        machine.tell(&HostMessage::Signal {
            command: 0,
            signal: signal.as_raw(),
        });
        let deadline = Instant::now() + patience;
        while let Some(message) = machine.hear(deadline)? {
            if matches!(message, MachineMessage::Ended { .. }) {
                return Ok(());
            }
        }
    }
    Err(TalkToMachineError::DoesNotEnd)
}

/// Whether an application still has something to do.
#[derive(Debug, Default)]
struct Quiet {
    is_ready: bool,
    looks: u32,
    /// Of the look before: the machine's clock, and the application's processor time.
    last: Option<(u64, u64)>,
}

impl Quiet {
    fn look(&mut self, uptime_ms: u64, cpu_us: u64) {
        let Some((before_ms, before_us)) = self.last.replace((uptime_ms, cpu_us)) else {
            return;
        };
        let passed_us = uptime_ms.saturating_sub(before_ms) as f64 * 1000.0;
        let used_us = cpu_us.saturating_sub(before_us) as f64;
        match used_us < passed_us * QUIET {
            true => self.looks += 1,
            false => self.looks = 0,
        }
    }

    fn is_done(&self) -> bool {
        let enough = match self.is_ready {
            true => LOOKS_WHEN_READY,
            false => LOOKS_OTHERWISE,
        };
        self.looks >= enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_and_is_quiet_is_done_and_who_computes_is_not() {
        let mut quiet = Quiet {
            is_ready: true,
            ..Quiet::default()
        };
        quiet.look(1000, 900_000);
        quiet.look(1500, 1_300_000);
        assert!(!quiet.is_done());
        quiet.look(2000, 1_310_000);
        assert!(quiet.is_done());
    }

    #[test]
    fn who_does_not_listen_has_to_be_quiet_for_longer() {
        let mut quiet = Quiet::default();
        (0..4).for_each(|look| quiet.look(look * 500, 7));
        assert!(!quiet.is_done());
        quiet.look(2000, 7);
        assert!(quiet.is_done());
        quiet.look(2500, 400_000);
        assert!(!quiet.is_done(), "it has begun again");
    }
}
