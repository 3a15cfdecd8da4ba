//! Events with their feedback, measurements, and what is learned from them, within one transaction.

use super::Tables;
use super::connect::Failure;
use super::rows;
use crate::knowledge::{ClosedEvent, ClosingRule, Counter, Feedback, Learned, Order, Recorded, Selection};
use agent_core::domain::event::Event;
use agent_core::domain::flat_map::FlatMap;
use agent_core::domain::ids::{AgentId, DataSetName, EventId, NodeId};
use agent_core::domain::impact::Impacts;
use agent_core::domain::measurement::Measurement;
use agent_core::domain::metric::Metric;
use agent_core::domain::placement::{Node, Peer};
use agent_core::knowledge::quarantine::{self, EVENTS, FEEDBACK, Fields, IMPACTS, MEASUREMENTS};
use agent_core::knowledge::rules::{self, Rejection};
use rusqlite::{Params, params};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

type Result<T> = std::result::Result<T, Failure>;

macro_rules! select_event {
    ($rest:literal) => {
        select_event!("detail", $rest)
    };
    ($detail:literal, $rest:literal) => {
        concat!(
            "select id, agent, data_set, replica, action, explored, posted_at_ms, closes_at_ms, state, outcome, ",
            "ended_at_ms, feedback_sum, ",
            $detail,
            ", exists (select 1 from claims where claims.event = events.id) as claimed ",
            "from events ",
            $rest
        )
    };
}

macro_rules! select_measurement {
    ($rest:literal) => {
        concat!(
            "select id, agent, data_set, replica, node, at_ms, response_time_s, execution_time_s,
            throughput_records_per_s, network_latency_ms, availability_percent, data_consistency, staleness_s,
            response_time_p95_s, response_time_p99_s, error_rate_percent, emulated_latency_ms, satisfied, result,
            failure, failure_reason, job_parts, ran_at, job from measurements ",
            $rest
        )
    };
}

impl Tables<'_> {
    pub(super) fn leave_feedback(
        &mut self,
        agent: AgentId,
        events: &[EventId],
        window: Duration,
    ) -> Result<Vec<Feedback>> {
        let mut left = Vec::new();
        for &event in events {
            let posted = self.event(event)?;
            let Some(p) = posted.and_then(|event| rules::answer(&event, agent, self.now, window)) else { continue };
            let sql = "insert or ignore into feedback (event, agent, p, left_at_ms) values (?, ?, ?, ?)";
            if self.execute(sql, params![event.0, agent.0, p, self.now.0])? == 1 {
                self.execute("update events set feedback_sum = feedback_sum + ? where id = ?", params![p, event.0])?;
                left.push(Feedback { event, agent, p, left_at: self.now });
            }
        }
        Ok(left)
    }

    pub(super) fn close_due(&mut self, agent: AgentId, rule: ClosingRule) -> Result<Vec<ClosedEvent>> {
        let sql = select_event!("where state = 'open' and closes_at_ms <= ? order by closes_at_ms, id");
        let mut due = self.read_events(sql, [self.now.0])?;
        due.retain(|event| rules::is_due(event, agent, rule, self.now));
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let (heartbeats, removed) = (self.heartbeats()?, self.removed_nodes()?);
        let mut closed = Vec::with_capacity(due.len());
        for event in due {
            self.execute("update events set state = 'closed' where id = ?", [event.id.0])?;
            let (feedback, readers) = (self.feedback(event.id)?, self.readers(&event.data_set)?);
            let of_readers = heartbeats.iter().filter(|(agent, _)| readers.contains(agent));
            let of_readers = of_readers.map(|(agent, heartbeat_at)| (*agent, *heartbeat_at));
            let others = rules::others(&event, of_readers, feedback.iter(), rule, self.now);
            let counter = self.counters(&event.data_set)?.get(&event.action).copied();
            let mut change = rules::closed(&event, others, counter, rule);
            let is_known = self.data_set(&event.data_set)?.is_some();
            if !is_known || !rules::is_somebodys(&event, heartbeats.contains_key(&event.agent), &removed) {
                change = rules::closed_of_nobody(change);
            }
            if change.counter_after != change.counter_before {
                let counter = Counter { value: change.counter_after, changed_at: self.now };
                self.set_counter(&event.data_set, event.action, counter)?;
            }
            closed.push(change);
        }
        Ok(closed)
    }

    pub(super) fn record(&mut self, measurement: &Measurement, satisfied: bool) -> Result<()> {
        rules::check_measurement(measurement)?;
        let metric = |metric| measurement.metrics.get(metric);
        let sql = "insert or ignore into measurements
            (agent, data_set, replica, node, at_ms, response_time_s, execution_time_s, throughput_records_per_s,
            network_latency_ms, availability_percent, data_consistency, staleness_s, emulated_latency_ms, satisfied, result,
            failure, failure_reason, job_parts, ran_at, job, response_time_p95_s, response_time_p99_s, error_rate_percent)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = params![
            measurement.agent.0,
            measurement.data_set.0,
            measurement.replica.0,
            measurement.node.0,
            measurement.at.0,
            metric(Metric::ResponseTime),
            metric(Metric::ExecutionTime),
            metric(Metric::Throughput),
            metric(Metric::NetworkLatency),
            metric(Metric::Availability),
            metric(Metric::DataConsistency),
            metric(Metric::Staleness),
            measurement.emulated_latency_ms,
            satisfied,
            measurement.result.as_deref().map(rules::kept_line),
            measurement.failure.as_ref().map(|failure| failure.kind.name()),
            measurement.failure.as_ref().map(|failure| rules::kept_line(&failure.why)),
            rules::parts(measurement),
            measurement.ran_at.map(|node| node.0),
            measurement.job,
            metric(Metric::ResponseTimeP95),
            metric(Metric::ResponseTimeP99),
            metric(Metric::ErrorRate),
        ];
        self.execute(sql, values)?;
        Ok(())
    }

    pub(super) fn learn(&mut self, agent: AgentId, label: &str, impacts: &Impacts) -> Result<()> {
        rules::check_impacts(label, impacts)?;
        let samples = self.impacts(agent)?.get(label).map_or(0, |known| known.samples).saturating_add(1);
        self.execute("delete from impacts where agent = ? and action = ?", params![agent.0, label])?;
        for (metric, value) in impacts.iter() {
            let sql =
                "insert into impacts (agent, action, metric, value, samples, updated_at_ms) values (?, ?, ?, ?, ?, ?)";
            self.execute(sql, params![agent.0, label, metric.name(), value, samples, self.now.0])?;
        }
        Ok(())
    }

    pub(super) fn impacts(&mut self, agent: AgentId) -> Result<BTreeMap<String, Learned>> {
        let sql = "select agent, action, metric, value, samples from impacts where agent = ?";
        let values = rows::read(self.transaction, self.quarantine, IMPACTS, sql, [agent.0], quarantine::impact)?;
        let mut learned: BTreeMap<String, Learned> = BTreeMap::new();
        for (label, metric, value, samples) in values {
            let known = learned.entry(label).or_insert(Learned { impacts: Impacts::default(), samples });
            known.impacts.set(metric, value);
            known.samples = known.samples.max(samples);
        }
        Ok(learned)
    }

    pub(super) fn open_events(
        &mut self,
        data_set: &DataSetName,
        nodes: &FlatMap<NodeId, Node>,
        agents: &FlatMap<AgentId, Peer>,
    ) -> Result<Vec<Arc<Event>>> {
        // Named, or the index of all events of the data set is taken, and the whole history is read.
        let sql = select_event!("indexed by events_open where data_set = ? and state = 'open' order by id");
        let removed = self.removed_nodes()?;
        let event = |row: &mut Fields<'_>| quarantine::open_event(row, nodes, agents, &removed).map(Arc::new);
        Ok(rows::read(self.transaction, self.quarantine, EVENTS, sql, [&data_set.0], event)?)
    }

    pub(super) fn running_events(&mut self) -> Result<Vec<Event>> {
        self.read_events(select_event!("where outcome = 'running' order by id"), [])
    }

    pub(super) fn events(&mut self, after: EventId, limit: usize) -> Result<Vec<Event>> {
        let sql = select_event!("where id > ? order by id");
        let quarantine = &mut *self.quarantine;
        Ok(rows::read_at_most(limit, self.transaction, quarantine, EVENTS, sql, [after.0], quarantine::event)?)
    }

    pub(super) fn select_events(&mut self, asked: &Selection) -> Result<Vec<Event>> {
        let all = if asked.explained { select_event!("") } else { select_event!("'' as detail", "") };
        let sql = format!("{all}{}", asked_for(asked, "posted_at_ms"));
        let (quarantine, read) = (&mut *self.quarantine, quarantine::event);
        Ok(rows::read_at_most(asked.limit, self.transaction, quarantine, EVENTS, &sql, asked_of(asked), read)?)
    }

    pub(super) fn event(&mut self, id: EventId) -> Result<Option<Event>> {
        Ok(self.read_events(select_event!("where id = ?"), [id.0])?.pop())
    }

    pub(super) fn event_by_key(&mut self, key: &str) -> Result<Option<Event>> {
        Ok(self.read_events(select_event!("where idempotency_key = ?"), [key])?.pop())
    }

    pub(super) fn require_event(&mut self, id: EventId) -> Result<Event> {
        self.event(id)?.ok_or_else(|| Rejection::UnknownEvent(id).into())
    }

    pub(super) fn feedback(&mut self, event: EventId) -> Result<Vec<Feedback>> {
        let sql = "select event, agent, p, left_at_ms from feedback where event = ? order by rowid";
        Ok(rows::read(self.transaction, self.quarantine, FEEDBACK, sql, [event.0], quarantine::feedback)?)
    }

    pub(super) fn measurements(&mut self, after: i64, limit: usize) -> Result<Vec<Recorded>> {
        let sql = select_measurement!("where id > ? order by id");
        let (quarantine, read) = (&mut *self.quarantine, quarantine::recorded);
        Ok(rows::read_at_most(limit, self.transaction, quarantine, MEASUREMENTS, sql, [after], read)?)
    }

    pub(super) fn select_measurements(&mut self, asked: &Selection) -> Result<Vec<Recorded>> {
        let sql = format!("{}{}", select_measurement!(""), asked_for(asked, "at_ms"));
        let (quarantine, read) = (&mut *self.quarantine, quarantine::recorded);
        Ok(rows::read_at_most(asked.limit, self.transaction, quarantine, MEASUREMENTS, &sql, asked_of(asked), read)?)
    }

    /// Walks back from the end, which is quick while the agent lives and writes.
    pub(super) fn latest_measurements(
        &mut self,
        agent: AgentId,
        data_set: &DataSetName,
        limit: usize,
    ) -> Result<Vec<Recorded>> {
        let sql = select_measurement!("where agent = ? and data_set = ? and failure is null order by id desc");
        let (quarantine, read, values) = (&mut *self.quarantine, quarantine::recorded, params![agent.0, data_set.0]);
        let mut latest = rows::read_at_most(limit, self.transaction, quarantine, MEASUREMENTS, sql, values, read)?;
        latest.reverse();
        Ok(latest)
    }

    fn read_events(&mut self, sql: &str, values: impl Params) -> Result<Vec<Event>> {
        Ok(rows::read(self.transaction, self.quarantine, EVENTS, sql, values, quarantine::event)?)
    }
}

/// What is not asked for is no condition: only so is there an index for what is.
fn asked_for(asked: &Selection, time: &str) -> String {
    let agent = if asked.agent.is_some() { "agent = ?3" } else { "?3 is null" };
    let data_set = if asked.data_set.is_some() { "data_set = ?4" } else { "?4 is null" };
    let direction = match asked.order {
        Order::OldestFirst => "asc",
        Order::NewestFirst => "desc",
    };
    format!(
        "where id > ?1 and id < ?2 and {agent} and {data_set} and {time} >= ?5 and {time} < ?6 order by id {direction}"
    )
}

/// In the order of the parameters above.
fn asked_of(asked: &Selection) -> impl Params {
    let Selection { after, before, agent, data_set, since, until, .. } = asked;
    (*after, *before, agent.map(|agent| agent.0), data_set.as_ref().map(|name| name.0.to_string()), since.0, until.0)
}
