//! The tables of a network.

use super::batch;
use super::{Act, Course, Job, Network};
use crate::report::chart::timeline;
use crate::report::number::Unit;
use crate::report::statistics::mean;
use crate::report::table::{Cell, Column, Table};
use agent_core::domain::action::Action;
use agent_core::domain::books::{Charge, ChargeKind};
use agent_core::domain::event::{Event, Window};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::measurement::{JobOutcome, JobTally, Measurement};
use agent_core::domain::metric::Metric;
use agent_core::domain::money::Amount;
use agent_core::domain::placement::{Node, Replica};
use agent_core::domain::text::{LINE_MAX, legible};
use std::collections::BTreeMap;

/// All of them, over all data sets, for programs.
pub fn all(network: &Network) -> Vec<Table> {
    let of_courses: [fn(&Course) -> Table; 8] =
        [figures, agents, jobs, events, candidates, counters, measured, placements];
    let has_prices = network.data_sets.iter().any(|course| !course.charges.is_empty());
    let spent: Option<fn(&Course) -> Table> = has_prices.then_some(charges);
    let batch_jobs = (!network.batch.jobs.is_empty()).then(|| batch::jobs(&network.batch));
    of_courses.into_iter().chain(spent).map(|table| joined(network, table)).chain(batch_jobs).collect()
}

/// With the data set before each row.
fn joined(network: &Network, table: fn(&Course) -> Table) -> Table {
    let mut all: Option<Table> = None;
    for course in &network.data_sets {
        let mut one = table(course);
        let name = &course.snapshot.data_set.name.0;
        one.columns.insert(0, Column::text("data_set", "Data set"));
        one.rows.iter_mut().for_each(|row| row.insert(0, Cell::text(&**name)));
        match &mut all {
            Some(all) => all.rows.append(&mut one.rows),
            None => all = Some(one),
        }
    }
    all.unwrap_or_else(|| Table { name: "none", caption: String::new(), columns: Vec::new(), rows: Vec::new() })
}

/// The whole course in one row.
pub fn figures(course: &Course) -> Table {
    let columns = vec![
        Column::count("jobs", "Jobs"),
        Column::number("violated_share", "Violated", Unit::Share),
        Column::count("failed", "More failed"),
        Column::number("last_action", "Time to last action", Unit::Seconds),
        Column::count("movements", "Movements"),
        Column::number("bytes_moved", "Bytes moved", Unit::Bytes),
        Column::number("replicas_mean", "Replicas, mean", Unit::Things),
        Column::count("oscillations", "Oscillations"),
        Column::number("fairness", "Fairness", Unit::Things),
        Column::number("messages", "Messages for each agent and hour", Unit::Things),
    ];
    let figures = super::figures::figures(course);
    let row = vec![
        Cell::Count(course.tally().jobs),
        Cell::number(figures.violated_share),
        Cell::Count(course.tally().failed),
        Cell::number(figures.last_action_s),
        Cell::Count(figures.movements),
        Cell::Number(figures.bytes_moved as f64),
        Cell::Number(figures.replicas_mean),
        Cell::Count(figures.oscillations),
        Cell::Number(figures.fairness),
        Cell::Number(figures.messages_per_agent_hour),
    ];
    let caption =
        "All in all; messages are events and answers to others\u{2019}, without questions, which the table forgets";
    Table { name: "figures", caption: caption.to_owned(), columns, rows: vec![row] }
}

/// What was spent, added up over all days.
pub fn charges(course: &Course) -> Table {
    let columns = vec![
        Column::text("kind", "For"),
        Column::text("agent", "Agent"),
        Column::count("from", "From node"),
        Column::count("to", "To node"),
        Column::number("bytes", "Bytes", Unit::Bytes),
        Column::text("amount", "Amount"),
    ];
    let mut sums: BTreeMap<(ChargeKind, AgentId, NodeId, NodeId), (u64, Amount)> = BTreeMap::new();
    for Charge { cause, bytes, amount } in &course.charges {
        let sum = sums.entry((cause.kind, cause.agent, cause.from, cause.to)).or_default();
        *sum = (sum.0.saturating_add(*bytes), sum.1 + *amount);
    }
    let row = |((kind, agent, from, to), (bytes, amount)): (&(ChargeKind, AgentId, NodeId, NodeId), &(u64, Amount))| {
        let whose = if *agent == AgentId::OPERATOR { "nobody".to_owned() } else { agent.to_string() };
        let node = |node: &NodeId| Cell::Count(u64::from(node.0));
        vec![
            Cell::text(kind.name()),
            Cell::text(whose),
            node(from),
            node(to),
            Cell::Number(*bytes as f64),
            Cell::text(amount.to_string()),
        ]
    };
    let currency = course.snapshot.books.as_ref().and_then(|books| books.tariff.currency());
    let caption = currency.map_or_else(|| "Spent".to_owned(), |currency| format!("Spent, in {currency}"));
    Table { name: "charges", caption, columns, rows: sums.iter().map(row).collect() }
}

pub fn agents(course: &Course) -> Table {
    let columns = vec![
        Column::count("agent", "Agent"),
        Column::count("node", "On node"),
        Column::count("reads", "Reads node"),
        Column::prose("goal", "Goal"),
        Column::text("policy", "Policy"),
        Column::count("jobs", "Jobs"),
        Column::count("violated", "Violated"),
        Column::number("violated_share", "Share", Unit::Share),
        Column::count("failed", "More failed"),
        Column::count("actions", "Actions done"),
        Column::text("last_job", "Last job"),
    ];
    let placement = &course.snapshot.placement;
    let row = |agent: &AgentId| {
        let peer = &course.snapshot.agents[agent].registration;
        let tally: JobTally = course.jobs_of(*agent).map(Job::outcome).collect();
        let done = course.acts.iter().filter(|act| act.is_done() && act.event.agent == *agent).count() as u64;
        let last = match course.jobs_of(*agent).next_back() {
            None => "no job yet".to_owned(),
            Some(Job { measurement: Measurement { failure: Some(failure), .. }, .. }) => {
                format!("failed: {}", failure.kind)
            }
            Some(job) => if job.satisfied { "goal met" } else { "violated" }.to_owned(),
        };
        vec![
            Cell::Count(u64::from(agent.0)),
            Cell::Count(u64::from(peer.node.0)),
            placement.reference(*agent).map_or(Cell::Missing, |replica| Cell::Count(u64::from(replica.node.0))),
            shown(&peer.goal),
            shown(&peer.policy),
            Cell::Count(tally.jobs),
            Cell::Count(tally.violated),
            Cell::number(tally.violated_share()),
            Cell::Count(tally.failed),
            Cell::Count(done),
            Cell::text(last),
        ]
    };
    let rows = course.snapshot.agents.keys().map(row).collect();
    Table { name: "agents", caption: "Agents".to_owned(), columns, rows }
}

/// Every job.
pub fn jobs(course: &Course) -> Table {
    let mut columns = vec![
        Column::number("at", "At", Unit::Seconds),
        Column::count("agent", "Agent"),
        Column::count("node", "Node"),
        Column::text("goal", "Goal"),
    ];
    columns.extend(METRICS.map(|(metric, title, unit)| metric_column(metric, title, unit)));
    columns.extend([
        Column::prose("result", "Result"),
        Column::text("failed", "Failed"),
        Column::prose("why", "Why it failed"),
    ]);
    let row = |job: &Job| {
        let measurement = &job.measurement;
        let text = |text: Option<&str>| text.map_or(Cell::Missing, shown);
        let mut cells = vec![
            Cell::Number(course.second(measurement.at)),
            Cell::Count(u64::from(measurement.agent.0)),
            Cell::Count(u64::from(measurement.node.0)),
            Cell::text(match job.outcome() {
                JobOutcome::Met => "met",
                JobOutcome::Missed => "violated",
                JobOutcome::Failed => "unknown",
            }),
        ];
        cells.extend(METRICS.map(|(metric, _, _)| Cell::number(measurement.metrics.get(metric))));
        let failure = measurement.failure.as_ref();
        cells.extend([
            text(measurement.result.as_deref()),
            text(failure.map(|failure| failure.kind.name())),
            text(failure.map(|failure| &*failure.why)),
        ]);
        cells
    };
    Table { name: "jobs", caption: "Jobs".to_owned(), columns, rows: course.jobs.iter().map(row).collect() }
}

const METRICS: [(Metric, &str, Unit); 7] = [
    (Metric::ResponseTime, "Response time", Unit::Seconds),
    (Metric::ExecutionTime, "Execution time", Unit::Seconds),
    (Metric::Throughput, "Records in a second", Unit::Things),
    (Metric::NetworkLatency, "Latency", Unit::Milliseconds),
    (Metric::Availability, "Availability", Unit::Percent),
    (Metric::DataConsistency, "Consistency", Unit::Things),
    (Metric::Staleness, "Staleness", Unit::Seconds),
];

fn metric_column(metric: Metric, title: &str, unit: Unit) -> Column {
    Column::number(metric.name(), title, unit)
}

/// What each agent's jobs measured at each node, in the mean.
pub fn measured(course: &Course) -> Table {
    let mut columns = vec![
        Column::count("agent", "Agent"),
        Column::count("node", "Node"),
        Column::count("jobs", "Jobs"),
        Column::count("violated", "Violated"),
        Column::count("failed", "More failed"),
    ];
    columns.extend(METRICS.map(|(metric, title, unit)| metric_column(metric, title, unit)));
    let row = |((agent, node), jobs): (&(AgentId, NodeId), &Vec<&Job>)| {
        let tally: JobTally = jobs.iter().map(|job| job.outcome()).collect();
        let of = |metric: Metric| -> Vec<f64> {
            jobs.iter().filter_map(|job| job.measurement.metrics.get(metric)).collect()
        };
        let mut cells = vec![
            Cell::Count(u64::from(agent.0)),
            Cell::Count(u64::from(node.0)),
            Cell::Count(tally.jobs),
            Cell::Count(tally.violated),
            Cell::Count(tally.failed),
        ];
        cells.extend(METRICS.map(|(metric, _, _)| Cell::number(mean(&of(metric)))));
        cells
    };
    let rows = by_place(course).iter().map(row).collect();
    Table { name: "measurements", caption: "What jobs measured at each node, mean".to_owned(), columns, rows }
}

/// The jobs of each agent at each node.
pub(super) fn by_place(course: &Course) -> BTreeMap<(AgentId, NodeId), Vec<&Job>> {
    let mut places: BTreeMap<(AgentId, NodeId), Vec<&Job>> = BTreeMap::new();
    for job in &course.jobs {
        places.entry((job.measurement.agent, job.measurement.node)).or_default().push(job);
    }
    places
}

/// Every event, with its explanation and its outcome.
pub fn events(course: &Course) -> Table {
    let columns = vec![
        Column::count("event", "Event"),
        Column::number("at", "At", Unit::Seconds),
        Column::count("agent", "Agent"),
        Column::text("action", "Action"),
        Column::prose("outcome", "Outcome"),
        Column::number("lasted", "Took", Unit::Seconds),
        Column::prose("to_mend", "To mend"),
        Column::prose("because", "Why this one"),
        Column::number("feedback", "Feedback", Unit::Things),
        Column::prose("left_by", "Left by"),
    ];
    let row = |act: &Act| {
        let Event { id, agent, action, posted_at, ended_at, feedback_sum, window, .. } = &act.event;
        let explanation = act.explanation.as_ref();
        let text = |of: fn(&super::Explanation) -> String| explanation.map_or(Cell::Missing, |one| shown(&of(one)));
        let left: Vec<String> = act.feedback.iter().map(|one| format!("agent {} {:.2}", one.agent, one.p)).collect();
        let open = if *window == Window::Open { " (window open)" } else { "" };
        let failure = explanation.and_then(|explanation| explanation.failure.clone());
        let failure = failure.map_or(String::new(), |failure| format!(": {failure}"));
        vec![
            Cell::Number(id.0 as f64),
            Cell::Number(course.second(*posted_at)),
            Cell::Count(u64::from(agent.0)),
            Cell::text(action.to_string()),
            shown(&format!("{}{failure}", act.event.outcome.name())),
            Cell::number(ended_at.map(|ended| ended.since(*posted_at).as_secs_f64())),
            text(|explanation| explanation.violated.join(", ")),
            text(|explanation| explanation.because.clone()),
            Cell::Number(*feedback_sum),
            shown(&format!("{}{open}", left.join(", "))),
        ]
    };
    Table { name: "events", caption: "Events".to_owned(), columns, rows: course.acts.iter().map(row).collect() }
}

/// What was weighed at each event.
pub fn candidates(course: &Course) -> Table {
    let columns = vec![
        Column::count("event", "Event"),
        Column::text("candidate", "Candidate"),
        Column::text("chosen", "Chosen"),
        Column::number("score", "Score", Unit::Things),
        Column::prose("why", "How it came about"),
    ];
    let explained = course.acts.iter().filter_map(|act| Some((&act.event, act.explanation.as_ref()?)));
    let rows = explained.flat_map(|(event, explanation)| {
        explanation.candidates.iter().map(|candidate| {
            vec![
                Cell::Number(event.id.0 as f64),
                Cell::text(candidate.action.to_string()),
                Cell::text(if candidate.action == event.action { "chosen" } else { "" }),
                Cell::number(candidate.score),
                shown(&candidate.why),
            ]
        })
    });
    Table { name: "candidates", caption: "What was weighed".to_owned(), columns, rows: rows.collect() }
}

pub fn counters(course: &Course) -> Table {
    let columns = vec![
        Column::text("action", "Action"),
        Column::count("counter", "Counter"),
        Column::number("changed_at", "Last moved at", Unit::Seconds),
    ];
    let row = |(action, counter): (&Action, &agent_core::domain::snapshot::Counter)| {
        vec![
            Cell::text(action.to_string()),
            Cell::Count(u64::from(counter.value)),
            Cell::Number(course.second(counter.changed_at)),
        ]
    };
    let rows = course.snapshot.counters.iter().map(row).collect();
    let caption = "Counters: by how many windows an action has hurt others more than it has not".to_owned();
    Table { name: "counters", caption, columns, rows }
}

pub fn nodes(course: &Course) -> Table {
    let columns = vec![
        Column::count("node", "Node"),
        Column::prose("name", "Name"),
        Column::text("state", "State"),
        Column::number("availability", "Availability", Unit::Percent),
        Column::number("stored", "Stored", Unit::Bytes),
        Column::text("replica", "Replica"),
        Column::prose("remark", "Remark"),
        Column::prose("readers", "Read by"),
        Column::prose("latency", "Latency to others"),
    ];
    let Course { snapshot, .. } = course;
    let row = |node: &Node| {
        let replica = snapshot.placement.on(node.id);
        let readers: Vec<String> = replica.map_or_else(Vec::new, |replica| {
            snapshot.placement.readers(replica.id).map(|agent| format!("agent {agent}")).collect()
        });
        // One that is made anew lies beside the one that is damaged.
        let unsound = snapshot.placement.unsound_on(node.id);
        let rows = || replica.into_iter().chain(unsound.filter(|row| Some(row.id) != replica.map(|one| one.id)));
        let states: Vec<&str> = rows().map(|row: &Replica| row.state.name()).collect();
        let remarks: Vec<&str> = rows().filter_map(|row| row.remark.as_deref()).collect();
        let links = snapshot.links.iter().filter(|link| link.from == node.id);
        let latency: Vec<String> =
            links.map(|link| format!("{}: {}", link.to, Unit::Milliseconds.show(link.latency_ms))).collect();
        vec![
            Cell::Count(u64::from(node.id.0)),
            shown(&node.name),
            Cell::text(node.state.name()),
            Cell::Number(node.availability.value()),
            Cell::Number(snapshot.stored_bytes.get(&node.id).copied().unwrap_or(0) as f64),
            Cell::text(states.join(", ")),
            shown(&remarks.join("; ")),
            Cell::text(readers.join(", ")),
            Cell::text(latency.join(", ")),
        ]
    };
    let rows = snapshot.nodes.values().map(row).collect();
    Table { name: "nodes", caption: "Nodes now".to_owned(), columns, rows }
}

fn placements(course: &Course) -> Table {
    super::replay(course).history.table("Placement".to_owned())
}

/// What others wrote, with nothing hidden in it.
fn shown(text: &str) -> Cell {
    Cell::text(legible(text, LINE_MAX))
}

/// Nodes that hold a replica now, in words.
pub(super) fn present(course: &Course) -> String {
    timeline::nodes(course.snapshot.placement.nodes().into_iter().map(|node| node.0))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{failed, usual};
    use super::*;
    use agent_core::domain::books::Cause;
    use agent_core::domain::time::Timestamp;

    #[test]
    fn every_table_has_as_many_cells_as_columns() {
        let network =
            Network { address: "network.db".to_owned(), data_sets: vec![usual()], batch: batch::Batch::default() };
        let tables = [all(&network), vec![nodes(&usual())]].concat();
        for table in tables {
            assert!(!table.rows.is_empty(), "{}", table.name);
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{table:#?}");
        }
    }

    #[test]
    fn charges_are_added_up_over_all_days_where_there_are_any() {
        let charge = |day: i64, kind, agent, from, parts| Charge {
            cause: Cause {
                since: Timestamp(day * 86_400_000),
                agent: AgentId(agent),
                data_set: "blood".into(),
                kind,
                from: NodeId(from),
                to: NodeId(1),
            },
            bytes: 10,
            amount: Amount(parts),
        };
        let network = |charges| Network {
            address: "network.db".to_owned(),
            data_sets: vec![Course { charges, ..usual() }],
            batch: batch::Batch::default(),
        };
        assert!(all(&network(Vec::new())).iter().all(|table| table.name != "charges"));
        let read = |day| charge(day, ChargeKind::Read, 2, 3, 250_000_000);
        let held = charge(1, ChargeKind::Held, 0, 1, 7);
        let tables = all(&network(vec![read(0), read(1), held]));
        let csv = tables.last().unwrap().csv();
        assert_eq!(
            csv.lines().skip(1).collect::<Vec<_>>(),
            ["blood,read,2,3,1,20,0.50", "blood,held,nobody,1,1,10,0.000000007"]
        );
    }

    #[test]
    fn events_say_why_and_what_came_of_it() {
        let csv = events(&usual()).csv();
        let row = "1,20,1,M3_1,done,2,response_time <= 35 s,scores highest,0.5,agent 9 0.50";
        assert_eq!(csv.lines().nth(1).unwrap(), row);
    }

    #[test]
    fn jobs_are_counted_by_agent_and_by_node() {
        let csv = agents(&usual()).csv();
        assert_eq!(
            csv.lines().nth(2).unwrap(),
            "2,2,2,response_time <= 35 s,fixed,3,2,0.6666666666666666,0,1,goal met"
        );
        let csv = measured(&usual()).csv();
        let places: Vec<&str> = csv.lines().skip(1).map(|line| &line[..9]).collect();
        assert_eq!(places, ["1,1,2,0,0", "1,3,1,1,0", "2,1,1,1,0", "2,2,1,0,0", "2,3,1,1,0"]);
    }

    #[test]
    fn failed_jobs_stand_beside_those_that_were_measured() {
        let mut course = usual();
        course.jobs.extend([failed(2, 2, 90), failed(2, 2, 95)]);
        let line = |table: Table, number: usize| table.csv().lines().nth(number).unwrap().to_owned();
        let agent = "2,2,2,response_time <= 35 s,fixed,3,2,0.6666666666666666,2,1,failed: program";
        assert_eq!(line(agents(&course), 2), agent);
        assert!(line(figures(&course), 1).starts_with("6,0.5,2,"), "{}", line(figures(&course), 1));
        assert_eq!(line(jobs(&course), 8), "95,2,2,unknown,,,,,,,,,program,no module <pandas>");
        assert!(line(measured(&course), 4).starts_with("2,2,1,0,2,10,"), "{}", line(measured(&course), 4));
    }
}
