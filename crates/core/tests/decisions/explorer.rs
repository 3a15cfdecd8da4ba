//! The explorer for a few seconds: random worlds of which none may fail; and what it found once, which must never fail again.

use agent_core::config::Vocabulary;
use agent_core::config::scenario;
use agent_core::mape::planner::POLICIES;
use agent_core::sim::explore::{Coverage, RandomWorld, judge, make};
use std::path::{Path, PathBuf};

const VOCABULARY: Vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
const SEED: u64 = 1;
const WORLDS: u64 = 40;

/// `EXPLORE_WORLDS=10000` makes it look for longer; `agent explore` does it on all cores and makes what fails smaller.
#[test]
fn random_worlds_heal_and_come_to_rest() {
    let asked = std::env::var("EXPLORE_WORLDS").ok().and_then(|worlds| worlds.parse().ok());
    let mut coverage = Coverage::default();
    let failed: Vec<String> = (0..asked.unwrap_or(WORLDS))
        .filter_map(|number| {
            let failure = judge(&make(SEED, number), &mut coverage)?;
            Some(format!("world {number} of seed {SEED}: {}", failure.what))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    // What can be seen in so few worlds is seen.
    let missing: Vec<String> = coverage.missing().into_iter().filter(|what| what.starts_with("faults")).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn what_is_written_down_runs_as_it_was_made() {
    for number in 0..5 {
        let made = make(SEED, number);
        let text = scenario::write("A remark.", &made.scenario);
        let again =
            scenario::parse("written.toml", &text, &VOCABULARY).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let runs = [made.scenario, again].map(|scenario| {
            let mut coverage = Coverage::default();
            (judge(&RandomWorld { scenario, seed: made.seed }, &mut coverage), coverage)
        });
        assert_eq!(runs[0], runs[1], "world {number}");
    }
}

/// Each file in `fixtures/found`, where whatever the explorer finds is kept.
#[test]
fn what_was_found_is_mended() {
    for file in found() {
        let scenario = scenario::load(&file, &VOCABULARY).unwrap_or_else(|error| panic!("{error}"));
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert_eq!(scenario.name, name, "a scenario is called as its file");
        let seed = name.rsplit_once("_seed_").and_then(|(_, seed)| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| panic!("{name}: a file is called ..._seed_N"));
        let failure = judge(&RandomWorld { scenario, seed }, &mut Coverage::default());
        assert_eq!(failure, None, "{name}");
    }
}

fn found() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/found");
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut scenarios: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    scenarios.sort();
    scenarios
}
