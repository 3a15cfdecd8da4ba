//! Calls and answers as they were, in words of the reference.

use super::reference::{Asked, Call, Held, Key, View};
use super::search::Timed;
use agent_core::clock::{Clock, VirtualClock};
use agent_core::domain::action::Action;
use agent_core::domain::event::Event;
use agent_core::domain::ids::{AgentId, DataSetName, EventId, NodeId};
use agent_core::domain::placement::{Replica, ReplicaState};
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::{ClosedEvent, Feedback, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Everything that was asked of a table, and how it stands in the end.
#[derive(Clone, Default, Debug)]
pub struct History {
    pub data_sets: BTreeMap<DataSetName, Vec<Timed<Call>>>,
    /// Answered with what was newly left.
    pub blames: Vec<Asking<Vec<Feedback>>>,
    pub closings: Vec<Asking<Vec<ClosedEvent>>>,
    /// The event of each claim that was granted, as often as it was said.
    pub grants: Vec<(usize, Key, EventId)>,
    pub end: End,
}

/// What the table says when everybody has finished.
#[derive(Clone, Default, Debug)]
pub struct End {
    /// By the claims' keys.
    pub events: BTreeMap<Key, Event>,
    pub feedback: Vec<Feedback>,
    pub counters: BTreeMap<(DataSetName, Action), u32>,
}

/// A call that is about events, of whatever data set.
#[derive(Clone, Debug)]
pub struct Asking<A> {
    pub number: usize,
    pub by: AgentId,
    pub at: Timestamp,
    pub invoked: u64,
    pub answered: Option<u64>,
    /// `None`: it is not known.
    pub answer: Option<A>,
}

impl<A> fmt::Display for Asking<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} of agent {} at {} s", self.number, self.by, super::reference::seconds(self.at))
    }
}

/// When a call was made, and when its answer came.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub invoked: u64,
    pub answered: Option<u64>,
}

/// Writes down what agents ask, in the order in which they began.
pub struct Recorder {
    ticks: AtomicU64,
    pub clock: Arc<VirtualClock>,
    history: Mutex<History>,
}

impl Recorder {
    pub fn new(clock: Arc<VirtualClock>) -> Self {
        Self { ticks: AtomicU64::new(0), clock, history: Mutex::default() }
    }

    pub fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl History {
    /// Calls are counted from 1, of all kinds together.
    pub fn next_number(&self) -> usize {
        self.data_sets.values().map(Vec::len).sum::<usize>() + self.blames.len() + self.closings.len() + 1
    }

    /// Every claim that was asked for.
    pub fn keys(&self) -> BTreeSet<Key> {
        let asked = self.data_sets.values().flatten().map(|timed| &timed.call.asked);
        let key = |asked: &Asked| if let Asked::Claim { plan, .. } = asked { Some(plan.key) } else { None };
        asked.filter_map(key).collect()
    }

    /// Calls of which nobody knows whether they took place.
    pub fn unanswered(&self) -> usize {
        let about = self.data_sets.values().flatten().filter(|timed| timed.answered.is_none()).count();
        let blames = self.blames.iter().filter(|call| call.answered.is_none()).count();
        about + blames + self.closings.iter().filter(|call| call.answered.is_none()).count()
    }

    pub fn key_of(&self, event: EventId) -> Option<Key> {
        self.grants.iter().find(|(_, _, granted)| *granted == event).map(|(_, key, _)| *key)
    }
}

/// The claim whose bytes an object holds: agents put them under its key, `NAME.replicas/KEY/NAME`.
pub fn object_of(replica: &Replica) -> Key {
    let key = replica.object_key.split('/').nth(1);
    key.map_or(0, |key| key.parse().expect("keys of these tests are numbers"))
}

/// A row that is to be deleted: where, and what.
pub fn place_of(replica: &Replica) -> (NodeId, Key) {
    (replica.node, object_of(replica))
}

pub fn view(snapshot: &Snapshot) -> View {
    let mut view = View::default();
    let placement = &snapshot.placement;
    for replica in placement.replicas.values() {
        let has_arrived = match replica.state {
            ReplicaState::Present => true,
            ReplicaState::Copying => false,
            ReplicaState::Removing => {
                view.leftovers.insert(place_of(replica));
                continue;
            }
            ReplicaState::Changed | ReplicaState::Damaged => panic!("nobody looked at an object: {replica:?}"),
        };
        let held = replica.lease.map(|lease| (lease.holder, lease.until));
        let held = Held { object: object_of(replica), has_arrived, version: replica.generation, held };
        let other = view.nodes.insert(replica.node, held);
        assert_eq!(other, None, "node {} holds two replicas: {placement:?}", replica.node);
    }
    for (agent, replica) in &placement.references {
        view.readers.insert(*agent, placement.replicas[replica].node);
    }
    view
}
