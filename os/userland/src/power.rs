//! `poweroff`, `reboot` and `halt`: ask the session broker to stop the machine, or PID 1 where there is no broker.

use std::path::Path;

use lexopt::Arg;
use nodeos_spec::broker::{self, Power, Reply, Request};
use rustix::io::Errno;
use rustix::process::{self, Pid, Signal};
use thiserror::Error;

use crate::applet::{Call, DONE, Stop};
use crate::broker::{AskBrokerError, Broker};

/// One of the three.
struct Command {
    name: &'static str,
    how: Power,
    /// What PID 1 takes for it.
    signal: Signal,
    deed: &'static str,
}

const COMMANDS: [Command; 3] = [
    Command {
        name: "halt",
        how: Power::Halt,
        signal: Signal::USR1,
        deed: "halt the machine without powering it off",
    },
    Command {
        name: "poweroff",
        how: Power::PowerOff,
        signal: Signal::TERM,
        deed: "power the machine off",
    },
    Command {
        name: "reboot",
        how: Power::Restart,
        signal: Signal::INT,
        deed: "restart the machine",
    },
];

pub(crate) const HALT: &str = "\
Usage: halt

Asks to halt the machine without powering it off. Every process is told to end and given time for it.

Options:
  --help  Show this
";

pub(crate) const POWEROFF: &str = "\
Usage: poweroff

Asks to power the machine off. Every process is told to end and given time for it.

Options:
  --help  Show this
";

pub(crate) const REBOOT: &str = "\
Usage: reboot

Asks to restart the machine. Every process is told to end and given time for it.

Options:
  --help  Show this
";

#[derive(Debug, Error)]
enum StopMachineError {
    #[error("cannot tell PID 1 to {deed}")]
    Signal { deed: &'static str, source: Errno },
    #[error("cannot ask the session broker to {deed}")]
    Broker {
        deed: &'static str,
        source: AskBrokerError,
    },
    #[error("the session broker does not {deed}: {message}")]
    Refused { deed: &'static str, message: String },
}

pub(crate) fn run(call: &mut Call<'_>) -> Result<u8, Stop> {
    let mut parser = call.parser();
    match parser.next()? {
        None => {}
        Some(Arg::Long("help")) => return Err(Stop::Help),
        Some(argument) => return Err(argument.unexpected().into()),
    }
    let command = COMMANDS
        .iter()
        .find(|command| command.name == call.name)
        .expect("the table of programs has these three names for this function");
    match stop(command, Path::new(broker::SOCKET)) {
        Ok(()) => Ok(DONE),
        Err(error) => {
            let may_not = matches!(
                error,
                StopMachineError::Refused { .. }
                    | StopMachineError::Signal {
                        source: Errno::PERM,
                        ..
                    }
            );
            let stop = Stop::failed(error);
            Err(if may_not {
                stop.hint("only root may stop the machine")
            } else {
                stop
            })
        }
    }
}

fn stop(command: &Command, socket: &Path) -> Result<(), StopMachineError> {
    let deed = command.deed;
    let cannot_ask = |source| StopMachineError::Broker { deed, source };
    let broker = match Broker::connect(socket) {
        Err(error) if error.is_no_broker() => {
            return process::kill_process(Pid::INIT, command.signal)
                .map_err(|source| StopMachineError::Signal { deed, source });
        }
        broker => broker.map_err(cannot_ask)?,
    };
    let request = Request::Power { how: command.how };
    broker.send(&request.to_packet(), &[]).map_err(cannot_ask)?;
    match broker.receive().map_err(cannot_ask)? {
        Reply::Done => Ok(()),
        Reply::Failed { message } => Err(StopMachineError::Refused { deed, message }),
        _ => Err(cannot_ask(AskBrokerError::Unexpected)),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType};

    use super::*;

    /// What `stop` says when the broker answers this.
    fn answered(name: &str, expected: &str, reply: Reply) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("broker.sock");
        let listener = net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        net::bind(&listener, &SocketAddrUnix::new(&socket).unwrap()).unwrap();
        net::listen(&listener, 1).unwrap();
        let command = COMMANDS
            .iter()
            .find(|command| command.name == name)
            .unwrap();
        thread::scope(|scope| {
            let stopped = scope.spawn(|| stop(command, &socket).map_err(|error| error.to_string()));
            let peer = net::accept(&listener).unwrap();
            let mut packet = [0; 100];
            let (_, length) = net::recv(&peer, &mut packet, RecvFlags::empty()).unwrap();
            assert_eq!(str::from_utf8(&packet[..length]), Ok(expected));
            net::send(&peer, &reply.to_packet(), SendFlags::empty()).unwrap();
            stopped.join().unwrap()
        })
    }

    #[test]
    fn the_broker_is_asked_for_what_the_name_says() {
        let check = |name: &str, how: &str| {
            let expected = format!(r#"{{"type":"power","how":"{how}"}}"#);
            assert_eq!(answered(name, &expected, Reply::Done), Ok(()));
        };
        check("poweroff", "power-off");
        check("reboot", "restart");
        check("halt", "halt");
    }

    #[test]
    fn what_the_broker_refuses_is_said_in_its_words() {
        let message = "you are not root".to_owned();
        let request = r#"{"type":"power","how":"halt"}"#;
        let expected = "the session broker does not halt the machine without powering it off: you are not root";
        let result = answered("halt", request, Reply::Failed { message });
        assert_eq!(result, Err(expected.to_owned()));
    }
}
