//! A quantity over time, of several runs together.

use super::statistics::{mean, quantile};

/// Of several runs at the same moments: their mean, and the band in which the middle 80 % of them lie.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Curve {
    pub points: Vec<Point>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    pub at_s: f64,
    /// How many runs were that long.
    pub runs: usize,
    pub mean: f64,
    /// The 10th and the 90th percentile.
    pub low: f64,
    pub high: f64,
}

impl Curve {
    /// Of runs as samples (second, value) in the order of time; between samples a value stays. The moments are those of the first
    /// of the runs with the most.
    pub fn of(runs: &[Vec<(f64, f64)>]) -> Self {
        let moments = runs.iter().rev().max_by_key(|run| run.len()).map(Vec::as_slice).unwrap_or_default();
        let mut cursors = vec![0; runs.len()];
        let mut points = Vec::with_capacity(moments.len());
        let mut values = Vec::with_capacity(runs.len());
        for &(at_s, _) in moments {
            values.clear();
            for (run, cursor) in runs.iter().zip(&mut cursors) {
                while run.get(*cursor + 1).is_some_and(|next| next.0 <= at_s) {
                    *cursor += 1;
                }
                let has_ended = run.last().is_none_or(|last| last.0 < at_s);
                let has_begun = run.get(*cursor).is_some_and(|sample| sample.0 <= at_s);
                if has_begun && !has_ended {
                    values.push(run[*cursor].1);
                }
            }
            values.sort_by(f64::total_cmp);
            let Some(mean) = mean(&values) else { continue };
            points.push(Point {
                at_s,
                runs: values.len(),
                mean,
                low: quantile(&values, 0.1),
                high: quantile(&values, 0.9),
            });
        }
        Self { points }
    }

    pub fn last(&self) -> Option<&Point> {
        self.points.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_until_the_next_sample() {
        let runs = [vec![(0.0, 0.0), (10.0, 2.0), (20.0, 4.0)], vec![(0.0, 1.0), (15.0, 3.0), (20.0, 3.0)]];
        let curve = Curve::of(&runs);
        let means: Vec<(f64, f64)> = curve.points.iter().map(|point| (point.at_s, point.mean)).collect();
        assert_eq!(means, [(0.0, 0.5), (10.0, 1.5), (20.0, 3.5)]);
        assert_eq!((curve.points[2].low, curve.points[2].high), (3.1, 3.9));
    }

    #[test]
    fn a_run_that_ended_is_left_out() {
        let curve = Curve::of(&[vec![(0.0, 1.0), (10.0, 1.0), (20.0, 1.0)], vec![(0.0, 5.0), (10.0, 5.0)]]);
        let runs: Vec<(usize, f64)> = curve.points.iter().map(|point| (point.runs, point.mean)).collect();
        assert_eq!(runs, [(2, 3.0), (2, 3.0), (1, 1.0)]);
        assert_eq!(Curve::of(&[]), Curve::default());
    }
}
