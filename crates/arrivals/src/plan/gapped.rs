//! One gap after another: drawn, or as recorded.

use crate::gaps::{Distribution, Law};
use crate::replay::{Kind, Replay};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// A sum of gaps.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    nanos: u64,
    /// Of a nanosecond, from 0 until before 1.
    rest: f64,
}

impl Clock {
    /// `seconds` is finite and not negative.
    fn advance(&mut self, seconds: f64) {
        let gap = seconds * 1e9 + self.rest;
        // Whole, and a cast of what is too large ends at the largest number: there the plan ends.
        let whole = gap as u64;
        self.nanos = self.nanos.saturating_add(whole);
        self.rest = gap.fract();
    }

    /// Rounded only when it is read. Never earlier than before: the sum never is.
    fn nanos(&self) -> u64 {
        self.nanos.saturating_add(u64::from(self.rest >= 0.5))
    }
}

/// Draws gaps without end.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    distribution: Distribution,
    rng: ChaCha8Rng,
    /// Of the arrival that comes next.
    clock: Clock,
}

impl Drawn {
    pub fn new(distribution: Distribution, seed: u64) -> Self {
        let mut drawn = Self { distribution, rng: ChaCha8Rng::seed_from_u64(seed), clock: Clock::default() };
        if !matches!(distribution.law(), Law::Constant { .. }) {
            drawn.draw();
        }
        drawn
    }

    pub fn next(&mut self, end: u64) -> Option<u64> {
        let at = self.clock.nanos();
        (at < end).then(|| {
            self.draw();
            at
        })
    }

    fn draw(&mut self) {
        self.clock.advance(self.distribution.seconds(&mut self.rng));
    }
}

/// Goes through a recording.
#[derive(Clone, Debug)]
pub(super) struct Replayed {
    replay: Replay,
    /// Of the value that comes next.
    index: usize,
    clock: Clock,
}

impl Replayed {
    pub fn new(replay: Replay) -> Self {
        Self { replay, index: 0, clock: Clock::default() }
    }

    pub fn next(&mut self, end: u64) -> Option<u64> {
        let value = *self.replay.values().get(self.index)?;
        let mut clock = match self.replay.kind() {
            Kind::Gaps => self.clock,
            Kind::Times => Clock::default(),
        };
        clock.advance(value);
        let at = clock.nanos();
        (at < end).then(|| {
            (self.clock, self.index) = (clock, self.index + 1);
            at
        })
    }
}
