//! A real QEMU under emulation, with a guest of a few bytes instead of a kernel.

mod echo;

use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeos_vm::channel::Lines;
use nodeos_vm::console::ExpectError;
use nodeos_vm::machine::{Channel, Machine, OnReboot, PortForward, Root, Screen, SocketEnd};
use nodeos_vm::probe::EXIT_DEVICE;
use nodeos_vm::qmp::{Qmp, QmpError};
use nodeos_vm::vm::{BootError, Vm};
use serde_json::json;
use tempfile::TempDir;

/// Far longer than any step needs on a busy host.
const SOON: Duration = Duration::from_secs(60);

/// A machine with the guest, and the folder that its files lie in.
struct Bench {
    dir: TempDir,
    machine: Machine,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let kernel = dir.path().join("kernel");
        std::fs::write(&kernel, echo::kernel()).unwrap();
        let mut machine = Machine::new(kernel, Root::None);
        machine.memory_mib = 32;
        machine.qmp_socket = Some(dir.path().join("qmp"));
        Bench { dir, machine }
    }

    fn with(change: impl FnOnce(&mut Machine)) -> Bench {
        let mut bench = Bench::new();
        change(&mut bench.machine);
        bench
    }

    /// Boots, and waits for the greeting.
    fn boot(&self) -> Vm {
        let mut vm = Vm::boot(&self.machine).unwrap();
        vm.console.expect(echo::GREETING, SOON).unwrap();
        vm
    }

    fn qmp(&self) -> Qmp {
        Qmp::connect(&self.file("qmp"), SOON).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn is_running(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[test]
fn what_is_sent_to_the_console_reaches_the_guest_and_its_answer_comes_back() {
    let mut vm = Bench::new().boot();
    vm.console.send("hello").unwrap();
    assert_eq!(vm.console.expect("llo", SOON).unwrap(), "he");
    assert!(vm.cpu_seconds_so_far().is_some());
    let error = vm
        .console
        .expect("never", Duration::from_millis(10))
        .unwrap_err();
    assert!(matches!(error, ExpectError::Deadline { .. }), "{error}");
    assert!(error.to_string().ends_with("\n  hello"), "{error}");
    vm.console.send("q").unwrap();
    assert!(vm.wait(SOON).unwrap().success());
    assert!(vm.console.transcript().contains("ready\r\nhello"));
    let error = vm.console.expect("more", SOON).unwrap_err();
    assert!(matches!(error, ExpectError::Ended { .. }), "{error}");
}

#[test]
fn a_machine_that_runs_is_told_from_one_that_has_ended() {
    let mut vm = Bench::new().boot();
    let error = vm.wait(Duration::from_millis(10)).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the machine did not end within 0 s; the last lines"),
        "{error}"
    );
    vm.console.send("q").unwrap();
    let status = vm.wait(SOON).unwrap();
    assert_eq!(vm.wait(Duration::ZERO).unwrap(), status);
}

#[test]
fn the_guest_can_choose_the_exit_code() {
    let bench = Bench::with(|machine| machine.extra = vec!["-device".into(), EXIT_DEVICE.into()]);
    let mut vm = bench.boot();
    vm.console.send("x").unwrap();
    assert_eq!(vm.wait(SOON).unwrap().code(), Some(echo::EXIT_CODE));
}

#[test]
fn a_restart_starts_the_machine_again_or_ends_it_as_chosen() {
    let mut vm = Bench::with(|machine| machine.on_reboot = OnReboot::Restart).boot();
    vm.console.send("r").unwrap();
    vm.console.expect(echo::GREETING, SOON).unwrap();

    let bench = Bench::with(|machine| machine.on_reboot = OnReboot::Exit);
    let mut vm = bench.boot();
    let mut qmp = bench.qmp();
    vm.console.send("r").unwrap();
    let event = qmp.wait_event("SHUTDOWN", SOON).unwrap();
    assert_eq!(event.data["reason"], "guest-reset");
    assert!(vm.wait(SOON).unwrap().success());
}

#[test]
fn keys_that_are_typed_reach_the_guests_keyboard() {
    let bench = Bench::with(|machine| machine.screen = Screen::Hidden);
    let mut vm = bench.boot();
    let mut qmp = bench.qmp();
    // Scan codes of set 1: down, then up with the highest bit.
    qmp.type_keys("aB").unwrap();
    vm.console.expect("k1ek9ek2ak30k", SOON).unwrap();
    qmp.ctrl_alt_del().unwrap();
    vm.console.expect("k1dk38ke0k53", SOON).unwrap();
    let error = qmp.type_keys("ö").unwrap_err();
    assert_eq!(error.to_string(), "there is no key for 'ö'");
}

#[test]
fn a_screendump_shows_what_the_guest_has_drawn() {
    let bench = Bench::with(|machine| machine.screen = Screen::Hidden);
    let _vm = bench.boot();
    let file = bench.file("screen.ppm");
    bench.qmp().screendump(&file).unwrap();
    let picture = std::fs::read(file).unwrap();
    assert!(picture.starts_with(b"P6\n"));
    // The blue that the guest writes on, in 6 bits for a colour; the firmware's own text is grey on black.
    assert!(picture.windows(3).any(|pixel| pixel == [0, 0, 0xa8]));
}

#[test]
fn the_power_button_reaches_the_guest() {
    let bench = Bench::new();
    let mut vm = bench.boot();
    bench.qmp().power_button().unwrap();
    vm.console.expect("P", SOON).unwrap();
    assert!(vm.wait(SOON).unwrap().success());
}

#[test]
fn qemu_can_be_asked_refuse_and_be_ended() {
    let bench = Bench::new();
    let mut vm = bench.boot();
    let mut qmp = bench.qmp();
    assert_eq!(
        qmp.execute("query-status", json!({})).unwrap()["status"],
        "running"
    );
    let error = qmp.execute("no-such-command", json!({})).unwrap_err();
    assert!(matches!(error, QmpError::Refused { .. }));
    assert!(
        error
            .to_string()
            .starts_with("QEMU refuses no-such-command: "),
        "{error}"
    );
    let error = qmp
        .wait_event("NEVER", Duration::from_millis(10))
        .unwrap_err();
    assert_eq!(error.to_string(), "the event NEVER did not come within 0 s");
    qmp.quit().unwrap();
    assert!(vm.wait(SOON).unwrap().success());
}

#[test]
fn a_channel_is_open_while_the_machine_runs() {
    let mut bench = Bench::new();
    let socket = bench.file("channel");
    bench.machine.channels = vec![Channel {
        name: "org.nodeos.test".to_owned(),
        socket: socket.clone(),
        qemu: SocketEnd::Listens,
    }];
    let mut vm = bench.boot();
    let mut lines = Lines::connect(&socket, SOON).unwrap();
    assert!(lines.next(Duration::from_millis(10)).is_err());
    vm.kill();
    assert_eq!(lines.next(SOON).unwrap(), None);
}

#[test]
fn a_machine_that_is_dropped_is_gone() {
    let vm = Bench::new().boot();
    let pid = vm.pid();
    assert!(is_running(pid));
    drop(vm);
    assert!(!is_running(pid));
}

#[test]
fn what_qemu_itself_cannot_do_is_in_its_messages() {
    let bench = Bench::with(|machine| machine.extra = vec!["-nonsense".into()]);
    let mut vm = Vm::boot(&bench.machine).unwrap();
    assert_eq!(vm.wait(SOON).unwrap().code(), Some(1));
    assert!(vm.stderr().contains("-nonsense"), "{}", vm.stderr());
}

#[test]
fn a_port_that_is_taken_is_an_error_before_the_start() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let bench = Bench::with(|machine| machine.ports = vec![PortForward::local(port, 80)]);
    let error = Vm::boot(&bench.machine).unwrap_err();
    assert!(matches!(error, BootError::PortTaken { .. }));
    assert_eq!(
        error.to_string(),
        format!("port {port} of this host is taken")
    );
    assert_eq!(
        error.hint().unwrap(),
        "forward another port, or end what listens there"
    );
    drop(listener);
    // Taken by QEMU itself, it is free again after the machine's end.
    drop(bench.boot());
    drop(bench.boot());
}

#[test]
fn files_with_commas_in_their_names_are_found() {
    let mut bench = Bench::new();
    let image = bench.file("a,b.img");
    std::fs::write(&image, vec![0; 2 << 20]).unwrap();
    bench.machine.root = Root::Disk {
        image: image.clone(),
    };
    drop(bench.boot());
    bench.machine.root = Root::Pmem {
        image,
        size: 2 << 20,
    };
    drop(bench.boot());
}
