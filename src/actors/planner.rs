//! The planner's shell: decides on a violation, hands plans to the executor, learns from what they did.

use super::world::{World, chain};
use super::{Makeup, Notice, deliver, executor, monitor};
use crate::domain::ids::NodeId;
use crate::domain::measurement::Measurement;
use crate::mape::monitor::{Repair, Violation};
use crate::mape::planner::{Judged, Planner, Rng};
use actix::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// From the monitor; probes from the watchdog.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Judge {
    Violated(Violation),
    Measured(Measurement),
    /// A link, measured without a job; scenario time.
    Probed {
        node: NodeId,
        latency: Duration,
    },
}

/// From the executor.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ended(pub Repair);

pub struct PlannerActor {
    machine: Planner,
    world: Arc<World>,
    monitor: Recipient<monitor::Repaired>,
    executor: Recipient<executor::Execute>,
    rng: Rng,
}

impl PlannerActor {
    pub fn new(
        makeup: &Makeup,
        world: Arc<World>,
        monitor: Recipient<monitor::Repaired>,
        executor: Recipient<executor::Execute>,
        rng: Rng,
    ) -> Self {
        let (parameters, policy) = (makeup.parameters.clone(), makeup.policy.clone());
        let machine = Planner::new(parameters, policy, makeup.experience.clone(), world.identity.life.to_string());
        Self { machine, world, monitor, executor, rng }
    }

    fn judge(&mut self, violation: &Violation) {
        let Some(Judged { decision, plan }) = self.machine.violated(violation, &mut self.rng) else {
            return deliver(&self.monitor, monitor::Repaired(Repair::Lost));
        };
        self.world.notify(Notice::Decided {
            agent: self.world.agent,
            action: decision.chosen.action,
            because: decision.because(),
        });
        deliver(&self.executor, executor::Execute(plan));
    }

    fn learn(&mut self, measurement: &Measurement, ctx: &mut Context<Self>) {
        let Some(lesson) = self.machine.measured(measurement) else { return };
        let world = self.world.clone();
        ctx.spawn(actix::fut::wrap_future(async move {
            if let Err(error) = world.knowledge.learn(world.agent, &lesson.change.to_string(), &lesson.impacts).await {
                world.trouble(chain(&error));
            }
        }));
    }
}

impl Actor for PlannerActor {
    type Context = Context<Self>;
}

impl Handler<Judge> for PlannerActor {
    type Result = ();

    fn handle(&mut self, message: Judge, ctx: &mut Self::Context) {
        match message {
            Judge::Violated(violation) => self.judge(&violation),
            Judge::Measured(measurement) => self.learn(&measurement, ctx),
            Judge::Probed { node, latency } => self.machine.probed(node, latency.as_secs_f64() * 1e3),
        }
    }
}

impl Handler<Ended> for PlannerActor {
    type Result = ();

    fn handle(&mut self, Ended(repair): Ended, _: &mut Self::Context) {
        self.machine.ended(repair);
        deliver(&self.monitor, monitor::Repaired(repair));
    }
}
