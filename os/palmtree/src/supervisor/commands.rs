//! What `svc` asks for.

use std::time::Instant;

use nodeos_spec::control::{Answer, Command};
use nodeos_spec::service::Service;

use super::Supervisor;
use crate::clients::ClientId;
use crate::config::{self, Problem};
use crate::logs;
use crate::reload;
use crate::sentence::sentence;
use crate::tail;
use crate::unit::{Awaited, Goal, Handle, Phase, UnitId};

/// The names of the logs that are no service's.
const OWN_LOGS: [&str; 2] = ["palmtree", "init"];

impl Supervisor<'_> {
    pub(super) fn obey(&mut self, client: ClientId, command: Command) {
        let starts = !matches!(
            command,
            Command::List | Command::Stop { .. } | Command::Logs { .. }
        );
        if starts && self.stopping.is_some() {
            return self.refuse(client, "the session is ending".to_owned());
        }
        match command {
            Command::List => {
                let answer = self.list();
                self.clients.send(client, &answer);
            }
            Command::Start { name } => self.start_for(client, &name),
            Command::Stop { name } => self.stop_for(client, &name),
            Command::Restart { name } => self.restart_for(client, &name),
            Command::Reload => match self.reload() {
                Ok(()) => self.clients.send(client, &Answer::Done),
                Err(message) => self.refuse(client, message),
            },
            Command::Logs {
                name,
                lines,
                follow,
            } => self.show_logs(client, &name, lines, follow),
        }
    }

    fn list(&self) -> Answer {
        let now = Instant::now();
        Answer::Services {
            services: self.units.iter().map(|unit| unit.state(now)).collect(),
            problems: self
                .problems
                .iter()
                .map(|problem| problem.text.clone())
                .collect(),
        }
    }

    fn start_for(&mut self, client: ClientId, name: &str) {
        let Some(id) = self.named(client, name) else {
            return;
        };
        let Some(unit) = self.unit(id) else { return };
        unit.waiting.push((client, Awaited::Running));
        match unit.phase {
            // One of the broker's runs when the broker says so.
            Phase::Running {
                handle: Handle::Brokered(_, None),
            } => {}
            Phase::Running { .. } => self.answer(id),
            _ => self.restart(id),
        }
    }

    fn stop_for(&mut self, client: ClientId, name: &str) {
        if let Some(id) = self.named(client, name) {
            if let Some(unit) = self.unit(id) {
                unit.waiting.push((client, Awaited::Stopped));
            }
            self.end(id, Goal::Down);
        }
    }

    fn restart_for(&mut self, client: ClientId, name: &str) {
        if let Some(id) = self.named(client, name) {
            if let Some(unit) = self.unit(id) {
                unit.waiting.push((client, Awaited::Running));
            }
            self.restart(id);
        }
    }

    /// Reads the file again, and does what has changed. Says what cannot be done; the rest is done.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        let config = match config::read(&self.paths.config, self.uid) {
            Ok(config) => config,
            Err(error) => {
                let text = sentence(&error);
                self.take_problems(vec![Problem {
                    name: None,
                    text: text.clone(),
                }]);
                return Err(format!("{text}: nothing has been changed"));
            }
        };
        if self.stopping.is_some() {
            return Ok(());
        }
        let old: Vec<Service> = self
            .units
            .iter()
            .filter(|unit| unit.goal != Goal::Gone)
            .map(|unit| unit.replacement.as_ref().unwrap_or(&unit.service).clone())
            .collect();
        let broken: Vec<String> = config
            .problems
            .iter()
            .filter_map(|problem| problem.name.clone())
            .collect();
        for change in reload::changes(&old, &config.services, &broken) {
            self.change(change);
        }
        self.put_in_order(&config.services);
        self.take_problems(config.problems);
        if self.problems.is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = self
            .problems
            .iter()
            .map(|problem| problem.text.as_str())
            .collect();
        Err(texts.join("\n"))
    }

    /// The order of the file decides in which one they are stopped.
    fn put_in_order(&mut self, services: &[Service]) {
        self.units.sort_by_key(|unit| {
            let place = services
                .iter()
                .position(|service| service.name == unit.service.name);
            place.unwrap_or(usize::MAX)
        });
    }

    fn show_logs(&mut self, client: ClientId, name: &str, lines: u64, follow: bool) {
        let logs = if OWN_LOGS.contains(&name) {
            vec![self.paths.log_of(name)]
        } else {
            let Some(id) = self.named(client, name) else {
                return;
            };
            let Some(service) = self.unit(id).map(|unit| unit.service.clone()) else {
                return;
            };
            self.logs_of(&service)
        };
        if logs.is_empty() {
            return self.refuse(
                client,
                format!("{name} has no log: its file says so in stdio"),
            );
        }
        self.take_all_output();
        let mut text = String::new();
        for log in &logs {
            if logs.len() > 1 {
                text.push_str(&format!("==> {} <==\n", log.display()));
            }
            let whole = logs::read(log);
            text.push_str(&String::from_utf8_lossy(tail::last_lines(&whole, lines)));
        }
        let parts = tail::parts(&text);
        for part in parts {
            let text = part.to_owned();
            self.clients
                .send(client, &Answer::Text { text, more: true });
        }
        if follow {
            self.clients.follow(client, logs);
        } else {
            let end = Answer::Text {
                text: String::new(),
                more: false,
            };
            self.clients.send(client, &end);
        }
    }

    /// The service that is called so. Without one the client is told why.
    fn named(&mut self, client: ClientId, name: &str) -> Option<UnitId> {
        let found = self
            .units
            .iter()
            .find(|unit| unit.service.name == name && unit.goal != Goal::Gone)
            .map(|unit| unit.id);
        if found.is_none() {
            let problem = self
                .problems
                .iter()
                .find(|problem| problem.name.as_deref() == Some(name));
            let message = match problem {
                Some(problem) => problem.text.clone(),
                None => format!("there is no service {name}"),
            };
            self.refuse(client, message);
        }
        found
    }

    fn refuse(&mut self, client: ClientId, message: String) {
        self.clients.send(client, &Answer::Failed { message });
    }
}
