//! apt, for packages of Debian and Ubuntu, without being root and without touching the host's own apt state.
//!
//! apt-get runs with a configuration of ours on top of the host's: its state, lists and sources are in a folder of
//! the cache. So proxies, certificates and mirrors are the host's, and what is trusted is what the host trusts.

mod host;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::apt_sources::{AptSource, moved_to, to_deb822};
use super::client::{self, bytes_in, keep};
use super::{ProviderError, UsedFile};
use crate::cache::{KeyHasher, Kind, WorkDir, human_bytes};
use crate::context::Context;
use crate::manifest::{AptPackages, Input};
use crate::progress::Unit;
use crate::tool::{self, Event, Tool, ToolError};

pub(super) use host::Host;

/// Where apt's files are in its folder.
const CONFIG: &str = "apt.conf";
const SOURCES: &str = "nodeos.sources";

/// Downloads the packages: from the host's own release, else from the newer ones that the manifest names.
pub(super) fn fetch(
    ctx: &Context,
    input: &Input,
    apt: &AptPackages,
    dir: &Path,
) -> Result<Vec<UsedFile>, ProviderError> {
    for program in ["apt-get", "dpkg"] {
        client::needs(
            program,
            program,
            "build on Debian or Ubuntu: only their packages have this",
        )?;
    }
    fetch_for(ctx, input, apt, &Host::read(Path::new("/"))?, dir)
}

/// As [`fetch`], on the given host.
fn fetch_for(
    ctx: &Context,
    input: &Input,
    apt: &AptPackages,
    host: &Host,
    dir: &Path,
) -> Result<Vec<UsedFile>, ProviderError> {
    let none: &[String] = &[];
    let newer = apt
        .newer
        .get(&host.distribution)
        .map_or(none, Vec::as_slice);
    let own = std::iter::once((host.codename.as_str(), host.sources.clone()));
    let releases = own.chain(newer.iter().map(|newer| {
        (
            newer.as_str(),
            moved_to(&host.sources, &host.codename, newer),
        )
    }));
    let mut failure = None;
    for (codename, sources) in releases {
        match from_release(ctx, input, apt, codename, &sources, dir) {
            Ok(Some(used)) => return Ok(used),
            Ok(None) => {}
            Err(e) if e.is_cancelled() => return Err(e),
            // Perhaps one suite of this release is gone from the mirror; the next release may be whole.
            Err(e) => failure = failure.or(Some(e)),
        }
    }
    Err(failure.unwrap_or_else(|| ProviderError::NoPackage {
        package: apt.packages.join(", "),
        at_least: apt.at_least.clone(),
    }))
}

/// The packages from one release; none when it has not all of them, or too old ones.
fn from_release(
    ctx: &Context,
    input: &Input,
    apt: &AptPackages,
    codename: &str,
    sources: &[AptSource],
    dir: &Path,
) -> Result<Option<Vec<UsedFile>>, ProviderError> {
    let state = State::update(ctx, input, codename, sources, &apt.arch)?;
    match state.find(ctx, apt)? {
        Some(found) => state.download(ctx, input, apt, &found, dir).map(Some),
        None => Ok(None),
    }
}

/// A package as the index has it.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    package: String,
    version: String,
    /// The name of the file that apt-get writes.
    file: String,
    bytes: u64,
    sha256: String,
}

/// A folder with apt's lists of one release, kept in the cache: the next update asks only what has changed.
struct State {
    work: WorkDir,
    /// Begins the names of the log files.
    log: String,
}

impl State {
    fn update(
        ctx: &Context,
        input: &Input,
        codename: &str,
        sources: &[AptSource],
        arch: &str,
    ) -> Result<State, ProviderError> {
        let text = to_deb822(sources, arch);
        let key = KeyHasher::new("apt lists 1")
            .text("sources", &text)
            .finish();
        let label = format!("package lists of {codename} ({arch})");
        let work = ctx
            .cache
            .work_dir(ctx, Kind::Downloads, &key, &label)
            .map_err(ProviderError::Cache)?;
        let state = State {
            work,
            log: format!("fetch-{}-apt-{codename}", input.name),
        };
        let dir = state.work.path();
        let create = || {
            for folder in ["lists/partial", "archives/partial"] {
                fs::create_dir_all(dir.join(folder))?;
            }
            fs::write(dir.join("status"), "")?;
            fs::write(dir.join(SOURCES), &text)?;
            fs::write(
                dir.join(CONFIG),
                config(dir, arch, rustix::process::geteuid().is_root()),
            )
        };
        create().map_err(|source| ProviderError::Write {
            path: dir.to_owned(),
            source,
        })?;
        let task = ctx.progress.begin(&format!("reading the {label}"), None);
        let log = format!("{}-update", state.log);
        tool::run(ctx, state.apt_get(&["-q", "update"], &log), &mut |_| {})?;
        task.finish("");
        Ok(state)
    }

    fn apt_get<'a>(&'a self, arguments: &[&str], log: &'a str) -> Tool<'a> {
        let mut command = Command::new("apt-get");
        command
            .arg("-c")
            .arg(self.work.path().join(CONFIG))
            .args(arguments);
        // The messages of the user's language would be harder to search for.
        command
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.work.path());
        Tool {
            work: Some(&self.work),
            ..Tool::new(command, "apt", log)
        }
    }

    /// The packages, when the release has them all and the first is new enough.
    fn find(&self, ctx: &Context, apt: &AptPackages) -> Result<Option<Vec<Found>>, ProviderError> {
        let mut arguments = vec!["-qq", "download", "--print-uris"];
        arguments.extend(apt.packages.iter().map(String::as_str));
        let log = format!("{}-find", self.log);
        let output = match tool::capture(ctx, self.apt_get(&arguments, &log)) {
            Ok(output) => output,
            // This is how apt-get says that it knows no such package; an unreachable mirror fails the update.
            Err(ToolError::Failed { tail, .. })
                if tail.iter().any(|line| names_no_package(line)) =>
            {
                return Ok(None);
            }
            Err(e) => return Err(e.into()),
        };
        let mut found: BTreeMap<String, Found> = output
            .lines()
            .filter_map(parse_uri)
            .map(|found| (found.package.clone(), found))
            .collect();
        let all: Option<Vec<Found>> = apt
            .packages
            .iter()
            .map(|package| found.remove(package))
            .collect();
        let Some(all) = all else { return Ok(None) };
        match (&apt.at_least, all.first()) {
            (Some(least), Some(first)) if !is_at_least(ctx, &first.version, least, &log)? => {
                Ok(None)
            }
            _ => Ok(Some(all)),
        }
    }

    fn download(
        &self,
        ctx: &Context,
        input: &Input,
        apt: &AptPackages,
        found: &[Found],
        dir: &Path,
    ) -> Result<Vec<UsedFile>, ProviderError> {
        let scratch = client::scratch(dir)?;
        let total = found.iter().map(|found| found.bytes).sum();
        let title = format!(
            "fetching {} {} (apt {})",
            input.name,
            found[0].version,
            apt.packages.join(" ")
        );
        let mut task = ctx.progress.begin(&title, Some((total, Unit::Bytes)));
        let exact: Vec<String> = found
            .iter()
            .map(|found| format!("{}={}", found.package, found.version))
            .collect();
        let mut arguments = vec!["-q", "download"];
        arguments.extend(exact.iter().map(String::as_str));
        let log = format!("{}-download", self.log);
        let mut tool = self.apt_get(&arguments, &log);
        tool.command.current_dir(scratch.path());
        tool::run(ctx, tool, &mut |event| {
            if let Event::Tick = event {
                task.advance(bytes_in(scratch.path()).min(total), None);
            }
        })?;
        let mut used = Vec::new();
        for found in found {
            let path = scratch.path().join(&found.file);
            if !path.exists() {
                return Err(ProviderError::NoFile {
                    client: "apt-get".to_owned(),
                    wanted: found.file.clone(),
                });
            }
            used.push(keep(
                &path,
                dir,
                &input.name,
                &found.version,
                &found.sha256,
            )?);
        }
        task.finish(&human_bytes(total));
        Ok(used)
    }
}

/// What is set on top of the host's own configuration (apt.conf(5)).
fn config(dir: &Path, arch: &str, as_root: bool) -> String {
    let path = |name: &str| quoted(&dir.join(name));
    let mut lines = vec![
        format!("Dir::State {};", quoted(dir)),
        format!("Dir::State::lists {};", path("lists/")),
        format!("Dir::State::status {};", path("status")),
        format!("Dir::Cache {};", quoted(dir)),
        format!("Dir::Cache::archives {};", path("archives/")),
        format!("Dir::Etc::sourcelist {};", path(SOURCES)),
        "Dir::Etc::sourceparts \"/dev/null\";".to_owned(),
        // What the host prefers, holds back, or does after an update is for its own packages.
        "Dir::Etc::preferences \"/dev/null\";".to_owned(),
        "Dir::Etc::preferencesparts \"/dev/null\";".to_owned(),
        "#clear APT::Default-Release;".to_owned(),
        "#clear APT::Update::Pre-Invoke;".to_owned(),
        "#clear APT::Update::Post-Invoke;".to_owned(),
        "#clear APT::Update::Post-Invoke-Success;".to_owned(),
        format!("APT::Architecture \"{arch}\";"),
        "#clear APT::Architectures;".to_owned(),
        format!("APT::Architectures {{ \"{arch}\"; }};"),
        // Half of a list is as bad as none: then the next provider is tried.
        "APT::Update::Error-Mode \"any\";".to_owned(),
        // Only the names of packages are wanted.
        "Acquire::Languages \"none\";".to_owned(),
        "Acquire::GzipIndexes \"true\";".to_owned(),
        "#clear Acquire::IndexTargets::deb::DEP-11;".to_owned(),
        "#clear Acquire::IndexTargets::deb::CNF;".to_owned(),
    ];
    if as_root {
        // Otherwise apt downloads as the user _apt, who may not write to our folder.
        lines.push("APT::Sandbox::User \"root\";".to_owned());
    }
    lines.join("\n") + "\n"
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

fn names_no_package(line: &str) -> bool {
    line.contains("Unable to locate package")
        || line.contains("has no installation candidate")
        || line.contains("No candidate version found")
}

/// A line of `--print-uris`: `'uri' file size SHA256:sum`.
fn parse_uri(line: &str) -> Option<Found> {
    let (_, rest) = line.strip_prefix('\'')?.split_once('\'')?;
    let mut words = rest.split_whitespace();
    let (file, bytes, sum) = (words.next()?, words.next()?, words.next()?);
    let mut parts = file.splitn(3, '_');
    let (package, version) = (parts.next()?, parts.next()?);
    parts.next()?;
    let name = Path::new(file).file_name()?;
    Some(Found {
        package: package.to_owned(),
        // An epoch's colon cannot stand in the name of a file.
        version: version.replace("%3a", ":"),
        file: name.to_string_lossy().into_owned(),
        bytes: bytes.parse().ok()?,
        sha256: sum.strip_prefix("SHA256:")?.to_owned(),
    })
}

/// Compares versions as deb-version(7) says.
fn is_at_least(
    ctx: &Context,
    version: &str,
    least: &str,
    log: &str,
) -> Result<bool, ProviderError> {
    let mut command = Command::new("dpkg");
    command.args(["--compare-versions", version, "ge", least]);
    match tool::run(ctx, Tool::new(command, "dpkg", log), &mut |_| {}) {
        Ok(_) => Ok(true),
        Err(ToolError::Failed { status, .. }) if status.code() == Some(1) => Ok(false),
        Err(e) => Err(e.into()),
    }
}
