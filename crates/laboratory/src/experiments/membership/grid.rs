//! Which runs an experiment consists of, and which of them are left to do.

use crate::experiments::resume::{Plan, Stored, settled};
use crate::results::NetworkRun;
use agent_core::config::experiment::membership::MembershipExperiment;
use agent_core::domain::units::Percent;
use std::time::Duration;

/// Raised whenever the figures of a run mean something else than before, or the members behave otherwise: what was stored before
/// is then made again.
pub const FIGURES: u32 = 1;

/// A run of the grid.
#[derive(Clone, PartialEq, Debug)]
pub struct NetworkCell {
    pub nodes: u32,
    pub fan_out: u32,
    pub interval: Duration,
    pub loss: Percent,
    pub failures: Percent,
    pub seed: u64,
    /// Whether each node's rounds are kept, not only their sums.
    pub is_detailed: bool,
    /// Everything that the run's figures follow from: another one, other figures.
    pub identity: String,
}

impl NetworkCell {
    /// As people are told.
    pub fn name(&self) -> String {
        let Self { nodes, fan_out, interval, loss, failures, seed, .. } = self;
        format!("{nodes} nodes, fan-out {fan_out}, every {interval:?}, {loss} lost, {failures} stopped, seed {seed}")
    }
}

/// The whole grid: first one seed of everything, so that whatever is interrupted can be compared already.
pub fn cells(experiment: &MembershipExperiment) -> Vec<NetworkCell> {
    let edition = edition(experiment);
    let mut points = Vec::new();
    for nodes in &experiment.nodes {
        for fan_out in &experiment.fan_outs {
            for interval in &experiment.intervals {
                for loss in &experiment.losses {
                    points
                        .extend(experiment.failures.iter().map(|failures| (nodes, fan_out, interval, loss, failures)));
                }
            }
        }
    }
    let mut cells = Vec::with_capacity(points.len() * experiment.seeds.len());
    for (place, seed) in experiment.seeds.iter().copied().enumerate() {
        cells.extend(points.iter().map(|(nodes, fan_out, interval, loss, failures)| {
            let is_detailed = place == 0 && **nodes <= experiment.detail_nodes;
            let detail = if is_detailed { " with all nodes" } else { "" };
            let place = format!("{nodes} {fan_out} {interval:?} {} {} {seed}", loss.value(), failures.value());
            NetworkCell {
                nodes: **nodes,
                fan_out: **fan_out,
                interval: **interval,
                loss: **loss,
                failures: **failures,
                seed,
                is_detailed,
                identity: format!("{edition}{place}{detail}"),
            }
        }));
    }
    cells
}

/// What the identities of all runs begin with: the figures' version, and what is the same for all of them.
fn edition(experiment: &MembershipExperiment) -> String {
    let MembershipExperiment { rounds, real, exchange_bytes, history, queries, .. } = experiment;
    let kind = if *real { "real" } else { "virtual" };
    let history = history
        .map_or_else(String::new, |history| format!(" history {} {}", history.push_every, history.at_most_bytes));
    let queries = format!("{} {} {} {:?}", queries.count, queries.quorum, queries.within_intervals, queries.deadline);
    format!("m{FIGURES} {kind} {rounds} rounds {exchange_bytes} B{history} queries {queries}: ")
}

/// What becomes of the runs that are stored, and which are to be made. `again`: nothing of the grid is kept.
pub fn plan<'a>(
    experiment: &MembershipExperiment,
    cells: &'a [NetworkCell],
    stored: &[NetworkRun],
    again: bool,
) -> Plan<'a, NetworkCell> {
    let edition = edition(experiment);
    // What is kept of the first seed in detail takes the place of what is there of it.
    let place = |identity: &str| identity.trim_end_matches(" with all nodes").to_owned();
    let asked: std::collections::BTreeMap<String, &str> =
        cells.iter().map(|cell| (place(&cell.identity), cell.identity.as_str())).collect();
    let is_outdated = |run: &NetworkRun| {
        let asked = asked.get(&place(&run.identity));
        !run.identity.starts_with(&edition) || asked.is_some_and(|asked| *asked != run.identity)
    };
    let stored = stored.iter().map(|run| Stored { id: run.id, identity: &run.identity, is_outdated: is_outdated(run) });
    settled(cells, |cell| &cell.identity, &stored.collect::<Vec<_>>(), again)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use agent_core::config::experiment::membership::{History, Queries};
    use std::collections::BTreeSet;

    /// Two sizes, two fan-outs, two shares of failures, two seeds.
    pub fn small() -> MembershipExperiment {
        let percent = |value| Percent::new(value).unwrap();
        MembershipExperiment {
            name: "small".to_owned(),
            about: "Small.".to_owned(),
            nodes: vec![5, 10],
            fan_outs: vec![2, 3],
            intervals: vec![Duration::from_secs(1)],
            losses: vec![percent(0.0)],
            failures: vec![percent(0.0), percent(50.0)],
            seeds: vec![1, 2],
            rounds: 12,
            real: false,
            exchange_bytes: 128 << 10,
            detail_nodes: 5,
            history: Some(History { push_every: 5, at_most_bytes: 1_000_000 }),
            queries: Queries { count: 3, quorum: 2, within_intervals: 15, deadline: Duration::from_secs(2) },
        }
    }

    fn stored(experiment: &MembershipExperiment) -> Vec<NetworkRun> {
        let run = |(id, cell): (i64, NetworkCell)| NetworkRun { id, identity: cell.identity, ..NetworkRun::default() };
        (1..).zip(cells(experiment)).map(run).collect()
    }

    /// Kept, outdated, others, made.
    fn check(now: &MembershipExperiment, stored: &[NetworkRun], again: bool, expected: [usize; 4]) {
        let cells = cells(now);
        let plan = plan(now, &cells, stored, again);
        assert_eq!([plan.kept, plan.outdated.len(), plan.others, plan.missing.len()], expected);
    }

    #[test]
    fn every_point_is_there_once_and_one_seed_of_all_comes_first() {
        let cells = cells(&small());
        assert_eq!(cells.len(), 16);
        assert_eq!(cells.iter().map(|cell| &cell.identity).collect::<BTreeSet<_>>().len(), 16);
        assert!(cells[..8].iter().all(|cell| cell.seed == 1) && cells[8].seed == 2);
        assert_eq!(cells.iter().filter(|cell| cell.is_detailed).count(), 4, "the small ones of the first seed");
        assert_eq!(cells[1].name(), "5 nodes, fan-out 2, every 1s, 0 % lost, 50 % stopped, seed 1");
    }

    #[test]
    fn what_is_stored_stays_unless_what_it_is_of_has_changed() {
        let before = small();
        check(&before, &[], false, [0, 0, 0, 16]);
        check(&before, &stored(&before), false, [16, 0, 0, 0]);
        check(&before, &stored(&before), true, [0, 16, 0, 16]);
        let fewer = MembershipExperiment { nodes: vec![10], ..small() };
        check(&fewer, &stored(&before), false, [8, 0, 8, 0]);
        let longer = MembershipExperiment { rounds: 13, ..small() };
        check(&longer, &stored(&before), false, [0, 16, 0, 16]);
        let finer = MembershipExperiment { detail_nodes: 10, ..small() };
        check(&finer, &stored(&before), false, [12, 4, 0, 4]);
    }
}
