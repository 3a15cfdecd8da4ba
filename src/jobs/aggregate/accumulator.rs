//! From the values of many records to one.

use super::quantile::Histogram;
use crate::jobs::expression::Function;

/// Some of the values on their way to one result. Merging in a fixed order gives the same bits every time.
#[derive(Clone, Debug)]
pub(super) enum Accumulator {
    Count(u64),
    Sum(Sum),
    Average { sum: Sum, count: u64 },
    Minimum(Option<f64>),
    Maximum(Option<f64>),
    Quantile { share: f64, values: Histogram },
}

impl Accumulator {
    pub(super) fn new(function: Function) -> Self {
        match function {
            Function::Count => Self::Count(0),
            Function::Sum => Self::Sum(Sum::default()),
            Function::Average => Self::Average { sum: Sum::default(), count: 0 },
            Function::Minimum => Self::Minimum(None),
            Function::Maximum => Self::Maximum(None),
            Function::Quantile(share) => Self::Quantile { share, values: Histogram::default() },
        }
    }

    pub(super) fn add(&mut self, value: f64) {
        match self {
            Self::Count(count) => *count += 1,
            Self::Sum(sum) => sum.add(value),
            Self::Average { sum, count } => {
                sum.add(value);
                *count += 1;
            }
            Self::Minimum(least) => *least = Some(least.map_or(value, |least| least.min(value))),
            Self::Maximum(most) => *most = Some(most.map_or(value, |most| most.max(value))),
            Self::Quantile { values, .. } => values.add(value),
        }
    }

    /// Takes in what was accumulated from the records after these, for the same function.
    pub(super) fn merge(&mut self, later: Self) {
        match (self, later) {
            (Self::Count(count), Self::Count(more)) => *count += more,
            (Self::Sum(sum), Self::Sum(more)) => sum.merge(more),
            (Self::Average { sum, count }, Self::Average { sum: more, count: many }) => {
                sum.merge(more);
                *count += many;
            }
            (Self::Minimum(least), Self::Minimum(other)) => {
                *least = [*least, other].into_iter().flatten().reduce(f64::min)
            }
            (Self::Maximum(most), Self::Maximum(other)) => {
                *most = [*most, other].into_iter().flatten().reduce(f64::max)
            }
            (Self::Quantile { values, .. }, Self::Quantile { values: more, .. }) => values.merge(&more),
            (one, other) => unreachable!("one job has one function, not {one:?} and {other:?}"),
        }
    }

    /// For people; `null` when there was no value to compute with, as in SQL.
    pub(super) fn result(&self) -> String {
        let or_null = |value: Option<f64>| value.map_or_else(|| "null".to_owned(), |value| value.to_string());
        match self {
            Self::Count(count) => count.to_string(),
            Self::Sum(sum) => sum.value().to_string(),
            // The count of what fits in memory is exact as f64.
            Self::Average { sum, count } => or_null((*count > 0).then(|| sum.value() / *count as f64)),
            Self::Minimum(value) | Self::Maximum(value) => or_null(*value),
            Self::Quantile { share, values } => match values.quantile(*share) {
                None => or_null(None),
                Some(quantile) if quantile.relative_error == 0.0 => quantile.value.to_string(),
                Some(quantile) => format!("{} (± {:.2} %)", quantile.value, quantile.relative_error * 100.0),
            },
        }
    }
}

/// A sum that remembers what rounding lost (Neumaier's variant of Kahan's summation): its error does not grow with the
/// number of values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    fn merge(&mut self, later: Self) {
        self.add(later.sum);
        self.lost += later.lost;
    }

    fn value(self) -> f64 {
        self.sum + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accumulated(function: Function, values: &[f64]) -> Accumulator {
        let mut accumulator = Accumulator::new(function);
        values.iter().for_each(|value| accumulator.add(*value));
        accumulator
    }

    #[track_caller]
    fn check(function: Function, values: &[f64], expected: &str) {
        assert_eq!(accumulated(function, values).result(), expected);
        for split in 0..=values.len() {
            let (earlier, later) = values.split_at(split);
            let mut merged = accumulated(function, earlier);
            merged.merge(accumulated(function, later));
            assert_eq!(merged.result(), expected, "merged after {split}");
        }
    }

    #[test]
    fn every_function_gives_its_result_whole_and_merged() {
        let values = [3.5, -1.0, 2.0];
        check(Function::Count, &values, "3");
        check(Function::Sum, &values, "4.5");
        check(Function::Average, &values, "1.5");
        check(Function::Minimum, &values, "-1");
        check(Function::Maximum, &values, "3.5");
        check(Function::Quantile(0.5), &values, "2");
    }

    #[test]
    fn nothing_has_a_count_and_a_sum_but_no_average() {
        check(Function::Count, &[], "0");
        check(Function::Sum, &[], "0");
        for function in [Function::Average, Function::Minimum, Function::Maximum, Function::Quantile(0.5)] {
            check(function, &[], "null");
        }
    }

    #[test]
    fn a_sum_keeps_what_rounding_would_lose() {
        check(Function::Sum, &[1.0, 1e100, 1.0, -1e100], "2");
    }
}
