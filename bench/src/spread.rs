//! What several measurements of one thing say together.

use std::fmt;

use serde::Serialize;

/// The least, the middle and the most of several values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Spread {
    /// None of no values. With an even number of them the median is the mean of the two in the middle.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        };
        Some(Spread { min, median, max })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} {:.2} {:.2}", self.min, self.median, self.max)
    }
}

/// For a column that may be empty.
pub(crate) fn shown(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| spread.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let check = |values: &[f64], expected: Option<&str>| {
            let spread = Spread::of(values.iter().copied()).map(|spread| spread.to_string());
            assert_eq!(spread.as_deref(), expected);
        };
        check(&[], None);
        check(&[2.0], Some("2.00 2.00 2.00"));
        check(&[3.0, 1.0, 9.0], Some("1.00 3.00 9.00"));
        check(&[4.0, 1.0, 2.0, 3.0], Some("1.00 2.50 4.00"));
    }
}
