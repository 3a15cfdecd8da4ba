//! `agent experiment` about membership as a user runs it: in virtual time and on real sockets, stopped and resumed, with its page and
//! its tables.

use crate::experiment_files::{read, rows, stored};
use crate::network::process::{Finished, Running, json, run, succeed};
use crate::network::{PATIENCE, Place, text, wait_until};
use crate::pages::{Html, csv};
use std::fs;
use std::path::PathBuf;

const TABLES: [&str; 4] = ["networks", "network_rounds", "network_nodes", "network_queries"];

/// Two sizes, two fan-outs, two losses, two shares of failures, two seeds.
const SMALL: &str = r#"
kind = "membership"
name = "small"
about = "Small & quick."
nodes = [20, 50]
fan_out = [2, 3]
interval = ["1 s"]
loss = ["0 %", "20 %"]
failures = ["0 %", "90 %"]
seeds = "1..2"
rounds = 15
detail = 20
history = { push_every = 5 }
queries = { count = 3, quorum = 2 }
"#;
const RUNS: i64 = 32;

fn place(experiment: &str) -> (Place, PathBuf) {
    let place = Place::new();
    let file = place.path().join("small.toml");
    fs::write(&file, experiment).unwrap();
    (place, file)
}

#[test]
fn killed_and_resumed_it_stores_what_one_go_stores() {
    let (place, file) = place(SMALL);
    let (whole, parts) = (place.path().join("whole.db"), place.path().join("parts.db"));
    let document = json(place.path(), &["experiment", text(&file), "--output", text(&whole), "--json"]);
    assert_eq!((document["runs"].as_i64(), document["made"].as_i64()), (Some(RUNS), Some(RUNS)), "{document}");

    let arguments = ["experiment", text(&file), "--output", text(&parts), "--threads", "1", "--json"];
    let mut running = Running::start(place.path(), "stopped", &arguments);
    wait_until("a run is stored", PATIENCE, || stored(&parts, "networks") >= 1);
    running.kill();
    let left = stored(&parts, "networks");
    let document = json(place.path(), &["experiment", text(&file), "--output", text(&parts), "--json"]);
    assert_eq!((document["kept"].as_i64(), document["made"].as_i64()), (Some(left), Some(RUNS - left)), "{document}");
    for table in TABLES {
        assert!(rows(&whole, table) == rows(&parts, table), "{table}: one go and two differ");
    }
    // Of the first seed of the small networks: 2 fan-outs, 2 losses, 2 shares of failures, 15 rounds.
    assert_eq!(rows(&whole, "network_nodes").len(), 8 * 20 * 15);
    assert_eq!((rows(&whole, "network_rounds").len(), rows(&whole, "network_queries").len()), (32 * 15, 32 * 3));
}

#[test]
fn the_page_and_the_files_say_what_was_found() {
    let (place, file) = place(SMALL);
    let (columns, tables) = (place.path().join("columns"), place.path().join("tables"));
    let arguments = ["experiment", text(&file), "--parquet", text(&columns), "--json"];
    let document = json(place.path(), &arguments);
    assert_eq!((document["parquet"].as_array().map(Vec::len), document["failed"][0].as_str()), (Some(5), None));
    let networks = document["networks"].as_array().unwrap();
    assert_eq!(networks.len(), 16);
    for network in networks {
        let rounds = network["rounds"]["mean"].as_f64().unwrap();
        assert!(rounds > 0.5 && rounds < 10.0, "{network}");
    }
    let whole = networks.iter().filter(|network| network["failures"] == 0.0);
    assert!(whole.clone().count() == 8 && whole.clone().all(|network| network["answered"] == 1.0), "{document}");

    let (database, page) = (place.path().join("small.db"), place.path().join("page.html"));
    succeed(place.path(), &["report", text(&database), "--output", text(&page), "--csv", text(&tables)]);
    let first = fs::read(&page).unwrap();
    let html = Html::read(&page);
    assert_eq!(html.problems(), Vec::<String>::new());
    assert_eq!(html.text_of("h1"), ["small"]);
    assert_eq!(html.text_of("h2").len(), 3);
    assert_eq!(html.text.matches("<svg").count(), 2 * 7);
    let files = ["summary", "points", "networks", "rounds"];
    let lengths = files.map(|name| csv(&tables.join(format!("{name}.csv"))).len());
    assert_eq!(lengths, [1 + 8, 1 + 16, 1 + 32, 1 + 8 * 15]);
    succeed(place.path(), &["report", text(&database), "--output", text(&page)]);
    assert!(first == fs::read(&page).unwrap(), "the same database, another page");

    let refused = run(place.path(), &["report", text(&database), "--run", "1"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("an experiment of membership has no placements; leave --run out"), "{refused:?}");
    let shown = run(place.path(), &["experiment", text(&file)]);
    assert!(shown.out.contains("small: done; 32 of 32 runs in small.db (0 made in"), "{shown:?}");
}

#[test]
fn members_on_real_sockets_come_to_know_each_other_and_are_asked() {
    let real = SMALL
        .replace("nodes = [20, 50]", "real = true\nnodes = [8]")
        .replace("fan_out = [2, 3]", "fan_out = [3]")
        .replace("1 s", "200 ms")
        .replace("loss = [\"0 %\", \"20 %\"]\nfailures = [\"0 %\", \"90 %\"]", "failures = [\"50 %\"]")
        .replace("seeds = \"1..2\"", "seeds = [1]");
    let (place, file) = place(&real);
    let document = json(place.path(), &["experiment", text(&file), "--json"]);
    assert_eq!((document["made"].as_i64(), document["networks"][0]["real"].as_bool()), (Some(1), Some(true)));
    assert_eq!(document["networks"][0]["answered"], 1.0, "{document}");
    assert!(document["networks"][0]["rounds"]["mean"].as_f64().is_some_and(|rounds| rounds < 15.0), "{document}");
    let database = place.path().join("small.db");
    let sums = "select sum(new_entries), max(known_least) from network_rounds";
    let (new, least): (i64, i64) =
        read(&database).unwrap().query_row(sums, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!((new, least), (8 * 7, 8));
}

#[test]
fn a_file_that_makes_no_sense_is_explained_and_nothing_is_made() {
    let (place, file) = place(&SMALL.replace("[2, 3]", "[0, 3]").replace("\"20 %\"", "\"100 %\""));
    let Finished { code, out, err } = run(place.path(), &["experiment", text(&file)]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    let told = err.replace(&format!("{}/", place.path().display()), "");
    let expected = "error: small.toml: fan_out: value 1: 0 is out of range\n  help: it is a whole number between 1 and 16\n\
                    error: small.toml: loss: value 2: 100 % is out of range\n  help: at most 90 %: a network that loses more hears nothing\n";
    assert_eq!(told, expected);
    assert!(!place.path().join("small.db").exists());
}

#[test]
fn a_file_of_another_kind_is_left_alone() {
    let (place, file) = place(&SMALL.replace("[20, 50]", "[5]").replace("1..2", "1..1"));
    let database = place.path().join("mine.db");
    succeed(place.path(), &["experiment", text(&file), "--output", text(&database)]);
    let before = fs::read(&database).unwrap();
    let smoke = crate::network::repository().join("fixtures/experiments/smoke.toml");
    let refused = run(place.path(), &["experiment", text(&smoke), "--output", text(&database)]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("mine.db: holds an experiment of another kind"), "{refused:?}");
    assert!(before == fs::read(&database).unwrap());
}
