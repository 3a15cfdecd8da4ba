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
    /// Nobody does what a data set's constraints forbid.
    Constraints,
    /// No action is granted that a budget does not bear.
    Budgets,
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
            Invariant::Constraints => "I-16",
            Invariant::Budgets => "I-17",
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
    for replica in placement.replicas.values().filter(|row| is_there(row.state) && !row.is_outdated()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::NodeId;
    use crate::domain::placement::Replica;
    use crate::domain::validators::Validators;

    fn replica(id: i64, node: u32, state: ReplicaState) -> (ReplicaId, Replica) {
        let replica = Replica {
            id: ReplicaId(id),
            data_set: "blood".into(),
            node: NodeId(node),
            object_key: format!("blood/{id}"),
            state,
            generation: 1,
            lease: None,
            validators: Validators::default(),
            remark: None,
            former: None,
        };
        (replica.id, replica)
    }

    /// Replicas 1, 2, ... on these nodes; agents 1, 2, ... read the replicas of these ids.
    fn check_of(replicas: &[(u32, ReplicaState)], reads: &[i64], expected: &[Broken]) {
        let placement = Placement {
            replicas: (1..).zip(replicas).map(|(id, (node, state))| replica(id, *node, *state)).collect(),
            references: (1..).zip(reads).map(|(agent, id)| (AgentId(agent), ReplicaId(*id))).collect(),
        };
        assert_eq!(check(&"blood".into(), &placement), expected, "{replicas:?}, {reads:?}");
    }

    #[test]
    fn each_reference_is_to_a_replica_that_is_present() {
        use ReplicaState::{Changed, Copying, Damaged, Present, Removing};
        check_of(&[(1, Present), (2, Present)], &[1, 2], &[]);
        let nowhere = Broken::ReferenceToNowhere { agent: AgentId(2), replica: ReplicaId(9) };
        check_of(&[(1, Present)], &[1, 9], &[nowhere]);
        for state in [Copying, Changed, Damaged, Removing] {
            let not_present = Broken::ReferenceNotPresent { agent: AgentId(1), replica: ReplicaId(2) };
            check_of(&[(1, Present), (2, state)], &[2], &[not_present]);
        }
    }

    #[test]
    fn where_nothing_is_present_only_that_is_said() {
        use ReplicaState::Damaged;
        check_of(&[(1, Damaged), (1, Damaged)], &[1, 9], &[Broken::NoReplica("blood".into())]);
    }

    #[test]
    fn a_node_holds_one_replica_beside_what_is_replaced_or_removed() {
        use ReplicaState::{Changed, Copying, Damaged, Present, Removing};
        for state in [Removing, Changed, Damaged] {
            check_of(&[(1, Present), (1, state)], &[1], &[]);
        }
        for state in [Present, Copying] {
            check_of(&[(1, Present), (1, state)], &[1], &[Broken::TwoOnOneNode(ReplicaId(1), ReplicaId(2))]);
        }
    }
}
