//! The pace of a simulation.

use crate::api::problem::{ErrorCode, Problem};
use crate::app::pace::{Standing, Step};
use agent_core::domain::time::Timestamp;
use agent_core::sim::Until;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct SimulationView {
    /// Virtual time since the start.
    pub now_s: f64,
    /// When it ends.
    pub ends_s: f64,
    /// Seconds of virtual time in one on the wall.
    pub speed: f64,
    pub paused: bool,
    pub ended: bool,
}

impl SimulationView {
    pub fn new(standing: &Standing) -> Self {
        let seconds = |at: Timestamp| at.since(Timestamp::default()).as_secs_f64();
        Self {
            now_s: seconds(standing.now),
            ends_s: seconds(standing.end),
            speed: standing.speed,
            paused: standing.paused,
            ended: standing.has_ended(),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaceChange {
    /// Seconds of virtual time in one on the wall.
    #[schema(exclusive_minimum = 0.0, maximum = 100_000.0)]
    pub speed: Option<f64>,
    pub paused: Option<bool>,
}

/// What is waited for; or a time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulationStep {
    pub until: Option<StepEnd>,
    /// Virtual time to go on.
    #[schema(exclusive_minimum = 0.0, maximum = 31_536_000.0)]
    pub for_s: Option<f64>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// A job has ended.
    Job,
    /// A job missed its goal, or failed.
    Missed,
    /// An action was begun.
    Acted,
    /// Every goal is met, and nobody acts.
    Converged,
}

impl SimulationStep {
    pub fn step(&self) -> Result<Step, Problem> {
        const LONGEST_S: f64 = 31_536_000.0;
        let invalid = |what: &str| {
            let help = r#"write {"until": "job"}, "missed", "acted" or "converged", or {"for_s": 60}"#;
            Err(Problem::new(ErrorCode::Invalid, what).with_help(help))
        };
        match (self.until, self.for_s) {
            (Some(_), Some(_)) => invalid("a step ends with what is waited for, or after a time: not both"),
            (None, None) => invalid("the step has no end"),
            (None, Some(seconds)) if !(seconds > 0.0 && seconds <= LONGEST_S) => {
                invalid("for_s: it has to be above 0, and a year at most")
            }
            (None, Some(seconds)) => Ok(Step::For(Duration::from_secs_f64(seconds))),
            (Some(end), None) => Ok(Step::Until(match end {
                StepEnd::Job => Until::Job(None),
                StepEnd::Missed => Until::Missed(None),
                StepEnd::Acted => Until::Acted,
                StepEnd::Converged => Until::Converged,
            })),
        }
    }
}
