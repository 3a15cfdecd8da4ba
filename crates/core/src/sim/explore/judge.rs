//! Runs a world to the moment when everything must have healed.

use super::coverage::Coverage;
use super::world::RandomWorld;
use crate::config::scenario::Scenario;
use crate::domain::time::Timestamp;
use crate::sim::{Simulation, SimulationError, Start, expand};
use serde::Serialize;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What a world that says nothing of its calm is run for.
const WITHOUT_CALM: Duration = Duration::from_secs(4 * 3600);

/// Why a world fails.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Failure {
    /// The number of the invariant, or `panic`: what fails for the same reason has the same sign.
    pub sign: String,
    /// In words, with the time.
    pub what: String,
}

/// The first failure of a world, if it fails; `coverage` counts what was seen in it.
pub fn judge(world: &RandomWorld, coverage: &mut Coverage) -> Option<Failure> {
    let mut seen = Coverage::of(&world.scenario);
    // What was counted when it panicked is not looked at again.
    let ended = catch_unwind(AssertUnwindSafe(|| run(&world.scenario, world.seed, &mut seen)));
    coverage.add(&seen);
    match ended {
        Ok(Ok(())) => None,
        Ok(Err(SimulationError::Violated(violated))) => {
            Some(Failure { sign: violated.invariant.to_string(), what: violated.to_string() })
        }
        Ok(Err(error)) => Some(Failure { sign: "refused".to_owned(), what: error.to_string() }),
        Err(panic) => Some(Failure { sign: "panic".to_owned(), what: message(panic.as_ref()) }),
    }
}

fn run(scenario: &Scenario, seed: u64, seen: &mut Coverage) -> Result<(), SimulationError> {
    let scenario = expand(scenario.clone());
    let lasts = scenario.calm.map_or(WITHOUT_CALM, |calm| calm.healed_by);
    let mut heard = Coverage::default();
    let mut simulation = Simulation::new(&scenario, Start { seed, ..Start::default() })?;
    simulation.listen(Some(Box::new(|_, told| heard.hear(told))));
    simulation.count_states();
    let ran = simulation.run(Timestamp::default() + lasts, |_| {});
    let (states, outcome) = (simulation.states(), simulation.outcome());
    drop(simulation);
    seen.add(&heard);
    seen.end(&states, &outcome);
    ran
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it says nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::make;
    use super::*;

    #[test]
    fn a_world_is_always_the_same() {
        let both = [0, 0].map(|_| {
            let mut coverage = Coverage::default();
            (make(7, 3), judge(&make(7, 3), &mut coverage), coverage)
        });
        assert_eq!(both[0], both[1]);
        assert_ne!(make(7, 3), make(7, 4));
        assert_ne!(make(7, 3), make(8, 3));
    }

    #[test]
    fn a_panic_is_a_failure_with_its_words() {
        let mut world = make(1, 1);
        // What no file can say, for loading refuses it: a change of a link to nowhere.
        world.scenario.changes.insert(
            0,
            crate::config::scenario::Change {
                at: Duration::ZERO,
                links: vec![crate::domain::placement::Link {
                    from: crate::domain::ids::NodeId(98),
                    to: crate::domain::ids::NodeId(99),
                    latency_ms: 1.0,
                    jitter_ms: 0.0,
                }],
                availability: Vec::new(),
                join: Vec::new(),
            },
        );
        let failure = judge(&world, &mut Coverage::default()).unwrap();
        assert_eq!(failure.sign, "panic");
        assert!(failure.what.contains("the scenario was validated"), "{failure:?}");
    }
}
