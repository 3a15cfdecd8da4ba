//! Events with their feedback, measurements, and what is learned from them, within one transaction.

use super::Tables;
use super::connect::Failure;
use super::rows::{self, Fields, Keyed, LeftOut};
use crate::domain::event::{Event, Outcome, Window};
use crate::domain::ids::{AgentId, DataSetName, EventId, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
use crate::domain::measurement::Measurement;
use crate::domain::metric::{Metric, Metrics};
use crate::knowledge::rules::{self, Rejection};
use crate::knowledge::{ClosedEvent, ClosingRule, Counter, Feedback, Learned, Recorded};
use rusqlite::{Params, params};
use std::collections::BTreeMap;
use std::time::Duration;

type Result<T> = std::result::Result<T, Failure>;

const EVENTS: Keyed = Keyed("events", 1);
const FEEDBACK: Keyed = Keyed("feedback", 2);
const MEASUREMENTS: Keyed = Keyed("measurements", 1);
const IMPACTS: Keyed = Keyed("impacts", 3);

macro_rules! select_event {
    ($rest:literal) => {
        concat!(
            "select id, agent, data_set, replica, action, explored, posted_at_ms, closes_at_ms, state, outcome, ",
            "ended_at_ms, feedback_sum, detail from events ",
            $rest
        )
    };
}

/// The column of each metric: its name with its unit.
fn column(metric: Metric) -> &'static str {
    match metric {
        Metric::ResponseTime => "response_time_s",
        Metric::ExecutionTime => "execution_time_s",
        Metric::Throughput => "throughput_records_per_s",
        Metric::NetworkLatency => "network_latency_ms",
        Metric::Availability => "availability_percent",
        Metric::DataConsistency => "data_consistency",
    }
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
        let mut due = self.select_events(sql, [self.now.0])?;
        due.retain(|event| rules::is_due(event, agent, rule, self.now));
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let heartbeats = self.heartbeats()?;
        let mut counters = self.counters()?;
        let mut closed = Vec::with_capacity(due.len());
        for event in due {
            self.execute("update events set state = 'closed' where id = ?", [event.id.0])?;
            let feedback = self.feedback(event.id)?;
            let others = rules::others(&event, heartbeats.clone().into_iter(), feedback.iter(), rule, self.now);
            let change = rules::closed(&event, others, counters.get(&event.action).copied(), rule);
            if change.counter_after != change.counter_before {
                let counter = Counter { value: change.counter_after, changed_at: self.now };
                self.set_counter(event.action, counter)?;
                counters.insert(event.action, counter);
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
            network_latency_ms, availability_percent, data_consistency, emulated_latency_ms, satisfied, job)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
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
            measurement.emulated_latency_ms,
            satisfied,
            measurement.job
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
        let values = rows::read(self.transaction, self.warned, IMPACTS, sql, [agent.0], |row| {
            let samples = u32::try_from(row.amount("samples")?).unwrap_or(u32::MAX);
            let value = row.real_within("value", -1.0..=1.0)?;
            Ok((row.text("action")?, row.parsed::<Metric>("metric")?, value, samples))
        })?;
        let mut learned: BTreeMap<String, Learned> = BTreeMap::new();
        for (label, metric, value, samples) in values {
            let known = learned.entry(label).or_insert(Learned { impacts: Impacts::default(), samples });
            known.impacts.set(metric, value);
            known.samples = known.samples.max(samples);
        }
        Ok(learned)
    }

    pub(super) fn open_events(&mut self, data_set: &DataSetName) -> Result<Vec<Event>> {
        self.select_events(select_event!("where data_set = ? and state = 'open' order by id"), [&data_set.0])
    }

    pub(super) fn running_events(&mut self) -> Result<Vec<Event>> {
        self.select_events(select_event!("where outcome = 'running' order by id"), [])
    }

    pub(super) fn events(&mut self, after: EventId, limit: usize) -> Result<Vec<Event>> {
        self.select_events(select_event!("where id > ? order by id limit ?"), params![after.0, sql_limit(limit)])
    }

    pub(super) fn event(&mut self, id: EventId) -> Result<Option<Event>> {
        Ok(self.select_events(select_event!("where id = ?"), [id.0])?.pop())
    }

    pub(super) fn event_by_key(&mut self, key: &str) -> Result<Option<Event>> {
        Ok(self.select_events(select_event!("where idempotency_key = ?"), [key])?.pop())
    }

    pub(super) fn require_event(&mut self, id: EventId) -> Result<Event> {
        self.event(id)?.ok_or_else(|| Rejection::UnknownEvent(id).into())
    }

    pub(super) fn feedback(&mut self, event: EventId) -> Result<Vec<Feedback>> {
        let sql = "select event, agent, p, left_at_ms from feedback where event = ? order by rowid";
        Ok(rows::read(self.transaction, self.warned, FEEDBACK, sql, [event.0], |row| {
            let agent = AgentId(row.id("agent")?);
            Ok(Feedback { event, agent, p: row.real_within("p", 0.0..=1.0)?, left_at: row.time("left_at_ms")? })
        })?)
    }

    pub(super) fn measurements(&mut self, after: i64, limit: usize) -> Result<Vec<Recorded>> {
        let sql = "select id, agent, data_set, replica, node, at_ms, response_time_s, execution_time_s,
            throughput_records_per_s, network_latency_ms, availability_percent, data_consistency, emulated_latency_ms,
            satisfied, job from measurements where id > ? order by id limit ?";
        let values = params![after, sql_limit(limit)];
        Ok(rows::read(self.transaction, self.warned, MEASUREMENTS, sql, values, recorded)?)
    }

    fn select_events(&mut self, sql: &str, values: impl Params) -> Result<Vec<Event>> {
        Ok(rows::read(self.transaction, self.warned, EVENTS, sql, values, event)?)
    }
}

fn event(row: &mut Fields<'_>) -> std::result::Result<Event, LeftOut> {
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

fn recorded(row: &mut Fields<'_>) -> std::result::Result<Recorded, LeftOut> {
    let mut metrics = Metrics::default();
    for metric in Metric::ALL {
        if let Some(value) = row.maybe_real(column(metric))? {
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

fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
