//! What the nodes' stores can: found out by trying, stated in the table, and shown by `agent check --online`; and the uploads that
//! were begun in them.

use super::access::Access;
use super::catalogue::Catalogue;
use super::surroundings::Surroundings;
use crate::actors::chain;
use crate::knowledge::{Knowledge, NotedUpload};
use crate::storage::ObjectStore as _;
use crate::storage::s3::{Examination, S3Store, UploadLog};
use agent_core::config::settings::{NodeSettings, S3StoreSettings, StoreSettings};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::placement::{Node, StoreTraits};
use agent_core::domain::store_url::{BUCKET, StoreUrl};
use agent_core::domain::time::Timestamp;
use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use serde::Serialize;
use std::sync::Arc;

/// Stores that are asked at the same time (I-7): one that is silent keeps few others waiting.
const STORES_AT_ONCE: usize = 16;

/// Where objects lie that are written to try a store.
pub const PROBES: &str = "agent-probe/";

/// The key of an object that nobody else has.
fn probe_key() -> String {
    format!("{PROBES}{:016x}", rand::random::<u64>())
}

/// Whether such a key may be this one.
pub fn is_probe(key: &str) -> bool {
    let drawn = key.strip_prefix(PROBES);
    drawn.is_some_and(|drawn| drawn.len() == 16 && drawn.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// Tries a store, states in the table what it can, and tells what people should know.
pub async fn examine(knowledge: &dyn Knowledge, node: NodeId, store: &S3Store) -> crate::knowledge::Result<()> {
    let found = store.examine(&probe_key()).await;
    if let Some(error) = found.failure() {
        let consequence = match found.deletes {
            Some(_) => "nothing is brought there until that is mended",
            None => "what it can is not known yet",
        };
        tracing::warn!("the store of node {node}: {error}; {consequence}");
    }
    for remark in &found.remarks {
        tracing::warn!("the store of node {node}, {}, is {remark}", store.address());
    }
    let remarks = (!found.remarks.is_empty()).then(|| found.remarks.join("; "));
    knowledge.describe_store(node, &StoreTraits { deletes: found.deletes, remarks }).await
}

/// Tries the stores of which nobody else will say what they can: those of others' servers at nodes without an agent.
pub async fn examine_unmanned(surroundings: &Surroundings) -> anyhow::Result<()> {
    let network = surroundings.network();
    let nodes = surroundings.knowledge.nodes().await?;
    let catalogue = Catalogue::load(surroundings.knowledge.as_ref()).await?;
    let has_agent = |node: NodeId| {
        let is_configured = surroundings.settings.agents.values().any(|agent| agent.node == node);
        is_configured || catalogue.has_agent_on(node)
    };
    let mut unknown: Vec<NodeId> = Vec::new();
    for node in nodes.values().filter(|node| node.store.deletes != Some(true) && !has_agent(node.id)) {
        unknown.extend(is_others_server(network.nodes.get(&node.id), node).then_some(node.id));
    }
    let examined = unknown.into_iter().map(|node| async move {
        let done = async {
            let store = surroundings.direct_store(node).await?;
            anyhow::Ok(examine(surroundings.knowledge.as_ref(), node, &store).await?)
        };
        if let Err(error) = done.await {
            tracing::warn!("what the store of node {node} can is not known: {error:#}");
        }
    });
    stream::iter(examined).buffer_unordered(STORES_AT_ONCE).collect::<()>().await;
    Ok(())
}

/// Whether a node's store is no embedded one; of a node that only the table knows, the bucket tells.
fn is_others_server(settings: Option<&NodeSettings>, node: &Node) -> bool {
    match settings.map(|node| &node.store) {
        Some(StoreSettings::S3(_)) => true,
        Some(StoreSettings::Embedded { .. }) => false,
        None => {
            let url = node.store_url.as_deref().and_then(|url| url.parse::<StoreUrl>().ok());
            url.is_some_and(|url| url.bucket() != BUCKET)
        }
    }
}

/// The uploads of one agent in one node's store, noted in the shared table.
#[derive(Clone)]
pub struct NotedUploads {
    pub knowledge: Arc<dyn Knowledge>,
    pub node: NodeId,
    pub agent: AgentId,
}

impl std::fmt::Debug for NotedUploads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the uploads of agent {} on node {}", self.agent, self.node)
    }
}

#[async_trait]
impl UploadLog for NotedUploads {
    async fn begun(&self, key: &str, upload_id: &str) {
        if let Err(error) = self.knowledge.note_upload(self.node, key, upload_id, self.agent).await {
            tracing::warn!(
                key,
                error = chain(&error),
                "an upload is not noted; a kill would leave its parts in the store"
            );
        }
    }

    async fn ended(&self, key: &str, upload_id: &str) {
        if let Err(error) = self.knowledge.forget_upload(self.node, key, upload_id).await {
            // It is asked for once more at the next start, and is no more then.
            tracing::debug!(key, error = chain(&error), "an upload that has ended is still noted");
        }
    }
}

/// Uploads by node whose writers cannot go on.
pub type LeftUploads = Vec<(NodeId, Vec<NotedUpload>)>;

/// The noted uploads whose writers cannot go on: this agent's own of former lives, wherever they are, and on its node those of
/// agents that are not alive, once they are older than a lease. Right only before anything of this life runs.
pub async fn left_uploads(surroundings: &Surroundings, agent: AgentId, home: NodeId) -> anyhow::Result<LeftUploads> {
    let (knowledge, network) = (surroundings.knowledge.as_ref(), surroundings.network());
    let catalogue = Catalogue::load(knowledge).await?;
    let Some(snapshot) = catalogue.snapshots.first() else { return Ok(Vec::new()) };
    let is_old = |begun: Timestamp| begun + network.rhythm.lease < snapshot.at;
    let is_dead = |agent| !catalogue.is_alive(agent, network.silence());
    let mut left = LeftUploads::new();
    for &node in snapshot.nodes.keys() {
        let mut noted = knowledge.uploads(node).await?;
        noted.retain(|upload| {
            upload.agent == agent || (node == home && is_old(upload.begun_at) && is_dead(upload.agent))
        });
        left.push((node, noted));
    }
    Ok(left)
}

/// Gives uploads up by their ids, in several stores at a time; returns their keys.
pub async fn give_up(surroundings: &Surroundings, agent: AgentId, left: LeftUploads) -> Vec<String> {
    let given_up = left.into_iter().filter(|(_, noted)| !noted.is_empty());
    let given_up = given_up.map(|(node, noted)| give_up_all(surroundings, agent, node, noted));
    let given_up: Vec<_> = stream::iter(given_up).buffer_unordered(STORES_AT_ONCE).collect().await;
    let mut keys = Vec::new();
    for of_node in given_up {
        match of_node {
            Ok(of_node) => keys.extend(of_node),
            // The next start tries it again.
            Err(error) => tracing::warn!("parts of an upload may be left: {error:#}"),
        }
    }
    keys
}

async fn give_up_all(
    surroundings: &Surroundings,
    agent: AgentId,
    node: NodeId,
    noted: Vec<NotedUpload>,
) -> anyhow::Result<Vec<String>> {
    let store = surroundings.noting_store(node, agent).await?;
    let mut keys = Vec::new();
    for upload in noted {
        store.give_up(&upload.object_key, &upload.upload_id).await?;
        keys.push(upload.object_key);
    }
    Ok(keys)
}

/// A store as `agent check --online` found it.
#[derive(Serialize)]
pub struct CheckedStore {
    pub node: NodeId,
    pub store: String,
    pub steps: Vec<CheckedStep>,
    pub remarks: Vec<&'static str>,
}

#[derive(Serialize)]
pub struct CheckedStep {
    pub name: &'static str,
    /// Absent: it went well.
    pub error: Option<String>,
}

impl CheckedStore {
    pub fn is_well(&self) -> bool {
        self.steps.iter().all(|step| step.error.is_none())
    }

    fn new(node: NodeId, store: &S3StoreSettings, found: Result<Examination, String>) -> Self {
        let (steps, remarks) = match found {
            Ok(found) => {
                let steps =
                    found.steps.into_iter().map(|step| (step.name, step.outcome.err().map(|error| error.to_string())));
                (steps.collect(), found.remarks)
            }
            Err(why) => (vec![("settings", Some(why))], Vec::new()),
        };
        let steps = steps.into_iter().map(|(name, error)| CheckedStep { name, error }).collect();
        Self { node, store: store.url.to_string(), steps, remarks }
    }
}

/// Tries the stores that are not embedded, each with an object of its own, which goes again; in the order of the nodes.
pub async fn check(access: &Access, nodes: impl Iterator<Item = &NodeSettings>) -> Vec<CheckedStore> {
    let stores = nodes.filter_map(|node| match &node.store {
        StoreSettings::S3(store) => Some((node.id, store)),
        StoreSettings::Embedded { .. } => None,
    });
    let checked = stores.map(|(node, store)| async move {
        let found = match access.settings(node, &store.url.to_string()).await {
            Ok(settings) => Ok(S3Store::new(settings).examine(&probe_key()).await),
            Err(error) => Err(chain(&error)),
        };
        CheckedStore::new(node, store, found)
    });
    stream::iter(checked).buffered(STORES_AT_ONCE).collect().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::embedded::{Durability, EmbeddedSettings, EmbeddedStore};
    use crate::storage::s3::S3Settings;
    use agent_core::knowledge::contract::{Table, clock};
    use agent_core::knowledge::memory::MemoryKnowledge;
    use bytes::Bytes;

    const PART: usize = 9 << 20;

    #[tokio::test]
    async fn an_upload_is_noted_until_it_has_ended_and_can_be_given_up_by_its_id() {
        let clock = clock();
        let knowledge = Table::new(MemoryKnowledge::new(clock.clone()), clock, ()).three_agents().await.knowledge;
        let directory = tempfile::tempdir().unwrap();
        let settings = EmbeddedSettings::new(directory.path(), "data");
        let settings = EmbeddedSettings { durability: Durability::Kill, ..settings };
        let server = EmbeddedStore::start(settings, &tokio::runtime::Handle::current()).unwrap();
        let settings = S3Settings::new(server.endpoint(), "data", server.credentials().clone());
        let log = NotedUploads { knowledge: knowledge.clone(), node: NodeId(1), agent: AgentId(2) };
        let store = S3Store::new(settings).with_log(Arc::new(log));
        let noted = async || knowledge.uploads(NodeId(1)).await.unwrap();

        let whole = stream::iter([Ok(Bytes::from(vec![7; PART]))]).boxed();
        store.write("whole", PART as u64, whole).await.unwrap();
        assert_eq!(noted().await, []);

        // One that has sent a part and then hangs, as one whose process was killed.
        let writer = store.clone();
        let body = stream::iter([Ok(Bytes::from(vec![7; PART]))]).chain(stream::pending()).boxed();
        let hanging = tokio::spawn(async move { writer.write("left", 3 * PART as u64, body).await });
        while noted().await.is_empty() {
            tokio::task::yield_now().await;
        }
        let left = noted().await.remove(0);
        assert_eq!((left.object_key.as_str(), left.agent), ("left", AgentId(2)));
        store.give_up(&left.object_key, &left.upload_id).await.unwrap();
        assert_eq!(noted().await, []);
        assert_eq!(store.unfinished_uploads("").await.unwrap(), []);
        hanging.abort();
        server.shutdown().await;
    }
}
