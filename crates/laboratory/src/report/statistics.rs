//! Means with their intervals, and quantiles.
//!
//! An interval is the percentile bootstrap's: the mean of as many values drawn with replacement, again and again; the middle
//! 95 % of these means. Drawn from a fixed seed, so that the same runs make the same page, byte for byte.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// How often a sample is drawn again.
pub const RESAMPLES: usize = 2000;
/// Where the draws begin.
const SEED: u64 = 0x5eed;
/// The share of the means that lie within an interval.
const CONFIDENCE: f64 = 0.95;

/// A mean of so many values.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    pub values: usize,
    pub mean: f64,
    /// 95 %; none of a single value.
    pub interval: Option<Interval>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Estimate {
    /// The lowest mean that is not ruled out.
    pub fn low(&self) -> f64 {
        self.interval.map_or(self.mean, |interval| interval.low)
    }

    /// The highest mean that is not ruled out.
    pub fn high(&self) -> f64 {
        self.interval.map_or(self.mean, |interval| interval.high)
    }
}

/// Estimates means. Which values a resample takes depends on their number alone, so it is drawn once for each number.
#[derive(Default)]
pub struct Bootstrap {
    /// By the number of values: how often each of them is in each resample, one resample after the other.
    draws: BTreeMap<usize, Vec<u16>>,
}

impl Bootstrap {
    /// `None` of no values.
    pub fn mean(&mut self, values: &[f64]) -> Option<Estimate> {
        let count = values.len();
        // Equal values have no other mean, whatever is drawn; rounding would show one.
        if let [first, ..] = values
            && values.iter().all(|value| value == first)
        {
            let interval = (count > 1).then_some(Interval { low: *first, high: *first });
            return Some(Estimate { values: count, mean: *first, interval });
        }
        let mean = mean(values)?;
        let draws = self.draws.entry(count).or_insert_with(|| draw(count));
        let sum = |draw: &[u16]| draw.iter().zip(values).map(|(times, value)| f64::from(*times) * value).sum::<f64>();
        let mut means: Vec<f64> = draws.chunks_exact(count).map(|draw| sum(draw) / count as f64).collect();
        means.sort_by(f64::total_cmp);
        let tail = (1.0 - CONFIDENCE) / 2.0;
        let interval = Interval { low: quantile(&means, tail), high: quantile(&means, 1.0 - tail) };
        Some(Estimate { values: count, mean, interval: Some(interval) })
    }
}

fn draw(count: usize) -> Vec<u16> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut draws = vec![0_u16; count * RESAMPLES];
    for resample in draws.chunks_exact_mut(count) {
        for _ in 0..count {
            let taken = &mut resample[rng.random_range(0..count)];
            *taken = taken.saturating_add(1);
        }
    }
    draws
}

/// `None` of no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The value below which a share of the (sorted) values lies, between two neighbours in proportion; NaN of none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let above = sorted[(below + 1).min(last)];
    sorted[below] + (above - sorted[below]) * at.fract()
}

/// The smallest of ascending values that so many of 10,000 are not above; `None` of no values.
pub fn nearest_rank<T: Copy>(ascending: &[T], of_10_000: usize) -> Option<T> {
    let rank = (ascending.len() * of_10_000).div_ceil(10_000).max(1);
    ascending.get(rank - 1).copied()
}

/// Five numbers that tell how values lie.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    pub low: f64,
    pub quartile: f64,
    pub median: f64,
    pub upper_quartile: f64,
    pub high: f64,
}

impl Spread {
    /// Quartiles, and the 5th and 95th percentile. `None` of no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share| quantile(&sorted, share);
        (!sorted.is_empty()).then(|| Self {
            low: at(0.05),
            quartile: at(0.25),
            median: at(0.5),
            upper_quartile: at(0.75),
            high: at(0.95),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let check = |all: &[u64], of_10_000, expected| assert_eq!(nearest_rank(all, of_10_000), expected, "{all:?}");
        check(&[15, 20, 35, 40, 50], 3_000, Some(20));
        check(&[15, 20, 35, 40, 50], 4_000, Some(20));
        check(&[15, 20, 35, 40, 50], 4_001, Some(35));
        check(&[15, 20, 35, 40, 50], 10_000, Some(50));
        check(&[7], 1, Some(7));
        check(&[], 5_000, None);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let check = |values: &[f64], share: f64, expected: f64| assert_eq!(quantile(values, share), expected);
        check(&[7.0], 0.3, 7.0);
        check(&[0.0, 10.0], 0.25, 2.5);
        check(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.5, 3.0);
        check(&[1.0, 2.0, 3.0, 4.0, 5.0], 1.0, 5.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn an_interval_is_what_theory_expects_of_many_values() {
        // The mean of 0..=99 has a standard error of 2.89: 1.96 of these to either side.
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let estimate = Bootstrap::default().mean(&values).unwrap();
        let interval = estimate.interval.unwrap();
        assert_eq!((estimate.values, estimate.mean), (100, 49.5));
        assert!((interval.low - (49.5 - 5.66)).abs() < 0.5, "{interval:?}");
        assert!((interval.high - (49.5 + 5.66)).abs() < 0.5, "{interval:?}");
    }

    #[test]
    fn the_same_values_have_the_same_interval() {
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
        let mut one = Bootstrap::default();
        one.mean(&[1.0, 2.0, 4.0]).unwrap();
        assert_eq!(one.mean(&values), Bootstrap::default().mean(&values));
    }

    #[test]
    fn few_values_are_not_guessed_about() {
        let mut bootstrap = Bootstrap::default();
        assert_eq!(bootstrap.mean(&[]), None);
        assert_eq!(bootstrap.mean(&[2.0]), Some(Estimate { values: 1, mean: 2.0, interval: None }));
        let certain = Some(Interval { low: 0.1, high: 0.1 });
        assert_eq!(bootstrap.mean(&[0.1; 3]).unwrap().interval, certain);
    }

    #[test]
    fn five_numbers_tell_how_values_lie() {
        let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let spread = Spread { low: 5.0, quartile: 25.0, median: 50.0, upper_quartile: 75.0, high: 95.0 };
        assert_eq!(Spread::of(&values), Some(spread));
        assert_eq!(Spread::of(&[]), None);
    }
}
