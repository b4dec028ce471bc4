//! What the shell understands, run as people and programs run it: `nsh -c`, a script, standard input. The first table is
//! what the original's shell did not do, or did its own way.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// No case takes a tenth of this. Over it, something waits for ever.
const LIMIT: Duration = Duration::from_secs(30);

struct Case {
    text: &'static str,
    output: &'static str,
    code: i32,
}

const fn case(text: &'static str, output: &'static str, code: i32) -> Case {
    Case { text, output, code }
}

/// The gaps and quirks of the original's `nsh`.
const ORIGINAL: &[Case] = &[
    case("true && echo a; false && echo b; echo c", "a\nc\n", 0),
    case("false || echo a; true || echo b", "a\n", 0),
    case("sleep 0.1 & wait; echo a", "a\n", 0),
    case("for i in 1 2; do echo $i; done", "1\n2\n", 0),
    case("for i; do echo $i; done", "", 0),
    case("case abc in a*) echo m;; *) echo n;; esac", "m\n", 0),
    case(
        "f() { echo \"f $1\"; return 4; }; f x; echo $?",
        "f x\n4\n",
        0,
    ),
    case("x=1; (x=2; cd /; echo $x); echo $x", "2\n1\n", 0),
    case("cat <<E\na $((1+2))\nE", "a 3\n", 0),
    case("cat <<'E'\na $x\nE", "a $x\n", 0),
    case("cat <<-E\n\ta\n\tE", "a\n", 0),
    case("x=4; echo $((x * 3 % 5)) $((x > 3 ? 1 : 0))", "2 1\n", 0),
    case(
        "echo ${X:-x} ${X:=y} $X ${X:+z} ${#X} ${X%y}",
        "x y y z 1\n",
        0,
    ),
    case("p=/a/b.c; echo ${p##*/} ${p%.*} ${p%%/*}", "b.c /a/b\n", 0),
    case("export Q=1; env | grep '^Q='", "Q=1\n", 0),
    case("Q=2 env | grep '^Q='; echo [$Q]", "Q=2\n[]\n", 0),
    case("exit 3", "", 3),
    case(
        "shopt -s expand_aliases\nalias l='echo al'\nl x",
        "al x\n",
        0,
    ),
    case("set -- p q; echo $2 $# \"$@\"", "q 2 p q\n", 0),
    case("set -e; false; echo no", "", 1),
    case("echo 'a b' | { read x y; echo $y; }", "b\n", 0),
    case(
        "f=$(mktemp); echo a > $f; echo b > $f; cat $f; rm $f",
        "b\n",
        0,
    ),
    case(
        "f=$(mktemp); echo a > $f; set -C; echo b > $f; echo $?; rm $f",
        "1\n",
        0,
    ),
    case(
        "false; echo a; nothing-of-this-name; echo $?",
        "a\n127\n",
        0,
    ),
    case("nothing-of-this-name", "", 127),
    case("echo a |", "", 2),
    case("a=1; b=2; echo x$a$b \"$a\"'$b'$b", "x12 1$b2\n", 0),
    case("PATH=/nowhere; ls", "", 127),
    case("echo \"$(echo a)`echo b`\"", "ab\n", 0),
    case(
        "if false; then echo a; elif true; then echo b; fi",
        "b\n",
        0,
    ),
    case(
        "i=0; while [ $i -lt 2 ]; do i=$((i+1)); done; echo $i",
        "2\n",
        0,
    ),
    case("until true; do :; done; echo a", "a\n", 0),
    case("trap 'echo bye' EXIT; echo a; exit 5", "a\nbye\n", 5),
    case("echo a >&2; echo b 2>&1 >/dev/null; echo c", "c\n", 0),
    case("! true; echo $?; ! false; echo $?", "1\n0\n", 0),
    case("(exit 9)", "", 9),
    case("sh -c 'exit 6' 2>/dev/null; echo $?", "6\n", 0),
];

/// What brush runs as no other shell does, and what is done about it.
const DIFFERENCES: &[Case] = &[
    // More than a pipe holds.
    case(
        "for i in $(seq 20000); do echo line $i; done | wc -l",
        "20000\n",
        0,
    ),
    case(
        "f() { seq 20000; }; f | { wc -l; }; echo $(f | wc -l)",
        "20000\n20000\n",
        0,
    ),
    case(
        "{ seq 20000; } | while read x; do :; done; echo a",
        "a\n",
        0,
    ),
    case("eval 'f() { seq 20000; }'; eval 'f | wc -l'", "20000\n", 0),
    case("while true; do echo y; done | head -2", "y\ny\n", 0),
    case("{ for x; do echo $x; done; } | cat", "", 0),
    // Jobs are processes.
    case("sleep 60 & kill $!; wait $!; echo $?", "143\n", 0),
    case("sleep 60 & kill %1 && wait %1; echo $?", "143\n", 0),
    case("(exit 7) & wait $!; echo $?", "7\n", 0),
    case(
        "set -e; trap 'echo failed' ERR; true & wait; echo a",
        "a\n",
        0,
    ),
    case("x=5; f() { echo $x $1; }; f a & wait", "5 a\n", 0),
    case("a=(1 '2 3'); { echo \"${a[1]}\"; } & wait", "2 3\n", 0),
    case("sleep 0.01 && echo late & wait", "late\n", 0),
    case(
        "for i in 1 2; do echo $i; echo e >&2; done 2>/dev/null & wait",
        "1\n2\n",
        0,
    ),
    case(
        "f() { { echo a; echo b >&2; } 2>/dev/null; }; f & wait",
        "a\n",
        0,
    ),
    case(
        "sleep 60 & kill -0 $! && echo there; kill -KILL $!",
        "there\n",
        0,
    ),
    case("kill -l 15; kill -l HUP", "TERM\n1\n", 0),
];

/// Waits for a shell, and does not wait for ever.
fn finish(mut command: Command, input: &str) -> Output {
    let line = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A shell that does not read all of its input is no failure.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let pid = rustix::process::Pid::from_child(&child);
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        let is_late = wait.recv_timeout(LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if is_late {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        is_late
    });
    let output = child.wait_with_output().unwrap();
    let _ = done.send(());
    assert!(!guard.join().unwrap(), "{line} waits for ever");
    output
}

fn shell(home: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nsh"));
    command
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .current_dir(home);
    command
}

fn check(cases: &[Case]) {
    let home = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    for case in cases {
        let mut command = shell(home.path());
        command.args(["-c", case.text]);
        let output = finish(command, "");
        let text = String::from_utf8_lossy(&output.stdout);
        if text != case.output || output.status.code() != Some(case.code) {
            failures.push(format!("{}\n -> {text:?} {}", case.text, output.status));
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked"), "{}: {errors}", case.text);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_the_originals_shell_could_not_do_works() {
    check(ORIGINAL);
}

#[test]
fn pipelines_do_not_wait_for_themselves_and_jobs_are_processes() {
    check(DIFFERENCES);
}

#[test]
fn an_unknown_command_is_named() {
    let home = tempfile::tempdir().unwrap();
    let mut command = shell(home.path());
    command.args(["-c", "nothing-of-this-name"]);
    let errors = String::from_utf8(finish(command, "").stderr).unwrap();
    assert_eq!(errors, "nsh: command not found: nothing-of-this-name\n");
}

#[test]
fn a_job_outlives_the_shell_that_started_it() {
    let home = tempfile::tempdir().unwrap();
    let fifo = home.path().join("fifo");
    let mut command = shell(home.path());
    command.args(["-c", "mkfifo fifo; { echo here > fifo; } >/dev/null 2>&1 &"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
    // Opening a pipe waits for the other end: the job is still there.
    assert_eq!(std::fs::read_to_string(fifo).unwrap(), "here\n");
}

#[test]
fn standard_input_is_read_no_further_than_a_command_needs() {
    let home = tempfile::tempdir().unwrap();
    let text = "if true\nthen echo a; fi\nread x\nfor the variable\necho $x\ncat\nthe rest\n";
    for arguments in [&[][..], &["-s"]] {
        let mut command = shell(home.path());
        command.args(arguments);
        let output = finish(command, text);
        let output = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output, "a\nfor the variable\nthe rest\n");
    }
}

#[test]
fn a_script_has_its_name_its_arguments_and_its_exit_code() {
    let home = tempfile::tempdir().unwrap();
    let script = home.path().join("script");
    std::fs::write(&script, "#!/bin/sh\necho $0 $1 $#\nexit 5\n").unwrap();
    let check = |arguments: &[&str], output: &str, code: i32| {
        let mut command = shell(home.path());
        command.args(arguments);
        let result = finish(command, "");
        assert_eq!(String::from_utf8_lossy(&result.stdout), output);
        assert_eq!(result.status.code(), Some(code), "{arguments:?}");
    };
    check(&["script", "a", "b"], "script a 2\n", 5);
    check(&["-c", "echo $0 $1", "name", "a"], "name a\n", 0);
    check(&["missing"], "", 127);
    check(&["."], "", 126);
    check(&["/bin/true"], "", 126);
    check(&["-Z"], "", 2);
}

#[test]
fn a_login_shell_reads_the_profile_of_its_home() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".profile"), "FROM=profile\n").unwrap();
    for (name, arguments, expected) in [
        ("-nsh", &["-c", "echo $FROM"][..], "profile\n"),
        ("sh", &["-l", "-c", "echo $FROM"], "profile\n"),
        ("sh", &["-c", "echo $FROM"], "\n"),
    ] {
        let mut command = shell(home.path());
        std::os::unix::process::CommandExt::arg0(&mut command, name);
        command.args(arguments);
        let output = finish(command, "");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{name}");
    }
}

#[test]
fn an_interactive_shell_shows_the_folder_and_remembers_in_the_home() {
    let home = tempfile::tempdir().unwrap();
    let mut command = shell(home.path());
    command.arg("-i");
    std::fs::create_dir(home.path().join("a")).unwrap();
    let output = finish(command, "cd a\necho b\nexit 3\n");
    assert_eq!(output.status.code(), Some(3));
    let prompts = String::from_utf8(output.stderr).unwrap();
    assert!(prompts.starts_with("~ > ~/a > ~/a > "), "{prompts:?}");
    let history = std::fs::read_to_string(home.path().join(".nsh_history")).unwrap();
    assert_eq!(history, "cd a\necho b\nexit 3\n");
}
