//! A simulation: virtual time goes on to the end of the next job when it is watched, and to the end of what is ordered when something
//! is. So a strategy may think as long as it likes, and every run with the same answers is the same run.

use super::contract::{Base, Observed};
use super::{AgentOptions, Exemplar};
use crate::app::interactive::Session;
use agent_core::domain::adaptation::Order;
use agent_core::domain::ids::AgentId;
use agent_core::domain::time::Timestamp;
use agent_core::sim::{Edit, Until};
use anyhow::Context as _;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::mpsc;
use tokio::sync::oneshot;

type Reply<T> = oneshot::Sender<anyhow::Result<T>>;

/// What the one thread is asked that the simulation lives on.
pub enum Command {
    Observe(Base, Reply<Observed>),
    Options(Vec<AgentId>, Reply<BTreeMap<AgentId, AgentOptions>>),
    Execute(BTreeMap<AgentId, Order>, Reply<BTreeMap<AgentId, String>>),
    /// Nobody is to wait for its end.
    Stop,
}

/// The simulation, as requests reach it.
pub struct Lockstep(mpsc::Sender<Command>);

/// Both ends: what is served, and what [`drive`] hears; `stop` ends it.
pub fn new() -> (Lockstep, mpsc::Receiver<Command>, impl FnOnce() + Send) {
    let (commands, heard) = mpsc::channel();
    let stop = commands.clone();
    (Lockstep(commands), heard, move || _ = stop.send(Command::Stop))
}

impl Lockstep {
    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> anyhow::Result<T> {
        let (reply, answer) = oneshot::channel();
        const OVER: &str = "the simulation has come to its end";
        self.0.send(command(reply)).ok().context(OVER)?;
        answer.await.context(OVER)?
    }
}

#[async_trait]
impl Exemplar for Lockstep {
    async fn observe(&self, base: Base) -> anyhow::Result<Observed> {
        self.ask(|reply| Command::Observe(base, reply)).await
    }

    async fn options(&self, agents: &[AgentId]) -> anyhow::Result<BTreeMap<AgentId, AgentOptions>> {
        self.ask(|reply| Command::Options(agents.to_vec(), reply)).await
    }

    async fn execute(&self, orders: BTreeMap<AgentId, Order>) -> anyhow::Result<BTreeMap<AgentId, String>> {
        self.ask(|reply| Command::Execute(orders, reply)).await
    }
}

/// Does what is asked until virtual time has come to `end`, or it is told to stop. A broken invariant ends it, too.
pub fn drive(session: &mut Session, commands: &mpsc::Receiver<Command>, end: Timestamp) -> anyhow::Result<()> {
    while session.now() < end {
        // Who replies to nobody has been given up; that changes nothing here.
        match commands.recv() {
            Ok(Command::Observe(base, reply)) => drop(reply.send(Ok(observe(session, base, end)?))),
            Ok(Command::Options(agents, reply)) => drop(reply.send(options(session, &agents))),
            Ok(Command::Execute(orders, reply)) => drop(reply.send(Ok(execute(session, orders, end)?))),
            Ok(Command::Stop) | Err(mpsc::RecvError) => break,
        }
    }
    Ok(())
}

fn observe(session: &mut Session, base: Base, end: Timestamp) -> anyhow::Result<Observed> {
    let of = match base {
        Base::Agent(agent) => Some(agent),
        Base::Network => None,
    };
    let simulation = session.simulation();
    simulation.run_until(Until::Job(of), end, |_| {})?;
    let agents = simulation.scenario().agents.keys().copied().collect::<Vec<_>>().into_iter();
    let latest = agents.filter_map(|agent| Some((agent, simulation.adaptation(agent)?.clone())));
    let adaptations = latest.collect();
    let time_s = session.now().since(Timestamp::default()).as_secs_f64();
    Ok(Observed { time_s, status: session.status(), adaptations })
}

fn options(session: &mut Session, agents: &[AgentId]) -> anyhow::Result<BTreeMap<AgentId, AgentOptions>> {
    let of = |agent: &AgentId| Ok((*agent, session.simulation().options(*agent)?));
    agents.iter().map(of).collect()
}

fn execute(
    session: &mut Session,
    orders: BTreeMap<AgentId, Order>,
    end: Timestamp,
) -> anyhow::Result<BTreeMap<AgentId, String>> {
    let (simulation, mut refused) = (session.simulation(), BTreeMap::new());
    for (agent, order) in orders {
        if let Err(why) = simulation.edit(Edit::Order { agent, order }) {
            refused.insert(agent, why.to_string());
        }
    }
    simulation.run_until(Until::Adapted, end, |_| {})?;
    Ok(refused)
}
