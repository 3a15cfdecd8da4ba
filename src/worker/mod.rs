//! The node of an agent as a worker: it runs the tasks of batch jobs that the shared table gives it, and places what waits.
//!
//! What is to be done is decided by `agent_batch`: its machine says what to start, stop and report. Here is what performs it:
//! `offer` (what of the machine there is for tasks), `attempt` (one task from its start to its end), `launch` (what is started),
//! `inputs` (what a task is told about its data), `state` (what it has written down, to a store and back), `table` (what is heard
//! from the table and said to it), `placing` (what waits is given its places).
//!
//! Nothing that fails here ends an agent: its own application goes on.

mod attempt;
mod inputs;
mod launch;
mod offer;
mod placing;
mod state;
mod table;

pub use launch::output;
pub use offer::{Offer, OfferError, offer};
pub use placing::place;

use crate::actors::{Notice, World, chain};
use agent_batch::job::{Attempt, RunnerKind};
use agent_batch::queue::worker::{Join, Leave};
use agent_batch::table::{BatchTable, carry_out};
use agent_batch::worker::{Effect, Input, Worker as Machine};
use agent_core::domain::labels::Labels;
use agent_core::domain::time::Timestamp;
use agent_runner::Runner;
use attempt::{Command, Hands};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

/// However short a second of the scenario is, programs need time to end before others take them for lost.
const LEAST_LEASE: Duration = Duration::from_secs(6);
/// How long a worker that ends waits for its tasks.
const LEAVES_WITHIN: Duration = Duration::from_secs(3);

/// The technologies that start tasks, by their kinds.
pub type Runners = BTreeMap<RunnerKind, Arc<dyn Runner>>;

/// Which node becomes a worker, and how.
pub struct Wanted {
    pub world: Arc<World>,
    pub table: Arc<dyn BatchTable>,
    pub runners: Runners,
    pub offer: Offer,
    pub labels: Labels,
    /// The address of the shared table, by which this network's tasks are told from another's on this machine.
    pub network: String,
    /// Where tasks work.
    pub folder: PathBuf,
    /// How long a silent application counts as there.
    pub silence: Duration,
}

/// An agent's node that takes tasks.
pub struct Worker {
    leave: Option<oneshot::Sender<()>>,
    running: AbortOnDropHandle<()>,
    _beside: Vec<AbortOnDropHandle<()>>,
}

impl Worker {
    /// Ends what a former life left behind, and takes tasks from then on.
    pub async fn begin(wanted: Wanted) -> anyhow::Result<Self> {
        let Wanted { world, table, runners, offer, labels, network, folder, silence } = wanted;
        let prefix = launch::prefix(&network, world.agent);
        let lease = silence.max(world.clock.record(LEAST_LEASE));
        for runner in runners.values() {
            for name in runner.sweep(&prefix).await? {
                let what = format!("task `{name}`, which a former life had left running, is ended");
                world.notify(Notice::Recovered { agent: world.agent, what });
            }
        }
        state::clear(&folder)?;
        let Offer { cores, memory, remarks } = offer;
        remarks.iter().for_each(|remark| world.trouble(remark.clone()));
        let join = Join {
            node: world.home,
            life: world.identity.life.clone(),
            cores: cores.clone(),
            memory,
            runners: runners.keys().copied().collect(),
            labels,
            lease,
        };
        carry_out(table.as_ref(), join).await?;
        let told = format!("takes tasks: cores {cores}, {} of memory", agent_core::domain::units::show_bytes(memory));
        world.notify(Notice::UnderWay { agent: world.agent, what: told });

        let (inputs, received) = mpsc::unbounded_channel();
        let (reports, to_report) = mpsc::unbounded_channel();
        let (room, (news, heard)) = (Arc::new(Notify::new()), watch::channel(0));
        let (talk, services) =
            (table::Talk { world: world.clone(), table: table.clone(), lease }, world.services.clone());
        let beside = vec![
            AbortOnDropHandle::new(services.spawn(talk.clone().report(to_report, inputs.clone(), room.clone()))),
            AbortOnDropHandle::new(services.spawn(talk.clone().listen(inputs.clone(), news))),
            AbortOnDropHandle::new(services.spawn(placing::place_again_and_again(talk, room, heard))),
        ];
        let hands = Arc::new(Hands { world: world.clone(), runners, prefix, folder });
        let desk =
            Desk { machine: Machine::new(lease), world, table, hands, inputs, reports, attempts: BTreeMap::new() };
        let (leave, leaves) = oneshot::channel();
        let running = AbortOnDropHandle::new(services.spawn(desk.run(received, leaves)));
        Ok(Self { leave: Some(leave), running, _beside: beside })
    }

    /// Ends its tasks, and says that it is gone.
    pub async fn leave(mut self) {
        if let Some(leave) = self.leave.take() {
            // It may have ended already.
            let _ended = leave.send(());
        }
        _ = tokio::time::timeout(LEAVES_WITHIN * 2, &mut self.running).await;
    }
}

/// Drives the machine.
struct Desk {
    machine: Machine,
    world: Arc<World>,
    table: Arc<dyn BatchTable>,
    hands: Arc<Hands>,
    inputs: mpsc::UnboundedSender<Input>,
    reports: mpsc::UnboundedSender<table::Said>,
    attempts: BTreeMap<Attempt, mpsc::UnboundedSender<Command>>,
}

impl Desk {
    async fn run(mut self, mut received: mpsc::UnboundedReceiver<Input>, mut leaves: oneshot::Receiver<()>) {
        loop {
            let due = self.machine.next().map(|at| self.until(at));
            tokio::select! {
                Some(input) = received.recv() => self.handle(input),
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => self.handle(Input::Tick),
                _ = &mut leaves => return self.leave(received).await,
            }
        }
    }

    fn until(&self, at: Timestamp) -> Duration {
        self.world.clock.apply(at.since(self.world.clock.now()))
    }

    fn handle(&mut self, input: Input) {
        if let Input::Ended { attempt, .. } | Input::Started { attempt, result: Err(_) } = &input {
            self.attempts.remove(attempt);
        }
        for effect in self.machine.handle(input, self.world.clock.now()) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Start(assignment) => {
                let attempt = assignment.attempt();
                let (commands, ordered) = mpsc::unbounded_channel();
                self.attempts.insert(attempt, commands);
                let (hands, inputs) = (self.hands.clone(), self.inputs.clone());
                // It ends when its commands do: with this worker.
                self.world.services.spawn(async move { hands.carry(*assignment, ordered, inputs).await });
            }
            Effect::Stop { attempt, grace } => self.order(attempt, Command::Stop(self.world.clock.apply(grace))),
            Effect::Resize { attempt, size, cores } => self.order(attempt, Command::Resize(size, cores)),
            Effect::Checkpoint { attempt } => self.order(attempt, Command::Checkpoint),
            // The reporter lives as long as this.
            Effect::Report { attempt, what } => _ = self.reports.send(table::Said { attempt, what }),
        }
    }

    fn order(&mut self, attempt: Attempt, command: Command) {
        if let Some(commands) = self.attempts.get(&attempt) {
            // One that ends at this moment says so itself.
            let _ended = commands.send(command);
        }
    }

    async fn leave(mut self, mut received: mpsc::UnboundedReceiver<Input>) {
        self.handle(Input::Disowned);
        let ended = async {
            while !self.machine.is_idle() {
                let Some(input) = received.recv().await else { return };
                self.handle(input);
            }
        };
        if tokio::time::timeout(LEAVES_WITHIN, ended).await.is_err() {
            self.world.trouble("some tasks did not end in time; they are killed".to_owned());
        }
        let (node, life) = (self.world.home, self.world.identity.life.clone());
        if let Err(error) = carry_out(self.table.as_ref(), Leave { node, life }).await {
            self.world.trouble(format!("its tasks count as running until its lease is over: {}", chain(&error)));
        }
    }
}
