//! Batch jobs, as their users run them: on three agents whose nodes take tasks.

use crate::network::process::{Finished, Running, json, run_within, succeed};
use crate::network::{PATIENCE, Place, edits, text, wait_until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const WORKERS: [edits::Edit; 4] = [
    ("network.toml", "generate_records = 553_729", "generate_records = 20_000"),
    ("1.toml", "[job]", "[worker]\ncores = [0]\nmemory = \"1 GB\"\n\n[job]"),
    ("2.toml", "[job]", "[worker]\ncores = [0, 1]\nmemory = \"1 GB\"\n\n[job]"),
    ("3.toml", "[job]", "[worker]\ncores = [1]\nmemory = \"300 MB\"\n\n[job]"),
];

const LIMIT: Duration = Duration::from_secs(120);

struct Network {
    place: Place,
    config: PathBuf,
    agents: Vec<Running>,
}

impl Network {
    fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// With these edits besides.
    fn start_with(edits: impl FnOnce(&Place) -> Vec<(&'static str, &'static str, String)>) -> Self {
        let place = Place::new();
        let edits = edits(&place);
        let edits: Vec<(&str, &str, &str)> = edits.iter().map(|(file, from, to)| (*file, *from, to.as_str())).collect();
        let config = place.configuration("agents", &[&WORKERS[..], &edits].concat());
        let mut network = Self { place, config, agents: Vec::new() };
        for agent in 1..=3 {
            let agent = network.agent(agent);
            network.agents.push(agent);
        }
        network.wait_for_workers(3);
        network
    }

    fn agent(&self, agent: u32) -> Running {
        let (id, data, training) = (agent.to_string(), self.place.data(), self.place.training());
        let arguments = ["run", "--id", &id, "--config", text(&self.config), "--data", text(&data)];
        let arguments = [&arguments[..], &["--training", text(&training), "--policy", "none"]].concat();
        Running::start(self.place.path(), &format!("agent-{agent}"), &arguments)
    }

    fn wait_for_workers(&self, active: usize) {
        let data = self.place.data();
        wait_until("the workers are there", PATIENCE, || {
            if !data.join("network.db").is_file() {
                return false;
            }
            let listed = self.tries(&["worker", "list", "--json"]);
            let workers: Vec<Value> = serde_json::from_str(&listed.out).unwrap_or_default();
            workers.iter().filter(|worker| worker["standing"] == "active").count() == active
        });
    }

    fn line<'a>(&'a self, arguments: &[&'a str], data: &'a Path) -> Vec<&'a str> {
        [arguments, &["--config", text(&self.config), "--data", text(data)]].concat()
    }

    fn does(&self, arguments: &[&str]) -> String {
        succeed(self.place.path(), &self.line(arguments, &self.place.data()))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        json(self.place.path(), &self.line(arguments, &self.place.data()))
    }

    fn tries(&self, arguments: &[&str]) -> Finished {
        run_within(LIMIT, self.place.path(), &self.line(arguments, &self.place.data()))
    }

    /// Writes a job's file; its name.
    fn file(&self, text: &str) -> String {
        let file = self.place.path().join("job.toml");
        fs::write(&file, text).expect("a file");
        "job.toml".to_owned()
    }

    /// Queues a job; its number.
    fn submit(&self, text: &str) -> String {
        let file = self.file(text);
        self.json(&["batch", "submit", &file, "--json"])["id"].to_string()
    }

    fn show(&self, job: &str) -> Value {
        self.json(&["batch", "show", job, "--json"])
    }

    #[track_caller]
    fn wait_for(&self, job: &str, state: &str) -> Value {
        wait_until(&format!("job {job} is {state}"), PATIENCE, || self.show(job)["state"] == state);
        self.show(job)
    }

    fn stop(mut self) {
        for agent in &mut self.agents {
            agent.signal(Signal::TERM);
            assert_eq!(agent.ends_within(PATIENCE), Some(0), "{}", agent.errors());
        }
    }
}

/// Processes of this machine whose command line has this in it.
fn processes(mark: &str) -> usize {
    let is_marked = |entry: &fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let state = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // Who has ended, and only waits to be buried, does nothing any more.
        let is_dead = state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
        !is_dead && String::from_utf8_lossy(&line).contains(mark)
    };
    fs::read_dir("/proc").expect("processes").flatten().filter(is_marked).count()
}

#[test]
fn jobs_of_several_tasks_run_together_and_say_what_becomes_of_them() {
    let network = Network::start();

    // All of its tasks at once, on four cores of three nodes; what they said, and what they were held to.
    let file = network.file(
        "name = \"hello\"\n[[task]]\ncount = 4\nmemory = \"100 MB\"\ndata_sets = [\"blood_tests\"]\n\
         command = [\"sh\", \"-c\", \"echo $AGENT_TASK_INDEX reads $AGENT_DATA_SET at $AGENT_BUCKET\"]\n",
    );
    let followed = network.tries(&["batch", "submit", &file, "--follow"]);
    assert_eq!(followed.code, Some(0), "{followed:?}");
    assert!(followed.out.contains("job 1 done: all of its tasks are"), "{}", followed.out);
    let said = network.does(&["batch", "logs", "1"]);
    assert_eq!(said.lines().count(), 4, "{said}");
    assert!(said.contains("1.3  3 reads blood_tests at agent"), "{said}");
    let shown = network.show("1");
    let nodes: Vec<&Value> = shown["tasks"].as_array().unwrap().iter().map(|task| &task["seat"]["node"]).collect();
    assert_eq!(nodes.len(), 4);
    assert!(shown["tasks"][0]["limits"]["by"].is_string(), "{shown:#}");
    assert_eq!(network.does(&["batch", "logs", "1.2"]), "2 reads blood_tests at agent\n");

    // More than there is: refused, and told why, unless it may wait.
    let file = network.file("name = \"wide\"\n[[task]]\ncores = 3\ncommand = [\"true\"]\n");
    let refused = network.tries(&["batch", "submit", &file]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("task 0 needs 3 cores and 50.0 MB, which no worker has now"), "{}", refused.err);
    assert!(refused.err.contains("node 2: it is too small by 1 cores"), "{}", refused.err);
    let waits = network.json(&["batch", "submit", &file, "--wait", "--json"])["id"].to_string();
    assert!(network.does(&["batch", "why", &waits]).contains("too small by"));
    assert_eq!(network.does(&["batch", "cancel", &waits]), format!("job {waits} is cancelled\n"));

    // What cannot start, and what fails.
    let job = network.submit("name = \"typo\"\n[[task]]\ncommand = [\"no-such-program\"]\n");
    let failed = network.wait_for(&job, "failed");
    let reason = failed["verdict"]["reason"].as_str().unwrap();
    assert!(reason.contains("no-such-program") && reason.contains("not found"), "{reason}");
    assert_eq!(failed["tasks"][0]["attempt"], 1, "it would not be there at another try");
    let job = network.submit(
        "name = \"exit\"\n[[task]]\ntries = 2\npause = \"10 ms\"\ncommand = [\"sh\", \"-c\", \"echo no; exit 7\"]\n",
    );
    let failed = network.wait_for(&job, "failed");
    assert_eq!(failed["tasks"][0]["ending"]["exited"], 7, "{failed:#}");
    assert_eq!((&failed["tasks"][0]["attempt"], &failed["tasks"][0]["output"]), (&2.into(), &"no\n".into()));

    // Placed by another strategy from now on.
    assert!(network.does(&["batch", "use", "priority+first-fit"]).contains("priority+first-fit+backfill"));
    let listed = network.does(&["batch", "list", "--state", "failed"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    network.stop();
}

#[test]
fn work_survives_the_death_of_its_agent_and_moves_with_its_state() {
    let mut network = Network::start();
    let mark = format!("batch-{}", std::process::id());

    // It counts, and writes down how far it has come when it is asked to.
    let counts = format!(
        "n=$(cat $AGENT_CHECKPOINT/n 2>/dev/null || echo 0); echo from $n; \
         trap 'mkdir -p $AGENT_CHECKPOINT; echo $n > $AGENT_CHECKPOINT/n; touch $AGENT_CHECKPOINT_DONE' USR1; \
         while [ $n -lt 1000000 ]; do n=$((n + 1)); sleep 0.05; done # {mark}"
    );
    let job = network.submit(&format!(
        "name = \"counts\"\n[[task]]\nnode = 2\nlabels = \"x!=y\"\ntries = 9\npause = \"10 ms\"\n\
         checkpoint = {{ signal = \"SIGUSR1\", path = \"state\", within = \"10 min\" }}\ncommand = [\"sh\", \"-c\", '''{counts}''']\n"
    ));
    network.wait_for(&job, "running");
    wait_until("the program runs", PATIENCE, || processes(&mark) > 0);
    assert!(network.does(&["batch", "checkpoint", &job]).contains("is asked for its state"));
    wait_until("its state is kept", PATIENCE, || network.show(&job)["tasks"][0]["saved"].is_object());

    // Other limits, where it is; what its worker does not have is refused.
    let task = format!("{job}.0");
    network.does(&["batch", "resize", &task, "--cores", "2", "--memory", "200 MB"]);
    wait_until("it is resized", PATIENCE, || network.show(&job)["tasks"][0]["wanted"] == "run");
    let refused = network.tries(&["batch", "resize", &task, "--cores", "3"]);
    assert!(refused.err.contains("needs 1 more cores, and node 2 has 0 free"), "{}", refused.err);

    // Killed: what it ran is gone with it, lost, and tried again when it is back.
    network.agents[1].kill();
    wait_until("nothing is left of it", PATIENCE, || processes(&mark) == 0);
    network.agents[1] = network.agent(2);
    let is_again = |shown: &Value| shown["state"] == "running" && shown["tasks"][0]["attempt"] == 2;
    wait_until("it runs again", PATIENCE, || is_again(&network.show(&job)));
    let said = network.show(&job)["history"].to_string();
    assert!(said.contains("lost: its worker was started anew; try 2 of 9"), "{said}");

    // A node that drains keeps what it has; and a job that is called off leaves nothing.
    network.does(&["worker", "drain", "2"]);
    let listed = network.json(&["worker", "list", "--json"]);
    assert_eq!((&listed[1]["standing"], &listed[1]["tasks"]), (&"draining".into(), &1.into()), "{listed:#}");
    network.does(&["worker", "resume", "2"]);
    network.does(&["batch", "cancel", &job]);
    network.wait_for(&job, "cancelled");
    wait_until("nothing is left of it", PATIENCE, || processes(&mark) == 0);
    network.stop();
}

/// Prints where it runs and what it reads, as a job has to.
const WHERE: &str = "#!/bin/sh\n\
    echo '{\"records\": 7, \"execution_time_s\": 0.01, \"result\": \"'${AGENT_NODE:-home}' '$AGENT_DATA_SET'\"}'\n";

#[test]
fn an_agents_job_runs_where_its_work_was_moved_to() {
    let network = Network::start_with(|place| {
        let moves = ("1.toml", "goal = \"response_time", "may_run_on = [2]\ngoal = \"response_time".to_owned());
        vec![place.job("1.toml", WHERE), moves]
    });
    let handed = || {
        let jobs = network.json(&["batch", "list", "--state", "done", "--json"]);
        jobs.as_array().unwrap().iter().find(|job| job["specification"]["name"] == "job of agent 1").cloned()
    };
    assert_eq!(handed(), None, "it runs at home");
    network.does(&["act", "T1_2", "--agent", "1"]);
    wait_until("a job of agent 1 ran elsewhere", PATIENCE, || handed().is_some());
    let job = handed().unwrap();
    assert_eq!(job["tasks"][0]["seat"]["node"], 2, "{job:#}");
    assert!(job["tasks"][0]["output"].as_str().unwrap().contains("2 blood_tests"), "{job:#}");
    network.does(&["act", "T1_1", "--agent", "1"]);
    network.stop();
}
