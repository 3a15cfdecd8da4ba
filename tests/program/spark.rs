//! The three-node environment with an application of Spark as a job, as its user runs it.

use crate::network::process::{run, run_with};
use crate::network::{Place, repository, text};
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Three starts of Spark on a busy machine.
const THREE_RUNS: Duration = Duration::from_secs(600);

fn job(application: &str, more: &str) -> String {
    format!("kind = \"spark\"\napplication = \"{application}\"\nmaster = \"local[2]\"\ntime_limit = \"6 h\"\n{more}")
}

/// A place with agent 3's job being this one; where its configuration is.
fn configured(job: &str) -> (Place, String) {
    let place = Place::new();
    let edit = ("3.toml", "kind = \"aggregate\"\nexpression = \"avg(cholesterol)\"", job);
    let config = text(&place.configuration("agents", &[edit])).to_owned();
    (place, config)
}

fn has_spark() -> bool {
    let needed = "python3 -c 'import pyspark, boto3' && java -version && command -v spark-submit";
    let status = Command::new("sh").args(["-c", needed]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = status.is_ok_and(|status| status.success());
    if !is_there {
        println!("SKIPPED: pyspark, boto3 or java is not installed (pip install pyspark boto3)");
    }
    is_there
}

#[test]
fn an_application_is_trained_at_every_node() {
    if !has_spark() {
        return;
    }
    let example = repository().join("examples/pyspark_job.py");
    let conf = "conf = { spark.driver.host = \"127.0.0.1\", spark.driver.bindAddress = \"127.0.0.1\", spark.ui.enabled = false }";
    let (place, config) = configured(&job(text(&example), conf));
    let (data, training) = (place.data(), place.path().join("trained"));
    let arguments =
        ["train", "--id", "3", "--iterations", "1", "--config", &config, "--data", text(&data), "--training"];
    let ended = run_with(&[], THREE_RUNS, place.path(), &[&arguments[..], &[text(&training)]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let trained: Value = serde_json::from_str(&fs::read_to_string(training.join("agent-3.json")).unwrap()).unwrap();
    assert_eq!(trained["job"], format!("spark-submit --master local[2] {}", text(&example)));
    for node in ["1", "2", "3"] {
        let run = &trained["runs"][node][0];
        let metric = |name: &str| run[name].as_f64().unwrap_or_else(|| panic!("no {name} in {run}"));
        // By Spark's clock in whole milliseconds, 50 of the scenario each; and records by the catalogue's count.
        assert!(metric("execution_time") > 0.0 && metric("execution_time") <= metric("response_time"), "{run}");
        assert!(metric("throughput") > 0.0, "{run}");
    }
    assert!(!data.join("spark/agent-3").exists());
}

#[test]
fn a_spark_that_is_not_there_is_named() {
    let (place, config) = configured(&job("average.py", "program = \"no-such-spark-submit\""));
    let (data, training) = (place.data(), place.path().join("trained"));
    let arguments =
        ["train", "--id", "3", "--iterations", "1", "--config", &config, "--data", text(&data), "--training"];
    let ended = run(place.path(), &[&arguments[..], &[text(&training)]].concat());
    assert_ne!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("`no-such-spark-submit` cannot be started: No such file"), "{ended:?}");
    let checked = run(place.path(), &["check", "--config", &config]);
    assert!(checked.out.contains("no-such-spark-submit --master local[2] average.py"), "{checked:?}");
}
