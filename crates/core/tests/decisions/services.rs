//! Services: data follows their users, who wake on one node after the other.

use agent_core::config::Vocabulary;
use agent_core::config::scenario::{self, Scenario, write};
use agent_core::domain::measurement::JobTally;
use agent_core::mape::planner::POLICIES;
use agent_core::sim::{Options, Outcome, run};
use std::path::Path;
use std::time::Duration;

fn text() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios/live.toml");
    std::fs::read_to_string(file).unwrap()
}

fn read(text: &str) -> Result<Scenario, String> {
    let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
    scenario::parse("live.toml", text, &vocabulary).map_err(|error| error.to_string())
}

fn day(scenario: &Scenario, policy: &str, seed: u64) -> Outcome {
    let lasts = Duration::from_secs(24 * 3600);
    let options = Options { policy: Some(policy.to_owned()), seed, lasts, until_converged: false };
    run(scenario, &options, None, |_| {}).unwrap_or_else(|error| panic!("{policy}: {error}"))
}

/// The share of all windows that met their goal.
fn met(outcome: &Outcome) -> f64 {
    let mut all = JobTally::default();
    for tally in outcome.tallies.values() {
        (all.jobs, all.violated) = (all.jobs + tally.jobs + tally.failed, all.violated + tally.violated + tally.failed);
    }
    assert!(all.jobs > 1000, "{all:?}");
    1.0 - all.violated as f64 / all.jobs as f64
}

#[test]
fn data_follows_users_who_wander() {
    let scenario = read(&text()).unwrap();
    for seed in 1..=5 {
        let (cooperative, none) = (met(&day(&scenario, "cooperative", seed)), met(&day(&scenario, "none", seed)));
        assert!(cooperative >= 0.99, "seed {seed}: {cooperative}");
        assert!(none < 0.4, "seed {seed}: {none}");
        let oracle = met(&day(&scenario, "oracle", seed));
        // It hears of who is awake by a window, and does not let the next one wait for its move: one more is missed each time.
        assert!(oracle >= cooperative - 0.02, "seed {seed}: {oracle} and {cooperative}");
    }
}

/// The same with users who stay on a node for half an hour only, and one replica for all of them, as in `agent demo --live`.
fn hurried(window: &str) -> Scenario {
    let visits = |at: usize| {
        let day: Vec<&str> = (0..48).map(|visit| if visit % 3 == at { "2" } else { "0" }).collect();
        format!("window = \"{window}\"\ntraffic = {{ ticks = [{}], interval = \"30 min\" }}", day.join(", "))
    };
    let mut text = text().replace("max_replicas = 2", "max_replicas = 1");
    for at in 0..3 {
        let begins = text.find("traffic = ").unwrap();
        let ends = begins + text[begins..].find('}').unwrap() + 1;
        // The next one is found by its first letters.
        text.replace_range(begins..ends, &visits(at).replace("traffic", "TRAFFIC"));
    }
    read(&text.replace("TRAFFIC", "traffic")).unwrap()
}

#[test]
fn who_is_refused_by_those_who_still_seem_awake_is_not_kept_waiting_longer_each_day() {
    let scenario = hurried("30 s");
    for seed in 1..=3 {
        let outcome = day(&scenario, "cooperative", seed);
        let share = met(&outcome);
        assert!(share >= 0.95, "seed {seed}: {share}");
    }
    let none = met(&day(&scenario, "none", 1));
    assert!(none < 0.4, "{none}");
}

#[test]
fn a_service_is_written_as_it_was_read() {
    let scenario = read(&text()).unwrap();
    let again = write("again", &scenario);
    assert_eq!(read(&again).map_err(|error| format!("{error}\n{again}")).unwrap(), scenario);
}

#[test]
fn what_a_service_cannot_be_is_told_with_all_else() {
    let check = |from: &str, to: &str, expected: &str| {
        let text = text().replacen(from, to, 1);
        let told = read(&text).expect_err("it is refused");
        assert!(told.contains(expected), "{told}");
    };
    let answer = "answer = \"64 kB\"";
    check(answer, "answer = \"64 kB\"\nconnections = 0", "agent 1: service.connections: 0 is out of range");
    check(answer, "answer = \"64 kB\"\nspread = 9.0", "agent 1: service.spread: 9 is out of range");
    check(answer, "answer = \"64 kB\"\nwindow = \"0 s\"", "agent 1: job.window");
    check("ticks = [10,", "ticks = [-10,", "-10");
    check("ticks = [10,", "ticks = [1e6,", "agent 1: service.traffic: 1000000 requests come in a second");
    let job = "id = 2\ngoal = \"response_time_p95 <= 1 s and error_rate <= 1 %\"\n[agent.service]\nanswer = \"64 kB\"\ntraffic = ";
    let only_a_job = "id = 2\ngoal = \"response_time_p95 <= 1 s\"\n[agent.impacts]\n#";
    check(job, only_a_job, "agent 2: goal: speaks of response_time_p95, which only the requests to a service show");
}
