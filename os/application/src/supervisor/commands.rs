//! Commands: what the host runs beside the application, and files that it takes out or puts in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

use nodeos_sandbox::cgroup::CgroupError;
use nodeos_sandbox::log::sentence;
use nodeos_sandbox::process::{Program, Running};
use nodeos_spec::application::FOLDER;
use nodeos_spec::application::frame::streams_of;
use nodeos_spec::application::message::{End, MachineMessage, Terminal};
use nodeos_sys::error::OsError;
use rustix::process::Pid;
use thiserror::Error;

use crate::archive::{self, ArchiveError};
use crate::cgroup::Group;
use crate::identity;
use crate::launch::{self, As, LaunchError, OTHER_FAILURE};
use crate::streams::Carried;
use crate::view::Follows;

use super::{APPLICATION, KILL_PATIENCE, Supervisor};

/// More at once are refused: each takes memory that the application then lacks.
const MAX_COMMANDS: usize = 32;

/// One that runs, or has ended with something still to be told.
#[derive(Debug)]
pub(super) struct Command {
    process: Running,
    group: Group,
    pub(super) carried: Carried,
    end: Option<CommandEnd>,
    /// Of what is no program: why it failed.
    report: Option<File>,
}

#[derive(Debug, Clone, Copy)]
struct CommandEnd {
    how: End,
    /// After that nobody is left who could write more.
    until: Instant,
}

/// What the host can ask for.
#[derive(Debug)]
pub(super) enum Task {
    Run {
        argv: Vec<String>,
        env: BTreeMap<String, String>,
        terminal: Option<Terminal>,
    },
    Pack {
        path: String,
    },
    Unpack {
        path: String,
    },
    Update {
        remove: Vec<String>,
    },
}

#[derive(Debug, Error)]
enum CommandError {
    #[error("the command {number} runs already")]
    Taken { number: u32 },
    #[error("{MAX_COMMANDS} commands run already")]
    TooMany,
    #[error("the command names no program")]
    Empty,
    #[error("{FOLDER} of this machine does not change: it was not started to follow changes")]
    DoesNotFollow,
    #[error("{path} is not removed: the volume at {volume} has a part in it")]
    OfVolume { path: String, volume: String },
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

impl Command {
    pub(super) fn is(&self, pid: Pid) -> bool {
        self.end.is_none() && self.process.pid == pid
    }

    pub(super) fn process(&self) -> Option<&Running> {
        self.end.is_none().then_some(&self.process)
    }

    /// Its first process has ended, and whoever else is there of it goes with it.
    pub(super) fn ended(&mut self, how: End) {
        self.group.kill();
        self.end = Some(CommandEnd {
            how,
            until: Instant::now() + KILL_PATIENCE,
        });
    }

    /// Nobody waits for it any more.
    pub(super) fn kill(&self) {
        self.group.kill();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.end
            .map(|end| end.until)
            .filter(|until| *until > Instant::now())
    }

    fn message(&self, number: u32, how: End) -> MachineMessage {
        match self.report.as_ref().and_then(launch::failure) {
            Some(reason) => MachineMessage::CommandFailed {
                command: number,
                reason,
                code: OTHER_FAILURE,
            },
            None => MachineMessage::CommandEnded {
                command: number,
                how,
            },
        }
    }
}

impl Supervisor {
    pub(super) fn command(&mut self, number: u32, task: Task) {
        if let Err(error) = self.try_command(number, task) {
            let code = match &error {
                CommandError::Launch(error) => error.code(),
                _ => OTHER_FAILURE,
            };
            self.say(&MachineMessage::CommandFailed {
                command: number,
                reason: sentence(&error),
                code,
            });
        }
    }

    fn try_command(&mut self, number: u32, task: Task) -> Result<(), CommandError> {
        if number == APPLICATION || self.commands.contains_key(&number) {
            return Err(CommandError::Taken { number });
        }
        if self.commands.len() >= MAX_COMMANDS {
            return Err(CommandError::TooMany);
        }
        if let Task::Update { remove } = &task {
            if self.follows == Follows::No {
                return Err(CommandError::DoesNotFollow);
            }
            self.must_spare_volumes(remove)?;
        }
        let group = self.groups.make(&format!("command-{number}"))?;
        let command = match task {
            Task::Run {
                argv,
                env,
                terminal,
            } => self.run_program(number, group, &argv, env, terminal.as_ref())?,
            Task::Pack { path } => {
                let path = Path::new(&self.spec.cwd).join(path);
                self.work(number, group, As::User, || archive::pack(&path))?
            }
            Task::Unpack { path } => {
                let path = Path::new(&self.spec.cwd).join(path);
                self.work(number, group, As::User, || archive::unpack(&path))?
            }
            Task::Update { remove } => {
                self.work(number, group, As::Root, || archive::update(&remove))?
            }
        };
        self.commands.insert(number, command);
        Ok(())
    }

    /// What lasts is nobody's to remove but the application's.
    fn must_spare_volumes(&self, remove: &[String]) -> Result<(), CommandError> {
        for path in remove {
            let whole = Path::new(FOLDER).join(path);
            let mut volumes = self.spec.volumes.iter().map(|volume| &volume.path);
            let meets = |volume: &&String| {
                whole.starts_with(volume) || Path::new(volume).starts_with(&whole)
            };
            if let Some(volume) = volumes.find(meets) {
                return Err(CommandError::OfVolume {
                    path: path.clone(),
                    volume: volume.clone(),
                });
            }
        }
        Ok(())
    }

    fn run_program(
        &self,
        number: u32,
        group: Group,
        argv: &[String],
        env: BTreeMap<String, String>,
        terminal: Option<&Terminal>,
    ) -> Result<Command, CommandError> {
        let Some((path, args)) = argv.split_first() else {
            return Err(CommandError::Empty);
        };
        let mut variables = self.environment.clone();
        if let Some(terminal) = terminal {
            variables.retain(|(name, _)| name != "TERM");
            variables.push(("TERM".to_owned(), terminal.term.clone()));
        }
        identity::over(&mut variables, &env);
        let program = Program {
            path: path.into(),
            name: None,
            args: args.iter().map(Into::into).collect(),
            env: as_os(&variables),
            dir: self.spec.cwd.clone().into(),
            otherwise: None,
        };
        let (ours, theirs) = match terminal {
            Some(terminal) => self.launcher.terminal(terminal)?,
            None => self.launcher.pipes()?,
        };
        let carried = carry(number, ours)?;
        let process = self.launcher.program(&group, &program, &theirs)?;
        Ok(Command {
            process,
            group,
            carried,
            end: None,
            report: None,
        })
    }

    /// A copy of this program does it.
    fn work(
        &mut self,
        number: u32,
        group: Group,
        user: As,
        work: impl FnOnce() -> Result<(), ArchiveError>,
    ) -> Result<Command, CommandError> {
        let (ours, theirs) = self.launcher.pipes()?;
        let mut carried = carry(number, ours)?;
        let (application, commands) = (&mut self.application.carried, &mut self.commands);
        let let_go = || {
            carried.let_go();
            application.iter_mut().for_each(Carried::let_go);
            let others = commands.values_mut();
            others.for_each(|command| command.carried.let_go());
        };
        let (process, report) = self.launcher.work(&group, user, &theirs, let_go, work)?;
        Ok(Command {
            process,
            group,
            carried,
            end: None,
            report: Some(report),
        })
    }

    /// Tells the host of those that have ended and have nothing more to say.
    pub(super) fn finish_commands(&mut self) {
        let Some(link) = &mut self.link else {
            return;
        };
        let now = Instant::now();
        let mut over = Vec::new();
        for (number, command) in &mut self.commands {
            let Some(CommandEnd { how, until }) = command.end else {
                continue;
            };
            if until <= now {
                command.carried.expect_no_more();
                for output in &mut command.carried.outputs {
                    if output.interest(link).is_some() {
                        output.read(link, &mut self.buffer);
                    }
                }
            }
            if command.carried.is_over() {
                command.carried.end(link);
                link.say(&command.message(*number, how));
                over.push(*number);
            }
        }
        for number in over {
            self.commands.remove(&number);
        }
    }
}

fn carry(number: u32, ours: launch::Ours) -> Result<Carried, CommandError> {
    Carried::new(streams_of(number), ours).map_err(|errno| {
        CommandError::Launch(LaunchError::Streams {
            source: OsError(errno),
        })
    })
}

pub(super) fn as_os(variables: &[(String, String)]) -> Vec<(OsString, OsString)> {
    variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}
