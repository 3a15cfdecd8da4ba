//! What is refused, why, and what to do.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// A value of a file that makes no sense. Nothing was made of it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {problem}; {help}")]
pub struct Invalid {
    /// The field, from where the text that was read begins: `curve.points[2]`.
    pub place: String,
    /// With the value as it was written, shortened and escaped.
    pub problem: String,
    /// What is allowed.
    pub help: String,
}

impl Invalid {
    pub(crate) fn new(place: impl Into<String>, problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into(), help: help.into() }
    }
}

/// The number, if it lies in the range. No number (NaN) lies in any.
pub(crate) fn within(
    place: impl Into<String>,
    value: f64,
    range: RangeInclusive<f64>,
    what: impl Display,
) -> Result<f64, Invalid> {
    match range.contains(&value) {
        true => Ok(value),
        false => {
            let help = format!("{what}, from {} to {}", range.start(), range.end());
            Err(Invalid::new(place, format!("{value} is out of range"), help))
        }
    }
}

/// Text of somebody else for a message: one short line without what could steer a terminal.
pub(crate) fn legible(text: &str) -> String {
    const MOST: usize = 40;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    shown
}

/// The known word that is at most two edits away, the first of the closest (the distance of Levenshtein).
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let closest = known.iter().map(|known| (edits(word, known), *known)).min_by_key(|(edits, _)| *edits);
    closest.filter(|(edits, _)| *edits <= 2).map(|(_, known)| known)
}

fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // How many edits from what was read so far to each beginning of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    // Longer words are far from all that are known.
    for (read, letter) in from.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], read + 1);
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_the_word_that_was_meant() {
        let known = ["gamma", "beta", "normal"];
        for (word, meant) in [("gama", Some("gamma")), ("bteA", None), ("Normal", Some("normal")), ("xyz", None)] {
            assert_eq!(nearest(word, &known), meant, "{word}");
        }
        assert_eq!((edits("kitten", "sitting"), edits("", "abc"), edits("abc", "")), (3, 3, 3));
    }

    #[test]
    fn foreign_text_is_shown_short_and_harmless() {
        assert_eq!(legible("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(legible(&"x".repeat(40)), "x".repeat(40));
        assert_eq!(legible(&"x".repeat(41)), "x".repeat(40) + "...");
    }

    #[test]
    fn what_is_no_number_lies_in_no_range() {
        let refused = within("scale", f64::NAN, 0.0..=1.0, "a share").unwrap_err();
        assert_eq!(refused.to_string(), "scale: NaN is out of range; a share, from 0 to 1");
        assert_eq!(within("scale", 1.0, 0.0..=1.0, "a share"), Ok(1.0));
    }
}
