//! Thin actix shells: they perform the effects that `mape` decides on, and turn what happens into its inputs.
//!
//! ```text
//!             Violated              Execute
//!   Monitor -------------> Planner ----------> Executor          Watchdog: heartbeat, closing of windows, recovery
//!      ^      Measured       |  ^     Ended       |
//!      '---------------------'  '-----------------'
//!             Repaired
//! ```
//!
//! One message of a kind is under way at a time, so no mailbox fills; `deliver` treats a failure as the end of the agent.

#[cfg(test)]
mod changed_objects;
mod executor;
mod inspection;
mod mending;
mod monitor;
mod observer;
mod planner;
mod removal;
mod saga;
mod watchdog;
mod world;

pub use agent_core::mape::notice::{Notice, RESULT_SHOWN, show_metrics};
pub use inspection::{Depth, inspect, judge};
pub use mending::plan_for;
pub use observer::{Observer, Step};
pub use removal::remove as remove_object;
pub use saga::carry_out;
pub use watchdog::{Watch, beat, probe_links, recover};
pub use world::{Reach, ReachError, Reached, World, chain, run_job};

use actix::prelude::*;
use agent_core::mape::chance::Streams;
use agent_core::mape::monitor::Rhythm;
use agent_core::mape::planner::{Experience, Parameters, Policy};
use std::sync::Arc;

/// What an agent is made of, besides its world.
#[derive(Clone)]
pub struct Makeup {
    pub parameters: Arc<Parameters>,
    pub policy: Arc<dyn Policy>,
    pub experience: Experience,
    pub rhythm: Rhythm,
    pub watch: Watch,
    pub seed: u64,
}

/// A running agent.
pub struct Agent {
    monitor: Addr<monitor::MonitorActor>,
    planner: Addr<planner::PlannerActor>,
    executor: Addr<executor::ExecutorActor>,
    watchdog: Addr<watchdog::WatchdogActor>,
}

impl Agent {
    /// Starts the actors on the current arbiter; the first pause begins.
    pub fn start(makeup: &Makeup, world: &Arc<World>) -> Self {
        if let Some(observer) = &world.observer {
            observer.started(makeup, &world.identity.life);
        }
        let streams = Streams::new(makeup.seed);
        // The three know each other, so their addresses exist before they do.
        let (monitor, planner, executor) = (Context::new(), Context::new(), Context::new());
        let (to_monitor, to_planner, to_executor) = (monitor.address(), planner.address(), executor.address());
        let monitor = monitor.run(monitor::MonitorActor::new(
            makeup,
            world.clone(),
            to_planner.clone().recipient(),
            streams.monitor,
            streams.links,
        ));
        let planner = planner.run(planner::PlannerActor::new(
            makeup,
            world.clone(),
            to_monitor.clone().recipient(),
            to_executor.recipient(),
            streams.planner,
        ));
        let probes = makeup.experience.predictor.needs_probes().then(|| to_planner.clone().recipient());
        let executor = executor.run(executor::ExecutorActor::new(world.clone(), makeup.watch, to_planner.recipient()));
        let (watch, convergence) = (makeup.watch, to_monitor.recipient());
        let watchdog =
            watchdog::WatchdogActor::new(watch, world.clone(), convergence, probes, streams.watchdog).start();
        Self { monitor, planner, executor, watchdog }
    }

    /// No new job; a running one is dropped, a running action finished or released. Returns when all is quiet.
    pub async fn stop(&self) {
        // An actor that is gone has nothing left to stop.
        let _gone = self.monitor.send(monitor::Stop).await;
        let _gone = self.planner.send(planner::Stop).await;
        let _gone = self.watchdog.send(watchdog::Stop).await;
        let _gone = self.executor.send(executor::Stop).await;
    }
}

/// Sends, or ends the process: an agent whose parts cannot hear each other must not look alive.
fn deliver<M>(to: &Recipient<M>, message: M)
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    if let Err(error) = to.try_send(message) {
        tracing::error!(%error, "a part of this agent does not listen any more; its next start undoes what was begun");
        std::process::exit(1);
    }
}
