//! Sessions: what an ordinary user cannot do, see or become.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use nodeos_build::assemble::{self, image::erofs_options};
use nodeos_image::erofs;
use nodeos_image::tree::Entry;
use nodeos_tests::boot::{ANSWER, BOOT};
use nodeos_tests::people::{Site, USERSFS, add_user};
use nodeos_tests::system;
use nodeos_vm::machine::Root;

/// Attempts of `tests/guest/src/escape.rs` that may succeed, because they lead nowhere.
const HARMLESS: [&str; 0] = [];

/// Homes with a second user, and the program that tries to escape in the first one's.
fn homes(homes: &Path) -> anyhow::Result<()> {
    add_user(homes, "ada")?;
    fs::copy(system::scenario()?.path, homes.join("nodeos/bin/scenario"))?;
    Ok(())
}

#[test]
fn no_attempt_to_escape_succeeds() {
    let site = Site::with_homes("escape", homes).unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    let said = person.run("scenario escape").unwrap();
    let done: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_suffix(": DONE"))
        .filter(|name| !HARMLESS.contains(name))
        .collect();
    assert!(done.is_empty(), "these succeeded: {done:?}\n{said}");
    let count = said.lines().filter(|line| line.contains(": ")).count();
    assert!(
        said.ends_with(&format!("attempts: {}", count - 1)),
        "an attempt ended the program:\n{said}"
    );
    person.power_off().unwrap();
}

/// What root's session is there for: its consoles, the kernel's log, the list of homes, and what it tells all others. And it
/// is root already.
const ROOTS_OWN: [&str; 7] = [
    "give a file to root",
    "run a program as root",
    "read the kernel's log",
    "see other homes",
    "open the console of the machine",
    "write what all sessions read",
    "replace what all sessions read",
];

#[test]
fn roots_own_session_leads_nowhere_else_either() {
    let site = Site::with_homes("escape-of-root", |homes| {
        let root = homes.join("root");
        fs::write(root.join("etc/logon.json"), r#"{"password": ""}"#)?;
        fs::copy(system::scenario()?.path, root.join("bin/scenario"))?;
        Ok(())
    })
    .unwrap();
    let mut person = site.boot().unwrap();
    let console = &mut person.boot.console;
    console.send("nodeos\r").unwrap();
    console.expect("password: ", ANSWER).unwrap();
    console.send("wrong\r").unwrap();
    console.expect("username: ", ANSWER).unwrap();
    person.log_in("root", "").unwrap();
    let said = person.run("scenario escape").unwrap();
    let done: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_suffix(": DONE"))
        .filter(|name| !ROOTS_OWN.contains(name))
        .collect();
    assert!(done.is_empty(), "these succeeded: {done:?}\n{said}");
    person.fail("ls /home/nodeos").unwrap();
    person.fail("echo x > /home/nodeos/etc/logon.json").unwrap();
    let log = person.run("dmesg").unwrap();
    assert!(log.contains("Linux version 6."), "{log}");
    assert!(log.contains("boot: wrong password for nodeos"), "{log}");
    person.power_off().unwrap();
}

#[test]
fn nonsense_does_not_confuse_the_broker() {
    let site = Site::with_homes("nonsense", homes).unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    let said = person.run("scenario nonsense").unwrap();
    let failed = |message: &str| format!(r#"{{"type":"failed","message":"{message}"#);
    let not_understood = failed("the message is not understood");
    for (name, answer) in [
        ("no JSON", &not_understood),
        ("too long", &failed("the message is too long")),
        ("deep", &not_understood),
        ("unknown", &not_understood),
        ("log in", &failed("only root's session logs people in")),
        (
            "start a service",
            &failed("only services of root have capabilities"),
        ),
        ("signal a service", &failed("no service network runs")),
        ("signal nobody", &failed("no service ../x runs")),
        ("sessions", &r#"{"type":"sessions","#.to_owned()),
        (
            "log in on a terminal",
            &failed("only root's session logs people in"),
        ),
        ("many descriptors", &failed("the message is too long")),
        (
            "a crowd",
            &failed("this session has too many connections to the broker"),
        ),
        ("after all", &not_understood),
    ] {
        let line = format!("{name}: {answer}");
        assert!(
            said.lines().any(|said| said.starts_with(&line)),
            "{line}\n{said}"
        );
    }
    person.log_out().unwrap();
    person.log_in("ada", "ada").unwrap();
    person.power_off().unwrap();
}

#[test]
fn a_users_process_is_that_user_and_has_no_capability_and_no_way_to_one() {
    let site = Site::with_homes("ids", homes).unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    let none = "0000000000000000";
    assert_eq!(
        person.run("scenario ids").unwrap(),
        format!(
            "uid 1 1 1 1 gid 1 1 1 1 groups [] cap {none} {none} {none} {none} {none} nnp 1 seccomp 2"
        )
    );
    person.power_off().unwrap();
}

#[test]
fn users_do_not_see_each_others_processes_files_or_tmp() {
    let site = Site::with_homes("two-users", homes).unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person
        .run("echo mine > /secret; echo mine > /tmp/secret")
        .unwrap();
    person.run("sleep 1000 & true").unwrap();
    person.boot.console.send("exit\r").unwrap();
    person.boot.console.expect("username: ", ANSWER).unwrap();
    person.log_in("ada", "ada").unwrap();
    assert_eq!(person.run("whoami").unwrap(), "ada");
    person.fail("cat /secret").unwrap();
    person.fail("cat /tmp/secret").unwrap();
    let processes = person
        .run("for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; echo; done")
        .unwrap();
    assert!(!processes.contains("sleep 1000"), "{processes}");
    assert!(processes.contains("/bin/palmtree"), "{processes}");
    person.power_off().unwrap();
}

#[test]
fn nothing_but_pid_1_and_boot_is_privileged_and_services_have_what_they_name() {
    let site = Site::new("privileges").unwrap();
    let mut tree = assemble::tree(&system::context().unwrap(), &USERSFS).unwrap();
    let scenario = Entry::host_file(0o555, system::scenario().unwrap().path).unwrap();
    tree.insert("/bin/scenario", scenario).unwrap();
    tree.insert("/sbin/init", Entry::symlink("/bin/scenario"))
        .unwrap();
    let mut machine = site.machine.clone();
    let image = site.scratch.dir.join("spied.img");
    let size = erofs::write(
        &tree,
        &erofs_options([0; 16]),
        &File::create(&image).unwrap(),
    )
    .unwrap();
    machine.root = Root::Pmem { image, size };
    let mut boot = site.scratch.boot(&machine).unwrap();
    let before = boot.console.expect("processes: all", BOOT).unwrap();
    let mut privileged: Vec<&str> = Vec::new();
    let processes: Vec<&str> = before
        .lines()
        .filter_map(|line| {
            line.split_once("process: ")
                .map(|(_, rest)| rest.trim_end())
        })
        .collect();
    let named = |name: &str| {
        let found: Vec<&&str> = processes
            .iter()
            .filter(|line| {
                line.split(' ')
                    .next()
                    .is_some_and(|word| word.contains(name))
            })
            .collect();
        assert!(!found.is_empty(), "{name} in {processes:#?}");
        found
    };
    for process in &processes {
        let is_powerless = process.contains("permitted=0000000000000000 bounding=0000000000000000");
        if !is_powerless {
            privileged.push(process.split(": ").next().unwrap());
        } else {
            assert!(process.ends_with("nnp=1 seccomp=2"), "{process}");
        }
    }
    privileged.sort_unstable();
    assert_eq!(
        privileged,
        ["/init", "/sbin/boot", "network"],
        "{processes:#?}"
    );
    // net_bind_service, net_admin, net_raw, sys_time: bits 10, 12, 13 and 25 of capability.h.
    let network = named("network")[0];
    assert!(
        network.contains("uid=0 0 0 0 permitted=0000000002003400 bounding=0000000002003400"),
        "{network}"
    );
    assert!(network.ends_with("nnp=1 seccomp=2"), "{network}");
    let owners: BTreeSet<&str> = named("palmtree")
        .iter()
        .filter_map(|line| line.split("uid=").nth(1)?.split(' ').next())
        .collect();
    assert_eq!(owners, BTreeSet::from(["0", "1"]));
}
