//! A rate as a function of time, in ticks.
//!
//! In a file a profile has one of these, and how long a tick is (`interval`):
//!
//! ```toml
//! rate = 2.5                            # always; endless unless `over` says how long; ticks of 1 s unless `interval` does
//!
//! ticks = [2, 6]                        # for each tick its rate
//! interval = "10 s"
//!
//! linear = { from = 0, to = 100 }       # the first tick has the one, the last the other, those between lie on a line
//! interval = "1 s"
//! over = "60 s"                         # how long the whole takes: a multiple of the interval
//!
//! curve = { kind = "catmull-rom", points = [[0, 0], [0.5, 1], [1, 0]], max = 100 }    # see `Curve`
//! interval = "1 s"
//! over = "60 s"
//!
//! shape = "bursty 0.5"                  # how many come in each tick; see `Shape`; endless unless `over` says how long
//! interval = "10 s"
//! seed = 7                              # of what `bursty` and `random` draw; 1 unless it is written
//! ```
//!
//! Rates are per second, with fractions, from 0 (nothing comes) to [`RATE_MAX`](crate::RATE_MAX).

mod curve;
mod shape;
mod written;

pub use curve::{Curve, Kind, POINTS_MAX};
pub use shape::{Shape, TICK_MAX, UnknownShape, due};

use crate::duration;
use crate::invalid::Invalid;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use written::Written;

/// More ticks than this are refused: at one a second they are eleven days.
pub const TICKS_MAX: u32 = 1_000_000;

/// A rate for each tick. The same question has the same answer every time: what a shape draws depends on its seed and the
/// number of the tick alone.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Profile {
    interval: Duration,
    rates: Rates,
    /// In ticks; `None`: endless.
    length: Option<u32>,
    /// Kept to be written again in the same form.
    written: Written,
}

/// Per second.
#[derive(Clone, PartialEq, Debug)]
enum Rates {
    Constant(f64),
    Listed(Arc<[f64]>),
    Shaped { shape: Shape, seed: u64 },
}

/// Neighbouring ticks of one rate, from `start` until before `end`, both in nanoseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Stretch {
    pub start: u64,
    pub end: u64,
    pub per_second: f64,
    /// The first that it does not have. `None`: it is the last.
    pub next: Option<u32>,
}

impl Profile {
    /// So many per second, always; 0 is a pause without end.
    ///
    /// # Errors
    /// It is no number, negative, or more than [`RATE_MAX`](crate::RATE_MAX).
    pub fn constant(per_second: f64) -> Result<Self, Invalid> {
        Written { rate: Some(per_second), ..Written::default() }.try_into()
    }

    /// A rate per second for each interval.
    ///
    /// # Errors
    /// There are no ticks or more than [`TICKS_MAX`], one is no rate, the interval is shorter than 1 ms, or the whole
    /// longer than 365 d.
    pub fn of_ticks(interval: Duration, per_second: Vec<f64>) -> Result<Self, Invalid> {
        let interval = Some(duration::Written(interval));
        Written { ticks: Some(per_second), interval, ..Written::default() }.try_into()
    }

    /// Per second, this long after the start; 0 after the end.
    pub fn rate(&self, at: Duration) -> f64 {
        let tick = u32::try_from(at.as_nanos() / self.interval.as_nanos()).ok();
        tick.and_then(|tick| self.tick(tick)).unwrap_or(0.0)
    }

    /// The rate per second of each tick, in order; without end if the profile has none.
    pub fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        (0..=u32::MAX).map_while(|tick| self.tick(tick))
    }

    /// The rate per second of this tick; `None` after the end.
    pub fn tick(&self, tick: u32) -> Option<f64> {
        if self.length.is_some_and(|length| tick >= length) {
            return None;
        }
        match &self.rates {
            Rates::Constant(rate) => Some(*rate),
            Rates::Listed(rates) => rates.get(tick as usize).copied(),
            Rates::Shaped { shape, seed } => {
                // A stream of its own for each tick: it can be asked for without those before it.
                let mut rng = ChaCha8Rng::seed_from_u64(*seed);
                rng.set_stream(u64::from(tick));
                let count = shape.count(due(self.interval, tick), &mut rng);
                // Exact: there are at most `TICK_MAX`.
                Some(count as f64 / self.interval.as_secs_f64())
            }
        }
    }

    /// How many ticks there are; `None`: there is no end.
    pub fn tick_count(&self) -> Option<u32> {
        self.length
    }

    /// How long each tick takes; at least 1 ms.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// How long all ticks take; `None`: there is no end.
    pub fn length(&self) -> Option<Duration> {
        self.length.map(|ticks| due(self.interval, ticks))
    }

    /// What begins with this tick: one tick, or everything where the rate never changes. `None` after the end, or where
    /// nanoseconds do not reach.
    pub(crate) fn stretch(&self, tick: u32) -> Option<Stretch> {
        let per_second = self.tick(tick)?;
        let (last, next) = match self.rates {
            Rates::Constant(_) => (self.length.map(|length| length - 1), None),
            Rates::Listed(_) | Rates::Shaped { .. } => (Some(tick), tick.checked_add(1)),
        };
        let start = u64::try_from(due(self.interval, tick).as_nanos()).ok()?;
        let end = last.and_then(|last| u64::try_from((due(self.interval, last) + self.interval).as_nanos()).ok());
        Some(Stretch { start, end: end.unwrap_or(u64::MAX), per_second, next })
    }
}

impl From<Profile> for Written {
    fn from(profile: Profile) -> Self {
        profile.written
    }
}

/// So many numbers from the first to the last, with both; one alone is the first.
fn evenly(first: f64, last: f64, count: u32) -> impl Iterator<Item = f64> {
    let steps = f64::from(count.saturating_sub(1).max(1));
    (0..count).map(move |step| {
        let share = f64::from(step) / steps;
        first + (last - first) * share
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str) -> Profile {
        toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn rates(text: &str) -> Vec<f64> {
        profile(text).ticks().take(100).collect()
    }

    #[test]
    fn each_form_has_its_rates() {
        assert_eq!(rates("ticks = [2, 6.5, 0]\ninterval = \"10 s\""), [2.0, 6.5, 0.0]);
        assert_eq!(rates("rate = 0.1\nover = 3"), [0.1; 3]);
        assert_eq!(rates("rate = 3"), [3.0; 100]);
        assert_eq!(
            rates("linear = { from = 10, to = 0 }\ninterval = \"500 ms\"\nover = \"2.5 s\""),
            [10.0, 7.5, 5.0, 2.5, 0.0]
        );
        assert_eq!(rates("linear = { from = 10, to = 0 }\ninterval = 1\nover = 1"), [10.0]);
        let curve = "curve = { kind = \"linear\", points = [[0, 0], [1, 1], [2, 0]], max = 9 }\ninterval = 1\nover = 5";
        assert_eq!(rates(curve), [0.0, 5.0, 9.0, 5.0, 0.0]);
        assert_eq!(rates("shape = \"steady 5\"\ninterval = 10\nover = 20"), [0.5, 0.5]);
        assert_eq!(rates("shape = \"incremental 0.1 2\"\ninterval = 10\nover = 30"), [0.2, 0.3, 0.4]);
    }

    #[test]
    fn a_rate_holds_from_the_beginning_of_its_tick_until_the_next() {
        let profile = profile("ticks = [2, 6]\ninterval = \"10 s\"");
        let rate = |millis| profile.rate(Duration::from_millis(millis));
        assert_eq!([rate(0), rate(9_999), rate(10_000), rate(19_999), rate(20_000)], [2.0, 2.0, 6.0, 6.0, 0.0]);
        assert_eq!(profile.rate(Duration::MAX), 0.0);
        assert_eq!(profile.interval(), Duration::from_secs(10));
        assert_eq!((profile.length(), profile.tick_count()), (Some(Duration::from_secs(20)), Some(2)));
        assert_eq!(Profile::constant(1.0).unwrap().length(), None);
    }

    #[test]
    fn what_a_shape_draws_depends_on_its_seed_and_the_tick_alone() {
        let written = |seed| profile(&format!("shape = \"random 1 1000\"\ninterval = 1\nseed = {seed}"));
        let (one, other) = (written(1), written(2));
        let in_order: Vec<f64> = one.ticks().take(50).collect();
        let unlike = in_order.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(unlike > 40, "each tick draws for itself");
        let backwards: Vec<f64> = (0..50).rev().filter_map(|tick| one.tick(tick)).collect();
        assert!(in_order.iter().eq(backwards.iter().rev()));
        assert_ne!(in_order, other.ticks().take(50).collect::<Vec<f64>>());
        assert_eq!(profile("shape = \"random 1 1000\"\ninterval = 1").tick(3), one.tick(3), "the seed is 1");
    }

    #[test]
    fn what_was_read_is_written_in_the_same_form() {
        for text in [
            "rate = 2.5\n",
            "ticks = [2.0, 6.0]\ninterval = \"10 s\"\n",
            "shape = \"bursty 0.5\"\nseed = 7\ninterval = \"10 s\"\nover = \"1 h\"\n",
            "interval = \"1 s\"\nover = \"1 min\"\n\n[linear]\nfrom = 0.0\nto = 100.0\n",
            "interval = \"1 s\"\nover = \"1 min\"\n\n[curve]\nkind = \"catmull-rom\"\npoints = [[0.0, 0.0], [1.0, 1.0]]\nmax = 5.0\n",
        ] {
            assert_eq!(toml::to_string(&profile(text)).unwrap(), text);
        }
    }

    #[test]
    fn a_profile_can_be_made_without_a_file() {
        let ticks = Profile::of_ticks(Duration::from_secs(10), vec![2.0, 6.0]).unwrap();
        assert_eq!(ticks, profile("ticks = [2, 6]\ninterval = 10"));
        assert_eq!(Profile::constant(-1.0).unwrap_err().place, "rate");
        assert_eq!(Profile::of_ticks(Duration::ZERO, vec![1.0]).unwrap_err().place, "interval");
    }
}
