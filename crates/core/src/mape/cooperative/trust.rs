//! How much others' forecasts count. Who was found to be wrong counts less, who was right more; and nobody can lose more than it
//! has gained.

use crate::domain::time::Timestamp;
use std::time::Duration;

/// An agent that was never checked: its veto alone cannot outweigh a whole gain (0.8 * 1.1 < 1).
const UNPROVEN: f64 = 0.8;
/// A forecast that is off by no more than this was right.
const TOLERANCE: f64 = 0.3;
/// What being right once restores.
const REWARD: f64 = 0.25;
/// How long an agent against whose word a plan was executed counts in full, if it is not checked before.
const HEARD_AGAIN_FOR: Duration = Duration::from_secs(600);
/// A forecast smaller than this neither is checked nor uses up a budget.
pub(super) const NOTABLE: f64 = 0.2;
/// What a budget gets back in a minute.
const RECOVERY_PER_MINUTE: f64 = 0.1;

/// What a forecast is about: who was right about one may be wrong about the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The node that the agent reads already, with another number of replicas.
    Count,
    /// Any other node.
    Place,
}

/// How much one agent's forecasts count.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Trust {
    count: Weight,
    place: Weight,
}

impl Trust {
    /// 0 to 1.
    pub fn weight(&self, cause: Cause, now: Timestamp) -> f64 {
        match cause {
            Cause::Count => self.count.value(now),
            Cause::Place => self.place.value(now),
        }
    }

    /// A plan was executed, and the agent had forecast `p` for the state that came about.
    pub fn executed(&mut self, cause: Cause, p: f64, now: Timestamp) {
        if p <= -NOTABLE {
            self.of(cause).overruled_at = Some(now);
        }
    }

    /// The agent had forecast `p`, and its level was seen to change by `observed`.
    pub fn checked(&mut self, cause: Cause, p: f64, observed: f64) {
        if p.abs() >= NOTABLE {
            self.of(cause).checked((p - observed).abs().min(1.0));
        }
    }

    fn of(&mut self, cause: Cause) -> &mut Weight {
        match cause {
            Cause::Count => &mut self.count,
            Cause::Place => &mut self.place,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Weight {
    /// Absent until checked once.
    proven: Option<f64>,
    overruled_at: Option<Timestamp>,
}

impl Weight {
    fn value(&self, now: Timestamp) -> f64 {
        let is_heard_again = self.overruled_at.is_some_and(|at| now.since(at) < HEARD_AGAIN_FOR);
        if is_heard_again { 1.0 } else { self.proven.unwrap_or(UNPROVEN) }
    }

    fn checked(&mut self, error: f64) {
        let before = self.proven.unwrap_or(1.0);
        self.proven = Some(if error <= TOLERANCE { (before + REWARD).min(1.0) } else { (before + 1.0 - error) / 2.0 });
        self.overruled_at = None;
    }
}

/// How much an agent can still lose.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Budget {
    left: f64,
    at: Timestamp,
}

impl Budget {
    /// Full: at first, and after an action of the agent's own.
    pub fn full(now: Timestamp) -> Self {
        Self { left: 1.0, at: now }
    }

    pub fn left(&self, now: Timestamp) -> f64 {
        let minutes = now.since(self.at).as_secs_f64() / 60.0;
        (self.left + RECOVERY_PER_MINUTE * minutes).min(1.0)
    }

    /// A plan was executed for which the agent had forecast `p`.
    pub fn executed(&mut self, p: f64, now: Timestamp) {
        let used = if p.abs() >= NOTABLE { p } else { 0.0 };
        *self = Self { left: (self.left(now) + used).clamp(0.0, 1.0), at: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(0);

    fn weight(trust: &Trust) -> f64 {
        trust.weight(Cause::Place, NOW)
    }

    #[test]
    fn one_confirmation_makes_an_honest_agent_count_in_full() {
        let mut trust = Trust::default();
        assert_eq!(weight(&trust), 0.8);
        trust.checked(Cause::Place, -0.9, -0.7);
        assert_eq!(weight(&trust), 1.0);
    }

    #[test]
    fn who_cries_wolf_counts_half_as_much_each_time() {
        let mut trust = Trust::default();
        let mut check = |expected| {
            trust.checked(Cause::Place, -1.0, 0.0);
            assert_eq!(weight(&trust), expected);
        };
        check(0.5);
        check(0.25);
        check(0.125);
        trust.checked(Cause::Place, -1.0, -1.0);
        assert_eq!(weight(&trust), 0.375);
    }

    #[test]
    fn what_was_wrong_about_one_cause_counts_for_the_other() {
        let mut trust = Trust::default();
        trust.checked(Cause::Place, -1.0, 0.0);
        assert_eq!(trust.weight(Cause::Count, NOW), 0.8);
    }

    #[test]
    fn who_was_overruled_is_heard_until_checked_or_for_ten_minutes() {
        let mut trust = Trust::default();
        trust.executed(Cause::Place, -0.1, NOW);
        assert_eq!(weight(&trust), 0.8, "that was no veto");
        trust.executed(Cause::Place, -0.5, NOW);
        assert_eq!(weight(&trust), 1.0);
        assert_eq!(trust.weight(Cause::Place, NOW + Duration::from_secs(600)), 0.8);
        trust.checked(Cause::Place, -1.0, 0.0);
        assert_eq!(weight(&trust), 0.5);
    }

    #[test]
    fn nobody_loses_more_than_it_has() {
        let mut budget = Budget::full(NOW);
        budget.executed(-0.75, NOW);
        assert_eq!(budget.left(NOW), 0.25);
        budget.executed(-0.75, NOW);
        assert_eq!(budget.left(NOW), 0.0);
        let later = NOW + Duration::from_secs(300);
        assert_eq!(budget.left(later), 0.5);
        budget.executed(0.1, later);
        assert_eq!(budget.left(later), 0.5, "too little to count");
        budget.executed(1.0, later);
        assert_eq!(budget.left(later), 1.0);
    }

    proptest::proptest! {
        #[test]
        fn weights_and_budgets_stay_within_0_and_1(steps in proptest::collection::vec((-1.0..1.0f64, -1.0..1.0f64, 0..2_000_000i64), 0..50)) {
            let (mut trust, mut budget, mut now) = (Trust::default(), Budget::full(NOW), NOW);
            for (p, observed, passed) in steps {
                now = Timestamp(now.0 + passed);
                trust.executed(Cause::Count, p, now);
                trust.checked(Cause::Count, p, observed);
                budget.executed(p, now);
                proptest::prop_assert!((0.0..=1.0).contains(&trust.weight(Cause::Count, now)));
                proptest::prop_assert!((0.0..=1.0).contains(&budget.left(now)));
            }
        }
    }
}
