//! What stands on the users partition, and at the question for a name, that nobody who means well puts there.

use std::fs;

use nodeos_tests::boot::{ANSWER, BOOT};
use nodeos_tests::people::{Person, Site, check_filesystem};

/// Run by root in administrator mode. The password of all is `secret`, in the form of the first NodeOS.
const PREPARE: &str = r#"
const fs = require('fs');
const { execFileSync } = require('child_process');
const SECRET = '{"password": "e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4"}';
let uid = 100;
function user(name, logon) {
  const home = '/home/' + name;
  fs.mkdirSync(home + '/etc', { recursive: true });
  if (logon !== undefined) fs.writeFileSync(home + '/etc/logon.json', logon);
  uid++;
  return home;
}
function own(home) { execFileSync('chown', ['-Rh', uid + ':' + uid, home]); }

// Folders that are no users, and things that are no folders.
const names = ['a b', 'new\nline', 'Upper', 'x'.repeat(33), '-rf', 'a:b', 'e\u0301', '..double'];
for (const name of [...names.map(name => Buffer.from(name)), Buffer.from([0xff, 0xfe])]) {
  const path = Buffer.concat([Buffer.from('/home/'), name]);
  fs.mkdirSync(path);
  fs.chownSync(path, 90, 90);
}
fs.mkdirSync('/home/zero');
fs.mkdirSync('/home/lost+found', { recursive: true });
fs.symlinkSync('nodeos', '/home/linked');
fs.writeFileSync('/home/plain', '');

// Users who can log in, though their names are those of files of a control group, and though they need no password.
own(user('memory.max', SECRET));
own(user('easy', '{"password": ""}'));
own(user('shellless', '{"password": "", "shell": "/no/such/shell"}'));
own(user('hard', '{"password": ""}'));
fs.linkSync('/home/hard/etc/logon.json', '/home/hard/etc/other');
// One whose session cannot start.
let home = user('broken', SECRET);
fs.writeFileSync(home + '/proc', '');
own(home);

// Users who cannot log in, whatever they write into their homes.
home = user('link');
fs.symlinkSync('../../easy/etc/logon.json', home + '/etc/logon.json');
own(home);
home = user('linkhome');
fs.rmdirSync(home + '/etc');
fs.symlinkSync('/home/easy/etc', home + '/etc');
own(home);
home = user('folder');
fs.mkdirSync(home + '/etc/logon.json');
own(home);
home = user('pipe');
execFileSync('mkfifo', [home + '/etc/logon.json']);
own(home);
home = user('huge', '');
own(home);
fs.truncateSync(home + '/etc/logon.json', 100 << 20);
home = user('foreign', '{"password": ""}');
own(home);
fs.chownSync(home + '/etc/logon.json', 1, 1);
home = user('shared');
own(home);
fs.linkSync('/home/easy/etc/logon.json', home + '/etc/logon.json');
own(user('costly', '{"password": "$argon2id$v=19$m=4194304,t=1000,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"}'));
own(user('garbage', Buffer.from([0xff, 0, 0x7b])));
own(user('unknown', '{"password": "", "pasword": ""}'));
own(user('locked', '{"password": "", "locked": true}'));
own(user('absent'));
fs.unlinkSync('/home/nodeos/prepare.js');
"#;

/// The strange folders as they are.
const LIST: &str = "node -p \"fs.readdirSync('/home',{encoding:'buffer'}).map(name => [name.toString('hex'), \
     fs.lstatSync(Buffer.concat([Buffer.from('/home/'), name]))]).filter(([, stat]) => stat.uid == 90)\
     .map(([name, stat]) => [name, stat.mode, stat.mtimeMs]).join()\"";

/// A name or a password that is answered as every wrong one is.
fn refused(person: &mut Person, name: &str, password: &str) {
    let console = &mut person.boot.console;
    console.send(&format!("{name}\r")).unwrap();
    console.expect("password: ", ANSWER).unwrap();
    console.send(&format!("{password}\r")).unwrap();
    let before = console.expect("wrong username or password", ANSWER);
    before.unwrap_or_else(|error| panic!("{name:?}: {error}"));
    console.expect("username: ", ANSWER).unwrap();
}

#[test]
fn what_is_no_user_is_named_and_left_alone_and_what_is_no_logon_json_lets_nobody_in() {
    let site = Site::with_homes("strangers", |homes| {
        Ok(fs::write(homes.join("nodeos/prepare.js"), PREPARE)?)
    })
    .unwrap();
    let mut person = site.administrator().unwrap();
    person.run("node /home/nodeos/prepare.js").unwrap();
    let before = person.run(LIST).unwrap();
    person.boot.console.send("exit\r").unwrap();
    person.boot.powered_off().unwrap();

    let mut person = site.boot().unwrap();
    for (name, password) in [
        ("../easy", ""),
        ("easy/", ""),
        ("./easy", ""),
        ("/home/easy", ""),
        (" easy", ""),
        ("easy ", ""),
        ("easy\x0b", "no\x0b"),
        ("linked", "nodeos"),
        ("plain", ""),
        ("zero", ""),
        ("Upper", ""),
        ("a b", ""),
        ("lost+found", ""),
        (".work", ""),
        ("root", ""),
        ("nobody", ""),
        (&"x".repeat(33), ""),
        (&"x".repeat(300), &"y".repeat(3000)),
    ] {
        refused(&mut person, name, password);
    }
    for name in [
        "link", "linkhome", "folder", "pipe", "huge", "foreign", "shared", "costly", "garbage",
        "unknown", "locked", "absent",
    ] {
        refused(&mut person, name, "");
    }
    refused(&mut person, "broken", "wrong");
    person.boot.console.send("broken\r").unwrap();
    person.boot.console.expect("password: ", ANSWER).unwrap();
    person.boot.console.send("secret\r").unwrap();
    person
        .boot
        .console
        .expect("error: the session of broken does not run: /users/broken/proc is in the way: it has to be a folder", ANSWER)
        .unwrap();
    person.boot.console.expect("username: ", ANSWER).unwrap();

    person.boot.console.send("shellless\r").unwrap();
    person.boot.console.expect("password: ", ANSWER).unwrap();
    person.boot.console.send("\r").unwrap();
    person
        .boot
        .console
        .expect("cannot start /no/such/shell", ANSWER)
        .unwrap();
    person.boot.console.expect("logon> ", ANSWER).unwrap();
    person.boot.console.send(".exit\r").unwrap();
    person.boot.console.expect("username: ", ANSWER).unwrap();

    for (name, password) in [("easy", ""), ("hard", ""), ("memory.max", "secret")] {
        person.log_in(name, password).unwrap();
        assert_eq!(person.run("whoami").unwrap(), name);
        person.log_out().unwrap();
    }
    let console = person.boot.console.transcript();
    for name in [
        r#""a b""#,
        r#""new\nline""#,
        r#""Upper""#,
        r#""-rf""#,
        r#""a:b""#,
        r#""\xFF\xFE""#,
        &format!("{:?}", "x".repeat(33)),
    ] {
        let line = format!("boot: the folder {name} of the users partition is left alone: ");
        assert!(console.contains(&line), "{line}\n{console}");
    }
    for line in [
        "boot: the folder zero is left alone: it belongs to root",
        "boot: the session of broken cannot start: /users/broken/proc is in the way: it has to be a folder",
    ] {
        assert_eq!(console.matches(line).count(), 1, "{line}\n{console}");
    }
    person.log_in("easy", "").unwrap();
    person.power_off().unwrap();
    check_filesystem(&site.users).unwrap();

    let mut person = site.administrator().unwrap();
    let after = person.run(LIST).unwrap();
    assert_eq!(before, after);
    assert_eq!(before.matches("16877").count(), 9, "{before}");
}

/// Waits for the address that the network service has got.
const LEASE: &str = "node -e \"const t = setInterval(() => { \
     if (os.networkInterfaces().eth0?.some(a => a.address == '10.0.2.15')) { console.log('le' + 'ased'); clearInterval(t); } \
     }, 50)\"";

#[test]
fn without_a_folder_root_people_log_in_and_have_a_network_all_the_same() {
    let site = Site::with_homes("no-root", |homes| {
        fs::remove_dir_all(homes.join("root"))?;
        Ok(fs::write(
            homes.join("owners.json"),
            r#"{"nodeos": {"uid": 1, "gid": 1}}"#,
        )?)
    })
    .unwrap();
    for round in ["first", "second"] {
        let mut person = site.boot().unwrap();
        let console = person.boot.console.transcript();
        assert!(
            console.contains("boot: there is no folder root: "),
            "{console}"
        );
        person.log_in("nodeos", "nodeos").unwrap();
        assert_eq!(person.run("whoami").unwrap(), "nodeos", "{round}");
        assert_eq!(person.run(LEASE).unwrap(), "leased");
        person.power_off().unwrap();
        check_filesystem(&site.users).unwrap();
    }
}

#[test]
fn a_broken_file_of_roots_services_is_named_at_the_console_with_what_to_do() {
    let site = Site::with_homes("broken-services", |homes| {
        let file = homes.join("root/etc/palmtree.json");
        Ok(fs::write(file, "[\n  { \"command\": \"getty\", }\n]\n")?)
    })
    .unwrap();
    let mut boot = site.scratch.boot(&site.machine).unwrap();
    let line = "palmtree: palmtree.json is not what it should be: key must be a string at line 2 column 25; \
                to repair it, start the machine with the word single";
    boot.console.expect(line, BOOT).unwrap();
}
