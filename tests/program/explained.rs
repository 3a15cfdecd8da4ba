//! What `agent explain` says of a simulated run.

use std::process::Command;

/// What `agent explain` says of each of the first events.
fn explained(name: &str, policy: &str, events: u32) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("run.log");
    let agent = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_agent")).args(arguments).arg("--trace").arg(&trace).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let file = format!("{}/fixtures/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    agent(&["simulate", "--scenario", &file, "--policy", policy, "--hours", "1"]);
    (1..=events).map(|event| agent(&["explain", &event.to_string()])).collect()
}

#[test]
fn what_is_done_can_be_explained() {
    let knew = "knew      at 63.051 s: start; a job of agent 2 missed throughput >= 30000 records/s
  plan      replicas on 1, 2, at a cost of 3.3 in all
  expected  of all jobs 66.67 % violated as it was, 0.00 % then; no placement is better";
    let copy = format!(
        "event 1: the oracle, for agent 1, chose C3_1 (copy the data from node 3 to node 1)
  because   step 1 of 2 to the best placement
  posted    at 93.051 s of the scenario
  policy    oracle-late
  goal      response_time <= 35 s and availability >= 95 %
  {knew}
  agent 1   is to read it: 100.00 % violated as it was, 0.00 % then
  read      node 3; replicas on 3
  outcome   done, nobody left feedback
"
    );
    let moved = format!(
        "event 2: the oracle, for agent 2, chose M3_2 (move the data from node 3 to node 2)
  because   step 2 of 2 to the best placement
  posted    at 93.051 s of the scenario
  policy    oracle-late
  goal      throughput >= 30000 records/s and availability >= 80 %
  {knew}
  agent 2   is to read it: 100.00 % violated as it was, 0.00 % then
  agent 3   is to read it: 0.00 % violated as it was, 0.00 % then
  read      node 3; replicas on 1, 3
  outcome   done, nobody left feedback
"
    );
    assert_eq!(explained("published_30s", "oracle-late", 2), [copy, moved]);
}
