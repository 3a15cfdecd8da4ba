//! From the values of many records to one.

use super::exact_sum::ExactSum;
use super::number::{Decimal, Number};
use super::quantile::Histogram;
use crate::jobs::expression::Function;
use std::cmp::Ordering;

/// Some of the values on their way to one result, which does not depend on how they were merged.
#[derive(Clone, Debug)]
pub(super) enum Accumulator {
    Count(u64),
    Sum(Box<Sum>),
    Average { sum: Box<ExactSum>, count: u64 },
    Minimum(Option<Number>),
    Maximum(Option<Number>),
    Quantile { share: f64, values: Histogram },
}

impl Accumulator {
    pub(super) fn new(function: Function) -> Self {
        match function {
            Function::Count => Self::Count(0),
            Function::Sum => Self::Sum(Box::default()),
            Function::Average => Self::Average { sum: Box::new(ExactSum::ZERO), count: 0 },
            Function::Minimum => Self::Minimum(None),
            Function::Maximum => Self::Maximum(None),
            Function::Quantile(share) => Self::Quantile { share, values: Histogram::default() },
        }
    }

    /// Something that is no number, or whose value does not matter: it is counted.
    pub(super) fn count(&mut self) {
        if let Self::Count(count) = self {
            *count += 1;
        }
    }

    pub(super) fn add(&mut self, number: Number) {
        match self {
            Self::Count(count) => *count += 1,
            Self::Sum(sum) => sum.add(number),
            Self::Average { sum, count } => {
                add(sum, number);
                *count += 1;
            }
            Self::Minimum(least) => *least = Some(least.map_or(number, |least| lesser(least, number))),
            Self::Maximum(most) => *most = Some(most.map_or(number, |most| greater(most, number))),
            Self::Quantile { values, .. } => values.add(number.value()),
        }
    }

    /// Takes in what was accumulated from the records after these, for the same function.
    pub(super) fn merge(&mut self, later: Self) {
        match (self, later) {
            (Self::Count(count), Self::Count(more)) => *count += more,
            (Self::Sum(sum), Self::Sum(more)) => sum.merge(*more),
            (Self::Average { sum, count }, Self::Average { sum: more, count: many }) => {
                sum.merge(*more);
                *count += many;
            }
            (Self::Minimum(least), Self::Minimum(other)) => {
                *least = [*least, other].into_iter().flatten().reduce(lesser)
            }
            (Self::Maximum(most), Self::Maximum(other)) => *most = [*most, other].into_iter().flatten().reduce(greater),
            (Self::Quantile { values, .. }, Self::Quantile { values: more, .. }) => values.merge(&more),
            (one, other) => unreachable!("one job has one function, not {one:?} and {other:?}"),
        }
    }

    /// For people; `null` when there was no value to compute with, as in SQL.
    pub(super) fn result(&self) -> String {
        let or_null = |value: Option<String>| value.unwrap_or_else(|| "null".to_owned());
        match self {
            Self::Count(count) => count.to_string(),
            Self::Sum(sum) => sum.value().to_string(),
            Self::Average { sum, count } => or_null((*count > 0).then(|| Decimal(sum.mean(*count)).to_string())),
            Self::Minimum(value) | Self::Maximum(value) => or_null(value.map(|value| value.to_string())),
            Self::Quantile { share, values } => match values.quantile(*share) {
                None => or_null(None),
                Some(quantile) if quantile.relative_error == 0.0 => Decimal(quantile.value).to_string(),
                Some(quantile) => format!("{} (± {:.2} %)", Decimal(quantile.value), quantile.relative_error * 100.0),
            },
        }
    }
}

/// Of equal ones the earlier, which may be written in another way.
fn lesser(earlier: Number, later: Number) -> Number {
    if later.compare(earlier) == Ordering::Less { later } else { earlier }
}

fn greater(earlier: Number, later: Number) -> Number {
    if later.compare(earlier) == Ordering::Greater { later } else { earlier }
}

fn add(sum: &mut ExactSum, number: Number) {
    match number {
        Number::Whole(value) => sum.add_whole(value),
        Number::Real(value) | Number::Rounded(value) => sum.add_real(value),
    }
}

/// A sum that knows what of it is exact.
#[derive(Clone, Debug)]
pub(super) struct Sum {
    sum: ExactSum,
    /// Whether all values are whole numbers.
    is_whole: bool,
    /// Whether one of these had lost digits before it came.
    is_rounded: bool,
}

impl Default for Sum {
    fn default() -> Self {
        Self { sum: ExactSum::ZERO, is_whole: true, is_rounded: false }
    }
}

impl Sum {
    fn add(&mut self, number: Number) {
        add(&mut self.sum, number);
        self.is_whole &= !matches!(number, Number::Real(_));
        self.is_rounded |= matches!(number, Number::Rounded(_));
    }

    fn merge(&mut self, later: Self) {
        self.sum.merge(later.sum);
        self.is_whole &= later.is_whole;
        self.is_rounded |= later.is_rounded;
    }

    /// A sum of whole numbers is whole while an i128 holds it; any other is the nearest double.
    fn value(&self) -> Number {
        match self.sum.as_whole().filter(|_| self.is_whole && !self.is_rounded) {
            Some(whole) => Number::Whole(whole),
            None if self.is_whole => Number::Rounded(self.sum.value()),
            None => Number::Real(self.sum.value()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accumulated(function: Function, values: &[&str]) -> Accumulator {
        let mut accumulator = Accumulator::new(function);
        values.iter().for_each(|value| accumulator.add(Number::parse(value).unwrap()));
        accumulator
    }

    #[track_caller]
    fn check(function: Function, values: &[&str], expected: &str) {
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
        let values = ["3.5", "-1.0", "2.0"];
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
    fn whole_numbers_keep_their_value_beyond_a_double() {
        let ids = ["9007199254740995", "9007199254740993", "9007199254740997"];
        check(Function::Maximum, &ids, "9007199254740997");
        check(Function::Minimum, &ids, "9007199254740993");
        check(Function::Sum, &ids, "27021597764222985");
        check(Function::Count, &ids, "3");
        check(Function::Sum, &["9007199254740993", "2.0"], "9007199254740995");
        check(Function::Sum, &["9007199254740993", "0.5"], "9007199254740994");
        check(Function::Minimum, &["1e300", "9007199254740993", "9007199254740994.0"], "9007199254740993");
    }

    #[test]
    fn a_sum_that_is_not_exact_says_so() {
        let most = i128::MAX.to_string();
        let rounded = "3.402823669209385e38 (rounded)";
        check(Function::Sum, &[&most, &most], rounded);
        check(Function::Sum, &[&most, &most, "-1"], rounded);
        check(Function::Sum, &[&most, &most, &format!("-{most}")], &most);
        let longer = format!("{most}0");
        check(Function::Sum, &[&longer, &format!("-{longer}")], "0 (rounded)");
    }

    #[test]
    fn what_is_out_of_range_is_infinite_and_never_nothing() {
        let large = ["1.5e308", "1.5e308"];
        check(Function::Sum, &large, "inf");
        check(Function::Sum, &["-1.5e308", "-1.5e308"], "-inf");
        check(Function::Average, &large, "1.5e308");
        check(Function::Sum, &["1.5e308", "1.5e308", "-1.5e308", "-1.5e308"], "0");
        check(Function::Average, &["1.5e308", "1.5e308", "-1.5e308"], "5e307");
    }

    #[test]
    fn a_sum_keeps_what_rounding_would_lose() {
        check(Function::Sum, &["1.0", "1e100", "1.0", "-1e100"], "2");
    }
}
