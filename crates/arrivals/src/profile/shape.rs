//! How many come with each tick, in four shapes.

use crate::invalid::legible;
use rand::RngExt as _;
use rand_distr::{Distribution as _, Exp};
use std::str::FromStr;
use std::time::Duration;

/// How many come with each tick.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Shape {
    /// Always so many.
    Steady(u64),
    /// The next whole number above one that is exponentially distributed with this rate.
    Bursty(f64),
    /// `a t + b` at `t` seconds after the start, rounded down.
    Incremental { a: f64, b: f64 },
    /// Any whole number of these.
    Random { least: u64, most: u64 },
}

/// More than this do not come with a tick.
pub const TICK_MAX: u64 = 10_000;

/// Text that no shape was read from.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "`{0}` is no shape of load; write `steady 5`, `bursty 0.5` (the rate of an exponential distribution), `incremental 0.1 2` (a and b of a t + b) or `random 1 5`"
)]
pub struct UnknownShape(String);

impl FromStr for Shape {
    type Err = UnknownShape;

    fn from_str(text: &str) -> Result<Self, UnknownShape> {
        let words: Vec<&str> = text.split([' ', ':', ',']).filter(|word| !word.is_empty()).collect();
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let whole = |text: &str| text.parse::<u64>().ok().filter(|number| *number <= TICK_MAX);
        let shape = match words.as_slice() {
            ["steady", count] => whole(count).map(Shape::Steady),
            ["bursty", rate] => number(rate).filter(|rate| *rate > 0.0).map(Shape::Bursty),
            ["incremental", a, b] => number(a).zip(number(b)).map(|(a, b)| Shape::Incremental { a, b }),
            ["random", least, most] => {
                let range = whole(least).zip(whole(most)).filter(|(least, most)| least <= most);
                range.map(|(least, most)| Shape::Random { least, most })
            }
            _ => None,
        };
        shape.ok_or_else(|| UnknownShape(legible(text)))
    }
}

impl Shape {
    /// How many come with the tick that is this long after the start; at most [`TICK_MAX`].
    pub fn count(self, since_start: Duration, rng: &mut impl rand::Rng) -> u64 {
        // A cast of what is too large ends at the largest number, which is above the limit.
        let whole = |count: f64| (count.max(0.0) as u64).min(TICK_MAX);
        match self {
            Shape::Steady(count) => count,
            // The rate is above 0: it was read so.
            Shape::Bursty(rate) => whole(Exp::new(rate).map_or(0.0, |exp| exp.sample(rng)).ceil()),
            // Nearly whole is whole: 0.1 x 30 has to be 3.
            Shape::Incremental { a, b } => whole((a * since_start.as_secs_f64() + b + 1e-9).floor()),
            Shape::Random { least, most } => rng.random_range(least..=most),
        }
    }
}

/// When the tick of this number is due: multiples of the interval, however long anything took in between.
pub fn due(interval: Duration, tick: u32) -> Duration {
    interval * tick
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    fn counts(shape: &str, ticks: u32) -> Vec<u64> {
        let shape: Shape = shape.parse().unwrap();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        (0..ticks).map(|tick| shape.count(due(Duration::from_secs(10), tick), &mut rng)).collect()
    }

    #[test]
    fn each_shape_has_its_numbers() {
        assert_eq!(counts("steady 5", 3), [5, 5, 5]);
        assert_eq!(counts("incremental 0.1 2", 5), [2, 3, 4, 5, 6]);
        assert_eq!(counts("incremental -1 5", 3), [5, 0, 0]);
        assert_eq!(counts("incremental 1e300 5", 3), [5, TICK_MAX, TICK_MAX]);
        assert!(counts("random 2 4", 200).iter().all(|count| (2..=4).contains(count)));
        let bursts = counts("bursty 0.5", 4_000);
        assert!(bursts.iter().all(|count| *count >= 1), "rounded up");
        // Of ceil(Exp(l)) the mean is 1 / (1 - e^-l).
        let mean = bursts.iter().sum::<u64>() as f64 / 4_000.0;
        assert!((mean - 2.541).abs() < 0.1, "{mean}");
    }

    #[test]
    fn ticks_do_not_drift() {
        assert_eq!(due(Duration::from_millis(100), 36_000), Duration::from_secs(3_600));
    }

    #[test]
    fn what_is_no_shape_is_refused() {
        for wrong in
            ["", "steady", "steady -1", "steady 1 2", "bursty 0", "bursty inf", "random 5 1", "incremental 1", "x 1"]
        {
            assert_eq!(wrong.parse::<Shape>(), Err(UnknownShape(wrong.to_owned())), "{wrong}");
        }
    }
}
