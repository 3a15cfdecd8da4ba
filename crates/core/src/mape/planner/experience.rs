//! What an agent knows of the effects of actions: trained before, learned since, else predicted.

use crate::domain::action::{Action, UnknownAction};
use crate::domain::ids::NodeId;
use crate::domain::impact::Impacts;
use crate::domain::measurement::Measurement;
use crate::domain::metric::Metrics;
use crate::domain::traffic::Traffic;
use crate::mape::prediction::{Latency, Predictor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::{fmt, str::FromStr};

/// Impacts as trained, as learned online, and what follows for everything else. What was learned wins.
#[derive(Clone, Debug, Default)]
pub struct Experience {
    /// Shared with every life of the agent: of many nodes it is large, and never changes.
    pub trained: Arc<BTreeMap<Action, Impacts>>,
    pub learned: BTreeMap<Change, Impacts>,
    pub predictor: Predictor,
}

/// A starting agent looks at so many of its latest jobs, to predict the next ones (I-7).
pub const REMEMBERED_JOBS: usize = 200;

/// A change whose effect is learned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Change {
    /// What the action did, wherever the agent read before.
    Action(Action),
    /// What a change of reference between two nodes did: `CR1_2`.
    Going { from: NodeId, to: NodeId },
    /// What running at one node instead of another did, while reading at a third: `T1_2@3`.
    Working { from: NodeId, to: NodeId, reads: NodeId },
}

/// What impacts rest on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Trained, learned, or a matter of arithmetic.
    #[default]
    Known,
    /// On what the node is expected to show: it was never tried.
    Predicted,
}

impl Experience {
    /// What an agent was trained to expect; `runs`: what was measured at each node, and what of their `traffic` was counted.
    pub fn new(
        trained: BTreeMap<Action, Impacts>,
        latency: Latency,
        runs: &BTreeMap<NodeId, Vec<Metrics>>,
        traffic: &BTreeMap<NodeId, Vec<Traffic>>,
    ) -> Self {
        let predictor = Predictor::new(latency, runs, traffic);
        Self { trained: trained.into(), learned: BTreeMap::new(), predictor }
    }

    /// Takes up what the table kept of former lives: what was learned, by label, and jobs, the latest last.
    pub fn recall(
        &mut self,
        learned: impl IntoIterator<Item = (String, Impacts)>,
        jobs: impl IntoIterator<Item = Measurement>,
    ) {
        jobs.into_iter().for_each(|job| self.predictor.measured(&job));
        // A label that is none was written by hand, and nobody would ever ask for it.
        let learned = learned.into_iter().filter_map(|(label, impacts)| Some((label.parse().ok()?, impacts)));
        self.learned.extend(learned);
    }

    /// Under the action's own label.
    pub fn of(&self, action: Action) -> Option<&Impacts> {
        self.learned.get(&Change::Action(action)).or_else(|| self.trained.get(&action))
    }

    /// Of reading at `to` instead of at `from`: what a move between them was seen to do.
    pub fn of_going(&self, from: NodeId, to: NodeId) -> Option<&Impacts> {
        self.of(Action::Move { from, to })
    }

    /// The nodes that some known change leads to.
    pub(super) fn tried(&self) -> BTreeSet<NodeId> {
        let learned = self.learned.keys().filter_map(|change| change.to_node());
        self.trained.keys().filter_map(|action| action.to_node()).chain(learned).collect()
    }
}

impl Change {
    fn to_node(self) -> Option<NodeId> {
        match self {
            Change::Action(action) => action.to_node(),
            Change::Going { to, .. } => Some(to),
            Change::Working { .. } => None,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Action(action) => action.fmt(f),
            Change::Going { from, to } => write!(f, "CR{from}_{to}"),
            Change::Working { from, to, reads } => write!(f, "T{from}_{to}@{reads}"),
        }
    }
}

impl FromStr for Change {
    type Err = UnknownAction;

    fn from_str(label: &str) -> Result<Self, Self::Err> {
        // Between two nodes it is written like a move, with other letters.
        let between = |nodes: &str| match format!("M{nodes}").parse()? {
            Action::Move { from, to } => Ok((from, to)),
            other @ (Action::Nothing
            | Action::Copy { .. }
            | Action::ChangeReference { .. }
            | Action::Evict { .. }
            | Action::Restore { .. }
            | Action::MoveWork { .. }) => Err(UnknownAction(other.to_string())),
        };
        if let Some(nodes) = label.strip_prefix("CR").filter(|nodes| nodes.contains('_')) {
            return between(nodes).map(|(from, to)| Change::Going { from, to });
        }
        if let Some((nodes, reads)) = label.strip_prefix('T').and_then(|working| working.split_once('@')) {
            let (from, to) = between(nodes)?;
            let reads = reads.parse().map_err(|_| UnknownAction(label.chars().take(40).collect()))?;
            return Ok(Change::Working { from, to, reads });
        }
        label.parse().map(Change::Action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_as_they_are_written() {
        for label in ["NA", "M1_2", "C12_3", "CR2", "E10", "CR1_2", "T1_2@3", "T1_2"] {
            assert_eq!(label.parse::<Change>().unwrap().to_string(), label);
        }
        for text in ["", "CR", "CR1_", "CR_2", "CR1_2_3", "GO1_2", "T1@3", "T1_2@"] {
            assert!(text.parse::<Change>().is_err(), "{text}");
        }
    }
}
