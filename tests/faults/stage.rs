//! The network that is played with: three agents as processes, their stores, their table; and whatever can be done to it.

use super::middleman::Middleman;
use super::network::process::Running;
use super::network::{Place, text};
use super::schedule::{AGENTS, Fault, Mood, STORES, Turn};
use super::small_disk::SmallDisk;
use super::table::Table;
use agent::storage::embedded::{EmbeddedSettings, EmbeddedStore};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How long an aimed kill waits for somebody to transfer.
const AIM_WITHIN: Duration = Duration::from_secs(3);
/// Before an agent that could not start is started again.
const START_AGAIN_AFTER: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What is promised from the signal to the end, and room for a busy machine.
const STOP_WITHIN: Duration = Duration::from_secs(30);
const BUCKET: &str = "agent";
/// Of the stores behind a man in the middle.
const ACCESS_KEY_ID: &str = "AGENTFAULTS";
pub const SECRET_ACCESS_KEY: &str = "a-secret-of-the-faults";
const FAKETIME: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1"];

/// What was done, for people.
#[derive(Default)]
pub struct Tally {
    pub faults: BTreeMap<&'static str, u32>,
    /// Kills, by what they hit.
    pub hits: BTreeMap<String, u32>,
    /// Starts that ended because something was away.
    pub refused_starts: u32,
    /// What could not be injected on this machine, and why.
    pub skipped: BTreeMap<&'static str, String>,
}

pub struct Stage {
    // Processes end before what they use does.
    agents: BTreeMap<u32, Player>,
    /// The processes that ended, with what they had printed.
    pub past: Vec<Running>,
    twin: Option<Running>,
    stores: BTreeMap<u32, (EmbeddedStore, Middleman)>,
    disk: Result<SmallDisk, String>,
    pub table: Table,
    pub tally: Tally,
    /// Whom a fault of this round hit, by its place in the schedule.
    victims: BTreeMap<usize, u32>,
    pub config: PathBuf,
    pub place: Place,
    lives: u32,
    _runtime: Runtime,
}

/// An agent as the schedule wants it.
#[derive(Default)]
struct Player {
    running: Option<Running>,
    /// Kills whose end is still to come.
    down: u32,
    /// How its clock is off, as faketime says it.
    skew: Option<&'static str>,
    start_again_at: Option<Instant>,
}

impl Stage {
    /// Everything but the agents runs.
    pub fn new(place: Place, table: Table, runtime: Runtime) -> Self {
        let data = place.data();
        let disk = SmallDisk::mount(&data.join("nodes").join(super::schedule::SMALL_DISK.to_string()));
        let stores = STORES.iter().map(|node| (*node, open_store(&data, *node, &runtime))).collect();
        Self {
            agents: AGENTS.iter().map(|agent| (*agent, Player::default())).collect(),
            past: Vec::new(),
            twin: None,
            stores,
            disk,
            table,
            tally: Tally::default(),
            victims: BTreeMap::new(),
            config: PathBuf::new(),
            place,
            lives: 0,
            _runtime: runtime,
        }
    }

    /// The address of the man in the middle before a node's store.
    pub fn endpoint(&self, node: u32) -> String {
        self.stores[&node].1.endpoint()
    }

    /// Plays with a round's faults from their beginnings to their ends.
    pub fn play(&mut self, faults: &[super::schedule::Planned]) {
        let began = Instant::now();
        self.victims.clear();
        for (at, turn, index) in super::schedule::turns(faults) {
            while began.elapsed() < at {
                self.supervise();
                std::thread::sleep(LOOK_EVERY);
            }
            let fault = faults[index].fault;
            let skipped = if self.cannot(fault).is_some() { "  (skipped)" } else { "" };
            println!("  {:>7.3} s  {turn}  {fault}{skipped}", began.elapsed().as_secs_f64());
            match turn {
                Turn::Begins => self.begin(index, fault),
                Turn::Ends => self.end(index, fault),
            }
        }
    }

    fn begin(&mut self, index: usize, fault: Fault) {
        if let Some(why) = self.cannot(fault) {
            self.tally.skipped.insert(fault.kind(), why);
            return;
        }
        *self.tally.faults.entry(fault.kind()).or_default() += 1;
        match fault {
            Fault::Kill { agent, aimed } => {
                let victim = if aimed { self.whoever_transfers().unwrap_or(agent) } else { agent };
                self.victims.insert(index, victim);
                self.player(victim).down += 1;
                self.kill(victim);
            }
            Fault::TableGone => self.table.take_away(),
            Fault::Dark { agent, node } => {
                self.table.take_away();
                self.stores[&node].1.set(Mood::Slow);
                self.player(agent).down += 1;
                self.kill(agent);
            }
            Fault::Cut { agent, way, how } => self.table.cut(agent, way, how),
            Fault::Store { node, mood } => self.stores[&node].1.set(mood),
            Fault::DiskFull => self.disk.as_ref().expect("it was asked for").fill(),
            Fault::Skew { agent, ahead } => {
                self.player(agent).skew = Some(if ahead { "+1h" } else { "-1h" });
                self.kill(agent);
            }
            Fault::Twin { agent } => self.start_twin(index, agent),
            Fault::Freeze { agent } => {
                if let Some(running) = &self.player(agent).running {
                    running.signal(Signal::STOP);
                }
            }
        }
    }

    fn end(&mut self, index: usize, fault: Fault) {
        if self.cannot(fault).is_some() {
            return;
        }
        match fault {
            Fault::Kill { .. } => {
                let victim = self.victims[&index];
                self.player(victim).down -= 1;
            }
            Fault::TableGone => self.table.bring_back(),
            Fault::Dark { agent, node } => {
                self.table.bring_back();
                self.stores[&node].1.set(Mood::Honest);
                self.player(agent).down -= 1;
            }
            Fault::Cut { agent, way, how } => self.table.mend(agent, way, how),
            Fault::Store { node, .. } => self.stores[&node].1.set(Mood::Honest),
            Fault::DiskFull => self.disk.as_ref().expect("it was asked for").free(),
            Fault::Skew { agent, .. } => {
                self.player(agent).skew = None;
                self.kill(agent);
            }
            Fault::Twin { agent } => self.end_twin(index, agent),
            // Or the one that was started since, which does not mind.
            Fault::Freeze { agent } => {
                if let Some(running) = &self.player(agent).running {
                    running.signal(Signal::CONT);
                }
            }
        }
    }

    /// Why a fault cannot be had on this machine.
    fn cannot(&self, fault: Fault) -> Option<String> {
        match fault {
            Fault::Cut { .. } | Fault::Skew { .. } if !self.table.is_remote() => {
                Some("agents that share a file share a machine and its clock".to_owned())
            }
            Fault::Skew { .. } if faketime().is_none() => Some("faketime is not installed".to_owned()),
            Fault::DiskFull => self.disk.as_ref().err().cloned(),
            _ => None,
        }
    }

    fn player(&mut self, agent: u32) -> &mut Player {
        self.agents.get_mut(&agent).expect("there are three")
    }

    /// Waits a moment for somebody to transfer.
    fn whoever_transfers(&mut self) -> Option<u32> {
        let began = Instant::now();
        while began.elapsed() < AIM_WITHIN {
            let acting = self.table.running_actions().unwrap_or_default();
            let runs = |agent: &u32| self.agents.get(agent).is_some_and(|player| player.running.is_some());
            let found =
                acting.into_iter().find(|(agent, action)| runs(agent) && ["move", "copy"].contains(&action.as_str()));
            if let Some((agent, _)) = found {
                return Some(agent);
            }
            self.supervise();
            std::thread::sleep(LOOK_EVERY);
        }
        None
    }

    /// kill -9, whatever it is doing.
    fn kill(&mut self, agent: u32) {
        let Some(mut running) = self.player(agent).running.take() else { return };
        running.kill();
        self.past.push(running);
        let hit = match self.table.running_actions() {
            Ok(actions) => {
                actions.into_iter().find(|(of, _)| *of == agent).map_or("no action".to_owned(), |(_, what)| what)
            }
            Err(_) => "unknown: the table was away".to_owned(),
        };
        *self.tally.hits.entry(hit).or_default() += 1;
    }

    /// What a service manager does: whoever shall run and does not is started; whoever could not start tries again.
    pub fn supervise(&mut self) {
        for agent in AGENTS {
            let player = self.player(agent);
            if let Some(ended) = player.running.as_mut().and_then(Running::ended) {
                let running = player.running.take().expect("it has just ended");
                let could_not_start = !running.output().contains("\"notice\":\"job\"");
                // On a machine so busy that it was silent for too long, the second process has become the agent.
                let is_displaced = running.errors().contains("error: another process is agent");
                assert!(
                    ended.code() == Some(1) && (could_not_start || is_displaced),
                    "agent {agent} ended by itself: {ended}\n{}\n{}",
                    running.output(),
                    running.errors()
                );
                player.start_again_at = Some(Instant::now() + START_AGAIN_AFTER);
                self.past.push(running);
                self.tally.refused_starts += 1;
            }
            let player = self.player(agent);
            let may_start = player.start_again_at.is_none_or(|at| at <= Instant::now());
            if player.running.is_none() && player.down == 0 && may_start {
                player.start_again_at = None;
                let skew = player.skew;
                let running = self.start(agent, skew, &self.place.data());
                self.player(agent).running = Some(running);
            }
        }
    }

    fn start(&mut self, agent: u32, skew: Option<&str>, data: &Path) -> Running {
        self.lives += 1;
        let (id, seed, training) = (agent.to_string(), self.lives.to_string(), self.place.training());
        let who = ["run", "--id", &id, "--seed", &seed, "--policy", "fixed", "--log", "json"];
        let places = ["--config", text(&self.config), "--data", text(data), "--training", text(&training)];
        let address = self.table.address_for(agent);
        let mut environment = vec![("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)];
        environment.extend(address.as_deref().map(|address| ("AGENT_KNOWLEDGE", address)));
        if let (Some(skew), Some(library)) = (skew, faketime()) {
            environment.extend([("LD_PRELOAD", library), ("FAKETIME", skew), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
        }
        let name = format!("agent-{agent}-{}", self.lives);
        Running::start_with(&environment, self.place.path(), &name, &[&who[..], &places].concat())
    }

    /// As on another machine, where the table can be reached from there: it must be refused as long as the first one lives.
    fn start_twin(&mut self, index: usize, agent: u32) {
        let Some(first) = self.player(agent).running.as_ref().map(Running::id) else { return };
        self.victims.insert(index, first);
        let elsewhere = self.place.path().join("another-machine");
        let data = if self.table.is_remote() { elsewhere } else { self.place.data() };
        self.twin = Some(self.start(agent, None, &data));
    }

    fn end_twin(&mut self, index: usize, agent: u32) {
        let Some(mut twin) = self.twin.take() else { return };
        let first_lives_on = self.player(agent).running.as_ref().map(Running::id) == self.victims.get(&index).copied();
        let ended = twin.ended().map(|status| status.code());
        assert!(
            ended == Some(Some(1)) || !first_lives_on,
            "a second agent {agent} runs beside the first one, or ended otherwise: {ended:?}\n{}\n{}",
            twin.output(),
            twin.errors()
        );
        twin.kill();
        self.past.push(twin);
    }

    /// The ends of what the agents printed.
    pub fn last_words(&self) -> String {
        let end = |text: String| text.lines().rev().take(5).collect::<Vec<_>>().join("\n");
        let of = |(agent, player): (&u32, &Player)| match &player.running {
            Some(running) => format!("agent {agent}:\n{}\n{}", end(running.output()), end(running.errors())),
            None => format!("agent {agent} is down"),
        };
        self.agents.iter().map(of).collect::<Vec<_>>().join("\n")
    }

    /// Ends all in order; they say nothing alarming.
    pub fn stop(&mut self) {
        for player in self.agents.values() {
            if let Some(running) = &player.running {
                running.signal(Signal::TERM);
            }
        }
        for agent in AGENTS {
            let Some(mut running) = self.player(agent).running.take() else { continue };
            let code = running.ends_within(STOP_WITHIN);
            let errors = running.errors();
            assert!(code == Some(0) && !errors.contains("ERROR"), "agent {agent} ended with {code:?}\n{errors}");
            self.past.push(running);
        }
    }
}

fn open_store(data: &Path, node: u32, runtime: &Runtime) -> (EmbeddedStore, Middleman) {
    let directory = data.join("nodes").join(node.to_string());
    fs::create_dir_all(&directory).expect("a directory for the store");
    let file = fs::File::options().create_new(true).write(true).mode(0o600).open(directory.join("credentials.json"));
    let credentials =
        serde_json::json!({"access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET_ACCESS_KEY}).to_string();
    file.and_then(|mut file| file.write_all(credentials.as_bytes())).expect("credentials for the store");
    let store = EmbeddedStore::start(EmbeddedSettings::new(directory, BUCKET), runtime.handle()).expect("a store");
    let middleman = Middleman::before(store.address());
    (store, middleman)
}

fn faketime() -> Option<&'static str> {
    FAKETIME.into_iter().find(|library| Path::new(library).is_file())
}
