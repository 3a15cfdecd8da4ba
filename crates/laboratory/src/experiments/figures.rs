//! One run: made, and what it came to.

use super::grid::Cell;
use super::observer::{self, Observed, Observer};
use crate::results::{AgentFigures, Json, Placed, Results, Run};
use agent_core::config::scenario::Scenario;
use agent_core::domain::action::{Action, ActionType};
use agent_core::domain::event::{Event, Outcome as EventOutcome};
use agent_core::domain::fairness::jain;
use agent_core::domain::ids::AgentId;
use agent_core::domain::time::Timestamp;
use agent_core::sim::{self, Options, Outcome, Planning, SimulationError, Stopwatch, Told};
use std::cell::Cell as Shared;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Makes the run of a cell, to be stored under this number. `scenario` is the one of its subject, with its network.
pub fn simulate(scenario: &Scenario, id: i64, cell: &Cell, hours: f64) -> Result<Results, SimulationError> {
    let lasts = Duration::from_secs_f64(hours * 3600.0);
    let options =
        Options { policy: Some(cell.place.policy.clone()), seed: cell.place.seed, lasts, until_converged: false };
    let mut observer = Observer::new(lasts);
    let planned = Rc::new(Shared::new(Duration::ZERO));
    let mut tell = |at: Timestamp, told: &Told| observer.hear(at, told);
    let outcome = sim::run_timed(scenario, &options, Some(&mut tell), Some(stopwatch(planned.clone())), |_| {})?;
    let run = Run {
        id,
        scenario: cell.place.scenario.clone(),
        policy: cell.place.policy.clone(),
        factors: Json(cell.place.factors.clone()),
        seed: cell.place.seed,
        hours,
        identity: cell.identity.clone(),
        ..Run::default()
    };
    Ok(compose(scenario, run, &outcome, observer.finish(), planned.get()))
}

/// Adds up how long planners work.
fn stopwatch(total: Rc<Shared<Duration>>) -> Stopwatch {
    let began = Shared::new(Instant::now());
    Rc::new(move |planning| match planning {
        Planning::Begins => began.set(Instant::now()),
        Planning::Ends => total.set(total.get() + began.get().elapsed()),
    })
}

fn compose(scenario: &Scenario, run: Run, outcome: &Outcome, seen: Observed, planned: Duration) -> Results {
    let agents = agents(scenario, outcome);
    let standing = outcome.standing(scenario);
    let sum = |figure: fn(&AgentFigures) -> u64| agents.iter().map(figure).sum::<u64>();
    let actions = || outcome.events.iter().filter(|event| event.action != Action::Nothing);
    let kind = |kind| actions().filter(|event| event.action.kind() == kind).count() as u64;
    let not_done = |event: &&Event| matches!(event.outcome, EventOutcome::Failed | EventOutcome::Aborted);
    let satisfied = agents.iter().filter(|agent| agent.jobs > 0);
    let satisfied: Vec<f64> = satisfied.map(|agent| 1.0 - agent.violated as f64 / agent.jobs as f64).collect();
    let seconds = |at: Timestamp| at.0 as f64 / 1e3;
    let agent_hours = agents.len().max(1) as f64 * run.hours;
    let run = Run {
        agents: agents.len() as u64,
        jobs: sum(|agent| agent.jobs),
        violated: sum(|agent| agent.violated),
        failed: sum(|agent| agent.failed),
        expected_share: standing.map(|standing| standing.share),
        best_share: standing.map(|standing| standing.best_share),
        on_best: standing.map(|standing| standing.is_best),
        actions: sum(|agent| agent.actions),
        moves: kind(ActionType::Move),
        copies: kind(ActionType::Copy),
        references_changed: kind(ActionType::ChangeReference),
        evicts: kind(ActionType::Evict),
        actions_failed: actions().filter(not_done).count() as u64,
        action_cost: actions().map(|event| scenario.cost(event.agent, event.action)).sum(),
        bytes_moved: seen.bytes_moved,
        first_violation_s: seen.first_violation.map(seconds),
        last_action_s: actions().map(|event| event.posted_at).max().map(seconds),
        replicas_mean: seen.replicas_mean,
        replicas_end: outcome.snapshots.iter().map(|snapshot| snapshot.placement.nodes().len() as u64).sum(),
        changes: seen.changes,
        oscillations: seen.oscillations,
        fairness: jain(&satisfied),
        messages_per_agent_hour: sum(|agent| agent.messages) as f64 / agent_hours,
        decisions: seen.decisions,
        decision_us: (seen.decisions > 0).then(|| planned.as_secs_f64() * 1e6 / seen.decisions as f64),
        converged: outcome.converged,
        ..run
    };
    Results { run, agents, series: seen.samples, placements: (0..).zip(&seen.placements).map(placed).collect() }
}

fn placed((sequence, seen): (u64, &observer::Placed)) -> Placed {
    let (agent, action) = match &seen.by {
        Some((agent, action)) => (Some(agent.0), action.to_string()),
        None if seen.at_s == 0.0 => (None, Placed::START.to_owned()),
        None => (None, Placed::JOIN.to_owned()),
    };
    Placed {
        sequence,
        at_s: seen.at_s,
        began_s: seen.began_s,
        agent,
        action,
        replicas: Json(seen.layout.replicas.iter().map(|node| node.0).collect()),
        refs: Json(seen.layout.references.iter().map(|(agent, node)| (agent.0, node.0)).collect()),
    }
}

/// By their numbers.
fn agents(scenario: &Scenario, outcome: &Outcome) -> Vec<AgentFigures> {
    let nothing = |agent: AgentId| AgentFigures { agent: agent.0, ..AgentFigures::default() };
    let mut agents: BTreeMap<AgentId, AgentFigures> =
        scenario.agents.keys().map(|agent| (*agent, nothing(*agent))).collect();
    for (agent, figures) in &mut agents {
        if let Some(tally) = outcome.tallies.get(agent) {
            (figures.jobs, figures.violated) = (tally.jobs, tally.violated);
            (figures.failed, figures.messages) = (tally.failed, tally.messages);
        }
    }
    for event in &outcome.events {
        let figures = agents.entry(event.agent).or_insert_with(|| nothing(event.agent));
        figures.actions += u64::from(event.action != Action::Nothing);
    }
    agents.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::grid::{Place, cells};
    use super::*;
    use agent_core::config::{Vocabulary, experiment};
    use agent_core::sim::ALL_POLICIES;
    use std::path::Path;

    const VOCABULARY: Vocabulary = Vocabulary { policies: &ALL_POLICIES, expression: |_| Ok(()) };

    fn published(policy: &str, seed: u64, hours: f64) -> Results {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/experiments/published.toml");
        let experiment = experiment::load(&file, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"));
        let cell = cells(&experiment).swap_remove(0);
        let cell = Cell { place: Place { policy: policy.to_owned(), seed, ..cell.place }, ..cell };
        simulate(&experiment.subjects[0].scenario, 1, &cell, hours).unwrap()
    }

    /// What differs from one time to the next.
    fn timeless(results: Results) -> Results {
        Results { run: Run { decision_us: None, ..results.run }, ..results }
    }

    #[test]
    fn a_run_has_the_same_figures_every_time_but_for_the_time_of_deciding() {
        let run = published("fixed", 3, 1.0);
        assert!(run.run.decision_us.is_some_and(|us| us > 0.0));
        assert_eq!(timeless(run), timeless(published("fixed", 3, 1.0)));
    }

    #[test]
    fn figures_agree_with_each_other() {
        let Results { run, agents, series, placements } = published("reference", 1, 1.0);
        assert_eq!((run.agents, agents.len(), series.len()), (3, 3, 120));
        assert_eq!(run.actions, run.moves + run.copies + run.references_changed + run.evicts);
        let last = &series[119];
        assert_eq!((last.at_s, last.jobs, last.violated), (3600.0, run.jobs, run.violated));
        let end = &placements[placements.len() - 1];
        assert_eq!((last.replicas, end.replicas.0.len() as u64), (run.replicas_end, run.replicas_end));
        assert_eq!(run.changes, 1 + run.actions, "nothing failed, so every action changed the placement");
        assert!(placements.windows(2).all(|pair| pair[0].at_s <= pair[1].at_s));
        assert!(run.first_violation_s < run.last_action_s && run.converged);
        assert!((1.0..=3.0).contains(&run.replicas_mean) && (0.5..=1.0).contains(&run.fairness));
        // Who acts measures again at once, so there are at least as many decisions as actions.
        assert!(run.decisions >= run.actions);
        let messages: u64 = agents.iter().map(|agent| agent.messages).sum();
        assert_eq!(run.messages_per_agent_hour, messages as f64 / 3.0);
    }

    /// The published system turns back 3.4 times in a run of this scenario, in the mean over 200 seeds.
    #[test]
    fn the_published_policy_oscillates_as_the_published_system_does() {
        let seeds = 1..=40;
        let sum: u64 = seeds.clone().map(|seed| published("reference", seed, 0.5).run.oscillations).sum();
        let mean = sum as f64 / seeds.count() as f64;
        assert!((2.8..=4.0).contains(&mean), "{mean}");
    }
}
