//! What the oracle solves: where the replicas of a data set should lie and who should read which.

use super::super::writes;
use super::elsewhere::Elsewhere;
use super::truth::{Odds, Place};
use super::windows::Windows;
use crate::config::scenario::Scenario;
use crate::config::settings::AgentSettings;
use crate::domain::action::ActionType;
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::metric::Metric;
use crate::domain::placement::{Node, NodeState};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::sim::faults::Damage;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Shares of jobs are counted in millionths, so that equal ones are equal.
pub const WHOLE: u32 = 1_000_000;

/// Nodes and agents by their position from here on.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    pub nodes: Vec<NodeId>,
    /// At least one, each reading a node that holds a replica.
    pub agents: Vec<AgentId>,
    /// The node that each agent lives on, where it is known.
    pub homes: Vec<Option<usize>>,
    /// The node that each agent reads now.
    pub reads: Vec<usize>,
    /// The nodes that hold a replica now, ascending.
    pub holders: Vec<usize>,
    /// For each holder the nodes that its bytes can be brought to.
    pub ways: Vec<Vec<bool>>,
    /// Whether a node may hold a replica: it does now, or has room and can be reached.
    pub open: Vec<bool>,
    /// Whether a node holds a replica that has to stay.
    pub kept: Vec<bool>,
    /// How many replicas there may be, at least and at most.
    pub sizes: (usize, usize),
    /// Expected shares of violated jobs \[millionths\] with one replica, with two, ...; with more than there are lists for the
    /// last one counts. Each by agent and node: see [`Problem::share`].
    pub shares: Vec<Vec<u32>>,
    /// For each agent where else its jobs could run.
    pub others: Vec<Vec<OtherSeat>>,
    pub prices: Prices,
}

/// A node where an agent's jobs do not run, and could.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OtherSeat {
    pub node: NodeId,
    /// Its shares there: as [`Problem::shares`], by node.
    pub shares: Vec<Vec<u32>>,
}

/// For each agent which of its other seats its jobs move to, if they move.
pub type Choice = Vec<Option<usize>>;

/// What actions cost \[thousandths\], the mean of what the agents state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prices {
    pub moved: u64,
    pub copied: u64,
    pub changed: u64,
    pub evicted: u64,
    /// Of work that moves.
    pub worked: u64,
}

/// What is compared, the most important first; less is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Value {
    /// Of all agents together \[millionths\].
    pub share: u64,
    /// \[thousandths\]
    pub cost: u64,
    pub replicas: usize,
}

/// Where replicas lie, who reads where, and where jobs run.
struct Present<'a> {
    holders: BTreeSet<NodeId>,
    reads: BTreeMap<AgentId, NodeId>,
    seat: &'a dyn Fn(&AgentSettings) -> NodeId,
}

impl Problem {
    /// From the placement as it is, with what is broken now; `reserved` are bytes that will lie on nodes besides what lies there.
    /// `None` where nobody reads anything.
    pub fn now(
        scenario: &Scenario,
        snapshot: &Snapshot,
        damage: &Damage,
        reserved: &BTreeMap<NodeId, u64>,
        elsewhere: &Elsewhere,
    ) -> Option<Self> {
        let placement = &snapshot.placement;
        let reads = placement.references.keys().filter_map(|agent| Some((*agent, placement.reference(*agent)?.node)));
        // Whoever is down is known at once, and not when it has fallen silent.
        let is_there = |agent: &AgentSettings, node: NodeId| damage.no_work_on(agent.node, node).is_none();
        let seat = |agent: &AgentSettings| {
            let runs_at = snapshot.agents.get(&agent.id).map(|peer| peer.seat().node);
            runs_at.filter(|node| is_there(agent, *node)).unwrap_or(agent.node)
        };
        let present = Present { holders: placement.nodes(), reads: reads.collect(), seat: &seat };
        let has_room = |node: NodeId| {
            let Some(capacity) = snapshot.nodes.get(&node).and_then(|node| node.capacity_bytes) else { return true };
            let taken = |bytes: &BTreeMap<NodeId, u64>| bytes.get(&node).copied().unwrap_or(0);
            let stored = taken(&snapshot.stored_bytes).saturating_add(taken(reserved));
            stored.saturating_add(snapshot.data_set.bytes) <= capacity
        };
        Self::new(scenario, snapshot, damage, present, &has_room, elsewhere)
    }

    /// From the placement at the scenario's start, in the network as it is now with nothing broken. `None` where nobody reads
    /// anything. What constraints demanded and is there by now is there from the start: no placement can do without it.
    pub fn from_start(scenario: &Scenario, snapshot: &Snapshot, elsewhere: &Elsewhere) -> Option<Self> {
        let (constraints, present) = (&snapshot.data_set.guard.constraints, snapshot.placement.nodes());
        let mut holders = &scenario.placed_of(&snapshot.data_set.name) | &(&constraints.must & &present);
        let fewer = (constraints.min_replicas.unwrap_or(0) as usize).saturating_sub(holders.len());
        let others: Vec<NodeId> = present.difference(&holders).copied().take(fewer).collect();
        holders.extend(others);
        let latency = |from: NodeId, to: NodeId| snapshot.link(from, to).map_or(f64::INFINITY, |link| link.latency_ms);
        let nearest = |agent: &AgentId| {
            let home = scenario.agents.get(agent)?.node;
            let read = holders.iter().min_by(|a, b| latency(home, **a).total_cmp(&latency(home, **b)))?;
            Some((*agent, *read))
        };
        let reads = snapshot.placement.references.keys().filter_map(nearest).collect();
        let bytes = snapshot.data_set.bytes;
        // Other data sets keep what they take.
        let of_others = |node: NodeId| {
            let own = snapshot.placement.replicas.values().filter(|row| row.node == node).count() as u64;
            snapshot.stored_bytes.get(&node).map_or(0, |stored| stored.saturating_sub(own.saturating_mul(bytes)))
        };
        let has_room = |node: NodeId| {
            let capacity = snapshot.nodes.get(&node).and_then(|node| node.capacity_bytes);
            capacity.is_none_or(|capacity| of_others(node).saturating_add(bytes) <= capacity)
        };
        let present = Present { holders, reads, seat: &|agent| agent.node };
        Self::new(scenario, snapshot, &Damage::default(), present, &has_room, elsewhere)
    }

    fn new(
        scenario: &Scenario,
        snapshot: &Snapshot,
        damage: &Damage,
        present: Present<'_>,
        has_room: &dyn Fn(NodeId) -> bool,
        elsewhere: &Elsewhere,
    ) -> Option<Self> {
        let nodes: Vec<NodeId> = snapshot.nodes.keys().copied().collect();
        let position = |node: &NodeId| nodes.binary_search(node).ok();
        let holders: Vec<usize> = present.holders.iter().filter_map(position).collect();
        let readers =
            present.reads.iter().filter_map(|(agent, read)| Some((scenario.agents.get(agent)?, position(read)?)));
        let (settings, reads): (Vec<&AgentSettings>, Vec<usize>) = readers.unzip();
        if settings.is_empty() {
            return None;
        }
        let way =
            |from: usize, to: usize| [from, to].iter().all(|store| damage.between(nodes[to], nodes[*store]).is_none());
        let all = 0..nodes.len();
        let ways: Vec<Vec<bool>> =
            holders.iter().map(|holder| all.clone().map(|to| way(*holder, to)).collect()).collect();
        let constraints = &snapshot.data_set.guard.constraints;
        let takes = |node: usize| {
            let may = |node: &&Node| node.state != NodeState::Leaving && constraints.bars(node).is_none();
            snapshot.nodes.get(&nodes[node]).filter(may).is_some()
                && has_room(nodes[node])
                && snapshot.affords_one_on(nodes[node])
                && ways.iter().any(|ways| ways[node])
        };
        let open = all.clone().map(|node| holders.contains(&node) || takes(node)).collect();
        let kept = all.map(|node| holders.contains(&node) && constraints.holds(nodes[node]).is_some()).collect();
        let fewest = constraints.min_replicas.map_or(1, |least| (least as usize).clamp(1, holders.len()));
        // Of those that nodes of `must` are still to get, each takes a place.
        let lacking = constraints.must.difference(&present.holders).count();
        let most = |most: u32| (most as usize).saturating_sub(lacking).max(holders.len());
        let most = constraints.max_replicas.map_or(usize::MAX, most);
        let odds = Shares { scenario, snapshot, damage, agents: &settings, nodes: &nodes, elsewhere };
        let others = |agent: &&AgentSettings| odds.other_seats(agent, (present.seat)(agent));
        Some(Self {
            shares: odds.of(&settings.iter().map(|agent| (*agent, (present.seat)(agent))).collect::<Vec<_>>()),
            others: settings.iter().map(others).collect(),
            agents: settings.iter().map(|agent| agent.id).collect(),
            homes: settings.iter().map(|agent| position(&agent.node)).collect(),
            prices: Prices::mean(&settings),
            nodes,
            reads,
            holders,
            ways,
            open,
            kept,
            sizes: (fewest, most),
        })
    }

    /// Whether these nodes may hold the replicas, as far as constraints are concerned that are about more than one node.
    pub fn allows(&self, set: &[usize]) -> bool {
        let (fewest, most) = self.sizes;
        (fewest..=most).contains(&set.len()) && self.stay().all(|node| set.contains(&node))
    }

    /// The nodes whose replicas have to stay.
    pub fn stay(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|node| self.kept[*node])
    }

    /// The expected share of an agent's violated jobs, reading a node while there are so many replicas \[millionths\].
    pub fn share(&self, agent: usize, node: usize, replicas: usize) -> u32 {
        self.layer(replicas)[agent * self.nodes.len() + node]
    }

    /// The same from one of its other seats.
    pub fn share_from(&self, agent: usize, seat: Option<usize>, node: usize, replicas: usize) -> u32 {
        match seat {
            None => self.share(agent, node, replicas),
            Some(seat) => {
                let layers = &self.others[agent][seat].shares;
                layers[replicas.clamp(1, layers.len()) - 1][node]
            }
        }
    }

    /// With jobs where they are chosen to run.
    pub fn seated(&self, choice: &[Option<usize>]) -> Self {
        self.with_shares(|agent, layer, node| self.share_from(agent, choice[agent], node, layer))
    }

    /// As if everybody's jobs ran where that suits best, wherever it reads: nothing that can be done is better.
    pub fn anywhere(&self) -> Self {
        let seats = |agent: usize| std::iter::once(None).chain((0..self.others[agent].len()).map(Some));
        let least = |agent: usize, layer: usize, node: usize| {
            seats(agent).map(|seat| self.share_from(agent, seat, node, layer)).min().unwrap_or(WHOLE)
        };
        self.with_shares(least)
    }

    /// `share`: by agent, number of replicas and node.
    fn with_shares(&self, share: impl Fn(usize, usize, usize) -> u32) -> Self {
        let nodes = self.nodes.len();
        let layer =
            |replicas| (0..self.agents.len() * nodes).map(|at| share(at / nodes, replicas, at % nodes)).collect();
        Self { shares: (1..=self.shares.len()).map(layer).collect(), ..self.clone() }
    }

    /// The choice that has jobs run where they are said to; elsewhere than they can, they stay.
    pub fn choice(&self, runs_at: impl Fn(AgentId) -> Option<NodeId>) -> Choice {
        let seat = |(agent, others): (&AgentId, &Vec<OtherSeat>)| {
            let node = runs_at(*agent)?;
            others.iter().position(|seat| seat.node == node)
        };
        self.agents.iter().zip(&self.others).map(seat).collect()
    }

    /// The shares that count with so many replicas.
    pub fn layer(&self, replicas: usize) -> &[u32] {
        &self.shares[replicas.clamp(1, self.shares.len()) - 1]
    }

    /// The shares of all agents together \[millionths\], each reading the node that it is said to; who reads none has none.
    pub fn total(&self, reads: impl Fn(AgentId) -> Option<NodeId>, replicas: usize) -> u64 {
        let of = |(position, agent): (usize, &AgentId)| {
            let node = reads(*agent).and_then(|node| self.nodes.binary_search(&node).ok());
            u64::from(node.map_or(WHOLE, |node| self.share(position, node, replicas)))
        };
        self.agents.iter().enumerate().map(of).sum()
    }

    /// As [`Problem::share`], by their ids and as 0..=1.
    pub fn share_of(&self, agent: AgentId, node: NodeId, replicas: usize) -> f64 {
        let found = self.agents.binary_search(&agent).ok().zip(self.nodes.binary_search(&node).ok());
        f64::from(found.map_or(WHOLE, |(agent, node)| self.share(agent, node, replicas))) / f64::from(WHOLE)
    }

    /// An agent's share with the present placement, 0..=1.
    pub fn share_before(&self, agent: AgentId) -> f64 {
        let reads = self.agents.binary_search(&agent).ok().map(|agent| self.nodes[self.reads[agent]]);
        reads.map_or(1.0, |reads| self.share_of(agent, reads, self.holders.len()))
    }

    /// That of all of them, 0..=1.
    pub fn mean_before(&self) -> f64 {
        self.agents.iter().map(|agent| self.share_before(*agent)).sum::<f64>() / self.agents.len() as f64
    }

    /// The holder that a copy is made from: the one that its maker reads, else any whose bytes can be brought there.
    pub fn source(&self, read: usize, to: usize) -> usize {
        let can = |holder: &usize| self.ways[*holder][to];
        let own = self.holders.iter().position(|holder| *holder == read).filter(can);
        let holder = own.or_else(|| (0..self.holders.len()).find(can));
        self.holders[holder.unwrap_or(0)]
    }

    /// A sum of shares as the mean over the agents, 0..=1.
    pub fn mean(&self, share: u64) -> f64 {
        share as f64 / f64::from(WHOLE) / self.agents.len() as f64
    }
}

impl Prices {
    fn mean(agents: &[&AgentSettings]) -> Self {
        let mean = |kind: ActionType| {
            let stated = agents.iter().map(|agent| agent.costs.get(&kind).copied().unwrap_or(1.0));
            (stated.sum::<f64>() / agents.len() as f64 * 1e3).round() as u64
        };
        Self {
            moved: mean(ActionType::Move),
            copied: mean(ActionType::Copy),
            changed: mean(ActionType::ChangeReference),
            evicted: mean(ActionType::Evict),
            worked: mean(ActionType::MoveWork),
        }
    }
}

/// What shares are computed from.
struct Shares<'a> {
    scenario: &'a Scenario,
    snapshot: &'a Snapshot,
    damage: &'a Damage<'a>,
    agents: &'a [&'a AgentSettings],
    nodes: &'a [NodeId],
    elsewhere: &'a Elsewhere,
}

impl Shares<'_> {
    /// Where else an agent's jobs could run: at home, or where its user lets them and somebody is.
    fn other_seats(&self, agent: &AgentSettings, present: NodeId) -> Vec<OtherSeat> {
        let takes_work = |node: &NodeId| {
            let is_manned = || self.scenario.agents.values().any(|other| other.node == *node);
            let stays = || self.snapshot.nodes.get(node).is_some_and(|node| node.state != NodeState::Leaving);
            *node == agent.node || stays() && is_manned() && self.damage.no_work_on(agent.node, *node).is_none()
        };
        let allowed = self.nodes.iter().filter(|node| **node == agent.node || agent.may_run_on.contains(*node));
        let others = allowed.filter(|node| **node != present && takes_work(node));
        others.map(|node| OtherSeat { node: *node, shares: self.of(&[(agent, *node)]) }).collect()
    }

    /// With so many replicas as make a difference to anybody's goal; of some agents, with their jobs on these nodes.
    fn of(&self, seated: &[(&AgentSettings, NodeId)]) -> Vec<Vec<u32>> {
        let max_copies = self.scenario.network.learning.max_copies;
        let counts = |agent: &AgentSettings| agent.goal.mentions(Metric::DataConsistency);
        let most = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX).min(max_copies.saturating_add(1));
        let replicas = if self.agents.iter().any(|agent| counts(agent)) { 1..=most.max(1) } else { 1..=1 };
        let mut layers: Vec<Vec<u32>> = Vec::new();
        for replicas in replicas {
            let mut layer = Vec::with_capacity(seated.len() * self.nodes.len());
            for (agent, seat) in seated {
                match layers.first() {
                    // Its goal does not depend on the number of replicas.
                    Some(first) if !counts(agent) => {
                        layer.extend_from_slice(&first[layer.len()..layer.len() + self.nodes.len()])
                    }
                    _ => {
                        let others = self.elsewhere.of(agent.id).map_or(0, |others| others.records);
                        let records = self.snapshot.data_set.records + others;
                        let chance: Box<dyn Fn(&Place) -> f64> = match self.windows(agent) {
                            Some(windows) => Box::new(move |place| windows.violated(place)),
                            None => {
                                let odds = Odds::new(&agent.goal, &self.scenario.physics, records);
                                Box::new(move |place| odds.violated(place))
                            }
                        };
                        layer
                            .extend(self.nodes.iter().map(|node| self.share((agent, *seat), &chance, *node, replicas)));
                    }
                }
            }
            layers.push(layer);
        }
        layers
    }

    /// Of an agent that serves, as its users ask now.
    fn windows<'a>(&'a self, agent: &'a AgentSettings) -> Option<Windows<'a>> {
        let (service, long) = (self.scenario.services.get(&agent.id)?, agent.job.window()?);
        let rate = service.traffic.rate(self.snapshot.at.since(Timestamp::default()));
        let (goal, physics) = (&agent.goal, &self.scenario.physics);
        Some(Windows { goal, service, physics, long, rate })
    }

    /// Of an agent whose jobs run on `seat`, reading a node while there are so many replicas; `chance`: of a job that misses its goal.
    fn share(
        &self,
        (agent, seat): (&AgentSettings, NodeId),
        chance: &dyn Fn(&Place) -> f64,
        node: NodeId,
        replicas: u32,
    ) -> u32 {
        let Self { snapshot, damage, .. } = self;
        let (Some(link), None) = (snapshot.link(seat, node), damage.between(seat, node)) else { return WHOLE };
        let others = self.elsewhere.of(agent.id);
        if damage.no_work_on(agent.node, seat).is_some() || others.is_some_and(|others| others.cut_off) {
            return WHOLE;
        }
        let max_copies = self.scenario.network.learning.max_copies;
        let availability = snapshot.nodes.get(&node).map_or(0.0, |node| node.availability.value());
        let consistency = (1.0 - f64::from(replicas - 1) / f64::from(max_copies)).max(0.0);
        let place = Place {
            link,
            slow: damage.slowness(node),
            availability_percent: others.map_or(availability, |others| others.available_with(node, availability)),
            data_consistency: others.map_or(consistency, |others| others.consistency.min(consistency)),
            lag: self.lag(node),
            beside: others.map(|others| others.beside),
        };
        (chance(&place) * f64::from(WHOLE)).round() as u32
    }

    /// How far what lies on a node falls behind its owner.
    fn lag(&self, node: NodeId) -> Option<(Duration, f64)> {
        let Self { scenario, snapshot, .. } = self;
        let writes = scenario.writes.get(&snapshot.data_set.name)?;
        let (heartbeat, origin) = (scenario.network.rhythm.heartbeat, snapshot.origin()?);
        (node != origin).then(|| writes::lag(&scenario.physics, *writes, heartbeat, origin, node))
    }
}

#[cfg(test)]
mod tests {
    use super::super::search::best;
    use super::*;
    use crate::config::Vocabulary;
    use crate::config::scenario;
    use crate::domain::ids::ReplicaId;
    use crate::domain::placement::Replica;
    use crate::mape::planner::POLICIES;
    use crate::sim::faults::{Broken, Faults};
    use crate::sim::{Options, run};
    use std::path::Path;
    use std::time::Duration;

    fn published() -> (Scenario, Snapshot) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios/published.toml");
        let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
        let scenario = scenario::load(&file, &vocabulary).unwrap_or_else(|error| panic!("error: {error}"));
        let options = Options { policy: None, seed: 1, lasts: Duration::ZERO, until_converged: false };
        let outcome = run(&scenario, &options, None, |_| {}).unwrap();
        (scenario, outcome.snapshot().clone())
    }

    /// The best placement from the one replica on node 3, after something was changed.
    fn check(change: impl FnOnce(&mut Snapshot, &mut Damage), replicas: &[u32], steps: &str) {
        let (scenario, mut snapshot) = published();
        let mut damage = Damage::default();
        change(&mut snapshot, &mut damage);
        let best = best(&Problem::now(&scenario, &snapshot, &damage, &BTreeMap::new(), &Elsewhere::default()).unwrap());
        let found: Vec<u32> = best.replicas.iter().map(|node| node.0).collect();
        let done: Vec<String> = best.steps.iter().map(|step| format!("{}:{}", step.agent, step.action)).collect();
        assert_eq!((found.as_slice(), done.join(" ").as_str()), (replicas, steps));
    }

    fn node(snapshot: &mut Snapshot, node: u32, change: impl FnOnce(&mut crate::domain::placement::Node)) {
        let nodes = std::sync::Arc::make_mut(&mut snapshot.nodes);
        change(nodes.get_mut(&NodeId(node)).expect("the node is registered"));
    }

    #[test]
    fn replicas_go_where_they_may() {
        check(|_, _| {}, &[1, 2], "1:C3_1 2:M3_2");
        // Agent 2 cannot be helped then.
        check(|it, _| node(it, 2, |node| node.state = NodeState::Leaving), &[1], "1:M3_1");
        check(|it, _| node(it, 2, |node| node.capacity_bytes = Some(1000)), &[1], "1:M3_1");
        check(|_, it| it.begin(Broken::Store(NodeId(2)), &Faults::new(&[], 1)), &[1], "1:M3_1");
        // Its bytes cannot be read.
        check(|_, it| it.begin(Broken::Node(NodeId(3)), &Faults::new(&[], 1)), &[3], "");
    }

    fn constrain(snapshot: &mut Snapshot, written: &str) {
        snapshot.data_set.guard.constraints = serde_json::from_str(written).unwrap();
    }

    #[test]
    fn nodes_that_are_to_get_one_have_their_place() {
        check(|it, _| constrain(it, r#"{"must":[9],"max_replicas":3}"#), &[1, 2], "1:C3_1 2:M3_2");
        check(|it, _| constrain(it, r#"{"must":[9],"max_replicas":2}"#), &[1], "1:M3_1");
    }

    #[test]
    fn what_is_demanded_is_there_from_the_start() {
        let (scenario, mut snapshot) = published();
        let first = snapshot.placement.present().next().unwrap().clone();
        for (id, node) in [(8, 1), (9, 2)] {
            let more = Replica { id: ReplicaId(id), node: NodeId(node), ..first.clone() };
            snapshot.placement.replicas.insert(more.id, more);
        }
        for (written, replicas) in [("{}", 2), (r#"{"min_replicas":3}"#, 3)] {
            constrain(&mut snapshot, written);
            let best = best(&Problem::from_start(&scenario, &snapshot, &Elsewhere::default()).unwrap());
            assert_eq!(best.replicas.len(), replicas, "{written}");
        }
    }

    #[test]
    fn other_data_sets_keep_their_room() {
        let (scenario, mut snapshot) = published();
        let bytes = snapshot.data_set.bytes;
        node(&mut snapshot, 2, |node| node.capacity_bytes = Some(bytes + 1));
        for (of_others, replicas) in [(1, vec![1, 2]), (2, vec![1])] {
            snapshot.stored_bytes.insert(NodeId(2), of_others);
            let best = best(&Problem::from_start(&scenario, &snapshot, &Elsewhere::default()).unwrap());
            assert_eq!(best.replicas.iter().map(|node| node.0).collect::<Vec<_>>(), replicas);
        }
    }

    #[test]
    fn what_is_reserved_takes_room() {
        let full = |snapshot: &mut Snapshot| {
            let bytes = snapshot.data_set.bytes;
            node(snapshot, 2, |node| node.capacity_bytes = Some(bytes + 1));
        };
        let (scenario, mut snapshot) = published();
        full(&mut snapshot);
        for (reserved, replicas) in [(0, vec![1, 2]), (2, vec![1])] {
            let reserved = BTreeMap::from([(NodeId(2), reserved)]);
            let (damage, elsewhere) = (Damage::default(), Elsewhere::default());
            let best = best(&Problem::now(&scenario, &snapshot, &damage, &reserved, &elsewhere).unwrap());
            assert_eq!(best.replicas.iter().map(|node| node.0).collect::<Vec<_>>(), replicas);
        }
    }

    #[test]
    fn what_is_slow_is_left_alone() {
        // 40 s instead of 10 s at home, and 40 s + 117 s from elsewhere: agent 1 cannot be helped, agent 2 reads only a quarter.
        let slow = |_: &mut Snapshot, it: &mut Damage| {
            it.begin(Broken::Slow(NodeId(1), 4.0), &Faults::new(&[], 1));
        };
        check(slow, &[2], "1:M3_2");
    }

    #[test]
    fn nobody_reads_and_nothing_is_to_be_solved() {
        let (scenario, mut snapshot) = published();
        snapshot.placement.references.clear();
        let (damage, elsewhere) = (Damage::default(), Elsewhere::default());
        assert_eq!(Problem::now(&scenario, &snapshot, &damage, &BTreeMap::new(), &elsewhere), None);
    }
}
