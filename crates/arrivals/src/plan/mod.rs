//! The intended times, one after another.
//!
//! A time is the start plus the sum of all gaps before it, kept in whole nanoseconds and the fraction that is left: nothing
//! is counted from the time before as it was rounded, so that nothing drifts.

mod gapped;
mod rated;

use crate::gaps::Gaps;
use crate::profile::Profile;
use gapped::{Drawn, Replayed};
use rated::Rated;
use serde::{Deserialize, Serialize};
use std::iter::FusedIterator;
use std::time::Duration;

/// When something is meant to come, since the plan's start, and in which tick of its profile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Since the start, to the nanosecond.
    pub at: Duration,
    /// The first is 0; always 0 where there is no profile.
    pub tick: u32,
}

/// How arrivals lie inside ticks, whose rate says how many come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Within {
    /// As far apart as the rate says.
    #[default]
    Constant,
    /// Independently of each other: a Poisson process of the profile's rate.
    Exponential,
}

/// Intended times, which never decrease. The same seed gives the same times.
///
/// It ends where its profile or recording does, at [`Plan::until`], before 2^64 nanoseconds (584 years) or 2^32 ticks have
/// gone by, and when nothing came for a million ticks in a row.
#[derive(Clone, Debug)]
pub struct Plan {
    source: Source,
    /// In nanoseconds since the start; nothing comes at or after it.
    end: u64,
}

#[derive(Clone, Debug)]
enum Source {
    Rated(Box<Rated>),
    Drawn(Box<Drawn>),
    Replayed(Replayed),
}

impl Plan {
    /// Arrivals at the rate of a profile.
    ///
    /// Number n (from 0) comes when the rate, summed over time, reaches n: with [`Within::Constant`] the first at once,
    /// the next after `1 / rate`. What a tick has begun its successor ends: at 0.1 per second in ticks of 1 second one
    /// comes in each tenth tick, and wherever the whole sum is a whole number, exactly so many have come. A rate of 0
    /// stops the sum, and the time until the next goes on where it stopped.
    ///
    /// With [`Within::Exponential`] the steps of that sum are exponentially distributed with the mean 1 instead of 1
    /// each, the first too (Çinlar, Introduction to Stochastic Processes, 1975, chapter 4: such a process has the
    /// profile as its rate at every moment).
    pub fn of_profile(profile: &Profile, gaps: Within, seed: u64) -> Self {
        Self::from(Source::Rated(Box::new(Rated::new(profile.clone(), gaps, seed))))
    }

    /// Arrivals with these gaps between them; the first comes one gap after the start. Constant gaps have no chance in
    /// them: their first comes at once, so that 10 per second are 10 in a second.
    pub fn of_gaps(gaps: &Gaps, seed: u64) -> Self {
        Self::from(match gaps {
            Gaps::Drawn(distribution) => Source::Drawn(Box::new(Drawn::new(*distribution, seed))),
            Gaps::Replay(replay) => Source::Replayed(Replayed::new(replay.clone())),
        })
    }

    /// The same without what comes at or after `end`. A later end than there is changes nothing.
    #[must_use]
    pub fn until(self, end: Duration) -> Self {
        let end = u64::try_from(end.as_nanos()).unwrap_or(u64::MAX).min(self.end);
        Self { end, ..self }
    }
}

impl From<Source> for Plan {
    fn from(source: Source) -> Self {
        Self { source, end: u64::MAX }
    }
}

impl Iterator for Plan {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let (nanos, tick) = match &mut self.source {
            Source::Rated(rated) => rated.next(self.end)?,
            Source::Drawn(drawn) => (drawn.next(self.end)?, 0),
            Source::Replayed(replayed) => (replayed.next(self.end)?, 0),
        };
        Some(Arrival { at: Duration::from_nanos(nanos), tick })
    }
}

/// A source stands still at what comes too late, and finds it again.
impl FusedIterator for Plan {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gaps::testing::{AT_1_PERCENT, farthest};
    use crate::replay::{Kind, Replay};
    use proptest::prelude::*;

    fn profile(text: &str) -> Profile {
        toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn gaps(text: &str) -> Gaps {
        toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn constant(text: &str) -> Plan {
        Plan::of_profile(&profile(text), Within::Constant, 1)
    }

    /// Milliseconds and ticks.
    fn check(plan: Plan, expected: &[(u64, u32)]) {
        let found: Vec<(Duration, u32)> = plan.map(|arrival| (arrival.at, arrival.tick)).collect();
        let expected: Vec<(Duration, u32)> =
            expected.iter().map(|(millis, tick)| (Duration::from_millis(*millis), *tick)).collect();
        assert_eq!(found, expected);
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn constant_arrivals_are_as_far_apart_as_their_rate_says() {
        check(constant("rate = 2").until(seconds(2)), &[(0, 0), (500, 0), (1_000, 1), (1_500, 1)]);
        check(
            constant("ticks = [2, 4]\ninterval = 1"),
            &[(0, 0), (500, 0), (1_000, 1), (1_250, 1), (1_500, 1), (1_750, 1)],
        );
        check(constant("rate = 0.1").until(seconds(30)), &[(0, 0), (10_000, 10), (20_000, 20)]);
    }

    #[test]
    fn what_a_tick_has_begun_the_next_ends() {
        let tenths = |count: usize| format!("ticks = {:?}\ninterval = 1", vec![0.1; count]);
        check(constant(&tenths(25)), &[(0, 0), (10_000, 10), (20_000, 20)]);
        // Three quarters of a step, then the last one four times as fast.
        check(constant("ticks = [0.75, 1]\ninterval = 1"), &[(0, 0), (1_250, 1)]);
    }

    #[test]
    fn a_pause_stops_the_time_until_the_next() {
        check(constant("ticks = [0, 0.5, 0, 0.5, 1]\ninterval = 1"), &[(1_000, 1), (4_000, 4)]);
        check(constant("ticks = [0, 0]\ninterval = 1"), &[]);
    }

    #[test]
    fn a_pause_without_end_is_no_search_without_end() {
        check(constant("rate = 0"), &[]);
        check(constant("shape = \"steady 0\"\ninterval = 1"), &[]);
        check(constant("shape = \"incremental -1 2\"\ninterval = 1"), &[(0, 0), (500, 0), (1_000, 1)]);
        check(constant("rate = 1e-9").until(seconds(3_600)), &[(0, 0)]);
    }

    #[test]
    fn counts_of_constant_arrivals_are_exact() {
        let count = |text: &str, over| constant(text).until(seconds(over)).count();
        assert_eq!(count("rate = 20000", 60), 1_200_000);
        assert_eq!(count("rate = 7", 3_600), 25_200);
        assert_eq!(count("shape = \"steady 7\"\ninterval = \"700 ms\"", 700), 7_000);
        assert_eq!(count("rate = 0.3", 100_000), 30_000);
        let last = constant("rate = 20000").until(seconds(60)).last().unwrap();
        assert_eq!(last, Arrival { at: Duration::from_nanos(59_999_950_000), tick: 59 });
        let drawn = Plan::of_gaps(&gaps("distribution = \"constant\"\nvalue = 0.00005"), 1).until(seconds(60));
        assert_eq!(drawn.count(), 1_200_000);
    }

    #[test]
    fn exponential_arrivals_are_exponentially_apart() {
        let plan = Plan::of_profile(&Profile::constant(20_000.0).unwrap(), Within::Exponential, 7);
        let times: Vec<f64> = plan.map(|arrival| arrival.at.as_secs_f64()).take(100_001).collect();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let distance = farthest(gaps, |gap| 1.0 - (-gap * 20_000.0).exp());
        assert!(distance < AT_1_PERCENT, "{distance}");
    }

    #[test]
    fn as_many_come_exponentially_as_the_rate_says() {
        let ticks = profile("ticks = [1000, 0, 3000]\ninterval = \"100 s\"");
        let mut counts = [0_u32; 3];
        for arrival in Plan::of_profile(&ticks, Within::Exponential, 7) {
            counts[arrival.tick as usize] += 1;
        }
        // Four times the deviation of a Poisson distribution, the root of its mean.
        assert!(counts[0].abs_diff(100_000) < 1_265, "{counts:?}");
        assert_eq!(counts[1], 0);
        assert!(counts[2].abs_diff(300_000) < 2_191, "{counts:?}");
    }

    #[test]
    fn a_recording_comes_once_as_it_was() {
        let replay = |kind| Gaps::from(Replay::new(kind, vec![0.5, 0.5, 1.25]).unwrap());
        check(Plan::of_gaps(&replay(Kind::Gaps), 1), &[(500, 0), (1_000, 0), (2_250, 0)]);
        check(Plan::of_gaps(&replay(Kind::Times), 1), &[(500, 0), (500, 0), (1_250, 0)]);
        check(Plan::of_gaps(&replay(Kind::Times), 1).until(Duration::from_millis(1_250)), &[(500, 0), (500, 0)]);
    }

    #[test]
    fn gaps_do_not_drift() {
        let nearest = |plan: Plan| plan.last().unwrap().at;
        let thirds = Gaps::from(Replay::new(Kind::Gaps, vec![1.0 / 3.0; 300_000]).unwrap());
        assert_eq!(nearest(Plan::of_gaps(&thirds, 1)), seconds(100_000));
        let constant = gaps(&format!("distribution = \"constant\"\nvalue = {}", 1.0 / 3.0));
        assert_eq!(
            nearest(Plan::of_gaps(&constant, 1).until(seconds(100_000))),
            Duration::from_nanos(99_999_666_666_667)
        );
    }

    #[test]
    fn gaps_beyond_all_time_end_the_plan() {
        let longest = gaps("distribution = \"lognormal\"\nmu = 18\nsigma = 10");
        let times: Vec<Duration> = Plan::of_gaps(&longest, 1).map(|arrival| arrival.at).collect();
        assert!(times.is_sorted() && times.len() < 1_000, "{}", times.len());
    }

    #[test]
    fn after_its_end_a_plan_stays_there() {
        let ended = |mut plan: Plan| {
            plan.by_ref().for_each(drop);
            (0..3).all(|_| plan.next().is_none())
        };
        assert!(ended(constant("ticks = [2, 0]\ninterval = 1")));
        assert!(ended(constant("rate = 2").until(seconds(2))));
        // It would rise above 0 after a million ticks.
        assert!(ended(constant("shape = \"incremental 1 -1000100\"\ninterval = 1")));
        assert!(ended(Plan::of_profile(&Profile::constant(2.0).unwrap(), Within::Exponential, 1).until(seconds(2))));
        assert!(ended(Plan::of_gaps(&gaps("distribution = \"uniform\"\nlow = -1\nhigh = 1"), 1).until(seconds(2))));
    }

    fn any_profile() -> impl Strategy<Value = Profile> {
        let rate = prop_oneof![Just(0.0), (0_u32..50).prop_map(f64::from), 0.0..50.0_f64];
        (prop::collection::vec(rate, 1..20), 1_u64..5_000)
            .prop_map(|(ticks, millis)| Profile::of_ticks(Duration::from_millis(millis), ticks).unwrap())
    }

    fn any_within() -> impl Strategy<Value = Within> {
        prop_oneof![Just(Within::Constant), Just(Within::Exponential)]
    }

    proptest! {
        #[test]
        fn times_never_decrease_and_lie_in_their_ticks(profile in any_profile(), within in any_within(), seed: u64) {
            let mut before = Duration::ZERO;
            for Arrival { at, tick } in Plan::of_profile(&profile, within, seed) {
                prop_assert!(before <= at);
                let start = profile.interval() * tick;
                prop_assert!((start..start + profile.interval()).contains(&at));
                prop_assert!(profile.rate(at) > 0.0);
                before = at;
            }
        }

        #[test]
        fn the_same_seed_gives_the_same_times(profile in any_profile(), within in any_within(), seed: u64) {
            let plan = || Plan::of_profile(&profile, within, seed);
            prop_assert!(plan().eq(plan()));
            let other = || Plan::of_profile(&profile, within, seed.wrapping_add(1));
            match within {
                Within::Constant => prop_assert!(plan().eq(other())),
                // Of two that have no arrival, nothing differs.
                Within::Exponential => prop_assert!(plan().count() + other().count() == 0 || plan().ne(other())),
            }
        }

        #[test]
        fn as_many_constant_arrivals_come_as_the_rates_add_up_to(profile in any_profile()) {
            let sum: f64 = profile.ticks().map(|rate| rate * profile.interval().as_secs_f64()).sum();
            let count = Plan::of_profile(&profile, Within::Constant, 1).count() as f64;
            // The first comes with the sum at 0, the next when it has reached 1.
            prop_assert!((sum - 1e-6..sum + 1.0 + 1e-6).contains(&count), "{count} of {sum}");
        }

        #[test]
        fn whole_rates_in_whole_seconds_are_counted_exactly(rate in 1_u32..5_000, over in 1_u64..20, millis in 1_u64..3_000) {
            let text = format!("rate = {rate}\ninterval = \"{millis} ms\"");
            prop_assert_eq!(constant(&text).until(seconds(over)).count() as u64, u64::from(rate) * over);
        }

        #[test]
        fn an_earlier_end_keeps_what_comes_before_it(profile in any_profile(), within in any_within(), end in 0_u64..20_000) {
            let (plan, end) = (Plan::of_profile(&profile, within, 1), Duration::from_millis(end));
            let expected = plan.clone().filter(|arrival| arrival.at < end);
            prop_assert!(plan.until(end).eq(expected));
        }

        #[test]
        fn drawn_times_never_decrease(seed: u64, deviation in 0.0..10.0_f64) {
            let normal = gaps(&format!("distribution = \"normal\"\nmean = 1\nstd_dev = {deviation:?}"));
            let times: Vec<Duration> = Plan::of_gaps(&normal, seed).take(200).map(|arrival| arrival.at).collect();
            prop_assert!(times.is_sorted());
            prop_assert!(Plan::of_gaps(&normal, seed).take(200).map(|arrival| arrival.at).eq(times));
        }
    }
}
