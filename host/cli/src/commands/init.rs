//! `nodeos init`: a section for `package.json` to begin with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use nodeos_spec::package::{FILE, SECTION};
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::output::errors::Failure;
use crate::output::streams::Streams;

/// Write a section "nodeos" into package.json to begin with, and explain its keys
///
/// Everything else in the file stays as it is. A folder without a package.json gets one when it has exactly one script.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
}

/// What editors are told about the keys is what people are told.
const SCHEMA: &str = include_str!("../../../../docs/nodeos.schema.json");

/// Endings of files that Node.js runs.
const SCRIPTS: [&str; 6] = ["js", "mjs", "cjs", "ts", "mts", "cts"];

/// How a package.json is indented that is not indented: as npm does.
const INDENT: &str = "  ";

/// Why there is no new section.
#[derive(Debug, Error)]
pub enum InitError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not JSON", .path.display())]
    Json {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{} is not a JSON object", .path.display())]
    NotAnObject { path: PathBuf },
    #[error("{} has a section \"{SECTION}\" already", .path.display())]
    Present { path: PathBuf },
    #[error("{} has no {FILE}, and {} scripts to run", .folder.display(), amount(.scripts))]
    NoScript {
        folder: PathBuf,
        scripts: Vec<String>,
    },
}

fn amount(scripts: &[String]) -> String {
    match scripts.len() {
        0 => "no".to_owned(),
        count => count.to_string(),
    }
}

impl InitError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            InitError::Present { .. } => {
                Some("docs/nodeos.schema.json says what may stand in it".to_owned())
            }
            InitError::NoScript { scripts, .. } if scripts.is_empty() => {
                Some("name the folder of an application, or make one with `npm init`".to_owned())
            }
            InitError::NoScript { .. } => {
                Some("make a package.json with `npm init`, and name one of them as main".to_owned())
            }
            _ => None,
        }
    }
}

impl From<InitError> for Failure {
    fn from(error: InitError) -> Failure {
        let hint = error.hint();
        Failure::new(error).hint(hint)
    }
}

/// Writes it, and says what it means.
pub fn run(arguments: &Arguments, streams: &mut Streams) -> Result<(), Failure> {
    let path = arguments.folder.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => with_section(&text, &path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_package(&arguments.folder)?,
        Err(source) => return Err(InitError::Read { path, source }.into()),
    };
    replace(&path, &text).map_err(|source| InitError::Write {
        path: path.clone(),
        source,
    })?;
    streams.print(&explanation(&path))?;
    Ok(())
}

/// What most applications want to change.
fn section() -> Value {
    json!({ "memory": "128M", "ports": ["3000:3000"], "env": {}, "volumes": [] })
}

/// The text of a package.json with the section as its last field, and not another character changed.
fn with_section(text: &str, path: &Path) -> Result<String, InitError> {
    let path = || path.to_owned();
    let value: Value =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|source| {
            InitError::Json {
                path: path(),
                source,
            }
        })?;
    let Value::Object(fields) = value else {
        return Err(InitError::NotAnObject { path: path() });
    };
    if fields.contains_key(SECTION) {
        return Err(InitError::Present { path: path() });
    }
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let indent = indent(text);
    let end = text.rfind('}').expect("an object ends so");
    let before = text[..end].trim_end();
    let comma = if fields.is_empty() { "" } else { "," };
    let section = indented(&section(), indent).replace('\n', &format!("{line_end}{indent}"));
    Ok(format!(
        "{before}{comma}{line_end}{indent}\"{SECTION}\": {section}{line_end}{}",
        &text[end..]
    ))
}

/// What the first field is indented by.
fn indent(text: &str) -> &str {
    let field = text.lines().find(|line| line.trim_start().starts_with('"'));
    let indent = field.map(|line| &line[..line.len() - line.trim_start().len()]);
    indent.filter(|indent| !indent.is_empty()).unwrap_or(INDENT)
}

fn indented(value: &Value, indent: &str) -> String {
    use serde::Serialize;
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    value
        .serialize(&mut serde_json::Serializer::with_formatter(
            &mut text, formatter,
        ))
        .expect("a value always serialises");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// A package.json for the only script of a folder.
fn new_package(folder: &Path) -> Result<String, InitError> {
    let scripts = scripts(folder).map_err(|source| InitError::Read {
        path: folder.to_owned(),
        source,
    })?;
    let [script] = scripts.as_slice() else {
        return Err(InitError::NoScript {
            folder: folder.to_owned(),
            scripts,
        });
    };
    // Written by hand, so that the fields stand in the order that people know.
    let section = indented(&section(), INDENT).replace('\n', &format!("\n{INDENT}"));
    Ok(format!(
        "{{\n{INDENT}\"private\": true,\n{INDENT}\"main\": {},\n{INDENT}\"{SECTION}\": {section}\n}}\n",
        Value::from(script.as_str())
    ))
}

fn scripts(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let is_script = ending.is_some_and(|ending| SCRIPTS.contains(&ending)) && path.is_file();
        if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && is_script
        {
            found.push(name.to_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// The file is its old self or its new one, also where the disk is full.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let new = path.with_extension("json.new");
    let write = || {
        fs::write(&new, text)?;
        if let Ok(meta) = fs::metadata(&path) {
            fs::set_permissions(&new, meta.permissions())?;
        }
        fs::rename(&new, &path)
    };
    let written = write();
    if written.is_err() {
        // What is there of it is of no use; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&new);
    }
    written
}

/// What was written, and every key that there is: JSON has no comments, so they stand here.
fn explanation(path: &Path) -> String {
    let schema: Value = serde_json::from_str(SCHEMA).expect("a test reads it");
    let none = Map::new();
    let keys = schema["properties"][SECTION]["properties"]
        .as_object()
        .unwrap_or(&none);
    let mut text = format!(
        "{} has a section \"{SECTION}\" now. What may stand in it:\n\n",
        path.display()
    );
    for key in nodeos_spec::package::KEYS {
        let says = keys.get(key).and_then(|says| says["description"].as_str());
        let example = keys.get(key).and_then(|says| says["examples"].get(0));
        let example = example.map_or_else(String::new, |example| format!("  {example}"));
        text.push_str(&format!(
            "{key}{example}\n    {}\n",
            says.unwrap_or_default()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str) -> String {
        with_section(text, Path::new("package.json")).unwrap()
    }

    #[test]
    fn the_rest_of_the_file_stays_as_it_is() {
        let check = |text: &str, expected: &str| {
            let new = added(text);
            assert_eq!(new, expected);
            let value: Value = serde_json::from_str(new.trim_start_matches('\u{feff}')).unwrap();
            assert_eq!(value[SECTION], section());
        };
        check(
            "{\n\t\"name\": \"a\",\n\t\"a\": {}\n}",
            "{\n\t\"name\": \"a\",\n\t\"a\": {},\n\t\"nodeos\": {\n\t\t\"env\": {},\n\t\t\"memory\": \"128M\",\n\t\t\"ports\": [\n\t\t\t\"3000:3000\"\n\t\t],\n\t\t\"volumes\": []\n\t}\n}",
        );
        check(
            "{}\n",
            "{\n  \"nodeos\": {\n    \"env\": {},\n    \"memory\": \"128M\",\n    \"ports\": [\n      \"3000:3000\"\n    ],\n    \"volumes\": []\n  }\n}\n",
        );
        assert!(
            added("{\r\n  \"a\": 1\r\n}\r\n")
                .starts_with("{\r\n  \"a\": 1,\r\n  \"nodeos\": {\r\n    \"")
        );
        assert!(added("\u{feff}{\"a\": 1}").starts_with("\u{feff}{\"a\": 1,\n  \"nodeos\""));
    }

    #[test]
    fn what_is_written_is_a_section() {
        nodeos_spec::package::Package::parse(&section()).unwrap();
    }
}
