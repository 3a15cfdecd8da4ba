//! A network of workers in virtual time, over one table: agents die and come back, are cut off from the table, programs fail, jobs
//! come and are called off. Whatever happens, nothing runs twice at a time, no core is given twice, and in the end every job
//! is over and every worker idle.

use agent_batch::cores::Cores;
use agent_batch::job::*;
use agent_batch::placement::{Place, Size};
use agent_batch::placer::placing;
use agent_batch::queue::report::Report;
use agent_batch::queue::submit::{Cancel, Submit};
use agent_batch::queue::worker::{Beat, Join, Reap};
use agent_batch::queue::{Request, Scope};
use agent_batch::table::memory::MemoryBatchTable;
use agent_batch::table::{BatchTable, Listing, carry_out};
use agent_batch::worker::{Effect, Input, Worker};
use agent_core::clock::{Clock as _, VirtualClock};
use agent_core::domain::ids::{Life, NodeId};
use agent_core::domain::time::Timestamp;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

const LEASE: Duration = Duration::from_millis(900);
const STEP: Duration = Duration::from_millis(20);
const CORES: u32 = 4;
const NODES: u32 = 4;

struct Node {
    id: NodeId,
    life: u32,
    /// Dead: no machine.
    machine: Option<Worker>,
    programs: BTreeMap<Attempt, Program>,
    inputs: VecDeque<Input>,
    reports: VecDeque<Report>,
    cut_off_until: Timestamp,
    revision: i64,
    beaten_at: Timestamp,
}

struct Program {
    cores: Cores,
    ends_at: Timestamp,
    ending: Ending,
}

struct Cluster {
    clock: Arc<VirtualClock>,
    table: MemoryBatchTable,
    nodes: Vec<Node>,
    rng: ChaCha8Rng,
    runtime: tokio::runtime::Runtime,
    ended: BTreeSet<JobId>,
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let clock = Arc::new(VirtualClock::at(Timestamp(1_000_000)));
        let table = MemoryBatchTable::new(clock.clone());
        let node = |id| Node {
            id: NodeId(id),
            life: 0,
            machine: None,
            programs: BTreeMap::new(),
            inputs: VecDeque::new(),
            reports: VecDeque::new(),
            cut_off_until: Timestamp(0),
            revision: -1,
            beaten_at: Timestamp(0),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut cluster =
            Self { clock, table, nodes: (1..=NODES).map(node).collect(), rng, runtime, ended: BTreeSet::new() };
        for at in 0..cluster.nodes.len() {
            cluster.start(at);
        }
        cluster
    }

    fn ask<R: Request>(&self, request: R) -> R::Answer {
        self.runtime.block_on(carry_out(&self.table, request)).unwrap()
    }

    fn life(&self, at: usize) -> Life {
        Life(format!("{}-{}", self.nodes[at].id, self.nodes[at].life))
    }

    fn start(&mut self, at: usize) {
        self.nodes[at].life += 1;
        self.nodes[at].machine = Some(Worker::new(LEASE));
        let (node, life) = (self.nodes[at].id, self.life(at));
        let runners = BTreeSet::from([RunnerKind::Process]);
        let cores = (0..CORES).collect();
        self.ask(Join { node, life, cores, memory: 1_000, runners, labels: Default::default(), lease: LEASE });
    }

    /// The agent is killed, and all that it started with it.
    fn kill(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        (node.machine, node.revision) = (None, -1);
        node.programs.clear();
        node.inputs.clear();
        node.reports.clear();
    }

    fn submit(&mut self, key: u32) {
        let tasks = (0..self.rng.random_range(1..4)).map(|_| TaskSpecification {
            name: "part".to_owned(),
            runner: RunnerKind::Process,
            command: vec!["true".to_owned()],
            container: None,
            environment: BTreeMap::new(),
            size: Size { cores: self.rng.random_range(1..=2), memory: 10 },
            place: Place::Anywhere,
            labels: None,
            data_sets: Vec::new(),
            replica: None,
            time_limit_ms: self.rng.random_bool(0.5).then_some(600),
            restart: Restart { tries: 50, pause_ms: 1 },
            checkpoint: None,
            grace_ms: 40,
        });
        let specification = Specification {
            name: "job".to_owned(),
            priority: 0,
            deadline: None,
            keep_going: false,
            tasks: tasks.collect(),
        };
        self.ask(Submit { key: key.to_string(), specification, waits: true });
    }

    fn step(&mut self) {
        self.clock.advance(STEP);
        let now = self.clock.now();
        for at in 0..self.nodes.len() {
            if self.nodes[at].machine.is_some() {
                self.live(at, now);
            }
        }
        self.check();
    }

    fn live(&mut self, at: usize, now: Timestamp) {
        let over: Vec<Attempt> =
            self.nodes[at].programs.iter().filter(|(_, it)| it.ends_at <= now).map(|(attempt, _)| *attempt).collect();
        for attempt in over {
            let program = self.nodes[at].programs.remove(&attempt).unwrap();
            let output = String::new();
            self.nodes[at].inputs.push_back(Input::Ended { attempt, ending: program.ending, output });
        }
        if now >= self.nodes[at].cut_off_until {
            self.speak(at, now);
        }
        self.nodes[at].inputs.push_back(Input::Tick);
        while let Some(input) = self.nodes[at].inputs.pop_front() {
            let effects = self.nodes[at].machine.as_mut().unwrap().handle(input, now);
            for effect in effects {
                self.perform(at, effect, now);
            }
        }
    }

    /// With the table, in order: reports, what is held, what can be placed.
    fn speak(&mut self, at: usize, now: Timestamp) {
        while let Some(report) = self.nodes[at].reports.pop_front() {
            let attempt = Attempt { task: report.task, number: report.attempt };
            if !self.ask(report) {
                self.nodes[at].inputs.push_back(Input::Late { attempt });
            }
        }
        let revision = self.runtime.block_on(self.table.revision()).unwrap();
        if revision != self.nodes[at].revision || now.since(self.nodes[at].beaten_at) >= LEASE / 4 {
            (self.nodes[at].revision, self.nodes[at].beaten_at) = (revision, now);
            let beat = Beat { node: self.nodes[at].id, life: self.life(at), lease: LEASE, samples: false };
            let input = match self.ask(beat) {
                Some(assignments) => Input::Held { assignments, until: now + LEASE },
                None => Input::Disowned,
            };
            self.nodes[at].inputs.push_back(input);
        }
        let all = Scope::all();
        let queue = self.runtime.block_on(self.table.look(all)).unwrap();
        let next = placing(&queue);
        if next.reap {
            self.ask(Reap);
        }
        next.place.map(|place| self.ask(place));
    }

    fn perform(&mut self, at: usize, effect: Effect, now: Timestamp) {
        match effect {
            Effect::Start(assignment) => {
                let attempt = assignment.attempt();
                let ending = match self.rng.random_range(0..10) {
                    0 => Ending::Exited(1),
                    1 => Ending::OutOfMemory,
                    _ => Ending::Exited(0),
                };
                let longest = if self.rng.random_bool(0.2) { 4_000 } else { 800 };
                let ends_at = now + Duration::from_millis(self.rng.random_range(0..longest));
                let cores = assignment.task.seat.unwrap().cores;
                let is_free = self.nodes[at].programs.values().all(|other| other.cores.is_disjoint(&cores));
                assert!(is_free, "a core is given twice");
                self.nodes[at].programs.insert(attempt, Program { cores, ends_at, ending });
                let holds = || Limit::Holds(String::new());
                let limits = Limits { by: "nothing".to_owned(), cores: holds(), memory: holds() };
                self.nodes[at].inputs.push_back(Input::Started { attempt, result: Ok(limits) });
            }
            Effect::Stop { attempt, grace } => {
                if let Some(program) = self.nodes[at].programs.get_mut(&attempt) {
                    program.ends_at = program.ends_at.min(now + grace);
                    program.ending = Ending::Killed(15);
                }
            }
            Effect::Report { attempt, what } => {
                let (node, life) = (self.nodes[at].id, self.life(at));
                self.nodes[at].reports.push_back(Report {
                    node,
                    life,
                    task: attempt.task,
                    attempt: attempt.number,
                    what,
                });
            }
            Effect::Resize { .. } | Effect::Checkpoint { .. } => unreachable!("nobody asks for it here"),
        }
    }

    fn check(&mut self) {
        let mut running: BTreeSet<TaskId> = BTreeSet::new();
        for attempt in self.nodes.iter().flat_map(|node| node.programs.keys()) {
            assert!(running.insert(attempt.task), "task {} runs twice", attempt.task);
        }
        let listing = Listing { states: BTreeSet::new(), before: None, limit: usize::MAX };
        for (job, tasks) in self.runtime.block_on(self.table.jobs(&listing)).unwrap() {
            if job.state.is_over() {
                self.ended.insert(job.id);
                assert!(tasks.iter().all(|task| task.state.is_over()), "job {} is over, and its tasks are not", job.id);
            }
            assert!(job.state.is_over() || !self.ended.contains(&job.id), "job {} was over", job.id);
        }
    }

    fn heal(&mut self) {
        for at in 0..self.nodes.len() {
            self.nodes[at].cut_off_until = Timestamp(0);
            if self.nodes[at].machine.is_none() {
                self.start(at);
            }
        }
    }
}

fn run(seed: u64) {
    let mut cluster = Cluster::new(seed);
    let mut submitted = 0;
    for _ in 0..600 {
        let at = cluster.rng.random_range(0..cluster.nodes.len());
        let now = cluster.clock.now();
        match cluster.rng.random_range(0..100) {
            0..10 if submitted < 40 => {
                submitted += 1;
                cluster.submit(submitted);
            }
            10..13 if submitted > 0 => {
                let job = JobId(i64::from(cluster.rng.random_range(1..=submitted)));
                cluster.ask(Cancel { job, reason: "chance".to_owned() });
            }
            13..16 => cluster.kill(at),
            16..20 => {
                let cut_off = Duration::from_millis(cluster.rng.random_range(0..3_000));
                cluster.nodes[at].cut_off_until = now + cut_off;
            }
            20..26 if cluster.nodes[at].machine.is_none() && now >= cluster.nodes[at].cut_off_until => {
                cluster.start(at)
            }
            _ => {}
        }
        cluster.step();
    }
    cluster.heal();
    for _ in 0..1_500 {
        cluster.step();
    }
    assert_eq!(cluster.ended.len(), submitted as usize, "every job ends");
    let all = Scope::all();
    let queue = cluster.runtime.block_on(cluster.table.look(all)).unwrap();
    for worker in queue.workers.values() {
        assert_eq!(queue.free(worker), (worker.cores.clone(), worker.memory), "all is free again");
    }
    assert!(cluster.nodes.iter().all(|node| node.programs.is_empty()));
}

#[test]
fn whatever_happens_nothing_runs_twice_and_every_job_ends() {
    let seeds = std::env::var("CLUSTER_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(20);
    for seed in 0..seeds {
        println!("seed {seed}");
        run(seed);
    }
}
