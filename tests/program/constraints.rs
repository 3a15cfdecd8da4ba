//! What nobody may do, as a user states it: replicas that the constraints demand are made by agents that run, what they forbid is refused
//! whoever wants it, everything can be held, and what would be done can be read before it is.

use crate::network::audit::Audit;
use crate::network::process::{Finished, Running, json, run, run_within, succeed};
use crate::network::{PATIENCE, Place, edits, text, wait_until};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

const CONSTRAINED: [edits::Edit; 6] = [
    ("network.toml", "generate_records = 553_729", "generate_records = 20_000"),
    (
        "network.toml",
        "first_node = 3",
        "first_node = 3\nconstraints = { must_not = { labels = \"region!=eu\" }, min_replicas = 2 }",
    ),
    ("network.toml", "availability = \"97 %\"", "availability = \"97 %\"\nlabels = { region = \"eu\" }"),
    ("network.toml", "availability = \"80 %\"", "availability = \"80 %\"\nlabels = { region = \"us\" }"),
    ("network.toml", "availability = \"85 %\"", "availability = \"85 %\"\nlabels = { region = \"eu\" }"),
    ("network.toml", "job_gap = \"15 s\"", "job_gap = \"3 s\""),
];

const QUICK: edits::Edit = ("network.toml", "job_gap = \"15 s\"", "job_gap = \"3 s\"");

/// A plan looks half an hour ahead.
const LIMIT: Duration = Duration::from_secs(120);

/// Three agents that run, and what a person does meanwhile.
pub struct Network {
    pub place: Place,
    config: PathBuf,
    agents: [Running; 3],
    pub audit: Audit,
}

impl Network {
    /// Every agent has run some jobs.
    pub fn start(edits: &[edits::Edit], policy: &str) -> Self {
        let place = Place::new();
        let config = place.configuration("agents", edits);
        let (data, training) = (place.data(), place.training());
        let agents = [1, 2, 3].map(|agent: u32| {
            let id = agent.to_string();
            let arguments = ["run", "--id", &id, "--config", text(&config), "--data", text(&data)];
            let arguments = [&arguments[..], &["--policy", policy, "--training", text(&training)]].concat();
            Running::start(place.path(), &format!("agent-{agent}"), &arguments)
        });
        let audit = Audit::of_new(&data);
        let jobs = "select count(*) from (select agent from measurements group by agent having count(*) > 5)";
        wait_until("every agent has run some jobs", PATIENCE, || audit.count(jobs) == 3);
        Self { place, config, agents, audit }
    }

    pub fn line<'a>(&'a self, arguments: &[&'a str], data: &'a std::path::Path) -> Vec<&'a str> {
        [arguments, &["--config", text(&self.config), "--data", text(data)]].concat()
    }

    pub fn does(&self, arguments: &[&str]) -> String {
        succeed(self.place.path(), &self.line(arguments, &self.place.data()))
    }

    pub fn tries(&self, arguments: &[&str]) -> Finished {
        run_within(LIMIT, self.place.path(), &self.line(arguments, &self.place.data()))
    }

    #[track_caller]
    pub fn refuses(&self, arguments: &[&str], why: &str) {
        let finished = self.tries(arguments);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.err.contains(why), "{}", finished.err);
    }

    /// All agents stop, and the catalogue is sound.
    #[track_caller]
    pub fn ends_well(&mut self) {
        for agent in &mut self.agents {
            agent.signal(rustix::process::Signal::TERM);
            assert_eq!(agent.ends_within(PATIENCE), Some(0), "{}", agent.errors());
        }
        assert_eq!(self.audit.broken(), Vec::<String>::new());
    }

    /// The nodes that hold a present replica.
    fn replicas(&self) -> BTreeSet<i64> {
        self.audit.rows("select node from replicas where state = 'present'", |row| row.get(0)).into_iter().collect()
    }
}

#[test]
fn what_is_demanded_is_made_and_what_is_forbidden_is_refused() {
    let mut network = Network::start(&[&CONSTRAINED[..], &edits::CALM].concat(), "cooperative");
    wait_until("a second replica is made, though nobody asks for one", PATIENCE, || network.replicas().len() == 2);
    assert_eq!(network.replicas(), [1, 3].into(), "node 2 lies abroad");
    let made = network.audit.count("select count(*) from events where action = 'R3_1' and outcome = 'done'");
    assert_eq!(made, 1);

    network.refuses(&["act", "C3_2", "--agent", "2"], "must_not: no replica may lie on node 2");
    network.refuses(&["act", "E1", "--agent", "1"], "min_replicas: there are no more than 2 replicas");
    let why = network.does(&["explain", "--not", "C3_2"]);
    assert!(
        why.contains("infeasible  must_not: no replica may lie on node 2, whose labels match `region!=eu`"),
        "{why}"
    );
    let held = "held to   must_not = { labels = \"region!=eu\" }, min_replicas = 2";
    assert!(network.does(&["status"]).contains(held), "{}", network.does(&["status"]));

    // A person states something else: it counts at once.
    network.does(&["set", "labels", "2", "region=eu"]);
    network.does(&["act", "C3_2", "--agent", "2"]);
    let contradiction = "min_replicas and max_replicas contradict each other: 2 are more than 1";
    network.refuses(&["set", "constraints", "blood_tests", "--max-replicas", "1"], contradiction);
    network.does(&["set", "constraints", "blood_tests", "--must", "1,2", "--min-replicas", "none"]);
    wait_until("node 1 holds what it must", PATIENCE, || network.replicas().is_superset(&[1, 2].into()));
    network.refuses(&["act", "E1", "--agent", "3"], "must: the replica on node 1 stays");

    // Everything is held, also what a person wants, until it is resumed.
    network.does(&["pause"]);
    network.refuses(&["act", "CR1", "--agent", "2"], "paused; `agent resume` ends it");
    assert!(network.does(&["status"]).contains("PAUSED"));
    assert_eq!(json(network.place.path(), &network.line(&["status", "--json"], &network.place.data()))["paused"], true);
    network.does(&["resume"]);
    network.does(&["act", "CR1", "--agent", "2"]);

    network.ends_well();
}

#[test]
fn constraints_that_nothing_can_meet_start_nothing() {
    let place = Place::new();
    let impossible =
        ("network.toml", "first_node = 3", "first_node = 3\nconstraints = { min_replicas = 3, max_replicas = 2 }");
    let config = place.configuration("agents", &[impossible]);
    let checked = run(place.path(), &["check", "--config", text(&config)]);
    assert_eq!(checked.code, Some(2));
    let expected = "data_set.constraints: min_replicas and max_replicas contradict each other: 3 are more than 2";
    assert!(checked.err.contains(expected), "{}", checked.err);
}

#[test]
fn what_would_be_done_is_read_before_it_is() {
    let network = Network::start(&[QUICK], "none");
    let own = network.tries(&["plan"]);
    assert_eq!(own.code, Some(0), "{own:?}");
    assert!(own.out.contains("nothing to do, though not every goal holds"), "{}", own.out);
    let planned = network.tries(&["plan", "--policy", "cooperative", "--json"]);
    assert_eq!(planned.code, Some(6), "{planned:?}");
    let plan: serde_json::Value = serde_json::from_str(&planned.out).expect("a document");
    let steps = plan["steps"].as_array().expect("a list").clone();
    assert!(!steps.is_empty() && plan["converges"] == true, "{plan:#}");
    assert!(steps.iter().all(|step| step["because"].as_str().is_some_and(|because| !because.is_empty())), "{plan:#}");
    assert_eq!(
        network.audit.count("select count(*) from events where action_type <> 'nothing'"),
        0,
        "nothing was done"
    );

    let applied = network.tries(&["plan", "--policy", "cooperative", "--apply"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let done = "select count(*) from events where action_type <> 'nothing' and outcome = 'done'";
    assert!(network.audit.count(done) >= 1, "{applied:?}");
    assert_ne!(network.replicas(), [3].into());
}

#[test]
fn without_a_measured_job_there_is_nothing_to_plan_with() {
    let place = Place::new();
    let (config, data) = (place.configuration("agents", &[]), place.data());
    let demo = ["demo", "--limit", "1 ms", "--config", text(&config), "--data", text(&data)];
    run(place.path(), &demo);
    // How many jobs the demo came to is the machine's to say.
    let table = Connection::open(data.join("network.db")).expect("the demo made it");
    table.execute("delete from measurements", []).expect("jobs are forgotten");
    let planned = run(place.path(), &["plan", "--config", text(&config), "--data", text(&data)]);
    assert_eq!(planned.code, Some(1), "{planned:?}");
    let why = "error: no physics can be fitted to the jobs of this table; name a scenario to take it from with --scenario: no job was \
               measured in this run; let it run for a while\n";
    assert!(planned.err.ends_with(why), "{planned:?}");
}
