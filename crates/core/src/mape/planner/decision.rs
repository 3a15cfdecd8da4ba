//! A decision that explains itself: every candidate with its parts, and why it won or was not feasible.

use super::{Basis, Situation, View};
use crate::domain::action::Action;
use crate::domain::event::{Event, Outcome};
use crate::domain::goal::Goal;
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::impact::Impacts;
use crate::domain::metric::Metrics;
use crate::domain::score::Appraisal;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::domain::work::Seat;
use crate::mape::prediction::Forecast;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Of so many candidates a decision says how they scored: it is kept with its event, and read by people.
pub const LISTED: usize = 32;

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
    /// What is expected of the same data were jobs run on another node, where that is a listed candidate.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub work_forecasts: BTreeMap<NodeId, Forecast>,
    /// What peers were asked and said, where the policy asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliberation: Option<Deliberation>,
    /// What it rests on, where the simulator's oracle decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clairvoyance: Option<Clairvoyance>,
    /// What it costs, for people, where that has a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
}

/// What a decision rests on that concerns the whole placement.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Deliberation {
    /// Of the planned placement: the decision is void on another one.
    pub generation: i64,
    /// How content the agent was, 0 to 1.
    pub level: f64,
    /// Where replicas are to be in the end.
    pub plan: BTreeSet<NodeId>,
    /// Where everybody is expected to read then.
    pub responses: BTreeMap<AgentId, NodeId>,
    /// What peers forecast for that: how their levels change, and how much that counts.
    pub peers: BTreeMap<AgentId, Opinion>,
}

/// What an agent forecasts for itself, as the one who decides sees it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Opinion {
    /// -1 to 1; absent: it did not answer.
    pub forecast: Option<f64>,
    /// 0 to 1.
    pub weight: f64,
}

/// What is known to whoever knows everything: the simulator's oracle, in the name of an agent. Shares are expected ones, of
/// violated jobs, 0 to 1.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Clairvoyance {
    /// When the best placement was looked for, and what had happened until then since the time before, in the order of time.
    pub asked_at: Timestamp,
    pub changes: Vec<String>,
    /// Where replicas are to be when all its steps are done.
    pub plan: BTreeSet<NodeId>,
    /// What all steps cost together.
    pub cost: f64,
    /// Mean over all agents.
    pub share: Prospect,
    /// No placement has a smaller share than this; absent: none has a smaller one than the plan.
    pub bound: Option<f64>,
    /// The agents that are to read what this action brings or chooses.
    pub readers: BTreeMap<AgentId, Prospect>,
}

/// What is expected of the placement as it was, and of the one to be.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Prospect {
    pub before: f64,
    pub after: f64,
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
    /// The sum of all levels rises by this, net of costs.
    Planned {
        gain: f64,
    },
    /// Another replica suits this agent better by this much, and nobody else is concerned.
    Better {
        gain: f64,
    },
    /// Nobody reads the replica any more.
    Idle,
    /// It was proposed, and of the peers that voted so many were for it.
    Agreed {
        yes: usize,
        votes: usize,
    },
    /// One of the steps of the cheapest way to the best placement; the first is 1.
    Foreknown {
        step: usize,
        steps: usize,
    },
    /// The replica is damaged.
    Damaged,
    /// The constraints demand the replica.
    Demanded,
    /// A newer version of it was written.
    Outdated,
    /// A person wants it.
    Person,
    /// Whoever decides for this agent wants it.
    External,
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
    /// As a whole, where not by its impacts.
    Valued {
        /// How content the agent will be, or was after it so far, net of what it costs; about 0 to 1.
        value: f64,
        /// How often that was seen; 0: it is a prediction.
        trials: u32,
        /// What decides.
        score: f64,
    },
}

/// Whether an action has brought bytes to a node: none travel to one that held a replica already when it was decided.
pub fn has_transferred(event: &Event, decision: Option<&Decision>) -> bool {
    let held = |to: &NodeId| decision.is_some_and(|decision| decision.replica_nodes.contains(to));
    event.action.transfers() && event.outcome == Outcome::Done && !event.action.to_node().as_ref().is_some_and(held)
}

fn price(snapshot: &Snapshot, agent: AgentId, action: Action) -> Option<String> {
    snapshot.quote(agent, action).map(|quote| quote.to_string())
}

impl Decision {
    /// `scored`: those to be listed, of so many candidates.
    pub(super) fn new(
        policy: &str,
        situation: &Situation,
        scored: Vec<Scored>,
        candidates: usize,
        chosen: Choice,
    ) -> Self {
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
            work_forecasts: work_forecasts(situation, &scored),
            // What is chosen is listed even when it was no candidate: doing nothing.
            left_out: candidates.saturating_sub(scored.len()),
            scored,
            deliberation: None,
            clairvoyance: None,
            price: price(situation.snapshot, situation.parameters.agent, chosen.action),
        }
    }

    /// Of a policy that asks its peers, made between jobs.
    pub(in crate::mape) fn deliberate(
        policy: &str,
        view: &View,
        reference_node: NodeId,
        measured: Metrics,
        chosen: Choice,
        deliberation: Deliberation,
    ) -> Self {
        let goal = &view.parameters.goal;
        let violated = goal.violated(&measured).iter().map(ToString::to_string).collect();
        Self {
            policy: policy.to_owned(),
            agent: view.parameters.agent,
            goal: goal.to_string(),
            violated: if measured == Metrics::default() { Vec::new() } else { violated },
            measured,
            reference_node,
            replica_nodes: view.snapshot.placement.nodes().into_iter().collect(),
            chosen,
            scored: Vec::new(),
            left_out: 0,
            forecasts: BTreeMap::new(),
            work_forecasts: BTreeMap::new(),
            deliberation: Some(deliberation),
            clairvoyance: None,
            price: price(view.snapshot, view.parameters.agent, chosen.action),
        }
    }

    /// Of no policy: what mends a replica, or what a person wants.
    pub fn apart(agent: AgentId, snapshot: &Snapshot, action: Action, reason: Reason) -> Self {
        let placement = &snapshot.placement;
        let goal = snapshot.agents.get(&agent).map(|peer| peer.registration.goal.clone());
        let read = placement.reference(agent).map(|replica| replica.node);
        Self {
            policy: "none".to_owned(),
            agent,
            goal: goal.unwrap_or_default(),
            violated: Vec::new(),
            measured: Metrics::default(),
            reference_node: read.or(action.from_node()).unwrap_or(agent.home()),
            replica_nodes: placement.nodes().into_iter().collect(),
            chosen: Choice { action, reason },
            scored: Vec::new(),
            left_out: 0,
            forecasts: BTreeMap::new(),
            work_forecasts: BTreeMap::new(),
            deliberation: None,
            clairvoyance: None,
            price: price(snapshot, agent, action),
        }
    }

    /// The reason in one line, for people.
    pub fn because(&self) -> String {
        let candidates = self.candidates();
        match self.chosen.reason {
            Reason::HighestScore { global } => format!("scores highest ({global:+.2}) of {candidates} candidates"),
            Reason::Explored => format!("explored: taken at random of {candidates} candidates"),
            Reason::NothingFeasible => format!("none of {candidates} candidates is feasible"),
            Reason::Planned { gain } => {
                format!("a step towards replicas on nodes {}, worth {gain:+.3} to all", self.planned())
            }
            Reason::Better { gain } if self.chosen.action.work_node().is_some() => {
                format!("running there suits this agent better ({gain:+.3})")
            }
            Reason::Better { gain } => format!("that replica suits this agent better ({gain:+.3})"),
            Reason::Idle => "nobody reads that replica any more".to_owned(),
            Reason::Agreed { yes: 0, votes: 0 } => "nobody else is there to be asked".to_owned(),
            Reason::Agreed { yes, votes } => format!("{yes} of {votes} peers agreed"),
            Reason::Foreknown { step, steps } => format!("step {step} of {steps} to the best placement"),
            Reason::Damaged => "the replica there is damaged".to_owned(),
            Reason::Outdated if matches!(self.chosen.action, Action::Evict { .. }) => {
                "a newer version was written, and there is no room for both".to_owned()
            }
            Reason::Outdated => "a newer version was written, and its replica follows".to_owned(),
            Reason::Demanded => "the constraints demand a replica there".to_owned(),
            Reason::Person => "a person wants it".to_owned(),
            Reason::External => "it was ordered from outside".to_owned(),
        }
    }

    fn planned(&self) -> String {
        let nodes = self.deliberation.iter().flat_map(|deliberation| &deliberation.plan);
        nodes.map(ToString::to_string).collect::<Vec<_>>().join(", ")
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
    /// The score of what is not feasible.
    pub const INFEASIBLE: f64 = f64::NEG_INFINITY;

    /// What decides.
    pub fn global(&self) -> f64 {
        match self.verdict {
            Verdict::Feasible { global, .. } => global,
            Verdict::Valued { score, .. } => score,
            Verdict::Infeasible { .. } => Self::INFEASIBLE,
        }
    }

    fn is_predicted(&self) -> bool {
        matches!(self.verdict, Verdict::Feasible { basis: Basis::Predicted, .. })
    }
}

/// The best candidates and the chosen one, in the order given.
pub(super) fn listed(candidates: &[(Action, f64)], chosen: Action) -> Vec<Action> {
    // Best first, of equals the earlier. Few of thousands ever get in, so that most cost one comparison.
    let mut best: Vec<(f64, usize)> = Vec::with_capacity(LISTED + 1);
    for (index, (_, global)) in candidates.iter().enumerate() {
        let is_no_better = |other: &(f64, usize)| other.0.total_cmp(global).is_ge();
        if best.len() < LISTED || !best.last().is_some_and(is_no_better) {
            best.insert(best.partition_point(is_no_better), (*global, index));
            best.truncate(LISTED);
        }
    }
    let mut listed: Vec<usize> = best.into_iter().map(|(_, index)| index).collect();
    listed.sort_unstable();
    let mut listed: Vec<Action> = listed.into_iter().map(|index| candidates[index].0).collect();
    if !listed.contains(&chosen) {
        listed.push(chosen);
    }
    listed
}

fn forecasts(situation: &Situation, scored: &[Scored]) -> BTreeMap<NodeId, Forecast> {
    let nodes = scored.iter().filter(|one| one.is_predicted()).filter_map(|one| one.action.to_node());
    nodes.filter_map(|node| Some((node, situation.forecast(node)?))).collect()
}

fn work_forecasts(situation: &Situation, scored: &[Scored]) -> BTreeMap<NodeId, Forecast> {
    let (seat, reads) = (situation.seat(), situation.reference.node);
    let forecast = |node| Some((node, situation.forecast_from(Seat { node, ..seat }, reads)?));
    scored.iter().filter_map(|one| one.action.work_node()).filter_map(forecast).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Experience, Fixed, decide};
    use super::*;
    use crate::domain::flat_map::FlatMap;
    use crate::domain::link_table::LinkTable;
    use crate::domain::metric::Metric;
    use crate::domain::placement::{Link, Node};
    use crate::domain::snapshot::Snapshot;
    use crate::mape::scene;

    /// What the three-node scene's agent 1 decides when it reads at node 3 and `more` nodes were added since it was trained, each
    /// with a link of 100 ms.
    fn decided(more: u32) -> Decision {
        let mut snapshot = scene::snapshot(&[3], &[(1, 1)]);
        let (mut nodes, mut links) = (FlatMap::clone(&snapshot.nodes), Vec::from([(2, 1000.0), (3, 1500.0)].map(link)));
        for id in 4..4 + more {
            nodes.insert(NodeId(id), Node { id: NodeId(id), ..nodes[&NodeId(1)].clone() });
            links.extend([link((id, 100.0))]);
        }
        (snapshot.nodes, snapshot.links) = (nodes.into(), links.into_iter().collect::<LinkTable>().into());
        decide_on(&snapshot)
    }

    fn link((to, latency_ms): (u32, f64)) -> Link {
        let (from, to) = (NodeId(1), NodeId(to));
        Link { from, to, latency_ms, jitter_ms: 0.0 }
    }

    fn decide_on(snapshot: &Snapshot) -> Decision {
        let trained = scene::experience(&[("M3_1", 0.3), ("C3_1", 0.3), ("M3_2", 0.1), ("C3_2", 0.1)]);
        let experience = Experience { predictor: scene::predictor(), ..trained };
        let (parameters, measured) = (scene::parameters("response_time <= 35 s"), scene::slow());
        let reference = snapshot.placement.reference(parameters.agent).unwrap();
        decide(&Fixed, &Situation::new(&parameters, &experience, &measured, reference, snapshot), &mut scene::rng())
    }

    fn basis(decision: &Decision, label: &str) -> Basis {
        let scored = decision.scored.iter().find(|one| one.action == label.parse().unwrap()).unwrap();
        let Verdict::Feasible { basis, .. } = scored.verdict else { panic!("{scored:?}") };
        basis
    }

    #[test]
    fn an_added_node_is_chosen_on_a_prediction_that_the_decision_shows() {
        let decision = decided(1);
        assert_eq!(decision.chosen.action, "M3_4".parse().unwrap());
        assert_eq!(basis(&decision, "M3_4"), Basis::Predicted);
        assert_eq!(
            basis(&decision, "M3_1"),
            Basis::Known,
            "what was trained stays, though a prediction would be better"
        );
        let forecast = decision.forecasts[&NodeId(4)].get(Metric::ResponseTime).unwrap();
        assert!((forecast.mean - 5.0).abs() < 1e-6 && forecast.deviation < 1e-6, "{forecast:?}");
        assert_eq!(decision.forecasts.len(), 1);
    }

    #[test]
    fn of_many_candidates_the_best_are_listed() {
        let decision = decided(200);
        assert_eq!((decision.candidates(), decision.scored.len()), (1 + 2 * 202, LISTED));
        let lowest = decision.scored.iter().map(Scored::global).fold(f64::INFINITY, f64::min);
        assert!(lowest > 0.3 / 1.5, "the trained ones score less: {lowest}");
        assert!(decision.scored.iter().any(|one| one.action == decision.chosen.action));
    }

    #[test]
    fn what_was_chosen_is_listed_however_low_it_scores() {
        let candidates: Vec<(Action, f64)> =
            (1..=100).map(|node| (Action::Evict { node: NodeId(node) }, f64::from(node))).collect();
        let listed = listed(&candidates, candidates[0].0);
        assert_eq!(listed.len(), LISTED + 1);
        assert_eq!((listed[0], listed[LISTED]), (candidates[100 - LISTED].0, candidates[0].0));
    }

    #[test]
    fn decisions_of_versions_without_predictions_are_read() {
        let mut written: serde_json::Value = serde_json::from_str(&decided(0).to_json()).unwrap();
        for key in ["left_out", "forecasts"] {
            written.as_object_mut().unwrap().remove(key);
        }
        for scored in written["scored"].as_array_mut().unwrap() {
            scored["verdict"]["feasible"].as_object_mut().unwrap().remove("basis");
        }
        let read: Decision = serde_json::from_value(written).unwrap();
        assert_eq!(read, decided(0));
    }
}
