//! Running the program of an order, with everything it writes passed on line by line.

use std::io::{self, BufRead, BufReader, PipeReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::RunOrderError;
use crate::order::Order;

/// How long output is waited for after the program has ended: a process that it left behind may keep the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);

enum Event {
    Line(String),
    EndOfOutput,
    Ended(io::Result<ExitStatus>),
}

/// Runs the program to its end. `output` is given every line of its standard output and standard error, in order.
/// Returns its exit code, or 128 plus the number of the signal that ended it.
pub fn run(
    order: &Order,
    output: &mut dyn FnMut(String) -> io::Result<()>,
) -> Result<i32, RunOrderError> {
    let failed = |source| RunOrderError::Start {
        program: order.program.clone().into(),
        source,
    };
    let (reader, writer) = io::pipe().map_err(failed)?;
    let mut command = Command::new(&order.program);
    command
        .args(&order.arguments)
        .env_clear()
        .envs(&order.env)
        .stdin(Stdio::null());
    command
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer);
    let mut child = command.spawn().map_err(failed)?;
    // The command holds our ends of the pipe, which would keep it open for ever.
    drop(command);

    let (events, received) = mpsc::channel();
    let from_reader = events.clone();
    thread::spawn(move || pass_on(reader, &from_reader));
    thread::spawn(move || events.send(Event::Ended(child.wait())));

    let mut ended: Option<(ExitStatus, Instant)> = None;
    let mut open = true;
    while open || ended.is_none() {
        let event = match ended {
            None => received.recv().ok(),
            Some((_, at)) => received
                .recv_timeout((at + LAST_WORDS).saturating_duration_since(Instant::now()))
                .ok(),
        };
        match event {
            Some(Event::Line(line)) => output(line).map_err(RunOrderError::Report)?,
            Some(Event::EndOfOutput) => open = false,
            Some(Event::Ended(status)) => ended = Some((status.map_err(failed)?, Instant::now())),
            None => break,
        }
    }
    let status = ended
        .map(|(status, _)| status)
        .expect("the loop goes on until the program has ended");
    Ok(status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
}

/// A send fails only when nobody listens any more, and then there is nobody to tell.
fn pass_on(reader: PipeReader, events: &Sender<Event>) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        let text = String::from_utf8_lossy(&line);
        let _ = events.send(Event::Line(
            text.strip_suffix('\n').unwrap_or(&text).to_owned(),
        ));
        line.clear();
    }
    let _ = events.send(Event::EndOfOutput);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn sh(script: &str) -> (i32, Vec<String>) {
        let order = Order {
            program: "/bin/sh".to_owned(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            env: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            links: BTreeMap::new(),
        };
        let mut lines = Vec::new();
        let code = run(&order, &mut |line| {
            lines.push(line);
            Ok(())
        });
        (code.unwrap(), lines)
    }

    #[test]
    fn the_end_of_the_program_is_its_code() {
        let check = |script: &str, expected: i32| assert_eq!(sh(script).0, expected, "{script}");
        check("exit 0", 0);
        check("exit 101", 101);
        check("kill -9 $$", 137);
    }

    #[test]
    fn both_streams_arrive_in_order_and_the_last_line_needs_no_end() {
        let (_, lines) = sh("echo $GREETING; echo two >&2; printf three");
        assert_eq!(lines, ["hello", "two", "three"]);
    }

    #[test]
    fn a_process_that_was_left_behind_does_not_hold_the_report_up() {
        let (code, lines) = sh("sleep 1000 & echo $!; exit 3");
        assert_eq!((code, lines.len()), (3, 1));
        let left = lines[0].clone();
        let ended = Command::new("kill").args(["-9", &left]).status().unwrap();
        assert!(
            ended.success(),
            "process {left} should have been running still"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let order = Order {
            program: "/no/such/program".to_owned(),
            arguments: Vec::new(),
            env: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        let error = run(&order, &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "cannot start /no/such/program");
    }
}
