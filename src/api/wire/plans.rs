//! What the agents would do from here, and why something is not done.

use crate::api::problem::{ErrorCode, Problem};
use crate::app::{plan, why_not};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::units::Percent;
use agent_core::sim::Edit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A link that takes longer is cut \[ms\].
const LATENCY_MAX_MS: f64 = 86_400_000.0;

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
    /// What is changed first, in the simulation alone.
    pub changes: Vec<WhatIf>,
}

/// One change: of a node (`node`, `availability_percent`), of one direction of a link (`from`, `to`, `latency_ms`), or of an
/// application (`agent`, and `goal` or `policy`).
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WhatIf {
    pub node: Option<u32>,
    #[schema(minimum = 0.0, maximum = 100.0)]
    pub availability_percent: Option<f64>,
    pub from: Option<u32>,
    pub to: Option<u32>,
    #[schema(minimum = 0.0)]
    pub latency_ms: Option<f64>,
    pub agent: Option<u32>,
    /// `response_time <= 35 s and availability >= 95 %`
    pub goal: Option<String>,
    pub policy: Option<String>,
}

impl WhatIf {
    pub fn edit(&self) -> Result<Edit, Problem> {
        let invalid = |what: String| Problem::new(ErrorCode::Invalid, format!("changes: {what}"));
        match self {
            Self { node: Some(node), availability_percent: Some(percent), from: None, to: None, latency_ms: None, agent: None, goal: None, policy: None } => {
                let availability = Percent::new(*percent);
                let availability = availability.ok_or_else(|| invalid(format!("{percent} % is not from 0 to 100")))?;
                Ok(Edit::Availability { node: NodeId(*node), availability })
            }
            Self { node: None, availability_percent: None, from: Some(from), to: Some(to), latency_ms: Some(latency_ms), agent: None, goal: None, policy: None } => {
                if !(0.0..=LATENCY_MAX_MS).contains(latency_ms) {
                    return Err(invalid(format!("{latency_ms} ms is not from 0 to {LATENCY_MAX_MS}")));
                }
                Ok(Edit::Latency { from: NodeId(*from), to: NodeId(*to), latency_ms: *latency_ms })
            }
            Self { node: None, availability_percent: None, from: None, to: None, latency_ms: None, agent: Some(agent), goal: Some(goal), policy: None } => {
                let goal = goal.parse().map_err(|error| invalid(format!("goal: {error}")))?;
                Ok(Edit::Goal { agent: AgentId(*agent), goal })
            }
            Self { node: None, availability_percent: None, from: None, to: None, latency_ms: None, agent: Some(agent), goal: None, policy: Some(policy) } => {
                Ok(Edit::Policy { agent: AgentId(*agent), policy: policy.clone() })
            }
            _ => Err(invalid("one is of a node (`node`, `availability_percent`), of a link (`from`, `to`, `latency_ms`) or of an application (`agent`, and `goal` or `policy`)".to_owned())),
        }
    }
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
