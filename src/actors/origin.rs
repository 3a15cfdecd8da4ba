//! What the owner of a data set writes where the owner writes: noticed, and announced as the next version.
//!
//! An agent that looks by itself announces what it has found twice in a row: whoever writes many objects one after the other is waited
//! for. A version is the next manifest, or the object's checksum; the table names it, and all other replicas are refreshed.

use super::Notice;
use super::world::{World, chain};
use crate::storage::set::{self, Meter, SetAt};
use crate::storage::transfer::checksum;
use crate::storage::{ObjectStore, StorageError};
use agent_core::domain::ids::DataSetName;
use agent_core::domain::manifest::{Extent, Manifest, Selection};
use agent_core::domain::placement::{Condition, DataSet, Replica};
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::validators::Validators;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Of the first manifest of a set.
pub const FIRST_VERSION: u64 = 1;

/// What a look at what lies in a replica came to.
#[derive(Clone, PartialEq, Debug)]
pub enum Announced {
    /// It is what the catalogue says.
    Nothing,
    /// The catalogue says so from now on: so many bytes, with this SHA-256.
    Version { bytes: u64, sha256: String },
    /// Somebody writes there at this moment, or was faster with the table: why, for people.
    NotYet(String),
}

/// What was found at origins and is announced if it is found again.
pub(super) type Found = BTreeMap<DataSetName, Written>;

/// Looks at every origin on this agent's node, and at that of what it reads where nobody lives.
pub(super) async fn watch(world: &World, silence: Duration, found: &mut Found) -> crate::knowledge::Result<()> {
    for name in world.knowledge.data_sets().await? {
        let before = found.remove(&name);
        let Some(snapshot) = world.knowledge.snapshot(&name).await? else { continue };
        let own_key = &snapshot.data_set.object_key;
        let Some(origin) = snapshot.placement.origin(own_key).filter(|row| is_written(&snapshot, row)) else {
            continue;
        };
        if origin.node != world.home && !snapshot.is_kept_by(world.agent, origin.node, silence) {
            continue;
        }
        match look_twice(world, &snapshot, origin, before).await {
            Ok(found_now) => found.extend(found_now.map(|written| (name, written))),
            Err(why) => {
                tracing::debug!(agent = %world.agent, data_set = %name, why, "what is written is not known yet")
            }
        }
    }
    Ok(())
}

/// What is to be found once more before it is announced.
async fn look_twice(
    world: &World,
    snapshot: &Snapshot,
    origin: &Replica,
    before: Option<Written>,
) -> Result<Option<Written>, String> {
    match look(world, snapshot, origin, None, before.as_ref()).await? {
        Look::Written(now) if before.is_some_and(|before| before.content == now.content) => {
            tell(world, snapshot, origin, now).await.map(|_| None)
        }
        Look::Written(now) => Ok(Some(now)),
        Look::Same | Look::Writing(_) => Ok(None),
    }
}

/// Whether what is found in a replica is its owner's to change.
pub fn is_written(snapshot: &Snapshot, replica: &Replica) -> bool {
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
    match look(world, snapshot, replica, configured, None).await? {
        Look::Same => Ok(Announced::Nothing),
        Look::Written(written) => tell(world, snapshot, replica, written).await,
        Look::Writing(why) => Ok(Announced::NotYet(why)),
    }
}

/// Tells the table.
async fn tell(world: &World, snapshot: &Snapshot, replica: &Replica, written: Written) -> Result<Announced, String> {
    let Written { content, bytes, what, lies } = written;
    let validators = match lies {
        Lies::Object(validators) => validators,
        Lies::Set(at, manifest) => at.write_manifest(&manifest).await.map_err(|error| chain(&error))?,
    };
    let accepted = world.knowledge.accept(&content, bytes, replica.id, replica.generation, &validators).await;
    if !accepted.map_err(|error| chain(&error))? {
        let why = format!("the replica on node {} has become another one meanwhile", replica.node);
        return Ok(Announced::NotYet(why));
    }
    let (known, version) = (&snapshot.data_set, snapshot.data_set.versions.version + 1);
    world.notify(Notice::Written {
        agent: world.agent,
        what: format!("version {version} of data set {} at node {}: {what}", known.name, replica.node),
    });
    Ok(Announced::Version { bytes: content.bytes, sha256: content.sha256 })
}

/// What a look at the store showed.
// One at a time: a box would save nothing.
#[allow(clippy::large_enum_variant)]
enum Look {
    /// The newest version.
    Same,
    Written(Written),
    /// It has changed while it was read.
    Writing(String),
}

/// A version that nobody was told of yet.
pub(super) struct Written {
    content: DataSet,
    /// That are not as in the newest version.
    bytes: u64,
    /// For people.
    what: String,
    lies: Lies,
}

enum Lies {
    Object(Validators),
    /// The manifest is not written yet.
    Set(SetAt, Arc<Manifest>),
}

/// `before`: what the look before has found, which need not be read again.
async fn look(
    world: &World,
    snapshot: &Snapshot,
    replica: &Replica,
    configured: Option<&Selection>,
    before: Option<&Written>,
) -> Result<Look, String> {
    let reached = world.reach(snapshot, replica.node).await.map_err(|error| chain(&error))?;
    let known = &snapshot.data_set;
    match Extent::of(&replica.object_key) {
        Extent::Object(_) => {
            let (look, seen) = object(reached.store.as_ref(), known, replica, before).await?;
            // The same bytes under another ETag: nobody has to read them again.
            if let Some(validators) = seen.filter(|_| !replica.is_unsound()) {
                let intact = Condition::Intact(validators);
                let seen = world.knowledge.found(replica.id, replica.generation, &intact).await;
                seen.map_err(|error| chain(&error))?;
            }
            Ok(look)
        }
        Extent::Set(keys) => objects(&SetAt::new(reached.store, keys), known, configured, before).await,
    }
}

/// And its validators where the same content shows other ones.
async fn object(
    store: &dyn ObjectStore,
    known: &DataSet,
    replica: &Replica,
    before: Option<&Written>,
) -> Result<(Look, Option<Validators>), String> {
    let key = &replica.object_key;
    let found = store.info(key).await.map_err(|error| chain(&error))?;
    let Some(found) = found else {
        return Err(format!("{}: there is no object `{key}`; `agent data restore` makes it anew", store.address()));
    };
    let is_known = |known: &Validators| known.etag.is_some() && known.difference(&found.validators).is_none();
    if !replica.is_unsound() && is_known(&replica.validators) {
        return Ok((Look::Same, None));
    }
    let sha256 = match before {
        Some(Written { content, lies: Lies::Object(validators), .. }) if is_known(validators) => content.sha256.clone(),
        Some(_) | None => match checksum(store, &found).await {
            Ok(sha256) => sha256,
            Err(StorageError::Changed { reason, .. }) => return Ok((Look::Writing(reason), None)),
            Err(error) => return Err(chain(&error)),
        },
    };
    if sha256 == known.sha256 {
        return Ok((Look::Same, Some(found.validators)));
    }
    // How many records it has shows with the next job.
    let content = DataSet { bytes: found.bytes, records: 0, sha256, ..known.clone() };
    let (bytes, what, lies) = (found.bytes, format!("{} bytes", found.bytes), Lies::Object(found.validators));
    Ok((Look::Written(Written { content, bytes, what, lies }), None))
}

async fn objects(
    at: &SetAt,
    known: &DataSet,
    configured: Option<&Selection>,
    before: Option<&Written>,
) -> Result<Look, String> {
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
    let former = held.map(|held| held.manifest);
    let read = match before {
        Some(Written { lies: Lies::Set(_, manifest), .. }) => Some(manifest.clone()),
        Some(_) | None => former.clone(),
    };
    let next = set::make(at, selection, version, read, &Meter::silent()).await.map_err(|error| chain(&error))?;
    let (manifest, bytes, what) = match &former {
        None => (next.clone(), next.bytes(), format!("{} objects", next.objects().len())),
        Some(former) => {
            let difference = next.since(former);
            if !difference.is_none() {
                (next.clone(), difference.bytes(), format!("of its objects {difference}"))
            } else {
                let etags = next.objects().iter().map(|object| object.etag.clone());
                let same = Arc::new(former.with_etags(etags));
                if former.sha256().to_string() == known.sha256 {
                    // What was put back as it was need not be read again each time.
                    if same != *former {
                        at.write_manifest(&same).await.map_err(|error| chain(&error))?;
                    }
                    return Ok(Look::Same);
                }
                // Whoever wrote this manifest did not come to tell the table.
                (same, former.bytes(), "what its manifest says".to_owned())
            }
        }
    };
    // Only what is new has to be settled.
    if !set::lies_there(at, &next).await.map_err(|error| chain(&error))? {
        return Ok(Look::Writing(format!("what lies below `{}` changes while it is read", at.keys.prefix())));
    }
    let (total, sha256) = (manifest.bytes(), manifest.sha256().to_string());
    let content = DataSet { bytes: total, records: 0, sha256, ..known.clone() };
    Ok(Look::Written(Written { content, bytes, what, lies: Lies::Set(at.clone(), manifest) }))
}
