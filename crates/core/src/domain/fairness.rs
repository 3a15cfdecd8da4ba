//! How alike agents are treated.

/// Jain's index of fairness: `(sum x)^2 / (n sum x^2)`, 1 when all have the same and 1/n when one has everything. Where nobody has
/// anything, or nobody is there, nobody has more than another: 1.
///
/// Jain, Chiu, Hawe: A quantitative measure of fairness and discrimination for resource allocation in shared computer systems,
/// 1984.
pub fn jain(values: &[f64]) -> f64 {
    let squares: f64 = values.iter().map(|value| value * value).sum();
    match squares {
        0.0 => 1.0,
        squares => values.iter().sum::<f64>().powi(2) / (values.len() as f64 * squares),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fairness_is_one_for_equals_and_one_nth_for_a_single_winner() {
        let check = |values: &[f64], expected: f64| {
            assert!((jain(values) - expected).abs() < 1e-12, "{values:?}: {}", jain(values));
        };
        check(&[0.4, 0.4, 0.4], 1.0);
        check(&[1.0, 0.0, 0.0, 0.0], 0.25);
        check(&[1.0, 0.5], 0.9);
        check(&[0.0, 0.0], 1.0);
        check(&[], 1.0);
    }
}
