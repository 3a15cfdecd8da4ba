//! A session of `agent simulate --interactive`: named branches of one simulation.

use super::simulate::Simulated;
use super::status::{self, JobCounter, NetworkStatus};
use super::summary::Summary;
use agent_core::domain::failure::JobFailure;
use agent_core::domain::ids::{AgentId, DataSetName, NodeId, ReplicaId};
use agent_core::domain::measurement::Measurement;
use agent_core::domain::metric::Metrics;
use agent_core::domain::time::Timestamp;
use agent_core::mape::notice::Notice;
use agent_core::sim::{Figures, Listener, Simulation, Start, Told, Trace};
use anyhow::bail;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// The branch that a session begins with.
pub const TRUNK: &str = "main";

/// As many branches may there be at one time: each holds a whole network.
const BRANCHES_MAX: usize = 32;

/// Of what happened as many lines are kept, the latest.
const LINES_MAX: usize = 1000;

/// How much is told of what happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    Nothing,
    /// What agents decide and do, and what is done to the network.
    Actions,
    /// Jobs as well.
    Everything,
}

/// What the listener of a branch has seen.
struct Seen {
    /// What each agent reads.
    data_sets: BTreeMap<AgentId, DataSetName>,
    detail: Detail,
    jobs: JobCounter,
    lines: VecDeque<String>,
    /// Lines that were dropped to keep no more than there may be.
    dropped: usize,
}

struct Branch<'a> {
    simulation: Simulation<'a>,
    seen: Rc<RefCell<Seen>>,
}

pub struct Session<'a> {
    simulated: &'a Simulated,
    start: Start<'a>,
    branches: BTreeMap<String, Branch<'a>>,
    current: String,
}

impl<'a> Session<'a> {
    pub fn new(simulated: &'a Simulated, policy: Option<&'a str>, seed: u64) -> anyhow::Result<Self> {
        let start = Start { policy, seed, state: simulated.state.as_ref() };
        let mut simulation = Simulation::new(&simulated.scenario, start)?;
        let seen = Seen::new(simulated);
        simulation.listen(Some(seen_by(&seen)));
        let branches = BTreeMap::from([(TRUNK.to_owned(), Branch { simulation, seen })]);
        Ok(Self { simulated, start, branches, current: TRUNK.to_owned() })
    }

    /// The name of the branch that commands are about.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// All of them, with the times that they have come to.
    pub fn branches(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.branches.iter().map(|(name, branch)| (name.as_str(), branch.simulation.now()))
    }

    pub fn simulation(&mut self) -> &mut Simulation<'a> {
        &mut self.branch_mut().simulation
    }

    pub fn now(&self) -> Timestamp {
        self.here().simulation.now()
    }

    /// What is told from now on of what happens on this branch.
    pub fn tell(&mut self, detail: Detail) {
        self.here().seen.borrow_mut().detail = detail;
    }

    /// What was told since this was last asked, and how many lines before these were too many.
    pub fn told(&mut self) -> (usize, Vec<String>) {
        let mut seen = self.here().seen.borrow_mut();
        let dropped = std::mem::take(&mut seen.dropped);
        (dropped, seen.lines.drain(..).collect())
    }

    /// A branch that goes on from here, and is the one that commands are about from now on.
    pub fn branch(&mut self, name: &str) -> anyhow::Result<()> {
        if self.branches.contains_key(name) {
            bail!("there is a branch {name} already; `switch {name}` goes there");
        }
        if self.branches.len() == BRANCHES_MAX {
            bail!("there are {BRANCHES_MAX} branches, and no more may be: `drop` one");
        }
        let seen = Seen::new(self.simulated);
        let simulation = self.here().simulation.branch_heard(|| Some(seen_by(&seen)))?;
        self.branches.insert(name.to_owned(), Branch { simulation, seen });
        name.clone_into(&mut self.current);
        Ok(())
    }

    pub fn switch(&mut self, name: &str) -> anyhow::Result<()> {
        self.named(name)?;
        name.clone_into(&mut self.current);
        Ok(())
    }

    /// Forgets a branch.
    pub fn drop(&mut self, name: &str) -> anyhow::Result<()> {
        self.named(name)?;
        if name == self.current {
            bail!("{name} is the branch that you are on; `switch` to another one first");
        }
        self.branches.remove(name);
        Ok(())
    }

    pub fn figures(&self, name: &str) -> anyhow::Result<Figures> {
        let simulation = &self.named(name)?.simulation;
        Ok(Figures::new(simulation.scenario(), &simulation.outcome()))
    }

    pub fn status(&self) -> NetworkStatus {
        let Branch { simulation, seen } = self.here();
        let running: BTreeSet<AgentId> = simulation.running().collect();
        status::of_simulation(&simulation.outcome(), &running, &seen.borrow().jobs)
    }

    /// The document of a run that ended here.
    pub fn summary(&self) -> Summary {
        let simulation = &self.here().simulation;
        super::simulate::summarise(simulation.scenario(), self.start.policy, self.start.seed, &simulation.outcome())
    }

    fn named(&self, name: &str) -> anyhow::Result<&Branch<'a>> {
        match self.branches.get(name) {
            Some(branch) => Ok(branch),
            None => {
                let names: Vec<&str> = self.branches.keys().map(String::as_str).collect();
                bail!("there is no branch {name}; branches are {}", names.join(", "))
            }
        }
    }

    fn here(&self) -> &Branch<'a> {
        // Only `drop` removes any, and never this one.
        &self.branches[&self.current]
    }

    fn branch_mut(&mut self) -> &mut Branch<'a> {
        self.branches.get_mut(&self.current).expect("only `drop` removes any, and never this one")
    }
}

impl Seen {
    fn new(simulated: &Simulated) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            data_sets: simulated.scenario.agents.iter().map(|(id, agent)| (*id, agent.data_sets[0].clone())).collect(),
            detail: Detail::Nothing,
            jobs: JobCounter::default(),
            lines: VecDeque::new(),
            dropped: 0,
        }))
    }

    fn see(&mut self, at: Timestamp, told: &Told) {
        self.count(at, told);
        let is_job = matches!(told, Told::Notice(Notice::Job { .. } | Notice::JobFailed { .. }));
        let is_told = match self.detail {
            Detail::Nothing => false,
            Detail::Actions => !is_job,
            Detail::Everything => true,
        };
        if !is_told {
            return;
        }
        let mut text = Vec::new();
        Trace::new(&mut text).line(at, told);
        self.lines.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
        while self.lines.len() > LINES_MAX {
            self.lines.pop_front();
            self.dropped += 1;
        }
    }

    /// As the table of a real network is counted.
    fn count(&mut self, at: Timestamp, told: &Told) {
        match told {
            Told::Notice(Notice::Job { measurement, satisfied, .. }) => {
                self.jobs.count(measurement.clone(), *satisfied);
            }
            Told::Notice(Notice::JobFailed { agent, node, failure }) => {
                let failed = failed_job(*agent, self.data_sets.get(agent), *node, at, failure.clone());
                self.jobs.count(failed, false);
            }
            Told::Notice(_) | Told::World(_) | Told::Placed(_) => {}
        }
    }
}

/// What a simulated job that failed leaves behind.
pub fn failed_job(
    agent: AgentId,
    data_set: Option<&DataSetName>,
    node: NodeId,
    at: Timestamp,
    failure: JobFailure,
) -> Measurement {
    Measurement {
        agent,
        data_set: data_set.cloned().unwrap_or_else(|| DataSetName::from("")),
        // Nobody asks which replica it was.
        replica: ReplicaId(0),
        node,
        at,
        metrics: Metrics::default(),
        ran_at: None,
        emulated_latency_ms: None,
        traffic: None,
        parts: Vec::new(),
        result: None,
        failure: Some(failure),
        job: format!("a{agent}-failed-{}", at.0),
    }
}

fn seen_by<'a>(seen: &Rc<RefCell<Seen>>) -> Listener<'a> {
    let seen = seen.clone();
    Box::new(move |at, told| seen.borrow_mut().see(at, told))
}
