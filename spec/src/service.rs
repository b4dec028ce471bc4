//! `/etc/palmtree.json` of a home: the services that its session runs.

pub mod problem;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::capability::Capability;
use crate::program;
use crate::service::problem::{ServiceError, ServiceProblem};

/// Where the file lies in a home.
pub const PATH: &str = "/etc/palmtree.json";

/// A service that lives shorter is restarted with growing delay: the original's two seconds.
pub const DEFAULT_MIN_UPTIME: Duration = Duration::from_millis(2000);

/// The longest name: it becomes a file's, with `.log.1` behind it, and a column of a table.
pub const MAX_NAME: usize = 64;

/// What stands in `stdio` for "where palmtree's own goes" and for "nowhere".
const INHERIT: &str = "inherit";
const IGNORE: &str = "ignore";

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// Those that can be started, in the file's order.
    pub services: Vec<Service>,
    /// One for each of the others.
    pub problems: Vec<ServiceProblem>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    /// A path, or a name that is looked for in `PATH`.
    pub command: String,
    pub args: Vec<String>,
    /// A service that ends after less time is started again with growing delay.
    pub min_uptime: Duration,
    /// Whether it is started without being asked for.
    pub enabled: bool,
    pub stdout: Output,
    pub stderr: Output,
    /// Over the session's own environment.
    pub env: BTreeMap<String, String>,
    /// The folder it starts in; none is the session's own.
    pub cwd: Option<String>,
    /// What it may do beyond a user's rights. Only root's services may have any.
    pub capabilities: Vec<Capability>,
    pub restart: Restart,
}

/// Where what a service writes goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// To the service's own file among the logs, `/log/NAME.log`, which is kept short by rotation.
    Log,
    /// To the end of this file, which is kept short in the same way.
    File(String),
    /// Where palmtree's own output goes.
    Inherit,
    /// Nowhere.
    Ignore,
}

/// Whether a service that has ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    #[default]
    Always,
    /// Unless it ended with code 0.
    OnFailure,
    Never,
}

/// Why a text is not a `palmtree.json` at all. The source says line and column.
#[derive(Debug, Error)]
#[error("palmtree.json is not what it should be")]
pub struct ParseServicesError(#[source] pub serde_json::Error);

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "an object with a command"
)]
struct RawService {
    command: String,
    name: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    min_uptime: Option<u64>,
    enabled: Option<bool>,
    #[serde(default)]
    stdio: RawStdio,
    #[serde(default)]
    env: BTreeMap<String, String>,
    cwd: Option<String>,
    #[serde(default)]
    capabilities: Vec<Capability>,
    #[serde(default)]
    restart: Restart,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStdio {
    stdout: Option<String>,
    stderr: Option<String>,
}

/// As much of an entry as tells which one it is.
#[derive(Deserialize)]
struct RawName {
    name: Option<String>,
    command: Option<String>,
}

/// Reads the text of a `palmtree.json`. What is no array of entries is an error; an entry that is wrong is a problem of its
/// own, and the others are there.
pub fn parse(text: &str) -> Result<Services, ParseServicesError> {
    let entries: Vec<&RawValue> = serde_json::from_str(text).map_err(ParseServicesError)?;
    let mut found = Services::default();
    for (index, entry) in entries.into_iter().enumerate() {
        let begin = line_of(text, entry);
        let parsed = match serde_json::from_str::<RawService>(entry.get()) {
            Ok(raw) => Service::try_from(raw).map_err(|error| (begin, error)),
            Err(error) => Err((begin + error.line().saturating_sub(1), said(&error))),
        };
        let unique = parsed.and_then(|service| {
            if found
                .services
                .iter()
                .any(|other| other.name == service.name)
            {
                let name = service.name;
                return Err((begin, ServiceError::Duplicate { name }));
            }
            Ok(service)
        });
        match unique {
            Ok(service) => found.services.push(service),
            Err((line, error)) => found.problems.push(ServiceProblem {
                index,
                name: name_of(entry),
                line,
                error,
            }),
        }
    }
    Ok(found)
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Restart::Always => "always",
            Restart::OnFailure => "on-failure",
            Restart::Never => "never",
        })
    }
}

impl TryFrom<RawService> for Service {
    type Error = ServiceError;

    fn try_from(raw: RawService) -> Result<Service, ServiceError> {
        if raw.command.is_empty() {
            return Err(ServiceError::EmptyCommand);
        }
        program::check_text("the command", &raw.command)?;
        program::check_args(&raw.args)?;
        program::check_env(&raw.env)?;
        let name = raw
            .name
            .unwrap_or_else(|| file_name(&raw.command).to_owned());
        if !is_name(&name) {
            return Err(ServiceError::Name { name });
        }
        if let Some(cwd) = &raw.cwd {
            check_path("cwd", cwd)?;
        }
        Ok(Service {
            stdout: output("stdout", raw.stdio.stdout)?,
            stderr: output("stderr", raw.stdio.stderr)?,
            name,
            command: raw.command,
            args: raw.args,
            min_uptime: raw
                .min_uptime
                .map_or(DEFAULT_MIN_UPTIME, Duration::from_millis),
            enabled: raw.enabled.unwrap_or(true),
            env: raw.env,
            cwd: raw.cwd,
            capabilities: raw.capabilities,
            restart: raw.restart,
        })
    }
}

/// Whether a text can be a service's name: a file's, a word of a command line and of a table.
pub fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte))
}

fn output(key: &'static str, given: Option<String>) -> Result<Output, ServiceError> {
    match given.as_deref() {
        None => Ok(Output::Log),
        Some(INHERIT) => Ok(Output::Inherit),
        Some(IGNORE) => Ok(Output::Ignore),
        Some(path) => {
            check_path(key, path)?;
            Ok(Output::File(path.to_owned()))
        }
    }
}

fn check_path(key: &'static str, path: &str) -> Result<(), ServiceError> {
    program::check_text(key, path)?;
    if path.starts_with('/') {
        return Ok(());
    }
    Err(ServiceError::RelativePath {
        key,
        path: path.to_owned(),
    })
}

fn file_name(path: &str) -> &str {
    path.trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(path)
}

/// What an entry calls itself, or would be called.
fn name_of(entry: &RawValue) -> Option<String> {
    let raw: RawName = serde_json::from_str(entry.get()).ok()?;
    raw.name
        .or_else(|| Some(file_name(&raw.command?).to_owned()))
        .filter(|name| !name.is_empty())
}

/// The line of the file on which an entry begins. The entry is a part of the file's text, so its place is its address.
fn line_of(text: &str, entry: &RawValue) -> usize {
    let offset = (entry.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// The error without its place, which is one within the entry.
fn said(error: &serde_json::Error) -> ServiceError {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    ServiceError::Json {
        message: message.strip_suffix(&place).unwrap_or(&message).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Service {
        let services = parse(text).unwrap();
        assert_eq!(services.problems, []);
        services.services.into_iter().next().unwrap()
    }

    #[test]
    fn the_originals_own_file_is_read() {
        let text = r#"[
            {"command": "getty", "name": "login", "args": ["/bin/logon"], "minUptime": 2000, "enabled": true},
            {"command": "nodeos-reverse-proxy", "minUptime": 2000, "enabled": true,
             "stdio": {"stdout": "/var/log/proxy", "stderr": "ignore"}}
        ]"#;
        let services = parse(text).unwrap();
        assert_eq!(services.problems, []);
        let names: Vec<_> = services
            .services
            .iter()
            .map(|service| &service.name)
            .collect();
        assert_eq!(names, ["login", "nodeos-reverse-proxy"]);
        assert_eq!(
            services.services[1].stdout,
            Output::File("/var/log/proxy".to_owned())
        );
        assert_eq!(services.services[1].stderr, Output::Ignore);
    }

    #[test]
    fn only_the_command_is_needed() {
        let expected = Service {
            name: "server.js".to_owned(),
            command: "/lib/app/server.js".to_owned(),
            args: Vec::new(),
            min_uptime: Duration::from_secs(2),
            enabled: true,
            stdout: Output::Log,
            stderr: Output::Log,
            env: BTreeMap::new(),
            cwd: None,
            capabilities: Vec::new(),
            restart: Restart::Always,
        };
        assert_eq!(one(r#"[{"command": "/lib/app/server.js"}]"#), expected);
    }

    #[test]
    fn everything_else_can_be_said() {
        let service = one(
            r#"[{"command": "network", "capabilities": ["net_admin", "net_raw"], "restart": "on-failure",
                 "env": {"A": "b"}, "cwd": "/var", "stdio": {"stdout": "inherit"}, "enabled": false}]"#,
        );
        let names: Vec<_> = service.capabilities.iter().map(|cap| cap.name()).collect();
        assert_eq!(names, ["net_admin", "net_raw"]);
        assert_eq!(service.restart, Restart::OnFailure);
        assert_eq!(service.stdout, Output::Inherit);
        assert_eq!(service.stderr, Output::Log);
        assert!(!service.enabled);
    }

    #[test]
    fn a_broken_file_is_an_error_with_line_and_column() {
        let check = |text: &str, expected: &str| {
            let ParseServicesError(source) = parse(text).unwrap_err();
            assert_eq!(source.to_string(), expected);
        };
        check(
            "[\n  {\"command\": \"a\"},\n  {\"command\" \"b\"}\n]",
            "expected `:` at line 3 column 14",
        );
        check("", "EOF while parsing a value at line 1 column 0");
        check(
            "{}",
            "invalid type: map, expected a sequence at line 1 column 0",
        );
        check("[] []", "trailing characters at line 1 column 4");
    }

    fn check_problem(entry: &str, expected: &str) {
        let text =
            format!("[\n{{\"command\": \"before\"}},\n{entry},\n{{\"command\": \"after\"}}\n]");
        let services = parse(&text).unwrap();
        let names: Vec<_> = services
            .services
            .iter()
            .map(|service| &service.name)
            .collect();
        assert_eq!(names, ["before", "after"], "{entry}");
        let problems: Vec<_> = services.problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, [format!("palmtree.json, {expected}")]);
    }

    #[test]
    fn a_broken_entry_is_a_problem_and_the_others_are_there() {
        check_problem("{}", "line 3: service number 2: missing field `command`");
        check_problem(
            "\"a\"",
            "line 3: service number 2: invalid type: string \"a\", expected an object with a command",
        );
        check_problem(
            "{\"command\": \"a\",\n \"argv\": []}",
            "line 4: service \"a\": unknown field `argv`, expected one of `command`, `name`, `args`, `minUptime`, \
             `enabled`, `stdio`, `env`, `cwd`, `capabilities`, `restart`",
        );
        check_problem(
            "{\"name\": \"a\", \"command\": \"\"}",
            "line 3: service \"a\": the command is an empty text",
        );
        check_problem(
            "{\"command\": \"a\", \"capabilities\": [\"root\"]}",
            "line 3: service \"a\": there is no capability \"root\"",
        );
        check_problem(
            "{\"command\": \"before\", \"args\": [\"2\"]}",
            "line 3: service \"before\": there is another service \"before\" before it",
        );
        check_problem(
            "{\"command\": \"a\", \"stdio\": {\"stdout\": \"a.log\"}}",
            "line 3: service \"a\": stdout \"a.log\" does not begin with /",
        );
        check_problem(
            "{\"command\": \"a\", \"env\": {\"\": \"\"}}",
            "line 3: service \"a\": \"\" cannot be the name of an environment variable",
        );
        check_problem(
            "{\"command\": \"a\", \"restart\": \"sometimes\"}",
            "line 3: service \"a\": unknown variant `sometimes`, expected one of `always`, `on-failure`, `never`",
        );
    }

    #[test]
    fn a_name_can_be_a_file_and_a_word() {
        for name in ["a", "getty@ttyS0", "web-2", "a.b_c", &"x".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "-n",
            ".hidden",
            "a/b",
            "a b",
            "a\n",
            "é",
            &"x".repeat(65),
        ] {
            assert!(!is_name(name), "{name:?}");
        }
        check_problem(
            "{\"command\": \"a\", \"name\": \"../a\"}",
            "line 3: service \"../a\": \"../a\" cannot be the name of a service: it may have up to 64 letters, \
             digits, _, . , @ and -, and begins with none of . and -",
        );
    }
}
