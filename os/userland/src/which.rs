//! `which`: where a command is that the shell would run.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lexopt::Arg;
use rustix::fs::{Access, access};

use crate::applet::{Call, DONE, Stop};

pub(crate) const HELP: &str = "\
Usage: which [OPTION] NAME...

Shows the file that each command is, from the folders of PATH. What the shell has built in is none of them: `type NAME` tells.
Its exit code is 1 if one of them is nowhere.

Options:
  -a      Show all files of the name, and not the first alone
  --help  Show this
";

/// As which(1) of Debian has it.
const NOT_ALL_FOUND: u8 = 1;

/// How many of the files with a name are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    First,
    All,
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut wanted = Wanted::First;
    let mut names: Vec<OsString> = Vec::new();
    let mut parser = call.parser();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('a') => wanted = Wanted::All,
            Arg::Long("help") => return Err(Stop::Help),
            Arg::Value(name) => names.push(name),
            option => return Err(option.unexpected().into()),
        }
    }
    if names.is_empty() {
        return Err(Stop::missing("the name of a command"));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut code = DONE;
    for name in &names {
        let mut found = candidates(name, &path)
            .into_iter()
            .filter(|file| is_program(file))
            .peekable();
        if found.peek().is_none() {
            code = NOT_ALL_FOUND;
        }
        let most = match wanted {
            Wanted::First => 1,
            Wanted::All => usize::MAX,
        };
        for file in found.take(most) {
            call.out.write_all(file.as_os_str().as_bytes())?;
            call.out.write_all(b"\n")?;
        }
    }
    Ok(code)
}

/// Where a command of this name could be. A name with a slash is a path already (execvp(3)).
fn candidates(name: &OsStr, path: &OsStr) -> Vec<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(name)];
    }
    std::env::split_paths(path)
        .map(|folder| match folder.as_os_str().is_empty() {
            true => Path::new(".").join(name),
            false => folder.join(name),
        })
        .collect()
}

fn is_program(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_every_folder_and_a_path_is_itself() {
        let check = |name: &str, path: &str, expected: &[&str]| {
            let found = candidates(OsStr::new(name), OsStr::new(path));
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(found, expected, "{name} in {path}");
        };
        check("node", "/bin:/sbin", &["/bin/node", "/sbin/node"]);
        check("node", "/bin:", &["/bin/node", "./node"]);
        check("./node", "/bin", &["./node"]);
        check("/bin/node", "/sbin", &["/bin/node"]);
    }

    #[test]
    fn a_folder_is_no_program() {
        assert!(is_program(Path::new("/proc/self/exe")));
        assert!(!is_program(Path::new("/")));
        assert!(!is_program(Path::new("/proc/version")));
    }
}
