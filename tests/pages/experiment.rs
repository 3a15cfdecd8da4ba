//! A file as `agent experiment` writes it, with runs that might have been.

use rusqlite::{Connection, Statement, params};
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

const TABLES: &str = "
create table experiment (name text, about text, format integer, written_by text);
create table runs (
    id integer primary key, scenario text, policy text, factors text, seed integer, hours real, identity text unique,
    agents integer, jobs integer, violated integer, failed integer, expected_share real, best_share real, on_best integer,
    actions integer, moves integer, copies integer, references_changed integer, evicts integer, actions_failed integer,
    action_cost real, bytes_moved integer, first_violation_s real, last_action_s real, replicas_mean real,
    replicas_end integer, changes integer, oscillations integer, fairness real, messages_per_agent_hour real,
    decisions integer, decision_us real, converged integer);
create table run_series (run integer, at_s real, violated integer, jobs integer, replicas integer, primary key (run, at_s));
create table run_placements (
    run integer, sequence integer, at_s real, agent integer, action text, replicas text, refs text,
    primary key (run, sequence));
pragma application_id = 1634170992;";

/// Writes runs of every policy in these scenarios with as many seeds; says how many there are.
pub fn write(path: &Path, scenarios: &[&str], seeds: u64) -> usize {
    let mut connection = Connection::open(path).expect("a database");
    let transaction = connection.transaction().expect("a transaction");
    transaction.execute_batch(TABLES).expect("tables");
    let head = params!["rivals", "All policies.", 1, "agent 0.1.0"];
    transaction.execute("insert into experiment values (?, ?, ?, ?)", head).expect("a head");
    let mut id = 0;
    {
        let columns = vec!["?"; 33].join(", ");
        let mut runs = transaction.prepare(&format!("insert into runs values ({columns})")).expect("a statement");
        let mut series = transaction.prepare("insert into run_series values (?, ?, ?, ?, ?)").expect("a statement");
        let mut placements =
            transaction.prepare("insert into run_placements values (?, ?, ?, ?, ?, ?, ?)").expect("a statement");
        for seed in 1..=seeds {
            for scenario in scenarios {
                for (policy, violated) in POLICIES.into_iter().zip(VIOLATED) {
                    id += 1;
                    let violated = violated + chance(id, violated.isqrt() + 1);
                    add_run(&mut runs, id, (scenario, policy, seed), violated);
                    add_course(&mut series, &mut placements, id, violated);
                }
            }
        }
    }
    transaction.commit().expect("a commit");
    id as usize
}

/// Changes a file as somebody might by hand.
pub fn change(path: &Path, sql: &str) {
    Connection::open(path).and_then(|connection| connection.execute_batch(sql)).expect("a change");
}

fn add_run(runs: &mut Statement, id: u64, (scenario, policy, seed): (&str, &str, u64), violated: u64) {
    let actions = if policy == "none" { 0 } else { violated.min(100) };
    let last_action = (actions > 0).then_some(60.0 * actions as f64);
    let row = params![
        id,
        scenario,
        policy,
        "{}",
        seed,
        LASTS_S / 3600.0,
        format!("{scenario} {policy} {seed}"),
        3,
        1200,
        violated,
        0,
        violated as f64 / 1200.0,
        0.0,
        policy == "oracle",
        actions,
        actions / 2,
        actions / 4,
        actions / 4,
        0,
        0,
        1.5 * actions as f64,
        322_085_706 * (actions / 2),
        (violated > 0).then_some(31.5),
        last_action,
        1.0 + chance(id, 100) as f64 / 100.0,
        2,
        actions + 1,
        actions / 3,
        1.0 - violated as f64 / 1000.0,
        actions as f64 / 6.0,
        actions,
        5.5,
        true,
    ];
    runs.execute(row).expect("a run");
}

fn add_course(series: &mut Statement, placements: &mut Statement, id: u64, violated: u64) {
    for sample in 1..=SAMPLES as u64 {
        let at = LASTS_S * sample as f64 / SAMPLES as f64;
        let so_far = violated * (sample * 4).min(SAMPLES as u64) / SAMPLES as u64;
        series.execute(params![id, at, so_far, sample * 10, 2]).expect("a sample");
    }
    let changes = [
        (0.0, None, "start", "[3]", r#"{"1":3,"2":3,"3":3}"#),
        (62.5, Some(2), "M3_1", "[1]", r#"{"1":1,"2":1,"3":1}"#),
        (110.0 + chance(id, 60) as f64, Some(1), "C1_2", "[1,2]", r#"{"1":2,"2":1,"3":1}"#),
    ];
    for (sequence, (at, agent, action, replicas, references)) in changes.into_iter().enumerate() {
        placements.execute(params![id, sequence, at, agent, action, replicas, references]).expect("a placement");
    }
}

/// A number below `most`, the same each time for an id.
fn chance(id: u64, most: u64) -> u64 {
    (id.wrapping_mul(6_364_136_223_846_793_005) >> 33) % most
}
