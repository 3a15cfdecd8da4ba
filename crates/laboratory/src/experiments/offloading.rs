//! Experiments of offloading: which runs there are, and which of them are left to do. What comes of one says the balancer, which the
//! program asks.

use super::resume::{Plan, Stored, settled};
use crate::results::OffloadingRun;
use agent_core::config::experiment::offloading::{OffloadingExperiment, Plane};

/// Raised whenever the figures of a run mean something else than before, or the balancer chooses otherwise: what was stored before is
/// then made again.
pub const FIGURES: u32 = 1;

/// A run of the grid.
#[derive(Clone, PartialEq, Debug)]
pub struct OffloadingCell {
    /// Share of a server's CPU, 0 to 1.
    pub cpu_threshold: f64,
    /// Share of the servers, 0 to 1.
    pub failures: f64,
    pub seed: u64,
    /// Everything that the run's figures follow from: another one, other figures.
    pub identity: String,
}

impl OffloadingCell {
    /// What the run is of, to be stored under `id`; without what it comes to.
    pub fn row(&self, plane: &Plane, id: i64) -> OffloadingRun {
        let Plane { users, servers, side_km, ms_per_km, users_per_server } = *plane;
        OffloadingRun {
            id,
            users,
            servers,
            side_km,
            ms_per_km,
            users_per_server,
            cpu_threshold: self.cpu_threshold,
            failures: self.failures,
            seed: self.seed,
            identity: self.identity.clone(),
            ..OffloadingRun::default()
        }
    }
}

/// The whole grid: first one seed of everything, so that whatever is interrupted can be compared already.
pub fn cells(experiment: &OffloadingExperiment) -> Vec<OffloadingCell> {
    let edition = edition(&experiment.plane);
    let mut cells = Vec::new();
    for seed in experiment.seeds.iter().copied() {
        for cpu_threshold in experiment.cpu_thresholds.iter().copied() {
            cells.extend(experiment.failures.iter().map(|failures| OffloadingCell {
                cpu_threshold,
                failures: failures.value() / 100.0,
                seed,
                identity: format!("{edition}{cpu_threshold} {} {seed}", failures.value()),
            }));
        }
    }
    cells
}

/// What the identities of all runs begin with: the figures' version, and what is the same for all of them.
fn edition(plane: &Plane) -> String {
    let Plane { users, servers, side_km, ms_per_km, users_per_server } = plane;
    format!("o{FIGURES} {users} users {servers} servers of {users_per_server} in {side_km} km at {ms_per_km} ms/km: ")
}

/// What becomes of the runs that are stored, and which are to be made. `again`: nothing of the grid is kept.
pub fn plan<'a>(
    experiment: &OffloadingExperiment,
    cells: &'a [OffloadingCell],
    stored: &[OffloadingRun],
    again: bool,
) -> Plan<'a, OffloadingCell> {
    let edition = edition(&experiment.plane);
    let stored = stored.iter().map(|run| Stored {
        id: run.id,
        identity: &run.identity,
        is_outdated: !run.identity.starts_with(&edition),
    });
    settled(cells, |cell| &cell.identity, &stored.collect::<Vec<_>>(), again)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::domain::units::Percent;
    use std::collections::BTreeSet;

    /// Two thresholds, two shares of failures, two seeds.
    fn small() -> OffloadingExperiment {
        OffloadingExperiment {
            name: "small".to_owned(),
            about: "Small.".to_owned(),
            plane: Plane { users: 40, servers: 5, side_km: 20.0, ms_per_km: 0.5, users_per_server: 10 },
            cpu_thresholds: vec![0.4, 1.0],
            failures: [0.0, 50.0].map(|percent| Percent::new(percent).unwrap()).to_vec(),
            seeds: vec![1, 2],
        }
    }

    fn stored(experiment: &OffloadingExperiment) -> Vec<OffloadingRun> {
        (1..).zip(cells(experiment)).map(|(id, cell)| cell.row(&experiment.plane, id)).collect()
    }

    /// Kept, outdated, others, made.
    fn check(now: &OffloadingExperiment, stored: &[OffloadingRun], again: bool, expected: [usize; 4]) {
        let cells = cells(now);
        let plan = plan(now, &cells, stored, again);
        assert_eq!([plan.kept, plan.outdated.len(), plan.others, plan.missing.len()], expected);
    }

    #[test]
    fn every_point_is_there_once_and_one_seed_of_all_comes_first() {
        let cells = cells(&small());
        assert_eq!(cells.iter().map(|cell| &cell.identity).collect::<BTreeSet<_>>().len(), 8);
        let seeds: Vec<u64> = cells.iter().map(|cell| cell.seed).collect();
        assert_eq!(seeds, [1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!((cells[1].cpu_threshold, cells[1].failures), (0.4, 0.5));
    }

    #[test]
    fn what_is_stored_stays_unless_what_it_is_of_has_changed() {
        let before = small();
        check(&before, &[], false, [0, 0, 0, 8]);
        check(&before, &stored(&before), false, [8, 0, 0, 0]);
        check(&before, &stored(&before), true, [0, 8, 0, 8]);
        let fewer = OffloadingExperiment { cpu_thresholds: vec![1.0], ..small() };
        check(&fewer, &stored(&before), false, [4, 0, 4, 0]);
        let more = OffloadingExperiment { seeds: vec![1, 2, 3], ..small() };
        check(&more, &stored(&before), false, [8, 0, 0, 4]);
        let mut wider = small();
        wider.plane.side_km = 30.0;
        check(&wider, &stored(&before), false, [0, 8, 0, 8]);
    }
}
