//! Copies to where the data is needed, kept for a while after the last use. Nothing is ever moved.
//!
//! Source: the deterministic online algorithm for replication with storage and transfer costs (Zuo, Tang, Lee, Cai, *On
//! competitiveness of dynamic replication for distributed data access*, arXiv 2510.24098, and what it builds on): a request is
//! served by a copy that exists, or by a transfer, which leaves a copy; a copy is dropped when it was not used for so long that
//! holding it has cost as much as the transfer (as who rents skis buys them); the last one stays.
//!
//! * A **request** is a job. It is served if it meets the goal; one that does not is helped by another copy that exists, else by
//!   a new one at the node where the agent is most content, its own if that is one of the best.
//! * A copy is **in use** as long as somebody reads it, for jobs come again and again.
//! * The **holding time** is the cost of a copy over [`PRICE_PER_S`] and what its refreshes cost where its owner goes on writing. Whose node the copy lies on drops it; where no agent lives,
//!   the living agent of the lowest number.

use super::candidates::candidates;
use super::foresight::Foresight;
use super::{Choice, Decider, Decision, Intent, Parameters, Policy, Reason, Rng, Scored, Scoring, Situation, Verdict};
use super::{View, decide};
use crate::domain::action::{Action, ActionType};
use crate::domain::ids::{NodeId, ReplicaId};
use crate::domain::measurement::Measurement;
use crate::domain::metric::Metrics;
use crate::domain::placement::Replica;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::mape::monitor::Repair;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What holding a copy costs for each second: as much as transferring it after a minute and a half, where a copy costs 1.8.
pub const PRICE_PER_S: f64 = 0.02;
/// By how much an action must make the agent more content, 0 to 1.
pub const MARGIN: f64 = 0.05;
/// What could not be dropped is tried again after this.
const AGAIN: Duration = Duration::from_secs(10);

pub struct KeepCopy;

impl Policy for KeepCopy {
    fn name(&self) -> &'static str {
        "keep-copy"
    }

    fn decider(&self, parameters: &Arc<Parameters>, _: &str) -> Box<dyn Decider> {
        let copy = parameters.cost(ActionType::Copy).max(0.0);
        Box::new(Keeper { copy, measured: None, unused: BTreeMap::new(), is_acting: false })
    }

    fn looks(&self) -> bool {
        true
    }
}

/// What an agent remembers.
#[derive(Debug)]
struct Keeper {
    /// What a copy costs.
    copy: f64,
    /// By the last job.
    measured: Option<Metrics>,
    /// Since when nobody was seen to read a copy.
    unused: BTreeMap<ReplicaId, Timestamp>,
    is_acting: bool,
}

impl Decider for Keeper {
    fn missed(&mut self, situation: &Situation, rng: &mut Rng) -> Vec<Intent> {
        // The end of what it is doing lets the next job begin, too.
        if self.is_acting {
            return Vec::new();
        }
        self.act(decide(&Serve, situation, rng))
    }

    fn measured(&mut self, measurement: &Measurement, _: bool) {
        self.measured = Some(measurement.metrics);
    }

    fn looked(&mut self, view: &View, _: &mut Rng) -> Vec<Intent> {
        self.look_for_unused(view.snapshot);
        let (Some(measured), false) = (self.measured, self.is_acting) else { return Vec::new() };
        let Some(reference) = view.snapshot.placement.reference(view.parameters.agent) else { return Vec::new() };
        let mut intents = Vec::new();
        if let Some(node) = self.overdue(view) {
            let situation = Situation::new(view.parameters, view.experience, &measured, reference, view.snapshot);
            let choice = Choice { action: Action::Evict { node }, reason: Reason::Idle };
            intents = self.act(Decision::new(KeepCopy.name(), &situation, Vec::new(), 0, choice));
        }
        let next = self.unused.values().min().map(|since| *since + self.held(view.snapshot));
        intents.extend(next.filter(|at| *at > view.now()).map(|at| Intent::Look { after: at.since(view.now()) }));
        intents
    }

    fn ended(&mut self, repair: Repair, _: &mut Rng) -> Vec<Intent> {
        self.is_acting = false;
        match repair {
            Repair::Acted => vec![Intent::Over(repair)],
            Repair::Lost | Repair::Nothing | Repair::NotNow => {
                vec![Intent::Over(repair), Intent::Look { after: AGAIN }]
            }
        }
    }
}

impl Keeper {
    fn act(&mut self, decision: Decision) -> Vec<Intent> {
        self.is_acting = true;
        vec![Intent::Act(decision)]
    }

    /// How long a copy is kept that nobody uses: until holding it, and refreshing it as often as its owner wrote until now, has cost
    /// as much as making it anew.
    fn held(&self, snapshot: &Snapshot) -> Duration {
        let data_set = &snapshot.data_set;
        let fetched = data_set.versions.expected_bytes(Duration::from_secs(1), snapshot.at);
        let refreshes = self.copy * fetched / data_set.bytes.max(1) as f64;
        Duration::from_secs_f64(self.copy / (PRICE_PER_S + refreshes))
    }

    fn look_for_unused(&mut self, snapshot: &Snapshot) {
        let placement = &snapshot.placement;
        let is_unused = |replica: &&Replica| placement.readers(replica.id).next().is_none();
        let before = std::mem::take(&mut self.unused);
        let since = |replica: &Replica| before.get(&replica.id).copied().unwrap_or(snapshot.at);
        self.unused = placement.present().filter(is_unused).map(|replica| (replica.id, since(replica))).collect();
    }

    /// A copy that this agent has to drop by now. The last one has a reader, or stays.
    fn overdue(&self, view: &View) -> Option<NodeId> {
        let placement = &view.snapshot.placement;
        let is_last = placement.present().count() < 2;
        let held = self.held(view.snapshot);
        let overdue = self.unused.iter().filter(|(_, since)| view.now().since(**since) >= held);
        let mut nodes = overdue.filter_map(|(replica, _)| Some(placement.replicas.get(replica)?.node));
        let lives = |agent| view.snapshot.is_alive(agent, view.parameters.silence);
        nodes.find(|node| !is_last && view.snapshot.keeper(*node, lives) == Some(view.parameters.agent))
    }
}

/// How a request is served that the copy it reads does not serve.
struct Serve;

impl Scoring for Serve {
    fn name(&self) -> &'static str {
        KeepCopy.name()
    }

    fn candidates(&self, situation: &Situation) -> Vec<Action> {
        let mut all = candidates(situation.snapshot, situation.parameters, situation.reference);
        all.retain(|action| matches!(action, Action::Copy { .. } | Action::ChangeReference { .. }));
        all
    }

    /// How content to one digit; among equals, a copy that exists first, then the own node, then what is more available.
    fn score(&self, situation: &Situation, action: Action) -> Scored {
        let (foresight, reads) = (Foresight::of(situation), situation.reference.node);
        let level = foresight.level_after(action, reads);
        if level < foresight.level_at(reads) + MARGIN {
            let why = format!("content to {level:.2} then, which is no better");
            return Scored { action, verdict: Verdict::Infeasible { why } };
        }
        let exists = matches!(action, Action::ChangeReference { .. });
        let is_home = action.to_node() == Some(situation.parameters.home);
        let node = action.to_node().and_then(|node| situation.snapshot.nodes.get(&node));
        let availability = node.map_or(0.0, |node| node.availability.value() / 100.0);
        let among_equals =
            0.04 * f64::from(u8::from(exists)) + 0.02 * f64::from(u8::from(is_home)) + 0.01 * availability;
        let score = (10.0 * level).round() / 10.0 + among_equals;
        Scored { action, verdict: Verdict::Valued { value: level, trials: 0, score } }
    }

    fn exploration(&self, _: &Parameters) -> f64 {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::AgentId;
    use crate::domain::placement::ReplicaState;
    use crate::mape::planner::Experience;
    use crate::mape::scene::{self, NOW};

    const GOAL: &str = "response_time <= 45 s";

    fn experience() -> Experience {
        Experience { predictor: scene::predictor(), ..Experience::default() }
    }

    fn keeper(agent: u32) -> (Box<dyn Decider>, Parameters) {
        let parameters = Parameters { agent: AgentId(agent), home: NodeId(agent), ..scene::parameters(GOAL) };
        let mut decider = KeepCopy.decider(&Arc::new(parameters.clone()), "life");
        decider.measured(&scene::measurement(agent, 2.0), true);
        (decider, parameters)
    }

    /// What agent 1 does that reads at the first of these nodes. It would be content at nodes 1 and 2.
    fn served(nodes: &[u32], goal: &str) -> String {
        let snapshot = scene::inhabited(scene::snapshot(nodes, &[(1, 1)]), 1);
        let (parameters, experience, measured) = (scene::parameters(goal), experience(), scene::slow());
        let reference = snapshot.placement.reference(parameters.agent).unwrap();
        let situation = Situation::new(&parameters, &experience, &measured, reference, &snapshot);
        let mut decider = KeepCopy.decider(&Arc::new(parameters.clone()), "life");
        let intents = decider.missed(&situation, &mut scene::rng());
        let [Intent::Act(decision)] = intents.as_slice() else { panic!("{intents:?}") };
        assert_eq!(decider.missed(&situation, &mut scene::rng()), [], "one action at a time");
        decision.chosen.action.to_string()
    }

    #[test]
    fn what_exists_is_read_and_else_the_own_node_gets_a_copy() {
        assert_eq!(served(&[3], GOAL), "C3_1");
        assert_eq!(served(&[3, 2], GOAL), "CR2");
        assert_eq!(served(&[3, 2], "response_time <= 35 s"), "C3_1");
        assert_eq!(served(&[3, 2, 1], GOAL), "CR1");
    }

    #[test]
    fn what_a_copy_does_not_mend_is_left() {
        assert_eq!(served(&[3], "response_time <= 0.5 s"), "NA");
        assert_eq!(served(&[1, 2], "data_consistency >= 0.9"), "NA");
    }

    /// Agents 1 and 2 live, `seconds` after copies on these nodes were first seen without a reader (but the first); what agent
    /// `me` drops.
    fn dropped(me: u32, nodes: &[u32], reads: &[(u32, i64)], seconds: u64) -> Option<String> {
        let (mut decider, parameters) = keeper(me);
        let mut snapshot = scene::inhabited(scene::snapshot(nodes, reads), 2);
        let experience = experience();
        let mut look = |snapshot: &Snapshot| {
            let view = View { parameters: &parameters, experience: &experience, snapshot, conversation: &[] };
            decider.looked(&view, &mut scene::rng())
        };
        let first = look(&snapshot);
        assert!(!first.iter().any(|intent| matches!(intent, Intent::Act(_))), "{first:?}");
        snapshot.at = NOW + Duration::from_secs(seconds);
        snapshot = scene::inhabited(snapshot, 2);
        let intents = look(&snapshot);
        intents.iter().find_map(|intent| match intent {
            Intent::Act(decision) => Some(decision.chosen.action.to_string()),
            _ => None,
        })
    }

    #[test]
    fn a_copy_without_a_reader_is_held_for_what_it_cost() {
        // 1.8 / 0.02 = 90 s.
        let reads = [(1, 1), (2, 1)];
        assert_eq!(dropped(2, &[1, 2], &reads, 89), None);
        assert_eq!(dropped(2, &[1, 2], &reads, 90).as_deref(), Some("E2"));
        assert_eq!(dropped(2, &[1, 2], &[(1, 1), (2, 2)], 1000), None, "it is read");
    }

    #[test]
    fn the_agent_of_the_node_drops_it_and_where_none_lives_the_first() {
        let reads = [(1, 1), (2, 1)];
        assert_eq!(dropped(1, &[1, 2], &reads, 90), None);
        assert_eq!(dropped(1, &[1, 3], &reads, 90).as_deref(), Some("E3"));
        assert_eq!(dropped(2, &[1, 3], &reads, 90), None);
    }

    #[test]
    fn the_end_of_the_holding_time_is_looked_at() {
        let (mut decider, parameters) = keeper(2);
        let snapshot = scene::inhabited(scene::snapshot(&[1, 2], &[(1, 1), (2, 1)]), 2);
        let experience = experience();
        let view = View { parameters: &parameters, experience: &experience, snapshot: &snapshot, conversation: &[] };
        let intents = decider.looked(&view, &mut scene::rng());
        assert_eq!(intents, [Intent::Look { after: Duration::from_secs(90) }]);
        let failed = decider.ended(Repair::Lost, &mut scene::rng());
        assert_eq!(failed, [Intent::Over(Repair::Lost), Intent::Look { after: AGAIN }]);
    }

    #[test]
    fn the_last_copy_stays_even_where_nobody_reads_it() {
        let mut snapshot = scene::inhabited(scene::snapshot(&[1, 2], &[(1, 1), (2, 1)]), 2);
        // What agents read is changed, and the other one is the last that is intact.
        snapshot.placement.replicas.get_mut(&ReplicaId(1)).unwrap().state = ReplicaState::Changed;
        let (mut decider, parameters) = keeper(2);
        let experience = experience();
        for seconds in [0, 1000] {
            snapshot.at = NOW + Duration::from_secs(seconds);
            snapshot = scene::inhabited(snapshot, 2);
            let view =
                View { parameters: &parameters, experience: &experience, snapshot: &snapshot, conversation: &[] };
            let intents = decider.looked(&view, &mut scene::rng());
            assert!(!intents.iter().any(|intent| matches!(intent, Intent::Act(_))), "{intents:?}");
        }
    }

    #[test]
    fn one_action_follows_the_end_of_another() {
        let snapshot = scene::inhabited(scene::snapshot(&[3], &[(1, 1)]), 1);
        let (parameters, experience, measured) = (scene::parameters(GOAL), experience(), scene::slow());
        let reference = snapshot.placement.reference(parameters.agent).unwrap();
        let situation = Situation::new(&parameters, &experience, &measured, reference, &snapshot);
        let mut decider = KeepCopy.decider(&Arc::new(parameters.clone()), "life");
        for repair in [Repair::Acted, Repair::Lost, Repair::Nothing, Repair::NotNow] {
            let intents = decider.missed(&situation, &mut scene::rng());
            assert!(matches!(intents.as_slice(), [Intent::Act(_)]), "{intents:?}");
            decider.ended(repair, &mut scene::rng());
        }
    }
}
