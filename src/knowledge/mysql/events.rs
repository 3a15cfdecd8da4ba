//! Events with their feedback, measurements, and what is learned from them.

use super::select::{Answer, Part, Question};
use super::tables::{
    AGENTS, COUNTERS, DATA_SETS, EVENTS, EVENTS_ALONE, READERS, REMOVED, Result, Tables, places, text,
};
use crate::knowledge::{
    ClosedEvent, ClosingRule, Counter, Feedback, Learned, Order, Recorded, Selection, quarantine, rules,
};
use agent_core::domain::action::Action;
use agent_core::domain::event::Event;
use agent_core::domain::ids::{AgentId, DataSetName, EventId};
use agent_core::domain::impact::Impacts;
use agent_core::domain::measurement::Measurement;
use agent_core::domain::metric::Metric;
use agent_core::knowledge::quarantine::{Field, Fields, ROWS_MAX};
use mysql_async::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const FEEDBACK: Part = Part {
    name: "feedback",
    table: quarantine::FEEDBACK,
    columns: &["event", "agent", "id", "p", "left_at_ms"],
    from: "from feedback",
};
const IMPACTS: Part = Part {
    name: "impacts",
    table: quarantine::IMPACTS,
    columns: &["agent", "action", "metric", "value", "samples"],
    from: "from impacts",
};
const MEASUREMENTS: Part = Part {
    name: "measurements",
    table: quarantine::MEASUREMENTS,
    columns: &[
        "id",
        "agent",
        "data_set",
        "replica",
        "node",
        "at_ms",
        "response_time_s",
        "execution_time_s",
        "throughput_records_per_s",
        "network_latency_ms",
        "availability_percent",
        "data_consistency",
        "staleness_s",
        "response_time_p95_s",
        "response_time_p99_s",
        "error_rate_percent",
        "emulated_latency_ms",
        "satisfied",
        "result",
        "failure",
        "failure_reason",
        "job_parts",
        "ran_at",
        "job",
    ],
    from: "from measurements",
};

// Writing.
impl Tables {
    pub(super) async fn leave_feedback(
        &mut self,
        agent: AgentId,
        events: &[EventId],
        window: Duration,
    ) -> Result<Vec<Feedback>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let ids = || events.iter().map(|event| Value::from(event.0));
        let each = places(1, events.len());
        let question = Question::new().and_each(&EVENTS, &format!("where id in {each}"), ids());
        let own = format!("where agent = ? and event in {each}");
        let question = question.and_each(&FEEDBACK, &own, std::iter::once(agent.0.into()).chain(ids()));
        let answer = self.ask(question).await?;
        let answered: BTreeSet<EventId> = answer.numbers(&FEEDBACK, "event").map(EventId).collect();
        // In the order of their ids, whoever answers: nobody waits for somebody who waits for him.
        let left: Vec<Feedback> = answer
            .events()
            .iter()
            .filter(|event| !answered.contains(&event.id))
            .filter_map(|event| {
                let p = rules::answer(event, agent, answer.now, window)?;
                Some(Feedback { event: event.id, agent, p, left_at: answer.now })
            })
            .collect();
        if !left.is_empty() {
            self.blame(&left).await?;
        }
        Ok(left)
    }

    async fn blame(&mut self, left: &[Feedback]) -> Result<()> {
        self.begin().await?;
        let row = |feedback: &Feedback| -> [Value; 4] {
            let Feedback { event, agent, p, left_at } = *feedback;
            [event.0.into(), agent.0.into(), p.into(), left_at.0.into()]
        };
        let rows = places(left.len(), 4);
        let sql = format!("insert into feedback (event, agent, p, left_at_ms) values {rows}");
        self.execute(&sql, left.iter().flat_map(row).collect()).await?;
        for feedback in left {
            // Not of one that was closed since it was read.
            let sql = "update events set feedback_sum = feedback_sum + ? where id = ? and state = 'open'";
            self.execute_unless_overtaken(sql, vec![feedback.p.into(), feedback.event.0.into()]).await?;
        }
        self.commit().await
    }

    pub(super) async fn close_due(&mut self, agent: AgentId, rule: ClosingRule) -> Result<Vec<ClosedEvent>> {
        let answer = self.ask(Question::new().and(&EVENTS, "where state = 'open'", [])).await?;
        let is_due = |event: &Event| rules::is_due(event, agent, rule, answer.now);
        let due: Vec<Value> =
            answer.events().iter().filter(|event| is_due(event)).map(|event| event.id.0.into()).collect();
        if due.is_empty() {
            return Ok(Vec::new());
        }
        self.begin().await?;
        for event in &due {
            let sql = "update events set state = 'closed' where id = ? and state = 'open'";
            self.execute_unless_overtaken(sql, vec![event.clone()]).await?;
        }
        // Nobody answers them any more: only now is their feedback all that there will be.
        let each = places(1, due.len());
        let question = Question::new().and_each(&EVENTS, &format!("where id in {each}"), due.clone());
        let question = question.and_each(&FEEDBACK, &format!("where event in {each}"), due);
        let question = question.and(&AGENTS, "", []).and(&READERS, "", []).and(&REMOVED, "", []);
        let answer = self.ask(question.and(&DATA_SETS, "", []).and(&COUNTERS, "", [])).await?;
        let names = answer.read(&DATA_SETS, |row| quarantine::data_set_name(row, "name"));
        let before: Counters = names.into_iter().map(|name| (name.clone(), answer.counters(&name))).collect();
        let (closed, after) = judge(&answer, before.clone(), rule);
        for (name, counters) in after {
            let known = &before[&name];
            for (action, counter) in counters.into_iter().filter(|(action, counter)| known.get(action) != Some(counter))
            {
                self.set_counter(&name, action, known.get(&action), counter).await?;
            }
        }
        self.commit().await?;
        Ok(closed)
    }

    /// Unless somebody else set it since it was `known`.
    async fn set_counter(
        &mut self,
        name: &DataSetName,
        action: Action,
        known: Option<&Counter>,
        counter: Counter,
    ) -> Result<()> {
        let (name, label) = (text(&name.0), text(&action.to_string()));
        let to = [counter.value.into(), counter.changed_at.0.into()];
        let (sql, values) = match known {
            None => {
                ("insert into counters (value, changed_at_ms, data_set, action) values (?, ?, ?, ?)", vec![name, label])
            }
            // What somebody wrote there by hand, and was read as the nearest count, is replaced.
            Some(known) => (
                "update counters set value = ?, changed_at_ms = ? where data_set = ? and action = ? and changed_at_ms = ?
                and (value = ? or value not between 0 and 4294967295)",
                vec![name, label, known.changed_at.0.into(), known.value.into()],
            ),
        };
        self.execute_unless_overtaken(sql, to.into_iter().chain(values).collect()).await
    }

    pub(super) async fn record(&mut self, measurement: &Measurement, satisfied: bool) -> Result<()> {
        rules::check_measurement(measurement)?;
        let metric = |metric| Value::from(measurement.metrics.get(metric));
        let sql = "insert ignore into measurements
            (agent, data_set, replica, node, at_ms, response_time_s, execution_time_s, throughput_records_per_s,
            network_latency_ms, availability_percent, data_consistency, staleness_s, emulated_latency_ms, satisfied, result,
            failure, failure_reason, job_parts, ran_at, job, response_time_p95_s, response_time_p99_s, error_rate_percent)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values = vec![
            measurement.agent.0.into(),
            text(&measurement.data_set.0),
            measurement.replica.0.into(),
            measurement.node.0.into(),
            measurement.at.0.into(),
            metric(Metric::ResponseTime),
            metric(Metric::ExecutionTime),
            metric(Metric::Throughput),
            metric(Metric::NetworkLatency),
            metric(Metric::Availability),
            metric(Metric::DataConsistency),
            metric(Metric::Staleness),
            measurement.emulated_latency_ms.into(),
            satisfied.into(),
            measurement.result.as_deref().map(rules::kept_line).into(),
            measurement.failure.as_ref().map(|failure| failure.kind.name()).into(),
            measurement.failure.as_ref().map(|failure| rules::kept_line(&failure.why)).into(),
            rules::parts(measurement).into(),
            measurement.ran_at.map(|node| node.0).into(),
            text(&measurement.job),
            metric(Metric::ResponseTimeP95),
            metric(Metric::ResponseTimeP99),
            metric(Metric::ErrorRate),
        ];
        self.execute_alone(sql, values).await?;
        Ok(())
    }

    pub(super) async fn learn(&mut self, agent: AgentId, label: &str, impacts: &Impacts) -> Result<()> {
        rules::check_impacts(label, impacts)?;
        let known = self.impacts(agent).await?;
        let samples = known.get(label).map_or(0, |known| known.samples).saturating_add(1);
        let now = self.now.0;
        self.begin().await?;
        self.execute("delete from impacts where agent = ? and action = ?", vec![agent.0.into(), text(label)]).await?;
        let row = |(metric, value): (Metric, f64)| -> [Value; 6] {
            [agent.0.into(), text(label), metric.name().into(), value.into(), samples.into(), now.into()]
        };
        let values: Vec<Value> = impacts.iter().flat_map(row).collect();
        let rows = places(impacts.iter().count(), 6);
        let sql = format!("insert into impacts (agent, action, metric, value, samples, updated_at_ms) values {rows}");
        self.execute(&sql, values).await?;
        self.commit().await
    }
}

// Reading.
impl Tables {
    pub(super) async fn impacts(&mut self, agent: AgentId) -> Result<BTreeMap<String, Learned>> {
        let answer = self.ask(Question::new().and(&IMPACTS, "where agent = ?", [agent.0.into()])).await?;
        let mut learned: BTreeMap<String, Learned> = BTreeMap::new();
        for (label, metric, value, samples) in answer.read(&IMPACTS, quarantine::impact) {
            let known = learned.entry(label).or_insert(Learned { impacts: Impacts::default(), samples });
            known.impacts.set(metric, value);
            known.samples = known.samples.max(samples);
        }
        Ok(learned)
    }

    pub(super) async fn events(&mut self, after: EventId, limit: usize) -> Result<Vec<Event>> {
        self.select_events(&Selection { after: after.0, limit, ..Selection::default() }).await
    }

    pub(super) async fn select_events(&mut self, asked: &Selection) -> Result<Vec<Event>> {
        let part = if asked.explained { &EVENTS } else { &EVENTS_ALONE };
        self.page(part, &asked_for(asked, "posted_at_ms"), asked, quarantine::event).await
    }

    pub(super) async fn event(&mut self, id: EventId) -> Result<Option<Event>> {
        Ok(self.ask(Question::new().and(&EVENTS, "where id = ?", [id.0.into()])).await?.event())
    }

    pub(super) async fn event_by_key(&mut self, key: &str) -> Result<Option<Event>> {
        Ok(self.ask(Question::new().and_key(key)).await?.event())
    }

    pub(super) async fn feedback(&mut self, event: EventId) -> Result<Vec<Feedback>> {
        let answer = self.ask(Question::new().and(&FEEDBACK, "where event = ?", [event.0.into()])).await?;
        let mut left = answer.read(&FEEDBACK, |row| Ok((row.integer("id")?, quarantine::feedback(row)?)));
        left.sort_by_key(|(id, feedback)| (feedback.left_at, *id));
        Ok(left.into_iter().map(|(_, feedback)| feedback).collect())
    }

    pub(super) async fn measurements(&mut self, after: i64, limit: usize) -> Result<Vec<Recorded>> {
        self.select_measurements(&Selection { after, limit, ..Selection::default() }).await
    }

    pub(super) async fn select_measurements(&mut self, asked: &Selection) -> Result<Vec<Recorded>> {
        self.page(&MEASUREMENTS, &asked_for(asked, "at_ms"), asked, quarantine::recorded).await
    }

    /// Of the latest rows those that make sense.
    pub(super) async fn latest_measurements(
        &mut self,
        agent: AgentId,
        data_set: &DataSetName,
        limit: usize,
    ) -> Result<Vec<Recorded>> {
        let values = [agent.0.into(), text(&data_set.0), sql_limit(limit.min(ROWS_MAX))];
        let latest = "where agent = ? and data_set = ? and failure is null order by id desc limit ?";
        let mut latest = self
            .ask(Question::new().and(&MEASUREMENTS, latest, values))
            .await?
            .read(&MEASUREMENTS, quarantine::recorded);
        latest.sort_by_key(|row| row.id);
        Ok(latest)
    }

    /// The first rows that make sense, in the order that is asked for. Those that do not are no part of the limit: a page that is
    /// not full is the last one.
    async fn page<T: Send>(
        &mut self,
        part: &'static Part,
        clause: &str,
        asked: &Selection,
        read: fn(&mut Fields<'_>) -> Field<T>,
    ) -> Result<Vec<T>> {
        let (mut page, mut asked, limit) = (Vec::new(), asked.clone(), asked.limit.min(ROWS_MAX));
        let direction = match asked.order {
            Order::OldestFirst => "",
            Order::NewestFirst => " desc",
        };
        let clause = format!("{clause}{direction} limit ?");
        while page.len() < limit {
            let missing = limit - page.len();
            let answer = self.ask(Question::new().and(part, &clause, asked_of(&asked, missing))).await?;
            let mut rows = answer.read(part, |row| Ok((row.integer("id")?, read(row)?)));
            rows.sort_by_key(|(id, _)| *id);
            let is_whole = answer.numbers(part, "id").count() == missing;
            let further = match asked.order {
                Order::OldestFirst => answer.numbers(part, "id").max().map(|last| asked.after = last),
                Order::NewestFirst => {
                    rows.reverse();
                    answer.numbers(part, "id").min().map(|last| asked.before = last)
                }
            };
            page.extend(rows.into_iter().map(|(_, row)| row));
            if !is_whole || further.is_none() {
                break;
            }
        }
        Ok(page)
    }
}

/// What is not asked for is no condition: only so is there an index for what is.
fn asked_for(asked: &Selection, time: &str) -> String {
    let agent = if asked.agent.is_some() { "agent = ?" } else { "? is null" };
    let data_set = if asked.data_set.is_some() { "data_set = ?" } else { "? is null" };
    format!("where id > ? and id < ? and {agent} and {data_set} and {time} >= ? and {time} < ? order by id")
}

/// In the order of the parameters of a page's clause.
fn asked_of(asked: &Selection, limit: usize) -> [Value; 7] {
    let agent = asked.agent.map_or(Value::NULL, |agent| agent.0.into());
    let data_set = asked.data_set.as_ref().map_or(Value::NULL, |name| text(&name.0));
    let (since, until) = (asked.since.0.into(), asked.until.0.into());
    [asked.after.into(), asked.before.into(), agent, data_set, since, until, sql_limit(limit)]
}

/// Of each data set.
type Counters = BTreeMap<DataSetName, BTreeMap<Action, Counter>>;

/// What becomes of the events in an answer, oldest first, and of the counters.
fn judge(answer: &Answer, mut counters: Counters, rule: ClosingRule) -> (Vec<ClosedEvent>, Counters) {
    let heartbeats: BTreeMap<AgentId, _> = answer.read(&AGENTS, quarantine::heartbeat).into_iter().collect();
    let removed = answer.removed_nodes();
    let feedback = answer.read(&FEEDBACK, quarantine::feedback);
    let mut events = answer.events();
    events.sort_by_key(|event| (event.closes_at, event.id));
    let mut close = |event: &Event| {
        let own = feedback.iter().filter(|feedback| feedback.event == event.id);
        let readers = answer.readers(&event.data_set);
        let of_readers = heartbeats.iter().filter(|(agent, _)| readers.contains(agent));
        let of_readers = of_readers.map(|(agent, heartbeat_at)| (*agent, *heartbeat_at));
        let others = rules::others(event, of_readers, own, rule, answer.now);
        let mut known = counters.get_mut(&event.data_set);
        let counter = known.as_ref().and_then(|known| known.get(&event.action)).copied();
        let mut change = rules::closed(event, others, counter, rule);
        if known.is_none() || !rules::is_somebodys(event, heartbeats.contains_key(&event.agent), &removed) {
            change = rules::closed_of_nobody(change);
        }
        if let Some(known) = &mut known
            && change.counter_after != change.counter_before
        {
            known.insert(event.action, Counter { value: change.counter_after, changed_at: answer.now });
        }
        change
    };
    let closed = events.iter().map(&mut close).collect();
    (closed, counters)
}

impl Question {
    pub(super) fn and_key(self, key: &str) -> Self {
        self.and(&EVENTS, "where idempotency_key = ?", [text(key)])
    }
}

fn sql_limit(limit: usize) -> Value {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}
