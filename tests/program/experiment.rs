//! `agent experiment` as a user runs it: stopped, killed and resumed, with files that have changed, and files that make no sense.

use crate::experiment_files::{Row, read, rows, stored};
use crate::network::process::{Finished, Running, json, run};
use crate::network::{PATIENCE, Place, repository, text, wait_until};
use rusqlite::types::Value;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TABLES: [&str; 4] = ["runs", "run_agents", "run_series", "run_placements"];

/// Takes long enough to be stopped in the middle: two scenarios, two policies, four seeds.
const SIX_HOURS: &str = r#"
name = "six"
about = "To be stopped in the middle."
scenarios = ["published.toml", "conflict.toml"]
policies = ["reference", "fixed"]
seeds = "1..4"
hours = 6
"#;
const RUNS: i64 = 16;

/// A folder with an experiment and copies of its scenarios, to be changed.
fn place() -> (Place, PathBuf) {
    let place = Place::new();
    for name in ["published.toml", "conflict.toml"] {
        let shipped = repository().join("fixtures/scenarios").join(name);
        fs::copy(shipped, place.path().join(name)).unwrap();
    }
    let file = place.path().join("six.toml");
    fs::write(&file, SIX_HOURS).unwrap();
    (place, file)
}

fn change(file: &Path, from: &str, to: &str) {
    let before = fs::read_to_string(file).unwrap();
    assert!(before.contains(from), "{}: there is no `{from}`", file.display());
    fs::write(file, before.replacen(from, to, 1)).unwrap();
}

/// Every row of every table, but for the one figure that differs from one time to the next.
fn content(database: &Path) -> BTreeMap<&'static str, Vec<Row>> {
    let of_table = |table: &&'static str| {
        let mut rows = rows(database, table);
        rows.iter_mut().for_each(|row| row.retain(|(name, _)| name != "decision_us"));
        (*table, rows)
    };
    TABLES.iter().map(of_table).collect()
}

fn begun(place: &Place, file: &Path, database: &Path) -> Running {
    let arguments = ["experiment", text(file), "--output", text(database), "--threads", "1", "--json"];
    let running = Running::start(place.path(), "stopped", &arguments);
    wait_until("some runs are stored", PATIENCE, || stored(database, "runs") >= 3);
    running
}

#[test]
fn killed_and_resumed_it_stores_what_one_go_stores() {
    let (place, file) = place();
    let (whole, parts) = (place.path().join("whole.db"), place.path().join("parts.db"));
    let document = json(place.path(), &["experiment", text(&file), "--output", text(&whole), "--json"]);
    assert_eq!((document["runs"].as_i64(), document["made"].as_i64()), (Some(RUNS), Some(RUNS)));

    begun(&place, &file, &parts).kill();
    let left = stored(&parts, "runs");
    assert!((3..RUNS).contains(&left), "{left} runs were stored when it was killed");
    // Whoever looks now sees whole runs.
    let found = content(&parts);
    let series = found["run_series"].len();
    assert_eq!(series, found["runs"].len() * 120);

    let document = json(place.path(), &["experiment", text(&file), "--output", text(&parts), "--json"]);
    assert_eq!((document["kept"].as_i64(), document["made"].as_i64()), (Some(left), Some(RUNS - left)));
    let (whole, parts) = (content(&whole), content(&parts));
    for table in TABLES {
        assert!(whole[table] == parts[table], "{table}: one go and two differ");
    }
    let shares = whole["run_agents"].len();
    assert_eq!(shares as i64, RUNS / 2 * (3 + 2), "three agents, and two in a conflict");
}

#[test]
fn ctrl_c_ends_what_runs_and_says_how_to_go_on() {
    let (place, file) = place();
    let database = place.path().join("six.db");
    let mut running = begun(&place, &file, &database);
    running.signal(Signal::INT);
    assert_eq!(running.ends_within(PATIENCE), Some(3), "{}", running.errors());
    let document: serde_json::Value = serde_json::from_str(&running.output()).unwrap();
    let made = document["made"].as_i64().unwrap();
    assert!(document["interrupted"] == true && (3..RUNS).contains(&made), "{document}");
    assert_eq!(stored(&database, "runs"), made);
    assert!(running.errors().contains("stopping when the runs under way have ended"), "{}", running.errors());

    // In the same folder the database is found by its name.
    let finished = run(place.path(), &["experiment", text(&file)]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.err.contains(&format!("six.db: {RUNS} runs, {made} are stored, {} are to be made", RUNS - made)));
    assert_eq!(stored(&database, "runs"), RUNS);
    let table: Vec<&str> = finished.out.lines().filter(|line| line.contains("  reference  ")).collect();
    assert!(table.len() == 2 && table[0].starts_with("conflict "), "{}", finished.out);
}

#[test]
fn a_changed_scenario_is_made_again_and_said_so() {
    let (place, file) = place();
    change(&file, "hours = 6", "hours = 0.25");
    let experiment = |more: &[&str]| json(place.path(), &[&["experiment", text(&file), "--json"], more].concat());
    let database = place.path().join("six.db");
    experiment(&[]);
    let before = content(&database);

    // A comment changes nothing.
    change(&place.path().join("published.toml"), "name =", "# The same.\nname =");
    let document = experiment(&[]);
    assert_eq!((document["kept"].as_i64(), document["outdated"].as_i64()), (Some(RUNS), Some(0)));

    change(&place.path().join("published.toml"), "deviation = \"500 ms\"", "deviation = \"900 ms\"");
    let document = experiment(&[]);
    assert_eq!((document["outdated"].as_i64(), document["made"].as_i64()), (Some(RUNS / 2), Some(RUNS / 2)));
    let after = content(&database);
    let of = |content: &BTreeMap<_, Vec<Row>>, scenario: &str| {
        let name = Value::Text(scenario.to_owned());
        let is_of = |row: &&Row| row.iter().any(|(_, value)| *value == name);
        content["runs"].iter().filter(is_of).cloned().collect::<Vec<_>>()
    };
    assert!(of(&before, "conflict") == of(&after, "conflict"), "what has not changed was made again");
    assert!(of(&before, "published") != of(&after, "published"));
    assert_eq!(after["runs"].len() as i64, RUNS);

    // Fewer seeds: the others stay, and are told of.
    change(&file, "1..4", "1..2");
    let finished = run(place.path(), &["experiment", text(&file)]);
    assert!(finished.err.contains("8 stored runs are not of this grid any more; they stay"), "{finished:?}");
    let document = experiment(&["--again"]);
    assert_eq!((document["outdated"].as_i64(), document["made"].as_i64()), (Some(8), Some(8)));
    assert!(content(&database) == after, "made again, a run comes to the same");
}

#[test]
fn the_shipped_smoke_experiment_varies_a_factor() {
    let place = Place::new();
    let smoke = repository().join("fixtures/experiments/smoke.toml");
    let document = json(place.path(), &["experiment", text(&smoke), "--json"]);
    let rows = document["violated"].as_array().unwrap();
    assert_eq!((document["runs"].as_i64(), rows.len()), (Some(40), 8));
    for row in rows {
        let number = |key: &str| row[key].as_f64().unwrap();
        assert!(number("low") <= number("mean") && number("mean") <= number("high"), "{row}");
        assert_eq!(row["runs"], 5);
    }
    let factors: String = read(&place.path().join("smoke.db"))
        .unwrap()
        .query_row("select max(factors) from runs", [], |row| row.get(0))
        .unwrap();
    assert_eq!(factors, r#"{"noise":"x3"}"#);
}

/// What is printed without the paths that lead to the files.
fn complaint(place: &Place, file: &Path) -> String {
    let Finished { code, out, err } = run(place.path(), &["experiment", text(file)]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    err.replace(&format!("{}/", place.path().display()), "")
}

#[test]
fn a_file_that_makes_no_sense_is_explained_and_nothing_is_made() {
    let (place, file) = place();
    assert_eq!(
        complaint(&place, &place.path().join("none.toml")),
        "error: none.toml: does not exist\n  help: an experiment is a TOML file; docs/experiments.md explains every key and has an example\n"
    );
    change(&file, "\"fixed\"", "\"fixd\"");
    change(&file, "1..4", "4..1");
    change(&file, "conflict.toml", "conflicts.toml");
    let told = complaint(&place, &file);
    let problems: Vec<&str> = told.lines().filter(|line| line.starts_with("error: ")).collect();
    let expected = [
        "error: six.toml: policies: unknown policy `fixd`",
        "error: six.toml: seeds: there is no seed",
        "error: conflicts.toml: does not exist",
    ];
    assert_eq!(problems, expected, "{told}");
    assert_eq!(told.matches("\n  help: ").count(), 3, "{told}");
    assert!(!place.path().join("six.db").exists());
}

#[test]
fn a_file_of_another_program_is_left_alone() {
    let (place, file) = place();
    let database = place.path().join("mine.db");
    fs::write(&database, "mine").unwrap();
    let finished = run(place.path(), &["experiment", text(&file), "--output", text(&database)]);
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.err.contains("mine.db: this is no file of an experiment; name another one with --output"),
        "{finished:?}"
    );
    assert_eq!(fs::read_to_string(&database).unwrap(), "mine");
}

/// Sums that another program finds in the files. `None` where it is not installed.
fn sums_by(program: &str, code: &str, folder: &Path) -> Option<String> {
    let done = Command::new("python3").args(["-c", code, text(folder)]).output().ok()?;
    let complaint = String::from_utf8_lossy(&done.stderr);
    if complaint.contains("ModuleNotFoundError") {
        return None;
    }
    assert!(done.status.success(), "{program}: {complaint}");
    Some(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

#[test]
fn parquet_files_hold_what_the_database_holds() {
    const DUCKDB: &str = "
import duckdb, sys
rows = lambda what, name: duckdb.sql(f\"select {what} from '{sys.argv[1]}/{name}.parquet'\").fetchall()
print(*rows('count(*), sum(violated), count(first_violation_s)', 'runs')[0], rows('sum(jobs)', 'run_series')[0][0],
      rows('count(agent)', 'run_placements')[0][0], ','.join(sorted(name for name, in rows('distinct policy', 'runs'))))";
    const PYARROW: &str = "
import pyarrow.parquet as pq, pyarrow.compute as pc, sys
table = lambda name: pq.read_table(f'{sys.argv[1]}/{name}.parquet')
runs, series, placed = table('runs'), table('run_series'), table('run_placements')
print(runs.num_rows, pc.sum(runs['violated']), pc.count(runs['first_violation_s']), pc.sum(series['jobs']),
      pc.count(placed['agent']), ','.join(sorted(set(runs['policy'].to_pylist()))))";
    let (place, file) = place();
    change(&file, "hours = 6", "hours = 0.5");
    let folder = place.path().join("columns");
    let document = json(place.path(), &["experiment", text(&file), "--parquet", text(&folder), "--json"]);
    assert_eq!(document["parquet"].as_array().map(Vec::len), Some(5));
    let connection = read(&place.path().join("six.db")).unwrap();
    let sums = "select count(*) || ' ' || sum(violated) || ' ' || count(first_violation_s) || ' '
        || (select sum(jobs) from run_series) || ' ' || (select count(agent) from run_placements) || ' fixed,reference' from runs";
    let expected: String = connection.query_row(sums, [], |row| row.get(0)).unwrap();
    let readers = [("duckdb", DUCKDB), ("pyarrow", PYARROW)];
    let read: Vec<_> = readers.iter().filter_map(|(name, code)| Some((name, sums_by(name, code, &folder)?))).collect();
    if read.is_empty() {
        return println!("SKIPPED: neither duckdb nor pyarrow is installed for python3");
    }
    for (reader, sums) in read {
        assert_eq!(sums, expected, "{reader}");
    }
}
