//! Machines whose folders are on a disk that becomes full.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeos::exit::Exit;
use nodeos::machines::record::Mode;
use nodeos_spec::application::frame::{MAX_PAYLOAD, STREAMS};
use nodeos_spec::application::message::{End, MachineMessage};

use crate::hands::{attend, quiet, state};
use crate::peer::{Host, until, wait_for};

/// Where a test finds its small disk when it runs again; temporary files are there, too.
const DISK: &str = "NODEOS_TEST_DISK";
/// More than is on it.
const MUCH: usize = 3 << 20;

/// The small disk of a test. None where the test has run again with one, as root of a user namespace: no root is needed for that.
fn disk(test: &str) -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    let disk = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=2m none "$0" && exec "$@""#;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(disk.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DISK, disk.path())
        .env("TMPDIR", disk.path())
        .output()
        .expect("unshare of util-linux is needed: sudo apt-get install util-linux");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    None
}

/// Takes all room that there is on the disk.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[1; 512]).is_ok() {}
    path
}

fn much() -> Vec<u8> {
    (0..=250).cycle().take(MUCH).collect()
}

#[test]
fn a_log_that_cannot_grow_stops_nothing_and_that_is_said_once() {
    let test = "full_disk::a_log_that_cannot_grow_stops_nothing_and_that_is_said_once";
    let Some(disk) = disk(test) else { return };
    let host = Host::new();
    let (mut peer, starting) = host.start("shop", Mode::Foreground);
    let log = peer.folder.file("log");
    let playing = std::thread::spawn(move || {
        peer.say(&MachineMessage::Started);
        for chunk in much().chunks(MAX_PAYLOAD) {
            peer.write(STREAMS.stdout, chunk);
        }
        peer.end(End::Code(7));
    });
    let (ended, out, err) = attend(starting);
    playing.join().unwrap();
    assert_eq!(ended.unwrap(), Exit::Program(7));
    assert!(out.bytes() == much(), "what is written comes all the same");
    let said = err.text();
    let expected = format!(
        "note: not all that the application writes is kept: cannot write {}: No space left on device (os error 28); \
         free some space in {}, which has ",
        log.display(),
        disk.display()
    );
    assert!(said.starts_with(&expected), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(host.machines().list().unwrap().len(), 0);
}

#[test]
fn a_log_goes_on_when_there_is_room_again_and_a_full_disk_hides_no_end() {
    let test = "full_disk::a_log_goes_on_when_there_is_room_again_and_a_full_disk_hides_no_end";
    let Some(disk) = disk(test) else { return };
    let host = Host::new();
    let sealed = &host.sealed;
    let (mut peer, starting) = host.start("shop", Mode::Detached);
    peer.say(&MachineMessage::Started);
    peer.write(STREAMS.stdout, b"before\n");
    until("it is kept", || {
        (sealed.run(&["logs", "shop"]) == quiet("before\n")).then_some(())
    });
    let filler = fill(&disk);
    let lost = vec![b'x'; MAX_PAYLOAD];
    peer.write(STREAMS.stdout, &lost);
    let gap = until("it is known", || {
        peer.folder.record().unwrap().unwrap().log_gap
    });
    fs::remove_file(filler).unwrap();
    peer.write(STREAMS.stdout, b"after\n");
    let said = until("it is kept", || {
        let said = sealed.run(&["logs", "shop"]);
        said.out.ends_with("after\n").then_some(said)
    });
    assert_eq!(said.out, "before\nafter\n");
    let gap = gap.replace(sealed.path().to_str().unwrap(), "HOME");
    assert_eq!(said.err, format!("note: {gap}\n"));

    fill(&disk);
    peer.say(&MachineMessage::Ready { port: 3000 });
    until("it is ready", || {
        (state(sealed, &[]) == "shop ready").then_some(())
    });
    peer.end(End::Code(3));
    wait_for(starting.monitor);
    assert_eq!(state(sealed, &["--all"]), "shop exit code 3");
}

#[test]
fn a_machine_that_has_no_room_is_refused_and_leaves_nothing() {
    let test = "full_disk::a_machine_that_has_no_room_is_refused_and_leaves_nothing";
    let Some(disk) = disk(test) else { return };
    let host = Host::new();
    fill(&disk);
    let name = "shop".parse().unwrap();
    let error = host.machines().claim(&name).unwrap_err();
    let path = host.machines().folder(&name).file("machine.json.new");
    assert_eq!(
        error.to_string(),
        format!("cannot write {}", path.display())
    );
    let expected = format!("free some space in {}, which has ", disk.display());
    assert!(error.hint().unwrap().starts_with(&expected));
    assert_eq!(host.machines().list().unwrap().len(), 0);
}
