//! A decision that explains itself: every candidate with its parts, and why it won or was not feasible.

use super::Situation;
use crate::domain::action::Action;
use crate::domain::goal::Goal;
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::impact::Impacts;
use crate::domain::metric::Metrics;
use crate::domain::score::Appraisal;
use serde::{Deserialize, Serialize};

/// What was chosen, on what, and what else there was. Stored with the event as JSON; shown by `agent explain`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Decision {
    pub policy: String,
    pub agent: AgentId,
    pub goal: String,
    /// The bounds that did not hold.
    pub violated: Vec<String>,
    pub measured: Metrics,
    /// Where the agent read when it decided.
    pub reference_node: NodeId,
    pub replica_nodes: Vec<NodeId>,
    pub chosen: Choice,
    /// In the order scored (random, so that ties are not always decided the same way).
    pub scored: Vec<Scored>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Choice {
    pub action: Action,
    pub reason: Reason,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    HighestScore {
        global: f64,
    },
    /// Taken at random, to learn.
    Explored,
    NothingFeasible,
}

/// One candidate.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Scored {
    pub action: Action,
    pub verdict: Verdict,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Infeasible {
        why: String,
    },
    Feasible {
        /// Expected effect on each metric, \[-1, 1\].
        impacts: Impacts,
        appraisal: Appraisal,
        cost: f64,
        /// For this agent's own goal.
        internal: f64,
        /// What others' answers to the action added up to, as it counts now.
        counter: u32,
        /// `internal`, weakened by the counter: what decides.
        global: f64,
    },
}

impl Decision {
    pub(super) fn new(policy: &str, situation: &Situation, scored: Vec<Scored>, chosen: Choice) -> Self {
        let goal: &Goal = &situation.parameters.goal;
        Self {
            policy: policy.to_owned(),
            agent: situation.parameters.agent,
            goal: goal.to_string(),
            violated: goal.violated(situation.measured).iter().map(ToString::to_string).collect(),
            measured: *situation.measured,
            reference_node: situation.reference.node,
            replica_nodes: situation.snapshot.placement.nodes().into_iter().collect(),
            chosen,
            scored,
        }
    }

    /// The reason in one line, for people.
    pub fn because(&self) -> String {
        let candidates = self.scored.len();
        match self.chosen.reason {
            Reason::HighestScore { global } => format!("scores highest ({global:+.2}) of {candidates} candidates"),
            Reason::Explored => format!("explored: taken at random of {candidates} candidates"),
            Reason::NothingFeasible => format!("none of {candidates} candidates is feasible"),
        }
    }

    /// As stored in `events.detail`.
    pub fn to_json(&self) -> String {
        // Every map in it has text keys and every number is finite or null, so there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}
