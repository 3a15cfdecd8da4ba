//! A page about an experiment: which policy did best in which scenario, and by how much.

mod case;
pub mod comparison;
pub mod measures;
mod overview;
mod page;
pub mod tables;
pub mod wanted;

pub use page::{Content, page};

use super::placement::{Change, End, History, Transfer};
pub use crate::results::{Factors, Run};
use crate::results::{Head, Placed, Sample};
use agent_core::domain::action::Action;

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
    let transfers = placements.windows(2).filter_map(|pair| transfer(&pair[0], &pair[1])).collect();
    let change = |placed: Placed| Change {
        at_s: placed.at_s,
        agent: placed.agent,
        action: if placed.action == Placed::START { String::new() } else { placed.action },
        replicas: placed.replicas.0,
        references: placed.refs.0,
    };
    History { lasts_s: run.hours * 3600.0, changes: placements.into_iter().map(change).collect(), transfers }
}

/// Of the bytes that arrived where there were none before.
fn transfer(before: &Placed, placed: &Placed) -> Option<Transfer> {
    let action: Action = placed.action.parse().ok()?;
    let to = action.to_node().filter(|_| action.transfers())?;
    let (began_s, ended_s) = (placed.began_s.unwrap_or(placed.at_s), placed.at_s);
    let travelled = !before.replicas.0.contains(&to.0);
    travelled.then_some(Transfer { agent: placed.agent, action, began_s, ended_s, end: End::Arrived })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Json;

    #[test]
    fn transfers_are_where_bytes_arrived() {
        let placed = |at_s, began_s, action: &str, replicas: &[u32]| Placed {
            at_s,
            began_s,
            agent: Some(1),
            action: action.to_owned(),
            replicas: Json(replicas.iter().copied().collect()),
            ..Placed::default()
        };
        let placements = vec![
            placed(0.0, None, Placed::START, &[3]),
            placed(40.0, Some(10.0), "C3_1", &[1, 3]),
            placed(50.0, None, "C1_2", &[1, 2, 3]),
            // Only its readers go there.
            placed(60.0, None, "M3_2", &[1, 2]),
            placed(70.0, None, "E1", &[2]),
        ];
        let history = history(&Run { hours: 1.0, ..Run::default() }, placements);
        let told: Vec<(String, f64, f64)> =
            history.transfers.iter().map(|one| (one.action.to_string(), one.began_s, one.ended_s)).collect();
        assert_eq!(told, [("C3_1".to_owned(), 10.0, 40.0), ("C1_2".to_owned(), 50.0, 50.0)]);
        assert_eq!((history.lasts_s, history.changes.len(), history.changes[0].action.as_str()), (3600.0, 5, ""));
    }
}
