//! Making damaged replicas anew from intact ones, and looking again at what only seemed to be damaged.

use super::inspection::{Depth, judge};
use super::saga::carry_out;
use super::watchdog::Watch;
use super::world::{World, chain};
use agent_core::domain::action::Action;
use agent_core::domain::ids::{AgentId, NodeId, ReplicaId};
use agent_core::domain::placement::{Condition, Plan, Replica, ReplicaState};
use agent_core::domain::snapshot::Snapshot;
use agent_core::mape::executor::End;
use agent_core::mape::planner::{Decision, Reason};
use std::sync::Arc;

/// Makes a damaged replica on this agent's own node anew, of whichever data set, if there is one and an intact one elsewhere.
/// What cannot be made anew is looked at again: it may have been the way to it that was bad. `None`: there is nothing to mend.
pub(super) async fn mend(world: &Arc<World>, watch: Watch) -> Option<End> {
    let (snapshot, unsound) = match first_unsound(world).await {
        Ok(found) => found?,
        Err(error) => {
            tracing::debug!(agent = %world.agent, error = chain(&error), "whether anything is damaged is not known");
            return None;
        }
    };
    let unsound = &unsound;
    // What lies on its node and it does not read it mends as anybody would.
    let reads = snapshot.placement.references.get(&world.agent).copied();
    let (agent, reference) = reads.map_or((AgentId::OPERATOR, unsound.id), |reference| (world.agent, reference));
    if unsound.state == ReplicaState::Damaged && snapshot.placement.current().next().is_some() {
        let key = format!("{}-mend-{}-{}", world.identity.life, unsound.id, unsound.generation);
        let plan = plan_for(&snapshot, world.home, agent, reference, key, Reason::Damaged)?;
        return Some(carry_out(world, watch, plan).await);
    }
    look_again(world, &snapshot, unsound).await
}

/// The first replica on the agent's own node that is not what the catalogue says.
async fn first_unsound(world: &World) -> crate::knowledge::Result<Option<(Snapshot, Replica)>> {
    for name in world.knowledge.data_sets().await? {
        let snapshot = world.knowledge.snapshot(&name).await?;
        // What is only outdated is refreshed by the planner, also where nobody lives.
        let unsound = |it: &Snapshot| it.placement.unsound_on(world.home).filter(|row| row.state.is_unsound()).cloned();
        let unsound = snapshot.and_then(|it| unsound(&it).map(|row| (it, row)));
        if unsound.is_some() {
            return Ok(unsound);
        }
    }
    Ok(None)
}

/// Reads an object that was found to be wrong once more, as long as its validators are what they were: then nobody is known to have
/// written it since.
async fn look_again(world: &World, snapshot: &Snapshot, unsound: &Replica) -> Option<End> {
    let again = async {
        let reached = world.reach(snapshot, unsound.node).await.map_err(|error| chain(&error))?;
        let found = reached.store.info(&unsound.object_key).await.map_err(|error| chain(&error))?;
        match found.filter(|found| unsound.validators.difference(&found.validators).is_none()) {
            Some(_) => judge(world, snapshot, unsound, Depth::Read).await.map(Some),
            None => Ok(None),
        }
    };
    match again.await {
        Ok(Some(Condition::Intact(_))) => {
            world.trouble(format!("the replica on node {} is intact after all", unsound.node));
            Some(End::Done)
        }
        Ok(Some(Condition::Changed(why) | Condition::Damaged(why))) | Err(why) => Some(End::Failed(why)),
        Ok(None) => None,
    }
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
    let nearest = snapshot.nearest(node)?;
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
