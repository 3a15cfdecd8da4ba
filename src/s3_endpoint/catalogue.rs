//! What the table says of the agent's data sets, looked at often enough: a few times a second whether anything has changed, and at
//! once when a replica is not where it was.

use super::delivery::Source;
use super::version::View;
use crate::actors::{World, chain};
use crate::storage::set::SetAt;
use crate::storage::{ObjectStore, Result, StorageError};
use agent_core::domain::ids::DataSetName;
use agent_core::domain::manifest::{Manifest, SetKeys};
use agent_core::knowledge::Pulse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long, on the wall, a change of the reference may stay unnoticed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub struct Catalogue {
    world: Arc<World>,
    data_sets: BTreeMap<DataSetName, Seen>,
}

/// Of one data set.
#[derive(Default)]
struct Seen {
    view: Mutex<Option<Arc<View>>>,
    /// Held by who looks: others wait for what is seen then.
    looking: tokio::sync::Mutex<()>,
    /// Of replicas that were read: each names its own store's ETags.
    manifests: Mutex<BTreeMap<Source, Arc<OnceCell<Arc<Manifest>>>>>,
}

impl Catalogue {
    pub fn new(world: Arc<World>) -> Self {
        let data_sets = world.data_sets.iter().map(|name| (name.clone(), Seen::default())).collect();
        Self { world, data_sets }
    }

    /// As it was seen last; `None`: the table does not have it, or did not answer yet.
    pub async fn view(&self, data_set: &DataSetName) -> Option<Arc<View>> {
        match self.data_sets.get(data_set)?.view() {
            Some(view) => Some(view),
            None => self.look(data_set, None).await,
        }
    }

    /// As it is now; `seen` is of no more use. While the table is away, as it was.
    pub async fn look(&self, data_set: &DataSetName, seen: Option<&Arc<View>>) -> Option<Arc<View>> {
        let entry = self.data_sets.get(data_set)?;
        let _looking = entry.looking.lock().await;
        match (entry.view(), seen) {
            // Somebody has looked meanwhile.
            (Some(view), Some(seen)) if !Arc::ptr_eq(&view, seen) => Some(view),
            (Some(view), None) => Some(view),
            _ => {
                self.load(data_set, entry).await;
                entry.view()
            }
        }
    }

    /// Whether the table answered.
    async fn load(&self, data_set: &DataSetName, entry: &Seen) -> bool {
        let World { agent, home, ref knowledge, .. } = *self.world;
        match knowledge.snapshot(data_set).await {
            Ok(snapshot) => {
                entry.see(snapshot.map(|snapshot| Arc::new(View::new(snapshot, agent, home))));
                true
            }
            Err(error) => {
                tracing::debug!(%data_set, error = chain(&error), "readers get what the table said before");
                false
            }
        }
    }

    /// Notices what changes, for ever.
    pub async fn follow(&self) {
        let mut pulses: BTreeMap<&DataSetName, Option<Pulse>> = BTreeMap::new();
        loop {
            for (data_set, entry) in &self.data_sets {
                let Ok(pulse) = self.world.knowledge.pulse(data_set, self.world.home).await else { continue };
                if pulses.get(data_set) != Some(&pulse) && self.load(data_set, entry).await {
                    pulses.insert(data_set, pulse);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The manifest of a set's replica, read once.
    pub async fn manifest(
        &self,
        data_set: &DataSetName,
        source: &Source,
        store: Arc<dyn ObjectStore>,
    ) -> Result<Arc<Manifest>> {
        let Some((entry, keys)) = self.data_sets.get(data_set).zip(SetKeys::by_manifest(&source.object_key)) else {
            let (address, key) = (store.address().to_owned(), source.object_key.clone());
            return Err(StorageError::Damaged { address, key, reason: "it is no set of objects".to_owned() });
        };
        let kept = entry.manifests().entry(source.clone()).or_default().clone();
        let read = || async { Ok(SetAt::new(store, keys).manifest_of(&source.version).await?.manifest) };
        kept.get_or_try_init(read).await.cloned()
    }
}

impl Seen {
    fn view(&self) -> Option<Arc<View>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn see(&self, view: Option<Arc<View>>) {
        let is_there = |source: &Source| view.as_ref().is_some_and(|view| view.has(source));
        self.manifests().retain(|source, _| is_there(source));
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    fn manifests(&self) -> MutexGuard<'_, BTreeMap<Source, Arc<OnceCell<Arc<Manifest>>>>> {
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
