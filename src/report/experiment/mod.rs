//! A page about an experiment: which policy did best in which scenario, and by how much.

mod case;
pub mod comparison;
pub mod measures;
mod overview;
mod page;
pub mod tables;
pub mod wanted;

pub use page::{Content, page};

use super::placement::{Change, History};
pub use crate::results::{Factors, Run};
use crate::results::{Head, Placed, Sample};

/// What was run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Experiment {
    pub head: Head,
    pub runs: Vec<Run>,
}

/// A run whose placement is shown.
#[derive(Clone, PartialEq, Debug)]
pub struct Shown<'a> {
    pub run: &'a Run,
    pub history: History,
    /// Somebody asked for it; otherwise it is a typical one of the best policy.
    pub is_wanted: bool,
}

/// `noise = x3, loss = 20 %`; empty without factors.
pub fn show_factors(factors: &Factors) -> String {
    let one = |(factor, variant): (&String, &String)| format!("{factor} = {variant}");
    factors.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Violated jobs up to each sample: second, jobs. Begins with none at the start; empty when nothing was sampled.
pub fn violated(series: &[Sample]) -> Vec<(f64, f64)> {
    let start = series.first().filter(|first| first.at_s > 0.0).map(|_| (0.0, 0.0));
    start.into_iter().chain(series.iter().map(|sample| (sample.at_s, sample.violated as f64))).collect()
}

/// The placement of a run over time; without changes when none was kept.
pub fn history(run: &Run, placements: Vec<Placed>) -> History {
    let change = |placed: Placed| Change {
        at_s: placed.at_s,
        agent: placed.agent,
        action: if placed.action == Placed::START { String::new() } else { placed.action },
        replicas: placed.replicas.0,
        references: placed.refs.0,
    };
    History { lasts_s: run.hours * 3600.0, changes: placements.into_iter().map(change).collect() }
}
