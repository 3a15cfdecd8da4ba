//! How long requests took.

use crate::report::statistics::nearest_rank;
use serde::Deserialize;

/// Milliseconds. A percentile is of the nearest rank: the smallest time that so many percent of all are not above.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
pub struct Times {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p75: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub p99_99: f64,
    pub max: f64,
}

impl Times {
    /// Of exact times, in microseconds and in any order; `None` of none.
    pub fn of(mut all: Vec<u64>) -> Option<Self> {
        all.sort_unstable();
        let sum: u128 = all.iter().copied().map(u128::from).sum();
        let at = |of_10_000| nearest_rank(&all, of_10_000).map(milliseconds);
        Some(Self {
            count: all.len() as u64,
            p50: at(5_000)?,
            p75: at(7_500)?,
            p90: at(9_000)?,
            p95: at(9_500)?,
            p99: at(9_900)?,
            p99_9: at(9_990)?,
            p99_99: at(9_999)?,
            max: at(10_000)?,
            // Of a sum that a float does not hold exactly, the mean is right to fifteen digits.
            mean: sum as f64 / all.len() as f64 / 1e3,
        })
    }
}

fn milliseconds(microseconds: u64) -> f64 {
    // Exact up to 285 years.
    microseconds as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_whatever_their_order() {
        let times = Times::of((1..=10_000).rev().map(|millisecond| millisecond * 1_000).collect()).unwrap();
        let expected = Times {
            count: 10_000,
            mean: 5_000.5,
            p50: 5_000.0,
            p75: 7_500.0,
            p90: 9_000.0,
            p95: 9_500.0,
            p99: 9_900.0,
            p99_9: 9_990.0,
            p99_99: 9_999.0,
            max: 10_000.0,
        };
        assert_eq!((times, Times::of(Vec::new())), (expected, None));
    }
}
