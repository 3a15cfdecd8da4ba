//! Whether replicas are what the catalogue says: a store belongs to others too, who replace, damage and delete objects.

use super::Notice;
use super::origin;
use super::world::{World, chain};
use crate::storage::set::{self, Seen, SetAt};
use crate::storage::transfer::{Expected, verify};
use crate::storage::{ObjectStore, StorageError};
use agent_core::domain::ids::NodeId;
use agent_core::domain::manifest::Extent;
use agent_core::domain::placement::{Condition, DataSet, Replica};
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::validators::Validators;
use std::sync::Arc;

/// How a replica is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Its validators are compared, and it is read where they differ or are not known: an object that was put back as it was is
    /// the same.
    Look,
    /// It is read in any case: bytes rot under the same ETag, too.
    Read,
}

/// What a replica's object is, or its objects. An error, for people: it cannot be known now, and nothing follows from it.
pub async fn inspect(
    store: &Arc<dyn ObjectStore>,
    data_set: &DataSet,
    replica: &Replica,
    depth: Depth,
) -> Result<Condition, String> {
    // What is the user's own is for a person to judge; what agents made they make anew.
    let unsound = match replica.object_key == data_set.object_key {
        true => Condition::Changed,
        false => Condition::Damaged,
    };
    match Extent::of(&replica.object_key) {
        Extent::Object(_) => inspect_object(store.as_ref(), data_set, replica, depth, unsound).await,
        Extent::Set(keys) => {
            let sha256 = replica.content(data_set).sha256;
            let seen = set::inspect(&SetAt::new(store.clone(), keys), sha256, depth == Depth::Read).await;
            Ok(match seen.map_err(|error| chain(&error))? {
                Seen::Intact(validators) => Condition::Intact(validators),
                Seen::Differs(why) => unsound(why),
                Seen::Gone(why) => Condition::Damaged(why),
            })
        }
    }
}

async fn inspect_object(
    store: &dyn ObjectStore,
    data_set: &DataSet,
    replica: &Replica,
    depth: Depth,
    unsound: fn(String) -> Condition,
) -> Result<Condition, String> {
    let found = match store.info(&replica.object_key).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Condition::Damaged("its object is gone".to_owned())),
        Err(error) => return Err(chain(&error)),
    };
    let difference = known(replica, data_set).difference(&found.validators);
    let is_known = replica.validators.etag.is_some() && difference.is_none();
    if is_known && depth == Depth::Look {
        return Ok(Condition::Intact(found.validators));
    }
    let content = replica.content(data_set);
    let expected = Expected { bytes: content.bytes, sha256: content.sha256.to_owned() };
    match verify(store, &replica.object_key, &expected).await {
        Ok(verified) => Ok(Condition::Intact(verified.validators().clone())),
        Err(StorageError::Damaged { reason, .. } | StorageError::Changed { reason, .. }) => {
            Ok(unsound(difference.unwrap_or(reason)))
        }
        Err(error) => Err(chain(&error)),
    }
}

/// What is known of a replica's object; its length follows from the data set.
fn known(replica: &Replica, data_set: &DataSet) -> Validators {
    let bytes = replica.content(data_set).bytes;
    Validators { bytes: replica.validators.bytes.or(Some(bytes)), ..replica.validators.clone() }
}

/// Inspects a replica through this agent's link, and states what was found; who finds something out first tells it.
pub async fn judge(world: &World, snapshot: &Snapshot, replica: &Replica, depth: Depth) -> Result<Condition, String> {
    let reached = world.reach(snapshot, replica.node).await.map_err(|error| chain(&error))?;
    judge_in(world, reached.store, snapshot, replica, depth).await
}

/// The same in a store that was reached.
pub async fn judge_in(
    world: &World,
    store: Arc<dyn ObjectStore>,
    snapshot: &Snapshot,
    replica: &Replica,
    depth: Depth,
) -> Result<Condition, String> {
    let condition = inspect(&store, &snapshot.data_set, replica, depth).await?;
    if matches!(condition, Condition::Changed(_)) && origin::is_written(snapshot, replica) {
        // A version ends where its owner pauses or says so, not where somebody happens to read.
        return Err("its owner writes there, and what is new is not announced yet".to_owned());
    }
    let news =
        world.knowledge.found(replica.id, replica.generation, &condition).await.map_err(|error| chain(&error))?;
    if news && let Some(what) = told(&snapshot.data_set, replica.node, &condition) {
        world.notify(Notice::Trouble { agent: world.agent, what });
    }
    Ok(condition)
}

/// For people: what was found, and what to do.
fn told(data_set: &DataSet, node: NodeId, condition: &Condition) -> Option<String> {
    let name = &data_set.name;
    match condition {
        Condition::Intact(_) => None,
        Condition::Changed(why) => Some(format!(
            "the object of data set {name} on node {node} was changed: {why}; nothing is done with it until somebody decides: \
             `agent data accept {name} --node {node}` takes what lies there now, `agent data restore {name} --node {node}` \
             brings back what was"
        )),
        Condition::Damaged(why) => Some(format!(
            "the replica of data set {name} on node {node} is damaged: {why}; it is read no more, and made anew from an \
             intact one"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::contract::put;
    use crate::storage::memory::MemoryStore;
    use agent_core::domain::ids::ReplicaId;
    use agent_core::domain::placement::ReplicaState;
    use sha2::{Digest as _, Sha256};

    fn data_set() -> DataSet {
        let sha256 = hex::encode(Sha256::digest(b"content"));
        DataSet {
            name: "blood".into(),
            object_key: "own.json".to_owned(),
            bytes: 7,
            records: 0,
            sha256,
            versions: Default::default(),
            guard: Default::default(),
        }
    }

    /// What is found of a replica that had these validators, and what there is to say of it.
    async fn look(
        store: &MemoryStore,
        key: &str,
        validators: &Validators,
        depth: Depth,
    ) -> (Condition, Option<String>) {
        let replica = Replica {
            id: ReplicaId(1),
            data_set: "blood".into(),
            node: NodeId(3),
            object_key: key.to_owned(),
            state: ReplicaState::Present,
            generation: 1,
            lease: None,
            validators: validators.clone(),
            remark: None,
            former: None,
        };
        let store: Arc<dyn ObjectStore> = Arc::new(store.clone());
        let condition = inspect(&store, &data_set(), &replica, depth).await.unwrap();
        let told = told(&data_set(), NodeId(3), &condition);
        (condition, told)
    }

    async fn validators(store: &MemoryStore, key: &str) -> Validators {
        store.info(key).await.unwrap().unwrap().validators
    }

    #[tokio::test]
    async fn an_object_is_known_by_its_validators_and_else_by_its_bytes() {
        let store = MemoryStore::new("store");
        put(&store, "own.json", b"content").await;
        let first = validators(&store, "own.json").await;
        assert_eq!(look(&store, "own.json", &first, Depth::Look).await, (Condition::Intact(first.clone()), None));
        let unknown = Validators::default();
        assert_eq!(look(&store, "own.json", &unknown, Depth::Look).await.0, Condition::Intact(first.clone()));
        // Put back as it was: another ETag, the same bytes.
        put(&store, "own.json", b"content").await;
        let again = validators(&store, "own.json").await;
        assert_eq!(look(&store, "own.json", &first, Depth::Look).await.0, Condition::Intact(again));
    }

    #[tokio::test]
    async fn the_users_own_is_changed_and_what_agents_made_is_damaged() {
        let store = MemoryStore::new("store");
        put(&store, "own.json", b"content").await;
        let first = validators(&store, "own.json").await;
        put(&store, "own.json", b"content, and more").await;
        let (condition, told) = look(&store, "own.json", &first, Depth::Look).await;
        assert_eq!(condition, Condition::Changed("it has 17 bytes, no longer 7".to_owned()));
        assert!(told.unwrap().contains("`agent data accept blood --node 3`"));
        put(&store, "made.json", b"c0ntent").await;
        let (condition, told) = look(&store, "made.json", &Validators::default(), Depth::Look).await;
        assert!(matches!(&condition, Condition::Damaged(why) if why.starts_with("its SHA-256 is ")), "{condition:?}");
        assert!(told.unwrap().contains("is damaged"));
        let (condition, _) = look(&store, "gone.json", &first, Depth::Look).await;
        assert_eq!(condition, Condition::Damaged("its object is gone".to_owned()));
    }

    #[tokio::test]
    async fn bytes_that_rot_under_the_same_etag_are_found_by_reading() {
        let store = MemoryStore::new("store");
        put(&store, "made.json", b"c0ntent").await;
        let known = validators(&store, "made.json").await;
        assert!(matches!(look(&store, "made.json", &known, Depth::Look).await.0, Condition::Intact(_)));
        assert!(matches!(look(&store, "made.json", &known, Depth::Read).await.0, Condition::Damaged(_)));
    }
}
