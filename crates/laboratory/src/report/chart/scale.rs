//! From values to places on an axis, and which values the axis names.

use super::time_axis::moment;
use crate::report::number::{Unit, digits, joined};

/// Between the highest of several values and their middle lies so much that a linear axis would show the others as one.
const FAR: f64 = 12.0;

/// When the lowest of several values is more than this share of the highest, the way from 0 to them would say nothing.
const NEAR: f64 = 0.5;

/// An axis from left to right, or from the bottom to the top.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    /// What a logarithmic axis shows linearly around 0; `None`: a linear axis.
    linear_to: Option<f64>,
    /// Where the lowest and the highest value are.
    from: f64,
    to: f64,
}

/// What an axis begins with.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Origin {
    /// Unless all values are far from it and near to each other.
    Zero,
    /// Whatever is the lowest.
    Lowest,
    /// The same of what cannot be higher than this, where the axis ends.
    LowestTo(f64),
}

impl Scale {
    /// A linear axis; values beyond its ends are shown at them.
    pub fn linear(low: f64, high: f64, from: f64, to: f64) -> Self {
        // All values (almost) the same: in the middle.
        let least = (high.abs().max(low.abs()) * 0.02).max(1e-9);
        let missing = (least - (high - low)).max(0.0) / 2.0;
        let (low, high) = (low - missing, high + missing);
        Self { low, high, linear_to: None, from, to }
    }

    /// An axis on which all of these values can be told apart: logarithmic when some are far beyond the others.
    pub fn of(values: impl IntoIterator<Item = f64>, origin: Origin, from: f64, to: f64) -> Self {
        let mut all: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        all.sort_by(f64::total_cmp);
        let (lowest, highest) = (all.first().copied().unwrap_or(0.0), all.last().copied().unwrap_or(1.0));
        if let Origin::LowestTo(end) = origin {
            let margin = ((end - lowest) * 0.05).max(end.abs() * 0.02);
            return Self { low: lowest.min(end) - margin, high: end, linear_to: None, from, to };
        }
        if origin == Origin::Lowest {
            let margin = (highest - lowest) * 0.05;
            return Self::linear(lowest - margin, highest + margin, from, to);
        }
        if lowest > highest * NEAR {
            return Self::of(all, Origin::Lowest, from, to);
        }
        let (low, high) = (lowest.min(0.0), highest.max(0.0));
        let high = if high > low { high } else { low + 1.0 };
        let mut sizes: Vec<f64> = all.iter().map(|value| value.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let middle = sizes.get(sizes.len() / 2).copied().unwrap_or(0.0);
        let largest = high.max(-low);
        // Of what is not 0 the lower part decides where the logarithm begins; not too deep, or 0 would be far away.
        let smallest = sizes.iter().copied().find(|size| *size > largest * 1e-5).unwrap_or(largest);
        let is_far = middle > 0.0 && largest > FAR * middle || smallest * FAR * 4.0 < largest;
        let linear_to = is_far.then(|| 10_f64.powf((smallest.log10() + 0.3).floor()));
        Self { low, high, linear_to, from, to }
    }

    /// The same axis elsewhere.
    #[must_use]
    pub fn between(self, from: f64, to: f64) -> Self {
        Self { from, to, ..self }
    }

    pub fn is_logarithmic(&self) -> bool {
        self.linear_to.is_some()
    }

    /// Where a value is.
    pub fn at(&self, value: f64) -> f64 {
        let share = (self.bent(value) - self.bent(self.low)) / (self.bent(self.high) - self.bent(self.low));
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// As the axis counts: `log(1 + x)`, to either side of 0.
    fn bent(&self, value: f64) -> f64 {
        self.linear_to.map_or(value, |unit| value.signum() * (value.abs() / unit).ln_1p())
    }

    /// Round values within the axis, about so many, ascending, and what the axis says there: in the unit of the largest, or, on a
    /// logarithmic axis, each in its own.
    pub fn ticks(&self, about: usize, unit: Unit) -> Vec<(f64, String)> {
        self.labelled(self.tick_values(about, unit), unit)
    }

    fn tick_values(&self, about: usize, unit: Unit) -> Vec<f64> {
        match (self.linear_to, unit) {
            (Some(linear_to), _) => self.logarithmic_ticks(linear_to, about, unit),
            (None, Unit::Seconds) => time_ticks(self.low, self.high, about),
            (None, _) => {
                let (size, _) = unit.scaled(self.high.abs().max(self.low.abs()));
                linear_ticks(self.low / size, self.high / size, about).into_iter().map(|tick| tick * size).collect()
            }
        }
    }

    fn labelled(&self, values: Vec<f64>, unit: Unit) -> Vec<(f64, String)> {
        let labels = match self.linear_to {
            Some(_) => values.iter().map(|tick| far_label(*tick, unit)).collect(),
            None => labels(&values, unit),
        };
        values.into_iter().zip(labels).collect()
    }

    /// The same where labels stand beside each other: without those that have no room. 0 comes first.
    pub fn ticks_across(&self, about: usize, unit: Unit) -> Vec<(f64, String)> {
        const LETTER: f64 = 6.0;
        let mut taken: Vec<(f64, f64)> = Vec::new();
        let mut wanted = self.ticks(about, unit);
        wanted.sort_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
        wanted.retain(|(value, text)| {
            let (x, half) = (self.at(*value), (text.chars().count() as f64 * LETTER) / 2.0 + 2.0);
            let is_free = taken.iter().all(|(left, right)| x + half < *left || x - half > *right);
            if is_free {
                taken.push((x - half, x + half));
            }
            is_free
        });
        let mut kept: Vec<f64> = wanted.into_iter().map(|(value, _)| value).collect();
        kept.sort_by(f64::total_cmp);
        self.labelled(kept, unit)
    }

    fn logarithmic_ticks(&self, linear_to: f64, about: usize, unit: Unit) -> Vec<f64> {
        const CLOCK: [f64; 7] = [1.0, 10.0, 60.0, 600.0, 3600.0, 36_000.0, 360_000.0];
        let largest = self.high.max(-self.low);
        let decades = (0..40).map(|power| linear_to * 10_f64.powi(power));
        let sizes: Vec<f64> = match unit {
            Unit::Seconds => CLOCK.into_iter().filter(|size| *size >= linear_to).collect(),
            _ => decades.collect(),
        };
        let sizes: Vec<f64> = sizes.into_iter().take_while(|size| *size <= largest * 1.0001).collect();
        let sizes =
            if sizes.len() * 2 > about { sizes } else { sizes.iter().flat_map(|size| [*size, size * 3.0]).collect() };
        let step = sizes.len().div_ceil(about.max(1)).max(1);
        let kept: Vec<f64> = sizes.into_iter().step_by(step).filter(|size| *size <= largest).collect();
        let negative = kept.iter().rev().map(|size| -size);
        negative.chain([0.0]).chain(kept.iter().copied()).filter(|tick| (self.low..=self.high).contains(tick)).collect()
    }
}

/// Round seconds, minutes or hours from one moment to another.
pub fn time_ticks(low: f64, high: f64, about: usize) -> Vec<f64> {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 3600.0;
    let rough = (high - low) / about.max(1) as f64;
    if rough < 1.0 {
        return linear_ticks(low, high, about);
    }
    let seconds = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0];
    let hours = [1.0, 2.0, 3.0, 4.0, 6.0, 12.0, 24.0, 48.0, 168.0].map(|hours| hours * HOUR);
    let steps = seconds.into_iter().chain(seconds.map(|minutes| minutes * MINUTE)).chain(hours);
    multiples(steps.into_iter().find(|step| *step >= rough).unwrap_or(rough), low, high)
}

fn linear_ticks(low: f64, high: f64, about: usize) -> Vec<f64> {
    let rough = (high - low) / about.max(1) as f64;
    let size = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|step| step * size)
        .into_iter()
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * size);
    multiples(step, low, high)
}

fn multiples(step: f64, low: f64, high: f64) -> Vec<f64> {
    const MOST: usize = 50;
    let first = (low / step - 1e-9).ceil();
    (0..MOST).map(|index| (first + index as f64) * step).take_while(|tick| *tick <= high + step * 1e-9).collect()
}

fn far_label(tick: f64, unit: Unit) -> String {
    match unit {
        _ if tick == 0.0 => "0".to_owned(),
        Unit::Seconds => moment(tick),
        _ => unit.show(tick),
    }
}

/// All in the unit of the largest: `0`, `5`, `10 min`.
fn labels(ticks: &[f64], unit: Unit) -> Vec<String> {
    let largest = ticks.iter().fold(0.0_f64, |largest, tick| largest.max(tick.abs()));
    let (size, name) = unit.scaled(largest);
    let last = ticks.len().saturating_sub(1);
    let label = |(index, tick): (usize, &f64)| joined(&digits(tick / size), if index == last { name } else { "" });
    ticks.iter().enumerate().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_in_proportion() {
        let scale = Scale::linear(0.0, 10.0, 100.0, 200.0);
        assert_eq!((scale.at(0.0), scale.at(2.5), scale.at(10.0)), (100.0, 125.0, 200.0));
        assert_eq!((scale.at(-3.0), scale.at(11.0)), (100.0, 200.0));
        assert_eq!(Scale::linear(4.0, 4.0, 0.0, 10.0).at(4.0), 5.0);
    }

    #[test]
    fn an_axis_ends_where_values_do() {
        for values in [vec![0.8, 0.97], vec![1.0, 1.0], vec![]] {
            let scale = Scale::of(values.iter().copied(), Origin::LowestTo(1.0), 0.0, 100.0);
            assert_eq!((scale.high, scale.at(1.0)), (1.0, 100.0), "{values:?}");
            assert!(scale.ticks(5, Unit::Things).iter().all(|(tick, _)| *tick <= 1.0), "{values:?}");
            assert!(scale.at(values.first().copied().unwrap_or(1.0)) > 0.0, "{values:?}");
        }
    }

    fn ticks(scale: Scale, about: usize, unit: Unit) -> (Vec<f64>, Vec<String>) {
        let text = |(value, text): (f64, String)| (value, text.replace('\u{a0}', " "));
        scale.ticks(about, unit).into_iter().map(text).unzip()
    }

    #[test]
    fn ticks_are_round() {
        let check = |high: f64, values: &[f64]| {
            assert_eq!(ticks(Scale::linear(0.0, high, 0.0, 1.0), 4, Unit::Things).0, values);
        };
        check(10.0, &[0.0, 5.0, 10.0]);
        check(8.0, &[0.0, 2.0, 4.0, 6.0, 8.0]);
        check(1.2, &[0.0, 0.5, 1.0]);
        assert_eq!(time_ticks(0.0, 14_400.0, 4), [0.0, 3600.0, 7200.0, 10_800.0, 14_400.0]);
        assert_eq!(time_ticks(0.0, 620.0, 4), [0.0, 300.0, 600.0]);
        assert_eq!(time_ticks(0.0, 58.0, 4), [0.0, 15.0, 30.0, 45.0]);
    }

    #[test]
    fn far_values_make_the_axis_logarithmic() {
        let scale = Scale::of([0.4, 2.1, 9.2, 553.0], Origin::Zero, 0.0, 100.0);
        assert_eq!(ticks(scale, 5, Unit::Things).0, [0.0, 0.1, 1.0, 10.0, 100.0]);
        assert!(scale.at(0.0) == 0.0 && scale.at(553.0) == 100.0);
        assert!(scale.at(2.1) - scale.at(0.4) > 10.0, "apart");
        assert_eq!(Scale::of([3.0, 4.0, 9.0], Origin::Zero, 0.0, 1.0).linear_to, None);
        assert_eq!(Scale::of([0.0, 0.0], Origin::Zero, 0.0, 1.0).linear_to, None);
    }

    #[test]
    fn values_that_are_all_far_from_0_are_shown_from_the_lowest() {
        let scale = Scale::of([390.0, 404.0, 580.0], Origin::Zero, 0.0, 100.0);
        assert!(scale.at(390.0) < 5.0 && scale.at(404.0) - scale.at(390.0) > 5.0);
    }

    #[test]
    fn less_than_nothing_lies_left_of_0() {
        let scale = Scale::of([-4.0, 0.0, 1.0, 800.0], Origin::Zero, 0.0, 100.0);
        assert!(scale.at(-4.0) == 0.0 && scale.at(0.0) > 5.0 && scale.at(0.0) < scale.at(1.0));
        assert_eq!(ticks(scale, 5, Unit::Things).0, [-1.0, 0.0, 1.0, 10.0, 100.0]);
    }

    #[test]
    fn labels_share_a_unit_unless_they_are_far_apart() {
        let check = |scale: Scale, unit: Unit, labels: &[&str]| assert_eq!(ticks(scale, 5, unit).1, labels);
        check(Scale::linear(0.0, 700.0, 0.0, 1.0), Unit::Seconds, &["0", "5", "10 min"]);
        check(Scale::linear(0.0, 1.2e7, 0.0, 1.0), Unit::Bytes, &["0", "5", "10 MB"]);
        check(
            Scale::of([30.0, 90.0, 14_400.0], Origin::Zero, 0.0, 1.0),
            Unit::Seconds,
            &["0", "10 s", "60 s", "10 min", "1 h"],
        );
    }
}
