//! What one session takes is not taken from the others: somebody else can still log in, for as long as it lasts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use nodeos_tests::people::{Person, Site, add_user};

/// How long a session takes what it can get while somebody else works.
const LASTING: Duration = Duration::from_secs(60);
/// A login or a command beside it, under emulation.
const BUSY: Duration = Duration::from_secs(120);

/// What palmtree starts again whenever it ends.
const SERVICE: &str = r#"[{ "name": "hog", "command": "/bin/hog", "restart": "always" }]"#;

/// A machine on which `program` is a service of one user's.
fn with_hog(name: &str, program: &str) -> Site {
    Site::with_homes(name, |homes| {
        add_user(homes, "ada")?;
        let home = homes.join("nodeos");
        fs::write(home.join("etc/palmtree.json"), SERVICE)?;
        let file = home.join("bin/hog");
        fs::write(&file, program)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        Ok(())
    })
    .unwrap()
}

/// Boots, and has another user log in, work and leave, again and again. How often that was.
fn work_beside(site: &Site) -> u32 {
    let mut person = site.boot().unwrap();
    let begin = Instant::now();
    let mut logins = 0;
    loop {
        log_in(&mut person);
        logins += 1;
        let (code, said) = person.run_for("node -p 6*7", BUSY).unwrap();
        // The kernel may say at the console whom it has killed for want of memory.
        let is_said = said.lines().any(|line| line.trim() == "42");
        assert!(code == 0 && is_said, "code {code}, {said}");
        if begin.elapsed() > LASTING {
            person.power_off().unwrap();
            return logins;
        }
        person.boot.console.send("exit\r").unwrap();
        person.boot.console.expect("username: ", BUSY).unwrap();
    }
}

fn log_in(person: &mut Person) {
    let console = &mut person.boot.console;
    console.send("ada\r").unwrap();
    console.expect("password: ", BUSY).unwrap();
    console.send("ada\r").unwrap();
    console.expect("~ > ", BUSY).unwrap();
}

/// What a file of the user's says, seen by the administrator.
fn file_of_nodeos(site: &Site, path: &str) -> String {
    let mut person = site.administrator().unwrap();
    person.run(&format!("cat /home/nodeos{path}")).unwrap()
}

#[test]
fn a_session_that_makes_processes_without_end_does_not_keep_others_out() {
    let site = with_hog(
        "fork-bomb",
        "#!/usr/bin/env node\n\
         const { spawn } = require('child_process');\n\
         let made = 0;\n\
         const more = () => {\n\
           spawn('/bin/sleep', ['1000']).on('error', () => {});\n\
           if (++made % 50 === 0) console.log('made', made);\n\
           setImmediate(more);\n\
         };\n\
         more();\n",
    );
    assert!(work_beside(&site) > 1);
    // On a busy host it may not come to the limit, and takes all the time that it can get until then.
    let said = file_of_nodeos(&site, "/log/hog.log");
    assert!(said.contains("made 50"), "{said}");
}

#[test]
fn a_session_that_takes_memory_without_end_does_not_keep_others_out() {
    let site = with_hog(
        "memory-hog",
        "#!/usr/bin/env node\nconst all = [];\nfor (;;) all.push(Buffer.alloc(1 << 20, 1));\n",
    );
    assert!(work_beside(&site) > 1);
    let said = file_of_nodeos(&site, "/log/palmtree.log");
    assert!(said.contains("hog") && said.contains("KILL"), "{said}");
}
