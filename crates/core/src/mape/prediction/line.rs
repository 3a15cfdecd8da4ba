//! A straight line through what was measured, and how far off it may be.

use super::Estimate;
use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2};

/// The least-squares line `y = intercept + slope * x`, with what its uncertainty follows from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line {
    intercept: f64,
    slope: f64,
    points: f64,
    mean_x: f64,
    /// Sum of the squared distances of the x from their mean.
    spread: f64,
    /// Variance of the y around the line.
    variance: f64,
}

impl Line {
    /// Two points always lie on a line: it takes a third to know how far points lie from it.
    pub const LEAST_POINTS: usize = 3;

    /// The line through points `(x, y)`; `None` for fewer than three, and where all have the same x.
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let n = points.len();
        if n < Self::LEAST_POINTS {
            return None;
        }
        let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / n as f64;
        let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if spread <= f64::EPSILON * mean_x.powi(2) * n as f64 {
            return None;
        }
        let x = Array2::from_shape_fn((n, 1), |(i, _)| points[i].0);
        let y = Array1::from_shape_fn(n, |i| points[i].1);
        let fitted = LinearRegression::new().fit(&DatasetBase::new(x, y)).ok()?;
        let (intercept, slope) = (fitted.intercept(), fitted.params()[0]);
        let squares: f64 = points.iter().map(|(x, y)| (y - intercept - slope * x).powi(2)).sum();
        let line = Self { intercept, slope, points: n as f64, mean_x, spread, variance: squares / (n - 2) as f64 };
        [intercept, slope, line.variance].iter().all(|value| value.is_finite()).then_some(line)
    }

    /// The y at `x = 0`, and how uncertain it is: its standard error.
    pub fn intercept(&self) -> Estimate {
        let variance = self.variance * (1.0 / self.points + self.mean_x.powi(2) / self.spread);
        Estimate { mean: self.intercept, deviation: variance.sqrt() }
    }

    /// By how much y grows for each unit of x, and its standard error.
    pub fn slope(&self) -> Estimate {
        Estimate { mean: self.slope, deviation: (self.variance / self.spread).sqrt() }
    }

    /// How far points lie from the line: their standard deviation around it.
    pub fn deviation(&self) -> f64 {
        self.variance.sqrt()
    }

    /// The y to be expected of one further point at `x`.
    pub fn at(&self, x: Estimate) -> Estimate {
        let from_mean = (x.mean - self.mean_x).powi(2) / self.spread;
        let variance = self.variance * (1.0 + 1.0 / self.points + from_mean) + (self.slope * x.deviation).powi(2);
        Estimate { mean: self.intercept + self.slope * x.mean, deviation: variance.sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_through_points_that_lie_on_one() {
        let line = Line::fit(&[(0.0, 1.0), (100.0, 3.0), (200.0, 5.0)]).unwrap();
        let far = line.at(Estimate::certain(1000.0));
        assert!((far.mean - 21.0).abs() < 1e-9, "{far:?}");
        assert!(far.deviation < 1e-9, "{far:?}");
    }

    #[test]
    fn the_uncertainty_is_the_textbooks() {
        // y = 2 everywhere, residuals -1, +1, +1, -1: s2 = 4/2 = 2; mean of x 1.5, spread 5.
        let line = Line::fit(&[(0.0, 1.0), (1.0, 3.0), (2.0, 3.0), (3.0, 1.0)]).unwrap();
        let check = |x: f64, variance: f64| {
            let found = line.at(Estimate::certain(x));
            assert!((found.mean - 2.0).abs() < 1e-12, "{found:?}");
            assert!((found.deviation.powi(2) - variance).abs() < 1e-12, "{found:?} instead of {variance}");
        };
        check(1.5, 2.0 * 1.25);
        check(6.5, 2.0 * 6.25);
        let (intercept, slope) = (line.intercept(), line.slope());
        assert!((intercept.mean - 2.0).abs() < 1e-12 && slope.mean.abs() < 1e-12, "{intercept:?} {slope:?}");
        assert!((intercept.deviation.powi(2) - 2.0 * (0.25 + 2.25 / 5.0)).abs() < 1e-12, "{intercept:?}");
        assert!((slope.deviation.powi(2) - 2.0 / 5.0).abs() < 1e-12, "{slope:?}");
        assert!((line.deviation().powi(2) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn an_uncertain_x_makes_y_uncertain_by_the_slope() {
        let line = Line::fit(&[(0.0, 1.0), (100.0, 3.0), (200.0, 5.0)]).unwrap();
        let found = line.at(Estimate { mean: 100.0, deviation: 10.0 });
        assert!((found.deviation - 0.2).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn there_is_no_line_through_too_few_points_or_above_one_x() {
        assert_eq!(Line::fit(&[(0.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(Line::fit(&[(1000.0, 1.0), (1000.0, 2.0), (1000.0, 3.0)]), None);
        assert_eq!(Line::fit(&[(0.0, 1.0), (0.0, 2.0), (0.0, 3.0)]), None);
    }
}
