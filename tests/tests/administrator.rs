//! Administrator mode, and the machine without what it needs.

use nodeos_tests::boot::{ANSWER, BOOT};
use nodeos_tests::people::{Person, Site, check_filesystem};

#[test]
fn single_is_root_with_everybodys_files_and_nobody_elses_session() {
    let site = Site::new("single").unwrap();
    let mut person = site.administrator().unwrap();
    assert_eq!(person.run("whoami").unwrap(), "root");
    let files = person.run("cat /home/nodeos/etc/logon.json").unwrap();
    assert!(files.contains("\"password\""), "{files}");
    let processes = person.run("pstree").unwrap();
    assert!(!processes.contains("palmtree"), "{processes}");
    person.boot.console.send("exit\r").unwrap();
    person.boot.powered_off().unwrap();
    check_filesystem(&site.users).unwrap();
}

#[test]
fn a_user_that_was_added_there_can_log_in() {
    let site = Site::new("useradd").unwrap();
    let mut person = site.administrator().unwrap();
    person
        .run("echo secret | useradd ada --password-stdin")
        .unwrap();
    person.boot.console.send("exit\r").unwrap();
    person.boot.powered_off().unwrap();

    let mut person = site.boot().unwrap();
    person.log_in("ada", "secret").unwrap();
    assert_eq!(person.run("whoami").unwrap(), "ada");
    person.power_off().unwrap();
}

#[test]
fn without_a_users_partition_it_says_so_and_everything_works() {
    let mut site = Site::new("temporary").unwrap();
    site.machine.append.clear();
    site.machine.disks.clear();
    let mut boot = site.scratch.boot(&site.machine).unwrap();
    boot.console.expect("EVERYTHING IS LOST", BOOT).unwrap();
    boot.console.expect("username: ", BOOT).unwrap();
    let mut person = Person { boot };
    person.log_in("nodeos", "nodeos").unwrap();
    person.run("echo kept > /note && cat /note").unwrap();
    person.power_off().unwrap();
}

#[test]
fn a_partition_that_is_not_there_is_named_with_what_to_do() {
    let mut site = Site::new("no-disk").unwrap();
    site.machine.disks.clear();
    let mut boot = site.scratch.boot(&site.machine).unwrap();
    boot.console
        .expect(
            "boot: there is no LABEL=nodeos-users, and it has been waited for 15 seconds",
            BOOT,
        )
        .unwrap();
    boot.console
        .expect("boot: hint: attach the disk", ANSWER)
        .unwrap();
    boot.powered_off().unwrap();
}

#[test]
fn a_partition_that_cannot_be_mounted_is_not_written_to() {
    let mut site = Site::new("not-ext").unwrap();
    let image = site.scratch.dir.join("noise.img");
    let noise: Vec<u8> = (0..8 << 20_u32).map(|n: u32| (n % 251) as u8).collect();
    std::fs::write(&image, &noise).unwrap();
    site.machine.disks = vec![image.clone()];
    site.machine.append = vec!["nodeos.users=/dev/vda".to_owned()];
    let mut boot = site.scratch.boot(&site.machine).unwrap();
    boot.console
        .expect(
            "boot: /dev/vda holds no filesystem that can be mounted",
            BOOT,
        )
        .unwrap();
    boot.powered_off().unwrap();
    assert!(std::fs::read(&image).unwrap() == noise, "it was written to");
}

#[test]
fn a_read_only_partition_can_be_read_and_not_written() {
    let mut site = Site::new("read-only").unwrap();
    site.machine.append.push("nodeos.usersflags=ro".to_owned());
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.run("cat /etc/logon.json").unwrap();
    person.fail("echo x > /note").unwrap();
    person.run("echo x > /tmp/note").unwrap();
    person.power_off().unwrap();
}

#[test]
fn wrong_passwords_are_answered_alike_and_the_right_one_works_after_them() {
    let site = Site::new("wrong-passwords").unwrap();
    let mut person = site.boot().unwrap();
    for (name, password) in [
        ("nodeos", "wrong"),
        ("nobody-of-that-name", "nodeos"),
        ("../nodeos", "nodeos"),
        ("root", ""),
        ("nodeos", ""),
    ] {
        person.boot.console.send(&format!("{name}\r")).unwrap();
        person.boot.console.expect("password: ", ANSWER).unwrap();
        person.boot.console.send(&format!("{password}\r")).unwrap();
        person
            .boot
            .console
            .expect("wrong username or password", ANSWER)
            .unwrap();
        person.boot.console.expect("username: ", ANSWER).unwrap();
    }
    person.log_in("nodeos", "nodeos").unwrap();
    // SHA-1 came with the image; the first login has replaced it.
    let logon = person.run("cat /etc/logon.json").unwrap();
    assert!(logon.contains("$argon2id$"), "{logon}");
    person.boot.console.send("exit\r").unwrap();
    person.boot.console.expect("username: ", ANSWER).unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.power_off().unwrap();
}
