//! What the owner of a data set writes where the owner writes: noticed, and announced as the next version.
//!
//! A version is announced when what lies there does not change while it is read: whoever writes many objects one after the other is
//! waited for. What it is of is the next manifest, or the object's checksum; the table names it, and all other replicas are refreshed.

use super::Notice;
use super::world::{World, chain};
use crate::storage::set::{self, Meter, SetAt};
use crate::storage::{ObjectStore, StorageError};
use agent_core::domain::manifest::{Extent, Selection};
use agent_core::domain::placement::{Condition, DataSet, Replica};
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::validators::Validators;
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Of the first manifest of a set.
pub const FIRST_VERSION: u64 = 1;

/// What a look at what lies in a replica came to.
#[derive(Clone, PartialEq, Debug)]
pub enum Announced {
    /// It is what the catalogue says.
    Nothing,
    /// The catalogue says so from now on.
    Version(DataSet),
    /// Somebody writes there at this moment, or was faster with the table: why, for people.
    NotYet(String),
}

/// Of every data set whose owner writes on this agent's node.
pub(super) async fn watch(world: &World) -> crate::knowledge::Result<()> {
    for name in world.knowledge.data_sets().await? {
        let Some(snapshot) = world.knowledge.snapshot(&name).await? else { continue };
        let own_key = &snapshot.data_set.object_key;
        let Some(origin) = snapshot.placement.origin(own_key).filter(|row| row.node == world.home) else { continue };
        if !is_written(&snapshot, origin) {
            continue;
        }
        match announce(world, &snapshot, origin, None).await {
            Ok(Announced::Nothing | Announced::Version(_)) => {}
            Ok(Announced::NotYet(why)) | Err(why) => {
                tracing::debug!(agent = %world.agent, data_set = %name, why, "what its owner writes is not known yet");
            }
        }
    }
    Ok(())
}

/// Whether what is found in a replica is its owner's to change.
pub(super) fn is_written(snapshot: &Snapshot, replica: &Replica) -> bool {
    let data_set = &snapshot.data_set;
    data_set.guard.constraints.origin == Some(replica.node) && replica.object_key == data_set.object_key
}

/// Announces what lies in a replica as the next version, if it is another one than the newest. `configured`: what of a prefix
/// belongs to the set, where no manifest tells any more.
pub async fn announce(
    world: &World,
    snapshot: &Snapshot,
    replica: &Replica,
    configured: Option<&Selection>,
) -> Result<Announced, String> {
    let reached = world.reach(snapshot, replica.node).await.map_err(|error| chain(&error))?;
    let known = &snapshot.data_set;
    let written = match Extent::of(&replica.object_key) {
        Extent::Object(_) => object(reached.store.as_ref(), known, replica).await,
        Extent::Set(keys) => objects(&SetAt::new(reached.store, keys), known, configured).await,
    };
    let Written { content, bytes, validators, what } = match written? {
        Look::Written(written) => written,
        Look::Writing(why) => return Ok(Announced::NotYet(why)),
        Look::Same(validators) => {
            if let Some(validators) = validators.filter(|_| !replica.is_unsound()) {
                let intact = Condition::Intact(validators);
                let seen = world.knowledge.found(replica.id, replica.generation, &intact).await;
                seen.map_err(|error| chain(&error))?;
            }
            return Ok(Announced::Nothing);
        }
    };
    let accepted = world.knowledge.accept(&content, bytes, replica.id, replica.generation, &validators).await;
    if !accepted.map_err(|error| chain(&error))? {
        let why = format!("the replica on node {} has become another one meanwhile", replica.node);
        return Ok(Announced::NotYet(why));
    }
    let version = known.versions.version + 1;
    world.notify(Notice::Written {
        agent: world.agent,
        what: format!("version {version} of data set {} at node {}: {what}", known.name, replica.node),
    });
    Ok(Announced::Version(content))
}

/// What a look at the store showed.
enum Look {
    /// The newest version, with these validators where they are another ones than before.
    Same(Option<Validators>),
    Written(Written),
    /// It has changed while it was read.
    Writing(String),
}

struct Written {
    content: DataSet,
    /// That are not as in the newest version.
    bytes: u64,
    validators: Validators,
    /// For people.
    what: String,
}

async fn object(store: &dyn ObjectStore, known: &DataSet, replica: &Replica) -> Result<Look, String> {
    let key = &replica.object_key;
    let found = store.info(key).await.map_err(|error| chain(&error))?;
    let Some(found) = found else {
        return Err(format!("{}: there is no object `{key}`; `agent data restore` makes it anew", store.address()));
    };
    let is_newest = !replica.is_unsound() && replica.validators.etag.is_some();
    if is_newest && replica.validators.difference(&found.validators).is_none() {
        return Ok(Look::Same(None));
    }
    let mut sum = Sha256::new();
    if found.bytes > 0 {
        let read = async {
            let mut body = store.read_range(key, 0..found.bytes, &found.content()).await?.bytes;
            while let Some(piece) = body.try_next().await? {
                sum.update(&piece);
            }
            Ok(())
        };
        match read.await {
            Ok(()) => {}
            Err(StorageError::Changed { reason, .. }) => return Ok(Look::Writing(reason)),
            Err(error) => return Err(chain(&error)),
        }
    }
    let sha256 = hex::encode(sum.finalize());
    if sha256 == known.sha256 {
        return Ok(Look::Same(Some(found.validators)));
    }
    // How many records it has shows with the next job.
    let content = DataSet { bytes: found.bytes, records: 0, sha256, ..known.clone() };
    let what = format!("{} bytes", found.bytes);
    Ok(Look::Written(Written { content, bytes: found.bytes, validators: found.validators, what }))
}

async fn objects(at: &SetAt, known: &DataSet, configured: Option<&Selection>) -> Result<Look, String> {
    let held = match at.manifest().await {
        Ok(held) => held,
        Err(StorageError::Damaged { .. }) if configured.is_some() => None,
        Err(error) => return Err(chain(&error)),
    };
    let (selection, version) = match (&held, configured) {
        (Some(held), _) => (held.manifest.selection().clone(), held.manifest.version() + 1),
        (None, Some(selection)) => (selection.clone(), FIRST_VERSION),
        (None, None) => return Err(format!("its manifest `{}` is gone", at.keys.manifest())),
    };
    let before = held.as_ref().map(|held| held.manifest.clone());
    let next = set::make(at, selection, version, before.clone(), &Meter::silent()).await;
    let next = next.map_err(|error| chain(&error))?;
    if !set::lies_there(at, &next).await.map_err(|error| chain(&error))? {
        return Ok(Look::Writing(format!("what lies below `{}` changes while it is read", at.keys.prefix())));
    }
    let difference = before.as_deref().map(|before| next.since(before));
    let (next, bytes, what) = match (before.clone(), difference) {
        (Some(before), Some(difference)) if difference.is_none() => {
            let etags = next.objects().iter().map(|object| object.etag.clone());
            let same = Arc::new(before.with_etags(etags));
            if before.sha256().to_string() == known.sha256 {
                // What was put back as it was need not be read again each time.
                let has_other_etags = same != before;
                let rewritten = if has_other_etags { Some(at.write_manifest(&same).await) } else { None };
                let validators = rewritten.transpose().map_err(|error| chain(&error))?;
                return Ok(Look::Same(validators.or(held.map(|held| held.validators))));
            }
            // Whoever wrote this manifest did not come to tell the table.
            (same, before.bytes(), "what its manifest says".to_owned())
        }
        (_, Some(difference)) => {
            let (bytes, what) = (difference.bytes(), format!("of its objects {difference}"));
            (next.clone(), bytes, what)
        }
        (_, None) => (next.clone(), next.bytes(), format!("{} objects", next.objects().len())),
    };
    let validators = at.write_manifest(&next).await.map_err(|error| chain(&error))?;
    let content = DataSet { bytes: next.bytes(), records: 0, sha256: next.sha256().to_string(), ..known.clone() };
    Ok(Look::Written(Written { content, bytes, validators, what }))
}
