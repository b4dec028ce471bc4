//! What of a project is run: the file, and the arguments around it.

use std::collections::BTreeMap;
use std::path::Path;

use nodeos_spec::application::FOLDER;
use nodeos_spec::package::{Package, relative};

use super::install::Installed;
use super::project::Project;
use super::script::{self, Command, ScriptError};
use super::{NODE, PrepareApplicationError};

/// What `npm start` runs where package.json names nothing, and what Node.js takes for a folder.
const BY_CONVENTION: [&str; 4] = ["index.js", "index.mjs", "index.cjs", "server.js"];
/// What may be missing from a file's name.
const ENDINGS: [&str; 7] = ["", ".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"];
/// One script that runs another is usual, a chain of this many is a loop.
const MAX_SCRIPTS: usize = 8;

/// What Node.js is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// Arguments of Node.js itself.
    pub node_args: Vec<String>,
    /// The file, below the application's folder in the machine.
    pub entry: String,
    /// Arguments of the application.
    pub args: Vec<String>,
    /// What a script sets before the program.
    pub env: BTreeMap<String, String>,
}

impl Start {
    pub(super) fn of_file(entry: String) -> Start {
        Start {
            entry,
            ..Start::default()
        }
    }

    /// The whole command line in the machine.
    pub fn argv(&self) -> Vec<String> {
        let mut argv = vec![NODE.to_owned()];
        argv.extend(self.node_args.iter().cloned());
        argv.push(format!("{FOLDER}/{}", self.entry));
        argv.extend(self.args.iter().cloned());
        argv
    }
}

/// A program of a dependency, and how it is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) start: Start,
}

/// What was found before the dependencies are there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    File(Start),
    Tool(Tool),
}

/// The file that a project is run by. `entry` is one that was named on the command line, below the application's folder.
pub(super) fn find(
    project: &Project,
    config: &Package,
    entry: Option<&str>,
) -> Result<Found, PrepareApplicationError> {
    let mut found = match (entry, &config.entry) {
        (Some(entry), _) => Found::File(named(project, "the command line", entry)?),
        (None, Some(entry)) => Found::File(named(project, "\"nodeos.entry\"", entry)?),
        (None, None) => match project.package.script("start") {
            Some(command) => of_script(project, command)?,
            None => Found::File(by_convention(project)?),
        },
    };
    let (Found::File(start) | Found::Tool(Tool { start, .. })) = &mut found;
    start
        .node_args
        .splice(0..0, config.node_args.iter().cloned());
    start.args.extend(config.args.iter().cloned());
    Ok(found)
}

fn of_script(project: &Project, text: &str) -> Result<Found, PrepareApplicationError> {
    let mut name = "start".to_owned();
    let mut text = text.to_owned();
    let mut env = BTreeMap::new();
    let mut more = Vec::new();
    for _ in 0..MAX_SCRIPTS {
        let script_error = |source| PrepareApplicationError::Script {
            name: name.clone(),
            command: text.clone(),
            source,
        };
        let mut command = script::parse(&text).map_err(script_error)?;
        command.args.append(&mut more);
        env.append(&mut command.env);
        if let Some((next, args)) = another_script(&command) {
            let script = project.package.script(&next);
            let script =
                script.ok_or_else(|| script_error(ScriptError::NoScript { name: next.clone() }))?;
            text = script.to_owned();
            more = args;
            name = next;
            continue;
        }
        return of_command(project, command, env, &script_error);
    }
    Err(PrepareApplicationError::Script {
        name,
        command: text,
        source: ScriptError::Endless,
    })
}

fn of_command(
    project: &Project,
    command: Command,
    env: BTreeMap<String, String>,
    script_error: &dyn Fn(ScriptError) -> PrepareApplicationError,
) -> Result<Found, PrepareApplicationError> {
    if !matches!(command.program.as_str(), "node" | "nodejs") {
        let (name, args) = match command.program.as_str() {
            "npx" if !command.args.is_empty() => {
                (command.args[0].clone(), command.args[1..].to_vec())
            }
            _ => (command.program, command.args),
        };
        let start = Start {
            args,
            env,
            ..Start::default()
        };
        return Ok(Found::Tool(Tool { name, start }));
    }
    let (node_args, file, args) = script::split_node(&command.args).map_err(script_error)?;
    let mut start = match file.as_str() {
        // Node.js takes a folder for its main file.
        "." | "./" => by_convention(project)?,
        file => named(project, "\"scripts.start\"", file)?,
    };
    (start.node_args, start.args, start.env) = (node_args, args, env);
    Ok(Found::File(start))
}

/// `npm run NAME -- ARGS`: the script's name, and its further arguments.
fn another_script(command: &Command) -> Option<(String, Vec<String>)> {
    if command.program != "npm" {
        return None;
    }
    let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
    let (name, rest) = match words.as_slice() {
        ["run" | "run-script", name, rest @ ..] => (*name, rest),
        ["start", rest @ ..] => ("start", rest),
        _ => return None,
    };
    let args = rest.iter().skip_while(|word| **word != "--").skip(1);
    Some((
        name.to_owned(),
        args.map(|word| (*word).to_owned()).collect(),
    ))
}

/// `main`, a program of its own, or a file of a usual name.
fn by_convention(project: &Project) -> Result<Start, PrepareApplicationError> {
    let main = project.package.text("main").map(str::to_owned);
    let bins = project.package.bins();
    let own = project.package.text("name").unwrap_or_default();
    let own = own.rsplit('/').next().unwrap_or_default();
    let bin = bins.get(own).or_else(|| bins.values().next()).cloned();
    let named = main.map(|file| ("\"main\"", file)).into_iter();
    let named: Vec<_> = named.chain(bin.map(|file| ("\"bin\"", file))).collect();
    // `npm init` writes a `main` also where there is no such file: then the next one counts.
    let by_name = named.iter().map(|(_, file)| file.as_str());
    if let Some(entry) = by_name
        .chain(BY_CONVENTION)
        .find_map(|file| existing(project, file))
    {
        return Ok(Start::of_file(entry));
    }
    let folder = project.folder();
    Err(match named.into_iter().next() {
        Some((named_by, entry)) => PrepareApplicationError::NoEntryFile {
            named_by: named_by.to_owned(),
            entry,
            folder,
        },
        None => PrepareApplicationError::NoEntry { folder },
    })
}

fn named(project: &Project, by: &str, file: &str) -> Result<Start, PrepareApplicationError> {
    existing(project, file).map(Start::of_file).ok_or_else(|| {
        PrepareApplicationError::NoEntryFile {
            named_by: by.to_owned(),
            entry: file.to_owned(),
            folder: project.folder(),
        }
    })
}

/// The file that Node.js takes for this name, below the project's root.
fn existing(project: &Project, file: &str) -> Option<String> {
    let path = project.below_root(file)?;
    let is_file = |path: &String| project.root.join(path).is_file();
    let with_ending = ENDINGS
        .iter()
        .map(|ending| format!("{path}{ending}"))
        .find(is_file);
    with_ending.or_else(|| {
        let index = BY_CONVENTION.iter().take(3);
        index.map(|name| format!("{path}/{name}")).find(is_file)
    })
}

/// The file of a dependency's program.
pub(super) fn resolve(
    tool: Tool,
    project: &Project,
    installed: Option<&Installed>,
) -> Result<Start, PrepareApplicationError> {
    let in_member = project.member.as_deref().unwrap_or_default();
    let found = installed.and_then(|installed| {
        let of = |folder: &str| installed.bins.get(folder)?.get(&tool.name);
        of(in_member).or_else(|| of(""))
    });
    let program = found.ok_or_else(|| PrepareApplicationError::NoTool {
        tool: tool.name.clone(),
    })?;
    if !program.is_javascript {
        return Err(PrepareApplicationError::NotJavaScript {
            tool: tool.name,
            file: program.file.clone(),
        });
    }
    let entry = relative(&program.file).expect("it was found below the project's root");
    Ok(Start {
        entry,
        ..tool.start
    })
}

/// Whether Node.js is to run this file: by its name, or because its first line says so.
pub(super) fn is_javascript(path: &Path, first_line: &[u8]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    if matches!(ending, Some("js" | "mjs" | "cjs" | "ts" | "mts" | "cts")) {
        return true;
    }
    let line = String::from_utf8_lossy(first_line);
    line.starts_with("#!") && line.split(['/', ' ']).any(|word| word.trim() == "node")
}

#[cfg(test)]
mod tests;
