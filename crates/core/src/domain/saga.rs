//! An action on shared data as a saga: what each step may change, decided on the placement as it is.
//!
//! Pure: every kind of shared table loads the placement in its transaction, asks here, and writes the changes. So memory,
//! SQLite and any other technology cannot disagree about what a move does.
//!
//! A move keeps the replica's identity (its id, and so its readers, events and feedback) and changes where it lies; the
//! object left behind becomes a row of its own in state `removing`.

use super::action::Action;
use super::constraints::{Constraints, Forbidden, Guard};
use super::ids::{AgentId, NodeId, ReplicaId};
use super::link_table::LinkTable;
use super::placement::{Claim, Condition, DataSet, Lease, Node, Placement, Plan, Replica, ReplicaState};
use super::time::Timestamp;
use super::validators::Validators;
use super::versions::{Former, Versions};
use std::collections::{BTreeMap, BTreeSet};

/// One change of a row.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    Insert {
        node: NodeId,
        object_key: String,
        state: ReplicaState,
        lease: Option<Lease>,
        validators: Validators,
    },
    /// Sets or clears the lease; the generation stays.
    Lease {
        replica: ReplicaId,
        lease: Option<Lease>,
    },
    /// The replica lies elsewhere now, and is present there; generation up, lease cleared.
    Relocate {
        replica: ReplicaId,
        node: NodeId,
        object_key: String,
        validators: Validators,
    },
    /// What its object was seen to be; generation and lease stay.
    See {
        replica: ReplicaId,
        validators: Validators,
        remark: Option<String>,
    },
    /// It holds this former version from now on; generation up, lease cleared.
    Outdate {
        replica: ReplicaId,
        former: Former,
        validators: Validators,
    },
    /// Generation up; what it holds is of no former version any more.
    Become {
        replica: ReplicaId,
        state: ReplicaState,
        lease: Option<Lease>,
    },
    /// The agent reads this replica now; the reference's generation goes up.
    Point {
        agent: AgentId,
        replica: ReplicaId,
    },
    /// The agent's jobs run there from now on. No row of the placement: the table keeps it with the agent.
    Seat {
        agent: AgentId,
        node: NodeId,
    },
    Delete {
        replica: ReplicaId,
    },
}

/// What a data set begins with: a replica whose object was verified.
pub fn first_replica(node: NodeId, object_key: &str, validators: &Validators) -> Change {
    Change::Insert {
        node,
        object_key: object_key.to_owned(),
        state: ReplicaState::Present,
        lease: None,
        validators: validators.clone(),
    }
}

/// Why a claim was not granted. Losing is normal: load the placement and judge again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Lost {
    #[error("replica {0} is gone")]
    Gone(ReplicaId),
    #[error("replica {0} changed since the plan was made")]
    Changed(ReplicaId),
    #[error("agent {holder} holds replica {replica}")]
    Held { replica: ReplicaId, holder: AgentId },
    #[error("node {0} is about to get a replica")]
    Occupied(NodeId),
    #[error("node {0} is leaving")]
    Leaving(NodeId),
    #[error("the store of node {0} cannot delete what is written there")]
    CannotDelete(NodeId),
    #[error("node {0} has no room for it")]
    NoRoom(NodeId),
    #[error("there is no damaged or outdated replica on node {0}")]
    NothingToMend(NodeId),
    #[error("replica {0} is the last one")]
    LastReplica(ReplicaId),
    #[error("somebody else has begun or given up an action since the plan was made")]
    Overtaken,
    #[error("the agent reads another replica by now")]
    ReferenceChanged,
    #[error("`{0}` changes nothing")]
    NothingToClaim(Action),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

/// Why a commit changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error("the lease on replica {0} ran out and was taken")]
    LeaseLost(ReplicaId),
    #[error("replica {0} is gone")]
    Gone(ReplicaId),
    #[error("replica {0} is the last one")]
    LastReplica(ReplicaId),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

/// What became of a claim.
// One for each action: a box would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, PartialEq, Debug)]
pub enum Claimed {
    Granted(Claim),
    Lost(Lost),
}

/// What became of a commit.
#[derive(Clone, PartialEq, Debug)]
pub enum Committed {
    /// The catalogue names the new placement; `leftover` is the row to be removed when it is drained (move, evict).
    Done {
        leftover: Option<Replica>,
    },
    Refused(Refused),
}

/// The replica that an action concerns: its source, the one to be read, or the one to be dropped; of work that moves the one that it
/// reads, on whose place the plan rests.
pub fn subject(placement: &Placement, action: Action) -> Option<&Replica> {
    let node = match action {
        Action::Restore { from, .. } => return placement.current().find(|replica| replica.node == from),
        Action::Move { from, .. } | Action::Copy { from, .. } => from,
        Action::ChangeReference { to } => to,
        Action::Evict { node } => node,
        Action::MoveWork { agent, .. } => placement.reference(agent)?.node,
        Action::Nothing => return None,
    };
    placement.present().find(|replica| replica.node == node)
}

/// The key of a new replica's object: beside the user's own, never below it, for many stores cannot hold both; of no other
/// replica ever; and named as the original is, for programs tell by its ending what an object is.
pub fn object_key_for(original: &str, plan: &str) -> String {
    let name = original.rsplit('/').find(|part| !part.is_empty()).unwrap_or(original);
    format!("{}{plan}/{name}", replicas_prefix(original))
}

fn replicas_prefix(original: &str) -> String {
    format!("{original}.replicas/")
}

/// What the keys of the objects begin with that agents make of one: now, and in earlier versions.
pub fn replica_prefixes(original: &str) -> [String; 2] {
    [replicas_prefix(original), format!("{original}/")]
}

/// Step 1: the changes that give `plan` its lease (and, for a move or copy, its destination row). `destination`: the node that a
/// replica is brought to.
pub fn claim(
    placement: &Placement,
    plan: &Plan,
    data_set: &DataSet,
    destination: Option<&Node>,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Vec<Change>, Lost> {
    for (id, generation) in &plan.expected {
        match placement.replicas.get(id) {
            None => return Err(Lost::Gone(*id)),
            Some(replica) if replica.generation != *generation => return Err(Lost::Changed(*id)),
            Some(_) => {}
        }
    }
    if plan.agent != AgentId::OPERATOR && placement.references.get(&plan.agent) != Some(&plan.reference) {
        return Err(Lost::ReferenceChanged);
    }
    let subject = subject(placement, plan.action).ok_or(Lost::NothingToClaim(plan.action))?;
    if plan.action.transfers() && plan.action.to_node() == Some(subject.node) {
        return Err(Lost::NothingToClaim(plan.action));
    }
    if let Some(why) = data_set.guard.forbids(destination, placement, plan.action, now) {
        return Err(why.into());
    }
    let lease = Lease { holder: plan.agent, until: lease_until };
    let mut changes = Vec::new();
    // A copy only reads its source: others may copy or move it meanwhile. What it leaves at a new node is verified.
    let only_reads = match plan.action {
        Action::Copy { to, .. } => placement.on(to).is_none(),
        Action::Restore { .. } => true,
        Action::Move { .. }
        | Action::ChangeReference { .. }
        | Action::Evict { .. }
        | Action::MoveWork { .. }
        | Action::Nothing => false,
    };
    if !only_reads {
        if let Some(lease) = subject.lease
            && lease.until >= now
        {
            return Err(Lost::Held { replica: subject.id, holder: lease.holder });
        }
        changes.push(Change::Lease { replica: subject.id, lease: Some(lease) });
    }
    let arriving = |node| Change::Insert {
        node,
        object_key: object_key_for(&data_set.object_key, &plan.key),
        state: ReplicaState::Copying,
        lease: Some(lease),
        validators: Validators::default(),
    };
    match plan.action {
        Action::Move { to, .. } | Action::Copy { to, .. } => match placement.on(to).map(|row| row.state) {
            None => changes.push(arriving(to)),
            // The bytes are there already: only readers change (the published policy chooses such actions, flaw 7).
            Some(ReplicaState::Present) => {}
            Some(ReplicaState::Copying | ReplicaState::Removing | ReplicaState::Changed | ReplicaState::Damaged) => {
                return Err(Lost::Occupied(to));
            }
        },
        Action::Restore { to, .. } => match placement.on(to) {
            Some(row) if row.is_unsound() => changes.push(arriving(to)),
            Some(row) if row.state == ReplicaState::Copying => return Err(Lost::Occupied(to)),
            None if data_set.guard.constraints.wants_at(placement, to) => changes.push(arriving(to)),
            Some(_) | None => return Err(Lost::NothingToMend(to)),
        },
        Action::Evict { .. } if is_last(placement, subject.id) => return Err(Lost::LastReplica(subject.id)),
        Action::Evict { .. } | Action::ChangeReference { .. } | Action::MoveWork { .. } | Action::Nothing => {}
    }
    Ok(changes)
}

/// Step 3: the changes that make the action true, all at once.
///
/// What a move or evict leaves behind stays readable until `drained_at`, for the jobs that read it when it happened: until then
/// its row carries a lease of the acting agent, after that its object may be deleted.
pub fn commit(
    placement: &Placement,
    links: &LinkTable,
    seats: &BTreeMap<AgentId, NodeId>,
    constraints: &Constraints,
    claim: &Claim,
    arrived: &Validators,
    drained_at: Timestamp,
) -> Result<Vec<Change>, Refused> {
    let drain = Lease { holder: claim.agent, until: drained_at };
    let seen = |replica| Change::See { replica, validators: arrived.clone(), remark: None };
    let removing = |replica| Change::Become { replica, state: ReplicaState::Removing, lease: Some(drain) };
    let present = |replica| Change::Become { replica, state: ReplicaState::Present, lease: None };
    let held = |replica: &Replica| {
        let now = placement.replicas.get(&replica.id).ok_or(Refused::Gone(replica.id))?;
        // Also after it ran out, as long as nobody took it: then nothing can have changed.
        let held = now.lease.is_some_and(|lease| lease.holder == claim.agent) && now.node == replica.node;
        if held { Ok(now) } else { Err(Refused::LeaseLost(replica.id)) }
    };
    let destination = claim.destination.as_ref().map(held).transpose()?;
    if let (Action::Copy { .. }, Some(destination)) = (claim.action, destination) {
        let point = Change::Point { agent: claim.agent, replica: destination.id };
        // Whoever holds the source goes on holding it; plans that were made when there was one replica less are void.
        let source = placement.replicas.get(&claim.source.id).filter(|row| row.state == ReplicaState::Present);
        let source = source.map(|row| Change::Become { replica: row.id, state: row.state, lease: row.lease });
        return Ok([present(destination.id), seen(destination.id), point].into_iter().chain(source).collect());
    }
    if let (Action::Restore { to, .. }, Some(destination)) = (claim.action, destination) {
        let mut changes = vec![present(destination.id), seen(destination.id)];
        if let Some(replaced) = placement.unsound_on(to) {
            let point = |agent| Change::Point { agent, replica: destination.id };
            changes.extend(placement.readers(replaced.id).map(point));
            changes.push(removing(replaced.id));
        }
        return Ok(changes);
    }
    let source = held(&claim.source)?;
    // Asked again: others may have dropped theirs since the claim, and people may have stated something else.
    let stays = match (claim.action, destination) {
        (Action::Move { .. }, Some(_)) => constraints.holds(source.node),
        (Action::Move { .. }, None) | (Action::Evict { .. }, _) => constraints.keeps(placement, source.node),
        (
            Action::Copy { .. }
            | Action::ChangeReference { .. }
            | Action::Restore { .. }
            | Action::MoveWork { .. }
            | Action::Nothing,
            _,
        ) => None,
    };
    if let Some(why) = stays {
        return Err(why.into());
    }
    let changes = match (claim.action, destination) {
        (Action::Move { .. }, Some(destination)) => {
            let mut changes = vec![
                Change::Delete { replica: destination.id },
                Change::Relocate {
                    replica: source.id,
                    node: destination.node,
                    object_key: destination.object_key.clone(),
                    validators: arrived.clone(),
                },
                Change::Insert {
                    node: source.node,
                    object_key: source.object_key.clone(),
                    state: ReplicaState::Removing,
                    lease: Some(drain),
                    validators: source.validators.clone(),
                },
            ];
            changes.extend(placement.readers(source.id).map(|agent| Change::Point { agent, replica: source.id }));
            changes
        }
        (Action::ChangeReference { .. }, _) => vec![
            Change::Lease { replica: source.id, lease: None },
            Change::Point { agent: claim.agent, replica: source.id },
        ],
        (Action::MoveWork { agent, to }, _) => {
            vec![Change::Lease { replica: source.id, lease: None }, Change::Seat { agent, node: to }]
        }
        (Action::Evict { .. }, _) => evict(placement, links, seats, source.id, drain)?,
        (Action::Move { to, .. }, None) => {
            let there = present_on(placement, to).ok_or(Refused::Gone(source.id))?;
            let mut changes: Vec<Change> =
                placement.readers(source.id).map(|agent| Change::Point { agent, replica: there }).collect();
            changes.push(removing(source.id));
            changes
        }
        (Action::Copy { to, .. }, None) => {
            let there = present_on(placement, to).ok_or(Refused::Gone(source.id))?;
            vec![
                Change::Lease { replica: source.id, lease: None },
                Change::Point { agent: claim.agent, replica: there },
            ]
        }
        (Action::Copy { .. }, Some(_)) | (Action::Restore { .. } | Action::Nothing, _) => {
            return Err(Refused::Gone(source.id));
        }
    };
    Ok(changes)
}

/// Whether no other replica holds the newest version: that one would be lost with it.
fn is_last(placement: &Placement, replica: ReplicaId) -> bool {
    placement.current().all(|row| row.id == replica)
}

/// Dropping a replica: each of its readers is given the one that suits it best, and its object drains.
fn evict(
    placement: &Placement,
    links: &LinkTable,
    seats: &BTreeMap<AgentId, NodeId>,
    dropped: ReplicaId,
    drain: Lease,
) -> Result<Vec<Change>, Refused> {
    if is_last(placement, dropped) {
        return Err(Refused::LastReplica(dropped));
    }
    let mut changes = Vec::new();
    for agent in placement.readers(dropped) {
        let replica = nearest(placement, links, seats, agent, dropped).ok_or(Refused::LastReplica(dropped))?;
        changes.push(Change::Point { agent, replica });
    }
    changes.push(Change::Become { replica: dropped, state: ReplicaState::Removing, lease: Some(drain) });
    Ok(changes)
}

/// A node that leaves: what it holds of this data set is dropped as an eviction would, where its guard allows that. No claim may
/// be under way there.
pub fn leave(
    placement: &Placement,
    links: &LinkTable,
    seats: &BTreeMap<AgentId, NodeId>,
    guard: &Guard,
    node: NodeId,
    (now, drained_at): (Timestamp, Timestamp),
) -> Result<Vec<Change>, Refused> {
    let drain = Lease { holder: AgentId::OPERATOR, until: drained_at };
    match present_on(placement, node) {
        Some(dropped) => {
            // The last one is told as such.
            let changes = evict(placement, links, seats, dropped, drain)?;
            guard.forbids(None, placement, Action::Evict { node }, now).map_or(Ok(changes), |why| Err(why.into()))
        }
        None => {
            let unsound = placement.unsound_on(node).filter(|_| placement.present().next().is_some());
            let removing =
                |row: &Replica| Change::Become { replica: row.id, state: ReplicaState::Removing, lease: Some(drain) };
            Ok(unsound.map(removing).into_iter().collect())
        }
    }
}

/// What becomes of a replica whose object was looked at, if it still is of this generation.
///
/// One that is not what the catalogue says is read no more: its readers are given an intact one, if there is any. A lease
/// stays, for what is under way may still save what it has read. One that drains becomes present again when it is intact and
/// no other is: nothing may be the last good copy and go.
pub fn found(
    placement: &Placement,
    links: &LinkTable,
    seats: &BTreeMap<AgentId, NodeId>,
    replica: ReplicaId,
    generation: i64,
    condition: &Condition,
) -> Vec<Change> {
    let Some(row) = placement.replicas.get(&replica).filter(|row| row.generation == generation) else {
        return Vec::new();
    };
    let becomes = |state| Change::Become { replica, state, lease: row.lease };
    let unsound = |state, why: &str| {
        let seen = Change::See { replica, validators: row.validators.clone(), remark: Some(why.to_owned()) };
        let readers = placement.readers(replica);
        let points = readers.filter_map(|agent| {
            let nearest = nearest(placement, links, seats, agent, replica)?;
            Some(Change::Point { agent, replica: nearest })
        });
        [becomes(state), seen].into_iter().chain(points).collect()
    };
    let intact = |validators: &Validators| Change::See { replica, validators: validators.clone(), remark: None };
    match (row.state, condition) {
        (ReplicaState::Present, Condition::Intact(validators)) => {
            (row.validators != *validators).then(|| intact(validators)).into_iter().collect()
        }
        (ReplicaState::Present, Condition::Changed(why)) => unsound(ReplicaState::Changed, why),
        (ReplicaState::Present, Condition::Damaged(why)) => unsound(ReplicaState::Damaged, why),
        (ReplicaState::Changed | ReplicaState::Damaged, Condition::Intact(validators)) => {
            vec![becomes(ReplicaState::Present), intact(validators)]
        }
        (ReplicaState::Removing, Condition::Intact(validators))
            if placement.current().next().is_none() && placement.on(row.node).is_none_or(Replica::is_unsound) =>
        {
            let mut changes =
                vec![Change::Become { replica, state: ReplicaState::Present, lease: None }, intact(validators)];
            let drop = |row: &Replica| Change::Become { replica: row.id, state: ReplicaState::Removing, lease: None };
            changes.extend(placement.unsound_on(row.node).map(drop));
            changes.extend(placement.references.keys().map(|agent| Change::Point { agent: *agent, replica }));
            changes
        }
        (
            ReplicaState::Copying | ReplicaState::Changed | ReplicaState::Damaged | ReplicaState::Removing,
            Condition::Intact(_) | Condition::Changed(_) | Condition::Damaged(_),
        ) => Vec::new(),
    }
}

/// What lies in a replica is the newest version from now on, because its owner has written it there or a person says so: all others
/// hold a former one, and are to be made anew. Those that are whole are read until then; readers of the others are given this one.
/// Whatever is under way carries a former version, too, and loses its leases. Nothing when the replica is not of this generation
/// any more, or cannot be read.
pub fn accept(
    placement: &Placement,
    replica: ReplicaId,
    generation: i64,
    validators: &Validators,
    known: &DataSet,
    now: Timestamp,
) -> Vec<Change> {
    let is_it = |row: &&Replica| row.generation == generation && row.state.is_held();
    let Some(row) = placement.replicas.get(&replica).filter(is_it) else { return Vec::new() };
    let mut changes = vec![
        Change::Become { replica: row.id, state: ReplicaState::Present, lease: None },
        Change::See { replica: row.id, validators: validators.clone(), remark: None },
    ];
    let DataSet { bytes, records, sha256, versions, .. } = known.clone();
    let Versions { version, written_bytes, .. } = versions;
    let former = Former { version, bytes, records, sha256, written_bytes, since: now };
    let sized = |other: &Replica| Validators {
        bytes: other.validators.bytes.or(Some(other.content(known).bytes)),
        ..other.validators.clone()
    };
    let mut unread = BTreeSet::new();
    for other in placement.replicas.values().filter(|other| other.id != replica) {
        match other.state {
            ReplicaState::Present => {
                let former = other.former.clone().unwrap_or_else(|| former.clone());
                changes.push(Change::Outdate { replica: other.id, former, validators: sized(other) });
            }
            ReplicaState::Changed | ReplicaState::Damaged => {
                let remark = Some("it holds the former content".to_owned());
                changes.push(Change::Become { replica: other.id, state: ReplicaState::Damaged, lease: None });
                changes.push(Change::See { replica: other.id, validators: sized(other), remark });
                unread.insert(other.id);
            }
            ReplicaState::Copying => changes.push(Change::Lease { replica: other.id, lease: None }),
            ReplicaState::Removing => {}
        }
    }
    let unread = placement.references.iter().filter(|(_, read)| unread.contains(read));
    changes.extend(unread.map(|(agent, _)| Change::Point { agent: *agent, replica }));
    changes
}

/// Undoing a claim before its commit: leases are given back, bytes that may have arrived are marked for removal.
pub fn abort(placement: &Placement, claim: &Claim) -> Vec<Change> {
    let own = |replica: &Replica| {
        let now = placement.replicas.get(&replica.id)?;
        now.lease.is_some_and(|lease| lease.holder == claim.agent).then_some(now)
    };
    // Nobody else has anything to do with what is on its way, also when a newer version has taken its lease.
    let is_coming = |row: &&Replica| row.state == ReplicaState::Copying;
    let coming = |row: &Replica| placement.replicas.get(&row.id).filter(is_coming);
    let source = own(&claim.source).map(|source| Change::Lease { replica: source.id, lease: None });
    let destination = claim.destination.as_ref().and_then(coming);
    let destination =
        destination.map(|row| Change::Become { replica: row.id, state: ReplicaState::Removing, lease: None });
    source.into_iter().chain(destination).collect()
}

fn present_on(placement: &Placement, node: NodeId) -> Option<ReplicaId> {
    placement.present().find(|replica| replica.node == node).map(|replica| replica.id)
}

/// The replica that suits a reader best when the one it reads is dropped: over the link with the lowest latency.
fn nearest(
    placement: &Placement,
    links: &LinkTable,
    seats: &BTreeMap<AgentId, NodeId>,
    agent: AgentId,
    dropped: ReplicaId,
) -> Option<ReplicaId> {
    let home = seats.get(&agent).copied().unwrap_or(agent.home());
    let latency = |to: NodeId| match links.get(home, to) {
        Some(link) => link.latency_ms,
        None if home == to => 0.0,
        None => f64::INFINITY,
    };
    placement
        .present()
        .filter(|replica| replica.id != dropped)
        .min_by(|a, b| latency(a.node).total_cmp(&latency(b.node)).then(a.node.cmp(&b.node)))
        .map(|replica| replica.id)
}

/// Applies changes to a placement held in memory; `next_id` names inserted rows.
pub fn apply(
    placement: &mut Placement,
    data_set: &super::ids::DataSetName,
    changes: &[Change],
    mut next_id: impl FnMut() -> ReplicaId,
) {
    for change in changes {
        match change {
            Change::Insert { node, object_key, state, lease, validators } => {
                let id = next_id();
                let replica = Replica {
                    id,
                    data_set: data_set.clone(),
                    node: *node,
                    object_key: object_key.clone(),
                    state: *state,
                    generation: 1,
                    lease: *lease,
                    validators: validators.clone(),
                    remark: None,
                    former: None,
                };
                placement.replicas.insert(id, replica);
            }
            Change::Lease { replica, lease } => {
                if let Some(row) = placement.replicas.get_mut(replica) {
                    row.lease = *lease;
                }
            }
            Change::See { replica, validators, remark } => {
                if let Some(row) = placement.replicas.get_mut(replica) {
                    row.validators.clone_from(validators);
                    row.remark.clone_from(remark);
                }
            }
            Change::Relocate { replica, node, object_key, validators } => {
                if let Some(row) = placement.replicas.get_mut(replica) {
                    row.node = *node;
                    row.object_key.clone_from(object_key);
                    row.validators.clone_from(validators);
                    row.state = ReplicaState::Present;
                    row.remark = None;
                    row.generation += 1;
                    row.lease = None;
                }
            }
            Change::Outdate { replica, former, validators } => {
                if let Some(row) = placement.replicas.get_mut(replica) {
                    row.former = Some(former.clone());
                    row.validators.clone_from(validators);
                    row.generation += 1;
                    row.lease = None;
                }
            }
            Change::Become { replica, state, lease } => {
                if let Some(row) = placement.replicas.get_mut(replica) {
                    row.state = *state;
                    row.former = None;
                    row.generation += 1;
                    row.lease = *lease;
                }
            }
            Change::Point { agent, replica } => {
                placement.references.insert(*agent, *replica);
            }
            Change::Delete { replica } => {
                placement.replicas.remove(replica);
            }
            Change::Seat { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
