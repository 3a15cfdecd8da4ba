//! How an agent's last jobs ended, and under which conditions: where a prediction does not hold, outcomes show it.

use super::Outcomes;
use crate::domain::ids::NodeId;
use std::collections::VecDeque;

/// So many jobs are remembered.
const REMEMBERED: usize = 10;

/// What a job's outcome depends on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conditions {
    pub node: NodeId,
    pub availability_percent: f64,
    /// Absent where the goal does not mention it.
    pub data_consistency: Option<f64>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Jobs {
    last: VecDeque<(Conditions, bool)>,
}

impl Jobs {
    pub fn ended(&mut self, conditions: Conditions, satisfied: bool) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back((conditions, satisfied));
    }

    /// Those that ran under the same conditions.
    pub fn outcomes(&self, conditions: &Conditions) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for (_, satisfied) in self.last.iter().filter(|(then, _)| then == conditions) {
            outcomes.jobs += 1;
            outcomes.violated += u32::from(!satisfied);
        }
        outcomes
    }

    /// The link to a node has become another one: what was is no guide any more.
    pub fn forget(&mut self, node: NodeId) {
        self.last.retain(|(then, _)| then.node != node);
    }

    /// The nodes that the remembered jobs read.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.last.iter().map(|(then, _)| then.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(node: u32, availability_percent: f64) -> Conditions {
        Conditions { node: NodeId(node), availability_percent, data_consistency: None }
    }

    #[test]
    fn only_jobs_under_the_same_conditions_count() {
        let mut jobs = Jobs::default();
        for (node, availability, satisfied) in [(1, 90.0, true), (1, 90.0, false), (1, 80.0, false), (2, 90.0, false)] {
            jobs.ended(at(node, availability), satisfied);
        }
        assert_eq!(jobs.outcomes(&at(1, 90.0)), Outcomes { jobs: 2, violated: 1 });
        jobs.forget(NodeId(1));
        assert_eq!(jobs.outcomes(&at(1, 90.0)), Outcomes::default());
        assert_eq!(jobs.outcomes(&at(2, 90.0)).jobs, 1);
    }

    #[test]
    fn the_last_ones_are_remembered() {
        let mut jobs = Jobs::default();
        (0..25).for_each(|_| jobs.ended(at(1, 90.0), false));
        assert_eq!(jobs.outcomes(&at(1, 90.0)).jobs, 10);
    }
}
