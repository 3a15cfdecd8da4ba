//! Deleting what the catalogue has dropped: only what was written, and never the last good copy.

use super::inspection::{Depth, inspect, judge};
use super::world::{World, chain};
use crate::storage::set::{self, Left, SetAt};
use crate::storage::{Content, ObjectStore, StorageError};
use agent_core::domain::manifest::Extent;
use agent_core::domain::placement::{Condition, DataSet, Replica};
use agent_core::domain::snapshot::Snapshot;
use std::sync::Arc;

/// Deletes what is this network's alone, whatever it is: what arrived of a transfer that was given up.
pub(super) async fn delete(world: &World, replica: &Replica) -> Result<(), String> {
    let snapshot = current(world, replica).await?;
    let reached = world.reach(&snapshot, replica.node).await.map_err(|error| chain(&error))?;
    discard(world, &reached.store, replica).await
}

async fn discard(world: &World, store: &Arc<dyn ObjectStore>, replica: &Replica) -> Result<(), String> {
    match Extent::of(&replica.object_key) {
        Extent::Object(key) => store.delete(&key).await.map_err(|error| chain(&error)),
        Extent::Set(keys) => told(world, replica, set::discard(&SetAt::new(store.clone(), keys)).await),
    }
}

async fn current(world: &World, replica: &Replica) -> Result<Snapshot, String> {
    let snapshot = world.knowledge.snapshot(&replica.data_set).await.map_err(|error| chain(&error))?;
    snapshot.ok_or_else(|| format!("data set {} is gone", replica.data_set))
}

/// Deletes what a `removing` row names, and then the row. An error is for people, and names no object.
///
/// What it leaves behind is looked at again before: what was damaged since it was copied must not outlive what it was copied
/// from. And only what was written is deleted: another content under the key is somebody else's, and stays.
pub async fn remove(world: &World, replica: &Replica) -> Result<(), String> {
    let snapshot = current(world, replica).await?;
    if is_verified(&snapshot.data_set, replica) && !is_safe(world, &snapshot, replica).await? {
        return Ok(());
    }
    let deleted = delete_what_was_written(world, &snapshot, replica).await;
    deleted.map_err(|why| why.replace(&replica.object_key, "..."))?;
    world.knowledge.removed(replica.id).await.map_err(|error| chain(&error))
}

/// Whether a row's object was once a replica: the user's own, or copied and read back. What was given up on the way was not.
fn is_verified(data_set: &DataSet, replica: &Replica) -> bool {
    replica.validators.etag.is_some() || replica.validators.bytes.is_some() || is_the_users(data_set, replica)
}

fn is_the_users(data_set: &DataSet, replica: &Replica) -> bool {
    replica.object_key == data_set.object_key
}

/// Whether an intact replica stays. If none does and this one still is what it was, it is taken back; the row is not to be
/// removed then. An error: it cannot be known now.
async fn is_safe(world: &World, snapshot: &Snapshot, dropped: &Replica) -> Result<bool, String> {
    let mut unknown = None;
    for replica in snapshot.placement.current() {
        match judge(world, snapshot, replica, Depth::Look).await {
            Ok(Condition::Intact(_)) => return Ok(true),
            Ok(Condition::Changed(_) | Condition::Damaged(_)) => {}
            Err(why) => unknown = Some(why),
        }
    }
    if let Some(why) = unknown {
        return Err(format!("whether an intact replica stays is not known: {why}"));
    }
    match judge(world, &current(world, dropped).await?, dropped, Depth::Read).await? {
        Condition::Intact(_) => {
            world.trouble(format!("the object on node {} is the last intact one and is taken back", dropped.node));
            Ok(false)
        }
        // There is nothing left to lose here.
        Condition::Changed(_) | Condition::Damaged(_) => Ok(true),
    }
}

async fn delete_what_was_written(world: &World, snapshot: &Snapshot, replica: &Replica) -> Result<(), String> {
    let data_set = &snapshot.data_set;
    let reached = world.reach(snapshot, replica.node).await.map_err(|error| chain(&error))?;
    let store = &reached.store;
    if !is_verified(data_set, replica) {
        return discard(world, store, replica).await;
    }
    if let Extent::Set(keys) = Extent::of(&replica.object_key) {
        return told(world, replica, set::remove(&SetAt::new(store.clone(), keys)).await);
    }
    let mut content =
        Content { bytes: replica.validators.bytes.unwrap_or(data_set.bytes), etag: replica.validators.etag.clone() };
    if content.etag.is_none() {
        match inspect(store, data_set, replica, Depth::Read).await? {
            Condition::Intact(validators) => content.etag = validators.etag,
            Condition::Changed(why) | Condition::Damaged(why) => return left_alone(world, replica, &why),
        }
    }
    match store.delete_if(&replica.object_key, &content).await {
        Ok(()) => Ok(()),
        Err(StorageError::Changed { reason, .. }) => left_alone(world, replica, &reason),
        Err(error) => Err(chain(&error)),
    }
}

/// What of a set is somebody else's: the row is closed all the same.
fn told(world: &World, replica: &Replica, deleted: crate::storage::Result<Option<Left>>) -> Result<(), String> {
    if let Some(Left { objects, key, why }) = deleted.map_err(|error| chain(&error))? {
        let node = replica.node;
        world.trouble(format!("{objects} objects on node {node} are left alone, `{key}` for one: {why}"));
    }
    Ok(())
}

/// What lies there is somebody else's by now: the row is closed all the same.
fn left_alone(world: &World, replica: &Replica, why: &str) -> Result<(), String> {
    world.trouble(format!(
        "`{}` on node {} is not what was written there ({why}) and is left alone",
        replica.object_key, replica.node
    ));
    Ok(())
}
