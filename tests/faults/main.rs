//! Three agents with real stores and a real table, and everything that goes wrong in life; seeded, and checked by others than
//! those who break it.
//!
//! ```text
//! cargo test --test faults                                           some minutes, every kind of fault
//! FAULTS_SECONDS=1800 FAULTS_SEED=7 cargo test --test faults -- --nocapture
//! FAULTS_TABLE=sqlite cargo test --test faults                       without a database server
//! ```
//!
//! The seed repeats what is done when; what it hits is the machine's to say.

mod checkers;
mod middleman;
#[path = "../network/mod.rs"]
mod network;
mod schedule;
mod server;
mod small_disk;
mod stage;
mod table;
mod vanished;

use checkers::Witness;
use network::edits::{EXPLORE, Edit, RESTLESS, SLOW_LINKS, goals};
use network::mariadb::PASSWORD;
use network::secrets::Secrets;
use network::{PATIENCE, Place, comes_true};
use schedule::{AGENTS, ROUNDS_FOR_EVERY_KIND, STORES};
use stage::{SECRET_ACCESS_KEY, Stage};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use table::Table;

/// Faults are injected for so long, unless FAULTS_SECONDS says otherwise; every kind once takes about this.
const SECONDS: u64 = 100;
/// Four hours of the scenario at the shipped scale.
const CONVERGES_WITHIN: Duration = Duration::from_secs(4 * 3600 / 50);

/// Goals that hold with a copy for each of agents 1 and 2.
const ATTAINABLE: [Edit; 3] =
    goals(["network_latency <= 1000 ms", "network_latency <= 1000 ms", "data_consistency >= 0.4"]);
/// On a busy machine a process may be silent for a while.
const PATIENT: Edit = ("network.toml", "heartbeat = \"10 s\"", "heartbeat = \"30 s\"");

fn setting<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().ok().unwrap_or_else(|| panic!("{name}={text}: not usable")))
}

#[test]
fn faults_are_survived() {
    let (seed, seconds) = (setting("FAULTS_SEED", 1), setting("FAULTS_SECONDS", SECONDS));
    println!("FAULTS_SEED={seed} FAULTS_SECONDS={seconds}");
    let mut stage = set_up();
    println!("the shared table: {}", stage.table.name());
    let restless = configuration(&stage, "restless", &[&RESTLESS[..], &[EXPLORE]].concat());
    let attainable = configuration(&stage, "attainable", &ATTAINABLE);
    let mut witness = Witness::default();

    stage.config = restless;
    stage.supervise();
    stage.table.watch();
    heal(&mut stage);
    let began = Instant::now();
    let (mut rounds, mut healed_within) = (0, Vec::new());
    while rounds < ROUNDS_FOR_EVERY_KIND || began.elapsed() < Duration::from_secs(seconds) {
        println!("round {rounds}");
        stage.play(&schedule::round(seed, rounds));
        healed_within.push(heal(&mut stage));
        assert_eq!(checkers::broken(&stage.table, &mut witness), Vec::<String>::new(), "after round {rounds}");
        rounds += 1;
    }
    stage.stop();
    println!("the faults have stopped after {:.0} s", began.elapsed().as_secs_f64());

    stage.config = attainable;
    let converged_after = converge(&mut stage);
    stage.stop();
    assert_eq!(checkers::broken(&stage.table, &mut witness), Vec::<String>::new(), "after the end");
    assert_eq!(stage.table.look().expect("the table is there").unfinished(), Vec::<String>::new());
    assert_eq!(witness.gaps(&mut stage.past), Vec::<String>::new());
    assert_eq!(checkers::alarming(&stage.past), BTreeSet::new());
    let secrets = Secrets::new([SECRET_ACCESS_KEY, PASSWORD]).and_of_stores(&stage.place.data());
    assert_eq!(secrets.seen_under(stage.place.path()), Vec::<String>::new());
    report(&stage, &witness, rounds, healed_within, converged_after);
}

/// Everything but the agents.
fn set_up() -> Stage {
    let place = Place::new();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let table = match setting("FAULTS_TABLE", "mariadb".to_owned()).as_str() {
        "sqlite" => Table::sqlite(&place.data()),
        _ => Table::mariadb(place.path(), &place.data(), runtime.handle()).unwrap_or_else(|missing| {
            println!("SKIPPED: {missing}; on SQLite instead, without what only a server can suffer");
            Table::sqlite(&place.data())
        }),
    };
    Stage::new(place, table, runtime)
}

/// The shipped configuration with these edits, and the stores of the stage.
fn configuration(stage: &Stage, name: &str, more: &[Edit]) -> std::path::PathBuf {
    let stores = STORES.map(|node| {
        let names = ["cloud", "fog", "edge"];
        let begins = format!("name = \"{}\"\n", names[node as usize - 1]);
        let endpoint = stage.endpoint(node);
        let store = format!("{begins}store = {{ kind = \"s3\", endpoint = \"{endpoint}\", bucket = \"agent\" }}\n");
        (begins, store)
    });
    let mut edits: Vec<(&str, &str, &str)> = [&SLOW_LINKS[..], &[PATIENT], more].concat();
    edits.extend(stores.iter().map(|(from, to)| ("network.toml", from.as_str(), to.as_str())));
    stage.place.configuration(name, &edits)
}

/// Waits until every agent has measured again; how long that took.
fn heal(stage: &mut Stage) -> Duration {
    let began = Instant::now();
    let jobs = |stage: &Stage| {
        AGENTS.map(|agent| {
            let sql = format!("select count(*) from measurements where agent = {agent}");
            stage.table.look().map_or(0, |audit| audit.count(&sql))
        })
    };
    let before = jobs(stage);
    let healed = comes_true(PATIENCE, || {
        stage.supervise();
        jobs(stage).iter().zip(before).all(|(now, before)| *now > before)
    });
    assert!(healed, "not healed within {PATIENCE:?}:\n{}", stage.last_words());
    began.elapsed()
}

/// Waits until every goal is met and nothing is left undone.
fn converge(stage: &mut Stage) -> Duration {
    let began = Instant::now();
    let mut left = Vec::new();
    let converged = comes_true(CONVERGES_WITHIN, || {
        stage.supervise();
        let Ok(audit) = stage.table.look() else { return false };
        left = audit.unfinished();
        left.is_empty() && audit.count("select count(*) from agents where converged = 1") == 3
    });
    assert!(converged, "not converged within {CONVERGES_WITHIN:?}; unfinished: {left:#?}\n{}", stage.last_words());
    began.elapsed()
}

fn report(stage: &Stage, witness: &Witness, rounds: usize, mut healed: Vec<Duration>, converged: Duration) {
    let tally = &stage.tally;
    println!("{rounds} rounds");
    tally.faults.iter().for_each(|(fault, times)| println!("  {times:>4} x {fault}"));
    tally.hits.iter().for_each(|(hit, times)| println!("  {times:>4} kills hit: {hit}"));
    tally.skipped.iter().for_each(|(fault, why)| println!("SKIPPED: {fault}: {why}"));
    println!("  {:>4} starts refused while something was away", tally.refused_starts);
    healed.sort_unstable();
    println!("healed within {:.1?} (median), {:.1?} (longest)", healed[healed.len() / 2], healed[healed.len() - 1]);
    println!("converged within {converged:.1?}");
    let audit = stage.table.look().expect("the table is there");
    let outcomes = audit.rows("select outcome, count(*) from events group by outcome order by outcome", |row| {
        Ok(format!("{} {}", row.get::<_, i64>(1)?, row.get::<_, String>(0)?))
    });
    println!("events: {}; measurements: {}", outcomes.join(", "), witness.measurements());
    let kills: u32 = tally.hits.values().sum();
    let transfers: u32 = ["move", "copy"].iter().filter_map(|kind| tally.hits.get(*kind)).sum();
    println!("{transfers} of {kills} kills hit a transfer");
    assert!(transfers * 4 >= kills, "too few kills hit a transfer");
}
