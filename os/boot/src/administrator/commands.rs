//! Administrator mode without a person: commands that come from the host, one after the other.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use nodeos_sandbox::log::Log;
use nodeos_spec::host::{HostMessage, MachineMessage};

use super::environment;
use crate::host::{Heard, Host, Reading, set_console_size};

/// Takes commands until the host has no more. The exit code of this process.
pub(super) fn serve(log: &mut Log) -> i32 {
    let Some(mut host) = Host::open(Reading::Waits) else {
        log.say("there is no port on which the host could say what to do");
        return 1;
    };
    host.say(&MachineMessage::Ready);
    loop {
        match host.hear() {
            Heard::Message(HostMessage::Run { argv, input }) => {
                let answer = run(&argv, &input);
                host.say(&answer);
            }
            Heard::Message(HostMessage::ConsoleSize { columns, rows }) => {
                set_console_size(columns, rows);
            }
            Heard::Nothing => {}
            Heard::End => return 0,
        }
    }
}

fn run(argv: &[String], input: &str) -> MachineMessage {
    let Some((program, args)) = argv.split_first() else {
        return MachineMessage::NotStarted {
            reason: "the command is empty".to_owned(),
        };
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    environment(&mut command);
    let ran = command.spawn().and_then(|mut child| {
        if let Some(mut pipe) = child.stdin.take() {
            // What was not read, the program did not want.
            let _ = pipe.write_all(input.as_bytes());
        }
        child.wait_with_output()
    });
    match ran {
        Ok(output) => MachineMessage::Ended {
            code: code(output.status),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        },
        Err(error) => MachineMessage::NotStarted {
            reason: format!("cannot start {program}: {error}"),
        },
    }
}

/// As a shell counts.
fn code(status: ExitStatus) -> u8 {
    let number = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn what_cannot_be_started_is_named() {
        assert_eq!(
            run(&argv(&["/nowhere"]), ""),
            MachineMessage::NotStarted {
                reason: "cannot start /nowhere: No such file or directory (os error 2)".to_owned()
            }
        );
        assert_eq!(
            run(&[], ""),
            MachineMessage::NotStarted {
                reason: "the command is empty".to_owned()
            }
        );
    }

    #[test]
    fn codes_are_those_of_a_shell() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }
}
