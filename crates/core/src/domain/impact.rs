//! Impacts: what a change does to each metric, in \[-1, 1\], positive = better (algorithm: docs/algorithm.md, section 1-3;
//! vectors in `fixtures/reference/`).

use super::action::{Action, ActionType};
use super::ids::NodeId;
use super::metric::{Better, Metric, Metrics};
use super::truncate;
use std::collections::BTreeMap;
use std::f64::consts::FRAC_PI_2;

/// An impact for some of the metrics.
pub type Impacts = Metrics;

/// What difference of a metric counts as large: the scale of its impact, in the metric's unit.
pub type Rho = Metrics;

/// The impact of a difference, before the metric's direction: `clamp(atan(delta * pi/2 / rho))`, cut to three decimals.
pub fn impact_of_difference(delta: f64, rho: f64) -> f64 {
    let slope = delta * FRAC_PI_2 / rho;
    // Most differences are far beyond: tan(1) = 1.5574..., and an arctangent takes its time.
    if slope.abs() > 1.5575 {
        return 1.0_f64.copysign(slope);
    }
    let angle = slope.atan();
    if angle >= 1.0 {
        1.0
    } else if angle <= -1.0 {
        -1.0
    } else {
        truncate(angle, 3)
    }
}

/// The impact of a metric going from `before` to `after`; positive = better.
pub fn impact(metric: Metric, before: f64, after: f64, rho: f64) -> f64 {
    let raw = impact_of_difference(after - before, rho);
    match metric.better() {
        Better::Higher => raw,
        Better::Lower => -raw,
    }
}

/// The impacts of going from one situation to another, for the metrics known in both and in `rho`.
pub fn impacts(before: &Metrics, after: &Metrics, rho: &Rho) -> Impacts {
    let of = |(metric, before)| Some((metric, impact(metric, before, after.get(metric)?, rho.get(metric)?)));
    before.iter().filter_map(of).collect()
}

/// Offline training: the mean impacts of going from the i-th run at the source to the i-th run at the destination, summed in
/// order of the runs. Empty without runs.
pub fn train(at_source: &[Metrics], at_destination: &[Metrics], rho: &Rho) -> Impacts {
    let runs = at_source.len().min(at_destination.len());
    let mut sums = Impacts::default();
    for (source, destination) in at_source.iter().zip(at_destination) {
        for (metric, value) in impacts(source, destination, rho).iter() {
            sums.set(metric, sums.get(metric).unwrap_or(0.0) + value);
        }
    }
    sums.iter().map(|(metric, sum)| (metric, sum / runs as f64)).collect()
}

/// The vectors of all pairs: the i-th run at the source is compared with the i-th run at the destination. A copy differs from
/// the move only in what it does to data consistency.
pub fn derive_impacts(runs: &BTreeMap<NodeId, Vec<Metrics>>, rho: &Rho, max_copies: u32) -> BTreeMap<Action, Impacts> {
    let consistency =
        |kind| rho.get(Metric::DataConsistency).map_or(0.0, |rho| consistency_impact(kind, max_copies, rho));
    let mut all = BTreeMap::new();
    for (&from, at_source) in runs {
        for (&to, at_destination) in runs.iter().filter(|(to, _)| **to != from) {
            let trained = train(at_source, at_destination, rho);
            let with = |kind| trained.with(Metric::DataConsistency, consistency(kind));
            all.insert(Action::Move { from, to }, with(ActionType::Move));
            all.insert(Action::Copy { from, to }, with(ActionType::Copy));
        }
    }
    all
}

/// What an action does to data consistency: a copy takes 1/k away, an evict gives it back, nothing else touches it.
pub fn consistency_impact(action: ActionType, max_copies: u32, rho: f64) -> f64 {
    let step = 1.0 / f64::from(max_copies);
    match action {
        ActionType::Copy => impact_of_difference(-step, rho),
        ActionType::Evict => impact_of_difference(step, rho),
        ActionType::Move
        | ActionType::ChangeReference
        | ActionType::Restore
        | ActionType::MoveWork
        | ActionType::Nothing => 0.0,
    }
}

/// Online learning: each measured component moves towards what was observed, by the learning rate, cut to two decimals. Data
/// consistency moves towards `consistency`, which follows from the kind of the action, and is not cut (published so). A metric
/// that was not measured keeps its old value; one never known takes the observed value.
pub fn learn(
    old: &Impacts,
    before: &Metrics,
    after: &Metrics,
    rho: &Rho,
    learning_rate: f64,
    consistency: f64,
) -> Impacts {
    let mix = |old: f64, observed: f64| (1.0 - learning_rate) * old + learning_rate * observed;
    let mut learned = *old;
    for (metric, observed) in impacts(before, after, rho).iter() {
        if metric != Metric::DataConsistency {
            let old = old.get(metric).unwrap_or(observed);
            learned.set(metric, truncate(mix(old, observed), 2));
        }
    }
    if let Some(old) = old.get(Metric::DataConsistency) {
        learned.set(Metric::DataConsistency, mix(old, consistency));
    }
    learned
}
