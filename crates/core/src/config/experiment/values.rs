//! Lists of values of which every one is tried.

use crate::config::problem::{Invalid, Problems};

/// At least one value, each once.
pub(super) fn varied<W, T: PartialEq>(
    key: &str,
    written: &[W],
    read: impl Fn(&W) -> Result<T, Invalid>,
    problems: &mut Problems,
) -> Option<Vec<T>> {
    if written.is_empty() {
        problems.add(key, Invalid::new("there is no value", "write at least one between the brackets"));
        return None;
    }
    let mut values = Vec::with_capacity(written.len());
    let mut are_well = true;
    for (place, one) in (1..).zip(written) {
        match read(one) {
            Ok(value) if values.contains(&value) => {
                problems.add(format!("{key}: value {place}"), Invalid::new("is there twice", "remove one of them"));
                are_well = false;
            }
            Ok(value) => values.push(value),
            Err(invalid) => {
                problems.add(format!("{key}: value {place}"), invalid);
                are_well = false;
            }
        }
    }
    are_well.then_some(values)
}
