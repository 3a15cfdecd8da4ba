//! The demo in containers is the shipped one but for where things are: nobody changes one and forgets the other.

use std::path::Path;

/// What may differ: where the table is, who injects latency, how fast time passes, where the nodes' stores are, and whether nodes
/// hear each other.
fn place(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty()
        || line.starts_with('#')
        || ["knowledge =", "time_scale =", "emulator =", "store =", "[membership]", "listen ="]
            .iter()
            .any(|key| line.starts_with(key))
}

/// What a file says besides.
fn rest(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    text.lines().filter(|line| !place(line)).map(str::to_owned).collect()
}

#[test]
fn the_networks_in_containers_are_the_shipped_one_elsewhere() {
    let shipped = rest("agents/network.toml");
    assert!(shipped.len() > 40, "{shipped:?}");
    for file in ["compose/network.toml", "compose/upstream/network.toml"] {
        assert_eq!(rest(file), shipped, "{file}");
    }
}

/// An agent's file without its job, which is the table between two others.
fn without_job(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (before, job) = text.split_once("[job]").unwrap_or_else(|| panic!("{file} has no [job]"));
    let (_, after) = job.split_once("[rho]").unwrap_or_else(|| panic!("{file} has no [rho] behind its [job]"));
    format!("{before}[rho]{after}")
}

#[test]
fn the_agents_with_spark_are_the_shipped_ones_with_other_jobs() {
    for agent in [1, 2, 3] {
        let [shipped, spark] = ["agents", "compose/spark"].map(|folder| without_job(&format!("{folder}/{agent}.toml")));
        assert_eq!(spark, shipped, "agent {agent}");
    }
}
