//! The tables of a page about networks.

use super::{Case, NetworkRound, Networks, Point, bytes, mean, messages, success, yardstick};
use crate::report::number::Unit;
use crate::report::statistics::Bootstrap;
use crate::report::table::{Cell, Column, Table};
use crate::results::NetworkRun;

/// Of the key, what an undisturbed network at the shortest interval is of.
const UNDISTURBED_KEYS: usize = 4;

/// Columns that say what a run is of.
fn key_columns() -> Vec<Column> {
    vec![
        Column::text("network", "Network"),
        Column::number("loss", "Lost", Unit::Share),
        Column::count("nodes", "Nodes"),
        Column::count("fan_out", "Fan-out"),
        Column::number("interval", "Interval", Unit::Seconds),
        Column::number("failures", "Stopped", Unit::Share),
    ]
}

fn key_cells(case_or_run: (bool, f64), point: &Point) -> Vec<Cell> {
    let (real, loss) = case_or_run;
    vec![
        Cell::text(if real { "real" } else { "virtual" }),
        Cell::Number(loss),
        Cell::Count(u64::from(point.nodes)),
        Cell::Count(u64::from(point.fan_out)),
        Cell::Number(point.interval_s),
        Cell::Number(point.failures),
    ]
}

/// A quantity of a run.
type Quantity = (&'static str, &'static str, Unit, fn(&NetworkRun) -> Option<f64>);

const QUANTITIES: [Quantity; 11] = [
    ("rounds", "Rounds until all know all", Unit::Things, |run| run.converged_round),
    ("converged", "Time until all know all", Unit::Seconds, |run| run.converged_s),
    ("messages", "Messages of a node in a round", Unit::Things, messages),
    ("sent", "Bytes of a node in a round", Unit::Bytes, bytes),
    ("exchange", "Of an exchange", Unit::Bytes, |run| run.exchange_bytes),
    ("quiet_exchange", "Of an exchange once all is known", Unit::Bytes, |run| run.quiet_exchange_bytes),
    ("state", "All records", Unit::Bytes, |run| Some(run.state_bytes)),
    ("age_p95", "95 % younger", Unit::Seconds, |run| run.age_p95_s),
    ("answered", "Questions answered", Unit::Share, success),
    ("query", "Time of a question", Unit::Milliseconds, |run| run.query_ms),
    ("query_messages", "Messages of a question", Unit::Things, |run| run.query_messages),
];

/// Every point with the means of its runs.
pub fn points(cases: &[Case], caption: String, bootstrap: &mut Bootstrap) -> Table {
    let mut columns = key_columns();
    columns.push(Column::count("runs", "Runs"));
    columns.push(Column::count("converged_runs", "in which all knew all"));
    columns.push(Column::count("false_deaths", "Falsely dead"));
    columns.push(Column::count("wrong", "Wrong answers"));
    columns.extend(QUANTITIES.map(|(key, title, unit, _)| Column::estimate(key, title, unit)));
    let mut rows = Vec::new();
    for case in cases {
        for (point, runs) in case.points() {
            let sum = |of: fn(&NetworkRun) -> u64| Cell::Count(runs.iter().map(|run| of(run)).sum());
            let mut cells = key_cells((case.real, case.loss), &point);
            cells.push(Cell::Count(runs.len() as u64));
            cells.push(sum(|run| u64::from(run.converged_round.is_some())));
            cells.push(sum(|run| run.false_deaths));
            cells.push(sum(|run| u64::from(run.wrong)));
            cells.extend(QUANTITIES.map(|(_, _, _, of)| Cell::estimate(mean(bootstrap, &runs, of))));
            rows.push(cells);
        }
    }
    Table { name: "points", caption, columns, rows }
}

/// Undisturbed networks beside what was published of such.
pub fn summary(cases: &[Case], bootstrap: &mut Bootstrap) -> Table {
    let mut columns = key_columns();
    columns.truncate(UNDISTURBED_KEYS);
    columns.extend([
        Column::estimate("rounds", "Rounds until all know all", Unit::Things),
        Column::number("published_rounds", "Published", Unit::Things),
        Column::number("ideal_rounds", "Ideal", Unit::Things),
        Column::estimate("quiet_exchange", "An exchange once all is known", Unit::Bytes),
        Column::estimate("of_state", "Of all records", Unit::Share),
        Column::number("published_exchange", "Published", Unit::Bytes),
    ]);
    let mut rows = Vec::new();
    for case in cases {
        let runs = case.shortest(case.undisturbed());
        for runs in runs.chunk_by(|one, next| (one.nodes, one.fan_out) == (next.nodes, next.fan_out)) {
            let Some(first) = runs.first() else { continue };
            let (nodes, fan_out) = (first.nodes, first.fan_out);
            let of_state = |run: &NetworkRun| Some(run.quiet_exchange_bytes? / run.state_bytes);
            let published = yardstick::published(nodes, fan_out);
            let mut cells = key_cells((case.real, case.loss), &Point::of(first));
            cells.truncate(UNDISTURBED_KEYS);
            cells.push(Cell::estimate(mean(bootstrap, runs, |run| run.converged_round)));
            cells.push(Cell::number(published));
            cells.push(Cell::number(yardstick::ideal(nodes, fan_out)));
            cells.push(Cell::estimate(mean(bootstrap, runs, |run| run.quiet_exchange_bytes)));
            cells.push(Cell::estimate(mean(bootstrap, runs, of_state)));
            cells.push(Cell::number(published.map(|_| yardstick::EXCHANGE_BYTES)));
            rows.push(cells);
        }
    }
    Table { name: "summary", caption: "Beside what was published".to_owned(), columns, rows }
}

/// Every run.
pub fn networks(networks: &Networks) -> Table {
    let mut columns = vec![Column::count("id", "Run")];
    columns.extend(key_columns());
    columns.push(Column::count("seed", "Seed"));
    columns.extend(QUANTITIES.map(|(key, title, unit, _)| Column::number(key, title, unit)));
    let row = |run: &NetworkRun| {
        let mut cells = vec![Cell::Number(run.id as f64)];
        cells.extend(key_cells((run.real, run.loss), &Point::of(run)));
        cells.push(Cell::Count(run.seed));
        cells.extend(QUANTITIES.map(|(_, _, _, of)| Cell::number(of(run))));
        cells
    };
    Table { name: "networks", caption: "Runs".to_owned(), columns, rows: networks.runs.iter().map(row).collect() }
}

/// The rounds of the runs that are drawn.
pub fn rounds(cases: &[Case], rounds: &[Vec<Vec<NetworkRound>>]) -> Table {
    let columns = vec![
        Column::count("run", "Run"),
        Column::count("round", "Round"),
        Column::number("at", "At", Unit::Seconds),
        Column::count("new_entries", "New entries"),
        Column::count("fresh_entries", "Fresh entries"),
        Column::count("messages", "Messages"),
        Column::count("bytes", "Bytes"),
        Column::count("known_entries", "Known entries"),
        Column::number("age_mean", "Age, mean", Unit::Seconds),
        Column::number("age_p95", "95 % younger", Unit::Seconds),
        Column::count("state_bytes", "All records"),
        Column::count("heard_bytes", "All that was heard"),
        Column::number("kept_bytes", "Kept of it", Unit::Things),
    ];
    let row = |run: &NetworkRun, round: &NetworkRound| {
        vec![
            Cell::Number(run.id as f64),
            Cell::Count(u64::from(round.round)),
            Cell::Number(round.at_s),
            Cell::Count(round.new_entries),
            Cell::Count(round.fresh_entries),
            Cell::Count(round.messages),
            Cell::Count(round.bytes),
            Cell::Count(round.known_entries),
            Cell::number(round.age_mean_s),
            Cell::number(round.age_p95_s),
            Cell::Count(round.state_bytes),
            Cell::Count(round.heard_bytes),
            Cell::number(round.kept_bytes.map(|bytes| bytes as f64)),
        ]
    };
    let mut rows = Vec::new();
    for (case, of_case) in cases.iter().zip(rounds) {
        for (run, of_run) in case.drawn().into_iter().zip(of_case) {
            rows.extend(of_run.iter().map(|round| row(run, round)));
        }
    }
    Table { name: "rounds", caption: "Rounds of the runs that are drawn".to_owned(), columns, rows }
}

#[cfg(test)]
mod tests {
    use super::super::cases;
    use super::super::tests::networks as some;
    use super::*;

    #[test]
    fn every_table_has_as_many_cells_as_columns() {
        let all = some(&[50, 300], &[2, 3], &[0.0, 0.9], &[0.0, 0.2]);
        let cases = cases(&all);
        let of_rounds: Vec<Vec<Vec<NetworkRound>>> =
            cases.iter().map(|case| vec![vec![NetworkRound::default()]; case.drawn().len()]).collect();
        let mut bootstrap = Bootstrap::default();
        let tables = [
            points(&cases, "Points".to_owned(), &mut bootstrap),
            summary(&cases, &mut bootstrap),
            networks(&all),
            rounds(&cases, &of_rounds),
        ];
        let sizes: Vec<(&str, usize)> = tables.iter().map(|table| (table.name, table.rows.len())).collect();
        assert_eq!(sizes, [("points", 16), ("summary", 8), ("networks", 48), ("rounds", 12)]);
        for table in tables {
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{table:#?}");
        }
    }

    #[test]
    fn what_was_published_stands_beside_networks_of_that_size() {
        let all = some(&[300], &[3], &[0.0], &[0.0]);
        let csv = summary(&cases(&all), &mut Bootstrap::default()).csv();
        let row = csv.lines().nth(1).unwrap();
        assert!(row.starts_with("virtual,0,300,3,2.94") && row.contains(",21,5,100,100,100,0.0016"), "{row}");
        assert!(row.ends_with(",122000"), "{row}");
    }
}
