//! The ways from one agent to the nodes' stores: through the emulator's links, or over the real network.

use super::access::{Access, for_programs};
use super::stores::NotedUploads;
use crate::actors::{Reach, ReachError, Reached, chain};
use crate::jobs::S3Access;
use crate::knowledge::Knowledge;
use crate::links::Links;
use crate::links::probe::probe;
use crate::storage::s3::{S3Settings, S3Store};
use crate::storage::{Content, ObjectStore, StorageError};
use agent_core::clock::Clock;
use agent_core::config::settings::NetworkSettings;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::placement::Node;
use agent_core::domain::store_url::{StoreUrl, StoreUrlError};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Asked for where a request is to be timed; no store has it.
const PROBED_KEY: &str = "agent-probe";
/// A probe that takes longer than this has failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// One agent's ways; clients are kept, so that their connections are reused.
pub struct StoreReach {
    agent: AgentId,
    links: Option<Arc<dyn Links>>,
    clock: Arc<dyn Clock>,
    probes: u32,
    access: Access,
    knowledge: Option<Arc<dyn Knowledge>>,
    clients: Mutex<BTreeMap<NodeId, (S3Settings, Arc<S3Store>)>>,
}

impl StoreReach {
    /// Without `links` the stores are reached over the real network.
    pub fn new(
        agent: AgentId,
        links: Option<Arc<dyn Links>>,
        clock: Arc<dyn Clock>,
        network: &NetworkSettings,
        access: Access,
    ) -> Self {
        Self { agent, links, clock, probes: network.rhythm.probes, access, knowledge: None, clients: Mutex::default() }
    }

    /// The same; the agent's uploads are noted in this table.
    #[must_use]
    pub fn noting_uploads(self, knowledge: Arc<dyn Knowledge>) -> Self {
        Self { knowledge: Some(knowledge), ..self }
    }

    /// The client of a node's store, through a link if there is one; kept until the store is used in another way.
    async fn client(
        &self,
        node: NodeId,
        url: &str,
        link: Option<String>,
    ) -> Result<(Arc<S3Store>, S3Access), ReachError> {
        let settings = S3Settings { link, ..self.access.settings(node, url).await? };
        let access = for_programs(&settings);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, store)) = clients.get(&node).filter(|(known, _)| *known == settings) {
            return Ok((store.clone(), access));
        }
        let store = S3Store::new(settings.clone());
        let store = Arc::new(match self.knowledge.clone() {
            Some(knowledge) => store.with_log(Arc::new(NotedUploads { knowledge, node, agent: self.agent })),
            None => store,
        });
        clients.insert(node, (settings, store.clone()));
        Ok((store, access))
    }

    /// The shortest of several requests behind TLS, on a connection that stands: a plain one would not be answered.
    async fn shortest_request(&self, store: &dyn ObjectStore) -> Result<Duration, String> {
        let mut shortest = Duration::MAX;
        // The first one may have to connect.
        for _ in 0..=self.probes {
            let began = Instant::now();
            match store.read_range(PROBED_KEY, 0..1, &Content { bytes: 1, etag: None }).await {
                Ok(_)
                | Err(StorageError::NotFound { .. } | StorageError::Changed { .. } | StorageError::Denied { .. }) => {}
                Err(error) => return Err(error.to_string()),
            }
            shortest = shortest.min(began.elapsed());
        }
        Ok(shortest)
    }
}

/// Whose latency a link is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Latency {
    /// What is asked for.
    Asked,
    /// What it has, if it has one.
    Kept,
}

impl StoreReach {
    async fn open(&self, node: &Node, latency: Duration, whose: Latency) -> Result<Reached, ReachError> {
        let url = node.store_url.as_deref().ok_or(ReachError::NoStore(node.id))?;
        let Some(links) = &self.links else {
            let (store, access) = self.client(node.id, url, None).await?;
            return Ok(Reached { store, access, emulated: None });
        };
        let unusable = |error: StoreUrlError| ReachError::Unusable { node: node.id, reason: error.to_string() };
        let upstream = url.parse::<StoreUrl>().map_err(unusable)?.address();
        let failed = |source| ReachError::Link { node: node.id, source };
        let link = links.open(self.agent, node.id, &upstream).await.map_err(failed)?;
        let mut emulated = match whose {
            Latency::Asked => Duration::ZERO,
            Latency::Kept => links.latency(self.agent, node.id).await.map_err(failed)?,
        };
        if emulated.is_zero() {
            links.set_latency(self.agent, node.id, self.clock.apply(latency)).await.map_err(failed)?;
            emulated = links.latency(self.agent, node.id).await.map_err(failed)?;
        }
        let (store, access) = self.client(node.id, url, Some(link)).await?;
        Ok(Reached { store, access, emulated: Some(self.clock.record(emulated)) })
    }
}

#[async_trait]
impl Reach for StoreReach {
    async fn reach(&self, node: &Node, latency: Duration) -> Result<Reached, ReachError> {
        self.open(node, latency, Latency::Asked).await
    }

    async fn reach_beside(&self, node: &Node, latency: Duration) -> Result<Reached, ReachError> {
        self.open(node, latency, Latency::Kept).await
    }

    async fn has_link(&self, node: NodeId) -> Result<bool, ReachError> {
        match &self.links {
            None => Ok(true),
            Some(links) => links.has(self.agent, node).await.map_err(|source| ReachError::Link { node, source }),
        }
    }

    async fn probe(&self, reached: &Reached) -> Result<Duration, String> {
        let endpoint: StoreUrl = reached.access.endpoint.parse().map_err(|error: StoreUrlError| error.to_string())?;
        let latency = match endpoint.is_https() {
            true => self.shortest_request(reached.store.as_ref()).await?,
            false => {
                let answered = probe(&endpoint.address(), self.probes, PROBE_TIMEOUT).await;
                answered.map_err(|error| chain(&error))?
            }
        };
        Ok(self.clock.record(latency))
    }
}
