use super::{Table, data_set, rejected};
use crate::clock::Clock as _;
use crate::domain::failure::{FailureKind, JobFailure};
use crate::domain::ids::{AgentId, EventId, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
use crate::domain::measurement::{Measurement, Part};
use crate::domain::metric::{Metric, Metrics};
use crate::domain::time::Timestamp;
use crate::knowledge::{Learned, Order, Recorded, Selection};
use std::collections::BTreeMap;
use std::time::Duration;

fn measurement(job: &str) -> Measurement {
    Measurement {
        agent: AgentId(1),
        data_set: data_set(),
        replica: ReplicaId(1),
        node: NodeId(3),
        at: Timestamp(1_000_123),
        metrics: Metrics::default().with(Metric::ResponseTime, 36.5).with(Metric::Throughput, 30_000.0),
        ran_at: None,
        emulated_latency_ms: None,
        traffic: None,
        parts: Vec::new(),
        job: job.to_owned(),
        failure: None,
        result: None,
    }
}

/// What a data set of that number had to do with a job.
fn part(number: u32) -> Part {
    let metrics = Metrics::default().with(Metric::ResponseTime, 0.1 + f64::from(number));
    Part {
        data_set: format!("set {number}").as_str().into(),
        replica: ReplicaId(i64::from(number)),
        node: NodeId(number),
        records: 7,
        metrics,
        traffic: None,
    }
}

pub async fn a_job_is_recorded_once(table: Table) {
    let table = table.three_agents().await;
    let everything = Metric::ALL.into_iter().zip([36.5, 12.25, 45_000.0, 1500.0, 85.0, 0.5]).collect();
    let full = Measurement { metrics: everything, emulated_latency_ms: Some(1499.5), ..measurement("b") };
    table.knowledge.record(&measurement("a"), false).await.unwrap();
    table.knowledge.record(&measurement("a"), true).await.unwrap();
    table.knowledge.record(&full, true).await.unwrap();
    let several = Measurement { parts: [3, 1].map(part).into(), ..measurement("c") };
    table.knowledge.record(&several, true).await.unwrap();
    let recorded = table.knowledge.measurements(0, 10).await.unwrap();
    assert_eq!(recorded[0].id, 1);
    let kept: Vec<_> = recorded.into_iter().map(|row| (row.measurement, row.satisfied)).collect();
    assert_eq!(kept, [(measurement("a"), false), (full, true), (several, true)]);
}

pub async fn a_failure_is_recorded_with_its_reason(table: Table) {
    let table = table.three_agents().await;
    let failure = Some(JobFailure { kind: FailureKind::ChangedData, why: "its ETag is b, expected a".to_owned() });
    let failed = Measurement { metrics: Metrics::default(), failure, ..measurement("failed") };
    let done = Measurement { result: Some("172.78".to_owned()), ..measurement("done") };
    for measurement in [&failed, &done] {
        table.knowledge.record(measurement, false).await.unwrap();
    }
    let recorded = table.knowledge.measurements(0, 10).await.unwrap();
    assert_eq!(recorded.into_iter().map(|recorded| recorded.measurement).collect::<Vec<_>>(), [failed, done]);
}

pub async fn measurements_are_read_page_by_page(table: Table) {
    let table = table.three_agents().await;
    for job in ["a", "b", "c", "d"] {
        table.knowledge.record(&measurement(job), true).await.unwrap();
    }
    let jobs = |page: &[Recorded]| page.iter().map(|row| row.measurement.job.clone()).collect::<Vec<_>>();
    let first = table.knowledge.measurements(0, 3).await.unwrap();
    assert_eq!(jobs(&first), ["a", "b", "c"]);
    assert_eq!(jobs(&table.knowledge.measurements(first[2].id, 3).await.unwrap()), ["d"]);
    assert_eq!(jobs(&table.knowledge.measurements(first[0].id, usize::MAX).await.unwrap()), ["b", "c", "d"]);
    assert_eq!(jobs(&table.knowledge.measurements(-1, 1).await.unwrap()), ["a"]);
    assert_eq!(table.knowledge.measurements(0, 0).await.unwrap(), []);
    assert_eq!(table.knowledge.measurements(i64::MAX, 5).await.unwrap(), []);
}

pub async fn an_agents_latest_measurements_are_found(table: Table) {
    let table = table.three_agents().await;
    for (job, agent) in [("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 3)] {
        let measurement = Measurement { agent: AgentId(agent), ..measurement(job) };
        table.knowledge.record(&measurement, true).await.unwrap();
    }
    let failure = Some(JobFailure::new(FailureKind::Program, "no such module"));
    let failed = Measurement { metrics: Metrics::default(), failure, ..measurement("f") };
    table.knowledge.record(&failed, false).await.unwrap();
    let check = async |agent: u32, limit: usize, expected: &[&str]| {
        let latest = table.knowledge.latest_measurements(AgentId(agent), &data_set(), limit).await.unwrap();
        let jobs: Vec<_> = latest.iter().map(|row| row.measurement.job.as_str()).collect();
        assert_eq!(jobs, expected);
    };
    check(1, 2, &["c", "d"]).await;
    check(1, usize::MAX, &["a", "c", "d"]).await;
    check(1, 0, &[]).await;
    check(4, 5, &[]).await;
    let other = table.knowledge.latest_measurements(AgentId(1), &"another".into(), 5).await.unwrap();
    assert_eq!(other, []);
}

pub async fn values_that_are_no_numbers_are_rejected(table: Table) {
    let table = table.three_agents().await;
    let infinite = Metrics::default().with(Metric::Throughput, f64::INFINITY);
    let result = table.knowledge.record(&Measurement { metrics: infinite, ..measurement("a") }, true).await;
    assert_eq!(rejected(result), "throughput is inf, which is not a finite number");
    let unknown = Measurement { emulated_latency_ms: Some(f64::NAN), ..measurement("a") };
    let result = table.knowledge.record(&unknown, true).await;
    assert_eq!(rejected(result), "emulated latency is NaN, which is not a finite number");
    let result = table.knowledge.learn(AgentId(1), "M1_2", &infinite).await;
    assert_eq!(rejected(result), "throughput is inf, which is not a finite number");
    let result = table.knowledge.learn(AgentId(1), "M1_2", &Impacts::default()).await;
    assert_eq!(rejected(result), "`M1_2` comes without impacts; nothing was learned");
    assert_eq!(table.knowledge.measurements(0, 5).await.unwrap(), []);
    assert_eq!(table.knowledge.impacts(AgentId(1)).await.unwrap(), BTreeMap::new());
}

pub async fn what_was_learned_replaces_what_was_known(table: Table) {
    let table = table.three_agents().await;
    let first = Impacts::default().with(Metric::ResponseTime, 0.5).with(Metric::Availability, -0.25);
    let second = Impacts::default().with(Metric::ResponseTime, -0.125);
    table.knowledge.learn(AgentId(1), "M1_2", &first).await.unwrap();
    table.knowledge.learn(AgentId(1), "C1_2", &first).await.unwrap();
    table.knowledge.learn(AgentId(2), "M1_2", &first).await.unwrap();
    table.knowledge.learn(AgentId(1), "M1_2", &second).await.unwrap();
    let learned = |impacts, samples| Learned { impacts, samples };
    let expected = [("C1_2".to_owned(), learned(first, 1)), ("M1_2".to_owned(), learned(second, 2))];
    assert_eq!(table.knowledge.impacts(AgentId(1)).await.unwrap(), BTreeMap::from(expected));
    assert_eq!(table.knowledge.impacts(AgentId(3)).await.unwrap(), BTreeMap::new());
}

pub async fn events_are_read_page_by_page_and_by_key(table: Table) {
    let table = table.three_agents().await;
    let mut ids = Vec::new();
    for label in ["M3_1", "M1_2", "M2_3"] {
        ids.push(table.act(1, label).await);
    }
    let page = async |after, limit| {
        let events = table.knowledge.events(after, limit).await.unwrap();
        events.iter().map(|event| event.id).collect::<Vec<_>>()
    };
    assert_eq!(page(EventId(0), 2).await, ids[..2]);
    assert_eq!(page(ids[0], usize::MAX).await, ids[1..]);
    assert_eq!(page(ids[2], 5).await, []);
    assert_eq!(page(EventId(i64::MIN), 1).await, ids[..1]);
    let second = table.knowledge.event_by_key("key-1").await.unwrap().unwrap();
    assert_eq!(second, table.event(ids[1]).await);
    assert_eq!(second.action.to_string(), "M1_2");
    assert_eq!(table.knowledge.event_by_key("key-9").await.unwrap(), None);
    for unknown in [0, -1, 9, i64::MAX, i64::MIN] {
        assert_eq!(table.knowledge.event(EventId(unknown)).await.unwrap(), None);
    }
}

pub async fn records_are_selected_by_agent_data_set_and_time(table: Table) {
    let table = table.three_agents().await;
    let mut ids = Vec::new();
    for (agent, label) in [(1, "M3_1"), (2, "M1_2"), (1, "M2_3")] {
        table.clock.advance(Duration::from_secs(10));
        ids.push(table.act(agent, label).await);
        let job = format!("job-{label}");
        let one = Measurement { agent: AgentId(agent), at: table.clock.now(), ..measurement(&job) };
        table.knowledge.record(&one, true).await.unwrap();
    }
    let second = table.event(ids[1]).await.posted_at;
    let all = Selection::default();
    let newest = Selection { order: Order::NewestFirst, ..all.clone() };
    let cases = [
        (all.clone(), vec![0, 1, 2]),
        (newest.clone(), vec![2, 1, 0]),
        (Selection { limit: 2, ..newest.clone() }, vec![2, 1]),
        (Selection { limit: 0, ..newest.clone() }, vec![]),
        (Selection { after: ids[0].0, ..all.clone() }, vec![1, 2]),
        (Selection { before: ids[2].0, limit: 1, ..newest.clone() }, vec![1]),
        (Selection { agent: Some(AgentId(1)), ..all.clone() }, vec![0, 2]),
        (Selection { agent: Some(AgentId(3)), ..all.clone() }, vec![]),
        (Selection { data_set: Some(data_set()), ..newest.clone() }, vec![2, 1, 0]),
        (Selection { data_set: Some("another".into()), ..newest.clone() }, vec![]),
        (Selection { since: second, ..all.clone() }, vec![1, 2]),
        (Selection { until: second, ..all.clone() }, vec![0]),
        (Selection { since: second, agent: Some(AgentId(1)), ..newest }, vec![2]),
    ];
    let unexplained = Selection { explained: false, ..all.clone() };
    let mut events = table.knowledge.select_events(&all).await.unwrap();
    assert!(events.iter().all(|event| !event.detail.is_empty()));
    events.iter_mut().for_each(|event| event.detail.clear());
    assert_eq!(table.knowledge.select_events(&unexplained).await.unwrap(), events);
    let jobs: Vec<i64> = table.knowledge.measurements(0, 10).await.unwrap().iter().map(|row| row.id).collect();
    for (asked, expected) in cases {
        let events = table.knowledge.select_events(&asked).await.unwrap();
        let found: Vec<EventId> = events.iter().map(|event| event.id).collect();
        assert_eq!(found, expected.iter().map(|at| ids[*at]).collect::<Vec<_>>(), "{asked:?}");
        // A measurement's id is of its own table.
        if asked.after == all.after && asked.before == all.before {
            let found = table.knowledge.select_measurements(&asked).await.unwrap();
            let found: Vec<i64> = found.iter().map(|row| row.id).collect();
            assert_eq!(found, expected.iter().map(|at| jobs[*at]).collect::<Vec<_>>(), "{asked:?}");
        }
    }
}
