//! The multi-user system from the question for a name to the end of the machine.

use std::fs;
use std::time::Duration;

use nodeos_build::assemble::UsersOrder;
use nodeos_build::recipe::{Recipe, RootKind};
use nodeos_tests::boot::ANSWER;
use nodeos_tests::people::{Site, USERSFS, add_user, check_filesystem};

/// npm takes a while under emulation.
const NPM: Duration = Duration::from_secs(120);

/// Writes files that are complete when it says so: written, synced, renamed, and the folder synced.
const WRITER: &str = "const fs=require('fs'); let n=+process.argv[1]; for(;;){ n++; \
     const f=fs.openSync('/half','w'); fs.writeSync(f,Buffer.alloc(100000,n)); fs.fsyncSync(f); fs.closeSync(f); \
     fs.renameSync('/half','/done-'+n); const d=fs.openSync('/','r'); fs.fsyncSync(d); fs.closeSync(d); \
     console.log('complete '+n); }";

#[test]
fn the_originals_own_test_log_in_start_node_and_see_a_delayed_line() {
    let site = Site::new("login").unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.boot.console.send("node\r").unwrap();
    person.boot.prompt().unwrap();
    person
        .boot
        .console
        .send("setTimeout(() => console.log('this is' + ' a test'), 1000)\r")
        .unwrap();
    person
        .boot
        .console
        .expect("this is a test", ANSWER)
        .unwrap();
    person.boot.console.send(".exit\r").unwrap();
    person.boot.console.expect(" > ", ANSWER).unwrap();
    person.power_off().unwrap();
    check_filesystem(&site.users).unwrap();
}

#[test]
fn files_are_there_after_the_next_boot() {
    let site = Site::new("persistence").unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.run("echo remembered > /note").unwrap();
    person.power_off().unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    assert_eq!(person.run("cat /note").unwrap(), "remembered");
    assert_eq!(person.run("whoami").unwrap(), "nodeos");
    person.power_off().unwrap();
    check_filesystem(&site.users).unwrap();
}

#[test]
fn people_log_in_whatever_the_systems_own_root_is() {
    for root in [RootKind::Disk, RootKind::Initramfs] {
        let recipe = Recipe { root, ..USERSFS };
        let site = Site::of(&format!("login-{root}"), &recipe, &UsersOrder::default()).unwrap();
        let mut person = site.boot().unwrap();
        person.log_in("nodeos", "nodeos").unwrap();
        person.run("echo kept > /note").unwrap();
        assert_eq!(person.run("whoami").unwrap(), "nodeos", "{root}");
        person.power_off().unwrap();
        check_filesystem(&site.users).unwrap();
    }
}

#[test]
fn a_program_that_is_installed_for_all_is_there_for_its_user_alone() {
    // A package as npm unpacks it, without the network that a test cannot count on.
    let site = Site::with_homes("npm", |homes| {
        add_user(homes, "ada")?;
        let package = homes.join("nodeos/hello");
        fs::create_dir(&package)?;
        fs::write(
            package.join("package.json"),
            r#"{"name": "hello", "version": "1.0.0", "bin": "hello.js", "scripts": {"postinstall": "echo ran > /tmp/postinstall"}}"#,
        )?;
        fs::write(
            package.join("hello.js"),
            "#!/usr/bin/env node\nconsole.log('hello from ' + require('os').userInfo().username)\n",
        )?;
        Ok(())
    })
    .unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    let (code, said) = person
        .run_for("npm install -g --offline --no-audit /hello", NPM)
        .unwrap();
    assert_eq!(code, 0, "{said}");
    assert_eq!(person.run("hello").unwrap(), "hello from nodeos");
    person.boot.console.send("exit\r").unwrap();
    person.boot.console.expect("username: ", ANSWER).unwrap();
    person.log_in("ada", "ada").unwrap();
    person.fail("hello").unwrap();
    person.power_off().unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    assert_eq!(person.run("hello").unwrap(), "hello from nodeos");
    person.power_off().unwrap();
}

#[test]
fn what_was_written_survives_a_plug_that_is_pulled() {
    let site = Site::new("power-cut").unwrap();
    let mut last = 0;
    for round in 1..=4 {
        let mut person = site.boot().unwrap();
        person.log_in("nodeos", "nodeos").unwrap();
        // Everything that an earlier round has said to be complete.
        let there = person
            .run("ls / | grep -c '^done-' || true")
            .unwrap()
            .trim()
            .parse::<u32>()
            .unwrap();
        assert!(there >= last, "round {round}: {there} files of {last}");
        let whole = person
            .run("for f in /done-*; do [ -f $f ] || continue; [ $(wc -c < $f) = 100000 ] || echo $f; done")
            .unwrap();
        assert_eq!(whole, "", "round {round}: cut short");
        person
            .boot
            .console
            .send(&format!("node -e \"{WRITER}\" {there}\r"))
            .unwrap();
        let goal = there + 3 + round;
        person
            .boot
            .console
            .expect(&format!("complete {goal}\r\n"), ANSWER)
            .unwrap();
        person.boot.kill();
        last = goal;
    }
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.power_off().unwrap();
    check_filesystem(&site.users).unwrap();
}

#[test]
fn a_full_users_partition_is_a_full_disk_and_nothing_else() {
    let order = UsersOrder {
        size: 16 << 20,
        ..UsersOrder::default()
    };
    let site = Site::with("full", &order).unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    let said = person.fail("cat /dev/zero > /zeros").unwrap();
    assert!(said.contains("No space left on device"), "{said}");
    person.boot.console.send("exit\r").unwrap();
    person.boot.console.expect("username: ", ANSWER).unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person
        .run("rm /zeros && echo room > /note && cat /note")
        .unwrap();
    person.power_off().unwrap();
    check_filesystem(&site.users).unwrap();
}
