//! Who stops the machine: people at the console, root, and the administrator.

use std::fs;

use nodeos_tests::boot::{ANSWER, BOOT};
use nodeos_tests::people::{Person, Site};
use nodeos_vm::machine::OnReboot;

#[test]
fn who_is_at_the_console_restarts_halts_and_powers_off_root_or_not() {
    let mut site = Site::with_homes("power", |homes| {
        let logon = homes.join("root/etc/logon.json");
        Ok(fs::write(logon, r#"{"password": ""}"#)?)
    })
    .unwrap();
    site.machine.on_reboot = OnReboot::Restart;
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.run("echo kept > /note").unwrap();
    person.boot.console.send("reboot\r").unwrap();
    person
        .boot
        .console
        .expect("init: stopping", ANSWER)
        .unwrap();
    person.boot.console.expect("username: ", BOOT).unwrap();
    person.log_in("root", "").unwrap();
    assert_eq!(person.run("id -u").unwrap(), "0");
    // Nobody who is logged out is at the machine.
    person.log_out().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    assert_eq!(person.run("cat /note").unwrap(), "kept");
    person.log_out().unwrap();
    person.log_in("root", "").unwrap();
    person.power_off().unwrap();

    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.boot.console.send("halt\r").unwrap();
    person.boot.console.expect("init: halt", ANSWER).unwrap();
    person.boot.kill();
}

#[test]
fn the_administrator_restarts_and_powers_off() {
    let mut site = Site::new("power-single").unwrap();
    site.machine.on_reboot = OnReboot::Restart;
    let Person { mut boot } = site.administrator().unwrap();
    boot.console.send("reboot\r").unwrap();
    boot.console.expect("init: stopping", ANSWER).unwrap();
    boot.console.expect("Administrator mode", BOOT).unwrap();
    boot.console.expect(" > ", BOOT).unwrap();
    Person { boot }.power_off().unwrap();
}
