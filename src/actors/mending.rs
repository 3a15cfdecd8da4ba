//! Making damaged replicas anew from intact ones.

use super::saga::carry_out;
use super::watchdog::Watch;
use super::world::{World, chain};
use crate::domain::action::Action;
use crate::domain::ids::{AgentId, NodeId, ReplicaId};
use crate::domain::placement::{Plan, ReplicaState};
use crate::domain::snapshot::Snapshot;
use crate::mape::executor::End;
use crate::mape::planner::{Decision, Reason};
use std::sync::Arc;

/// Makes the damaged replica on this agent's own node anew, if there is one and an intact one elsewhere. `None`: there is nothing
/// to mend.
pub(super) async fn mend(world: &Arc<World>, watch: Watch) -> Option<End> {
    let snapshot = match world.knowledge.snapshot(&world.data_set).await {
        Ok(snapshot) => snapshot?,
        Err(error) => {
            tracing::debug!(agent = %world.agent, error = chain(&error), "whether anything is damaged is not known");
            return None;
        }
    };
    let damaged = snapshot.placement.unsound_on(world.home).filter(|row| row.state == ReplicaState::Damaged)?;
    let key = format!("{}-mend-{}-{}", world.identity.life, damaged.id, damaged.generation);
    let reference = snapshot.placement.references.get(&world.agent).copied()?;
    let plan = plan_for(&snapshot, world.home, world.agent, reference, key, Reason::Damaged)?;
    Some(carry_out(world, watch, plan).await)
}

/// The plan to make a node's unsound replica anew from the nearest intact one; `None`: it has none, there is no intact one, or
/// it is under way.
pub fn plan_for(
    snapshot: &Snapshot,
    node: NodeId,
    agent: AgentId,
    reference: ReplicaId,
    key: String,
    reason: Reason,
) -> Option<Plan> {
    let placement = &snapshot.placement;
    let unsound = placement.unsound_on(node)?;
    let is_under_way = placement.on(node).is_some_and(|row| row.state == ReplicaState::Copying);
    if is_under_way {
        return None;
    }
    let latency = |from: NodeId| snapshot.link(node, from).map_or(f64::INFINITY, |link| link.latency_ms);
    let nearest = placement.present().min_by(|a, b| latency(a.node).total_cmp(&latency(b.node)))?;
    let action = Action::Restore { from: nearest.node, to: node };
    Some(Plan {
        key,
        agent,
        data_set: snapshot.data_set.name.clone(),
        reference,
        action,
        explored: false,
        expected: [(nearest.id, nearest.generation), (unsound.id, unsound.generation)].into(),
        generation: None,
        detail: Decision::apart(agent, snapshot, action, reason).to_json(),
    })
}
