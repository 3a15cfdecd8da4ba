//! Not asking for ever: pauses after refusals, and what was left and should not come back: sets of replicas, places to read.

use super::{PER_RETURN, ReplicaSet};
use crate::domain::ids::{EventId, NodeId};
use crate::domain::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(1800);
/// Who has become so much less content since a refusal asks again at once.
const FELL: f64 = 0.25;
/// What was refused must have become worth so much more than the margin: that estimates sway does not reverse a decision.
const AFTER_REFUSAL: f64 = 0.1;
/// What was left is remembered so long.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// What a refusal rests on: when it changes, the question is another one.
#[derive(Clone, PartialEq, Debug)]
pub struct Ground {
    pub set: ReplicaSet,
    pub reads: NodeId,
    /// How often what the agent expects of any node has changed notably.
    pub epoch: u64,
}

/// The pause after refusals, doubled each time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Pause {
    refused: Option<Refused>,
}

#[derive(Clone, PartialEq, Debug)]
struct Refused {
    ground: Ground,
    level: f64,
    until: Timestamp,
    lasts: Duration,
}

impl Pause {
    /// Until when not to ask, on this ground and with this level.
    pub fn until(&self, ground: &Ground, level: f64, now: Timestamp) -> Option<Timestamp> {
        self.before(ground, level).map(|refused| refused.until).filter(|until| now < *until)
    }

    /// Whether the last refusal is that fresh, whatever has changed since.
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.refused.as_ref().is_some_and(|refused| now < refused.until)
    }

    /// How much more than the margin a plan must be worth on this ground.
    pub fn hurdle(&self, ground: &Ground) -> f64 {
        self.refused.as_ref().filter(|refused| refused.ground == *ground).map_or(0.0, |_| AFTER_REFUSAL)
    }

    pub fn refused(&mut self, ground: Ground, level: f64, now: Timestamp) {
        let lasts = self.before(&ground, level).map_or(FIRST_PAUSE, |before| (before.lasts * 2).min(LONGEST_PAUSE));
        self.refused = Some(Refused { ground, level, until: now + lasts, lasts });
    }

    /// The last refusal, if the question is still the same.
    fn before(&self, ground: &Ground, level: f64) -> Option<&Refused> {
        self.refused.as_ref().filter(|refused| refused.ground == *ground && level > refused.level - FELL)
    }
}

/// What was left lately: sets of replicas, or places to read.
#[derive(Clone, PartialEq, Debug)]
pub struct Left<T> {
    left: VecDeque<Leaving<T>>,
}

#[derive(Clone, PartialEq, Debug)]
struct Leaving<T> {
    at: Timestamp,
    what: T,
    /// The action that left it.
    by: Option<EventId>,
    /// The environment has moved since: there may be reason to return.
    is_another_world: bool,
}

impl<T> Default for Left<T> {
    fn default() -> Self {
        Self { left: VecDeque::new() }
    }
}

impl<T: Ord + Clone> Left<T> {
    pub fn note(&mut self, what: T, by: Option<EventId>, now: Timestamp) {
        self.forget(now);
        self.left.push_back(Leaving { at: now, what, by, is_another_world: false });
    }

    /// The action came to nothing, so nothing was left.
    pub fn retract(&mut self, by: EventId) {
        self.left.retain(|leaving| leaving.by != Some(by));
    }

    /// The environment has moved, for all that was left and that this holds for.
    pub fn excuse(&mut self, moved: impl Fn(&T) -> bool) {
        self.left.iter_mut().filter(|leaving| moved(&leaving.what)).for_each(|leaving| leaving.is_another_world = true);
    }

    /// What returning to each costs.
    pub fn prices(&mut self, now: Timestamp, excused: f64) -> BTreeMap<T, f64> {
        self.forget(now);
        let mut times: BTreeMap<T, (u32, u32)> = BTreeMap::new();
        for leaving in &self.left {
            let (same, other) = times.entry(leaving.what.clone()).or_default();
            *if leaving.is_another_world { other } else { same } += 1;
        }
        let price = |(same, other): (u32, u32)| PER_RETURN * f64::from(same).powi(2) + excused * f64::from(other);
        times.into_iter().map(|(what, times)| (what, price(times))).collect()
    }

    /// How often it was left.
    pub fn times(&self, what: T, now: Timestamp) -> u32 {
        let lately = |leaving: &&Leaving<T>| leaving.what == what && now.since(leaving.at) < REMEMBERED;
        u32::try_from(self.left.iter().filter(lately).count()).unwrap_or(u32::MAX)
    }

    fn forget(&mut self, now: Timestamp) {
        while self.left.front().is_some_and(|leaving| now.since(leaving.at) >= REMEMBERED) {
            self.left.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(0);

    fn ground(node: u32) -> Ground {
        Ground { set: [NodeId(node)].into(), reads: NodeId(node), epoch: 1 }
    }

    fn seconds(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn each_refusal_is_waited_for_twice_as_long() {
        let mut pause = Pause::default();
        assert_eq!(pause.until(&ground(1), 0.5, NOW), None);
        for lasts in [30, 60, 120, 240, 480, 960, 1800, 1800] {
            pause.refused(ground(1), 0.5, NOW);
            assert_eq!(pause.until(&ground(1), 0.5, NOW), Some(seconds(lasts)));
        }
        assert_eq!(pause.until(&ground(1), 0.5, seconds(1800)), None);
    }

    #[test]
    fn what_was_refused_must_become_worth_clearly_more() {
        let mut pause = Pause::default();
        assert_eq!(pause.hurdle(&ground(1)), 0.0);
        pause.refused(ground(1), 0.5, NOW);
        assert_eq!(pause.hurdle(&ground(1)), AFTER_REFUSAL);
        assert_eq!(pause.hurdle(&ground(2)), 0.0, "another question");
    }

    #[test]
    fn another_ground_or_a_greater_need_is_asked_about_at_once() {
        let mut pause = Pause::default();
        pause.refused(ground(1), 0.5, NOW);
        assert_eq!(pause.until(&ground(2), 0.5, NOW), None);
        assert_eq!(pause.until(&ground(1), 0.25, NOW), None);
        pause.refused(ground(1), 0.25, NOW);
        assert_eq!(pause.until(&ground(1), 0.25, NOW), Some(seconds(30)), "a new series");
    }

    #[test]
    fn returns_cost_more_each_time_for_an_hour() {
        let mut left = Left::default();
        let set: ReplicaSet = [NodeId(1)].into();
        left.note(set.clone(), None, NOW);
        left.note(set.clone(), None, seconds(60));
        assert_eq!(left.prices(seconds(3599), 0.0), [(set.clone(), 1.0)].into());
        assert_eq!(left.prices(seconds(3600), 0.0), [(set, 0.25)].into());
    }

    #[test]
    fn what_failed_left_nothing_and_another_world_is_no_return() {
        let mut left = Left::default();
        left.note(NodeId(1), Some(EventId(7)), NOW);
        left.note(NodeId(2), Some(EventId(8)), NOW);
        left.retract(EventId(7));
        assert_eq!(left.prices(NOW, 0.0), [(NodeId(2), 0.25)].into());
        left.excuse(|node| *node == NodeId(2));
        assert_eq!(left.prices(NOW, 0.02), [(NodeId(2), 0.02)].into());
    }

    #[test]
    fn how_often_something_was_left_is_counted_for_an_hour() {
        let mut left = Left::default();
        left.note(NodeId(1), None, NOW);
        left.note(NodeId(1), None, seconds(60));
        left.note(NodeId(2), None, seconds(60));
        assert_eq!(left.times(NodeId(1), seconds(3599)), 2);
        assert_eq!(left.times(NodeId(1), seconds(3600)), 1);
    }
}
