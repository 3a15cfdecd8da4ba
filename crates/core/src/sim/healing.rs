//! What must hold when nothing has been wrong for a while: everything that broke has healed (I-14), and agents that promise it have
//! come to rest, content where a placement serves everybody (I-15).

use super::agent::Agent;
use super::oracle::{Found, Standing};
use super::world::World;
use crate::domain::action::Action;
use crate::domain::event::Window;
use crate::domain::ids::EventId;
use crate::domain::invariants::Invariant;
use crate::domain::placement::{Replica, ReplicaState};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::knowledge::Knowledge as _;
use crate::mape::cooperative::protocol;
use std::collections::BTreeMap;
use std::time::Duration;

/// So many jobs in a row do not fail where everything can be reached: one may be reading what somebody drops.
const FAILURES: u32 = 3;
/// How long the next job may wait for a repair, and for whatever else an agent waits for.
const WAITS: Duration = Duration::from_secs(20 * 60);
/// Standard deviations that a time is longer than its mean at most.
const SPREAD: u32 = 6;
/// Duties come this often within a heartbeat and a bit, so that this many heartbeats are time enough for two rounds.
const ROUNDS: u32 = 4;
/// Agents that are at rest try late whether a veto was meant as it was said: so often each, in the last part of the calm.
const LATE_ACTIONS: usize = 2;
/// Where every job could meet its goal but for so few, all agents together miss no more than the other share.
const SERVED: f64 = 1e-4;
const MISSED: f64 = 0.02;

impl World<'_> {
    pub fn check_healed(&mut self) {
        let now = self.now();
        let looked: Option<Vec<Snapshot>> = (0..self.shelves.len()).map(|shelf| self.truth_of(shelf)).collect();
        let Some(snapshots) = looked else { return };
        let of_table = snapshots.iter().enumerate().flat_map(|(shelf, snapshot)| self.ills_of_table(shelf, snapshot));
        let ills = [self.ills_of_agents(now), of_table.collect(), self.orphans(&snapshots)].concat();
        self.checkers.healed(now, Invariant::Heals, &ills);
        let restless = self.restless(&snapshots);
        self.checkers.healed(now, Invariant::Rests, &restless);
    }

    fn ills_of_agents(&self, now: Timestamp) -> Vec<String> {
        let longest = self.longest_round();
        let ill = |slot: &Agent| match (&slot.control_loop, slot.last_job) {
            (None, _) => Some("does not run".to_owned()),
            (Some(_), _) if slot.failed_in_a_row >= FAILURES => {
                Some(format!("fails: the last {} jobs", slot.failed_in_a_row))
            }
            (Some(_), None) => Some("has not run a single job".to_owned()),
            (Some(_), Some(last)) if now.since(last) > longest => {
                Some(format!("has not ended a job for {} s", now.since(last).as_secs()))
            }
            (Some(_), Some(_)) => None,
        };
        self.agents.iter().filter_map(|slot| Some(format!("agent {} {}", slot.id(), ill(slot)?))).collect()
    }

    /// From the end of a job to the end of the next, and then some.
    fn longest_round(&self) -> Duration {
        let (physics, rhythm) = (&self.scenario.physics, &self.scenario.network.rhythm);
        let all =
            self.scenario.network.links.iter().chain(self.scenario.changes.iter().flat_map(|change| &change.links));
        let latency_s = all.map(|link| link.latency_ms + link.jitter_ms * f64::from(SPREAD)).fold(0.0, f64::max) / 1e3;
        let of_part = |shelf: &usize| {
            let response_time = self.shelves[*shelf].physics.response_time;
            response_time.base.as_secs_f64() + response_time.slope * latency_s
        };
        let of_agent = |slot: &Agent| {
            let window = self.scenario.agents.get(&slot.id()).and_then(|agent| agent.job.window());
            window.map_or_else(|| slot.shelves().iter().map(of_part).sum(), |window| window.as_secs_f64())
        };
        let job = self.agents.iter().map(of_agent).fold(0.0, f64::max);
        let gap = rhythm.job_gap.longest() + rhythm.job_gap_deviation * SPREAD;
        WAITS + gap + Duration::from_secs_f64(job) + physics.response_time.deviation * SPREAD + physics.poll
    }

    /// What somebody should have brought to an end.
    fn ills_of_table(&self, shelf: usize, snapshot: &Snapshot) -> Vec<String> {
        let (rhythm, grace) = (&self.scenario.network.rhythm, self.scenario.network.feedback.grace);
        let rounds = rhythm.heartbeat * ROUNDS;
        let is_left = |row: &&Replica| {
            let overdue = row.lease.is_none_or(|held| held.until + rhythm.lease + rounds < snapshot.at);
            row.state != ReplicaState::Present && overdue
        };
        // Where nothing may be sent, nothing is refreshed.
        let may_send = snapshot.books.is_none() && snapshot.data_set.guard.constraints.transfers.is_none();
        let calm = self.scenario.calm.map_or(Duration::MAX, |calm| calm.healed_by.saturating_sub(calm.from));
        let lags = |row: &&Replica| may_send && row.staleness(snapshot.at) > calm / 2;
        let behind = snapshot.placement.present().filter(lags);
        let behind = behind.map(|row| format!("replica {} on node {} was never refreshed", row.id, row.node));
        let rows = snapshot.placement.replicas.values().filter(is_left);
        let rows = rows.map(|row| format!("replica {} on node {} is left {}", row.id, row.node, row.state.name()));
        let open = snapshot.open_events.iter().filter(|event| event.window == Window::Open);
        let open =
            open.filter(|event| event.closes_at + grace + self.scenario.network.silence() + rounds < snapshot.at);
        let open = open.map(|event| format!("the window of event {} was never closed", event.id));
        let readers = self.agents.iter().filter(|slot| slot.reads_from(shelf));
        let homeless = readers.filter(|slot| snapshot.placement.reference(slot.id()).is_none());
        rows.chain(behind)
            .chain(open)
            .chain(homeless.map(|slot| format!("agent {} has nothing to read", slot.id())))
            .collect()
    }

    /// Objects that no row of the catalogue names.
    fn orphans(&self, snapshots: &[Snapshot]) -> Vec<String> {
        let nodes = snapshots.iter().take(1).flat_map(|snapshot| snapshot.nodes.keys());
        let orphans = nodes.flat_map(|node| {
            let named = |key: &String| {
                let mut rows = snapshots.iter().flat_map(|snapshot| snapshot.placement.replicas.values());
                rows.any(|row| row.node == *node && row.object_key == *key)
            };
            let keys = self.stores.keys(*node).into_iter().filter(move |key| !named(key));
            keys.map(move |key| format!("nobody knows of object {key} on node {node}"))
        });
        orphans.collect()
    }

    /// Empty where somebody decides that promises no rest.
    fn restless(&self, snapshots: &[Snapshot]) -> Vec<String> {
        let promised = self.agents.iter().all(|slot| slot.policy() == protocol::NAME);
        let Some(calm) = self.scenario.calm.filter(|_| promised && self.scenario.dishonest.is_empty()) else {
            return Vec::new();
        };
        let since = Timestamp::default() + (calm.from + calm.healed_by) / 2;
        let events = super::table::ready(self.table.knowledge.events(EventId(0), usize::MAX)).unwrap_or_default();
        let late = events.iter().filter(|event| event.action != Action::Nothing && event.posted_at > since);
        let mut acts: BTreeMap<_, usize> = BTreeMap::new();
        late.for_each(|event| *acts.entry(event.agent).or_default() += 1);
        let total: usize = acts.values().sum();
        let mut found = Vec::new();
        if total > LATE_ACTIONS * self.agents.len() {
            found.push(format!("{total} actions of {} agents in the last half of the calm", acts.len()));
        }
        // What would serve everybody may be more than a budget bears.
        let is_limited = !self.scenario.network.tariff_with(&self.scenario.agents).budgets.is_empty();
        if !is_limited
            && let Some(standing) = Standing::new(self.scenario, snapshots)
            && matches!(standing.found, Found::Exhaustive)
            && standing.best_share <= SERVED
            && standing.share > standing.best_share + MISSED
        {
            let Standing { share, best_replicas, .. } = standing;
            found.push(format!(
                "{:.1} % of the jobs miss their goal where {best_replicas} replicas would serve everybody",
                share * 100.0
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::setup;
    use super::super::simulation::Start;
    use super::super::table::ready;
    use super::*;
    use crate::config::Vocabulary;
    use crate::config::scenario::{Calm, Scenario, parse};
    use crate::domain::ids::{AgentId, NodeId, ReplicaId};
    use crate::domain::placement::Plan;
    use crate::mape::planner::POLICIES;

    const BEGINS: Duration = Duration::from_secs(600);
    const HEALED_BY: Duration = Duration::from_secs(4 * 3600);

    /// Three nodes, as published, whose agents all plan together, with an hour or three to come to rest.
    fn scenario() -> Scenario {
        let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
        let text = include_str!("../../../../fixtures/scenarios/published.toml");
        let mut scenario = parse("published.toml", text, &vocabulary).unwrap();
        scenario.agents.values_mut().for_each(|agent| agent.policy = protocol::NAME.to_owned());
        scenario.calm = Some(Calm { from: BEGINS, healed_by: HEALED_BY });
        scenario
    }

    /// At the end of the calm, with something done to the world.
    fn check(hurt: impl FnOnce(&mut World), expected: &str) {
        let scenario = scenario();
        let mut world = setup::world(&scenario, Start { seed: 1, ..Start::default() }, None).unwrap();
        let end = Timestamp::default() + HEALED_BY;
        // The end itself is judged when something has been done.
        while world.next(Timestamp(end.0 - 1)).unwrap().is_some() {}
        world.clock.set(end);
        hurt(&mut world);
        world.check_healed();
        let found = world.checkers.verdict().err().map_or(String::new(), |found| found.what);
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
    }

    fn plan(world: &World, key: &str) -> Plan {
        let snapshot = world.truth_of(0).unwrap();
        let agent = AgentId(1);
        let from = snapshot.placement.reference(agent).unwrap();
        let free = snapshot.nodes.keys().find(|node| snapshot.placement.on(**node).is_none());
        Plan {
            key: key.to_owned(),
            agent,
            data_set: snapshot.data_set.name.clone(),
            reference: from.id,
            action: Action::Copy { from: from.node, to: *free.unwrap() },
            explored: false,
            expected: BTreeMap::new(),
            generation: None,
            detail: String::new(),
        }
    }

    /// Posted at this time, and never ended.
    fn claim(world: &mut World, key: &str, at: Timestamp) -> EventId {
        let now = world.now();
        world.clock.set(at);
        let plan = plan(world, key);
        let (lease, window) = (Duration::from_secs(60), Duration::from_secs(210));
        let claimed = ready(world.table.knowledge.claim(&plan, lease, window)).unwrap();
        world.clock.set(now);
        match claimed {
            crate::knowledge::Claimed::Granted(claim) => claim.event,
            crate::knowledge::Claimed::Lost(lost) => panic!("{lost}"),
        }
    }

    #[test]
    fn a_calm_world_has_healed() {
        check(|_| {}, "");
    }

    #[test]
    fn an_agent_that_does_not_work_is_named() {
        check(|world| world.agents[0].control_loop = None, "agent 1 does not run");
        check(|world| world.agents[1].failed_in_a_row = FAILURES, "agent 2 fails: the last 3 jobs");
        check(|world| world.agents[2].last_job = None, "agent 3 has not run a single job");
        let long_ago = Some(Timestamp::default() + BEGINS);
        check(|world| world.agents[2].last_job = long_ago, "agent 3 has not ended a job for 13800 s");
    }

    #[test]
    fn what_is_left_in_the_table_or_a_store_is_named() {
        let begun = Timestamp::default() + BEGINS;
        check(|world| _ = claim(world, "k", begun), "is left copying");
        check(|world| _ = claim(world, "k", begun), "the window of event");
        check(|world| world.stores.write(NodeId(1), "lost", 1).unwrap(), "nobody knows of object lost on node 1");
    }

    #[test]
    fn who_goes_on_acting_has_not_come_to_rest() {
        let restless = |actions: usize| {
            move |world: &mut World| {
                let late = Timestamp(world.now().0 - 1000);
                for number in 0..actions {
                    let event = claim(world, &format!("k{number}"), late);
                    let aborted =
                        ready(world.table.knowledge.abort(event, crate::domain::event::Outcome::Aborted, "enough"));
                    let row = aborted.unwrap().map_or(ReplicaId(0), |row| row.id);
                    ready(world.table.knowledge.removed(row)).unwrap();
                }
            }
        };
        check(restless(LATE_ACTIONS * 3), "");
        check(restless(LATE_ACTIONS * 3 + 1), "7 actions of 1 agents in the last half of the calm");
    }
}
