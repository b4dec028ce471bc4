//! Tables: columns beside each other where they fit, and the rows one after the other where they do not.

use unicode_width::UnicodeWidthStr;

/// Between two columns.
const GAP: &str = "  ";

/// The lines of a table whose first row is its head.
pub(super) fn lay_out(rows: &[Vec<String>], width: usize) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &[String], column: usize| {
        row.get(column)
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .map(|row| cell(row, column).width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let whole = widths.iter().sum::<usize>() + GAP.len() * columns.saturating_sub(1);
    let Some((head, body)) = rows.split_first().filter(|_| columns > 0) else {
        return Vec::new();
    };
    if whole > width {
        return one_below_the_other(head, body);
    }
    let line = |row: &[String]| {
        let cells: Vec<String> = (0..columns)
            .map(|column| {
                let text = cell(row, column);
                let missing = widths[column].saturating_sub(text.width());
                text + &" ".repeat(missing)
            })
            .collect();
        cells.join(GAP).trim_end().to_owned()
    };
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    let mut lines = vec![line(head), rule.join(GAP)];
    lines.extend(body.iter().map(|row| line(row)));
    lines
}

/// Each row as a paragraph: its first cell, and under it the others with the names of their columns.
fn one_below_the_other(head: &[String], body: &[Vec<String>]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in body {
        let mut cells = head
            .iter()
            .zip(row)
            .map(|(name, text)| (name.trim(), text.trim()));
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(cells.next().map(|(_, text)| text.to_owned()));
        lines.extend(
            cells
                .filter(|(_, text)| !text.is_empty())
                .map(|(name, text)| {
                    if name.is_empty() {
                        format!("    {text}")
                    } else {
                        format!("    {name}: {text}")
                    }
                }),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_too_wide_is_a_list() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["name", "meaning"]),
            row(["a", "first"]),
            row(["b", "second"]),
        ];
        assert_eq!(
            lay_out(&rows, 13),
            [
                "name  meaning",
                "────  ───────",
                "a     first",
                "b     second"
            ]
        );
        assert_eq!(
            lay_out(&rows, 12),
            ["a", "    meaning: first", "", "b", "    meaning: second"]
        );
    }
}
