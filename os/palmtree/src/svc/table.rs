//! The table that `svc list` shows.

use std::time::Duration;

use nodeos_spec::control::ServiceState;

use crate::clock;

const HEAD: [&str; 6] = ["NAME", "STATE", "PID", "SINCE", "RESTARTS", "LAST EXIT"];
/// What stands where there is nothing to say.
const NOTHING: &str = "-";

/// The table, with a line for each service and as wide as it needs to be.
pub(super) fn render(services: &[ServiceState]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(services.iter().map(row));
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; HEAD.len()] = std::array::from_fn(width);
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            format!("{}\n", cells.join("  ").trim_end())
        })
        .collect()
}

fn row(service: &ServiceState) -> [String; 6] {
    let next = service
        .next_try_ms
        .map(|ms| format!("next try in {}", clock::span(Duration::from_millis(ms))));
    let last: Vec<String> = service.last_exit.iter().cloned().chain(next).collect();
    [
        service.name.clone(),
        service.state.to_string(),
        service
            .pid
            .map_or(NOTHING.to_owned(), |pid| pid.to_string()),
        clock::span(Duration::from_millis(service.since_ms)),
        service.restarts.to_string(),
        if last.is_empty() {
            NOTHING.to_owned()
        } else {
            last.join(", ")
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodeos_spec::control::State;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let service = |name: &str, state, pid, next_try_ms, last_exit: Option<&str>| ServiceState {
            name: name.to_owned(),
            state,
            pid,
            restarts: 12,
            since_ms: 200_000,
            next_try_ms,
            last_exit: last_exit.map(str::to_owned),
        };
        let table = render(&[
            service("login", State::Running, Some(7), None, None),
            service(
                "a-long-name",
                State::Waiting,
                None,
                Some(8000),
                Some("code 1"),
            ),
        ]);
        let expected = "\
NAME         STATE    PID  SINCE  RESTARTS  LAST EXIT
login        running  7    3 min  12        -
a-long-name  waiting  -    3 min  12        code 1, next try in 8 s
";
        assert_eq!(table, expected);
    }

    #[test]
    fn without_services_there_is_the_head_alone() {
        assert_eq!(
            render(&[]),
            "NAME  STATE  PID  SINCE  RESTARTS  LAST EXIT\n"
        );
    }
}
