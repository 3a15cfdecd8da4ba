//! The tables of an experiment.

use super::comparison::{Case, Comparison, Contender};
use super::measures::MEASURES;
use super::{Experiment, Run, Shown};
use crate::report::curve::Curve;
use crate::report::number::Unit;
use crate::report::placement::History;
use crate::report::table::{Cell, Column, Table};
use std::collections::BTreeSet;

/// Violated jobs over time of a policy in a case.
pub type Curves = Vec<Vec<Curve>>;

/// Who won where. What regret is counted against is a column.
pub fn verdicts(comparison: &Comparison) -> Table {
    let columns = [
        Column::text("winner", "Won by"),
        Column::estimate("violated", "Violated jobs", Unit::Things),
        Column::text("next", "Next"),
        Column::estimate("next_violated", "Violated jobs of the next", Unit::Things),
        Column::estimate("difference", "Difference, seed by seed", Unit::Things),
        Column::text("intervals", "Intervals"),
        Column::prose("level", "Level with"),
        Column::estimate("regret", "Regret", Unit::Things),
        Column::text("regret_against", "against"),
    ];
    let row = |case: &Case| {
        let winner = case.winner();
        let next = case.verdict.as_ref().and_then(|verdict| case.contenders.get(verdict.next?));
        let name = |contender: Option<&Contender>| contender.map_or(Cell::Missing, |one| Cell::text(one.policy));
        let (intervals, level) = case.verdict.as_ref().map_or(("", String::new()), |verdict| {
            let level: Vec<&str> = verdict.level.iter().map(|index| case.contenders[*index].policy).collect();
            let intervals = match verdict.next {
                None => "no rival",
                Some(_) if verdict.is_apart() => "apart",
                Some(_) => "overlap",
            };
            (intervals, level.join(", "))
        });
        vec![
            name(winner),
            Cell::estimate(winner.map(|winner| winner.violated)),
            name(next),
            Cell::estimate(next.map(|next| next.violated)),
            Cell::estimate(case.verdict.as_ref().and_then(|verdict| verdict.difference)),
            Cell::text(intervals),
            Cell::text(level),
            Cell::estimate(winner.and_then(|winner| winner.regret)),
            Cell::text(case.baseline.name()),
        ]
    };
    of_cases(comparison, "summary", "Who won", &columns, |case| vec![row(case)])
}

/// Every policy in every case.
pub fn policies(comparison: &Comparison) -> Table {
    let columns = [policy_columns(), vec![Column::text("regret_against", "Regret against")]].concat();
    let rows = |case: &Case| {
        let row = |contender| [policy_cells(contender), vec![Cell::text(case.baseline.name())]].concat();
        case.contenders.iter().map(row).collect()
    };
    of_cases(comparison, "policies", "Every policy in every scenario", &columns, rows)
}

/// Every policy in one case.
pub fn case(case: &Case, caption: String) -> Table {
    let rows = case.contenders.iter().map(policy_cells).collect();
    Table { name: "case", caption, columns: policy_columns(), rows }
}

fn policy_columns() -> Vec<Column> {
    let first = [
        Column::text("policy", "Policy"),
        Column::count("runs", "Runs"),
        Column::estimate("violated", "Violated jobs", Unit::Things),
        Column::estimate("regret", "Regret", Unit::Things),
    ];
    let others = MEASURES.iter().map(|measure| Column::estimate(measure.key, measure.title, measure.unit));
    first.into_iter().chain(others).collect()
}

fn policy_cells(contender: &Contender) -> Vec<Cell> {
    let first = [
        Cell::text(contender.policy),
        Cell::Count(contender.runs.len() as u64),
        Cell::Estimate(contender.violated),
        Cell::estimate(contender.regret),
    ];
    first.into_iter().chain(contender.measures.iter().copied().map(Cell::estimate)).collect()
}

/// Every run.
pub fn runs(experiment: &Experiment) -> Table {
    let factors = factor_names(experiment.runs.iter());
    let mut columns = vec![Column::count("run", "Run"), Column::text("scenario", "Scenario")];
    columns.extend(factors.iter().map(|factor| Column::text(factor, factor)));
    columns.extend([
        Column::text("policy", "Policy"),
        Column::number("seed", "Seed", Unit::Things),
        Column::number("hours", "Hours", Unit::Things),
        Column::count("agents", "Agents"),
        Column::count("jobs", "Jobs"),
        Column::count("violated", "Violated jobs"),
    ]);
    columns.extend(MEASURES.iter().map(|measure| Column::number(measure.key, measure.title, measure.unit)));
    let row = |run: &Run| {
        let mut cells = vec![Cell::Number(run.id as f64), Cell::text(&run.scenario)];
        cells.extend(factors.iter().map(|factor| Cell::text(run.factors.0.get(*factor).map_or("", String::as_str))));
        cells.extend([
            Cell::text(&run.policy),
            Cell::Number(run.seed as f64),
            Cell::Number(run.hours),
            Cell::Count(run.agents),
            Cell::Count(run.jobs),
            Cell::Count(run.violated),
        ]);
        cells.extend(MEASURES.iter().map(|measure| Cell::number((measure.of)(run))));
        cells
    };
    let rows = experiment.runs.iter().map(row).collect();
    Table { name: "runs", caption: "Every run".to_owned(), columns, rows }
}

/// Violated jobs over time.
pub fn curves(comparison: &Comparison, curves: &Curves) -> Table {
    let columns = [
        Column::text("policy", "Policy"),
        Column::number("at", "At", Unit::Seconds),
        Column::count("runs", "Runs"),
        Column::number("violated", "Violated jobs, mean", Unit::Things),
        Column::number("violated_p10", "10th percentile", Unit::Things),
        Column::number("violated_p90", "90th percentile", Unit::Things),
    ];
    let mut of_case = curves.iter();
    let rows = |case: &Case| {
        let curves = of_case.next().map(Vec::as_slice).unwrap_or_default();
        let points = case
            .contenders
            .iter()
            .zip(curves)
            .flat_map(|(contender, curve)| curve.points.iter().map(move |point| (contender.policy, point)));
        let row = |(policy, point): (&str, &crate::report::curve::Point)| {
            let numbers = [point.mean, point.low, point.high].map(Cell::Number);
            let first = [Cell::text(policy), Cell::Number(point.at_s), Cell::Count(point.runs as u64)];
            first.into_iter().chain(numbers).collect()
        };
        points.map(row).collect()
    };
    of_cases(comparison, "curves", "Violated jobs over time", &columns, rows)
}

/// The placements of the runs that are shown.
pub fn placements(shown: &[Shown]) -> Table {
    let mut all = History::default().table("Placements of the runs shown".to_owned());
    let key = [Column::count("run", "Run"), Column::text("scenario", "Scenario"), Column::text("policy", "Policy")];
    all.columns.splice(0..0, key);
    for Shown { run, history, .. } in shown {
        let key = [Cell::Number(run.id as f64), Cell::text(&run.scenario), Cell::text(&run.policy)];
        all.rows.extend(history.table(String::new()).rows.into_iter().map(|row| [key.to_vec(), row].concat()));
    }
    all
}

/// A table whose rows begin with the scenario and its variants.
fn of_cases(
    comparison: &Comparison,
    name: &'static str,
    caption: &str,
    columns: &[Column],
    mut rows: impl FnMut(&Case) -> Vec<Vec<Cell>>,
) -> Table {
    let runs = comparison.cases.iter().flat_map(|case| case.contenders.iter().flat_map(|one| one.runs.iter().copied()));
    let factors = factor_names(runs);
    let mut all = vec![Column::text("scenario", "Scenario")];
    all.extend(factors.iter().map(|factor| Column::text(factor, factor)));
    all.extend_from_slice(columns);
    let mut cells = Vec::new();
    for case in &comparison.cases {
        let mut key = vec![Cell::text(case.scenario)];
        key.extend(factors.iter().map(|factor| Cell::text(case.factors.get(*factor).map_or("", String::as_str))));
        cells.extend(rows(case).into_iter().map(|row| [key.clone(), row].concat()));
    }
    Table { name, caption: caption.to_owned(), columns: all, rows: cells }
}

fn factor_names<'a>(runs: impl Iterator<Item = &'a Run>) -> BTreeSet<&'a str> {
    runs.flat_map(|run| run.factors.0.keys().map(String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Factors;
    use super::super::comparison::tests::experiment;
    use super::*;
    use crate::report::placement::tests::history;

    #[test]
    fn every_table_has_as_many_cells_as_columns() {
        let mut all = experiment("published", &[("fixed", &[12, 8, 5]), ("oracle", &[2, 1])]);
        all.runs[0].factors.0 = Factors::from([("noise".to_owned(), "x3".to_owned())]);
        let comparison = Comparison::of(&all);
        let curve = Curve::of(&[vec![(0.0, 0.0), (120.0, 2.0)]]);
        let of_curves: Curves =
            comparison.cases.iter().map(|case| vec![curve.clone(); case.contenders.len()]).collect();
        let shown = [Shown { run: &all.runs[0], history: history(), is_wanted: true }];
        let tables = [
            verdicts(&comparison),
            policies(&comparison),
            case(&comparison.cases[0], "A case".to_owned()),
            runs(&all),
            curves(&comparison, &of_curves),
            placements(&shown),
        ];
        for table in tables {
            assert!(!table.rows.is_empty(), "{}", table.name);
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{table:#?}");
            let csv = table.csv();
            let columns = csv.lines().next().unwrap().split(',').count();
            assert!(csv.lines().all(|line| line.split(',').count() == columns || line.contains('"')), "{csv}");
        }
    }

    #[test]
    fn the_summary_says_who_won() {
        let all = experiment("published", &[("fixed", &[12, 8]), ("cooperative", &[1, 2]), ("oracle", &[0, 0])]);
        let csv = verdicts(&Comparison::of(&all)).csv();
        let row = csv.lines().nth(1).unwrap();
        assert!(row.starts_with("published,cooperative,1.5,1,2,fixed,10,8,12,8.5,6,11,apart,,1.5,1,2,oracle"), "{row}");
    }
}
