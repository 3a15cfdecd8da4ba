//! How an agent's last jobs ended, and under which conditions: where a prediction does not hold, outcomes show it.

use super::Outcomes;
use crate::domain::ids::NodeId;
use crate::domain::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// So many jobs are remembered of each node, and those that ran so long: then it is worth another try.
const REMEMBERED: usize = 10;
const WITHIN: Duration = Duration::from_secs(3600);
/// After so long a job that could not run counts half, after twice as long a quarter: what could be gained by another try is weighed
/// against a doubt that fades. Where they fail again after they did not, for each time twice as long.
const HALVED_AFTER: Duration = Duration::from_secs(3600);
const DOUBLED: u32 = 5;
/// What counts less than this says nothing any more.
const FADED: f64 = 1.0 / 256.0;
/// A node whose jobs have not failed for so long is as any other when they do.
const PARDONED_AFTER: Duration = Duration::from_secs(4 * 3600);

/// What a job's outcome depends on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conditions {
    /// Where it ran, if not at home.
    pub ran_at: Option<NodeId>,
    pub node: NodeId,
    pub availability_percent: f64,
    /// Absent where the goal does not mention it.
    pub data_consistency: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Ended {
    Satisfied(Conditions),
    Violated(Conditions),
    /// It could not read, whatever the conditions.
    Failed,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Jobs {
    nodes: BTreeMap<NodeId, AtNode>,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct AtNode {
    last: VecDeque<(Timestamp, Ended)>,
    /// A job that could run followed the latest that could not.
    runs: bool,
    /// How often jobs began to fail, and when one did last.
    spells: u32,
    failed_at: Timestamp,
}

impl AtNode {
    fn remember(&mut self, ended: Ended, at: Timestamp) {
        match ended {
            Ended::Failed => {
                if at.since(self.failed_at) >= PARDONED_AFTER {
                    self.spells = 0;
                }
                self.spells = self.spells.saturating_add(u32::from(self.spells == 0 || self.runs));
                (self.runs, self.failed_at) = (false, at);
            }
            Ended::Satisfied(_) | Ended::Violated(_) => self.runs = true,
        }
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back((at, ended));
    }

    /// What a job that could not run counts now.
    fn weight(&self, at: Timestamp, now: Timestamp) -> f64 {
        let halved_after = HALVED_AFTER * (1 << self.spells.saturating_sub(1).min(DOUBLED));
        (-now.since(at).div_duration_f64(halved_after)).exp2()
    }
}

impl Jobs {
    pub fn ended(&mut self, conditions: Conditions, satisfied: bool, at: Timestamp) {
        let ended = if satisfied { Ended::Satisfied(conditions) } else { Ended::Violated(conditions) };
        self.remember(conditions.node, ended, at);
    }

    /// A job could not read a node's store.
    pub fn failed(&mut self, node: NodeId, at: Timestamp) {
        self.remember(node, Ended::Failed, at);
    }

    fn remember(&mut self, node: NodeId, ended: Ended, at: Timestamp) {
        self.nodes.entry(node).or_default().remember(ended, at);
    }

    /// Those that ran under the same conditions, and those that could not run, as far as they count now.
    pub fn outcomes(&self, conditions: &Conditions, now: Timestamp) -> Outcomes {
        let mut outcomes = Outcomes::default();
        let Some(node) = self.nodes.get(&conditions.node) else { return outcomes };
        for (at, ended) in &node.last {
            match ended {
                Ended::Satisfied(then) | Ended::Violated(then) if then != conditions => {}
                Ended::Satisfied(_) => outcomes.ran += 1,
                Ended::Violated(_) => (outcomes.ran, outcomes.violated) = (outcomes.ran + 1, outcomes.violated + 1),
                Ended::Failed => {
                    outcomes.failed += 1;
                    outcomes.doubt += node.weight(*at, now);
                }
            }
        }
        outcomes
    }

    /// The link to a node has become another one: what was measured is no guide any more.
    pub fn forget(&mut self, node: NodeId) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.last.retain(|(_, ended)| *ended == Ended::Failed);
        }
    }

    /// The same of all nodes.
    pub fn forget_all(&mut self) {
        self.nodes.values_mut().for_each(|node| node.last.retain(|(_, ended)| *ended == Ended::Failed));
    }

    /// What is long ago says nothing.
    pub fn forget_before(&mut self, now: Timestamp) {
        self.nodes.retain(|_, node| {
            let mut last = std::mem::take(&mut node.last);
            last.retain(|(at, ended)| match ended {
                Ended::Failed => node.weight(*at, now) >= FADED,
                Ended::Satisfied(_) | Ended::Violated(_) => now.since(*at) < WITHIN,
            });
            node.last = last;
            !node.last.is_empty() || (node.spells > 0 && now.since(node.failed_at) < PARDONED_AFTER)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(0);
    const HOUR: Duration = Duration::from_secs(3600);

    fn at(node: u32, availability_percent: f64) -> Conditions {
        Conditions { ran_at: None, node: NodeId(node), availability_percent, data_consistency: None }
    }

    fn ran(ran: u32, violated: u32) -> Outcomes {
        Outcomes { ran, violated, ..Outcomes::default() }
    }

    #[test]
    fn only_jobs_under_the_same_conditions_count_and_those_that_failed() {
        let mut jobs = Jobs::default();
        for (node, availability, satisfied) in [(1, 90.0, true), (1, 90.0, false), (1, 80.0, false), (2, 90.0, false)] {
            jobs.ended(at(node, availability), satisfied, NOW);
        }
        assert_eq!(jobs.outcomes(&at(1, 90.0), NOW), ran(2, 1));
        jobs.failed(NodeId(1), NOW);
        let failed = Outcomes { failed: 1, doubt: 1.0, ..Outcomes::default() };
        assert_eq!(jobs.outcomes(&at(1, 90.0), NOW), Outcomes { ran: 2, violated: 1, ..failed });
        jobs.forget(NodeId(1));
        assert_eq!(jobs.outcomes(&at(1, 90.0), NOW), failed, "another link mends no store");
        assert_eq!(jobs.outcomes(&at(2, 90.0), NOW), ran(1, 1));
    }

    #[test]
    fn the_last_ones_of_each_node_are_remembered_for_an_hour() {
        let mut jobs = Jobs::default();
        (0..25).for_each(|_| jobs.ended(at(1, 90.0), false, NOW));
        (0..25).for_each(|_| jobs.ended(at(2, 90.0), true, NOW + Duration::from_secs(60)));
        let (just_before, then) = (NOW + Duration::from_secs(3599), NOW + HOUR);
        jobs.forget_before(just_before);
        assert_eq!(jobs.outcomes(&at(1, 90.0), just_before), ran(10, 10));
        jobs.forget_before(then);
        assert_eq!(jobs.outcomes(&at(1, 90.0), then), ran(0, 0));
        assert_eq!(jobs.outcomes(&at(2, 90.0), then), ran(10, 0));
    }

    #[test]
    fn the_doubt_that_failures_leave_fades_and_the_more_slowly_the_more_often_they_came() {
        let mut jobs = Jobs::default();
        let doubt = |jobs: &Jobs, at_h: f64| jobs.outcomes(&at(1, 90.0), NOW + HOUR.mul_f64(at_h)).doubt;
        (0..10).for_each(|_| jobs.failed(NodeId(1), NOW));
        assert_eq!((doubt(&jobs, 0.0), doubt(&jobs, 1.0), doubt(&jobs, 3.0)), (10.0, 5.0, 1.25));
        // It runs again for a while, and fails again.
        jobs.ended(at(1, 90.0), true, NOW + HOUR * 3);
        (0..10).for_each(|_| jobs.failed(NodeId(1), NOW + HOUR.mul_f64(3.5)));
        assert_eq!((doubt(&jobs, 3.5), doubt(&jobs, 5.5), doubt(&jobs, 7.5)), (10.0, 5.0, 2.5));
        jobs.forget_before(NOW + HOUR * 20);
        assert_eq!(jobs, Jobs::default(), "it is as any other");
    }
}
