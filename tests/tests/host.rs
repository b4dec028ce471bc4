//! What the host tells a machine beside its disks: the window's size, authorities, and commands in administrator mode.

use std::fs;
use std::process::{Command, Output, Stdio};

use nodeos_spec::host::HostMessage;
use nodeos_tests::boot::ANSWER;
use nodeos_tests::cli;
use nodeos_tests::people::{Site, check_filesystem};
use nodeos_vm::control::Control;

#[test]
fn the_console_follows_the_window_and_programs_on_it_are_told() {
    let mut site = Site::new("window").unwrap();
    let mut control = Control::listen().unwrap();
    site.machine.channels.push(control.channel());
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    assert_eq!(person.run("stty size").unwrap(), "50 1000");
    let script = "process.stdout.on('resize', () => { console.log('now', process.stdout.columns); process.exit() });\
                  console.log('li' + 'stens'); setTimeout(() => {}, 1e9)";
    person
        .boot
        .console
        .send(&format!("node -e \"{script}\"\r"))
        .unwrap();
    person.boot.console.expect("listens", ANSWER).unwrap();
    let message = HostMessage::ConsoleSize {
        columns: 132,
        rows: 43,
    };
    control.say(&message, ANSWER).unwrap();
    person.boot.console.expect("now 132", ANSWER).unwrap();
    person.boot.console.expect(" > ", ANSWER).unwrap();
    assert_eq!(person.run("stty size").unwrap(), "43 132");
    person.power_off().unwrap();
}

#[test]
fn authorities_of_the_host_are_trusted_in_every_session() {
    let mut site = Site::new("ca-bundle").unwrap();
    let bundle = site.scratch.dir.join("ca.pem");
    let made = rcgen::generate_simple_self_signed(["proxy.example".to_owned()]).unwrap();
    fs::write(&bundle, made.cert.pem()).unwrap();
    site.machine.authorities = Some(bundle);
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    let count = person
        .run("node -p \"tls.getCACertificates('extra').map(pem => new crypto.X509Certificate(pem).subjectAltName).join()\"")
        .unwrap();
    assert_eq!(count, "DNS:proxy.example");
    person.fail("echo x >> $NODE_EXTRA_CA_CERTS").unwrap();
    person.power_off().unwrap();
}

/// `nodeos user`, with a line to read.
fn user(site: &Site, words: &[&str], input: &str) -> Output {
    let mut child = Command::new(cli::nodeos())
        .env("NODEOS_SOURCE", nodeos_tests::system::source())
        .arg("user")
        .args(words)
        .arg("--image")
        .arg(&site.users)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write;
    // A command that does not read is not to be blamed.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(output: &Output, expected: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains(expected), "{said}");
}

#[test]
fn users_are_added_locked_and_removed_from_the_host_without_root() {
    let site = Site::new("user-command").unwrap();
    let add = user(&site, &["add", "ada", "--password-stdin"], "secret\n");
    assert!(done(&add).is_empty());
    let list = done(&user(&site, &["list"], ""));
    assert!(list.contains("ada           1000  password\n"), "{list}");
    refused(
        &user(&site, &["add", "ada", "--no-password"], ""),
        "error: there is a user ada already",
    );
    refused(
        &user(&site, &["add", "../up", "--no-password"], ""),
        "error: ",
    );
    refused(
        &user(&site, &["passwd", "bob", "--password-stdin"], "x\n"),
        "error: ",
    );
    done(&user(
        &site,
        &["passwd", "ada", "--password-stdin"],
        "other one\n",
    ));
    check_filesystem(&site.users).unwrap();

    let mut person = site.boot().unwrap();
    refused(
        &user(&site, &["list"], ""),
        "error: another machine is running with ",
    );
    person.log_in("ada", "other one").unwrap();
    assert_eq!(person.run("whoami").unwrap(), "ada");
    person.power_off().unwrap();

    done(&user(&site, &["lock", "ada"], ""));
    let list = done(&user(&site, &["list", "--json"], ""));
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["name"], "ada");
    assert_eq!(list[0]["access"], "locked");
    done(&user(&site, &["remove", "ada"], ""));
    assert!(!done(&user(&site, &["list"], "")).contains("ada"));
    check_filesystem(&site.users).unwrap();
}

#[test]
fn an_image_that_is_none_is_refused_before_anything_is_booted() {
    let mut site = Site::new("user-no-image").unwrap();
    site.users = site.scratch.dir.join("none.img");
    refused(
        &user(&site, &["list"], ""),
        "error: there is no users partition at ",
    );
    fs::write(&site.users, [0; 8192]).unwrap();
    refused(
        &user(&site, &["list"], ""),
        "is not an image of a users partition\nhint: ",
    );
}
