//! The network as it was: what the table's records tell of an earlier moment.
//!
//! Where replicas were follows from the decision that was made next, which says what it saw, and from what had been done between the two;
//! who read where and was content, from everybody's last job before. What availability and latency were is kept when they are changed.

use super::Api;
use super::problem::Problem;
use super::view::View;
use super::wire;
use crate::app::status::{ReplicaStatus, Status};
use crate::knowledge::{Order, Recorded, Selection};
use agent_core::domain::action::Action;
use agent_core::domain::environment::{Basis, Quantity, Saying};
use agent_core::domain::event::{Event, Outcome};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::measurement::Measurement;
use agent_core::domain::placement::ReplicaState;
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::mape::planner::Decision;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Events before a moment of which some may still have been under way then.
const LATELY: usize = 50;

impl Api {
    /// The same network at an earlier moment.
    pub(super) async fn look_back(&self, mut view: View, at: Timestamp) -> Result<View, Problem> {
        let former = self.knowledge().former_environment(at).await?;
        for (snapshot, status) in view.snapshots.iter_mut().zip(&mut view.statuses) {
            restore(&former, snapshot);
            self.look_back_on(at, snapshot, status).await?;
        }
        if let Some(snapshot) = view.snapshots.first() {
            for (id, node) in &mut view.nodes {
                let Some(row) = snapshot.nodes.get(&NodeId(*id)) else { continue };
                *node = wire::Node { silent_since: node.silent_since.take(), ..wire::Node::of(row, node.stored_bytes) };
            }
        }
        for agent in view.agents.values_mut() {
            let last = Selection {
                agent: Some(AgentId(agent.id)),
                until: at,
                order: Order::NewestFirst,
                limit: 1,
                ..Selection::default()
            };
            let last = self.knowledge().select_measurements(&last).await?;
            look_back_at(agent, last.first(), self);
        }
        Ok(view)
    }

    async fn look_back_on(&self, at: Timestamp, snapshot: &mut Snapshot, status: &mut Status) -> Result<(), Problem> {
        let of = Selection { data_set: Some(snapshot.data_set.name.clone()), ..Selection::default() };
        let next = Selection { since: at, limit: 1, ..of.clone() };
        let next = self.knowledge().select_events(&next).await?.into_iter().next();
        let before = Selection { until: at, order: Order::NewestFirst, limit: LATELY, ..of };
        let before = self.knowledge().select_events(&before).await?;
        let seen = next.and_then(|next| Some((seen_by(&next)?, next.posted_at)));
        let (nodes, until) = seen.unwrap_or_else(|| (snapshot.placement.nodes(), Timestamp(i64::MAX)));
        let nodes = taken_back(nodes, &before, at, until);
        status.replicas = nodes.into_iter().map(present).collect();
        (status.unhealthy, status.broken, status.converged) = (Vec::new(), Vec::new(), false);
        let under_way = before.into_iter().filter(|event| event.ended_at.is_none_or(|ended| ended > at));
        let running = |event: Event| Arc::new(Event { outcome: Outcome::Running, ended_at: None, ..event });
        snapshot.open_events = under_way.map(running).collect();
        Ok(())
    }
}

/// What was said of nodes and links.
fn restore(former: &[Saying], snapshot: &mut Snapshot) {
    let (mut nodes, mut links, mut measured) =
        ((*snapshot.nodes).clone(), (*snapshot.links).clone(), (*snapshot.measured).clone());
    for Saying { quantity, basis, value } in former {
        match (*quantity, basis) {
            (Quantity::Availability(id), basis) => {
                let Some(node) = nodes.get_mut(&id) else { continue };
                let value = value.and_then(Percent::new);
                match basis {
                    Basis::Measured => node.availability.measured = value,
                    Basis::Declared | Basis::Assumed => node.availability.declared = value,
                }
            }
            (Quantity::Latency(from, to), Basis::Measured) => measured.set_latency(from, to, *value),
            (Quantity::Latency(from, to), Basis::Declared | Basis::Assumed) => {
                let known = nodes.contains_key(&from) && nodes.contains_key(&to);
                links.set_latency(from, to, value.filter(|_| known));
            }
        }
    }
    (snapshot.nodes, snapshot.links, snapshot.measured) = (Arc::new(nodes), Arc::new(links), Arc::new(measured));
}

/// The nodes that held a replica when an event was decided on.
fn seen_by(event: &Event) -> Option<BTreeSet<NodeId>> {
    let decision: Decision = serde_json::from_str(&event.detail).ok()?;
    Some(decision.replica_nodes.into_iter().collect())
}

/// Where replicas were at a moment: `later` less what ended between the two; `before` are the events begun before it.
fn taken_back(later: BTreeSet<NodeId>, before: &[Event], at: Timestamp, until: Timestamp) -> BTreeSet<NodeId> {
    let mut nodes = later;
    let ended_between = |event: &&Event| event.ended_at.is_some_and(|ended| at < ended && ended <= until);
    for event in before.iter().filter(|event| event.outcome == Outcome::Done).filter(ended_between) {
        match event.action {
            Action::Move { from, to } => {
                nodes.remove(&to);
                nodes.insert(from);
            }
            Action::Copy { to, .. } => _ = nodes.remove(&to),
            Action::Evict { node } => _ = nodes.insert(node),
            Action::Nothing | Action::ChangeReference { .. } | Action::Restore { .. } | Action::MoveWork { .. } => {}
        }
    }
    nodes
}

fn present(node: NodeId) -> ReplicaStatus {
    ReplicaStatus { node, state: ReplicaState::Present, remark: None, readers: Vec::new(), behind: None }
}

/// An agent as its last job left it.
fn look_back_at(agent: &mut wire::Agent, last: Option<&Recorded>, api: &Api) {
    let node_of = |measurement: &Measurement, data_set: &str| {
        let part = measurement.parts.iter().find(|part| *part.data_set.0 == *data_set);
        let whole = (*measurement.data_set.0 == *data_set).then_some(measurement.node);
        part.map(|part| part.node).or(whole).map(|node| node.0)
    };
    for reads in &mut agent.reads {
        reads.node = last.and_then(|last| node_of(&last.measurement, &reads.data_set));
    }
    agent.goal_met = last.filter(|last| last.measurement.failure.is_none()).map(|last| last.satisfied);
    agent.failed_in_a_row = u64::from(last.is_some_and(|last| last.measurement.failure.is_some()));
    agent.last_job = last.map(|last| wire::Measurement::recorded(last, api.scale));
    (agent.alive, agent.silent_since) = (true, None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::mape::scene;
    use std::time::Duration;

    #[test]
    fn what_was_done_since_is_taken_back() {
        let at = |seconds: u64| scene::NOW + Duration::from_secs(seconds);
        let events = [scene::event(2, "C1_2", at(20)), scene::event(1, "M3_1", at(10))];
        let nodes = |at_s: u64| -> Vec<u32> {
            let later = BTreeSet::from([NodeId(1), NodeId(2)]);
            taken_back(later, &events, at(at_s), Timestamp(i64::MAX)).into_iter().map(|node| node.0).collect()
        };
        assert_eq!((nodes(30), nodes(15), nodes(5)), (vec![1, 2], vec![1], vec![3]));
    }
}
