//! Pauses after what an agent's surroundings made fail: while the emulator is away, say, it tries again, but less and less often.

use super::planner::Rng;
use rand::RngExt as _;
use std::time::Duration;

/// The pause after the first failure; each further one in a row doubles it.
const FIRST: Duration = Duration::from_secs(10);
/// However long it lasts, what is whole again is noticed within this.
const LONGEST: Duration = Duration::from_secs(160);
/// A share by which a pause is longer or shorter, so that agents do not come back in step.
const JITTER: f64 = 0.25;

/// Failures in a row.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// One more failure: how long to leave it alone.
    pub fn failed(&mut self, rng: &mut Rng) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        FIRST.saturating_mul(doubled).min(LONGEST).mul_f64(rng.random_range(1.0 - JITTER..1.0 + JITTER))
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene;
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_anew_after_a_success() {
        let (mut backoff, mut rng) = (Backoff::default(), scene::rng());
        for _ in 0..2 {
            for seconds in [10.0, 20.0, 40.0, 80.0, 160.0, 160.0] {
                let pause = backoff.failed(&mut rng).as_secs_f64();
                assert!((pause / seconds - 1.0).abs() <= JITTER, "{pause} s instead of {seconds} s");
            }
            (0..100).for_each(|_| assert!(backoff.failed(&mut rng) <= LONGEST.mul_f64(1.0 + JITTER)));
            backoff.succeeded();
        }
    }
}
