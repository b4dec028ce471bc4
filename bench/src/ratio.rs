//! One thing over another, round by round.

use std::fmt;

use serde::Serialize;

use crate::spread::Spread;

/// How one thing compares with another that ran in the same rounds.
#[derive(Debug, Serialize)]
pub struct Ratio {
    pub what: String,
    pub ratio: Spread,
    /// The most that is hoped for, where something is. Nothing is asserted.
    pub expected: Option<f64>,
}

impl Ratio {
    /// None when no round has both values.
    pub fn of<M>(
        what: impl Into<String>,
        (ones, others): (&[M], &[M]),
        pick: fn(&M) -> Option<f64>,
        expected: Option<f64>,
    ) -> Option<Ratio> {
        let rounds = ones.iter().zip(others);
        let ratio = Spread::of(rounds.filter_map(|(one, other)| Some(pick(one)? / pick(other)?)))?;
        Some(Ratio {
            what: what.into(),
            ratio,
            expected,
        })
    }
}

/// The part of a report's table that has the ratios.
pub(crate) fn write_table(f: &mut fmt::Formatter<'_>, ratios: &[Ratio]) -> fmt::Result {
    writeln!(
        f,
        "\n{:52}{:20}expected at most",
        "ratio, round by round", "min median max"
    )?;
    ratios.iter().try_for_each(|ratio| {
        let expected = ratio
            .expected
            .map_or_else(|| "-".to_owned(), |most| most.to_string());
        writeln!(
            f,
            "{:52}{:20}{expected}",
            ratio.what,
            ratio.ratio.to_string()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        let ratio = Ratio::of("x", (&[1.0, 6.0], &[2.0, 2.0]), |value| Some(*value), None);
        assert_eq!(ratio.unwrap().ratio.to_string(), "0.50 1.75 3.00");
        assert!(Ratio::of("x", (&[1.0], &[]), |value| Some(*value), None).is_none());
    }
}
