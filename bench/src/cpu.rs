//! Processor time of other processes, from proc_pid_stat(5). Its unit is a clock tick, usually 10 ms.

use std::fs;

use anyhow::Context;
use rustix::param::clock_ticks_per_second;

/// Fields of `/proc/PID/stat` after the name, which is field 2 and may hold spaces: user and system time of the
/// process are fields 14 and 15, those of its children that were waited for are 16 and 17.
const UTIME: usize = 14 - 3;
const CUTIME: usize = 16 - 3;

/// User and system time of a running process with all its threads, in seconds.
///
/// # Errors
/// When there is no such process.
pub fn of_process(pid: u32) -> anyhow::Result<f64> {
    seconds(&pid.to_string(), UTIME)
}

/// As [`of_process`], of a process, all that it has started and that still run, and those of them that have ended.
///
/// # Errors
/// When there is no such process.
pub fn of_tree(pid: u32) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    let mut left = vec![pid];
    while let Some(next) = left.pop() {
        let text = next.to_string();
        match (seconds(&text, UTIME), seconds(&text, CUTIME)) {
            (Ok(own), Ok(ended)) => sum += own + ended,
            // It has ended just now, and its parent counts it.
            (Err(_), _) | (_, Err(_)) if next != pid => {}
            (Err(error), _) | (_, Err(error)) => return Err(error),
        }
        left.extend(children(next));
    }
    Ok(sum)
}

/// The processes that a process has started, with whichever of its threads (proc_pid_task(5)).
fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let files = tasks
        .into_iter()
        .flatten()
        .flatten()
        .map(|task| task.path().join("children"));
    let texts = files.filter_map(|file| fs::read_to_string(file).ok());
    texts
        .flat_map(|text| {
            let numbers = text.split_whitespace().map(str::parse);
            numbers.filter_map(Result::ok).collect::<Vec<u32>>()
        })
        .collect()
}

/// User and system time of all children of this process that have ended and were waited for, in seconds.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn of_ended_children() -> anyhow::Result<f64> {
    seconds("self", CUTIME)
}

fn seconds(process: &str, field: usize) -> anyhow::Result<f64> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&text, field).with_context(|| format!("{path} is not what it should be"))?;
    Ok(ticks as f64 / clock_ticks_per_second() as f64)
}

/// The sum of the field and the one after it.
fn ticks(stat: &str, field: usize) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(field);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 200 0 0 11 12 13 14 20 0 1 0";
        assert_eq!(ticks(stat, UTIME), Some(23));
        assert_eq!(ticks(stat, CUTIME), Some(27));
        assert_eq!(ticks("7 (a) S 1", UTIME), None);
    }

    #[test]
    fn time_of_this_process_is_counted() {
        let before = of_process(std::process::id()).unwrap();
        assert!(before >= 0.0 && of_ended_children().unwrap() >= 0.0);
        assert!(of_process(0).is_err());
    }

    #[test]
    fn what_a_process_has_started_is_counted_with_it() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let own = std::process::id();
        let found = children(own).contains(&child.id());
        let counted = of_tree(own);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found);
        assert!(counted.unwrap() >= of_process(own).unwrap() - 1.0);
        assert!(of_tree(0).is_err());
    }
}
