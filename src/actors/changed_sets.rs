//! A set of objects under a thousand random faults: its owner writes, others replace, cut short and delete objects of replicas, and
//! refreshes are killed half-way. Nobody ever reads a mixture, all damage is told by the next scrub, and everything is whole again.

use super::changed_objects::{Bench, NODES, SILENCE, WATCH, clone_of};
use super::mending::{mend, plan_for};
use super::origin;
use super::saga::carry_out;
use super::scrub::{Scrub, scrub};
use super::watchdog::beat;
use super::world::World;
use crate::storage::contract::{put, read, read_of};
use crate::storage::memory::MemoryStore;
use crate::storage::set::SetAt;
use crate::storage::{Content, ObjectStore, StorageError};
use agent_core::domain::action::Action;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::manifest::{Digest, Extent};
use agent_core::domain::placement::{Replica, ReplicaState};
use agent_core::mape::planner::{Reason, Rng, upkeep};
use futures::FutureExt as _;
use rand::{RngExt as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const FAULTS: usize = 1_000;
const OBJECTS: usize = 6;
const PREFIX: &str = "scans/";
const ORIGIN: NodeId = NodeId(3);
/// Everything that is found wrong is mended in fewer rounds of everybody's duties.
const ROUNDS: usize = 8;
const FAST: Scrub = Scrub { every: Duration::from_secs(1), bytes_per_s: u64::MAX };

struct Stage {
    bench: Bench,
    /// The agent of each node.
    worlds: Vec<Arc<World>>,
    found: origin::Found,
    rng: Rng,
    /// The manifests of all versions that were announced.
    versions: BTreeSet<String>,
    /// Refreshes that were.
    killed: usize,
}

/// Whether a fault is anybody's damage, or its owner's doing.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Done {
    Nothing,
    Written,
    Damaged(NodeId),
}

impl Stage {
    async fn new(seed: u64) -> Self {
        let objects: Vec<(String, Vec<u8>)> =
            (0..OBJECTS).map(|index| (format!("{PREFIX}{index}"), format!("first {index}").into_bytes())).collect();
        let bench = Bench::of_set(PREFIX, &objects, ORIGIN).await;
        let world = |home: NodeId| Arc::new(World { home, ..clone_of(&bench.world) });
        let worlds = NODES.map(world).into();
        let (found, rng) = (origin::Found::new(), Rng::seed_from_u64(seed));
        let mut stage = Self { bench, worlds, found, rng, versions: BTreeSet::new(), killed: 0 };
        for label in ["C3_1", "C3_2"] {
            stage.bench.act(label).await;
        }
        stage.note_version().await;
        stage
    }

    async fn note_version(&mut self) {
        self.versions.insert(self.bench.snapshot().await.data_set.sha256.clone());
    }

    async fn present(&self) -> Vec<Replica> {
        self.bench.snapshot().await.placement.present().cloned().collect()
    }

    fn at(&self, row: &Replica) -> SetAt {
        let Extent::Set(keys) = Extent::of(&row.object_key) else { panic!("{row:?}") };
        SetAt::new(Arc::new(self.bench.store(row.node.0).clone()), keys)
    }

    /// An object below a prefix, or none.
    async fn any_object(&mut self, store: &MemoryStore, prefix: &str) -> Option<String> {
        let keys: Vec<String> = store.list(prefix).await.unwrap().into_iter().map(|object| object.key).collect();
        (!keys.is_empty()).then(|| keys[self.rng.random_range(0..keys.len())].clone())
    }

    /// Somebody changes what lies in a replica: the owner at the origin, or nobody that may.
    async fn change(&mut self, row: &Replica, number: usize) -> bool {
        let at = self.at(row);
        let store = self.bench.store(row.node.0).clone();
        let Some(key) = self.any_object(&store, &at.keys.prefix()).await else { return false };
        match self.rng.random_range(0..4) {
            0 => put(&store, &key, format!("other {number}").as_bytes()).await,
            1 => {
                let whole = store.info(&key).await.unwrap().map_or(0, |found| found.bytes);
                let half = read(&store, &key, 0..whole / 2).await.unwrap();
                put(&store, &key, &half).await;
                return whole > 0;
            }
            // The owner keeps at least one: a set is not empty.
            2 if store.list(&at.keys.prefix()).await.unwrap().len() > 1 => store.delete(&key).await.unwrap(),
            2 => return false,
            // What comes is the owner's next version, and a stranger elsewhere.
            _ if row.node == ORIGIN => put(&store, &at.keys.object(&format!("new-{number}")), b"new").await,
            _ => store.delete(&at.keys.manifest()).await.unwrap(),
        }
        true
    }

    async fn fault(&mut self, number: usize) -> Done {
        let replicas = self.present().await;
        let row = &replicas[self.rng.random_range(0..replicas.len())];
        match self.change(row, number).await {
            false => Done::Nothing,
            true if row.node == ORIGIN => Done::Written,
            true => Done::Damaged(row.node),
        }
    }

    /// Everybody's duties, once. A refresh may be killed half-way: then nothing of that life is left but what it claimed.
    async fn duties(&mut self, may_kill: bool) {
        for index in 0..self.worlds.len() {
            let world = self.worlds[index].clone();
            beat(&world, WATCH, false).await.unwrap();
            // Twice, as the clock would have it.
            for _ in 0..2 {
                origin::watch(&world, SILENCE, &mut self.found).await.unwrap();
            }
            self.note_version().await;
            _ = scrub(&world, FAST).await;
            _ = mend(&world, WATCH).await;
            self.refresh(&world, may_kill).await;
            self.bench.clean_up().await;
        }
    }

    async fn refresh(&mut self, world: &Arc<World>, may_kill: bool) {
        let snapshot = self.bench.snapshot().await;
        let unsound = snapshot.placement.unsound_on(world.home).filter(|row| row.is_outdated());
        let Some(row) = unsound.filter(|_| upkeep::is_due(&snapshot)) else { return };
        let key = format!("refresh-{}", self.rng.random::<u64>());
        let Some(plan) = plan_for(&snapshot, world.home, AgentId::OPERATOR, row.id, key, Reason::Outdated) else {
            return;
        };
        assert!(matches!(plan.action, Action::Restore { .. }));
        let mut work = Box::pin(carry_out(world, WATCH, plan));
        let polls = if may_kill && self.rng.random::<f64>() < 0.5 { self.rng.random_range(1..12) } else { usize::MAX };
        for _ in 0..polls {
            if (&mut work).now_or_never().is_some() {
                return;
            }
            tokio::task::yield_now().await;
        }
        drop(work);
        self.killed += 1;
        // Its lease runs out.
        self.bench.advance(WATCH.lease + Duration::from_secs(1));
    }

    /// A job on each replica: all of one version that was announced, or nothing at all.
    async fn read_all(&self) {
        for row in self.present().await {
            let snapshot = self.bench.snapshot().await;
            let sha256 = row.content(&snapshot.data_set).sha256.to_owned();
            assert!(self.versions.contains(&sha256), "a version that nobody announced: {row:?}");
            let at = self.at(&row);
            let Ok(held) = at.manifest_of(&sha256).await else { continue };
            let mut contents = Vec::new();
            for object in held.manifest.objects() {
                let of = Content { bytes: object.bytes, etag: object.etag.as_deref().map(str::to_owned) };
                let read = read_of(at.store.as_ref(), &at.keys.object(&object.key), 0..object.bytes, &of).await;
                match read {
                    Ok(read) => contents.push((object, read)),
                    Err(
                        StorageError::Changed { .. } | StorageError::NotFound { .. } | StorageError::Damaged { .. },
                    ) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            for (object, read) in contents {
                assert_eq!(Digest(Sha256::digest(&read).into()), object.sha256, "{} of {row:?}", object.key);
            }
        }
    }

    async fn is_whole(&self) -> bool {
        let snapshot = self.bench.snapshot().await;
        let rows: Vec<&Replica> = snapshot.placement.replicas.values().collect();
        let mut whole = rows.len() == NODES.len();
        for row in rows {
            let held = self.at(row).manifest_of(&snapshot.data_set.sha256).await;
            whole &= row.state == ReplicaState::Present && !row.is_outdated() && held.is_ok();
        }
        whole
    }
}

#[tokio::test]
async fn a_thousand_faults_make_no_mixture_and_everything_is_whole_again() {
    let mut stage = Stage::new(20_261_128).await;
    let (mut written, mut damaged) = (0, 0);
    for number in 0..FAULTS {
        let before = stage.bench.lines();
        let done = stage.fault(number).await;
        stage.read_all().await;
        stage.duties(true).await;
        stage.read_all().await;
        match done {
            Done::Nothing => {}
            Done::Written => written += 1,
            Done::Damaged(node) => {
                damaged += 1;
                let told = stage.bench.told_since(before, &format!("on node {node} is damaged"));
                let seen = stage.bench.told_since(before, "recovery") + stage.bench.told_since(before, "left alone");
                assert!(told + seen > 0, "fault {number}: nobody told of the damage on node {node}");
            }
        }
        if number % 50 == 49 {
            for _ in 0..ROUNDS {
                stage.duties(false).await;
            }
            assert!(stage.is_whole().await, "after fault {number}: {:#?}", stage.bench.snapshot().await.placement);
        }
    }
    assert!(written > FAULTS / 10 && damaged > FAULTS / 5, "{written} and {damaged} of {FAULTS}");
    let versions = stage.bench.snapshot().await.data_set.versions.version;
    assert!(versions > 100 && stage.killed > 0, "{versions} versions, {} killed refreshes", stage.killed);
}
