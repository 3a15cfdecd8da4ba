//! One run: made, and what it came to.

use super::fairness::jain;
use super::grid::Cell;
use super::observer::{Observed, Observer};
pub use super::observer::{Placed, Sample};
use crate::config::scenario::Scenario;
use crate::domain::action::{Action, ActionType};
use crate::domain::event::{Event, Outcome as EventOutcome};
use crate::domain::ids::AgentId;
use crate::domain::time::Timestamp;
use crate::sim::{self, Options, Outcome, Planning, SimulationError, Stopwatch, Told};
use std::cell::Cell as Shared;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// All that is stored of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    pub figures: Figures,
    pub agents: BTreeMap<AgentId, AgentFigures>,
    /// At equal distances of time; the last one is the end.
    pub series: Vec<Sample>,
    /// In order of time; only the first ones of very many.
    pub placements: Vec<Placed>,
}

/// What a run came to, of all its agents together. How each is counted: `docs/experiments.md`.
#[derive(Clone, PartialEq, Debug)]
pub struct Figures {
    pub agents: usize,
    pub jobs: u64,
    pub violated: u64,
    /// Jobs that measured nothing, because what they read could not be reached.
    pub failed: u64,
    /// Expected share of violated jobs in the placement that is left, and in the best one there is (mean over the agents, 0 to 1), and
    /// whether it is the best one or an equal one.
    pub expected_share: Option<f64>,
    pub best_share: Option<f64>,
    pub on_best: Option<bool>,
    /// Actions that were claimed, whatever became of them.
    pub actions: u64,
    pub moves: u64,
    pub copies: u64,
    pub references_changed: u64,
    pub evicts: u64,
    /// Of these, those that were not carried out.
    pub actions_failed: u64,
    pub action_cost: f64,
    pub bytes_moved: u64,
    pub first_violation_s: Option<f64>,
    pub last_action_s: Option<f64>,
    pub replicas_mean: f64,
    pub replicas_end: usize,
    /// Of the placement.
    pub changes: u64,
    pub oscillations: u64,
    /// Of the agents' shares of satisfied jobs.
    pub fairness: f64,
    pub messages_per_agent_hour: f64,
    pub decisions: u64,
    /// Mean on the wall's clock: the one figure that differs from one time to the next.
    pub decision_us: Option<f64>,
    pub converged: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AgentFigures {
    pub jobs: u64,
    pub violated: u64,
    pub actions: u64,
    /// Rows that it wrote into the shared table to decide: events (also of doing nothing) and answers to others'.
    pub messages: u64,
}

/// Makes the run of a cell. `scenario` is the one of its subject, with its network.
pub fn simulate(scenario: &Scenario, cell: &Cell, hours: f64) -> Result<Run, SimulationError> {
    let lasts = Duration::from_secs_f64(hours * 3600.0);
    let options =
        Options { policy: Some(cell.place.policy.clone()), seed: cell.place.seed, lasts, until_converged: false };
    let mut observer = Observer::new(lasts, scenario.physics.bytes);
    let planned = Rc::new(Shared::new(Duration::ZERO));
    let mut tell = |at: Timestamp, told: &Told| observer.hear(at, told);
    let outcome = sim::run_timed(scenario, &options, Some(&mut tell), Some(stopwatch(planned.clone())), |_| {})?;
    Ok(compose(scenario, &outcome, observer.finish(), planned.get(), hours))
}

/// Adds up how long planners work.
fn stopwatch(total: Rc<Shared<Duration>>) -> Stopwatch {
    let began = Shared::new(Instant::now());
    Rc::new(move |planning| match planning {
        Planning::Begins => began.set(Instant::now()),
        Planning::Ends => total.set(total.get() + began.get().elapsed()),
    })
}

fn compose(scenario: &Scenario, outcome: &Outcome, seen: Observed, planned: Duration, hours: f64) -> Run {
    let agents = agents(scenario, outcome);
    let standing = outcome.standing(scenario);
    let sum = |figure: fn(&AgentFigures) -> u64| agents.values().map(figure).sum::<u64>();
    let actions = || outcome.events.iter().filter(|event| event.action != Action::Nothing);
    let kind = |kind| actions().filter(|event| event.action.kind() == kind).count() as u64;
    let not_done = |event: &&Event| matches!(event.outcome, EventOutcome::Failed | EventOutcome::Aborted);
    let satisfied = agents.values().filter(|agent| agent.jobs > 0);
    let satisfied: Vec<f64> = satisfied.map(|agent| 1.0 - agent.violated as f64 / agent.jobs as f64).collect();
    let seconds = |at: Timestamp| at.0 as f64 / 1e3;
    let figures = Figures {
        agents: agents.len(),
        jobs: sum(|agent| agent.jobs),
        violated: sum(|agent| agent.violated),
        failed: outcome.tallies.values().map(|tally| tally.failed).sum(),
        expected_share: standing.map(|standing| standing.share),
        best_share: standing.map(|standing| standing.best_share),
        on_best: standing.map(|standing| standing.is_best),
        actions: sum(|agent| agent.actions),
        moves: kind(ActionType::Move),
        copies: kind(ActionType::Copy),
        references_changed: kind(ActionType::ChangeReference),
        evicts: kind(ActionType::Evict),
        actions_failed: actions().filter(not_done).count() as u64,
        action_cost: actions().map(|event| cost(scenario, event)).sum(),
        bytes_moved: seen.bytes_moved,
        first_violation_s: seen.first_violation.map(seconds),
        last_action_s: actions().map(|event| event.posted_at).max().map(seconds),
        replicas_mean: seen.replicas_mean,
        replicas_end: outcome.snapshot.placement.nodes().len(),
        changes: seen.changes,
        oscillations: seen.oscillations,
        fairness: jain(&satisfied),
        messages_per_agent_hour: sum(|agent| agent.messages) as f64 / (agents.len().max(1) as f64 * hours),
        decisions: seen.decisions,
        decision_us: (seen.decisions > 0).then(|| planned.as_secs_f64() * 1e6 / seen.decisions as f64),
        converged: outcome.converged,
    };
    Run { figures, agents, series: seen.samples, placements: seen.placements }
}

fn agents(scenario: &Scenario, outcome: &Outcome) -> BTreeMap<AgentId, AgentFigures> {
    let mut agents: BTreeMap<AgentId, AgentFigures> =
        scenario.agents.keys().map(|agent| (*agent, AgentFigures::default())).collect();
    for (agent, figures) in &mut agents {
        if let Some(tally) = outcome.tallies.get(agent) {
            (figures.jobs, figures.violated, figures.messages) = (tally.jobs, tally.violated, tally.messages);
        }
    }
    for event in &outcome.events {
        let figures = agents.entry(event.agent).or_default();
        figures.actions += u64::from(event.action != Action::Nothing);
    }
    agents
}

/// As the acting agent states it.
fn cost(scenario: &Scenario, event: &Event) -> f64 {
    let costs = scenario.agents.get(&event.agent).map(|agent| &agent.costs);
    costs.and_then(|costs| costs.get(&event.action.kind())).copied().unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::grid::{Place, cells};
    use super::*;
    use crate::config::{Vocabulary, experiment};
    use crate::sim::ALL_POLICIES;
    use std::path::Path;

    const VOCABULARY: Vocabulary = Vocabulary { policies: &ALL_POLICIES, expression: |_| Ok(()) };

    fn published(policy: &str, seed: u64, hours: f64) -> Run {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/experiments/published.toml");
        let experiment = experiment::load(&file, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"));
        let cell = cells(&experiment).swap_remove(0);
        let cell = Cell { place: Place { policy: policy.to_owned(), seed, ..cell.place }, ..cell };
        simulate(&experiment.subjects[0].scenario, &cell, hours).unwrap()
    }

    /// What differs from one time to the next.
    fn timeless(run: Run) -> Run {
        Run { figures: Figures { decision_us: None, ..run.figures }, ..run }
    }

    #[test]
    fn a_run_has_the_same_figures_every_time_but_for_the_time_of_deciding() {
        let run = published("fixed", 3, 1.0);
        assert!(run.figures.decision_us.is_some_and(|us| us > 0.0));
        assert_eq!(timeless(run), timeless(published("fixed", 3, 1.0)));
    }

    #[test]
    fn figures_agree_with_each_other() {
        let Run { figures, agents, series, placements } = published("reference", 1, 1.0);
        assert_eq!((figures.agents, agents.len(), series.len()), (3, 3, 120));
        assert_eq!(figures.actions, figures.moves + figures.copies + figures.references_changed + figures.evicts);
        let last = series[119];
        assert_eq!((last.at_s, last.jobs, last.violated), (3600.0, figures.jobs, figures.violated));
        let end = &placements[placements.len() - 1];
        assert_eq!((last.replicas, end.layout.replicas.len()), (figures.replicas_end, figures.replicas_end));
        assert_eq!(figures.changes, 1 + figures.actions, "nothing failed, so every action changed the placement");
        assert!(placements.windows(2).all(|pair| pair[0].at_s <= pair[1].at_s));
        assert!(figures.first_violation_s < figures.last_action_s && figures.converged);
        assert!((1.0..=3.0).contains(&figures.replicas_mean) && (0.5..=1.0).contains(&figures.fairness));
        // Who acts measures again at once, so there are at least as many decisions as actions.
        assert!(figures.decisions >= figures.actions);
        let messages: u64 = agents.values().map(|agent| agent.messages).sum();
        assert_eq!(figures.messages_per_agent_hour, messages as f64 / 3.0);
    }

    /// The published system turns back 3.4 times in a run of this scenario, in the mean over 200 seeds.
    #[test]
    fn the_published_policy_oscillates_as_the_published_system_does() {
        let seeds = 1..=40;
        let sum: u64 = seeds.clone().map(|seed| published("reference", seed, 0.5).figures.oscillations).sum();
        let mean = sum as f64 / seeds.count() as f64;
        assert!((2.8..=4.0).contains(&mean), "{mean}");
    }
}
