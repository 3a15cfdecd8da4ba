//! The ways to the replicas' stores, kept open: the same links and clients that the agent's job reads through.

use super::delivery::Source;
use super::version::View;
use crate::actors::{ReachError, World};
use crate::storage::ObjectStore;
use agent_core::domain::ids::NodeId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long others are asked first: a store that is away costs each request the time in which its client gives up.
const AVOIDED_FOR: Duration = Duration::from_secs(2);

pub struct Ways {
    world: Arc<World>,
    open: Mutex<BTreeMap<NodeId, Way>>,
    /// When a node last did not serve.
    failed: Mutex<BTreeMap<NodeId, Instant>>,
}

struct Way {
    /// Where the table says that the store is.
    store_url: Option<String>,
    store: Arc<dyn ObjectStore>,
}

impl Ways {
    pub fn new(world: Arc<World>) -> Self {
        Self { world, open: Mutex::default(), failed: Mutex::default() }
    }

    pub async fn to(&self, view: &View, node: NodeId) -> Result<Arc<dyn ObjectStore>, ReachError> {
        let store_url = view.snapshot.nodes.get(&node).and_then(|row| row.store_url.clone());
        if let Some(way) = self.open().get(&node).filter(|way| way.store_url == store_url) {
            return Ok(way.store.clone());
        }
        let store = self.world.reach_beside_job(&view.snapshot, node).await?.store;
        self.open().insert(node, Way { store_url, store: store.clone() });
        Ok(store)
    }

    /// It did not serve: next time it is opened anew, with the credentials and the link that there are then.
    pub fn forget(&self, node: NodeId) {
        self.open().remove(&node);
        self.failed().insert(node, Instant::now());
    }

    /// The same sources, those on nodes that failed a moment ago behind the others.
    pub fn best_first(&self, mut sources: Vec<Source>) -> Vec<Source> {
        let failed = self.failed();
        let failed_lately = |node| failed.get(&node).is_some_and(|at: &Instant| at.elapsed() < AVOIDED_FOR);
        sources.sort_by_key(|source| failed_lately(source.node));
        sources
    }

    fn failed(&self) -> MutexGuard<'_, BTreeMap<NodeId, Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<NodeId, Way>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
