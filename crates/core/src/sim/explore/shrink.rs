//! The smallest world that still fails for the same reason.

use super::coverage::Coverage;
use super::judge::{Failure, judge};
use super::world::RandomWorld;
use crate::config::scenario::{FaultKind, Links, Rules, Scenario, Transfer};
use crate::domain::books::Tariff;
use crate::domain::constraints::{Constraints, contradictions};
use crate::domain::ids::{AgentId, NodeId};
use std::collections::BTreeSet;
use std::time::Duration;

/// Worlds that are tried for one failure.
const TRIES: usize = 2000;
/// Shorter than this no calm and no fault is made.
const SHORTEST: Duration = Duration::from_secs(60);

/// Tries smaller and smaller worlds as long as they fail with the same sign, and while `goes_on` says so. Returns the smallest,
/// and how it fails.
pub fn shrink(world: RandomWorld, failure: Failure, goes_on: &dyn Fn() -> bool) -> (RandomWorld, Failure) {
    let (mut smallest, mut told, mut tries) = (world, failure, 0);
    'smaller: loop {
        for scenario in smaller(&smallest.scenario) {
            tries += 1;
            if tries > TRIES || !goes_on() {
                return (smallest, told);
            }
            let candidate = RandomWorld { scenario, seed: smallest.seed };
            if let Some(failure) = judge(&candidate, &mut Coverage::default()).filter(|new| new.sign == told.sign) {
                (smallest, told) = (candidate, failure);
                continue 'smaller;
            }
        }
        return (smallest, told);
    }
}

/// What is a little less, the largest steps first.
fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        if candidate != *scenario {
            all.push(candidate);
        }
    };
    with(&|it| it.faults.clear());
    with(&|it| drop_edits(it));
    with(&|it| keep_one_data_set(it));
    with(&|it| it.agents.values_mut().for_each(|agent| agent.data_sets.truncate(1)));
    scenario.network.nodes.keys().for_each(|node| with(&|it| remove_node(it, *node)));
    scenario.agents.keys().for_each(|agent| with(&|it| remove_agent(it, *agent)));
    with(&|it| {
        if let Some(generate) = &mut it.generate {
            generate.nodes = (generate.nodes - 1).max(2);
            generate.replicas = generate.replicas.min(generate.nodes);
            generate.placed = generate.placed.min(generate.replicas);
        }
    });
    (0..scenario.faults.len()).for_each(|index| with(&|it| _ = it.faults.remove(index)));
    // A node that joins is there from the start then, where nothing changes it before.
    (0..scenario.changes.len()).for_each(|index| with(&|it| _ = it.changes.remove(index)));
    with(&|it| it.dishonest.clear());
    with(&|it| it.impacts.clear());
    plainer(&mut with);
    shorter(scenario, &mut with);
    all
}

/// Joins stay: who joins later is another network.
fn drop_edits(scenario: &mut Scenario) {
    scenario.changes.retain(|change| !change.join.is_empty());
}

/// The first one, which everybody reads then.
fn keep_one_data_set(scenario: &mut Scenario) {
    let Some(kept) = scenario.network.data_sets.keys().next().cloned() else { return };
    scenario.network.data_sets.retain(|name, _| *name == kept);
    scenario.placed.retain(|name, _| *name == kept);
    scenario.sizes.retain(|name, _| *name == kept);
    scenario.writes.retain(|name, _| *name == kept);
    scenario.agents.values_mut().for_each(|agent| agent.data_sets = vec![kept.clone()]);
}

/// Takes each change for a candidate of its own.
type Candidates<'a> = dyn FnMut(&dyn Fn(&mut Scenario)) + 'a;

fn plainer(with: &mut Candidates) {
    with(&|it| it.physics.transfer_failures = 0.0);
    with(&|it| it.physics.replies_lost = 0.0);
    with(&|it| it.physics.links = Links::Injected);
    with(&|it| it.physics.rules = Rules::Agents);
    with(&|it| it.physics.transfer = Transfer::Takes(Duration::ZERO));
    with(&|it| it.physics.transfer = Transfer::Takes(Duration::from_secs(30)));
    with(&|it| it.network.nodes.values_mut().for_each(|node| node.capacity_bytes = None));
    with(&|it| it.network.data_sets.values_mut().for_each(|data_set| data_set.constraints = Constraints::default()));
    with(&|it| it.writes.clear());
    with(&|it| {
        it.network.tariff = Tariff::default();
        it.agents.values_mut().for_each(|agent| agent.budget = None);
    });
    with(&|it| it.network.links.iter_mut().for_each(|link| link.jitter_ms = 0.0));
    with(&|it| {
        it.physics.response_time.deviation = Duration::ZERO;
        it.physics.execution_time.deviation = Duration::ZERO;
    });
}

fn shorter(scenario: &Scenario, with: &mut Candidates) {
    let last_change = scenario.changes.last().map_or(Duration::ZERO, |change| change.at);
    with(&|it| {
        if let Some(calm) = &mut it.calm {
            let heals = calm.healed_by - calm.from;
            calm.from = (calm.from / 2).max(last_change).max(SHORTEST).min(calm.from);
            calm.healed_by = calm.from + heals;
        }
    });
    for index in 0..scenario.faults.len() {
        with(&|it| {
            let lasts = &mut it.faults[index].lasts;
            *lasts = (*lasts / 2).max(SHORTEST).min(*lasts);
        });
    }
}

/// With its agents; the node where the data lies stays.
fn remove_node(scenario: &mut Scenario, node: NodeId) {
    if scenario.placed.values().any(|placed| placed.contains(&node)) || scenario.generate.is_some() {
        return;
    }
    let there: Vec<AgentId> =
        scenario.agents.values().filter(|agent| agent.node == node).map(|agent| agent.id).collect();
    if there.len() == scenario.agents.len() {
        return;
    }
    there.into_iter().for_each(|agent| remove_agent(scenario, agent));
    scenario.network.nodes.remove(&node);
    let nodes = &scenario.network.nodes;
    for data_set in scenario.network.data_sets.values_mut() {
        let constraints = &mut data_set.constraints;
        constraints.must.remove(&node);
        constraints.never_delete_at.remove(&node);
        let labels = nodes.iter().map(|(id, node)| (*id, &node.labels)).collect();
        if !contradictions(constraints, &labels, Some(data_set.first_node)).is_empty() {
            constraints.min_replicas = None;
        }
    }
    scenario.network.links.retain(|link| link.from != node && link.to != node);
    scenario.network.tariff.storage.remove(&node);
    scenario.network.tariff.egress.retain(|(from, to), _| *from != node && *to != node);
    for change in &mut scenario.changes {
        change.links.retain(|link| link.from != node && link.to != node);
        change.availability.retain(|(changed, _)| *changed != node);
        change.join.retain(|joined| *joined != node);
    }
    scenario
        .changes
        .retain(|change| !(change.links.is_empty() && change.availability.is_empty() && change.join.is_empty()));
    if let Transfer::Rates { of_links, of_stores, .. } = &mut scenario.physics.transfer {
        of_links.retain(|(a, b), _| *a != node && *b != node);
        of_stores.remove(&node);
    }
    scenario.faults.retain_mut(|fault| match &mut fault.kind {
        FaultKind::NodeDown(named) | FaultKind::StoreDown(named) | FaultKind::StoreSlow(named, _) => {
            *named != Some(node)
        }
        FaultKind::Partition(sets) => {
            sets.iter_mut().for_each(|set: &mut BTreeSet<NodeId>| _ = set.remove(&node));
            sets.retain(|set| !set.is_empty());
            sets.len() > 1
        }
        FaultKind::AgentDown(_) | FaultKind::DatabaseAway => true,
    });
}

fn remove_agent(scenario: &mut Scenario, agent: AgentId) {
    if scenario.agents.len() == 1 || scenario.generate.is_some() {
        return;
    }
    scenario.agents.remove(&agent);
    scenario.impacts.remove(&agent);
    scenario.dishonest.remove(&agent);
    scenario.faults.retain(|fault| fault.kind != FaultKind::AgentDown(Some(agent)));
}

#[cfg(test)]
mod tests {
    use super::super::make;
    use super::*;
    use crate::config::Vocabulary;
    use crate::config::scenario::{parse, write};
    use crate::mape::planner::POLICIES;

    #[test]
    fn what_is_smaller_can_be_written_and_read() {
        let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
        let mut tried = 0;
        for number in 0..20 {
            for scenario in smaller(&make(5, number).scenario) {
                let text = write("", &scenario);
                let read = parse("smaller.toml", &text, &vocabulary).unwrap_or_else(|error| panic!("{error}\n{text}"));
                assert_eq!(read, scenario, "{text}");
                tried += 1;
            }
        }
        assert!(tried > 200, "only {tried}");
    }
}
