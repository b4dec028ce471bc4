//! How machines of applications end: by signals, by commands, and without the command that started them.

use std::time::{Duration, Instant};

use nodeos_tests::boot::{ANSWER, Scratch};
use nodeos_tests::http::free_port;
use nodeos_tests::nodeos_run::{READY, Running, STOP, nobody_is_left, said, script};
use rustix::process::Signal;

/// What an application has to stop when nothing else is said.
const GRACE: Duration = Duration::from_secs(10);

/// Says what it hears, and stays.
const STUBBORN: &str = r#"
    process.on('SIGTERM', () => console.error('heard SIGTERM'));
    process.on('SIGINT', () => console.error('heard SIGINT'));
    setInterval(() => {}, 1000);
    console.log('on standard output');
    console.error('I am here');
"#;

#[test]
fn the_first_interrupt_is_the_applications_and_the_second_ends_the_machine() {
    let scratch = Scratch::new("run-interrupt").unwrap();
    let script = script(&scratch, "stubborn.js", STUBBORN).unwrap();
    let mut running = Running::begin(&scratch, [&script]).unwrap();
    running.wait_for("I am here", READY).unwrap();
    running.signal(Signal::INT).unwrap();
    running.wait_for("heard SIGINT", ANSWER).unwrap();
    running.signal(Signal::INT).unwrap();
    let (code, stdout) = running.ended(STOP).unwrap();
    assert_eq!((code, stdout.as_str()), (130, "on standard output\n"));
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn who_is_told_to_stop_has_time_for_its_last_words() {
    let scratch = Scratch::new("run-graceful").unwrap();
    let text = r#"
        process.on('SIGTERM', () => setTimeout(() => {
            process.exitCode = 5;
            process.stdout.write('x'.repeat(300000) + 'good bye', () => process.exit());
        }, 500));
        setInterval(() => {}, 1000);
        console.error('I am here');
    "#;
    let script = script(&scratch, "graceful.js", text).unwrap();
    let mut running = Running::begin(&scratch, [&script]).unwrap();
    running.wait_for("I am here", READY).unwrap();
    let (code, stdout) = running.stop().unwrap();
    assert_eq!((code, stdout.len()), (5, 300_008));
    assert!(stdout.ends_with("xgood bye"));
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn who_does_not_stop_is_killed_when_its_time_is_over() {
    let scratch = Scratch::new("run-stubborn").unwrap();
    let script = script(&scratch, "stubborn.js", STUBBORN).unwrap();
    let mut running = Running::begin(&scratch, [&script]).unwrap();
    running.wait_for("I am here", READY).unwrap();
    let told = Instant::now();
    running.signal(Signal::TERM).unwrap();
    running.wait_for("heard SIGTERM", ANSWER).unwrap();
    let (code, _) = running.ended(STOP).unwrap();
    assert_eq!(code, 137);
    assert!(told.elapsed() >= GRACE, "it was not given its time");
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn who_is_interrupted_between_two_of_its_runs_has_no_other_one() {
    let scratch = Scratch::new("run-between").unwrap();
    let script = script(&scratch, "fails.js", "process.exit(9)").unwrap();
    let words = ["--restart", "always", script.to_str().unwrap()];
    let mut running = Running::begin(&scratch, words).unwrap();
    let again = "ended with exit code 9, and is started again in 2000 ms";
    running.wait_for(again, READY).unwrap();
    running.signal(Signal::INT).unwrap();
    assert_eq!(running.ended(STOP).unwrap().0, 9);
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn who_is_interrupted_is_not_started_again_whatever_is_to_be_restarted() {
    let scratch = Scratch::new("run-always").unwrap();
    let text = "setInterval(() => {}, 1000); console.error('I am here');";
    let script = script(&scratch, "stays.js", text).unwrap();
    let words = ["--restart", "always", script.to_str().unwrap()];
    let mut running = Running::begin(&scratch, words).unwrap();
    running.wait_for("I am here", READY).unwrap();
    running.signal(Signal::INT).unwrap();
    assert_eq!(running.ended(STOP).unwrap().0, 130);
    nobody_is_left(&scratch).unwrap();
}

#[test]
fn a_machine_lives_without_the_command_that_started_it() {
    let scratch = Scratch::new("run-orphan").unwrap();
    let script = script(&scratch, "stubborn.js", STUBBORN).unwrap();
    let name = ["--name", "orphan", script.to_str().unwrap()];
    let mut running = Running::begin(&scratch, name).unwrap();
    running.wait_for("I am here", READY).unwrap();
    running.kill().unwrap();

    let (code, stdout, _) = said(&scratch, ["ps"]).unwrap();
    assert_eq!(code, 0);
    assert!(stdout.contains("\norphan  running"), "{stdout}");
    let logged = said(&scratch, ["logs", "orphan"]).unwrap();
    let expected = (0, "on standard output\n".into(), "I am here\n".into());
    assert_eq!(logged, expected);
    let answer = said(&scratch, ["exec", "orphan", "node", "-p", "6 * 7"]).unwrap();
    assert_eq!(answer, (0, "42\n".into(), String::new()));

    let second = said(&scratch, ["run", "--name", "orphan", name[2]]).unwrap();
    let expected = "error: a machine named orphan runs already\n\
                    hint: stop it: nodeos stop orphan; or give this one another name with --name\n";
    assert_eq!(second, (1, String::new(), expected.into()));

    // It ignores SIGTERM.
    let stopped = said(&scratch, ["stop", "--time", "1", "orphan"]).unwrap();
    assert_eq!(stopped, (0, "orphan\n".into(), String::new()));
    nobody_is_left(&scratch).unwrap();
    // Nobody has heard its end, so it is kept.
    let (_, stdout, _) = said(&scratch, ["ps", "--all"]).unwrap();
    assert!(stdout.contains("\norphan  SIGKILL"), "{stdout}");
    let (code, _, stderr) = said(&scratch, ["logs", "orphan"]).unwrap();
    assert_eq!((code, stderr.as_str()), (0, "I am here\nheard SIGTERM\n"));
    let removed = said(&scratch, ["rm", "orphan"]).unwrap();
    assert_eq!(removed, (0, "orphan\n".into(), String::new()));
}

#[test]
fn who_ends_at_once_is_not_in_the_background() {
    let scratch = Scratch::new("run-at-once").unwrap();
    let text = "console.log('all done')";
    let script = script(&scratch, "once.js", text).unwrap();
    let port = format!("{}:3000", free_port().unwrap());
    let mut words = vec!["run", "--detach", "--name", "once", "--port", &port];
    words.push(script.to_str().unwrap());
    let (code, stdout, stderr) = said(&scratch, words).unwrap();
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(
        stderr.ends_with("all done\nerror: the application has ended with exit code 0 already\n"),
        "{stderr}"
    );
    let logged = said(&scratch, ["logs", "once"]).unwrap();
    assert_eq!(logged, (0, "all done\n".into(), String::new()));
    let removed = said(&scratch, ["rm", "once"]).unwrap();
    assert_eq!(removed, (0, "once\n".into(), String::new()));
    nobody_is_left(&scratch).unwrap();
}
