//! Debian's own kernel for virtual machines, fetched as any other input: without root, sums checked, kept in the cache.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use nodeos_build::context::Context;
use nodeos_build::fetch::{self, Fetched};
use nodeos_build::manifest::{AptPackages, Input, Manifest, Provider};

/// Depends on the package that has the kernel, whose name changes with each version.
const METAPACKAGE: &str = "linux-image-cloud-amd64";
/// How the name of the kernel's file begins, in the package; the release follows.
const FILE: &str = "boot/vmlinuz-";

/// The kernel and its name.
#[derive(Debug)]
pub struct DebianKernel {
    pub bzimage: PathBuf,
    /// `6.1.0-56-cloud-amd64`.
    pub release: String,
    /// The package's version: `6.1.192-2`.
    pub version: String,
}

/// Fetches the packages and unpacks the kernel into `dir`.
///
/// # Errors
/// When apt has no such package, or the package no kernel.
pub fn fetch(ctx: &Context, dir: &Path) -> anyhow::Result<DebianKernel> {
    let metapackage = package(ctx, METAPACKAGE)?;
    let depends = field(&metapackage.files[0], "Depends")?;
    let name = depends
        .split([' ', ','])
        .find(|word| word.starts_with("linux-image-"));
    let name = name.with_context(|| format!("{METAPACKAGE} depends on no kernel: {depends}"))?;
    let kernel = package(ctx, name)?;
    let (bzimage, release) = unpack(&kernel.files[0], dir)?;
    Ok(DebianKernel {
        bzimage,
        release,
        version: kernel.used.version,
    })
}

/// These inputs are no part of an image, so they stand here and not in the manifest.
fn package(ctx: &Context, package: &str) -> anyhow::Result<Fetched> {
    let name = format!("bench.{package}");
    let apt = AptPackages {
        packages: vec![package.to_owned()],
        arch: "amd64".to_owned(),
        at_least: None,
        newer: BTreeMap::new(),
    };
    let input = Input {
        name: name.clone(),
        what: "Debian's kernel for virtual machines, to compare with".to_owned(),
        version: "any".to_owned(),
        providers: vec![Provider::Apt(apt)],
    };
    let manifest = Manifest {
        inputs: BTreeMap::from([(name.clone(), input)]),
    };
    Ok(fetch::fetch(ctx, &manifest, &name)?)
}

fn field(deb: &Path, name: &str) -> anyhow::Result<String> {
    let output = Command::new("dpkg-deb")
        .arg("--field")
        .arg(deb)
        .arg(name)
        .output()
        .context("cannot run dpkg-deb")?;
    ensure!(
        output.status.success(),
        "dpkg-deb cannot read {}",
        deb.display()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The kernel's file and its release.
fn unpack(deb: &Path, dir: &Path) -> anyhow::Result<(PathBuf, String)> {
    let mut command = Command::new("dpkg-deb");
    command
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdout(Stdio::piped());
    // Having found the kernel we read no further, which it complains about.
    command.stderr(Stdio::null());
    let mut child = command.spawn().context("cannot run dpkg-deb")?;
    let archive = child.stdout.take().expect("it is piped");
    let found = find(archive, dir);
    child.wait()?;
    let Some(found) = found? else {
        bail!("{} has no {FILE}*", deb.display())
    };
    Ok(found)
}

fn find(archive: impl io::Read, dir: &Path) -> anyhow::Result<Option<(PathBuf, String)>> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        if let Some(release) = path.trim_start_matches("./").strip_prefix(FILE) {
            let kernel = dir.join("debian-bzimage");
            io::copy(&mut entry, &mut File::create(&kernel)?)?;
            return Ok(Some((kernel, release.to_owned())));
        }
    }
    Ok(None)
}
