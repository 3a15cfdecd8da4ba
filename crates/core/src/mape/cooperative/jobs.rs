//! How an agent's last jobs ended, and under which conditions: where a prediction does not hold, outcomes show it.

use super::Outcomes;
use crate::domain::ids::NodeId;
use crate::domain::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// So many jobs are remembered of each node, and so long: then it is worth another try.
const REMEMBERED: usize = 10;
const WITHIN: Duration = Duration::from_secs(3600);

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
    last: BTreeMap<NodeId, VecDeque<(Timestamp, Ended)>>,
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
        let last = self.last.entry(node).or_default();
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back((at, ended));
    }

    /// Those that ran under the same conditions, and those that could not run.
    pub fn outcomes(&self, conditions: &Conditions) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for (_, ended) in self.last.get(&conditions.node).into_iter().flatten() {
            let violated = match ended {
                Ended::Satisfied(then) if then == conditions => false,
                Ended::Violated(then) if then == conditions => true,
                Ended::Failed => true,
                Ended::Satisfied(_) | Ended::Violated(_) => continue,
            };
            outcomes.jobs += 1;
            outcomes.violated += u32::from(violated);
        }
        outcomes
    }

    /// The link to a node has become another one: what was measured is no guide any more.
    pub fn forget(&mut self, node: NodeId) {
        if let Some(last) = self.last.get_mut(&node) {
            last.retain(|(_, ended)| *ended == Ended::Failed);
        }
    }

    /// The same of all nodes.
    pub fn forget_all(&mut self) {
        self.last.values_mut().for_each(|last| last.retain(|(_, ended)| *ended == Ended::Failed));
    }

    /// What is long ago says nothing.
    pub fn forget_before(&mut self, now: Timestamp) {
        self.last.retain(|_, last| {
            last.retain(|(at, _)| now.since(*at) < WITHIN);
            !last.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(0);

    fn at(node: u32, availability_percent: f64) -> Conditions {
        Conditions { ran_at: None, node: NodeId(node), availability_percent, data_consistency: None }
    }

    #[test]
    fn only_jobs_under_the_same_conditions_count_and_those_that_failed() {
        let mut jobs = Jobs::default();
        for (node, availability, satisfied) in [(1, 90.0, true), (1, 90.0, false), (1, 80.0, false), (2, 90.0, false)] {
            jobs.ended(at(node, availability), satisfied, NOW);
        }
        assert_eq!(jobs.outcomes(&at(1, 90.0)), Outcomes { jobs: 2, violated: 1 });
        jobs.failed(NodeId(1), NOW);
        assert_eq!(jobs.outcomes(&at(1, 90.0)), Outcomes { jobs: 3, violated: 2 });
        jobs.forget(NodeId(1));
        assert_eq!(jobs.outcomes(&at(1, 90.0)), Outcomes { jobs: 1, violated: 1 }, "another link mends no store");
        assert_eq!(jobs.outcomes(&at(2, 90.0)).jobs, 1);
    }

    #[test]
    fn the_last_ones_of_each_node_are_remembered_for_an_hour() {
        let mut jobs = Jobs::default();
        (0..25).for_each(|_| jobs.ended(at(1, 90.0), false, NOW));
        (0..25).for_each(|_| jobs.ended(at(2, 90.0), true, NOW + Duration::from_secs(60)));
        jobs.forget_before(NOW + Duration::from_secs(3599));
        assert_eq!(jobs.outcomes(&at(1, 90.0)).jobs, 10);
        jobs.forget_before(NOW + Duration::from_secs(3600));
        assert_eq!(jobs.outcomes(&at(1, 90.0)).jobs, 0);
        assert_eq!(jobs.outcomes(&at(2, 90.0)).jobs, 10);
    }
}
