//! `agent report` as a user runs it: on an experiment, on a network, and on what is neither.

use crate::network::process::{run, run_within, succeed};
use crate::network::{PATIENCE, Place, text};
use crate::pages::experiment::{self, POLICIES};
use crate::pages::{Html, csv};
use std::fs;
use std::path::Path;

fn page(place: &Place, arguments: &[&str]) -> Html {
    let output = place.path().join("page.html");
    succeed(place.path(), &[&["report", "--output", text(&output)], arguments].concat());
    Html::read(&output)
}

#[test]
fn an_experiments_page_compares_every_policy_in_every_scenario() {
    let place = Place::new();
    let (database, tables) = (place.path().join("lab.db"), place.path().join("tables"));
    let runs = experiment::write(&database, &["published", "drift & <co>", "nodes_30"], 6);
    let page = page(&place, &[text(&database), "--csv", text(&tables)]);

    assert_eq!(page.problems(), Vec::<String>::new());
    assert_eq!(page.text_of("h1"), ["rivals"]);
    assert_eq!(page.text_of("h2"), ["Summary", "drift &amp; &lt;co&gt;", "nodes_30", "published"]);
    for policy in POLICIES {
        // In the matrix, and in each scenario's table, intervals, distribution, curves and bands.
        assert!(page.text.matches(&format!(">{policy}</")).count() > 3 * 4, "{policy}");
    }
    assert!(page.text.contains("<b>cooperative</b> won 3 of 3 scenarios"), "{}", page.text);
    assert!(page.text.contains("Placement: cooperative in published, seed"));
    assert_eq!(page.text.matches("<svg").count(), 3 * (4 + POLICIES.len() + 8 + 1));

    let names = ["curves", "placements", "policies", "runs", "summary"];
    let tables: Vec<_> = names.iter().map(|name| csv(&tables.join(format!("{name}.csv")))).collect();
    assert_eq!((tables[3].len(), tables[2].len(), tables[4].len()), (1 + runs, 1 + 3 * POLICIES.len(), 1 + 3));
    assert_eq!(tables[4][1][..2], ["drift & <co>", "cooperative"]);
    assert_eq!(tables[0].len(), 1 + 3 * POLICIES.len() * (1 + experiment::SAMPLES));
}

#[test]
fn the_same_database_makes_the_same_page() {
    let place = Place::new();
    let database = place.path().join("lab.db");
    experiment::write(&database, &["published"], 4);
    let written = || fs::read(place.path().join("page.html")).expect("the page");
    page(&place, &[text(&database)]);
    let first = written();
    page(&place, &[text(&database)]);
    assert!(first == written(), "the same database, another page");
}

#[test]
fn a_run_that_is_asked_for_is_shown() {
    let place = Place::new();
    let database = place.path().join("lab.db");
    experiment::write(&database, &["published", "drift"], 3);
    let page = page(&place, &[text(&database), "--run", "published/q-learning/2", "--run", "1"]);
    let shown: Vec<String> =
        page.text_of("strong").into_iter().filter(|title| title.starts_with("Placement")).collect();
    let expected = ["cooperative in drift, seed", "q-learning in published, seed 2", "none in published, seed 1"];
    assert_eq!(shown.len(), expected.len(), "{shown:?}");
    assert!(shown.iter().zip(expected).all(|(shown, expected)| shown.contains(expected)), "{shown:?}");

    let refused = run(place.path(), &["report", text(&database), "--run", "published/fixed/99"]);
    let message = "error: --run published/fixed/99: there is no such run; runs.csv of --csv lists them\n";
    assert_eq!((refused.code, refused.err.as_str()), (Some(2), message));
    let refused = run(place.path(), &["report", text(&database), "--run", "fixed"]);
    assert!(refused.code == Some(2) && refused.err.contains("`fixed` names no run"), "{refused:?}");
}

#[test]
fn a_large_experiment_stays_a_few_megabytes() {
    let place = Place::new();
    let database = place.path().join("lab.db");
    let scenarios: Vec<String> = (1..=20).map(|number| format!("scenario_{number}")).collect();
    let scenarios: Vec<&str> = scenarios.iter().map(String::as_str).collect();
    experiment::write(&database, &scenarios, 20);
    let page = page(&place, &[text(&database)]);
    assert!(page.text.len() < 3_500_000, "{} bytes", page.text.len());
}

#[test]
fn a_demos_page_says_what_its_agents_did() {
    let place = Place::new();
    let (data, tables) = (place.data(), place.path().join("tables"));
    let arguments = ["demo", "--seed", "3", "--limit", "5min", "--json", "--data", text(&data)];
    let demo = run_within(PATIENCE, place.path(), &arguments);
    let summary: serde_json::Value = serde_json::from_str(&demo.out).unwrap_or_else(|_| panic!("{demo:?}"));
    let database = data.join("network.db");
    let page = page(&place, &[text(&database), "--csv", text(&tables)]);

    assert_eq!(page.problems(), Vec::<String>::new());
    assert_eq!(page.text_of("h1"), ["blood_tests"]);
    assert!(!page.text.contains("class=\"warning\""), "the events lead where the table is");
    let jobs = csv(&tables.join("jobs.csv"));
    let counted: u64 =
        summary["agents"].as_array().expect("agents").iter().filter_map(|one| one["jobs"].as_u64()).sum();
    assert_eq!(jobs.len() as u64 - 1, counted);
    let violated = jobs.iter().filter(|row| row[4] == "violated").count();
    let sentence = format!("3 agents ran {counted} jobs, of which {violated} (");
    assert!(page.text.contains(&sentence), "{sentence}");
    let events = csv(&tables.join("events.csv"));
    let acted = events.iter().filter(|row| row[4] != "NA" && row[4] != "action").count();
    assert_eq!(acted, summary["actions"].as_array().expect("actions").len());
    let placements = csv(&tables.join("placements.csv"));
    let nodes: Vec<String> = summary["replicas"].as_array().expect("nodes").iter().map(ToString::to_string).collect();
    assert_eq!(placements.last().expect("a placement")[4], nodes.join(" "));
}

#[test]
fn a_server_that_is_not_there_is_said_without_the_password() {
    let place = Place::new();
    let refused = run(place.path(), &["report", "mysql://agent:secret@127.0.0.1:9/lab"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("127.0.0.1:9/lab") && !refused.err.contains("secret"), "{refused:?}");
}

#[test]
fn what_is_neither_is_refused_and_left_as_it_is() {
    let place = Place::new();
    let check = |name: &str, message: &str| {
        let path = place.path().join(name);
        let before = fs::read(&path).ok();
        let refused = run(place.path(), &["report", text(&path)]);
        let message = format!("error: {}: {message}\n", text(&path));
        assert_eq!((refused.code, refused.err.as_str()), (Some(1), message.as_str()));
        assert_eq!(fs::read(&path).ok(), before);
    };
    let neither = "is neither a file of `agent experiment` or `agent load` nor the shared table of a network (network.db in the data directory)";
    check("nothing.db", "there is no such file");
    fs::write(place.path().join("thesis.tex"), "precious ".repeat(200)).expect("a file");
    check("thesis.tex", neither);
    fs::write(place.path().join("empty.db"), "").expect("a file");
    check("empty.db", neither);
    other_program(&place.path().join("browser.db"));
    check("browser.db", neither);
    fs::create_dir(place.path().join("data")).expect("a folder");
    let inside = place.path().join("data/network.db");
    check("data", &format!("is a directory; name the database in it, like {}", text(&inside)));

    experiment::write(&place.path().join("newer.db"), &["published"], 1);
    experiment::change(&place.path().join("newer.db"), "update experiment set format = 7");
    check("newer.db", "its tables are of format 7, and this program reads 3; use the `agent` that wrote it");
    experiment::write(&place.path().join("edited.db"), &["published"], 1);
    experiment::change(&place.path().join("edited.db"), "update runs set factors = 'none' where id = 3");
    check(
        "edited.db",
        "run 3: column `factors` is not what it should be: expected ident at line 1 column 2; was it edited by hand?",
    );
    assert!(!place.path().join("report.html").exists());
}

fn other_program(path: &Path) {
    let connection = rusqlite::Connection::open(path).expect("a database");
    connection.execute_batch("create table bookmarks (url text); pragma application_id = 7").expect("a table");
}
