//! What a boot test needs inside the machine and Node.js cannot do: orphans by the thousand, mounts with odd names.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use nodeos_guest::{escape, filesystem, nonsense, scenario, spy, terminal};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = io::stdout();
    let is_init = std::env::args_os()
        .next()
        .is_some_and(|name| name == "/sbin/init");
    let done = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["orphans", count] => scenario::orphans(count, &mut out),
        ["orphan-maker"] => scenario::make_orphan(),
        ["orphan"] => Ok(()),
        ["mount", path] => scenario::mount(path, &mut out),
        ["watch"] => spy::watch(&["palmtree", "logon", "network"], &mut out),
        // The kernel's own words for PID 1 are no scenario.
        _ if is_init => Err(spy::become_boot()),
        ["escape"] => escape::all(&mut out),
        ["filesystem", folder] => filesystem::ask(folder, &mut out),
        ["try-locks", path] => filesystem::try_locks(path, &mut out),
        ["as", id, program, rest @ ..] => Err(scenario::become_user(id, program, rest)),
        ["ids"] => escape::ids(&mut out),
        ["nonsense"] => nonsense::all(&mut out),
        ["spoil-terminal"] => terminal::spoil(),
        ["leave-a-listener", file] => terminal::leave_a_listener(file),
        ["listen", file, shell] => terminal::listen(file, shell),
        ["status"] => scenario::status(&mut out),
        _ => Err(io::Error::other(format!(
            "there is no scenario {arguments:?}"
        ))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "scenario failed: {error}");
            ExitCode::FAILURE
        }
    }
}
