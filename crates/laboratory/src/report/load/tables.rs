//! The tables of a page about requests.

use super::{Counted, Drawn, Figures, Happened, LoadRun, Loads, Part, Times, outcomes};
use crate::report::number::Unit;
use crate::report::table::{Cell, Column, Table};
use crate::results::{HostInfo, TelemetryRow};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Every run. `drawn` knows the figures also of those that did not say them.
pub fn runs(loads: &Loads, drawn: &[Drawn]) -> Table {
    let counted: BTreeMap<i64, &Figures> =
        drawn.iter().filter_map(|drawn| Some((drawn.run.id, drawn.figures.as_ref()?))).collect();
    let row = |run: &LoadRun| {
        let told = Figures::told(run).and_then(Result::ok);
        let figures = counted.get(&run.id).copied().or(told.as_ref());
        let number = |of: fn(&Figures) -> f64| Cell::number(figures.map(of));
        let count =
            |of: fn(&Counted) -> u64| figures.map_or(Cell::Missing, |figures| Cell::Count(of(&figures.counted)));
        let time =
            |of: fn(&Times) -> f64| Cell::number(figures.and_then(|figures| figures.response_ms.as_ref().map(of)));
        vec![
            Cell::Number(run.id as f64),
            run.experiment.map_or(Cell::Missing, |id| Cell::Number(id as f64)),
            Cell::text(&run.name),
            Cell::Count(run.seed),
            Cell::text(&run.state),
            began(run).map_or(Cell::Missing, Cell::Text),
            number(|figures| figures.lasted_s),
            count(|counted| counted.intended),
            count(|counted| counted.sent),
            count(Counted::answered),
            count(Counted::failed),
            figures.and_then(|figures| figures.counted.late).map_or(Cell::Missing, Cell::Count),
            count(|counted| counted.dropped),
            Cell::Count(run.traces_missed),
            number(|figures| figures.rate_intended),
            number(|figures| figures.rate_achieved),
            time(|times| times.p50),
            time(|times| times.p95),
            time(|times| times.p99),
            time(|times| times.max),
        ]
    };
    let time = |key: &str, title: &str| Column::number(key, title, Unit::Milliseconds);
    Table {
        name: "load_runs",
        caption: "Runs".to_owned(),
        columns: vec![
            Column::count("run", "Run"),
            Column::count("experiment", "Experiment"),
            Column::text("name", "Name"),
            Column::count("seed", "Seed"),
            Column::text("state", "State"),
            Column::text("began", "Began"),
            Column::number("lasted", "Lasted", Unit::Seconds),
            Column::count("intended", "Meant to start"),
            Column::count("sent", "Sent"),
            Column::count("answered", "Answered below 400"),
            Column::count("errors", "Not so"),
            Column::count("late", "Late"),
            Column::count("dropped", "Dropped"),
            Column::count("traces_missed", "Without a trace"),
            Column::number("intended_per_s", "Meant in a second", Unit::Things),
            Column::number("answered_per_s", "Answered in a second", Unit::Things),
            time("response_p50", "Response time, 50 %"),
            time("response_p95", "95 %"),
            time("response_p99", "99 %"),
            time("response_max", "Longest"),
        ],
        rows: loads.runs.iter().map(row).collect(),
    }
}

/// When a run began, to the second; `None` of a moment that no calendar has.
pub(super) fn began(run: &LoadRun) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(run.began_us.div_euclid(1_000_000)).ok()?.format(&Rfc3339).ok()
}

type Percentile = (&'static str, &'static str, fn(&Times) -> f64);
const PERCENTILES: [Percentile; 9] = [
    ("mean", "Mean", |times| times.mean),
    ("p50", "50 %", |times| times.p50),
    ("p75", "75 %", |times| times.p75),
    ("p90", "90 %", |times| times.p90),
    ("p95", "95 %", |times| times.p95),
    ("p99", "99 %", |times| times.p99),
    ("p99_9", "99.9 %", |times| times.p99_9),
    ("p99_99", "99.99 %", |times| times.p99_99),
    ("max", "Longest", |times| times.max),
];

/// What requests took of these runs, of all of a run, and of each service and host.
pub fn percentiles(drawn: &[Drawn]) -> Table {
    let mut columns = vec![
        Column::count("run", "Run"),
        Column::text("service", "Service"),
        Column::text("host", "Host"),
        Column::text("time", "Time"),
        Column::count("requests", "Requests"),
    ];
    columns.extend(PERCENTILES.map(|(key, title, _)| Column::number(key, title, Unit::Milliseconds)));
    let mut rows = Vec::new();
    for drawn in drawn {
        let mut add = |(service, host): (&str, &str), of: [Option<Times>; 2]| {
            for (name, times) in ["response", "service"].into_iter().zip(of) {
                let Some(times) = times else { continue };
                let names = [service, host, name].map(Cell::text);
                let mut cells = vec![Cell::Number(drawn.run.id as f64)];
                cells.extend(names);
                cells.push(Cell::Count(times.count));
                cells.extend(PERCENTILES.map(|(_, _, of)| Cell::Number(of(&times))));
                rows.push(cells);
            }
        };
        let Some(figures) = &drawn.figures else { continue };
        add((ALL, ALL), [figures.response_ms, figures.service_ms]);
        for service in &figures.services {
            add((&service.service, ALL), [service.response_ms, service.service_ms]);
            for host in &service.hosts {
                add((&service.service, &host.host), [host.response_ms, host.service_ms]);
            }
        }
    }
    let caption = "So many percent took no longer: response time from when a request was meant to start, service time from when it was sent";
    Table { name: "load_percentiles", caption: caption.to_owned(), columns, rows }
}

/// In the place of a name; no service and no host is called so.
const ALL: &str = "all";

/// How these runs went on, a row for each part.
pub fn course(drawn: &[Drawn]) -> Table {
    let mut columns = vec![
        Column::count("run", "Run"),
        Column::number("begins", "From", Unit::Seconds),
        Column::number("lasts", "For", Unit::Seconds),
        Column::count("intended", "Meant to start"),
        Column::count("answered", "Answered below 400"),
        Column::number("response_p50", "Response time, 50 %", Unit::Milliseconds),
        Column::number("response_p95", "95 %", Unit::Milliseconds),
        Column::number("response_p99", "99 %", Unit::Milliseconds),
        Column::count("errors", "Errors"),
    ];
    columns.extend(outcomes::ERRORS.map(|kind| Column::count(kind, &outcomes::in_words(kind))));
    let row = |drawn: &Drawn, index: usize, part: &Part| {
        let time = |of: fn(&Times) -> f64| Cell::number(part.response_ms.as_ref().map(of));
        let mut cells = vec![
            Cell::Number(drawn.run.id as f64),
            Cell::Number(drawn.course.begins_s(index)),
            Cell::Number(drawn.course.part_s),
            Cell::Count(part.intended),
            Cell::Count(part.answered),
            time(|times| times.p50),
            time(|times| times.p95),
            time(|times| times.p99),
            Cell::Count(part.errors.values().sum()),
        ];
        cells.extend(outcomes::ERRORS.map(|kind| Cell::Count(part.errors.get(kind).copied().unwrap_or(0))));
        cells
    };
    let of_run = |drawn: &Drawn| -> Vec<_> {
        let parts = drawn.course.parts.iter().enumerate();
        parts.map(|(index, part)| row(drawn, index, part)).collect()
    };
    let caption =
        "What happened in each part: requests where they were meant to start, answers and errors where they came";
    Table { name: "load_course", caption: caption.to_owned(), columns, rows: drawn.iter().flat_map(of_run).collect() }
}

/// The machines that sent requests of these runs.
pub fn hosts(drawn: &[Drawn]) -> Table {
    let text = |text: &Option<String>| text.as_deref().map_or(Cell::Missing, Cell::text);
    let row = |run: i64, host: &HostInfo| {
        let labels: Vec<String> = host.labels.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        vec![
            Cell::Number(run as f64),
            Cell::text(&host.host),
            text(&host.machine),
            Cell::text(labels.join(", ")),
            host.cores.map_or(Cell::Missing, Cell::Count),
            Cell::number(host.memory_bytes.map(|bytes| bytes as f64)),
            text(&host.system),
            Cell::text(&host.agent),
        ]
    };
    Table {
        name: "load_machines",
        caption: "Machines that sent requests".to_owned(),
        columns: vec![
            Column::count("run", "Run"),
            Column::text("host", "Load host"),
            Column::text("machine", "Machine"),
            Column::text("labels", "Labels"),
            Column::count("cores", "Cores"),
            Column::number("memory", "Memory", Unit::Bytes),
            Column::text("system", "System"),
            Column::text("agent", "Program"),
        ],
        rows: drawn.iter().flat_map(|drawn| drawn.beside.hosts.iter().map(|host| row(drawn.run.id, host))).collect(),
    }
}

/// What these machines did meanwhile.
pub fn telemetry(drawn: &[Drawn]) -> Table {
    let row = |drawn: &Drawn, row: &TelemetryRow| {
        vec![
            Cell::Number(drawn.run.id as f64),
            Cell::text(&row.host),
            Cell::Number(drawn.second(row.at_us)),
            Cell::number(row.cpu_percent),
            Cell::number(row.memory_used_bytes.map(|bytes| bytes as f64)),
            Cell::number(row.received_bytes_per_s),
            Cell::number(row.sent_bytes_per_s),
            Cell::number(row.load),
        ]
    };
    let rows = drawn.iter().flat_map(|drawn| drawn.beside.telemetry.iter().map(|telemetry| row(drawn, telemetry)));
    Table {
        name: "load_telemetry",
        caption: "What the machines that sent requests did".to_owned(),
        columns: vec![
            Column::count("run", "Run"),
            Column::text("host", "Load host"),
            Column::number("at", "At", Unit::Seconds),
            Column::number("cpu", "Processors", Unit::Percent),
            Column::number("memory_used", "Memory used", Unit::Bytes),
            Column::number("received_per_s", "Received in a second", Unit::Bytes),
            Column::number("sent_per_s", "Sent in a second", Unit::Bytes),
            Column::number("load", "Load", Unit::Things),
        ],
        rows: rows.collect(),
    }
}

/// What happened during these runs.
pub fn happened(drawn: &[Drawn]) -> Table {
    let row = |drawn: &Drawn, Happened { at_us, who, what }: Happened| {
        vec![Cell::Number(drawn.run.id as f64), Cell::Number(drawn.second(at_us)), Cell::Text(who), Cell::Text(what)]
    };
    let of_run = |drawn: &Drawn| -> Vec<_> {
        drawn.beside.happened().into_iter().map(|happened| row(drawn, happened)).collect()
    };
    Table {
        name: "load_happened",
        caption: "What happened meanwhile".to_owned(),
        columns: vec![
            Column::count("run", "Run"),
            Column::number("at", "At", Unit::Seconds),
            Column::text("who", "Who"),
            Column::prose("what", "What"),
        ],
        rows: drawn.iter().flat_map(of_run).collect(),
    }
}

/// Requests of a run that were not answered below 400, by service and how they ended; `None`: there are none.
pub(super) fn errors(figures: &Figures) -> Option<Table> {
    let kinds = outcomes::in_order(figures.counted.errors.keys().map(String::as_str));
    if kinds.is_empty() {
        return None;
    }
    let row = |name: &str, counted: &Counted| {
        let count = |kind: &&str| Cell::Count(counted.errors.get(*kind).copied().unwrap_or(0));
        let mut cells = vec![Cell::text(name), Cell::Count(counted.intended), Cell::Count(counted.failed())];
        cells.extend(kinds.iter().map(count));
        cells
    };
    let mut columns = vec![
        Column::text("service", "Service"),
        Column::count("intended", "Meant to start"),
        Column::count("errors", "Errors"),
    ];
    columns.extend(kinds.iter().map(|kind| Column::count(kind, &outcomes::in_words(kind))));
    let mut rows: Vec<Vec<Cell>> =
        figures.services.iter().map(|service| row(&service.service, &service.counted)).collect();
    rows.push(row(ALL, &figures.counted));
    Some(Table { name: "load_errors", caption: "Not answered below 400, by how they ended".to_owned(), columns, rows })
}

#[cfg(test)]
mod tests {
    use super::super::beside::tests::beside;
    use super::super::figures::tests::told;
    use super::super::tests::{drawn, run, traces};
    use super::*;

    #[test]
    fn every_table_has_as_many_cells_as_columns() {
        let loads = Loads { runs: vec![run(1, Some(told())), run(2, None)], ..Loads::default() };
        let all: Vec<Drawn> = loads.drawn().map(|run| drawn(run, &traces(40))).collect();
        let tables = [
            runs(&loads, &all),
            percentiles(&all),
            course(&all),
            errors(all[0].figures.as_ref().unwrap()).unwrap(),
            hosts(&all),
            telemetry(&all),
            happened(&all),
        ];
        let sizes: Vec<(&str, usize)> = tables.iter().map(|table| (table.name, table.rows.len())).collect();
        assert_eq!(
            sizes,
            [
                ("load_runs", 2),
                ("load_percentiles", 12),
                ("load_course", 4),
                ("load_errors", 2),
                ("load_machines", 0),
                ("load_telemetry", 0),
                ("load_happened", 0)
            ]
        );
        for table in tables {
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{table:#?}");
        }
    }

    #[test]
    fn programs_read_what_a_run_came_to() {
        let loads = Loads { runs: vec![run(1, Some(told())), run(2, None), run(3, None)], ..Loads::default() };
        let of_second = [drawn(&loads.runs[1], &traces(40))];
        let csv = runs(&loads, &of_second).csv();
        let lines: Vec<&str> = csv.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "1,,evening,7,finished,2023-11-14T22:13:20Z,2.5,4,3,2,2,1,1,0,2,0.8,10,100,100,100.5",
                "2,,evening,7,running,2023-11-14T22:13:20Z,0.4,40,40,36,4,,0,0,102.56410256410255,90,10,10,10,10",
                "3,,evening,7,running,2023-11-14T22:13:20Z,,,,,,,,0,,,,,,",
            ]
        );
        let csv = percentiles(&of_second).csv();
        let expected = "run,service,host,time,requests,mean_ms,p50_ms,p75_ms,p90_ms,p95_ms,p99_ms,p99_9_ms,p99_99_ms,max_ms\n\
                        2,all,all,response,36,10,10,10,10,10,10,10,10,10\n2,all,all,service,36,9,9,9,9,9,9,9,9,9\n";
        assert!(csv.starts_with(expected), "{csv}");
        let csv = course(&of_second).csv();
        let row = csv.lines().nth(1).unwrap();
        assert!(row.starts_with("2,0,0.2,20,18,10,10,10,1,0,0,1,0,0,0,0,0,0"), "{csv}");
    }

    #[test]
    fn programs_read_what_else_went_on() {
        let run = LoadRun { experiment: Some(7), ..run(1, None) };
        let of_run = [Drawn { beside: beside(run.began_us), ..drawn(&run, &[]) }];
        assert_eq!(
            happened(&of_run).csv(),
            "run,at_s,who,what\n1,1,route,shop: 127.0.0.1:2\n1,2,agent 2,\"M1_2 of blood, done\"\n"
        );
        let csv = telemetry(&of_run).csv();
        let expected = "run,host,at_s,cpu_percent,memory_used_bytes,received_per_s_bytes,sent_per_s_bytes,load\n\
                        1,pico1,0,,2000000,,,\n1,pico1,1,40,2000000,,,\n";
        assert!(csv.starts_with(expected), "{csv}");
        let csv = hosts(&of_run).csv();
        assert_eq!(csv, "run,host,machine,labels,cores,memory_bytes,system,agent\n1,pico1,,,2,,,\n");
    }

    #[test]
    fn a_run_without_errors_has_no_table_of_them() {
        let run = run(1, None);
        let drawn = drawn(&run, &traces(5));
        assert_eq!(errors(drawn.figures.as_ref().unwrap()), None);
    }
}
