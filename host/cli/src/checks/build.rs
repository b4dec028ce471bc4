//! What building needs: compilers and tools of the kernel, Rust for the system programs, and clients that fetch.

use nodeos_build::format::{loader, virtual_disk};

use crate::checks::Check;
use crate::checks::host::{Host, install};

/// Every program that building and unpacking the kernel calls, with the Debian package that has it: the list of
/// Documentation/process/changes.rst in its sources, without what our configuration leaves out.
const KERNEL_TOOLS: [(&str, &str); 11] = [
    ("gcc", "gcc"),
    ("ld", "binutils"),
    ("make", "make"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("perl", "perl"),
    ("tar", "tar"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
    ("dpkg-deb", "dpkg"),
];

/// Headers that the kernel's own host tools include, with their packages: objtool reads ELF.
const KERNEL_HEADERS: [(&str, &str); 1] = [("gelf.h", "libelf-dev")];

/// All checks of this file.
pub fn checks(host: &Host) -> Vec<Check> {
    let mut checks: Vec<Check> = KERNEL_TOOLS
        .iter()
        .map(|(program, package)| tool(host, program, package))
        .collect();
    checks.extend(
        KERNEL_HEADERS
            .iter()
            .map(|(header, package)| self::header(host, header, package)),
    );
    checks.push(cargo(host));
    checks.push(static_rust(host));
    checks.push(providers(host));
    checks.push(boot_loader(host));
    let (program, package) = virtual_disk::PROGRAM;
    checks.push(tool(host, program, package));
    checks.push(erofs_utils(host));
    checks
}

fn tool(host: &Host, program: &str, package: &str) -> Check {
    match host.find(program) {
        None => Check::missing(program, "not in PATH", install(package)),
        Some(path) => {
            let version = host
                .first_line(program, &["--version"])
                .filter(|line| line.contains('.'));
            Check::ok(
                program,
                version.unwrap_or_else(|| path.display().to_string()),
            )
        }
    }
}

fn header(host: &Host, header: &str, package: &str) -> Check {
    // Asking the compiler finds it wherever this distribution keeps headers.
    let program = format!("#include <{header}>\n");
    if host.find("gcc").is_none() {
        Check::missing(header, "cannot be looked for without gcc", install(package))
    } else if host.accepts("gcc", &["-fsyntax-only", "-x", "c", "-"], &program) {
        Check::ok(header, "gcc finds it")
    } else {
        Check::missing(header, "gcc does not find it", install(package))
    }
}

fn cargo(host: &Host) -> Check {
    match host.first_line("cargo", &["--version"]) {
        Some(version) => Check::ok("cargo", version),
        None => Check::missing(
            "cargo",
            "not in PATH",
            "install Rust as https://rustup.rs says",
        ),
    }
}

/// Programs of the target are static: a musl target does it, and so does the host's own with a static C library.
fn static_rust(host: &Host) -> Check {
    const NAME: &str = "static programs";
    const MUSL: &str = "x86_64-unknown-linux-musl";
    const GNU: &str = "x86_64-unknown-linux-gnu";
    let has_target = |target: &str| {
        host.first_line("rustc", &["--print", "target-libdir", "--target", target])
            .is_some_and(|folder| std::path::Path::new(&folder).is_dir())
    };
    let has_static_libc = || {
        host.first_line("gcc", &["-print-file-name=libc.a"])
            .is_some_and(|path| path.starts_with('/'))
    };
    if host.find("rustc").is_none() {
        Check::missing(
            NAME,
            "rustc is not in PATH",
            "install Rust as https://rustup.rs says",
        )
    } else if has_target(MUSL) {
        Check::ok(NAME, MUSL)
    } else if !has_target(GNU) {
        Check::missing(
            NAME,
            format!("rustc has neither {MUSL} nor {GNU}"),
            format!("rustup target add {MUSL}"),
        )
    } else if has_static_libc() {
        Check::ok(NAME, format!("{GNU} with a static C library"))
    } else {
        let hint = format!("{}, or rustup target add {MUSL}", install("libc6-dev"));
        Check::missing(NAME, format!("{GNU} has no static C library"), hint)
    }
}

/// Each outside input has several providers; the kernel's sources and musl come through apt, Node.js through pip or npm.
fn providers(host: &Host) -> Check {
    const NAME: &str = "package clients";
    let apt = host.find("apt-get").map(|_| "apt-get");
    let pip = host
        .first_line("python3", &["-m", "pip", "--version"])
        .map(|_| "pip");
    let npm = host.find("npm").map(|_| "npm");
    let found: Vec<&str> = [apt, pip, npm].into_iter().flatten().collect();
    let list = if found.is_empty() {
        "none".to_owned()
    } else {
        found.join(", ")
    };
    if pip.is_none() && npm.is_none() {
        Check::missing(
            NAME,
            format!("{list}: neither pip nor npm, which bring Node.js"),
            install("python3-pip"),
        )
    } else if apt.is_none() {
        let hint = "use Debian or Ubuntu, in a container if need be, or fill the cache on one";
        Check::missing(
            NAME,
            format!("{list}: no apt-get, which brings musl and the kernel's sources"),
            hint,
        )
    } else {
        Check::ok(NAME, list)
    }
}

/// GRUB's own program, and the parts that it puts together.
fn boot_loader(host: &Host) -> Check {
    const NAME: &str = "boot loader";
    let (program, package) = loader::PROGRAM;
    let without = |found: String, package: &str| {
        Check::without(
            NAME,
            format!("{found}: only disks want it"),
            install(package),
        )
    };
    let missing = loader::PARTS
        .iter()
        .find(|(file, _)| !std::path::Path::new(file).exists());
    match (host.find(program), missing) {
        (None, _) => without(format!("no {program}"), package),
        (Some(_), Some((file, package))) => without(format!("no {file}"), package),
        (Some(path), None) => {
            let version = host.first_line(program, &["--version"]);
            Check::ok(NAME, version.unwrap_or_else(|| path.display().to_string()))
        }
    }
}

fn erofs_utils(host: &Host) -> Check {
    const NAME: &str = "erofs-utils";
    match host.find("fsck.erofs") {
        Some(path) => Check::ok(NAME, path.display().to_string()),
        None => Check::without(NAME, "no fsck.erofs: only the tests want it", install(NAME)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::State;
    use std::ffi::OsString;

    #[test]
    fn a_host_without_programs_lacks_everything_and_says_what_to_install() {
        let checks = checks(&Host {
            path: OsString::new(),
        });
        for check in &checks {
            let expected = if ["boot loader", "erofs-utils"].contains(&check.name.as_str()) {
                State::Without
            } else {
                State::Missing
            };
            assert_eq!(check.state, expected, "{check:?}");
            assert!(
                check.hint.as_ref().is_some_and(|hint| !hint.is_empty()),
                "{check:?}"
            );
        }
        let hint = |name: &str| {
            checks
                .iter()
                .find(|check| check.name == name)
                .and_then(|check| check.hint.clone())
        };
        assert_eq!(hint("xz").as_deref(), Some("sudo apt-get install xz-utils"));
        assert_eq!(
            hint("gelf.h").as_deref(),
            Some("sudo apt-get install libelf-dev")
        );
        assert_eq!(
            hint("package clients").as_deref(),
            Some("sudo apt-get install python3-pip")
        );
    }
}
