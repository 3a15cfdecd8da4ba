//! A decision that explains itself: every candidate with its parts, and why it won or was not feasible.

use super::{Basis, Situation};
use crate::domain::action::Action;
use crate::domain::goal::Goal;
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::impact::Impacts;
use crate::domain::metric::Metrics;
use crate::domain::score::Appraisal;
use crate::mape::prediction::Forecast;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Of so many candidates a decision says how they scored: it is kept with its event, and read by people.
pub const LISTED: usize = 100;

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
    /// In the order scored (random, so that ties are not always decided the same way); of many the best.
    pub scored: Vec<Scored>,
    /// Candidates that are not listed: they scored less than those which are.
    #[serde(default)]
    pub left_out: usize,
    /// What is expected to be measured at nodes that were never tried, where a listed candidate rests on that.
    #[serde(default)]
    pub forecasts: BTreeMap<NodeId, Forecast>,
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
        #[serde(default)]
        basis: Basis,
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
        let (scored, left_out) = listed(scored, chosen.action);
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
            forecasts: forecasts(situation, &scored),
            left_out,
            scored,
        }
    }

    /// How many candidates there were.
    pub fn candidates(&self) -> usize {
        self.scored.len() + self.left_out
    }

    /// As stored in `events.detail`.
    pub fn to_json(&self) -> String {
        // Every map in it has text keys and every number is finite or null, so there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Scored {
    /// What decides; nothing is lower than what is not feasible.
    pub fn global(&self) -> f64 {
        match self.verdict {
            Verdict::Feasible { global, .. } => global,
            Verdict::Infeasible { .. } => f64::NEG_INFINITY,
        }
    }

    fn is_predicted(&self) -> bool {
        matches!(self.verdict, Verdict::Feasible { basis: Basis::Predicted, .. })
    }
}

/// The best candidates and the chosen one, still in the order scored; and how many others there were.
fn listed(scored: Vec<Scored>, chosen: Action) -> (Vec<Scored>, usize) {
    let candidates = scored.len();
    if candidates <= LISTED {
        return (scored, 0);
    }
    let mut best: Vec<(f64, usize)> = scored.iter().map(Scored::global).zip(0..).collect();
    best.select_nth_unstable_by(LISTED, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let best: BTreeSet<usize> = best[..LISTED].iter().map(|(_, index)| *index).collect();
    let is_listed = |(index, one): &(usize, Scored)| best.contains(index) || one.action == chosen;
    let listed: Vec<Scored> = scored.into_iter().enumerate().filter(is_listed).map(|(_, one)| one).collect();
    let left_out = candidates - listed.len();
    (listed, left_out)
}

fn forecasts(situation: &Situation, scored: &[Scored]) -> BTreeMap<NodeId, Forecast> {
    let nodes = scored.iter().filter(|one| one.is_predicted()).filter_map(|one| one.action.to_node());
    nodes.filter_map(|node| Some((node, situation.forecast(node)?))).collect()
}
