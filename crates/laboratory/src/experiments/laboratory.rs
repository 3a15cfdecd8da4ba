//! Many runs at once, each on a thread of its own.

use super::figures::simulate;
use super::grid::Cell;
use super::parallel::in_parallel;
use crate::results::Results;
use agent_core::config::experiment::Experiment;
use agent_core::config::scenario::Scenario;
use agent_core::sim::{SimulationError, expand};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Makes the runs of these cells, which come with the numbers that they are stored under. `note` hears of each that has ended, on
/// the caller's thread; when it fails, and when `stop` is set, no further run begins, and those that run are ended and noted first.
pub fn perform<'a, E>(
    experiment: &Experiment,
    cells: &[(i64, &'a Cell)],
    threads: usize,
    stop: &AtomicBool,
    mut note: impl FnMut(&'a Cell, Result<Results, SimulationError>) -> Result<(), E>,
) -> Result<(), E> {
    let networks = Networks::new(experiment);
    in_parallel(
        threads,
        cells.iter().copied(),
        || !stop.load(Ordering::Relaxed),
        |(id, cell)| (cell, simulate(networks.of(cell.subject), id, cell, experiment.hours)),
        |(cell, results)| note(cell, results),
    )
}

/// Scenarios with their networks, each made when it is first needed: a large one takes a second.
struct Networks<'a> {
    experiment: &'a Experiment,
    made: Vec<OnceLock<Scenario>>,
}

impl<'a> Networks<'a> {
    fn new(experiment: &'a Experiment) -> Self {
        Self { experiment, made: experiment.subjects.iter().map(|_| OnceLock::new()).collect() }
    }

    fn of(&self, subject: usize) -> &Scenario {
        self.made[subject].get_or_init(|| expand(self.experiment.subjects[subject].scenario.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::cells;
    use super::*;
    use agent_core::config::{Vocabulary, experiment};
    use agent_core::sim::ALL_POLICIES;
    use std::collections::BTreeSet;
    use std::convert::Infallible;
    use std::path::Path;

    fn wanted(all: &[Cell]) -> Vec<(i64, &Cell)> {
        (1..).zip(all).collect()
    }

    fn smoke() -> Experiment {
        let vocabulary = Vocabulary { policies: &ALL_POLICIES, expression: |_| Ok(()) };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/experiments/smoke.toml");
        let experiment = experiment::load(&file, &vocabulary).unwrap_or_else(|error| panic!("error: {error}"));
        Experiment { hours: 0.1, ..experiment }
    }

    #[test]
    fn every_cell_is_run_once_whatever_the_number_of_threads() {
        let experiment = smoke();
        let all = cells(&experiment);
        let wanted = wanted(&all);
        let figures = |threads| {
            let mut noted = Vec::new();
            let never = AtomicBool::new(false);
            let noting = perform(&experiment, &wanted, threads, &never, |cell, results| {
                let run = results.unwrap().run;
                noted.push((run.id, cell.place.clone(), run.jobs));
                Ok::<(), Infallible>(())
            });
            let Ok(()) = noting;
            assert_eq!(noted.len(), all.len());
            noted.into_iter().collect::<BTreeSet<_>>()
        };
        let alone = figures(1);
        assert_eq!(alone.len(), all.len());
        assert_eq!(alone, figures(3));
    }

    #[test]
    fn when_it_is_stopped_what_runs_is_noted_and_nothing_begins() {
        let experiment = smoke();
        let all = cells(&experiment);
        let wanted = wanted(&all);
        let (stop, mut noted) = (AtomicBool::new(false), 0);
        let noting = perform(&experiment, &wanted, 2, &stop, |_, _| {
            stop.store(true, Ordering::Relaxed);
            noted += 1;
            Ok::<(), Infallible>(())
        });
        let Ok(()) = noting;
        // The first, what ran beside it, and what both had ended and begun before they were told.
        assert!((1..=6).contains(&noted), "{noted}");
    }

    #[test]
    fn what_cannot_be_noted_ends_it() {
        let experiment = smoke();
        let all = cells(&experiment);
        let wanted = wanted(&all);
        let mut noted = 0;
        let noting = perform(&experiment, &wanted, 2, &AtomicBool::new(false), |_, _| {
            noted += 1;
            if noted == 3 { Err("the disk is full") } else { Ok(()) }
        });
        assert_eq!((noting, noted), (Err("the disk is full"), 3));
    }
}
