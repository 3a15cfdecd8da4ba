//! `agent plan`: what the agents would do from here, found out in a simulation that begins where the network is.

use super::data;
use super::from_table::FromTable;
use super::surroundings::Surroundings;
use agent_core::domain::action::{Action, Labelled};
use agent_core::domain::books::Quote;
use agent_core::domain::event::{Event, Outcome};
use agent_core::domain::ids::{AgentId, DataSetName};
use agent_core::domain::time::Timestamp;
use agent_core::mape::planner::{Decision, has_transferred};
use agent_core::sim::{Edit, Simulation, Start, Until};
use anyhow::Context as _;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// The course that the network would take.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Plan {
    /// In the order in which they would begin.
    pub steps: Vec<Step>,
    /// Whether every goal holds after them.
    pub converges: bool,
    /// What whoever relies on it should know.
    pub remarks: Vec<String>,
}

/// One action.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Step {
    pub agent: AgentId,
    pub data_set: DataSetName,
    pub action: Action,
    pub because: String,
    /// From now, in scenario time \[s\].
    pub begins_scenario_s: f64,
    pub takes_scenario_s: f64,
    /// What travels.
    pub bytes: u64,
    /// As its agent prices its actions; no currency.
    pub cost: f64,
    /// In money, where it has a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Quote>,
}

/// Simulates until all goals hold, or so far ahead; `edits` are made first.
pub fn make(
    from: &FromTable,
    policy: Option<&str>,
    seed: u64,
    ahead: Duration,
    edits: Vec<Edit>,
) -> anyhow::Result<Plan> {
    let scenario = &from.simulated.scenario;
    let start = Start { policy, seed, state: from.simulated.state.as_ref() };
    let mut simulation = Simulation::new(scenario, start)?;
    for edit in edits {
        simulation.edit(edit)?;
    }
    let converges = simulation.run_until(Until::Converged, Timestamp::default() + ahead, |_| {})?;
    let outcome = simulation.outcome();
    let changes =
        outcome.events.iter().filter(|event| event.outcome == Outcome::Done && event.action != Action::Nothing);
    let books = outcome.snapshot().books.as_ref();
    let step = |event: &Event| {
        let decision: Decision = serde_json::from_str(&event.detail).context("a simulated event holds no decision")?;
        let settings = scenario.agents.get(&event.agent);
        let has_transferred = has_transferred(event, Some(&decision));
        let bytes = if has_transferred { scenario.bytes(&event.data_set) } else { 0 };
        let priced = books.filter(|_| has_transferred || matches!(event.action, Action::Evict { .. }));
        Ok(Step {
            agent: event.agent,
            data_set: event.data_set.clone(),
            action: event.action,
            because: decision.because(),
            begins_scenario_s: event.posted_at.since(Timestamp::default()).as_secs_f64(),
            takes_scenario_s: event.ended_at.map_or(0.0, |ended| ended.since(event.posted_at).as_secs_f64()),
            bytes,
            cost: settings.and_then(|agent| agent.costs.get(&event.action.kind())).copied().unwrap_or(1.0),
            price: priced.and_then(|books| books.quote(event.agent, event.action, scenario.bytes(&event.data_set))),
        })
    };
    let steps = changes.map(step).collect::<anyhow::Result<_>>()?;
    Ok(Plan { steps, converges, remarks: from.remarks.clone() })
}

impl Plan {
    pub fn data_sets(&self) -> BTreeSet<&DataSetName> {
        self.steps.iter().map(|step| &step.data_set).collect()
    }
}

/// Does it, one step after the other; ends at the first that cannot be done. `tell` hears of each when it was done.
pub async fn apply(surroundings: &Surroundings, plan: &Plan, mut tell: impl FnMut(&Step)) -> anyhow::Result<()> {
    for (done, step) in plan.steps.iter().enumerate() {
        let labelled = Labelled { data_set: Some(step.data_set.clone()), action: step.action };
        let acted = data::act(surroundings, step.agent, &labelled).await;
        acted.with_context(|| {
            let of = plan.steps.len();
            format!(
                "{} of agent {}: {done} of {of} steps were done; plan again from where it is",
                step.action, step.agent
            )
        })?;
        tell(step);
    }
    Ok(())
}
