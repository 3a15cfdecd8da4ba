//! What several values of one quantity come to.

use serde::Serialize;

/// A sample, summed up; in the unit of its values.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Sample {
    pub n: usize,
    pub mean: f64,
    pub median: f64,
    /// Standard deviation; 0 of fewer than two.
    pub deviation: f64,
    pub least: f64,
    pub largest: f64,
}

impl Sample {
    /// All zero when there is nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (Some(least), Some(largest)) = (values.first(), values.last()) else { return Self::default() };
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            n,
            mean,
            median: (values[(n - 1) / 2] + values[n / 2]) / 2.0,
            deviation: (squares / (n - 1).max(1) as f64).sqrt(),
            least: *least,
            largest: *largest,
        }
    }

    /// How uncertain the mean is: its standard error.
    pub fn error(&self) -> f64 {
        self.deviation / (self.n.max(1) as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], mean: f64, median: f64, deviation: f64) {
        let found = Sample::of(values.iter().copied());
        assert_eq!((found.mean, found.median, found.deviation), (mean, median, deviation), "{values:?}");
    }

    #[test]
    fn a_sample_is_summed_up() {
        check(&[], 0.0, 0.0, 0.0);
        check(&[3.0], 3.0, 3.0, 0.0);
        check(&[5.0, 1.0], 3.0, 3.0, 8.0_f64.sqrt());
        check(&[1.0, 9.0, 2.0], 4.0, 2.0, 19.0_f64.sqrt());
        let found = Sample::of([4.0, f64::NAN, -2.0, 4.0]);
        assert_eq!((found.n, found.least, found.largest), (3, -2.0, 4.0));
        assert_eq!(Sample::of([1.0, 3.0, 1.0, 3.0]).error(), (4.0_f64 / 3.0).sqrt() / 2.0);
    }
}
