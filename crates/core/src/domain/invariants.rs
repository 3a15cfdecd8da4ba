//! What must always hold, by the names that ARCHITECTURE.md gives it; and what must hold of every placement, checked by tests, the
//! simulator and `agent status` alike.

use super::ids::{AgentId, DataSetName, ReplicaId};
use super::placement::{Placement, ReplicaState};
use std::collections::BTreeMap;
use std::fmt;

/// A promise that checkers look after, as ARCHITECTURE.md numbers it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Invariant {
    TimeGoesOn,
    /// What the catalogue calls present lies in its store, and no store holds more than it can.
    ObjectsAreThere,
    /// Each window closes once, each agent answers once, nothing is granted without the table.
    AnswersCountOnce,
    Bounded,
    Placement,
    /// No input comes that nobody waits for.
    Expected,
    Heals,
    Rests,
}

impl Invariant {
    /// `I-8`
    pub fn number(self) -> &'static str {
        match self {
            Invariant::TimeGoesOn => "I-3",
            Invariant::ObjectsAreThere => "I-4",
            Invariant::AnswersCountOnce => "I-6",
            Invariant::Bounded => "I-7",
            Invariant::Placement => "I-8",
            Invariant::Expected => "I-13",
            Invariant::Heals => "I-14",
            Invariant::Rests => "I-15",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.number())
    }
}

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    #[error("data set {0} has no present replica")]
    NoReplica(DataSetName),
    #[error("agent {agent} references replica {replica}, which does not exist")]
    ReferenceToNowhere { agent: AgentId, replica: ReplicaId },
    #[error("agent {agent} references replica {replica}, which is not present")]
    ReferenceNotPresent { agent: AgentId, replica: ReplicaId },
    #[error("replicas {0} and {1} lie on the same node")]
    TwoOnOneNode(ReplicaId, ReplicaId),
}

/// Invariant I-8, and that a node holds at most one replica of a data set (besides what is being removed).
pub fn check(data_set: &DataSetName, placement: &Placement) -> Vec<Broken> {
    let mut broken = Vec::new();
    if placement.present().next().is_none() {
        broken.push(Broken::NoReplica(data_set.clone()));
        // Whatever is referenced, there is none that could be.
        return broken;
    }
    for (&agent, &replica) in &placement.references {
        match placement.replicas.get(&replica) {
            None => broken.push(Broken::ReferenceToNowhere { agent, replica }),
            Some(row) if row.state != ReplicaState::Present => {
                broken.push(Broken::ReferenceNotPresent { agent, replica });
            }
            Some(_) => {}
        }
    }
    let mut holders = BTreeMap::new();
    for replica in placement.replicas.values().filter(|row| is_there(row.state)) {
        if let Some(other) = holders.insert(replica.node, replica.id) {
            broken.push(Broken::TwoOnOneNode(other, replica.id));
        }
    }
    broken
}

/// One that is made anew lies beside what it replaces.
fn is_there(state: ReplicaState) -> bool {
    match state {
        ReplicaState::Copying | ReplicaState::Present => true,
        ReplicaState::Removing | ReplicaState::Changed | ReplicaState::Damaged => false,
    }
}
