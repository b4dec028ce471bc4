//! Why an application cannot be made into images, and what to do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use nodeos_image::ext4::MAX_LABEL;
use nodeos_spec::package::ParsePackageError;
use serde::de::DeserializeOwned;

use super::addons::Lacking;
use super::script::ScriptError;
use crate::cache::{CacheError, Entry};
use crate::fetch::FetchError;
use crate::manifest::ReadManifestError;
use crate::node::PrepareNodeError;
use crate::recipe::Libc;
use crate::tool::ToolError;

/// An application cannot be made into images.
#[derive(Debug, thiserror::Error)]
pub enum PrepareApplicationError {
    #[error("cannot read the list of outside inputs")]
    Inputs(#[source] ReadManifestError),
    #[error(transparent)]
    Node(PrepareNodeError),
    #[error(transparent)]
    Cache(#[from] CacheError),
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
    #[error("there is no {}", .path.display())]
    NoSource { path: PathBuf },
    #[error("{given:?} is neither a file, nor a folder, nor the name of an npm package")]
    NotASource { given: String },
    #[error("{} has no package.json", .folder.display())]
    NoPackageJson { folder: PathBuf },
    #[error("{} is not JSON", .path.display())]
    Json {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{} is not a JSON object", .path.display())]
    NotAnObject { path: PathBuf },
    #[error("cannot follow {}", .path.display())]
    Section {
        path: PathBuf,
        #[source]
        source: ParsePackageError,
    },
    #[error(
        "package.json: \"nodeos.nodeVersion\" is {wanted:?}, and this NodeOS has Node.js {shipped}"
    )]
    NodeVersion { wanted: String, shipped: String },
    #[error("package.json: \"nodeos.nodeVersion\" is {wanted:?}, which is no range of versions")]
    NodeVersionRange { wanted: String },
    #[error("nothing in {} says what to run", .folder.display())]
    NoEntry { folder: PathBuf },
    #[error("{named_by} of package.json names {entry}, which is not in {}", .folder.display())]
    NoEntryFile {
        named_by: String,
        entry: String,
        folder: PathBuf,
    },
    #[error("{entry} does not go into the image: {rule}")]
    LeftOut { entry: String, rule: String },
    #[error("cannot run \"scripts.{name}\" of package.json, {command:?}")]
    Script {
        name: String,
        command: String,
        #[source]
        source: ScriptError,
    },
    #[error(
        "\"scripts.start\" of package.json runs {tool}, and no production dependency has a program of that name"
    )]
    NoTool { tool: String },
    #[error("{tool} is {file}, which is not JavaScript")]
    NotJavaScript { tool: String, file: String },
    #[error("{entry} has a syntax error\n{}", indented(.report))]
    Syntax { entry: String, report: String },
    #[error("cannot check the syntax of {entry}")]
    Check {
        entry: String,
        #[source]
        source: ToolError,
    },
    #[error("the registry has no package {package}")]
    NoPackage { package: String },
    #[error("cannot ask the registry about {package}")]
    Registry {
        package: String,
        #[source]
        source: ToolError,
    },
    #[error("the registry's answer about {package} is not what it should be")]
    Answer {
        package: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{package} has no program to run{}", listed(.programs))]
    NoBin {
        package: String,
        programs: Vec<String>,
    },
    #[error("{lock} asks for {manager}, which is not installed")]
    NoManager {
        manager: &'static str,
        lock: &'static str,
    },
    #[error("cannot install the dependencies")]
    Install {
        manager: &'static str,
        #[source]
        source: ToolError,
    },
    #[error("cannot get esbuild, which bundles the application")]
    FetchBundler(#[source] FetchError),
    #[error("cannot bundle the application")]
    RunBundler(#[source] ToolError),
    #[error("cannot bundle the application:{}", on_lines(.complaints))]
    Bundle { complaints: Vec<String> },
    #[error("the dependency {name} ({range}) lies outside of the project")]
    Outside { name: String, range: String },
    #[error("{} links to {}, which is outside of the project", .path.display(), .target.display())]
    LinkLeaves { path: PathBuf, target: PathBuf },
    #[error("{} is neither a file, nor a folder, nor a link", .path.display())]
    Special { path: PathBuf },
    #[error("native add-ons have no build that runs here with {libc}:{}", lines(.lacking))]
    Addons { libc: Libc, lacking: Vec<Lacking> },
    #[error("{} of {} cannot be understood", .pattern, .file)]
    Pattern {
        pattern: String,
        file: String,
        #[source]
        source: ignore::Error,
    },
    #[error("cannot make the image {}", .path.display())]
    Image {
        path: PathBuf,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the folder {folder} of this host, a volume at {path}, is not there on another host")]
    FolderVolume { folder: String, path: String },
    #[error(
        "the volumes {first} and {second} begin alike, and a machine tells them apart by {MAX_LABEL} letters"
    )]
    VolumeLabels { first: String, second: String },
    #[error("the cache entry {} does not say what it is", .path.display())]
    Record { path: PathBuf },
}

/// What the maker of the entry said of it.
pub(super) fn record<T: DeserializeOwned>(entry: &Entry) -> Result<T, PrepareApplicationError> {
    entry
        .made_from()
        .ok_or_else(|| PrepareApplicationError::Record {
            path: entry.dir.clone(),
        })
}

impl PrepareApplicationError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        use PrepareApplicationError as E;
        let text = match self {
            E::Node(error) => return error.hint(),
            E::Cache(error) => return error.hint(),
            E::Section { source, .. } => return source.hint(),
            E::Script { source, .. } => return Some(source.hint()),
            E::Install { source, .. } | E::Registry { source, .. } if source.hint().is_some() => {
                return source.hint();
            }
            E::Install {
                manager: "npm",
                source: ToolError::Failed { tail, .. },
            } if is_out_of_step(tail) => {
                "run `npm install`, and keep the package-lock.json that it writes"
            }
            E::Registry { .. } => "see whether this computer reaches the registry, and try again",
            E::NotASource { .. } => "give a folder as ./my-app, or a package as cowsay or cowsay@1",
            E::NoPackageJson { .. } => {
                "`npm init` or `nodeos init` writes one; a single file runs without: nodeos run FILE"
            }
            E::NodeVersion { .. } => {
                "change the range, or build with a NodeOS that has that Node.js"
            }
            E::NodeVersionRange { .. } => {
                "write it as npm does, for instance \">=22\" or \"^24.1\""
            }
            E::NoEntry { .. } => {
                "name the file in package.json: \"nodeos\": {\"entry\": \"server.js\"}"
            }
            E::NoEntryFile { .. } => {
                "if a build makes it, run that first; otherwise correct the name"
            }
            E::LeftOut { .. } => {
                "add it to \"nodeos.include\" in package.json; files of applications with \"private\": true are not hidden by .gitignore"
            }
            E::NoTool { .. } => {
                "move its package from devDependencies to dependencies, or name a file in \"nodeos.entry\""
            }
            E::NotJavaScript { .. } => "name a file that Node.js can run in \"nodeos.entry\"",
            E::NoPackage { .. } => "look at its spelling; a folder is given as ./NAME",
            E::NoBin { programs, .. } if !programs.is_empty() => {
                "install it in a project of your own, and name the program's file in \"nodeos.entry\""
            }
            E::NoBin { .. } => "it is a library: use it in a project of your own",
            E::NoManager { manager, .. } => {
                return Some(format!(
                    "install it (npm install --global {manager}), or make a package-lock.json with `npm install`"
                ));
            }
            E::FetchBundler(error) => return error.hint(),
            E::Bundle { .. } => {
                "correct that, or run the files as they are: without --optimize, and without \"nodeos.optimize\" in package.json"
            }
            E::Outside { .. } => "make both workspaces of one project, or publish it",
            E::LinkLeaves { .. } => {
                "copy what it links to into the project, or name the link in \"nodeos.exclude\""
            }
            E::Special { .. } => "remove it, or name it in \"nodeos.exclude\"",
            E::Addons {
                libc: Libc::Musl, ..
            } => "use the other C library: --libc glibc",
            E::Addons {
                libc: Libc::Glibc, ..
            } => {
                "see in the log whether its install script failed; compilers and Python have to be there to build it"
            }
            E::FolderVolume { path, .. } => {
                return Some(format!(
                    "give a volume a name, whose filesystem becomes a file: --volume data:{path}"
                ));
            }
            E::VolumeLabels { .. } => "give one of them another name",
            E::Record { .. } => "remove it with `nodeos cache clean`",
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Whether this is the user's own wish to stop.
    pub fn is_cancelled(&self) -> bool {
        match self {
            PrepareApplicationError::Node(error) => error.is_cancelled(),
            PrepareApplicationError::Cache(error) => error.is_cancelled(),
            PrepareApplicationError::FetchBundler(error) => error.is_cancelled(),
            _ => self.tool().is_some_and(ToolError::is_cancelled),
        }
    }

    /// Whether something that this needs is not installed on the host.
    pub fn is_missing_machinery(&self) -> bool {
        match self {
            PrepareApplicationError::NoManager { .. } => true,
            PrepareApplicationError::Node(error) => {
                matches!(error.tool(), Some(ToolError::Missing { .. }))
            }
            _ => matches!(self.tool(), Some(ToolError::Missing { .. })),
        }
    }

    fn tool(&self) -> Option<&ToolError> {
        match self {
            PrepareApplicationError::Check { source, .. }
            | PrepareApplicationError::Registry { source, .. }
            | PrepareApplicationError::RunBundler(source)
            | PrepareApplicationError::Install { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// npm's word for a lock file that is not the one of this package.json.
fn is_out_of_step(tail: &[String]) -> bool {
    tail.iter()
        .any(|line| line.contains("can only install packages when"))
}

/// What is said once where glibc was chosen.
pub(super) fn glibc_note(lacking: &[Lacking]) -> String {
    let mut names: Vec<&str> = lacking
        .iter()
        .map(|lacking| lacking.package.as_str())
        .collect();
    names.dedup();
    let (verb, names) = (
        if names.len() == 1 { "has" } else { "have" },
        names.join(", "),
    );
    format!("the machine has glibc instead of musl, because {names} {verb} no build for musl")
}

fn on_lines(texts: &[String]) -> String {
    texts.iter().map(|text| format!("\n    {text}")).collect()
}

fn lines(lacking: &[Lacking]) -> String {
    lacking
        .iter()
        .map(|lacking| {
            format!(
                "\n    {}: {} {}",
                lacking.package, lacking.file, lacking.reason
            )
        })
        .collect()
}

fn listed(programs: &[String]) -> String {
    match programs {
        [] => String::new(),
        names => format!(" by its name; it has {}", names.join(", ")),
    }
}

fn indented(report: &str) -> String {
    let lines: Vec<String> = report.lines().map(|line| format!("    {line}")).collect();
    lines.join("\n")
}
