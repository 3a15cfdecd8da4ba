//! What must hold after every event, looked for by code that decides nothing (the numbers are ARCHITECTURE.md's).

use super::stores::Stores;
use crate::domain::action::Action;
use crate::domain::books::{Books, Charge, Held, Payer, Tariff};
use crate::domain::feedback::{ClosedEvent, Feedback};
use crate::domain::ids::{AgentId, DataSetName, EventId, NodeId};
use crate::domain::invariants::{self, Invariant};
use crate::domain::money::Period;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::mape::unexpected::Unexpected;
use std::collections::{BTreeMap, BTreeSet};

/// Happenings that an agent may have arranged at one time: a pause or work, a renewal, its duties, its start, closings of its
/// windows; and those of a life that ended (I-7).
const ARRANGED_BY_AGENT: usize = 32;

/// What was broken, and when: the simulator, the machines or the table have a bug.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("invariant {invariant} is broken at {} s: {what}", at.0 as f64 / 1e3)]
pub struct Violated {
    pub invariant: Invariant,
    pub at: Timestamp,
    pub what: String,
}

#[derive(Default)]
pub struct Checkers {
    last: Timestamp,
    closed: BTreeSet<EventId>,
    answered: BTreeSet<(EventId, AgentId)>,
    /// Where each data set's replicas were.
    placed: BTreeMap<DataSetName, BTreeSet<NodeId>>,
    found: Option<Violated>,
}

impl Checkers {
    /// The first thing that was found, if any.
    pub fn verdict(&self) -> Result<(), Violated> {
        self.found.clone().map_or(Ok(()), Err)
    }

    fn hold(&mut self, invariant: Invariant, at: Timestamp, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.found.is_none() {
            self.found = Some(Violated { invariant, at, what: what() });
        }
    }

    /// After every event: time goes on, and what is arranged is bounded (I-7).
    pub fn time(&mut self, now: Timestamp, arranged: usize, agents: usize, others: usize) {
        let last = std::mem::replace(&mut self.last, now);
        self.hold(Invariant::TimeGoesOn, now, now >= last, || format!("time went back from {last}"));
        let most = agents * ARRANGED_BY_AGENT + others;
        self.hold(Invariant::Bounded, now, arranged <= most, || {
            format!("{arranged} happenings are arranged, at most {most} may be")
        });
    }

    /// After every event that may have changed the table or a store.
    pub fn placement(&mut self, snapshot: &Snapshot, stores: &Stores) {
        let now = snapshot.at;
        let broken = invariants::check(&snapshot.data_set.name, &snapshot.placement).into_iter().next();
        self.hold(Invariant::Placement, now, broken.is_none(), || {
            broken.map_or(String::new(), |broken| broken.to_string())
        });
        let lost = snapshot.placement.present().find(|replica| !stores.holds(replica));
        self.hold(Invariant::ObjectsAreThere, now, lost.is_none(), || {
            lost.map_or(String::new(), |row| format!("replica {} on node {} has no object", row.id, row.node))
        });
        let name = &snapshot.data_set.name;
        let present = snapshot.placement.nodes();
        let before = self.placed.insert(name.clone(), present.clone()).unwrap_or_else(|| present.clone());
        let unmet = unmet(snapshot, &before, &present);
        self.hold(Invariant::Constraints, now, unmet.is_none(), || unmet.unwrap_or_default());
        let overfull = stores.overfull();
        self.hold(Invariant::ObjectsAreThere, now, overfull.is_none(), || {
            overfull.map_or(String::new(), |node| format!("the store of node {node} holds more than it can"))
        });
    }

    /// Each window closes once, and moves its counter by one at most (I-6).
    pub fn closed(&mut self, now: Timestamp, closed: &ClosedEvent) {
        let first = self.closed.insert(closed.event);
        self.hold(Invariant::AnswersCountOnce, now, first, || format!("event {} was closed twice", closed.event));
        let step = closed.counter_before.abs_diff(closed.counter_after);
        self.hold(Invariant::AnswersCountOnce, now, step <= 1, || {
            format!("closing event {} moved a counter by {step}", closed.event)
        });
    }

    /// Each agent answers an event once, within the window (I-6).
    pub fn answered(&mut self, now: Timestamp, feedback: &Feedback) {
        let first = self.answered.insert((feedback.event, feedback.agent));
        let (event, agent) = (feedback.event, feedback.agent);
        self.hold(Invariant::AnswersCountOnce, now, first, || format!("agent {agent} answered event {event} twice"));
        let open = !self.closed.contains(&event) && (0.0..=1.0).contains(&feedback.p);
        self.hold(Invariant::AnswersCountOnce, now, open, || {
            format!("agent {agent} left {} on event {event}", feedback.p)
        });
    }

    /// Where nothing is wrong any more, everything has healed (I-14) or come to rest (I-15).
    pub fn healed(&mut self, now: Timestamp, invariant: Invariant, ills: &[String]) {
        self.hold(invariant, now, ills.is_empty(), || ills.join("; "));
    }

    /// No input comes that nobody waits for (I-13).
    pub fn unexpected(&mut self, now: Timestamp, agent: AgentId, what: &Unexpected) {
        self.hold(Invariant::Expected, now, false, || format!("agent {agent}: {what}"));
    }

    /// After an action was granted: its budgets bear it (I-17).
    pub fn granted(&mut self, now: Timestamp, agent: AgentId, action: Action, books: &Books, charges: &[Charge]) {
        let over = overspent(now, agent, action, books, charges);
        self.hold(Invariant::Budgets, now, over.is_none(), || over.unwrap_or_default());
    }

    /// No action without the table (nobody could answer it).
    pub fn acted(&mut self, now: Timestamp, database_is_away: bool) {
        self.hold(Invariant::AnswersCountOnce, now, !database_is_away, || {
            "an action was granted while the table was away".to_owned()
        });
    }
}

/// Which budget what is spent and under way goes beyond after an action of this agent was granted; written without the code that is
/// to hold it, with numbers that are not whole.
fn overspent(now: Timestamp, agent: AgentId, action: Action, books: &Books, charges: &[Charge]) -> Option<String> {
    /// Rounding, in billionths.
    const SLACK: f64 = 1e3;
    let Tariff { storage, egress, budgets, .. } = &books.tariff;
    let gb = |bytes: u64| bytes as f64 / 1e9;
    let way = |from, to, bytes| egress.get(&(from, to)).map_or(0.0, |price| price.per_gb.0 as f64 * gb(bytes));
    let cost = |by: AgentId, action: Action, bytes| match (action.from_node(), action.to_node()) {
        (Some(from), Some(to)) => match books.homes.get(&by).filter(|home| **home != from && **home != to) {
            Some(home) => way(from, *home, bytes) + way(*home, to, bytes),
            None => way(from, to, bytes),
        },
        _ => 0.0,
    };
    let own = books.running.iter().find(|it| it.agent == agent && it.action == action)?;
    let length_ms = |period: Period| match period {
        Period::Hour => 3.6e6,
        Period::Day => 86.4e6,
        Period::Week => 7.0 * 86.4e6,
        Period::Month => 30.0 * 86.4e6,
    };
    for (payer, budget) in budgets {
        let concerns = |of: AgentId| match payer {
            Payer::Network => true,
            Payer::Agent(payer) => *payer == of,
        };
        let ends_at = books.standing(*payer, now)?.ends_at.0;
        let began = ends_at - length_ms(budget.period) as i64;
        let lately = charges.iter().filter(|it| concerns(it.cause.agent) && it.cause.since.0 >= began);
        let spent: f64 = lately.map(|it| it.amount.0 as f64).sum();
        let running: f64 =
            books.running.iter().filter(|it| concerns(it.agent)).map(|it| cost(it.agent, it.action, it.bytes)).sum();
        let holding = |held: &Held| {
            let price = storage.get(&held.node)?;
            Some(price.per_gb.0 as f64 * gb(held.bytes) * (ends_at - now.0) as f64 / length_ms(price.period))
        };
        let held: f64 = match payer {
            Payer::Network => books.held.iter().filter_map(holding).sum(),
            Payer::Agent(_) => 0.0,
        };
        let (all, most) = (spent + running + held, budget.amount.0 as f64);
        // What saves more than it costs may be done whatever was spent.
        let saves = matches!(action, Action::Move { .. }) && !storage.is_empty();
        if concerns(agent) && cost(agent, action, own.bytes) > 0.0 && all > most + SLACK && !saves {
            return Some(format!(
                "{action} of agent {agent} was granted, and {:.9} of {budget} of {payer} are gone",
                all / 1e9
            ));
        }
    }
    None
}

/// What a change of a placement has broken of the constraints; written without the code that is to hold them.
fn unmet(snapshot: &Snapshot, before: &BTreeSet<NodeId>, now: &BTreeSet<NodeId>) -> Option<String> {
    let constraints = &snapshot.data_set.guard.constraints;
    if before == now {
        return None;
    }
    for new in now.difference(before) {
        let labels = &snapshot.nodes.get(new)?.labels;
        if constraints.must_not.as_ref().is_some_and(|must_not| must_not.labels.matches(labels)) {
            return Some(format!("a replica came to node {new}, where none must be"));
        }
    }
    for gone in before.difference(now) {
        if constraints.must.contains(gone) || constraints.never_delete_at.contains(gone) {
            return Some(format!("the replica on node {gone} went, and must not"));
        }
    }
    let (was, is) = (before.len(), now.len());
    if constraints.min_replicas.is_some_and(|least| is < was && is < least as usize) {
        return Some(format!("{was} replicas have become {is}"));
    }
    if constraints.max_replicas.is_some_and(|most| is > was && is > most as usize) {
        return Some(format!("{was} replicas have become {is}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mape::scene;

    fn feedback(event: i64) -> Feedback {
        Feedback { event: EventId(event), agent: AgentId(1), p: 0.5, left_at: Timestamp(1) }
    }

    fn closing(after: u32) -> ClosedEvent {
        ClosedEvent {
            event: EventId(1),
            agent: AgentId(2),
            action: Action::Nothing,
            feedback_sum: 0.0,
            counter_before: 0,
            counter_after: after,
        }
    }

    fn check(look: impl FnOnce(&mut Checkers), expected: Option<&str>) {
        let mut checkers = Checkers::default();
        look(&mut checkers);
        assert_eq!(checkers.verdict().err().map(|found| found.to_string()).as_deref(), expected);
    }

    #[test]
    fn what_is_broken_is_named() {
        let now = Timestamp(1500);
        check(|it| it.answered(now, &feedback(1)), None);
        check(
            |it| (0..2).for_each(|_| it.answered(now, &feedback(1))),
            Some("invariant I-6 is broken at 1.5 s: agent 1 answered event 1 twice"),
        );
        check(
            |it| (0..2).for_each(|_| it.closed(now, &closing(1))),
            Some("invariant I-6 is broken at 1.5 s: event 1 was closed twice"),
        );
        check(
            |it| it.closed(now, &closing(2)),
            Some("invariant I-6 is broken at 1.5 s: closing event 1 moved a counter by 2"),
        );
        check(
            |it| {
                it.time(now, 0, 3, 0);
                it.time(Timestamp(1000), 0, 3, 0);
            },
            Some("invariant I-3 is broken at 1 s: time went back from 1500 ms"),
        );
        check(
            |it| it.time(now, 102, 3, 5),
            Some("invariant I-7 is broken at 1.5 s: 102 happenings are arranged, at most 101 may be"),
        );
    }

    #[test]
    fn no_answer_comes_after_the_window_or_out_of_range() {
        let now = Timestamp(1500);
        check(
            |it| {
                it.closed(now, &closing(1));
                it.answered(now, &feedback(1));
            },
            Some("invariant I-6 is broken at 1.5 s: agent 1 left 0.5 on event 1"),
        );
        check(
            |it| it.answered(now, &Feedback { p: 1.5, ..feedback(1) }),
            Some("invariant I-6 is broken at 1.5 s: agent 1 left 1.5 on event 1"),
        );
    }

    #[test]
    fn no_action_is_granted_that_a_budget_does_not_bear() {
        use crate::domain::books::{Running, Stated};
        let mut tariff = Tariff::default();
        tariff.set(Stated::Egress(NodeId(3), NodeId(1), "1 EUR/GB".parse().ok()));
        tariff.set(Stated::Budget(Payer::Network, "1.5 EUR/day".parse().ok()));
        let action: Action = "C3_1".parse().unwrap();
        let running = |agent| Running { agent: AgentId(agent), action, bytes: 1_000_000_000 };
        let mut books = Books { tariff, running: vec![running(1)], ..Books::default() };
        let now = Timestamp(1500);
        check(|it| it.granted(now, AgentId(1), action, &books, &[]), None);
        books.running.push(running(2));
        check(
            |it| it.granted(now, AgentId(2), action, &books, &[]),
            Some(
                "invariant I-17 is broken at 1.5 s: C3_1 of agent 2 was granted, and 2.000000000 of 1.50 EUR/day of the network are \
                 gone",
            ),
        );
    }

    #[test]
    fn no_action_is_granted_while_the_table_is_away_and_the_first_finding_stays() {
        let found = "invariant I-6 is broken at 1.5 s: an action was granted while the table was away";
        check(|it| it.acted(Timestamp(1500), false), None);
        check(
            |it| {
                it.acted(Timestamp(1500), true);
                it.closed(Timestamp(1600), &closing(2));
            },
            Some(found),
        );
    }

    #[test]
    fn what_is_present_has_an_object_and_references_lead_to_it() {
        let placed = |replicas: &[u32], reads: &[(u32, i64)], held: &[(u32, &str)], expected: Option<&str>| {
            let mut stores = Stores::default();
            for (node, key) in held {
                stores.write(NodeId(*node), key, 10).unwrap();
            }
            check(|it| it.placement(&scene::snapshot(replicas, reads), &stores), expected);
        };
        placed(&[3], &[(1, 1)], &[(3, "blood/1")], None);
        let mut full = Stores::default();
        full.write(NodeId(3), "blood/1", 10).unwrap();
        full.limit(NodeId(3), 9);
        check(
            |it| it.placement(&scene::snapshot(&[3], &[(1, 1)]), &full),
            Some("invariant I-4 is broken at 10000 s: the store of node 3 holds more than it can"),
        );
        placed(&[3], &[(1, 1)], &[], Some("invariant I-4 is broken at 10000 s: replica 1 on node 3 has no object"));
        placed(
            &[3],
            &[(1, 2)],
            &[(3, "blood/1")],
            Some("invariant I-8 is broken at 10000 s: agent 1 references replica 2, which does not exist"),
        );
    }
}
