//! Random worlds: networks, goals, policies, physics, edits and faults, everything that a scenario can say.

use crate::config::Vocabulary;
use crate::config::scenario::{
    Calm, Change, Fault, FaultKind, Generate, Goals, Lie, Line, Links, Moment, Rules, Scenario, Transfer, When, Writes,
    parse,
};
use crate::config::settings::{
    AgentSettings, DataSetSettings, FeedbackSettings, LearningSettings, NodeSettings, RhythmSettings,
};
use crate::domain::action::{Action, ActionType};
use crate::domain::books::Payer;
use crate::domain::constraints::{MustNot, Transfers};
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::impact::Impacts;
use crate::domain::job_gap::{JobGap, Recurring};
use crate::domain::labels::Labels;
use crate::domain::metric::Metric;
use crate::domain::placement::Link;
use crate::domain::units::Percent;
use crate::mape::planner::{POLICIES, Rng};
use agent_arrivals::Profile;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A scenario and the seed that it is simulated with.
#[derive(Clone, PartialEq, Debug)]
pub struct RandomWorld {
    /// Not expanded, where its network is generated.
    pub scenario: Scenario,
    pub seed: u64,
}

/// What everything is drawn around.
const BASE: &str = include_str!("base.toml");
const VOCABULARY: Vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };

/// Troubles end after an hour at most, and everything has so long to heal.
const TROUBLES_MINUTES: RangeInclusive<u64> = 10..=60;
const HEALS: Duration = Duration::from_secs(3 * 3600);
const NODES: RangeInclusive<u32> = 2..=7;
const FAULTS: RangeInclusive<usize> = 0..=5;
const CHANGES: RangeInclusive<usize> = 0..=5;

/// World `number` of a seed: always the same.
pub fn make(seed: u64, number: u64) -> RandomWorld {
    let mut rng = Rng::seed_from_u64(seed);
    rng.set_stream(number);
    let mut scenario = parse("base.toml", BASE, &VOCABULARY).expect("a test reads it");
    scenario.name = format!("world_{seed}_{number}");
    scenario.about = format!("World {number} of seed {seed}, made by the explorer.");
    let mut draw = Draw(rng);
    let calm_from = Duration::from_secs(60 * draw.within(TROUBLES_MINUTES));
    scenario.calm = Some(Calm { from: calm_from, healed_by: calm_from + HEALS });
    draw.settings(&mut scenario);
    draw.physics(&mut scenario);
    match draw.chance(0.15) {
        true => draw.generated(&mut scenario),
        false => {
            draw.network(&mut scenario);
            draw.agents(&mut scenario);
            draw.rates(&mut scenario);
            draw.changes(&mut scenario, calm_from);
        }
    }
    draw.faults(&mut scenario, calm_from);
    let seed = draw.within(1..=9999);
    draw.second_data_set(&mut scenario);
    draw.constraints(&mut scenario);
    draw.prices(&mut scenario);
    draw.writes(&mut scenario);
    draw.jobs_over_several(&mut scenario);
    draw.days(&mut scenario);
    RandomWorld { scenario, seed }
}

struct Draw(Rng);

impl Draw {
    fn chance(&mut self, share: f64) -> bool {
        self.0.random::<f64>() < share
    }

    fn within<T: rand::distr::uniform::SampleUniform + PartialOrd>(&mut self, range: RangeInclusive<T>) -> T {
        self.0.random_range(range)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())]
    }

    fn seconds(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.within(range))
    }

    fn percent(&mut self, range: RangeInclusive<u32>) -> Percent {
        Percent::new(f64::from(self.within(range))).expect("ranges of percent are within 0 to 100")
    }

    /// Hundredths, so that they are read as they were written.
    fn share(&mut self, range: RangeInclusive<u32>) -> f64 {
        f64::from(self.within(range)) / 100.0
    }

    fn settings(&mut self, scenario: &mut Scenario) {
        let network = &mut scenario.network;
        if self.chance(0.3) {
            let window = self.seconds(30..=400);
            network.feedback =
                FeedbackSettings { window, threshold: self.share(0..=100), grace: self.seconds(0..=120) };
        }
        if self.chance(0.3) {
            network.learning = LearningSettings {
                learning_rate: self.share(0..=100),
                exploration: self.share(0..=40),
                penalty: self.share(0..=100),
                max_copies: self.within(1..=4),
            };
        }
        if self.chance(0.4) {
            let heartbeat = self.seconds(1..=40);
            network.rhythm = RhythmSettings {
                job_gap: JobGap::Mean(self.seconds(0..=60)),
                job_gap_deviation: self.seconds(0..=10),
                heartbeat,
                lease: heartbeat + self.seconds(1..=300),
                drain: self.seconds(1..=200),
                probes: self.within(1..=9),
                watch: network.rhythm.watch,
                scrub: None,
            };
        }
    }

    /// Jobs come faster at one time of a day than at another, and not at all at a third.
    fn days(&mut self, scenario: &mut Scenario) {
        if !self.chance(0.1) {
            return;
        }
        let rates = (0..self.within(2..=6)).map(|_| f64::from(self.within(0..=20)) / 100.0).collect();
        let day = Profile::of_ticks(self.seconds(60..=1200), rates);
        // Where hardly any job comes, it stays as it was.
        if let Some(recurring) = day.ok().and_then(|day| Recurring::new(day).ok()) {
            scenario.network.rhythm.job_gap = JobGap::from(recurring);
        }
    }

    fn physics(&mut self, scenario: &mut Scenario) {
        let physics = &mut scenario.physics;
        if self.chance(0.4) {
            physics.response_time = self.line(20);
            physics.execution_time = self.line(10);
            physics.poll = Duration::from_millis(self.within(0..=3000));
            physics.job_failure = self.seconds(1..=60);
        }
        physics.bytes = if self.chance(0.7) { physics.bytes } else { self.within(1..=2_000_000_000) };
        if self.chance(0.6) {
            physics.transfer = Transfer::Takes(self.seconds(0..=120));
        }
        if self.chance(0.25) {
            physics.transfer_failures = self.share(1..=60);
        }
        if self.chance(0.25) {
            physics.replies_lost = self.share(1..=60);
        }
        if self.chance(0.2) {
            physics.links = Links::Measured;
        }
        if self.chance(0.1) {
            physics.rules = Rules::Published;
        }
    }

    fn line(&mut self, longest_s: u64) -> Line {
        let base = Duration::from_millis(self.within(100..=longest_s * 1000));
        Line { base, slope: f64::from(self.within(0..=40u32)), deviation: Duration::from_millis(self.within(0..=1500)) }
    }

    fn rates(&mut self, scenario: &mut Scenario) {
        if !self.chance(0.25) {
            return;
        }
        let nodes: Vec<NodeId> = scenario.network.nodes.keys().copied().collect();
        let rate = |draw: &mut Self| draw.within(1_000_000..=100_000_000u64);
        let (link, store) = (rate(self), rate(self));
        let (mut of_links, mut of_stores) = (BTreeMap::new(), BTreeMap::new());
        for (index, node) in nodes.iter().enumerate() {
            if self.chance(0.3) {
                of_stores.insert(*node, rate(self));
            }
            for other in &nodes[..index] {
                if self.chance(0.2) {
                    let rate = rate(self);
                    of_links.extend([((*node, *other), rate), ((*other, *node), rate)]);
                }
            }
        }
        scenario.physics.transfer = Transfer::Rates { link, store, of_links, of_stores };
    }

    fn generated(&mut self, scenario: &mut Scenario) {
        let nodes = self.within(2..=10u32);
        let replicas = self.within(1..=3.min(nodes));
        let mut template = scenario.agents.values().next().expect("there is one in the base").clone();
        template.goal_text = "response_time <= 1 s".to_owned();
        template.goal = template.goal_text.parse().expect("a goal");
        template.policy = self.policy().to_owned();
        let low = self.percent(60..=90);
        scenario.generate = Some(Generate {
            nodes,
            seed: self.within(0..=9999),
            nearest_ms: f64::from(self.within(0..=100u32)),
            farthest_ms: f64::from(self.within(100..=2000u32)),
            jitter_ms: f64::from(self.within(0..=30u32)),
            availability: (low, self.percent(90..=100)),
            capacity_bytes: self.chance(0.2).then_some(scenario.physics.bytes * 2),
            replicas,
            placed: self.within(1..=replicas),
            satisfiable: self.share(30..=100),
            thrifty: self.share(0..=100),
            trained: self.within(1..=nodes),
            goals: self.one(&[Goals::Shared, Goals::Own]),
            template: template.clone(),
        });
        // As it is read: the one node and the one agent that stand in for all.
        scenario.network.nodes.values_mut().for_each(|node| {
            node.name = "generated".to_owned();
            node.availability = Percent::FULL.into();
        });
        scenario.agents.values_mut().for_each(|agent| *agent = template.clone());
    }

    fn network(&mut self, scenario: &mut Scenario) {
        let bytes = scenario.physics.bytes;
        let ids: Vec<NodeId> = (1..=self.within(NODES)).map(NodeId).collect();
        let network = &mut scenario.network;
        let store = network.nodes.values().next().expect("there is one in the base").store.clone();
        let first = self.one(&ids);
        network.data_sets.values_mut().for_each(|data_set| data_set.first_node = first);
        scenario.placed.values_mut().for_each(|placed| *placed = BTreeSet::from([first]));
        network.nodes = ids.iter().map(|id| (*id, self.node(*id, bytes, *id == first, &store))).collect();
        network.links.clear();
        for (index, from) in ids.iter().enumerate() {
            for to in &ids[..index] {
                let mut link = Link { from: *from, to: *to, ..self.link() };
                network.links.push(link);
                (link.from, link.to) = (*to, *from);
                if self.chance(0.15) {
                    link = Link { from: *to, to: *from, ..self.link() };
                }
                network.links.push(link);
            }
        }
        network.links.sort_by_key(|link| (link.from, link.to));
    }

    fn node(
        &mut self,
        id: NodeId,
        bytes: u64,
        is_first: bool,
        store: &crate::config::settings::StoreSettings,
    ) -> NodeSettings {
        let capacities = [bytes, bytes * 3 / 2, bytes * 3, (bytes / 2).max(1)];
        let roomy = if is_first { &capacities[..3] } else { &capacities };
        let capacity_bytes = self.chance(0.25).then(|| self.one(roomy));
        NodeSettings {
            id,
            name: format!("node-{id}"),
            availability: self.percent(50..=100).into(),
            capacity_bytes,
            labels: Labels::new(),
            store: store.clone(),
        }
    }

    /// Between nowhere and nowhere.
    fn link(&mut self) -> Link {
        let nowhere = NodeId(0);
        let latency_ms = f64::from(if self.chance(0.1) { 0 } else { self.within(1..=1800u32) });
        Link { from: nowhere, to: nowhere, latency_ms, jitter_ms: f64::from(self.within(0..=40u32)) }
    }

    /// Most worlds have the default policy everywhere: it is what most people run, and has most to say.
    fn policy(&mut self) -> &'static str {
        if self.chance(0.6) { "cooperative" } else { self.one(&POLICIES) }
    }

    fn agents(&mut self, scenario: &mut Scenario) {
        let template = scenario.agents.values().next().expect("there is one in the base").clone();
        let nodes: Vec<NodeId> = scenario.network.nodes.keys().copied().collect();
        let (everybodys, is_mixed) = (self.policy(), self.chance(0.15));
        let mut homes: Vec<(AgentId, NodeId)> = nodes.iter().map(|node| (AgentId(node.0), *node)).collect();
        let keep = self.one(&nodes);
        homes.retain(|(_, node)| *node == keep || self.chance(0.9));
        if self.chance(0.2) {
            let second = AgentId(u32::try_from(nodes.len()).map_or(u32::MAX, |nodes| nodes + 1));
            homes.push((second, self.one(&nodes)));
        }
        scenario.agents.clear();
        for (id, node) in homes {
            let policy = if is_mixed { self.policy() } else { everybodys };
            let goal_text = self.goal();
            let goal = goal_text.parse().expect("goals that are drawn are goals");
            let mut agent = AgentSettings { id, node, goal, goal_text, policy: policy.to_owned(), ..template.clone() };
            if self.chance(0.15) {
                for kind in [ActionType::Move, ActionType::Copy, ActionType::ChangeReference, ActionType::Evict] {
                    agent.costs.insert(kind, self.share(1..=400));
                }
                agent.costs.insert(ActionType::Restore, agent.costs[&ActionType::Copy]);
            }
            scenario.agents.insert(id, agent);
            if self.chance(0.1) {
                scenario.impacts.insert(id, self.impacts(&nodes));
            }
            if self.chance(0.04) {
                scenario.dishonest.insert(id, self.one(&[Lie::Worst, Lie::Cunning]));
            }
        }
    }

    /// Half as large, from the same node, read by some of the agents. Drawn last: worlds without one are what they were.
    fn second_data_set(&mut self, scenario: &mut Scenario) {
        let (name, bytes) = (DataSetName::from("second"), scenario.physics.bytes / 2);
        let first = scenario.network.data_sets.values().next().expect("there is one in the base").clone();
        let capacity = scenario.network.nodes.get(&first.first_node).and_then(|node| node.capacity_bytes);
        let has_room = capacity.is_none_or(|capacity| capacity >= scenario.physics.bytes + bytes) && bytes > 0;
        if scenario.generate.is_some() || !has_room || !self.chance(0.15) {
            return;
        }
        for agent in scenario.agents.values_mut() {
            if self.chance(0.5) {
                agent.data_sets = vec![name.clone()];
            }
        }
        scenario.placed.insert(name.clone(), BTreeSet::from([first.first_node]));
        scenario.sizes.insert(name.clone(), bytes);
        let second = DataSetSettings {
            name: name.clone(),
            object_key: "second.json".to_owned(),
            generate_records: first.generate_records.map(|records| (records / 2).max(1)),
            ..first
        };
        scenario.network.data_sets.insert(name, second);
    }

    /// Where there are two data sets, some agents read both. Drawn after all else: other worlds are what they were.
    fn jobs_over_several(&mut self, scenario: &mut Scenario) {
        if scenario.network.data_sets.len() < 2 || scenario.generate.is_some() {
            return;
        }
        let all: Vec<DataSetName> = scenario.network.data_sets.keys().cloned().collect();
        for agent in scenario.agents.values_mut() {
            if self.chance(0.3) {
                agent.data_sets.clone_from(&all);
            }
        }
        // What was stated of actions is about one data set.
        scenario.impacts.retain(|agent, _| scenario.agents.get(agent).is_some_and(|agent| agent.data_sets.len() == 1));
    }

    /// What must not be done with the first data set, and nodes that are called by where they lie. Drawn after all else: worlds
    /// without constraints are what they were.
    fn constraints(&mut self, scenario: &mut Scenario) {
        if scenario.generate.is_some() || !self.chance(0.2) {
            return;
        }
        let nodes: Vec<NodeId> = scenario.network.nodes.keys().copied().collect();
        let data_set = scenario.network.data_sets.values_mut().next().expect("there is one in the base");
        let first = data_set.first_node;
        let mut allowed = vec![first];
        let is_barred = self.chance(0.5);
        for (id, node) in &mut scenario.network.nodes {
            if *id != first && is_barred && self.chance(0.3) {
                node.labels.insert("region".to_owned(), "abroad".to_owned());
            } else if *id != first {
                allowed.push(*id);
            }
        }
        let constraints = &mut data_set.constraints;
        if is_barred {
            constraints.must_not = Some(MustNot { labels: "region=abroad".parse().expect("a selector") });
        }
        if self.chance(0.4) {
            constraints.must.insert(self.one(&allowed));
        }
        if self.chance(0.3) {
            constraints.never_delete_at.insert(self.one(&nodes));
        }
        let stay = constraints.must.iter().chain(&constraints.never_delete_at).chain([&first]);
        let stay = u32::try_from(stay.collect::<BTreeSet<_>>().len()).unwrap_or(u32::MAX);
        let least = self.within(1..=u32::try_from(allowed.len()).unwrap_or(1).min(3));
        constraints.min_replicas = self.chance(0.4).then_some(least);
        constraints.max_replicas = self.chance(0.4).then(|| least.max(stay) + self.within(0..=1u32));
        if self.chance(0.2) {
            let between = self.one(&["00:00-01:00", "00:30-03:00", "01:00-00:10"]).parse().expect("a part of a day");
            constraints.transfers = Some(Transfers { between: Some(between), rate: None });
        }
    }

    /// Owners that go on writing, where they began or wherever that lies by now. Drawn after all else, too.
    fn writes(&mut self, scenario: &mut Scenario) {
        for (name, data_set) in &mut scenario.network.data_sets {
            if self.chance(0.15) {
                let (every, share) = (self.seconds(60..=2400), self.share(1..=100));
                scenario.writes.insert(name.clone(), Writes { every, share });
                data_set.constraints.origin = self.chance(0.5).then_some(data_set.first_node);
            }
        }
    }

    /// Prices, and budgets that bear a few transfers. Drawn after all else: worlds without prices are what they were.
    fn prices(&mut self, scenario: &mut Scenario) {
        if scenario.generate.is_some() || !self.chance(0.15) {
            return;
        }
        let eur = |cents: u32, unit: &str| format!("{}.{:02} EUR/{unit}", cents / 100, cents % 100);
        let drawn = "what is drawn is a price";
        let tariff = &mut scenario.network.tariff;
        for link in &scenario.network.links {
            if self.chance(0.7) {
                tariff.egress.insert((link.from, link.to), eur(self.within(0..=300), "GB").parse().expect(drawn));
            }
        }
        for node in scenario.network.nodes.keys() {
            if self.chance(0.5) {
                tariff.storage.insert(*node, eur(self.within(1..=9000), "GB/month").parse().expect(drawn));
            }
        }
        let period = self.one(&["hour", "day", "week"]);
        if self.chance(0.7) {
            tariff.budgets.insert(Payer::Network, eur(self.within(0..=400), period).parse().expect(drawn));
        }
        for agent in scenario.agents.values_mut() {
            if self.chance(0.3) {
                agent.budget = eur(self.within(0..=100), "hour").parse().ok();
            }
        }
    }

    fn goal(&mut self) -> String {
        let quality = match self.within(0..=2) {
            0 => format!("response_time <= {} s", self.within(4..=70)),
            1 => format!("network_latency <= {} ms", self.within(0..=1800)),
            _ => format!("throughput >= {} records/s", self.within(10_000..=140_000)),
        };
        match self.within(0..=5) {
            0 => format!("{quality} and data_consistency >= 0.5"),
            1 => format!("{quality} or data_consistency > 0.9"),
            2 | 3 => format!("{quality} and availability >= {} %", self.within(60..=99)),
            _ => quality,
        }
    }

    fn impacts(&mut self, nodes: &[NodeId]) -> BTreeMap<Action, Impacts> {
        let mut all = BTreeMap::new();
        for from in nodes {
            for to in nodes.iter().filter(|to| *to != from) {
                for label in [format!("M{from}_{to}"), format!("C{from}_{to}"), format!("R{to}")] {
                    let vector = Metric::ALL.map(|metric| (metric, f64::from(self.within(-100..=100i32)) / 100.0));
                    all.extend(label.parse::<Action>().ok().map(|action| (action, vector.into_iter().collect())));
                }
            }
        }
        all
    }

    /// At whole minutes, so that some things happen at the same time.
    fn minute(&mut self, before: Duration) -> Duration {
        Duration::from_secs(60 * self.within(0..=before.as_secs() / 60))
    }

    fn changes(&mut self, scenario: &mut Scenario, calm_from: Duration) {
        let first = scenario.placed.values().flatten().copied().next();
        let nodes: Vec<NodeId> = scenario.network.nodes.keys().copied().collect();
        let mut joins: BTreeMap<NodeId, Duration> = BTreeMap::new();
        for node in nodes.iter().filter(|node| Some(**node) != first) {
            if self.chance(0.06) {
                joins.insert(*node, self.minute(calm_from));
            }
        }
        let mut changes: Vec<Change> = joins
            .iter()
            .map(|(node, at)| Change { at: *at, links: Vec::new(), availability: Vec::new(), join: vec![*node] })
            .collect();
        for _ in 0..self.within(CHANGES) {
            let at = self.minute(calm_from);
            let there: Vec<NodeId> =
                nodes.iter().copied().filter(|node| joins.get(node).is_none_or(|joined| *joined <= at)).collect();
            let mut change = Change { at, links: Vec::new(), availability: Vec::new(), join: Vec::new() };
            let (from, to) = (self.one(&there), self.one(&there));
            if self.chance(0.5) && from != to {
                let link = self.link();
                change.links = vec![Link { from, to, ..link }, Link { from: to, to: from, ..link }];
                change.links.truncate(if self.chance(0.7) { 2 } else { 1 });
            } else {
                change.availability = vec![(from, self.percent(0..=100))];
            }
            changes.push(change);
        }
        // What joins at the same time is there first: the order is kept.
        changes.sort_by_key(|change| change.at);
        scenario.changes = changes;
    }

    fn faults(&mut self, scenario: &mut Scenario, calm_from: Duration) {
        let nodes: Vec<NodeId> = match &scenario.generate {
            Some(_) => Vec::new(),
            None => scenario.network.nodes.keys().copied().collect(),
        };
        let agents: Vec<AgentId> = match &scenario.generate {
            Some(_) => Vec::new(),
            None => scenario.agents.keys().copied().collect(),
        };
        for _ in 0..self.within(FAULTS) {
            let kind = self.kind(&nodes, &agents);
            let lasts = if self.chance(0.3) { self.seconds(1..=20) } else { self.seconds(20..=900) };
            let when = match (self.within(0..=4), &kind) {
                (0, FaultKind::AgentDown(_)) => When::Upon(Moment::Question),
                (1, FaultKind::AgentDown(_)) => When::Upon(Moment::Transfer),
                (0 | 1, _) => When::At(self.minute(calm_from)),
                (2, _) => When::Regularly(self.minute(calm_from), lasts + self.seconds(1..=900)),
                _ => When::Every(self.seconds(60..=2400)),
            };
            scenario.faults.push(Fault { kind, when, lasts });
        }
    }

    fn kind(&mut self, nodes: &[NodeId], agents: &[AgentId]) -> FaultKind {
        let node = (!nodes.is_empty() && self.chance(0.5)).then(|| self.one(nodes));
        match self.within(0..=5) {
            0 => FaultKind::NodeDown(node),
            1 => FaultKind::AgentDown((!agents.is_empty() && self.chance(0.5)).then(|| self.one(agents))),
            2 => FaultKind::StoreDown(node),
            3 => FaultKind::StoreSlow(node, f64::from(self.within(10..=200u32)) / 10.0),
            4 if nodes.len() > 1 => {
                let cut = self.within(1..=nodes.len() - 1);
                let sets = [&nodes[..cut], &nodes[cut..]].map(|set| set.iter().copied().collect());
                FaultKind::Partition(sets.into())
            }
            _ => FaultKind::DatabaseAway,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scenario::write;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_world_that_is_written_and_read_is_the_same_world(seed in 0u64..1000, number in 0u64..1000) {
            let made = make(seed, number).scenario;
            let text = write("", &made);
            let read = parse("written.toml", &text, &VOCABULARY).unwrap_or_else(|error| panic!("{error}\n{text}"));
            prop_assert_eq!(&read, &made, "{}", text);
        }
    }
}
