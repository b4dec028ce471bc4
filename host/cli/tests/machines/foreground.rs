//! A machine in the foreground: its streams, its end, and what goes wrong.

use nodeos::exit::Exit;
use nodeos::machines::record::Mode;
use nodeos_spec::application::frame::{MAX_PAYLOAD, STREAMS};
use nodeos_spec::application::message::{End, HostMessage, MachineMessage};

use crate::hands::attend;
use crate::peer::Host;

#[test]
fn an_application_in_the_foreground_is_as_if_it_ran_here() {
    let host = Host::new();
    let (mut peer, starting) = host.start("shop", Mode::Foreground);
    let binary: Vec<u8> = (0..=255).cycle().take(3 * MAX_PAYLOAD).collect();
    let written = binary.clone();
    let playing = std::thread::spawn(move || {
        peer.say(&MachineMessage::Started);
        peer.write(STREAMS.stderr, b"warning\n");
        for chunk in written.chunks(MAX_PAYLOAD) {
            peer.write(STREAMS.stdout, chunk);
        }
        peer.say(&MachineMessage::Note {
            text: "by the way".to_owned(),
        });
        peer.end(End::Code(7));
        peer.folder
    });
    let (ended, out, err) = attend(starting);
    assert_eq!(ended.unwrap(), Exit::Program(7));
    assert!(out.bytes() == binary, "every byte comes as it was written");
    let said = err.text();
    assert!(
        said.contains("warning\n") && said.contains("note: by the way\n"),
        "{said}"
    );
    let folder = playing.join().unwrap();
    assert!(!folder.path.exists(), "nothing is left of it");
}

#[test]
fn what_a_machine_fails_with_is_told_with_the_last_that_was_said() {
    let check = |script: &str, reason: &str, tail: &str| {
        let host = Host::new();
        let (ended, _, err) = attend(host.start_script("shop", Mode::Foreground, script));
        let failure = ended.unwrap_err();
        assert_eq!(
            (failure.exit, failure.error.to_string().as_str()),
            (Exit::Failed, reason)
        );
        assert_eq!(err.text(), tail);
        assert_eq!(host.machines().list().unwrap().len(), 0);
    };
    check(
        "echo no such device >&2; exit 1",
        "QEMU ended with exit code 1",
        "no such device\n",
    );
    check(
        "exec /nowhere/qemu 2>/dev/null",
        "QEMU ended with exit code 127",
        "",
    );
    check("kill -SEGV $$", "QEMU ended with SIGSEGV", "");
    let panic = "[    0.1] Kernel panic - not syncing: no init";
    check(
        &format!("printf 'one\\r\\n{panic}\\r\\n'; exit 1"),
        "the machine's kernel panicked",
        &format!("one\n{panic}\n"),
    );
    check("exit 0", "the machine ended before its application did", "");
}

#[test]
fn an_application_that_could_not_be_started_says_why() {
    let host = Host::new();
    let (mut peer, starting) = host.start("shop", Mode::Foreground);
    let playing = std::thread::spawn(move || {
        peer.say(&MachineMessage::NotStarted {
            reason: "cannot run /bin/node: it is not there".to_owned(),
        });
        assert_eq!(peer.hear(), HostMessage::Goodbye);
        peer.power_off(0);
    });
    let (ended, ..) = attend(starting);
    assert_eq!(
        ended.unwrap_err().report(),
        "error: cannot run /bin/node: it is not there"
    );
    playing.join().unwrap();
}
