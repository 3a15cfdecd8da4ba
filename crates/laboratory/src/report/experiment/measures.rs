//! What is compared besides violated jobs.

use super::Run;
use crate::report::chart::scale::Origin;
use crate::report::number::Unit;

/// A quantity of a run.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// As a program calls it.
    pub key: &'static str,
    pub title: &'static str,
    pub unit: Unit,
    /// Absent: it did not happen, or is unknown.
    pub of: fn(&Run) -> Option<f64>,
    /// `Some`: it has a figure; says how to read it.
    pub figure: Option<(Origin, &'static str)>,
}

const fn drawn(
    key: &'static str,
    title: &'static str,
    unit: Unit,
    note: &'static str,
    of: fn(&Run) -> Option<f64>,
) -> Measure {
    Measure { key, title, unit, of, figure: Some((Origin::Zero, note)) }
}

const fn listed(key: &'static str, title: &'static str, unit: Unit, of: fn(&Run) -> Option<f64>) -> Measure {
    Measure { key, title, unit, of, figure: None }
}

/// In the order of the table.
pub const MEASURES: [Measure; 20] = [
    listed("violated_share", "Of all jobs", Unit::Share, |run| share(run.violated, run.jobs)),
    listed("failed", "Failed jobs", Unit::Things, |run| number(run.failed)),
    listed("above_best", "Expected at the end above the best", Unit::Share, |run| {
        Some(run.expected_share? - run.best_share?)
    }),
    listed("on_best", "Ends on the best placement", Unit::Share, |run| run.on_best.and_then(yes)),
    listed("converged", "Converged", Unit::Share, |run| yes(run.converged)),
    listed("first_violation", "First violation", Unit::Seconds, |run| run.first_violation_s),
    drawn("last_action", "Time to last action", Unit::Seconds, "Runs that acted; earlier is calmer.", |run| {
        run.last_action_s
    }),
    listed("actions", "Actions", Unit::Things, |run| number(run.actions)),
    drawn("movements", "Movements", Unit::Things, "Moves and copies.", |run| number(run.moves + run.copies)),
    listed("references_changed", "References changed", Unit::Things, |run| number(run.references_changed)),
    listed("evicts", "Replicas dropped", Unit::Things, |run| number(run.evicts)),
    listed("action_cost", "Cost of actions", Unit::Things, |run| Some(run.action_cost)),
    drawn("bytes_moved", "Bytes moved", Unit::Bytes, "By moves and copies.", |run| number(run.bytes_moved)),
    drawn("replicas_mean", "Replicas", Unit::Things, "Mean over the run.", |run| Some(run.replicas_mean)),
    listed("replicas_end", "Replicas at the end", Unit::Things, |run| number(run.replicas_end)),
    drawn("oscillations", "Oscillations", Unit::Things, "Actions that undid one.", |run| number(run.oscillations)),
    Measure {
        key: "fairness",
        title: "Fairness",
        unit: Unit::Things,
        of: |run| Some(run.fairness),
        figure: Some((Origin::LowestTo(1.0), "Jain\u{2019}s index: 1 when all agents are served alike.")),
    },
    drawn("messages", "Messages", Unit::Things, "Rows written for each agent and hour.", |run| {
        Some(run.messages_per_agent_hour)
    }),
    listed("decisions", "Decisions", Unit::Things, |run| number(run.decisions)),
    drawn(
        "decision_time",
        "Decision time",
        Unit::Microseconds,
        "Mean of a decision, on the machine of the run.",
        |run| run.decision_us,
    ),
];

fn number(of: u64) -> Option<f64> {
    Some(of as f64)
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn yes(is: bool) -> Option<f64> {
    Some(if is { 1.0 } else { 0.0 })
}
