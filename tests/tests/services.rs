//! Services of an ordinary user, from the file to the log.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nodeos_tests::boot::ANSWER;
use nodeos_tests::people::{Person, Site};

/// One entry a line, so that the lines can be named.
const SERVICES: &str = r#"[
  { "name": "steady", "command": "sleep", "args": ["1000"] },
  { "name": "failing", "command": "false" },
  { "name": "once", "command": "echo", "args": ["done"], "restart": "never" },
  { "name": "unlucky", "command": "false", "restart": "never" },
  { "name": "content", "command": "true", "restart": "on-failure" },
  { "name": "loud", "command": "/bin/loud", "restart": "never" },
  { "name": "about", "command": "env", "env": { "MINE": "yes" }, "restart": "never" },
  { "name": "plug", "command": "poweroff", "restart": "never" },
  { "name": "powerful", "command": "true", "capabilities": ["net_admin"] },
  { "name": "odd", "comand": "true" },
  { "name": "later", "command": "sleep", "args": ["1000"], "enabled": false }
]
"#;

/// Fills its log more than once.
const LOUD: &str = "#!/usr/bin/env node
for (let n = 0; n < 16000; n++) console.log(`${n} `.padEnd(79, '.'));
";

/// The line of `svc list` about a service, word by word.
fn state(person: &mut Person, name: &str) -> Vec<String> {
    let list = person.run("svc list").unwrap();
    let line = list
        .lines()
        .find(|line| line.split(' ').next() == Some(name));
    let words = line
        .unwrap_or_else(|| panic!("{name} in {list}"))
        .split_whitespace();
    words.map(str::to_owned).collect()
}

#[test]
fn an_ordinary_user_looks_after_services_without_any_privilege() {
    let site = Site::with_homes("services", |homes| {
        let home = homes.join("nodeos");
        fs::write(home.join("etc/palmtree.json"), SERVICES)?;
        fs::write(home.join("bin/loud"), LOUD)?;
        fs::set_permissions(home.join("bin/loud"), fs::Permissions::from_mode(0o755))?;
        Ok(())
    })
    .unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();

    // Whatever follows an end is what `restart` says, and the pauses grow.
    person
        .boot
        .console
        .send("svc logs -n 1000 -f palmtree\r")
        .unwrap();
    for pause in ["1 s", "2 s", "4 s"] {
        let line = format!("; next try in {pause}\r\n");
        let before = person.boot.console.expect(&line, ANSWER).unwrap();
        assert!(
            before.contains("failing ended with code 1 after "),
            "{before}"
        );
    }
    person.boot.console.send("\x03").unwrap();
    person.boot.console.expect(" > ", ANSWER).unwrap();
    assert_eq!(state(&mut person, "steady")[1], "running");
    assert_eq!(state(&mut person, "failing")[1], "waiting");
    assert_eq!(state(&mut person, "once")[1], "stopped");
    assert_eq!(state(&mut person, "content")[1], "stopped");
    assert_eq!(state(&mut person, "unlucky")[1], "failed");
    assert_eq!(state(&mut person, "later")[1], "stopped");

    // What is wrong is named with its line, and the others have been started.
    let journal = person.run("svc logs -n 1000 palmtree").unwrap();
    for problem in [
        "palmtree.json, line 11: service \"odd\": unknown field `comand`",
        "palmtree.json: service \"powerful\": capabilities are for root's services",
    ] {
        assert!(journal.contains(problem), "{problem} in {journal}");
    }

    // Nobody is root by being a service, nor may one stop the machine that nobody was logged in at when it asked.
    assert_eq!(person.run("svc logs once").unwrap(), "done");
    let plug = person.run("svc logs plug").unwrap();
    assert!(
        plug.contains("only root, or who is logged in at the machine, may stop it"),
        "{plug}"
    );
    let about = person.run("svc logs about").unwrap();
    for variable in [
        "HOME=/",
        "USER=nodeos",
        "SHELL=/bin/sh",
        "PATH=/bin:/sbin:/usr/bin",
        "LANG=C.UTF-8",
        "MINE=yes",
    ] {
        assert!(
            about.lines().any(|line| line == variable),
            "{variable} in {about}"
        );
    }

    let first = state(&mut person, "steady")[2].clone();
    person.run("svc stop steady").unwrap();
    assert_eq!(state(&mut person, "steady")[1], "stopped");
    person.run("svc start steady").unwrap();
    let second = state(&mut person, "steady")[2].clone();
    person.run("svc restart steady").unwrap();
    let third = state(&mut person, "steady")[2].clone();
    assert!(
        first != second && second != third,
        "{first} {second} {third}"
    );

    // A change is taken up by reload, and nobody else suffers; nor from a file that is broken.
    person.run("sed -i 's/.enabled.: false/\"enabled\": true/; s/.comand./\"command\"/; s/, \"capabilities\": ..net_admin..//' /etc/palmtree.json").unwrap();
    person.run("svc reload").unwrap();
    assert_eq!(state(&mut person, "later")[1], "running");
    assert_eq!(state(&mut person, "steady")[2], third);
    let said = person
        .fail("echo '[{' > /etc/palmtree.json; svc reload")
        .unwrap();
    assert!(
        said.contains("line 2 column 0: nothing has been changed"),
        "{said}"
    );
    assert_eq!(state(&mut person, "steady")[2], third);

    // More than a log may have was written, and the last of it is kept.
    let console = &mut person.boot.console;
    console.send("svc logs -n 1 -f loud\r").unwrap();
    console.expect("15999 ...", ANSWER).unwrap();
    console.send("\x03").unwrap();
    console.expect(" > ", ANSWER).unwrap();
    let lengths = person
        .run("wc -c < /log/loud.log; wc -c < /log/loud.log.1; tail -n 1 /log/loud.log; ls /log")
        .unwrap();
    let mut lines = lengths.lines();
    for _ in 0..2 {
        let length: u64 = lines.next().unwrap().trim().parse().unwrap();
        assert!(length <= 1 << 20, "{lengths}");
    }
    assert!(lines.next().unwrap().starts_with("15999 ..."), "{lengths}");
    assert!(!lengths.contains("loud.log.2"), "{lengths}");
    person.power_off().unwrap();
}
