//! Along a profile: an arrival comes whenever the sum of the rate has gone on by one step.

use super::Within;
use crate::profile::{Profile, Stretch};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1};

/// After so many ticks in a row in which nothing came, nothing is expected to: a shape can fall to 0 for ever.
const QUIET_TICKS_MAX: u32 = 1_000_000;

/// Where the way along a profile has come to.
#[derive(Clone, Debug)]
pub(super) struct Rated {
    profile: Profile,
    within: Within,
    rng: ChaCha8Rng,
    /// `None`: the profile is over.
    stretch: Option<Stretch>,
    /// How far the sum of the rate has to go from the beginning of the stretch until the next arrival. Below 0 by what
    /// rounding took from it at most: then the arrival comes at the beginning.
    ahead: f64,
    interval: u64,
}

impl Rated {
    pub fn new(profile: Profile, within: Within, seed: u64) -> Self {
        // An interval is at most 365 d.
        let interval = u64::try_from(profile.interval().as_nanos()).unwrap_or(u64::MAX);
        let (stretch, rng) = (profile.stretch(0), ChaCha8Rng::seed_from_u64(seed));
        let mut rated = Self { profile, within, rng, stretch, ahead: 0.0, interval };
        if within == Within::Exponential {
            rated.ahead = rated.step();
        }
        rated
    }

    /// The next before `end`, in nanoseconds, and its tick.
    pub fn next(&mut self, end: u64) -> Option<(u64, u32)> {
        for _ in 0..=QUIET_TICKS_MAX {
            let stretch = self.stretch?;
            if stretch.start >= end {
                return None;
            }
            if let Some(at) = self.due(&stretch) {
                let tick = u32::try_from(at / self.interval).ok()?;
                return (at < end).then(|| {
                    self.ahead += self.step();
                    (at, tick)
                });
            }
            self.ahead -= stretch.per_second * ((stretch.end - stretch.start) as f64 / 1e9);
            self.stretch = stretch.next.and_then(|tick| self.profile.stretch(tick));
        }
        self.stretch = None;
        None
    }

    /// How far the sum of the rate goes from one arrival to the next.
    fn step(&mut self) -> f64 {
        match self.within {
            Within::Constant => 1.0,
            Within::Exponential => Exp1.sample(&mut self.rng),
        }
    }

    /// When the next comes, if it does in this stretch. That is decided by the time as it was rounded, hence a time is
    /// never that of another tick.
    fn due(&self, stretch: &Stretch) -> Option<u64> {
        if stretch.per_second == 0.0 {
            return None;
        }
        // A cast of what is too large ends at the largest number, which lies in no stretch.
        let nanos = (self.ahead.max(0.0) * (1e9 / stretch.per_second) + 0.5) as u64;
        Some(stretch.start.saturating_add(nanos)).filter(|at| *at < stretch.end)
    }
}
