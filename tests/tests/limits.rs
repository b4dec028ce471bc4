//! What one session takes is not taken from the others: somebody else can still log in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nodeos_tests::people::{Person, Site, add_user};

/// A login beside a session that takes all it can get, under emulation.
const BUSY: Duration = Duration::from_secs(120);

/// Leaves `program` running in the first user's session, and logs in as another.
fn beside(name: &str, program: &str) -> Person {
    let site = Site::with_homes(name, |homes| {
        add_user(homes, "ada")?;
        let file = homes.join("nodeos/bin/hog");
        fs::write(&file, program)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        Ok(())
    })
    .unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.run("hog > /dev/null 2>&1 & true").unwrap();
    person.boot.console.send("exit\r").unwrap();
    person.boot.console.expect("username: ", BUSY).unwrap();
    person.boot.console.send("ada\r").unwrap();
    person.boot.console.expect("password: ", BUSY).unwrap();
    person.boot.console.send("ada\r").unwrap();
    person.boot.console.expect("~ > ", BUSY).unwrap();
    person
}

#[test]
fn a_session_that_makes_processes_without_end_does_not_keep_others_out() {
    let mut person = beside(
        "fork-bomb",
        "#!/usr/bin/env node\n\
         const { spawn } = require('child_process');\n\
         const more = () => { spawn('/bin/sleep', ['1000']).on('error', () => {}); setImmediate(more); };\n\
         more();\n",
    );
    let (code, said) = person.run_for("ls /bin | wc -l", BUSY).unwrap();
    assert_eq!(code, 0, "{said}");
    let most = person.run_for("cat /sys/fs/cgroup/pids.max", BUSY).unwrap();
    assert_eq!(most, (0, "512".to_owned()));
}

#[test]
fn a_session_that_takes_memory_without_end_does_not_keep_others_out() {
    let mut person = beside(
        "memory-hog",
        "#!/usr/bin/env node\nconst all = [];\nfor (;;) all.push(Buffer.alloc(1 << 20, 1));\n",
    );
    let (code, said) = person.run_for("node -p 6*7", BUSY).unwrap();
    assert_eq!((code, said.trim()), (0, "42"));
}
