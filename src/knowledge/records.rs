//! A row of each table as what it is in the domain; the column names are the same in every database.

use super::rows::{Field, Fields};
use super::{Counter, Feedback, Recorded, rules::Rejection};
use crate::domain::action::Action;
use crate::domain::event::{Event, Outcome, Window};
use crate::domain::ids::{AgentId, DataSetName, EventId, NodeId, ReplicaId};
use crate::domain::measurement::Measurement;
use crate::domain::metric::{Metric, Metrics};
use crate::domain::placement::{DataSet, Link, Node, NodeState, Peer, Registration, Replica};
use crate::domain::units::Percent;
use std::collections::BTreeMap;

/// What one row of `impacts` says: label, metric, value, samples.
pub(super) type Impact = (String, Metric, f64, u32);

/// The column of each metric in `measurements`: its name with its unit.
pub(super) fn metric_column(metric: Metric) -> &'static str {
    match metric {
        Metric::ResponseTime => "response_time_s",
        Metric::ExecutionTime => "execution_time_s",
        Metric::Throughput => "throughput_records_per_s",
        Metric::NetworkLatency => "network_latency_ms",
        Metric::Availability => "availability_percent",
        Metric::DataConsistency => "data_consistency",
    }
}

pub(super) fn node(row: &mut Fields<'_>) -> Field<(NodeId, Node)> {
    let availability = row.real_within("availability_percent", 0.0..=100.0)?;
    let node = Node {
        id: NodeId(row.id("id")?),
        name: row.text("name")?,
        store_url: row.maybe_text("store_url")?,
        availability: match Percent::new(availability) {
            Some(percent) => percent,
            None => return row.leave_out("availability_percent", "it is no number"),
        },
        capacity_bytes: row.maybe_amount("capacity_bytes")?,
        state: row.one_of_or(NodeState::default(), "state", NodeState::ALL, NodeState::name)?,
        heartbeat_at: row.maybe_time("heartbeat_at")?,
    };
    Ok((node.id, node))
}

/// Only between nodes that there are.
pub(super) fn link(row: &mut Fields<'_>, nodes: &BTreeMap<NodeId, Node>) -> Field<((NodeId, NodeId), Link)> {
    let link = Link {
        from: NodeId(row.id("from_node")?),
        to: NodeId(row.id("to_node")?),
        latency_ms: row.real_within("latency_ms", 0.0..=f64::MAX)?,
        jitter_ms: row.real_within("jitter_ms", 0.0..=f64::MAX)?,
    };
    for (column, node) in [("from_node", link.from), ("to_node", link.to)] {
        if !nodes.contains_key(&node) {
            return row.leave_out(column, Rejection::UnknownNode(node));
        }
    }
    Ok(((link.from, link.to), link))
}

/// Only on nodes that there are.
pub(super) fn peer(row: &mut Fields<'_>, nodes: &BTreeMap<NodeId, Node>) -> Field<(AgentId, Peer)> {
    let registration = Registration {
        agent: AgentId(row.id("id")?),
        node: NodeId(row.id("node")?),
        goal: row.text("goal")?,
        policy: row.text("policy")?,
    };
    if !nodes.contains_key(&registration.node) {
        return row.leave_out("node", Rejection::UnknownNode(registration.node));
    }
    let (agent, heartbeat_at) = (registration.agent, row.maybe_time("heartbeat_at")?);
    Ok((agent, Peer { registration, heartbeat_at, converged: row.flag("converged")? }))
}

pub(super) fn data_set(row: &mut Fields<'_>) -> Field<DataSet> {
    Ok(DataSet {
        name: DataSetName(row.text("name")?),
        object_key: row.text("object_key")?,
        bytes: row.amount("bytes")?,
        records: row.amount("records")?,
        sha256: row.text("sha256")?,
    })
}

/// Only on a node that there is.
pub(super) fn replica(row: &mut Fields<'_>) -> Field<Replica> {
    let data_set = DataSetName(row.text("data_set")?);
    let replica = row.replica("id", data_set)?;
    if row.flag("node_known")? { Ok(replica) } else { row.leave_out("node", Rejection::UnknownNode(replica.node)) }
}

/// Only to a replica that there is.
pub(super) fn reference(row: &mut Fields<'_>, replicas: &BTreeMap<ReplicaId, Replica>) -> Field<(AgentId, ReplicaId)> {
    let replica = ReplicaId(row.integer("replica")?);
    if !replicas.contains_key(&replica) {
        return row.leave_out("replica", format_args!("there is no replica {replica}"));
    }
    Ok((AgentId(row.id("agent")?), replica))
}

pub(super) fn counter(row: &mut Fields<'_>) -> Field<(Action, Counter)> {
    let value = u32::try_from(row.amount("value")?).unwrap_or(u32::MAX);
    Ok((row.parsed("action")?, Counter { value, changed_at: row.time("changed_at_ms")? }))
}

pub(super) fn event(row: &mut Fields<'_>) -> Field<Event> {
    let outcomes = [Outcome::Running, Outcome::Done, Outcome::Failed, Outcome::Aborted];
    Ok(Event {
        id: EventId(row.integer("id")?),
        agent: AgentId(row.id("agent")?),
        data_set: DataSetName(row.text("data_set")?),
        replica: ReplicaId(row.integer("replica")?),
        action: row.parsed("action")?,
        explored: row.flag("explored")?,
        posted_at: row.time("posted_at_ms")?,
        closes_at: row.time("closes_at_ms")?,
        window: row.one_of("state", [Window::Open, Window::Closed], Window::name)?,
        outcome: row.one_of("outcome", outcomes, Outcome::name)?,
        ended_at: row.maybe_time("ended_at_ms")?,
        feedback_sum: row.real_within("feedback_sum", 0.0..=f64::MAX)?,
        detail: row.text("detail")?,
    })
}

pub(super) fn feedback(row: &mut Fields<'_>) -> Field<Feedback> {
    let (event, agent) = (EventId(row.integer("event")?), AgentId(row.id("agent")?));
    Ok(Feedback { event, agent, p: row.real_within("p", 0.0..=1.0)?, left_at: row.time("left_at_ms")? })
}

pub(super) fn impact(row: &mut Fields<'_>) -> Field<Impact> {
    let samples = u32::try_from(row.amount("samples")?).unwrap_or(u32::MAX);
    let value = row.real_within("value", -1.0..=1.0)?;
    Ok((row.text("action")?, row.parsed::<Metric>("metric")?, value, samples))
}

pub(super) fn recorded(row: &mut Fields<'_>) -> Field<Recorded> {
    let mut metrics = Metrics::default();
    for metric in Metric::ALL {
        if let Some(value) = row.maybe_real(metric_column(metric))? {
            metrics.set(metric, value);
        }
    }
    let measurement = Measurement {
        agent: AgentId(row.id("agent")?),
        data_set: DataSetName(row.text("data_set")?),
        replica: ReplicaId(row.integer("replica")?),
        node: NodeId(row.id("node")?),
        at: row.time("at_ms")?,
        metrics,
        emulated_latency_ms: row.maybe_real("emulated_latency_ms")?,
        job: row.text("job")?,
    };
    Ok(Recorded { id: row.integer("id")?, measurement, satisfied: row.flag("satisfied")? })
}
