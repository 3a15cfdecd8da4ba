//! `agent explain --not`: why an action is not done.

use crate::knowledge::{Conversation, Knowledge};
use agent_core::domain::action::{Action, Labelled};
use agent_core::domain::event::Event;
use agent_core::domain::ids::{AgentId, EventId, NodeId};
use agent_core::domain::placement::{Node, NodeState, ReplicaState};
use agent_core::domain::saga::subject;
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::units::{show_bytes, show_duration};
use agent_core::mape::planner::{Decision, Verdict};
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::time::Duration;

/// So far back it is looked what was said and decided, in scenario time.
const LATELY: Duration = Duration::from_secs(6 * 3600);
/// So many of the latest events are looked through.
const EVENTS: usize = 1000;

/// What speaks against an action, the most compelling first.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct WhyNot {
    pub agent: AgentId,
    pub action: Labelled,
    /// It cannot be begun now: each of these would have to change.
    pub infeasible: Vec<String>,
    /// It could be begun, and was thought to be worth less than something else, or to hurt somebody.
    pub refused: Vec<String>,
}

/// Looks at the table; nothing is changed.
pub async fn why_not(
    knowledge: &dyn Knowledge,
    snapshots: &[Snapshot],
    labelled: Labelled,
    agent: Option<AgentId>,
) -> anyhow::Result<WhyNot> {
    let action = labelled.action;
    let (snapshot, agent) = whose(snapshots, &labelled, agent)?;
    let infeasible = infeasible(snapshot, agent, action);
    let conversation = knowledge.conversation(&snapshot.data_set.name, LATELY).await?;
    let mut refused: Vec<String> = weighed(&latest(knowledge).await?, agent, action).into_iter().collect();
    refused.extend(objections(&conversation, agent, action));
    let counter = snapshot.counter(action);
    if counter > 0 {
        refused.push(format!(
            "others' answers to it have added up to {counter}: each time that it was done, it hurt somebody"
        ));
    }
    if refused.is_empty() && infeasible.is_empty() {
        refused.push(format!(
            "nothing forbids it, and nobody has weighed it lately: whose goal is met looks for nothing. `agent act {labelled} --agent \
             {agent}` does it"
        ));
    }
    Ok(WhyNot { agent, action: labelled, infeasible, refused })
}

/// The latest events, oldest first.
async fn latest(knowledge: &dyn Knowledge) -> crate::knowledge::Result<Vec<Event>> {
    let (mut before, mut page) = (Vec::new(), knowledge.events(EventId(0), EVENTS).await?);
    while page.len() == EVENTS {
        let last = page[EVENTS - 1].id;
        before = page;
        page = knowledge.events(last, EVENTS).await?;
    }
    before.append(&mut page);
    Ok(before.split_off(before.len().saturating_sub(EVENTS)))
}

/// The data set and the agent that it is about: those that are named, else the first that reads the replica concerned, else the
/// first that reads any.
fn whose<'s>(
    snapshots: &'s [Snapshot],
    Labelled { data_set, action }: &Labelled,
    named: Option<AgentId>,
) -> anyhow::Result<(&'s Snapshot, AgentId)> {
    let action = *action;
    let meant = |snapshot: &&Snapshot| data_set.as_ref().is_none_or(|name| *name == snapshot.data_set.name);
    let snapshots: Vec<&Snapshot> = snapshots.iter().filter(meant).collect();
    if let (Some(name), true) = (data_set, snapshots.is_empty()) {
        bail!("data set {name} is not in the catalogue");
    }
    let snapshots = || snapshots.iter().copied();
    if let Some(agent) = named {
        let of_it = snapshots().find(|snapshot| snapshot.agents.contains_key(&agent));
        return Ok((of_it.with_context(|| format!("agent {agent} is not registered"))?, agent));
    }
    let reader = |snapshot: &Snapshot| {
        let concerned = subject(&snapshot.placement, action)?;
        snapshot.placement.readers(concerned.id).next()
    };
    let found = snapshots().find_map(|snapshot| Some((snapshot, reader(snapshot)?)));
    let any = || snapshots().find_map(|snapshot| Some((snapshot, *snapshot.agents.keys().next()?)));
    match found.or_else(any) {
        Some(found) => Ok(found),
        None => bail!("no agent is registered: nobody would do anything"),
    }
}

/// What would have to change before it could be begun.
fn infeasible(snapshot: &Snapshot, agent: AgentId, action: Action) -> Vec<String> {
    let mut why = Vec::new();
    let (placement, name) = (&snapshot.placement, &snapshot.data_set.name);
    for node in [action.from_node(), action.to_node(), action.work_node()].into_iter().flatten() {
        if !snapshot.nodes.contains_key(&node) {
            why.push(format!("node {node} is not registered"));
        }
    }
    match subject(placement, action) {
        None if action != Action::Nothing => {
            let nodes: Vec<String> = placement.nodes().iter().map(NodeId::to_string).collect();
            let begins = action.from_node().or(action.to_node()).map_or_else(String::new, |node| node.to_string());
            why.push(format!("node {begins} holds no replica of data set {name}; nodes {} do", nodes.join(", ")));
        }
        None => {}
        Some(row) => {
            if let Some(lease) = row.lease.filter(|lease| lease.until >= snapshot.at) {
                let left = show_duration(lease.until.since(snapshot.at));
                why.push(format!("agent {} is at work on the replica, for {left} more at most", lease.holder));
            }
        }
    }
    if let Action::Evict { .. } = action
        && placement.present().count() < 2
    {
        why.push("it is the last replica".to_owned());
    }
    let arrives = action.to_node().filter(|_| action.transfers()).and_then(|to| snapshot.nodes.get(&to));
    why.extend(arrives.into_iter().flat_map(|node| cannot_take(snapshot, node)));
    why.extend(snapshot.forbids(agent, action).map(|forbidden| forbidden.to_string()));
    why
}

/// Why no replica can be brought to a node.
fn cannot_take(snapshot: &Snapshot, node: &Node) -> Vec<String> {
    let id = node.id;
    let mut why = Vec::new();
    if node.state == NodeState::Leaving {
        why.push(format!("node {id} is leaving"));
    }
    if node.store_url.is_none() {
        why.push(format!("node {id} has no store yet; `agent store --node {id}`, or its agent, starts it"));
    }
    if node.store.deletes == Some(false) {
        why.push(format!("the store of node {id} cannot delete what is written there"));
    }
    match snapshot.placement.on(id).map(|row| row.state) {
        None => {
            if let Some(capacity) = node.capacity_bytes.filter(|_| !snapshot.has_room_on(node)) {
                let stored = snapshot.stored_bytes.get(&id).copied().unwrap_or(0);
                why.push(format!(
                    "node {id} has no room: {} of {} are taken, and it is {}",
                    show_bytes(stored),
                    show_bytes(capacity),
                    show_bytes(snapshot.data_set.bytes)
                ));
            }
        }
        Some(ReplicaState::Present) => why.push(format!("node {id} holds a replica already; `CR{id}` reads it")),
        Some(state) => why.push(format!("node {id} holds a replica that is {}", state.name())),
    }
    why
}

/// What the agent's last decision that weighed the action made of it.
fn weighed(events: &[Event], agent: AgentId, action: Action) -> Option<String> {
    let of_agent = events.iter().rev().filter(|event| event.agent == agent);
    of_agent.into_iter().find_map(|event| {
        let decision: Decision = serde_json::from_str(&event.detail).ok()?;
        let scored = decision.scored.iter().find(|scored| scored.action == action)?;
        let (id, chosen) = (event.id, decision.chosen.action);
        if chosen == action {
            return Some(format!("it was done: event {id}"));
        }
        let best = decision.scored.iter().find(|scored| scored.action == chosen);
        let score = |verdict: &Verdict| match verdict {
            Verdict::Feasible { global, .. } => format!("{global:+.4}"),
            Verdict::Valued { score, .. } => format!("{score:+.4}"),
            Verdict::Infeasible { why } => format!("infeasible: {why}"),
        };
        let worth = score(&scored.verdict);
        Some(match best.filter(|_| !matches!(scored.verdict, Verdict::Infeasible { .. })) {
            Some(best) => format!("event {id}: its score was {worth}, and that of {chosen} {}", score(&best.verdict)),
            None => format!("event {id}: {worth}; {chosen} was chosen"),
        })
    })
}

/// Who said lately that a replica there, or less of one, would hurt.
fn objections(conversation: &Conversation, agent: AgentId, action: Action) -> Vec<String> {
    // Where somebody reads concerns nobody else.
    let concerned = match action {
        Action::Move { to, .. } | Action::Copy { to, .. } | Action::Restore { to, .. } => Some(to),
        Action::Evict { node } => Some(node),
        Action::ChangeReference { .. } | Action::MoveWork { .. } | Action::Nothing => None,
    };
    let Some(node) = concerned else { return Vec::new() };
    let mut objections = Vec::new();
    for ask in conversation.iter().rev().filter(|ask| ask.agent == agent) {
        for (peer, reply) in &ask.replies {
            let worst = reply.forecasts.iter().filter(|((at, _), _)| *at == node).map(|(_, change)| *change);
            if let Some(worst) = worst.min_by(f64::total_cmp).filter(|worst| *worst < 0.0) {
                objections.push(format!(
                    "agent {peer} answered question {}: reading at node {node} its level would change by {worst:+.2}",
                    ask.id
                ));
            }
        }
        if !objections.is_empty() {
            break;
        }
    }
    objections
}
