//! What a run took, counted from the tables alone.

use super::catalogue::Catalogue;
use super::status::JobCounter;
use crate::knowledge::Knowledge;
use agent_core::domain::action::{Action, Labelled};
use agent_core::domain::event::{Event, Outcome};
use agent_core::domain::ids::{AgentId, DataSetName, EventId, NodeId};
use agent_core::domain::measurement::JobTally;
use agent_core::domain::reads::Reads;
use agent_core::domain::snapshot::Snapshot;
use agent_core::mape::planner::{Decision, Verdict, has_transferred};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The document that `agent demo --json` prints.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Summary {
    pub converged: bool,
    pub seed: u64,
    pub policy: String,
    pub scenario_seconds: f64,
    /// 0 in virtual time.
    pub real_seconds: f64,
    /// Nodes with a present replica of any data set.
    pub replicas: Vec<NodeId>,
    /// The same of each, where there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub data_sets: BTreeMap<DataSetName, Vec<NodeId>>,
    /// Where each agent reads.
    pub references: BTreeMap<AgentId, Reads>,
    pub agents: Vec<AgentSummary>,
    /// Everything but decisions to do nothing, in the order chosen.
    pub actions: Vec<ActionSummary>,
    pub bytes_moved: u64,
    /// Counters that are not 0 at the end.
    pub counters: BTreeMap<Labelled, u32>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct AgentSummary {
    pub id: AgentId,
    #[serde(flatten)]
    pub tally: JobTally,
    /// Actions carried out.
    pub actions: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ActionSummary {
    pub event: EventId,
    pub agent: AgentId,
    pub action: Labelled,
    pub explored: bool,
    /// The chosen candidate's scores when it was chosen.
    pub internal: Option<f64>,
    pub global: Option<f64>,
    pub feedback: f64,
    pub outcome: Outcome,
    pub bytes: u64,
    /// The bounds that did not hold when it was chosen.
    pub because: Vec<String>,
    /// Scenario seconds from the first event's time.
    pub at_seconds: f64,
}

/// What the tables cannot know.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RunFacts<'a> {
    pub converged: bool,
    pub seed: u64,
    pub policy: &'a str,
    pub scenario_seconds: f64,
    pub real_seconds: f64,
}

/// Counts a run again from the tables.
pub async fn load(knowledge: &dyn Knowledge, facts: RunFacts<'_>) -> anyhow::Result<Summary> {
    let catalogue = Catalogue::load(knowledge).await?;
    let events = all_events(knowledge).await?;
    let mut jobs = JobCounter::default();
    jobs.update(knowledge).await?;
    let counts = jobs.counts.iter().map(|(agent, count)| (*agent, count.tally));
    Ok(compose(&catalogue.snapshots, &events, &counts.collect(), facts))
}

/// The document of a run, wherever it was.
pub fn compose(
    snapshots: &[Snapshot],
    events: &[Event],
    jobs: &BTreeMap<AgentId, JobTally>,
    facts: RunFacts<'_>,
) -> Summary {
    let first = events.first().map(|event| event.posted_at);
    let is_one_of_several = snapshots.len() > 1;
    let labelled =
        |data_set: &DataSetName, action| Labelled { data_set: is_one_of_several.then(|| data_set.clone()), action };
    let bytes: BTreeMap<&DataSetName, u64> =
        snapshots.iter().map(|snapshot| (&snapshot.data_set.name, snapshot.data_set.bytes)).collect();
    let chosen = events.iter().filter(|event| event.action != Action::Nothing);
    let actions: Vec<ActionSummary> = chosen
        .map(|event| {
            let bytes = bytes.get(&event.data_set).copied().unwrap_or(0);
            action_summary(
                event,
                event.labelled(is_one_of_several),
                bytes,
                first.map_or(0.0, |first| event.posted_at.since(first).as_secs_f64()),
            )
        })
        .collect();
    let holders = |snapshot: &Snapshot| {
        (snapshot.data_set.name.clone(), snapshot.placement.nodes().into_iter().collect::<Vec<_>>())
    };
    let all: BTreeSet<NodeId> = snapshots.iter().flat_map(|snapshot| snapshot.placement.nodes()).collect();
    let agents: BTreeSet<AgentId> = snapshots.iter().flat_map(|snapshot| snapshot.agents.keys().copied()).collect();
    let counters = snapshots.iter().flat_map(|snapshot| {
        let moved = snapshot.counters.iter().filter(|(_, counter)| counter.value > 0);
        moved.map(|(action, counter)| (labelled(&snapshot.data_set.name, *action), counter.value))
    });
    let done = |agent: AgentId| actions.iter().filter(|one| one.agent == agent && one.outcome == Outcome::Done).count();
    let agent_summary = |id: &AgentId| {
        let tally = jobs.get(id).copied().unwrap_or_default();
        AgentSummary { id: *id, tally, actions: done(*id) as u64 }
    };
    Summary {
        converged: facts.converged,
        seed: facts.seed,
        policy: facts.policy.to_owned(),
        scenario_seconds: facts.scenario_seconds,
        real_seconds: facts.real_seconds,
        replicas: all.into_iter().collect(),
        data_sets: if is_one_of_several { snapshots.iter().map(holders).collect() } else { BTreeMap::new() },
        references: Reads::of_all(snapshots),
        agents: agents.iter().map(agent_summary).collect(),
        bytes_moved: actions.iter().fold(0, |sum, action| action.bytes.saturating_add(sum)),
        counters: counters.collect(),
        actions,
    }
}

/// Every event, oldest first.
pub async fn all_events(knowledge: &dyn Knowledge) -> crate::knowledge::Result<Vec<Event>> {
    const PAGE: usize = 500;
    let mut all: Vec<Event> = Vec::new();
    loop {
        let after = all.last().map_or(EventId(0), |event| event.id);
        let page = knowledge.events(after, PAGE).await?;
        let full = page.len() == PAGE;
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}

fn action_summary(event: &Event, action: Labelled, data_set_bytes: u64, at_seconds: f64) -> ActionSummary {
    let decision: Option<Decision> = serde_json::from_str(&event.detail).ok();
    let verdict = decision.as_ref().and_then(|decision| {
        let chosen = decision.scored.iter().find(|scored| scored.action == event.action)?;
        match chosen.verdict {
            Verdict::Feasible { internal, global, .. } => Some((internal, global)),
            Verdict::Valued { value, score, .. } => Some((value, score)),
            Verdict::Infeasible { .. } => None,
        }
    });
    let travelled = has_transferred(event, decision.as_ref());
    ActionSummary {
        event: event.id,
        agent: event.agent,
        action,
        explored: event.explored,
        internal: verdict.map(|(internal, _)| internal),
        global: verdict.map(|(_, global)| global),
        feedback: event.feedback_sum,
        outcome: event.outcome,
        bytes: if travelled { data_set_bytes } else { 0 },
        because: decision.map(|decision| decision.violated).unwrap_or_default(),
        at_seconds,
    }
}
