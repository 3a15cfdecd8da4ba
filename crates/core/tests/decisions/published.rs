//! The policy `reference` in virtual time against the published system, whose own decision code was run in the same three
//! environments, 200 seeds of 4 hours each (docs/simulator.md has the comparison over as many).
//!
//! Fewer seeds here, to be quick: a mean may differ by the stated share and by two of its standard errors.

use agent_core::config::Vocabulary;
use agent_core::config::scenario::{self, Scenario};
use agent_core::domain::action::Action;
use agent_core::sim::{Options, Outcome, run};
use std::path::Path;
use std::time::Duration;

const VOCABULARY: Vocabulary = Vocabulary { policies: &["cooperative", "fixed", "reference"], expression: |_| Ok(()) };
const LASTS: Duration = Duration::from_secs(4 * 3600);

fn scenario(name: &str) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/scenarios/{name}.toml"));
    scenario::load(&file, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"))
}

/// Violated jobs, actions, moves and copies, time of the last action.
type Figures = [f64; 4];

const NAMES: [&str; 4] = ["violated jobs", "actions", "moves and copies", "last action"];

fn figures(outcome: &Outcome, since_s: f64) -> Figures {
    let actions: Vec<_> = outcome.events.iter().filter(|event| event.action != Action::Nothing).collect();
    let transfers = actions.iter().filter(|event| event.action.transfers()).count();
    let last = actions.last().map_or(0.0, |event| event.posted_at.0 as f64 / 1e3 - since_s);
    let violated: u64 = outcome.tallies.values().map(|tally| tally.violated).sum();
    [violated as f64, actions.len() as f64, transfers as f64, last]
}

/// Mean and its standard error.
fn estimate(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// `published`: the published system's means; what is not compared is absent.
fn check(name: &str, seeds: u64, since_s: f64, share: f64, published: [Option<f64>; 4]) {
    let scenario = scenario(name);
    let simulated = |seed| {
        let options = Options { policy: Some("reference".to_owned()), seed, lasts: LASTS, until_converged: false };
        let outcome = run(&scenario, &options, None, |_| {});
        figures(&outcome.unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}")), since_s)
    };
    let all: Vec<Figures> = (1..=seeds).map(simulated).collect();
    for (index, published) in published.into_iter().enumerate() {
        let Some(published) = published else { continue };
        let values: Vec<f64> = all.iter().map(|figures| figures[index]).collect();
        let (mean, error) = estimate(&values);
        let allowed = share * published + 2.0 * error;
        let what = NAMES[index];
        assert!(
            (mean - published).abs() <= allowed,
            "{name}: {what}: {mean:.2}, published {published} +- {allowed:.2}"
        );
    }
}

#[test]
fn published() {
    check("published", 60, 0.0, 0.05, [Some(9.2), Some(8.0), Some(7.8), Some(418.0)]);
}

#[test]
fn drift() {
    check("drift", 60, 7200.0, 0.05, [Some(10.4), Some(9.3), Some(8.0), Some(45.0)]);
}

/// Replicas do not pile up on a node here, so more of them are moved and copied: docs/simulator.md.
#[test]
fn hopeless() {
    check("hopeless", 10, 0.0, 0.05, [Some(531.0), Some(520.0), None, None]);
}
