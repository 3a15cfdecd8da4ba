//! What a node says of itself, and what its agent is told of the ways to others.

use super::Wanted;
use agent_core::clock::Clock;
use agent_core::domain::ids::NodeId;
use agent_core::domain::snapshot::Snapshot;
use agent_membership::{Intent, Label, LinkSeen, Own, ReplicaSeen, View};
use agent_sampler::{Sample, Sampler};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A link is told of again when its latency has changed by this share, and by so much.
const TOLD_SHARE: f64 = 0.1;
const TOLD: Duration = Duration::from_micros(200);
/// The machine is looked at this often at most, on the wall: what a processor does in less is noise.
const SAMPLED_EVERY: Duration = Duration::from_millis(500);

/// What stands in the node's record.
pub struct OwnValues {
    own: Mutex<Sampled>,
}

struct Sampled {
    sampler: Sampler,
    sampled_at: Option<Instant>,
    /// The node's own.
    labels: Vec<Label>,
    own: Own,
}

impl OwnValues {
    pub fn new(wanted: &Wanted) -> Self {
        let labels = wanted.labels.iter().map(|(key, value)| Label { key: key.clone(), value: value.clone() });
        let labels: Vec<Label> = labels.collect();
        let own = Own { name: wanted.name.clone(), labels: labels.clone(), ..Own::default() };
        let sampler = Sampler::new(&wanted.data);
        Self { own: Mutex::new(Sampled { sampler, sampled_at: None, labels, own }) }
    }

    /// With the machine as it is.
    pub fn now(&self) -> Own {
        let mut sampled = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if sampled.sampled_at.is_none_or(|at| now.duration_since(at) >= SAMPLED_EVERY) {
            let sample = sampled.sampler.sample(now);
            sampled.sampled_at = Some(now);
            fill(&mut sampled.own, &sample);
        }
        sampled.own.clone()
    }

    /// What the table says, or said last, and how fast bytes came.
    pub fn placed(
        &self,
        home: NodeId,
        store_url: Option<String>,
        snapshots: &[Snapshot],
        rates: &BTreeMap<NodeId, f64>,
    ) {
        let mut sampled = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        sampled.own.store_url = store_url;
        sampled.own.replicas = snapshots.iter().map(|snapshot| replica(home, snapshot)).collect();
        sampled.own.links = rates.iter().map(|(node, rate)| link(*node, *rate)).collect();
    }

    /// What an aggregator hears, beside the node's own labels.
    pub fn heard(&self, heard: Vec<Label>) {
        let mut sampled = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        sampled.own.labels = sampled.labels.iter().cloned().chain(heard).collect();
    }

    /// Whether it wants anything new.
    pub fn draining(&self, leaves: bool) {
        let mut sampled = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        sampled.own.intent = if leaves { Intent::Draining } else { Intent::Running };
    }
}

/// The version that the node holds of a data set (0: none), and the generation of the placement that says so.
fn replica(home: NodeId, snapshot: &Snapshot) -> ReplicaSeen {
    let held = snapshot.placement.present().find(|row| row.node == home);
    let version =
        held.map_or(0, |row| row.former.as_ref().map_or(snapshot.data_set.versions.version, |former| former.version));
    ReplicaSeen {
        data_set: snapshot.data_set.name.0.to_string(),
        version,
        generation: u64::try_from(snapshot.generation).unwrap_or_default(),
    }
}

/// The round trip is the member's to measure.
fn link(to: NodeId, bytes_per_s: f64) -> LinkSeen {
    LinkSeen {
        peer: agent_membership::NodeId(to.0),
        round_trip_us: 0,
        loss_permille: 0,
        bytes_per_s: Some(bytes_per_s as u64),
    }
}

/// What is not known stays as it was.
fn fill(own: &mut Own, sample: &Sample) {
    let Sample { cores, memory, disk, cpu_percent, network, load } = sample;
    let set = |field: &mut u64, known: Option<u64>| known.into_iter().for_each(|known| *field = known);
    cores.iter().for_each(|cores| own.cores = u16::try_from(*cores).unwrap_or(u16::MAX));
    set(&mut own.memory_total, memory.map(|memory| memory.total_bytes));
    set(&mut own.memory_free, memory.map(|memory| memory.free_bytes));
    set(&mut own.disk_free, disk.map(|disk| disk.free_bytes));
    cpu_percent.iter().for_each(|percent| own.cpu_permille = (percent * 10.0).round().clamp(0.0, 1000.0) as u16);
    set(
        &mut own.network_bytes_per_s,
        network.map(|network| (network.received_bytes_per_s + network.sent_bytes_per_s) as u64),
    );
    load.iter().for_each(|load| own.load_percent = (load * 100.0).round().clamp(0.0, 1e9) as u32);
}

/// Which links the agent has been told of, and what.
#[derive(Default)]
pub struct LinksTold(BTreeMap<NodeId, Duration>);

impl LinksTold {
    /// What is another one than it was \[ms of the scenario\], of the ways to nodes that have their store where they are members.
    pub fn changed(&mut self, view: &View, clock: &dyn Clock) -> Vec<(NodeId, f64)> {
        let mut changed = Vec::new();
        for seen in view.members.iter().filter(|seen| seen.standing.lives()) {
            let record = seen.record.record();
            let (Some(link), Some(_)) = (seen.link, &record.own.store_url) else { continue };
            let (node, now) = (NodeId(record.node.0), link.latest_round_trip);
            let is_same = |told: &Duration| {
                let apart = told.abs_diff(now);
                apart <= TOLD || apart.as_secs_f64() <= told.as_secs_f64() * TOLD_SHARE
            };
            if !self.0.get(&node).is_some_and(is_same) {
                self.0.insert(node, now);
                changed.push((node, clock.record(now).as_secs_f64() * 1e3));
            }
        }
        changed
    }
}
