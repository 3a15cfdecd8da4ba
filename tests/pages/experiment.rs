//! A file as `agent experiment` writes it, with runs that might have been.

use agent_laboratory::results::{Database, Json, Placed, Results, Run, Sample};
use rusqlite::Connection;
use std::path::Path;

/// From the worst to the best, the last two knowing the future.
pub const POLICIES: [&str; 12] = [
    "none",
    "random",
    "q-learning",
    "ucb",
    "greedy",
    "reference",
    "fixed",
    "vote",
    "keep-copy",
    "cooperative",
    "oracle-late",
    "oracle",
];
/// Violated jobs of a run, about.
const VIOLATED: [u64; 12] = [240, 60, 28, 22, 14, 9, 7, 6, 5, 1, 2, 0];
/// Of each run.
pub const SAMPLES: usize = 120;
const LASTS_S: f64 = 14_400.0;

/// Writes runs of every policy in these scenarios with as many seeds; says how many there are.
pub fn write(path: &Path, scenarios: &[&str], seeds: u64) -> usize {
    let mut database = Database::open(path, "rivals", "All policies.", "agent 0.1.0").expect("a database");
    let mut id = 0;
    for seed in 1..=seeds {
        for scenario in scenarios {
            for (policy, violated) in POLICIES.into_iter().zip(VIOLATED) {
                id += 1;
                let violated = violated + chance(id, violated.isqrt() + 1);
                let run = run(id, (scenario, policy, seed), violated);
                let (series, placements) = (series(violated), placements(id));
                database.store(&Results { run, agents: Vec::new(), series, placements }).expect("a run");
            }
        }
    }
    id as usize
}

/// Changes a file as somebody might by hand.
pub fn change(path: &Path, sql: &str) {
    Connection::open(path).and_then(|connection| connection.execute_batch(sql)).expect("a change");
}

fn run(id: u64, (scenario, policy, seed): (&str, &str, u64), violated: u64) -> Run {
    let actions = if policy == "none" { 0 } else { violated.min(100) };
    Run {
        id: id as i64,
        scenario: scenario.to_owned(),
        policy: policy.to_owned(),
        factors: Json::default(),
        seed,
        hours: LASTS_S / 3600.0,
        identity: format!("{scenario} {policy} {seed}"),
        agents: 3,
        jobs: 1200,
        violated,
        failed: 0,
        expected_share: Some(violated as f64 / 1200.0),
        best_share: Some(0.0),
        on_best: Some(policy == "oracle"),
        actions,
        moves: actions / 2,
        copies: actions / 4,
        references_changed: actions / 4,
        evicts: 0,
        actions_failed: 0,
        action_cost: 1.5 * actions as f64,
        bytes_moved: 322_085_706 * (actions / 2),
        first_violation_s: (violated > 0).then_some(31.5),
        last_action_s: (actions > 0).then_some(60.0 * actions as f64),
        replicas_mean: 1.0 + chance(id, 100) as f64 / 100.0,
        replicas_end: 2,
        changes: actions + 1,
        oscillations: actions / 3,
        fairness: 1.0 - violated as f64 / 1000.0,
        messages_per_agent_hour: actions as f64 / 6.0,
        decisions: actions,
        decision_us: Some(5.5),
        converged: true,
    }
}

fn series(violated: u64) -> Vec<Sample> {
    let sample = |sample: u64| Sample {
        failed: 0,
        at_s: LASTS_S * sample as f64 / SAMPLES as f64,
        violated: violated * (sample * 4).min(SAMPLES as u64) / SAMPLES as u64,
        jobs: sample * 10,
        replicas: 2,
    };
    (1..=SAMPLES as u64).map(sample).collect()
}

fn placements(id: u64) -> Vec<Placed> {
    let placed =
        |sequence, at_s: f64, agent: Option<u32>, action: &str, replicas: &[u32], refs: [(u32, u32); 3]| Placed {
            sequence,
            at_s,
            began_s: agent.map(|_| at_s - 30.0),
            agent,
            action: action.to_owned(),
            replicas: Json(replicas.iter().copied().collect()),
            refs: Json(refs.into()),
        };
    vec![
        placed(0, 0.0, None, Placed::START, &[3], [(1, 3), (2, 3), (3, 3)]),
        placed(1, 62.5, Some(2), "M3_1", &[1], [(1, 1), (2, 1), (3, 1)]),
        placed(2, 110.0 + chance(id, 60) as f64, Some(1), "C1_2", &[1, 2], [(1, 2), (2, 1), (3, 1)]),
    ]
}

/// A number below `most`, the same each time for an id.
fn chance(id: u64, most: u64) -> u64 {
    (id.wrapping_mul(6_364_136_223_846_793_005) >> 33) % most
}
