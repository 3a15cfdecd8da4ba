//! Agents whose jobs read several data sets. Each data set is a problem of its own, with the others where they are taken to be read;
//! what that comes to is where they are taken to be next, until nothing moves any more.
//!
//! It begins where they are, and once more with everything at everybody's home: what takes a step on each of two data sets is no gain
//! from where they are. The better end counts. No placement of all data sets together is searched for, so there may be a better one.

use super::problem::{Problem, WHOLE};
use super::search::{Best, best};
use super::truth::Beside;
use crate::config::scenario::{Physics, Scenario};
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::placement;
use crate::domain::snapshot::Snapshot;
use crate::sim::faults::Damage;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// So often it is solved again at most (I-7).
const ROUNDS: usize = 6;

/// What the agents that read one data set read besides.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Elsewhere(BTreeMap<AgentId, Others>);

/// Of one agent.
#[derive(Clone, PartialEq, Debug)]
pub struct Others {
    pub beside: Beside,
    pub records: u64,
    /// Of the least consistent.
    pub consistency: f64,
    /// One of them cannot be read.
    pub cut_off: bool,
    /// What their nodes declare \[%\].
    availability: BTreeMap<NodeId, f64>,
}

impl Others {
    /// That all of them are there, and what is read at this node, too \[%\].
    pub fn available_with(&self, node: NodeId, availability: f64) -> f64 {
        let others = self.availability.iter().filter(|(other, _)| **other != node);
        others.fold(availability, |all, (_, other)| all * other / 100.0)
    }
}

impl Elsewhere {
    pub fn of(&self, agent: AgentId) -> Option<&Others> {
        self.0.get(&agent)
    }
}

/// One data set with its best placement.
pub struct Solved {
    pub problem: Problem,
    pub best: Best,
}

/// Where each agent is taken to read each data set, and how many replicas of it there are.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Assumed {
    reads: BTreeMap<(AgentId, DataSetName), NodeId>,
    replicas: BTreeMap<DataSetName, usize>,
}

impl Assumed {
    /// As it is.
    pub fn of(snapshots: &[Snapshot]) -> Self {
        let mut assumed = Self::default();
        for snapshot in snapshots {
            let (name, placement) = (&snapshot.data_set.name, &snapshot.placement);
            assumed.replicas.insert(name.clone(), placement.present().count());
            let reads = placement.references.keys().filter_map(|it| Some((*it, placement.reference(*it)?.node)));
            assumed.reads.extend(reads.map(|(agent, node)| ((agent, name.clone()), node)));
        }
        assumed
    }

    /// Everything at everybody's home.
    fn at_home(scenario: &Scenario, snapshots: &[Snapshot]) -> Self {
        let mut assumed = Self::of(snapshots);
        let home = |agent: &AgentId| scenario.agents.get(agent).map(|settings| settings.node);
        assumed.reads.iter_mut().for_each(|((agent, _), node)| *node = home(agent).unwrap_or(*node));
        assumed
    }

    /// What was found best.
    fn found(&mut self, name: &DataSetName, best: &Best) {
        self.replicas.insert(name.clone(), best.replicas.len());
        self.reads.extend(best.reads.iter().map(|(agent, node)| ((*agent, name.clone()), *node)));
    }

    /// For the readers of one data set.
    pub fn elsewhere(
        &self,
        scenario: &Scenario,
        snapshots: &[Snapshot],
        damage: &Damage,
        name: &DataSetName,
    ) -> Elsewhere {
        let several = scenario.agents.values().filter(|agent| agent.data_sets.len() > 1 && agent.reads(name));
        let physics: BTreeMap<&DataSetName, Physics> = match several.clone().next() {
            Some(_) => snapshots.iter().map(|it| (&it.data_set.name, scenario.physics_of(&it.data_set.name))).collect(),
            None => BTreeMap::new(),
        };
        let others = several.map(|agent| {
            let mut others = Others {
                beside: Beside::default(),
                records: 0,
                consistency: 1.0,
                cut_off: false,
                availability: BTreeMap::new(),
            };
            let rest = snapshots.iter().filter(|it| it.data_set.name != *name && agent.reads(&it.data_set.name));
            for snapshot in rest {
                let other = &snapshot.data_set.name;
                let node = self.reads.get(&(agent.id, other.clone())).copied();
                let link = node.and_then(|node| snapshot.link(agent.node, node));
                let (Some(node), Some(link)) = (node, link) else {
                    others.cut_off = true;
                    continue;
                };
                others.cut_off |= damage.between(agent.node, node).is_some();
                others.beside.add(&physics[other], link, damage.slowness(node));
                others.records += snapshot.data_set.records;
                let replicas = self.replicas.get(other).copied().unwrap_or(1);
                let consistency = placement::consistency(replicas, scenario.network.learning.max_copies);
                others.consistency = others.consistency.min(consistency);
                let availability = snapshot.nodes.get(&node).map_or(0.0, |node| node.availability.value());
                others.availability.insert(node, availability);
            }
            (agent.id, others)
        });
        Elsewhere(others.collect())
    }
}

/// How a data set becomes a problem: in the scenario as if it were alone, with the bytes that the ones before it will have on each
/// node, and with what its readers read besides.
pub type Pose<'p> = dyn Fn(&Scenario, &Snapshot, &BTreeMap<NodeId, u64>, &Elsewhere) -> Option<Problem> + 'p;

/// The best placement of every data set; `None` for one that nobody reads.
pub fn solve(scenario: &Scenario, snapshots: &[Snapshot], damage: &Damage, pose: &Pose<'_>) -> Vec<Option<Solved>> {
    let alone: Vec<_> = snapshots.iter().map(|snapshot| scenario.of(&snapshot.data_set.name)).collect();
    let round = |assumed: &mut Assumed| {
        // One data set after the other: what is brought for the ones before takes room.
        let mut reserved: BTreeMap<NodeId, u64> = BTreeMap::new();
        let one = |(snapshot, alone): (&Snapshot, &Cow<'_, Scenario>)| {
            let name = &snapshot.data_set.name;
            let elsewhere = assumed.elsewhere(scenario, snapshots, damage, name);
            let problem = pose(alone, snapshot, &reserved, &elsewhere)?;
            let best = best(&problem);
            for to in best.steps.iter().filter(|step| step.action.transfers()).filter_map(|step| step.action.to_node())
            {
                let on_node = reserved.entry(to).or_default();
                *on_node = on_node.saturating_add(snapshot.data_set.bytes);
            }
            assumed.found(name, &best);
            Some(Solved { problem, best })
        };
        snapshots.iter().zip(&alone).map(one).collect::<Vec<_>>()
    };
    let settled = |mut assumed: Assumed| {
        let mut solved = round(&mut assumed);
        for _ in 1..ROUNDS {
            let before = assumed.clone();
            solved = round(&mut assumed);
            if assumed == before {
                break;
            }
        }
        solved
    };
    let as_it_is = Assumed::of(snapshots);
    if scenario.agents.values().all(|agent| agent.data_sets.len() < 2) {
        return round(&mut { as_it_is });
    }
    let [from_here, from_home] = [as_it_is, Assumed::at_home(scenario, snapshots)].map(settled);
    if worth(&from_home) < worth(&from_here) { from_home } else { from_here }
}

/// The shares of all agents together, each once \[millionths\], and what the way there costs \[thousandths\]; less is better.
fn worth(solved: &[Option<Solved>]) -> (u64, u64) {
    let mut shares: BTreeMap<AgentId, u32> = BTreeMap::new();
    let mut cost = 0.0;
    for Solved { problem, best } in solved.iter().flatten() {
        cost += best.cost;
        let seated = problem.seated(&best.choice);
        for (position, agent) in problem.agents.iter().enumerate() {
            let node = best.reads.get(agent).and_then(|node| problem.nodes.binary_search(node).ok());
            let share = node.map_or(WHOLE, |node| seated.share(position, node, best.replicas.len()));
            // Where it has not settled, the data sets of an agent differ in what is assumed of the others.
            let known = shares.entry(*agent).or_default();
            *known = share.max(*known);
        }
    }
    (shares.into_values().map(u64::from).sum(), (cost * 1e3) as u64)
}
