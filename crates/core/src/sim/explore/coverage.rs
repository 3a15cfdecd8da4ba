//! What was seen while worlds ran: so that nobody takes silence for safety where nothing was tried.

use crate::config::scenario::{Links, Rules, Scenario, Transfer};
use crate::domain::action::ActionType;
use crate::mape::cooperative::Arms;
use crate::mape::executor::Executor;
use crate::mape::monitor::Monitor;
use crate::mape::notice::Notice;
use crate::mape::planner::{Decision, POLICIES, Planner, Reason};
use crate::sim::setup::Outcome;
use crate::sim::world::{States, Told};
use serde::Serialize;
use std::collections::BTreeMap;

/// Groups of things, and how often each was seen.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
#[serde(transparent)]
pub struct Coverage {
    pub seen: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

const POLICY: &str = "policies (agents)";
const FAULT: &str = "faults";
const STRIKES: &str = "when faults strike";
const EDIT: &str = "edits";
const PHYSICS: &str = "physics";
const STATE: &str = "states";
const ARM: &str = "protocol";
const ACTION: &str = "actions";
const REASON: &str = "reasons";
const TALK: &str = "conversation";
const EVENT: &str = "notices";

impl Coverage {
    /// What a scenario says.
    pub fn of(scenario: &Scenario) -> Self {
        let mut seen = Self::default();
        scenario.agents.values().for_each(|agent| seen.count(POLICY, &agent.policy));
        for fault in &scenario.faults {
            seen.count(FAULT, fault.kind.name());
            seen.count(STRIKES, fault.when.name());
        }
        for change in &scenario.changes {
            change.links.iter().for_each(|_| seen.count(EDIT, "link"));
            change.availability.iter().for_each(|_| seen.count(EDIT, "availability"));
            change.join.iter().for_each(|_| seen.count(EDIT, "join"));
        }
        let physics = &scenario.physics;
        scenario.dishonest.values().for_each(|lie| seen.count(PHYSICS, &format!("dishonest: {}", lie.name())));
        let told = [
            ("links measured", physics.links == Links::Measured),
            ("published rules", physics.rules == Rules::Published),
            ("transfers fail", physics.transfer_failures > 0.0),
            ("replies lost", physics.replies_lost > 0.0),
            ("rates", matches!(physics.transfer, Transfer::Rates { .. })),
            ("generated", scenario.generate.is_some()),
            ("capacities", scenario.network.nodes.values().any(|node| node.capacity_bytes.is_some())),
            ("constraints", scenario.network.data_sets.values().any(|it| !it.constraints.is_none())),
            ("jobs over several data sets", scenario.agents.values().any(|agent| agent.data_sets.len() > 1)),
            ("prices", !scenario.network.tariff_with(&scenario.agents).is_none()),
            ("impacts given", !scenario.impacts.is_empty()),
        ];
        told.iter().filter(|(_, is_so)| *is_so).for_each(|(name, _)| seen.count(PHYSICS, name));
        seen
    }

    /// What happens.
    pub fn hear(&mut self, told: &Told) {
        let Told::Notice(notice) = told else { return };
        match notice {
            Notice::Started { .. }
            | Notice::Pursues { .. }
            | Notice::Serves { .. }
            | Notice::Stopped { .. }
            | Notice::Decided { .. } => {}
            Notice::Adapted { adaptation, .. } => {
                self.count(EVENT, &format!("order {}", adaptation.status.name()));
            }
            Notice::Job { satisfied, .. } => self.count(EVENT, if *satisfied { "job met" } else { "job missed" }),
            Notice::JobFailed { failure, .. } => self.count(EVENT, &format!("job failed: {}", failure.kind)),
            Notice::Acted { how, .. } => {
                // Without what differs from one to the next.
                let how = how.split([':', '(', ',']).next().unwrap_or_default();
                self.count(EVENT, &format!("action {}", how.trim()));
            }
            Notice::Said { what, .. } => {
                let words: Vec<&str> = what.split(' ').take(1).collect();
                self.count(TALK, &words.join(" "));
                if what.contains("; names") {
                    self.count(TALK, "names nodes of its own");
                }
                if what.contains("nothing changes") {
                    self.count(TALK, "nothing changes");
                }
            }
            Notice::FeedbackLeft { .. } => self.count(EVENT, "feedback left"),
            Notice::Closed { closed } => {
                let moved = closed.counter_before != closed.counter_after;
                self.count(EVENT, if moved { "window closed, counter moved" } else { "window closed" });
            }
            Notice::UnderWay { .. } => self.count(EVENT, "under way"),
            Notice::Peer { .. } => {}
            Notice::Written { .. } => self.count(EVENT, "written"),
            Notice::Recovered { .. } => self.count(EVENT, "recovered"),
            Notice::Trouble { .. } => self.count(EVENT, "trouble"),
        }
    }

    /// What a run left.
    pub fn end(&mut self, states: &States, outcome: &Outcome) {
        for (state, times) in states {
            let group = if Arms::NAMES.contains(state) { ARM } else { STATE };
            self.add_to(group, state, *times);
        }
        for event in &outcome.events {
            self.count(ACTION, &format!("{} {}", event.action.kind(), event.outcome.name()));
            if let Ok(decision) = serde_json::from_str::<Decision>(&event.detail) {
                self.count(REASON, reason(&decision.chosen.reason));
            }
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (group, items) in &other.seen {
            items.iter().for_each(|(item, times)| self.add_to(group, item, *times));
        }
    }

    /// What is known by name and was not seen.
    pub fn missing(&self) -> Vec<String> {
        let known: [(&'static str, Vec<&str>); 6] = [
            (STATE, [&Monitor::STATES[..], &Planner::STATES[..], &Executor::STATES[..]].concat()),
            (ARM, Arms::NAMES.to_vec()),
            (POLICY, POLICIES.to_vec()),
            (FAULT, vec!["node_down", "agent_down", "store_down", "store_slow", "partition", "database_away"]),
            (STRIKES, vec!["once", "regularly", "again and again", "question", "transfer"]),
            (EDIT, vec!["link", "availability", "join"]),
        ];
        let is_seen = |group: &str, item: &str| self.seen.get(group).is_some_and(|items| items.contains_key(item));
        let named = known.into_iter().flat_map(|(group, items)| items.into_iter().map(move |item| (group, item)));
        let mut missing: Vec<String> = named
            .filter(|(group, item)| !is_seen(group, item))
            .map(|(group, item)| format!("{group}: {item}"))
            .collect();
        let kinds = ActionType::ALL.into_iter().filter(|kind| *kind != ActionType::Restore);
        let done = kinds.map(|kind| format!("{kind} done")).filter(|item| !is_seen(ACTION, item));
        missing.extend(done.map(|item| format!("{ACTION}: {item}")));
        missing
    }

    fn count(&mut self, group: &'static str, item: &str) {
        self.add_to(group, item, 1);
    }

    fn add_to(&mut self, group: &'static str, item: &str, times: u64) {
        let items = self.seen.entry(group).or_default();
        match items.get_mut(item) {
            Some(count) => *count += times,
            None => _ = items.insert(item.to_owned(), times),
        }
    }
}

fn reason(reason: &Reason) -> &'static str {
    match reason {
        Reason::HighestScore { .. } => "highest score",
        Reason::Explored => "explored",
        Reason::NothingFeasible => "nothing feasible",
        Reason::Planned { .. } => "planned together",
        Reason::Better { .. } => "better for itself",
        Reason::Idle => "idle replica",
        Reason::Agreed { .. } => "agreed by vote",
        Reason::Foreknown { .. } => "foreknown",
        Reason::Damaged => "damaged",
        Reason::Outdated => "a newer version was written",
        Reason::Demanded => "demanded by constraints",
        Reason::Person => "a person",
        Reason::External => "from outside",
    }
}
