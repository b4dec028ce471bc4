//! How a machine stops: asked by a signal, by ctrl-alt-del, by a command, or because nothing is left to run.

use std::time::Duration;

use nodeos_tests::boot::{ANSWER, BOOT, Boot, Scratch};
use nodeos_tests::system::{self, BAREBONES, SCENARIO};
use nodeos_vm::machine::{Machine, OnReboot};
use nodeos_vm::qmp::Qmp;
use serde_json::json;

fn barebones(scratch: &Scratch) -> Machine {
    let output = system::build(&BAREBONES, &scratch.dir.join("out")).unwrap();
    system::machine(&BAREBONES, &output)
}

fn booted(scratch: &Scratch, machine: &Machine) -> Boot {
    let mut vm = scratch.boot(machine).unwrap();
    vm.prompt().unwrap();
    vm
}

#[test]
fn sigterm_to_pid_1_powers_off_and_says_so() {
    let scratch = Scratch::new("sigterm").unwrap();
    let mut vm = booted(&scratch, &barebones(&scratch));
    vm.console.send("process.kill(1, 'SIGTERM')\r").unwrap();
    vm.console.expect("init: stopping", ANSWER).unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn the_poweroff_command_powers_off() {
    let scratch = Scratch::new("poweroff").unwrap();
    let mut vm = booted(&scratch, &barebones(&scratch));
    vm.console
        .send("child_process.execFileSync('/sbin/poweroff')\r")
        .unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn the_power_button_powers_off() {
    let scratch = Scratch::new("power-button").unwrap();
    let mut machine = barebones(&scratch);
    let socket = scratch.dir.join("qmp");
    machine.qmp_socket = Some(socket.clone());
    let mut vm = booted(&scratch, &machine);
    let mut qmp = Qmp::connect(&socket, ANSWER).unwrap();
    qmp.execute("system_powerdown", json!({})).unwrap();
    vm.console.expect("init: stopping", ANSWER).unwrap();
    vm.console.expect("init: power off", ANSWER).unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn a_hypervisor_that_cannot_switch_off_is_asked_to_restart() {
    let scratch = Scratch::new("off-by-restart").unwrap();
    let mut machine = barebones(&scratch);
    machine.on_reboot = OnReboot::Restart;
    machine
        .append
        .push("nodeos.off=restart reboot=k".to_owned());
    let mut vm = booted(&scratch, &machine);
    vm.console.send(".exit\r").unwrap();
    // The second boot of the same machine.
    vm.console.expect("Welcome to Node.js", BOOT).unwrap();
}

#[test]
fn a_program_that_ignores_term_is_killed_after_the_grace_period() {
    let scratch = Scratch::new("ignores-term").unwrap();
    let mut vm = booted(&scratch, &barebones(&scratch));
    assert_eq!(
        vm.evaluate("process.on('SIGTERM', () => {}) === process")
            .unwrap(),
        "true"
    );
    vm.console.send("process.kill(1, 'SIGTERM')\r").unwrap();
    vm.console.expect("KILL", ANSWER).unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn ctrl_alt_del_restarts_the_machine() {
    let scratch = Scratch::new("ctrl-alt-del").unwrap();
    let mut machine = barebones(&scratch);
    machine.on_reboot = OnReboot::Restart;
    let mut vm = booted(&scratch, &machine);
    vm.console.send("process.kill(1, 'SIGINT')\r").unwrap();
    vm.console.expect("init: stopping", ANSWER).unwrap();
    // The second boot of the same machine.
    vm.console.expect("Welcome to Node.js", BOOT).unwrap();
    vm.prompt().unwrap();
    vm.console.send(".exit\r").unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn a_thousand_orphans_leave_no_zombie() {
    let scratch = Scratch::new("orphans").unwrap();
    let tree = system::tree_with_scenarios().unwrap();
    let mut machine = system::machine_with(&tree, &scratch.dir).unwrap();
    machine.append.push(format!("-- {SCENARIO} orphans 1000"));
    let mut vm = scratch.boot(&machine).unwrap();
    let deadline = Duration::from_secs(120);
    vm.console
        .expect(
            "orphans made: 1000, processes left: 0, zombies: 0",
            deadline,
        )
        .unwrap();
    vm.powered_off().unwrap();
}

#[test]
fn the_program_leads_a_session_on_the_console_with_clean_signals() {
    let scratch = Scratch::new("session").unwrap();
    let tree = system::tree_with_scenarios().unwrap();
    let mut machine = system::machine_with(&tree, &scratch.dir).unwrap();
    machine.append.push(format!("-- {SCENARIO} status"));
    let mut vm = scratch.boot(&machine).unwrap();
    for line in [
        "ppid: 1",
        "leads its session: true",
        "has a terminal: true",
        "SigBlk: 0000000000000000",
        // Rust's runtime ignores SIGPIPE (signal 13) in the program itself; PID 1 left nothing else ignored.
        "SigIgn: 0000000000001000",
    ] {
        vm.console.expect(line, BOOT).unwrap();
    }
    vm.powered_off().unwrap();
}

#[test]
fn mounts_with_spaces_in_their_names_are_unmounted() {
    let scratch = Scratch::new("unmount").unwrap();
    let tree = system::tree_with_scenarios().unwrap();
    let mut machine = system::machine_with(&tree, &scratch.dir).unwrap();
    machine
        .append
        .push(format!("-- {SCENARIO} mount \"/tmp/with a space\""));
    let mut vm = scratch.boot(&machine).unwrap();
    vm.console.expect("mounted", BOOT).unwrap();
    vm.powered_off().unwrap();
    let console = vm.console.transcript();
    assert!(!console.contains("cannot unmount"), "{console}");
}
