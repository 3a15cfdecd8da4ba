//! How good a placement is, beside the best one.

use super::elsewhere::{Assumed, Elsewhere, Solved, solve};
use super::problem::Problem;
use super::search::{Best, Found};
use crate::config::scenario::Scenario;
use crate::domain::ids::NodeId;
use crate::domain::snapshot::Snapshot;
use crate::sim::faults::Damage;
use std::collections::BTreeMap;

/// A placement judged by what its network is now, with nothing broken: faults pass.
///
/// The best one is the oracle's, reached from the placement at the scenario's start: what one would have done had one known.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Standing {
    /// Expected share of violated jobs, mean over the readers of each data set, 0..=1.
    pub share: f64,
    pub replicas: usize,
    pub best_share: f64,
    pub best_replicas: usize,
    /// What the way to the best one costs.
    pub best_cost: f64,
    pub found: Found,
    /// It is the best one or an equal one: its share is larger by 1e-6 at most, and it has no more replicas.
    pub is_best: bool,
}

/// Shares that differ by less are equal.
const EQUAL: f64 = 1e-6;

impl Standing {
    /// Of the placements of all data sets. `None` where nobody reads anything.
    pub fn new(scenario: &Scenario, snapshots: &[Snapshot]) -> Option<Self> {
        let undamaged = Damage::default();
        let pose = |alone: &Scenario, snapshot: &Snapshot, _: &BTreeMap<NodeId, u64>, elsewhere: &Elsewhere| {
            Problem::from_start(alone, snapshot, elsewhere)
        };
        let solved = solve(scenario, snapshots, &undamaged, &pose);
        let as_it_is = Assumed::of(snapshots);
        let of_one = |(snapshot, solved): (&Snapshot, Option<Solved>)| {
            let name = &snapshot.data_set.name;
            let elsewhere = as_it_is.elsewhere(scenario, snapshots, &undamaged, name);
            // Nobody reads it besides others: both are one problem.
            let present = match elsewhere == Elsewhere::default() {
                true => None,
                false => Problem::from_start(&scenario.of(name), snapshot, &elsewhere),
            };
            let Solved { problem, best } = solved?;
            Some(Self::of_one(present.as_ref().unwrap_or(&problem), &best, snapshot))
        };
        let each: Vec<(f64, Self)> = snapshots.iter().zip(solved).filter_map(of_one).collect();
        if let [(_, only)] = each.as_slice() {
            return Some(*only);
        }
        let agents: f64 = each.iter().map(|(agents, _)| agents).sum();
        let mean = |of: fn(&Self) -> f64| each.iter().map(|(agents, it)| agents * of(it)).sum::<f64>() / agents;
        (!each.is_empty()).then(|| Self {
            share: mean(|it| it.share),
            replicas: each.iter().map(|(_, it)| it.replicas).sum(),
            best_share: mean(|it| it.best_share),
            best_replicas: each.iter().map(|(_, it)| it.best_replicas).sum(),
            best_cost: each.iter().map(|(_, it)| it.best_cost).sum(),
            found: each.iter().map(|(_, it)| it.found).fold(Found::Exhaustive, Found::and),
            is_best: each.iter().all(|(_, it)| it.is_best),
        })
    }

    /// With the number of its readers; `present`: with everything else where it is.
    fn of_one(present: &Problem, best: &Best, snapshot: &Snapshot) -> (f64, Self) {
        let replicas = snapshot.placement.present().count();
        let seat = |agent| snapshot.agents.get(&agent).map(|peer| peer.seat().node);
        let present = present.seated(&present.choice(seat));
        let share = present.mean(present.total(|agent| Some(snapshot.placement.reference(agent)?.node), replicas));
        let standing = Self {
            share,
            replicas,
            best_share: best.share,
            best_replicas: best.replicas.len(),
            best_cost: best.cost,
            found: best.found,
            is_best: share <= best.share + EQUAL && replicas <= best.replicas.len(),
        };
        (present.agents.len() as f64, standing)
    }
}
