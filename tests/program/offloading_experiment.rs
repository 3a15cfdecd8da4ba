//! `agent experiment` about offloading as a user runs it: killed and resumed, added to, with its page and its tables.

use crate::experiment_files::{rows, stored};
use crate::network::process::{Running, json, run, succeed};
use crate::network::{PATIENCE, Place, text, wait_until};
use crate::pages::{Html, csv};
use std::fs;
use std::path::PathBuf;

const RUNS_TABLE: &str = "offloading_runs";

/// 20 servers of 10 users: of 100 users a threshold of 50 % takes all while none fails, one of 100 % while half of them do.
const SMALL: &str = r#"
kind = "offloading"
name = "small"
about = "Small & quick."
users = 100
servers = 20
side_km = 10
ms_per_km = 1
users_per_server = 10
cpu_threshold = [0.5, 1.0]
seeds = "1..20"
"#;
/// Of two thresholds, ten shares of failures, twenty seeds.
const RUNS: i64 = 400;

fn place() -> (Place, PathBuf) {
    let place = Place::new();
    let file = place.path().join("small.toml");
    fs::write(&file, SMALL).unwrap();
    (place, file)
}

#[test]
fn killed_and_resumed_it_stores_what_one_go_stores_and_another_threshold_joins() {
    let (place, file) = place();
    let (whole, parts) = (place.path().join("whole.db"), place.path().join("parts.db"));
    let document = json(place.path(), &["experiment", text(&file), "--output", text(&whole), "--json"]);
    assert_eq!((document["runs"].as_i64(), document["made"].as_i64()), (Some(RUNS), Some(RUNS)), "{document}");

    let arguments = ["experiment", text(&file), "--output", text(&parts), "--threads", "1", "--json"];
    let mut running = Running::start(place.path(), "stopped", &arguments);
    wait_until("a run is stored", PATIENCE, || stored(&parts, RUNS_TABLE) >= 1);
    running.kill();
    let left = stored(&parts, RUNS_TABLE);
    let document = json(place.path(), &["experiment", text(&file), "--output", text(&parts), "--json"]);
    assert_eq!((document["kept"].as_i64(), document["made"].as_i64()), (Some(left), Some(RUNS - left)), "{document}");
    assert!(rows(&whole, RUNS_TABLE) == rows(&parts, RUNS_TABLE), "one go and two differ");

    fs::write(&file, SMALL.replace("[0.5, 1.0]", "[0.5, 0.8, 1.0]")).unwrap();
    let document = json(place.path(), &["experiment", text(&file), "--output", text(&parts), "--json"]);
    assert_eq!((document["kept"].as_i64(), document["made"].as_i64()), (Some(RUNS), Some(RUNS / 2)), "{document}");
    fs::write(&file, SMALL.replace("side_km = 10", "side_km = 11")).unwrap();
    let document = json(place.path(), &["experiment", text(&file), "--output", text(&parts), "--json"]);
    assert_eq!((document["outdated"].as_i64(), document["made"].as_i64()), (Some(600), Some(RUNS)), "{document}");
}

#[test]
fn the_page_and_the_files_say_what_was_found() {
    let (place, file) = place();
    let (columns, tables) = (place.path().join("columns"), place.path().join("tables"));
    let document = json(place.path(), &["experiment", text(&file), "--parquet", text(&columns), "--json"]);
    assert_eq!(document["parquet"].as_array().map(Vec::len), Some(2), "{document}");
    let bears: Vec<Option<f64>> =
        document["bears"].as_array().unwrap().iter().map(|bears| bears["failures"].as_f64()).collect();
    assert_eq!(bears, [Some(0.0), Some(0.5)]);
    let points = document["points"].as_array().unwrap();
    assert_eq!(points.len(), 20);
    for point in points {
        // As much as there is room for, wherever everybody is.
        let room = 2.0 * point["cpu_threshold"].as_f64().unwrap() * (1.0 - point["failures"].as_f64().unwrap());
        assert!((point["served"]["mean"].as_f64().unwrap() - room.min(1.0)).abs() < 1e-9, "{point}");
        let latency = &point["latency_ms"];
        assert!(latency["low"].as_f64() < latency["high"].as_f64(), "{point}");
    }

    let (database, page) = (place.path().join("small.db"), place.path().join("page.html"));
    succeed(place.path(), &["report", text(&database), "--output", text(&page), "--csv", text(&tables)]);
    let first = fs::read(&page).unwrap();
    let html = Html::read(&page);
    assert_eq!(html.problems(), Vec::<String>::new());
    assert_eq!((html.text_of("h1"), html.text_of("h2").len()), (vec!["small".to_owned()], 2));
    assert_eq!(html.text.matches("<svg").count(), 3);
    for sentence in document["found"].as_array().unwrap() {
        let sentence = sentence.as_str().unwrap();
        assert!(html.text.replace('\u{a0}', " ").contains(sentence), "{sentence}");
    }
    let lengths = ["summary", "points", "runs"].map(|name| csv(&tables.join(format!("{name}.csv"))).len());
    assert_eq!(lengths, [1 + 2, 1 + 20, 1 + 400]);
    succeed(place.path(), &["report", text(&database), "--output", text(&page)]);
    assert!(first == fs::read(&page).unwrap(), "the same database, another page");
}

#[test]
fn a_file_of_another_kind_is_left_alone() {
    let (place, file) = place();
    succeed(place.path(), &["experiment", text(&file)]);
    let database = place.path().join("small.db");
    let before = fs::read(&database).unwrap();
    let smoke = crate::network::repository().join("fixtures/experiments/smoke.toml");
    let refused = run(place.path(), &["experiment", text(&smoke), "--output", text(&database)]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("small.db: holds an experiment of another kind"), "{refused:?}");
    assert!(before == fs::read(&database).unwrap());
}
