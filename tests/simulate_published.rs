//! The policy `reference` in virtual time against the published system, whose own decision code was run in the same three
//! environments over 200 seeds (the figures are in docs/simulator.md).

use agent::config::Vocabulary;
use agent::config::scenario::{self, Scenario};
use agent::domain::action::Action;
use agent::sim::{Options, Outcome, run};
use std::path::Path;
use std::time::Duration;

const VOCABULARY: Vocabulary = Vocabulary { policies: &["fixed", "reference"], expression: |_| Ok(()) };
const HOURS: u64 = 4;

fn scenario(name: &str) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/scenarios/{name}.toml"));
    scenario::load(&file, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"))
}

/// What a run came to.
#[derive(Clone, Copy, Default, Debug)]
struct Figures {
    jobs: f64,
    violated: f64,
    actions: f64,
    moves_and_copies: f64,
    last_action_s: f64,
    replicas: f64,
}

impl Figures {
    fn of(outcome: &Outcome, since_s: f64) -> Self {
        let chosen: Vec<_> = outcome.events.iter().filter(|event| event.action != Action::Nothing).collect();
        let transfers = chosen.iter().filter(|event| event.action.transfers()).count();
        Self {
            jobs: outcome.tallies.values().map(|tally| tally.jobs as f64).sum(),
            violated: outcome.tallies.values().map(|tally| tally.violated as f64).sum(),
            actions: chosen.len() as f64,
            moves_and_copies: transfers as f64,
            last_action_s: chosen.last().map_or(0.0, |event| event.posted_at.0 as f64 / 1e3 - since_s),
            replicas: outcome.snapshot.placement.present().count() as f64,
        }
    }

    fn mean(all: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        Self {
            jobs: mean(|one| one.jobs),
            violated: mean(|one| one.violated),
            actions: mean(|one| one.actions),
            moves_and_copies: mean(|one| one.moves_and_copies),
            last_action_s: mean(|one| one.last_action_s),
            replicas: mean(|one| one.replicas),
        }
    }
}

fn figures(name: &str, seeds: u64, since_s: f64) -> Figures {
    let scenario = scenario(name);
    let one = |seed| {
        let options = Options { policy: Some("reference".to_owned()), seed, lasts: Duration::from_secs(HOURS * 3600) };
        let outcome =
            run(&scenario, &options, None, |_| {}).unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}"));
        Figures::of(&outcome, since_s)
    };
    let all: Vec<Figures> = (1..=seeds).map(one).collect();
    let mut last: Vec<f64> = all.iter().map(|one| one.last_action_s).collect();
    last.sort_by(f64::total_cmp);
    println!(
        "last p5 {} p25 {} p50 {} p75 {} p95 {} max {:?}",
        last[seeds as usize / 20],
        last[seeds as usize / 4],
        last[seeds as usize / 2],
        last[seeds as usize * 3 / 4],
        last[seeds as usize * 19 / 20],
        &last[seeds as usize - 5..]
    );
    let mean = Figures::mean(&all);
    println!("{name}: {mean:?}");
    mean
}

#[test]
fn published() {
    let t = std::time::Instant::now();
    figures("published", 200, 0.0);
    println!("{:?}", t.elapsed());
}
#[test]
fn drift() {
    figures("drift", 200, 7200.0);
}
#[test]
fn hopeless() {
    let t = std::time::Instant::now();
    figures("hopeless", 20, 0.0);
    println!("{:?}", t.elapsed());
}
