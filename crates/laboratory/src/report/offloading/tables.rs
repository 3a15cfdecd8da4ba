//! The tables of a page about offloading.

use super::finding::State;
use super::{Finding, Offloading, OffloadingRun, Point, latency, passed_over, served};
use crate::report::number::Unit;
use crate::report::statistics::{Bootstrap, Estimate};
use crate::report::table::{Cell, Column, Table};

/// What each threshold bears.
pub fn summary(findings: &[Finding]) -> Table {
    let columns = vec![
        Column::number("threshold", "Threshold", Unit::Share),
        Column::number("bears", "Serves all up to so many failures", Unit::Share),
        Column::estimate("latency", "Latency while the fewest fail", Unit::Milliseconds),
        Column::estimate("latency_there", "up to there", Unit::Milliseconds),
        Column::estimate("passed_over", "Passed over for each user while the fewest fail", Unit::Things),
        Column::estimate("passed_over_there", "up to there", Unit::Things),
        Column::number("beyond", "Next share of failures", Unit::Share),
        Column::estimate("served_beyond", "Served then", Unit::Share),
    ];
    let estimate = |state: Option<State>, of: fn(State) -> Option<Estimate>| Cell::estimate(state.and_then(of));
    let row = |finding: &Finding| {
        let Finding { cpu_threshold, undisturbed, bears, beyond } = *finding;
        vec![
            Cell::Number(cpu_threshold),
            Cell::number(bears.map(|state| state.failures)),
            Cell::estimate(undisturbed.latency_ms),
            estimate(bears, |state| state.latency_ms),
            Cell::estimate(undisturbed.passed_over),
            estimate(bears, |state| state.passed_over),
            Cell::number(beyond.map(|state| state.failures)),
            estimate(beyond, |state| state.served),
        ]
    };
    let caption = "What each threshold bears, and what that costs".to_owned();
    Table { name: "summary", caption, columns, rows: findings.iter().map(row).collect() }
}

/// What a run is of.
fn key_columns() -> [Column; 2] {
    [Column::number("threshold", "Threshold", Unit::Share), Column::number("failures", "Failed", Unit::Share)]
}

/// A quantity of a run.
type Quantity = (&'static str, &'static str, Unit, fn(&OffloadingRun) -> Option<f64>);

const QUANTITIES: [Quantity; 3] = [
    ("served", "Users served", Unit::Share, served),
    ("latency", "Latency", Unit::Milliseconds, latency),
    ("passed_over", "Passed over for each user", Unit::Things, passed_over),
];

/// Every point with the means of its runs.
pub fn points(points: &[Point], bootstrap: &mut Bootstrap) -> Table {
    let mut columns = key_columns().to_vec();
    columns.push(Column::count("runs", "Runs"));
    columns.extend(QUANTITIES.map(|(key, title, unit, _)| Column::estimate(key, title, unit)));
    let row = |point: &Point| {
        let mut cells = vec![Cell::Number(point.cpu_threshold), Cell::Number(point.failures)];
        cells.push(Cell::Count(point.runs.len() as u64));
        cells.extend(QUANTITIES.map(|(_, _, _, of)| Cell::estimate(point.mean(bootstrap, of))));
        cells
    };
    let rows = points.iter().map(row).collect();
    Table { name: "points", caption: "Means of runs, in brackets their 95 % intervals".to_owned(), columns, rows }
}

/// Every run.
pub fn runs(offloading: &Offloading) -> Table {
    let mut columns = vec![Column::count("id", "Run")];
    columns.extend(key_columns());
    columns.push(Column::count("seed", "Seed"));
    columns.extend(QUANTITIES.map(|(key, title, unit, _)| Column::number(key, title, unit)));
    columns.push(Column::count("violations", "Passed over"));
    let row = |run: &OffloadingRun| {
        let mut cells = vec![Cell::Number(run.id as f64), Cell::Number(run.cpu_threshold), Cell::Number(run.failures)];
        cells.push(Cell::Count(run.seed));
        cells.extend(QUANTITIES.map(|(_, _, _, of)| Cell::number(of(run))));
        cells.push(Cell::Count(run.violations));
        cells
    };
    Table { name: "runs", caption: "Runs".to_owned(), columns, rows: offloading.runs.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::runs as some;
    use super::super::{findings, points as grouped};
    use super::*;

    #[test]
    fn every_table_has_as_many_cells_as_columns() {
        let offloading = Offloading { runs: some(&[0.2, 1.0], &[0.0, 0.5, 1.0]), ..Offloading::default() };
        let (all, mut bootstrap) = (grouped(&offloading.runs), Bootstrap::default());
        let tables = [summary(&findings(&all, &mut bootstrap)), points(&all, &mut bootstrap), runs(&offloading)];
        let sizes: Vec<(&str, usize)> = tables.iter().map(|table| (table.name, table.rows.len())).collect();
        assert_eq!(sizes, [("summary", 2), ("points", 6), ("runs", 18)]);
        for table in tables {
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{table:#?}");
        }
    }

    #[test]
    fn programs_read_what_a_threshold_bears() {
        let runs = some(&[0.2, 1.0], &[0.0, 0.75]);
        let csv = summary(&findings(&grouped(&runs), &mut Bootstrap::default())).csv();
        let rows: Vec<&str> = csv.lines().collect();
        assert!(
            rows[0].starts_with("threshold,bears,latency_ms,latency_ms_low,latency_ms_high,latency_there_ms,"),
            "{csv}"
        );
        assert!(rows[1].starts_with("0.2,,") && rows[1].ends_with(",0,0.4,0.4,0.4"), "{csv}");
        assert!(rows[2].starts_with("1,0,") && rows[2].ends_with(",0.75,0.5,0.5,0.5"), "{csv}");
    }
}
