//! Tables of aligned columns.

/// Rows under one another: every column as wide as its widest cell, numbers to the right. The last column is not padded.
pub fn render(right: &[bool], rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            let width = widths[column];
            if right.get(column) == Some(&true) {
                line.push_str(&format!("{cell:>width$}"));
            } else {
                line.push_str(&format!("{cell:<width$}"));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        assert_eq!(
            render(
                &[false, true, false],
                &[row(["KIND", "SIZE", "WHAT"]), row(["kernels", "9 B", ""])]
            ),
            "KIND     SIZE  WHAT\nkernels   9 B\n"
        );
        assert_eq!(render(&[], &[]), "");
    }
}
