//! The commands about users on a folder of homes, as root.

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::Screen;
use nodeos_accounts::password;
use nodeos_spec::logon::Logon;
use tempfile::TempDir;

struct Homes(TempDir);

impl Homes {
    fn new() -> Homes {
        Homes(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_userland"));
        command.args(args).arg("--homes").arg(self.path());
        command
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// Runs it and expects what it says.
    fn check(&self, args: &[&str], input: &str, code: i32, said: &str) {
        let output = self.run(args, input);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), text.as_str()),
            (Some(code), said),
            "{args:?}"
        );
    }

    fn logon(&self, name: &str) -> Logon {
        let text = fs::read_to_string(self.path().join(name).join("etc/logon.json")).unwrap();
        Logon::parse(&text).unwrap()
    }
}

#[test]
fn a_user_lives_from_useradd_to_userdel() {
    let homes = Homes::new();
    homes.check(
        &["useradd", "ada", "--password-stdin", "--shell", "nsh"],
        "geheim\nleft over\n",
        0,
        "ada is a user now, with the number 1000\n",
    );
    assert!(password::verify(&homes.logon("ada").password, "geheim"));
    assert_eq!(homes.logon("ada").shell, "nsh");

    homes.check(
        &["passwd", "ada", "--stdin"],
        "neu\n",
        0,
        "the password is changed\n",
    );
    assert!(password::verify(&homes.logon("ada").password, "neu"));

    homes.check(&["usermod", "--lock", "ada"], "", 0, "ada is locked\n");
    let list = homes.run(&["users"], "").stdout;
    let expected = "NAME      NUMBER  LOGIN\nada         1000  locked\n";
    assert_eq!(String::from_utf8(list).unwrap(), expected);
    homes.check(&["usermod", "--unlock", "ada"], "", 0, "ada is unlocked\n");
    assert!(password::verify(&homes.logon("ada").password, "neu"));

    homes.check(&["userdel", "ada"], "", 0, "ada is no user any more\n");
    assert_eq!(fs::read_dir(homes.path()).unwrap().count(), 0);
}

#[test]
fn users_are_listed_in_json() {
    let homes = Homes::new();
    homes.check(
        &["useradd", "eve", "--no-password", "--uid", "7"],
        "",
        0,
        "eve is a user now, with the number 7\n",
    );
    let list = homes.run(&["users", "--json"], "").stdout;
    let expected = serde_json::json!([
        {"name": "eve", "uid": 7, "gid": 7, "access": "no-password", "reason": null}
    ]);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&list).unwrap(),
        expected
    );
}

#[test]
fn refusals_say_why_and_change_nothing() {
    let homes = Homes::new();
    let check = |args: &[&str], input: &str, code: i32, said: &str| {
        homes.check(args, input, code, said);
        assert_eq!(fs::read_dir(homes.path()).unwrap().count(), 0, "{args:?}");
    };
    check(
        &["useradd", "../ada", "--no-password"],
        "",
        1,
        "error: ../ada is no name of a user\ncaused by: the user name \"../ada\" does not begin with a letter from a to z or with _\n",
    );
    check(
        &["useradd", "ada", "--password-stdin"],
        "\n",
        1,
        "error: the password is not taken\ncaused by: a password that is empty is asked for by --no-password\n",
    );
    check(
        &["useradd", "ada"],
        "",
        1,
        "error: standard input is not a terminal on which a password could be asked\nhint: give it on standard input and say so: --help shows the option\n",
    );
    check(
        &["useradd", "ada", "--no-password", "--uid", "0"],
        "",
        1,
        "error: cannot give ada a number\ncaused by: the number 0 is root's\n",
    );
    let home = homes.path().join("ada");
    let missing = format!("error: there is no home {}\n", home.display());
    check(&["userdel", "ada"], "", 1, &missing);
    check(&["usermod", "--lock", "ada"], "", 1, &missing);
    check(&["passwd", "ada"], "", 1, &missing);
    check(
        &["usermod", "ada"],
        "",
        2,
        "error: usermod: --lock or --unlock is missing\nhint: usermod --help shows what it takes\n",
    );
}

#[test]
fn a_password_is_asked_twice_on_a_terminal_and_never_shown() {
    let homes = Homes::new();
    let mut screen = Screen::new();
    let mut ask = |first: &str, second: &str| {
        let mut child = homes
            .command(&["useradd", "ada"])
            .stdin(File::from(screen.terminal()))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        screen.expect("new password: ");
        screen.type_keys(&format!("{first}\n"));
        let shown = screen.expect("the same once more: ");
        assert_eq!(shown, "\r\n");
        screen.type_keys(&format!("{second}\n"));
        let output = child
            .wait()
            .map(|status| (status.code(), child.wait_with_output().unwrap()));
        let (code, output) = output.unwrap();
        (code, String::from_utf8(output.stderr).unwrap())
    };
    let differ = "error: the two passwords differ\n".to_owned();
    assert_eq!(ask("geheim", "geheim "), (Some(1), differ));
    let added = "ada is a user now, with the number 1000\n".to_owned();
    assert_eq!(ask("geheim", "geheim"), (Some(0), added));
    assert!(password::verify(&homes.logon("ada").password, "geheim"));
}
