//! What the agents would do from here, and why something is not done.

use crate::app::{plan, why_not};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far to look, and with what.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanRequest {
    /// Instead of each agent's own.
    pub policy: Option<String>,
    /// The source of all chance.
    #[schema(maximum = 4_294_967_295_u64)]
    pub seed: Option<u64>,
    /// Scenario time to look ahead.
    #[schema(exclusive_minimum = 0.0, maximum = 86400.0, default = 3600.0)]
    pub ahead_s: Option<f64>,
}

#[derive(Serialize, ToSchema)]
pub struct Plan {
    /// In the order in which they would begin.
    pub steps: Vec<Step>,
    /// Whether every goal holds after them.
    pub converges: bool,
    /// What whoever relies on it should know.
    pub remarks: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Step {
    pub agent: u32,
    pub data_set: String,
    pub action: String,
    pub because: String,
    /// From now, in scenario time.
    pub begins_s: f64,
    pub takes_s: f64,
    /// What travels.
    pub bytes: u64,
    /// As its agent prices its actions; no currency.
    pub cost: f64,
}

impl From<&plan::Plan> for Plan {
    fn from(plan: &plan::Plan) -> Self {
        let step = |step: &plan::Step| Step {
            agent: step.agent.0,
            data_set: step.data_set.to_string(),
            action: step.action.to_string(),
            because: step.because.clone(),
            begins_s: step.begins_scenario_s,
            takes_s: step.takes_scenario_s,
            bytes: step.bytes,
            cost: step.cost,
        };
        let steps = plan.steps.iter().map(step).collect();
        Self { steps, converges: plan.converges, remarks: plan.remarks.clone() }
    }
}

#[derive(Serialize, ToSchema)]
pub struct WhyNot {
    pub agent: u32,
    pub action: String,
    /// It cannot be begun now: each of these would have to change.
    pub infeasible: Vec<String>,
    /// It could be begun, and was thought to be worth less than something else, or to hurt somebody.
    pub refused: Vec<String>,
}

impl From<why_not::WhyNot> for WhyNot {
    fn from(why: why_not::WhyNot) -> Self {
        let (agent, action) = (why.agent.0, why.action.to_string());
        Self { agent, action, infeasible: why.infeasible, refused: why.refused }
    }
}
