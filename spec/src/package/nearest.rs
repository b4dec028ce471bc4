//! Which of the known names somebody may have meant.

use alloc::vec::Vec;

/// The known name that is the fewest slips away from the given one; none when even that is more than a third of its length.
pub(super) fn of(given: &str, known: &[&'static str]) -> Option<&'static str> {
    let given = given.to_lowercase();
    known
        .iter()
        .map(|name| (distance(&given, &name.to_lowercase()), *name))
        .filter(|(slips, name)| *slips * 3 <= name.len().max(3))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

/// How many letters have to be put in, taken out, replaced, or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    // Row i holds the distances of the first i letters of one to every beginning of the other.
    let mut rows: Vec<Vec<usize>> = alloc::vec![(0..=to.len()).collect()];
    for (i, letter) in from.iter().enumerate() {
        let mut row = alloc::vec![i + 1];
        for (j, other) in to.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(letter != other);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            let is_swapped = i > 0 && j > 0 && *letter == to[j - 1] && from[i - 1] == *other;
            if is_swapped {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::KEYS;

    #[test]
    fn the_nearest_name_is_found_and_nothing_far_away() {
        let check = |given, expected| assert_eq!(of(given, &KEYS), expected, "{given}");
        check("prots", Some("ports"));
        check("port", Some("ports"));
        check("volume", Some("volumes"));
        check("nodeargs", Some("nodeArgs"));
        check("memroy", Some("memory"));
        check("cpu", Some("cpus"));
        check("node_version", Some("nodeVersion"));
        check("database", None);
        check("", None);
    }
}
