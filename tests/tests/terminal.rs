//! A terminal that people use one after the other, and the keys that programs live on.

use std::fs;

use nodeos_tests::boot::{ANSWER, BOOT};
use nodeos_tests::people::{HOME_PROMPT, Person, Site, add_user};
use nodeos_tests::system;

#[test]
fn nothing_that_somebody_leaves_behind_listens_to_the_next_or_keeps_them_out() {
    let site = Site::with_homes("left-behind", |homes| {
        add_user(homes, "ada")?;
        fs::copy(system::scenario()?.path, homes.join("nodeos/bin/scenario"))?;
        Ok(())
    })
    .unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.run("scenario leave-a-listener /heard").unwrap();
    // Nothing comes out of the terminal from here on, and nobody else may open it.
    person
        .boot
        .console
        .send("scenario spoil-terminal; exit\r")
        .unwrap();
    person.boot.console.expect("username: ", ANSWER).unwrap();
    person.log_in("ada", "ada").unwrap();
    assert_eq!(person.run("whoami").unwrap(), "ada");
    person.log_out().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    let heard = person.run("cat /heard").unwrap();
    assert!(heard.starts_with("listening\n"), "{heard}");
    assert!(!heard.contains("ada"), "{heard}");
    let processes = person.run("ps -e").unwrap();
    assert!(
        !processes.contains("scenario"),
        "it listens still:\n{processes}"
    );
    person.power_off().unwrap();
}

#[test]
fn keys_that_are_signals_reach_who_they_are_for() {
    let site = Site::new("keys").unwrap();
    let mut person = site.boot().unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    // Ctrl-C ends the program and not the shell.
    person
        .boot
        .console
        .send("node -e 'console.log(6*7); setInterval(() => {}, 1000)'\r")
        .unwrap();
    person.boot.console.expect("42\r\n", ANSWER).unwrap();
    person.boot.console.send("\x03").unwrap();
    person.boot.console.expect(" > ", ANSWER).unwrap();
    assert_eq!(person.run("echo $?").unwrap(), "130");
    // Ctrl-Z stops it, bg has it go on, fg brings it back.
    person
        .boot
        .console
        .send("node -e 'console.log(6*8); setInterval(() => {}, 1000)'\r")
        .unwrap();
    person.boot.console.expect("48\r\n", ANSWER).unwrap();
    person.boot.console.send("\x1a").unwrap();
    person.boot.console.expect(" > ", ANSWER).unwrap();
    let jobs = person.run("jobs").unwrap();
    assert!(jobs.contains("Stopped"), "{jobs}");
    person.run("bg").unwrap();
    let jobs = person.run("jobs").unwrap();
    assert!(jobs.contains("Running"), "{jobs}");
    person.boot.console.send("fg\r").unwrap();
    person.boot.console.expect("setInterval", ANSWER).unwrap();
    person.boot.console.send("\x03").unwrap();
    person.boot.console.expect(" > ", ANSWER).unwrap();
    assert_eq!(person.run("jobs").unwrap(), "");
    // A program that reads gets the end of its input by Ctrl-D, and then the shell does.
    person.boot.console.send("echo re''ady; cat\r").unwrap();
    person.boot.console.expect("ready\r\n", ANSWER).unwrap();
    person.boot.console.send("grüße\r").unwrap();
    person
        .boot
        .console
        .expect("grüße\r\ngrüße\r\n", ANSWER)
        .unwrap();
    person.boot.console.send("\x04").unwrap();
    person.boot.console.expect(" > ", ANSWER).unwrap();
    person.run("echo ключ > '/tmp/日本 ü'").unwrap();
    assert_eq!(person.run("ls -N /tmp").unwrap(), "日本 ü");
    assert_eq!(person.run("cat /tmp/日*").unwrap(), "ключ");
    // Keys that erase take whole characters.
    person
        .boot
        .console
        .send("echo aé\x7f\x7fbü\x7fc; echo =$?'=end'\r")
        .unwrap();
    let said = person.boot.console.expect("=end\r\n", ANSWER).unwrap();
    assert!(said.contains("\r\nbc\r\n"), "{said:?}");
    person.boot.console.expect(" > ", ANSWER).unwrap();
    person.boot.console.send("\x04").unwrap();
    person.boot.console.expect("username: ", ANSWER).unwrap();
    person.log_in("nodeos", "nodeos").unwrap();
    person.power_off().unwrap();
}

/// What a terminal answers that is asked where its cursor is (ECMA-48: CPR), more often than an editor asks for one line. It takes the
/// answers of the past as well.
const CURSOR: &str = "\x1b[10;1R\x1b[10;1R\x1b[10;1R\x1b[10;1R\x1b[10;1R\x1b[10;1R";
/// The key that brings the line before.
const UP: &str = "\x1b[A";

/// Logs in where the shell has all of its editor.
fn log_in_to_the_editor(person: &mut Person) {
    let console = &mut person.boot.console;
    console.send("nodeos\r").unwrap();
    console.expect("password: ", ANSWER).unwrap();
    console.send("nodeos\r").unwrap();
    // It asks before its first prompt.
    console.expect("\x1b[6n", ANSWER).unwrap();
    console.send(CURSOR).unwrap();
    console.expect(HOME_PROMPT, ANSWER).unwrap();
}

/// Types keys at the editor's prompt, and waits for what a line prints and for the next prompt.
fn type_line(person: &mut Person, keys: &str, printed: &str) {
    let console = &mut person.boot.console;
    console.send(&format!("{CURSOR}{keys}")).unwrap();
    console.expect(printed, ANSWER).unwrap();
    console.send(CURSOR).unwrap();
    console.expect(HOME_PROMPT, ANSWER).unwrap();
}

#[test]
fn the_editor_completes_names_and_remembers_lines() {
    let mut site = Site::new("editor").unwrap();
    site.machine.term = Some("xterm".to_owned());
    let mut boot = site.scratch.boot(&site.machine).unwrap();
    boot.console.expect("username: ", BOOT).unwrap();
    let mut person = Person { boot };
    log_in_to_the_editor(&mut person);
    type_line(
        &mut person,
        "cat /etc/os-rel\t\r",
        "\x1b[?2004lNAME=NodeOS\r\n",
    );
    type_line(
        &mut person,
        "echo it is $((6*7))\r",
        "\x1b[?2004lit is 42\r\n",
    );
    type_line(&mut person, &format!("{UP}\r"), "\x1b[?2004lit is 42\r\n");
    person.boot.console.send("exit\r").unwrap();
    person.boot.console.expect("username: ", ANSWER).unwrap();
    // The lines of the last time: the one before this is `exit`.
    log_in_to_the_editor(&mut person);
    type_line(
        &mut person,
        &format!("{UP}{UP}\r"),
        "\x1b[?2004lit is 42\r\n",
    );
    person.boot.console.send("poweroff\r").unwrap();
    person.boot.powered_off().unwrap();
}
