//! A page about an experiment: which policy did best in which scenario, and by how much.

mod case;
pub mod comparison;
pub mod measures;
mod overview;
mod page;
pub mod tables;
pub mod wanted;

pub use page::{Content, page};

use super::placement::History;
use std::collections::BTreeMap;

/// Which variant of each factor.
pub type Factors = BTreeMap<String, String>;

/// What was run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Experiment {
    pub name: String,
    pub about: String,
    /// The program that ran it.
    pub written_by: String,
    pub runs: Vec<Run>,
}

/// One run, as counted at its end. What is unknown or did not happen is absent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Run {
    pub id: i64,
    pub scenario: String,
    pub policy: String,
    pub factors: Factors,
    pub seed: i64,
    pub hours: f64,
    pub agents: u64,
    pub jobs: u64,
    pub violated: u64,
    pub failed: u64,
    /// Of violated jobs, at the placement at the end; and at the best one.
    pub expected_share: Option<f64>,
    pub best_share: Option<f64>,
    /// Whether the placement at the end is as good as the best.
    pub on_best: Option<bool>,
    pub actions: u64,
    pub moves: u64,
    pub copies: u64,
    pub references_changed: u64,
    pub evicts: u64,
    pub action_cost: Option<f64>,
    pub bytes_moved: u64,
    pub first_violation_s: Option<f64>,
    pub last_action_s: Option<f64>,
    pub replicas_mean: Option<f64>,
    pub replicas_end: Option<u64>,
    /// Of the placement; of very many only the first ones are kept.
    pub changes: Option<u64>,
    pub oscillations: Option<u64>,
    /// Jain's index of the agents' shares of jobs that were not violated.
    pub fairness: Option<f64>,
    pub messages_per_agent_hour: Option<f64>,
    pub decisions: u64,
    /// Mean time of a decision \[us\].
    pub decision_us: Option<f64>,
    pub converged: Option<bool>,
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
