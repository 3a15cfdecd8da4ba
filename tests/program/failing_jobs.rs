//! Jobs that fail, as a user sees them: they are counted wherever jobs are, nobody's goal is met by them, and nothing is well.

use crate::network::audit::Audit;
use crate::network::process::{Running, run, succeed};
use crate::network::{PATIENCE, Place, text, wait_until};
use crate::pages::{Html, csv};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Ten minutes of the scenario at the shipped scale, and what starting and ending takes.
const TEN_MINUTES: Duration = Duration::from_secs(10 * 60 / 50 + 60);

/// Takes away every object of every store, as somebody would who does not know what they are for.
fn delete_objects(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => delete_objects(&entry.path()),
            Ok(_) => fs::remove_file(entry.path()).unwrap_or_default(),
            // It went by itself.
            Err(_) => {}
        }
    }
}

#[test]
fn a_network_whose_data_is_gone_has_not_converged_and_says_so_everywhere() {
    let place = Place::new();
    let data = place.data();
    let arguments = ["demo", "--seed", "5", "--json", "--data", text(&data), "--limit", "10 min"];
    let mut demo = Running::start(place.path(), "demo", &arguments);
    let audit = Audit::of_new(&data);
    wait_until("a job was measured", PATIENCE, || audit.count("select count(*) from measurements") > 0);
    let failed = "select count(*) from measurements where failure is not null";
    wait_until("jobs fail", PATIENCE, || {
        (1..=3).for_each(|node| delete_objects(&data.join(format!("nodes/{node}/objects"))));
        audit.count(failed) >= 6
    });
    assert_eq!(demo.ends_within(TEN_MINUTES), Some(3), "{}", demo.errors());

    let summary: Value = serde_json::from_str(&demo.output()).expect("one JSON document");
    assert_eq!(summary["converged"], false, "{summary:#}");
    let sum = |of: &str| list(&summary["agents"]).iter().filter_map(|agent| agent[of].as_u64()).sum::<u64>();
    let measured = "select count(*) from measurements where failure is null";
    assert_eq!((sum("failed"), sum("jobs")), (audit.count(failed) as u64, audit.count(measured) as u64));
    assert_eq!(audit.count("select count(*) from measurements where failure is not null and response_time_s > 0"), 0);

    let looked = run(place.path(), &["status", "--json", "--data", text(&data)]);
    let status: Value = serde_json::from_str(&looked.out).expect("one JSON document");
    assert_eq!((looked.code, &status["converged"]), (Some(4), &Value::Bool(false)), "{status:#}");
    for agent in list(&status["agents"]) {
        assert_eq!(agent["goal_met"], Value::Null, "{agent:#}");
        assert!(agent["failed"].as_u64() >= agent["failed_in_a_row"].as_u64(), "{agent:#}");
        assert!(
            agent["failed_in_a_row"].as_u64() > Some(0) && agent["last"]["failure"]["kind"].is_string(),
            "{agent:#}"
        );
        assert!(status["unhealthy"].to_string().contains(&format!("agent {}: the last", agent["agent"])));
    }
    let status = run(place.path(), &["status", "--data", text(&data)]).out;
    let told = |part: &str| assert!(status.contains(part), "there is no `{part}`:\n{status}");
    ["agent 1 (not running)  FAILED (changed data)", "not converged", "UNHEALTHY: agent 1: the last "]
        .into_iter()
        .for_each(told);
    assert!(!status.contains("goal met"), "{status}");

    let (page, tables) = (place.path().join("page.html"), place.path().join("tables"));
    let table = data.join("network.db");
    succeed(place.path(), &["report", text(&table), "--output", text(&page), "--csv", text(&tables)]);
    let page = Html::read(&page);
    assert_eq!(page.problems(), Vec::<String>::new());
    for part in ["more failed.", "nobody knows whether the goal would have been met", "class=\"outage\""] {
        assert!(page.text.contains(part), "{part}");
    }
    let jobs = csv(&tables.join("jobs.csv"));
    assert_eq!(jobs.iter().filter(|row| row.contains(&"unknown".to_owned())).count() as i64, audit.count(failed));
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}
