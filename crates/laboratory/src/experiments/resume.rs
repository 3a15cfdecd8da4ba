//! What is left to do of an experiment that was interrupted or changed.

use super::grid::{Cell, edition};
use crate::results::{Factors, Run};
use agent_core::config::experiment::Experiment;
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of the runs that are stored, and which are to be made.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan<'a, C = Cell> {
    /// Runs of the grid that stay.
    pub kept: usize,
    /// Runs of scenarios that are not any more what they were: they go, also those that the grid does not ask for now.
    pub outdated: Vec<i64>,
    /// Runs that the grid does not ask for, and that are as good as ever: they stay.
    pub others: usize,
    /// With the number that each is stored under.
    pub missing: Vec<(i64, &'a C)>,
}

/// `again`: nothing of the grid is kept.
pub fn plan<'a>(experiment: &Experiment, cells: &'a [Cell], stored: &[Run], again: bool) -> Plan<'a> {
    let editions: BTreeMap<(&str, &Factors), String> = experiment
        .subjects
        .iter()
        .map(|subject| ((subject.scenario.name.as_str(), &subject.factors), edition(subject, experiment.hours)))
        .collect();
    let is_outdated = |run: &Run| {
        let edition = editions.get(&(run.scenario.as_str(), &run.factors.0));
        edition.is_some_and(|edition| !run.identity.starts_with(edition))
    };
    let stored = stored.iter().map(|run| Stored { id: run.id, identity: &run.identity, is_outdated: is_outdated(run) });
    settled(cells, |cell| &cell.identity, &stored.collect::<Vec<_>>(), again)
}

/// A run that is there.
pub(super) struct Stored<'a> {
    pub id: i64,
    pub identity: &'a str,
    /// It is of something that has changed since.
    pub is_outdated: bool,
}

/// Whatever the runs are of.
pub(super) fn settled<'a, C>(
    cells: &'a [C],
    identity: impl Fn(&C) -> &str,
    stored: &[Stored<'_>],
    again: bool,
) -> Plan<'a, C> {
    let asked: BTreeSet<&str> = cells.iter().map(&identity).collect();
    let is_asked = |run: &&Stored<'_>| asked.contains(run.identity);
    let goes = |run: &&Stored<'_>| run.is_outdated || (again && is_asked(run));
    let staying: Vec<&Stored<'_>> = stored.iter().filter(|run| !goes(run)).collect();
    let there: BTreeSet<&str> = staying.iter().map(|run| run.identity).collect();
    let taken: BTreeSet<i64> = staying.iter().map(|run| run.id).collect();
    let kept = staying.iter().filter(|run| is_asked(run)).count();
    // In the grid's order, so that an experiment has the same numbers however often it was interrupted.
    let free = (1..).filter(|id| !taken.contains(id));
    let missing = cells.iter().filter(|cell| !there.contains(identity(cell)));
    Plan {
        kept,
        outdated: stored.iter().filter(goes).map(|run| run.id).collect(),
        others: staying.len() - kept,
        missing: free.zip(missing).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::cells;
    use super::*;
    use crate::results::Json;
    use agent_core::config::{Vocabulary, experiment};
    use agent_core::sim::ALL_POLICIES;
    use std::path::Path;

    /// Two scenarios, two policies, two variants, five seeds.
    fn smoke() -> Experiment {
        let vocabulary = Vocabulary { policies: &ALL_POLICIES, expression: |_| Ok(()) };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/experiments/smoke.toml");
        experiment::load(&file, &vocabulary).unwrap_or_else(|error| panic!("error: {error}"))
    }

    /// As if these were stored by a run of the experiment, numbered in its order.
    fn stored(experiment: &Experiment, which: impl Fn(usize) -> bool) -> Vec<Run> {
        let all = cells(experiment).into_iter().enumerate().filter(|(index, _)| which(*index));
        let run = |(index, cell): (usize, Cell)| Run {
            id: index as i64 + 1,
            scenario: cell.place.scenario,
            factors: Json(cell.place.factors),
            identity: cell.identity,
            ..Run::default()
        };
        all.map(run).collect()
    }

    /// Kept, outdated, others, and the numbers of what is made.
    fn check(now: &Experiment, stored: &[Run], again: bool, expected: (usize, usize, usize, &[i64])) {
        let cells = cells(now);
        let Plan { kept, outdated, others, missing } = plan(now, &cells, stored, again);
        let numbers: Vec<i64> = missing.iter().map(|(id, _)| *id).collect();
        assert_eq!((kept, outdated.len(), others, numbers.as_slice()), expected);
    }

    fn numbers(range: impl IntoIterator<Item = i64>) -> Vec<i64> {
        range.into_iter().collect()
    }

    #[test]
    fn what_is_missing_gets_the_numbers_that_it_would_have_had() {
        let now = smoke();
        check(&now, &[], false, (0, 0, 0, &numbers(1..=40)));
        check(&now, &stored(&now, |_| true), false, (40, 0, 0, &[]));
        let even = numbers((1..=40).filter(|id| id % 2 == 0));
        check(&now, &stored(&now, |index| index % 2 == 0), false, (20, 0, 0, &even));
    }

    #[test]
    fn a_changed_scenario_is_made_again_and_nothing_else() {
        let (before, mut now) = (smoke(), smoke());
        // One of four: published with noise x1.
        now.subjects[0].text.push_str("changed = true\n");
        let again: Vec<i64> = numbers((0..5).flat_map(|seed| [8 * seed + 1, 8 * seed + 2]));
        check(&now, &stored(&before, |_| true), false, (30, 10, 0, &again));
        now.hours = 2.0;
        check(&now, &stored(&before, |_| true), false, (0, 40, 0, &numbers(1..=40)));
    }

    #[test]
    fn what_is_not_asked_for_any_more_stays_unless_it_is_outdated() {
        let before = smoke();
        let fewer = Experiment { seeds: vec![1, 2], ..smoke() };
        check(&fewer, &stored(&before, |_| true), false, (16, 0, 24, &[]));
        let mut changed = fewer;
        changed.subjects[0].text.push_str("changed = true\n");
        // Also of seeds that are not asked for: beside the new ones they would be compared with them.
        check(&changed, &stored(&before, |_| true), false, (12, 10, 18, &[1, 2, 9, 10]));
    }

    #[test]
    fn all_of_the_grid_can_be_made_again() {
        let before = smoke();
        let fewer = Experiment { seeds: vec![1], ..smoke() };
        check(&fewer, &stored(&before, |_| true), true, (0, 8, 32, &numbers(1..=8)));
    }

    #[test]
    fn what_joins_later_gets_numbers_that_are_free() {
        let before = Experiment { seeds: vec![1, 2], ..smoke() };
        let more = Experiment { seeds: vec![7, 1, 2], ..smoke() };
        check(&more, &stored(&before, |_| true), false, (16, 0, 0, &numbers(17..=24)));
    }
}
