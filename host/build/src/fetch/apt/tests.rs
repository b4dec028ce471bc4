//! The real apt-get with repositories of our own in a folder, which the sources call trusted.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::cache::Cache;
use crate::fetch::checksum::sha256_of;
use crate::manifest::{Manifest, Provider};
use crate::progress::Silent;

/// A mirror in a folder.
struct Mirror {
    dir: tempfile::TempDir,
}

impl Mirror {
    fn new() -> Mirror {
        Mirror {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Where a package lies. As on every mirror, the file's name is without the epoch.
    fn deb(&self, package: &str, version: &str) -> PathBuf {
        let version = version.rsplit(':').next().unwrap_or_default();
        self.dir
            .path()
            .join(format!("pool/{package}_{version}_amd64.deb"))
    }

    /// A release with these packages. apt does not look into them: any file will do.
    fn release(&self, codename: &str, packages: &[(&str, &str)]) {
        let dist = self.dir.path().join("dists").join(codename);
        let index = dist.join("main/binary-amd64");
        fs::create_dir_all(&index).unwrap();
        fs::create_dir_all(self.dir.path().join("pool")).unwrap();
        let mut text = String::new();
        for (package, version) in packages {
            let deb = self.deb(package, version);
            fs::write(&deb, format!("{package} {version}")).unwrap();
            let (sum, bytes) = sha256_of(&deb).unwrap();
            let name = deb.file_name().unwrap().to_string_lossy();
            let _ = write!(
                text,
                "Package: {package}\nVersion: {version}\nArchitecture: amd64\nMaintainer: x\nDescription: x\n\
                 Filename: pool/{name}\nSize: {bytes}\nSHA256: {sum}\n\n"
            );
        }
        fs::write(index.join("Packages"), text).unwrap();
        let (sum, bytes) = sha256_of(&index.join("Packages")).unwrap();
        let release = format!(
            "Suite: {codename}\nCodename: {codename}\nArchitectures: amd64\nComponents: main\n\
             Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {sum} {bytes} main/binary-amd64/Packages\n"
        );
        fs::write(dist.join("Release"), release).unwrap();
    }

    /// A host with this release of that mirror.
    fn host(&self, codename: &str) -> Host {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/apt")).unwrap();
        fs::write(
            root.path().join("etc/os-release"),
            format!("ID=debian\nVERSION_CODENAME=\"{codename}\"\n"),
        )
        .unwrap();
        let source = format!(
            "deb [trusted=yes] copy:{} {codename} main\n",
            self.dir.path().display()
        );
        fs::write(root.path().join("etc/apt/sources.list"), source).unwrap();
        Host::read(root.path()).unwrap()
    }

    /// What the provider gives on a host with the release `old`.
    fn fetch(&self, provider: &str) -> Result<Vec<(String, String)>, ProviderError> {
        let text = format!(
            "[[input]]\nname = \"x\"\nwhat = \"x\"\nversion = \"1\"\n[[input.provider]]\n{provider}\n"
        );
        let manifest = Manifest::parse(&text).unwrap();
        let input = &manifest.inputs["x"];
        let [Provider::Apt(apt)] = input.providers.as_slice() else {
            panic!("{provider}")
        };
        let root = tempfile::tempdir().unwrap();
        let ctx = Context {
            source: root.path().to_owned(),
            cache: Cache::open(root.path().join("cache")),
            progress: Arc::new(Silent),
            cancel: Arc::default(),
            jobs: 1,
        };
        let dir = root.path().join("entry");
        fs::create_dir(&dir).unwrap();
        let used = fetch_for(&ctx, input, apt, &self.host("old"), &dir)?;
        let text = |file: &UsedFile| fs::read_to_string(dir.join(&file.name)).unwrap();
        Ok(used
            .iter()
            .map(|file| (file.version.clone(), text(file)))
            .collect())
    }
}

fn file(version: &str, text: &str) -> (String, String) {
    (version.to_owned(), text.to_owned())
}

const NEWER: &str =
    "arch = \"amd64\"\nat-least = \"1.2.4\"\nnewer = { debian = [\"mid\", \"new\"] }";

#[test]
fn packages_of_the_own_release_come_in_the_order_of_the_manifest() {
    let mirror = Mirror::new();
    mirror.release(
        "old",
        &[
            ("libgcc", "12.2-1"),
            ("libc", "2.36-9+deb12u1"),
            ("other", "1"),
        ],
    );
    let used = mirror
        .fetch("apt = [\"libc\", \"libgcc\"]\narch = \"amd64\"")
        .unwrap();
    assert_eq!(
        used,
        [
            file("2.36-9+deb12u1", "libc 2.36-9+deb12u1"),
            file("12.2-1", "libgcc 12.2-1")
        ]
    );
}

#[test]
fn where_the_own_release_is_too_old_the_first_that_will_do_is_used() {
    let mirror = Mirror::new();
    mirror.release("old", &[("musl", "1.2.3-1")]);
    mirror.release("mid", &[("musl", "1.2.10-1")]);
    mirror.release("new", &[("musl", "1.3-1")]);
    let used = mirror.fetch(&format!("apt = [\"musl\"]\n{NEWER}")).unwrap();
    assert_eq!(used, [file("1.2.10-1", "musl 1.2.10-1")]);
}

#[test]
fn a_release_that_the_mirror_does_not_have_is_passed_over() {
    let mirror = Mirror::new();
    mirror.release("old", &[("other", "1")]);
    mirror.release("new", &[("musl", "1.3-1")]);
    let used = mirror.fetch(&format!("apt = [\"musl\"]\n{NEWER}")).unwrap();
    assert_eq!(used, [file("1.3-1", "musl 1.3-1")]);
}

#[test]
fn an_epoch_belongs_to_the_version() {
    let mirror = Mirror::new();
    mirror.release("old", &[("musl", "1:0.1-1")]);
    let used = mirror.fetch(&format!("apt = [\"musl\"]\n{NEWER}")).unwrap();
    assert_eq!(used, [file("1:0.1-1", "musl 1:0.1-1")]);
}

#[test]
fn a_package_that_no_release_has_is_named_with_the_version_needed() {
    let mirror = Mirror::new();
    for codename in ["old", "mid", "new"] {
        mirror.release(codename, &[("musl", "1.2.3-1")]);
    }
    let error = mirror
        .fetch(&format!("apt = [\"musl\"]\n{NEWER}"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no release of this distribution has musl 1.2.4 or newer"
    );
    let error = mirror
        .fetch("apt = [\"musl\", \"glibc\"]\narch = \"amd64\"")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no release of this distribution has musl, glibc"
    );
}

#[test]
fn a_package_that_was_changed_on_the_mirror_is_refused() {
    let mirror = Mirror::new();
    mirror.release("old", &[("musl", "1.2.5-1")]);
    fs::write(mirror.deb("musl", "1.2.5-1"), "musl 1.2.5-2").unwrap();
    let error = mirror
        .fetch("apt = [\"musl\"]\narch = \"amd64\"")
        .unwrap_err();
    let ProviderError::Tool(ToolError::Failed { program, tail, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(program, "apt-get");
    assert!(
        tail.iter().any(|line| line.contains("Hash Sum mismatch")),
        "{tail:?}"
    );
}

#[test]
fn a_host_without_sources_of_its_release_is_named() {
    let root = tempfile::tempdir().unwrap();
    let check = |os_release: &str, expected: &str| {
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/os-release"), os_release).unwrap();
        assert_eq!(Host::read(root.path()).unwrap_err().to_string(), expected);
    };
    check(
        "ID=debian\nVERSION_CODENAME=bookworm\n",
        "apt has no package source for bookworm",
    );
    check(
        "ID=arch\n",
        "apt has no package source for this distribution's release",
    );
}

#[test]
fn apt_is_kept_away_from_the_state_of_the_host() {
    let text = config(Path::new("/c/it's here"), "amd64", false);
    let expected = r#"Dir::State "/c/it's here";
Dir::State::lists "/c/it's here/lists/";
Dir::State::status "/c/it's here/status";
Dir::Cache "/c/it's here";
Dir::Cache::archives "/c/it's here/archives/";
Dir::Etc::sourcelist "/c/it's here/nodeos.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
#clear APT::Default-Release;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "amd64";
#clear APT::Architectures;
APT::Architectures { "amd64"; };
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::CNF;
"#;
    assert_eq!(text, expected);
    assert_eq!(
        config(Path::new("/c/it's here"), "amd64", true),
        expected.to_owned() + "APT::Sandbox::User \"root\";\n"
    );
}

#[test]
fn a_line_of_print_uris_is_read() {
    let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let line = format!(
        "'http://mirror.test/pool/m/musl_1%253a1.2.5-3_amd64.deb' musl_1%3a1.2.5-3_amd64.deb 428012 SHA256:{sum}"
    );
    let expected = Found {
        package: "musl".to_owned(),
        version: "1:1.2.5-3".to_owned(),
        file: "musl_1%3a1.2.5-3_amd64.deb".to_owned(),
        bytes: 428012,
        sha256: sum.to_owned(),
    };
    assert_eq!(parse_uri(&line), Some(expected));
    assert_eq!(parse_uri("Reading package lists..."), None);
    assert_eq!(parse_uri(&line.replace("SHA256", "MD5Sum")), None);
}
