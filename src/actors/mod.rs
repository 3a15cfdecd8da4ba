//! Thin actix shells: they perform what an agent's control loop wants done, and give it what happens.
//!
//! ```text
//!                 input: effects
//!   Monitor  <----------------------.
//!   Planner  <-------------------- SharedLoop       Watchdog: heartbeat, closing of windows, recovery
//!   Executor <----------------------'
//! ```
//!
//! Each gives the loop its answers as inputs, and performs what comes of them for itself at once; what comes for another one is
//! sent there, in one message. So no mailbox fills.

mod billing;
#[cfg(test)]
mod changed_objects;
#[cfg(test)]
mod changed_sets;
mod controls;
mod deciding;
mod executor;
mod inspection;
mod mending;
mod monitor;
mod observer;
mod origin;
mod planner;
mod probing;
mod rates;
mod removal;
mod saga;
mod scrub;
mod shared_loop;
mod watchdog;
mod world;

pub use agent_core::mape::notice::{Notice, RESULT_SHOWN, show_metrics};
pub use billing::Account;
pub use controls::{Consulted, Controls};
pub use deciding::Deciding;
pub use inspection::{Depth, inspect, judge, judge_in};
pub use mending::plan_for;
pub use observer::{Observer, Step};
pub use origin::{Announced, FIRST_VERSION, announce, is_written};
pub use probing::probe_links;
pub use rates::Rates;
pub use removal::remove as remove_object;
pub use saga::{carry_out, go_on};
pub use scrub::Scrub;
pub use watchdog::{Ear, Watch, beat, recover};
pub use world::{Over, Reach, ReachError, Reached, World, chain, run_job};

use actix::prelude::*;
use agent_core::domain::ids::DataSetName;
use agent_core::domain::placement::Overrides;
use agent_core::mape::chance::Streams;
use agent_core::mape::control_loop::Adoption;
use agent_core::mape::monitor::Rhythm;
use agent_core::mape::planner::{Experience, Parameters, Policy};
use shared_loop::{Performers, SharedLoop};
use std::rc::Rc;
use std::sync::Arc;

/// What an agent is made of, besides its world.
#[derive(Clone)]
pub struct Parts {
    pub parameters: Arc<Parameters>,
    pub policy: Arc<dyn Policy>,
    /// Of each data set that the job reads, in its order.
    pub experiences: Vec<(DataSetName, Experience)>,
    pub rhythm: Rhythm,
    pub watch: Watch,
    pub seed: u64,
    pub adopt: Adopt,
}

/// What an agent pursues when that is asked of it in place of its configuration. An error says why it makes no sense.
pub type Adopt = Arc<dyn Fn(&Overrides) -> Result<Adoption, String> + Send + Sync>;

/// A running agent.
pub struct Agent {
    monitor: Addr<monitor::MonitorActor>,
    planner: Addr<planner::PlannerActor>,
    executor: Addr<executor::ExecutorActor>,
    watchdog: Addr<watchdog::WatchdogActor>,
}

impl Agent {
    /// Starts the actors on the current arbiter; the first pause begins.
    pub fn start(parts: &Parts, world: &Arc<World>) -> Self {
        if let Some(observer) = &world.observer {
            observer.started(parts, &world.identity.life);
        }
        let streams = Streams::new(parts.seed);
        // They perform what comes of each other's inputs, so their addresses exist before they do.
        let (monitor, planner, executor) = (Context::new(), Context::new(), Context::new());
        let performers = Performers {
            monitor: monitor.address().recipient(),
            planner: planner.address().recipient(),
            executor: executor.address().recipient(),
        };
        let probes = parts.experiences.iter().any(|(_, experience)| experience.predictor.needs_probes());
        let watchdog_rng = streams.watchdog.clone();
        let agent = Rc::new(SharedLoop::new(parts, streams, performers, world.clone()));
        let monitor = monitor.run(monitor::MonitorActor::new(parts, agent.clone(), world.clone()));
        let planner = planner.run(planner::PlannerActor::new(parts, agent.clone(), world.clone()));
        let executor = executor.run(executor::ExecutorActor::new(agent.clone(), world.clone(), parts.watch));
        let watchdog = watchdog::WatchdogActor::new(parts.watch, world.clone(), agent, probes, watchdog_rng).start();
        Self { monitor, planner, executor, watchdog }
    }

    /// For whoever decides for it.
    pub fn controls(&self, world: &Arc<World>) -> Controls {
        Controls { planner: self.planner.clone(), world: world.clone() }
    }

    /// For whoever hears from others what its links are like.
    pub fn ear(&self) -> Ear {
        Ear::new(self.watchdog.clone().recipient())
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
