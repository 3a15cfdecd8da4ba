//! The planner's shell: decides on a violation, hands plans to the executor, learns from what they did.

use super::world::{World, chain};
use super::{Makeup, Notice, deliver, executor, monitor};
use crate::domain::action::Action;
use crate::domain::ids::NodeId;
use crate::domain::measurement::Measurement;
use crate::mape::learner::{Acted, Learner};
use crate::mape::monitor::{Repair, Violation};
use crate::mape::planner::{self, Decision, Experience, Parameters, Policy, Reason, Rng, Situation, Verdict};
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
    world: Arc<World>,
    parameters: Arc<Parameters>,
    policy: Arc<dyn Policy>,
    experience: Experience,
    learner: Learner,
    monitor: Recipient<monitor::Repaired>,
    executor: Recipient<executor::Execute>,
    /// The action under way, to be learned from when it has ended.
    pending: Option<Acted>,
    life: String,
    plans: u64,
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
        Self {
            world,
            parameters: makeup.parameters.clone(),
            policy: makeup.policy.clone(),
            experience: makeup.experience.clone(),
            learner: Learner::new(makeup.parameters.clone(), makeup.policy.clone()),
            monitor,
            executor,
            pending: None,
            life: makeup.life.clone(),
            plans: 0,
            rng,
        }
    }

    fn judge(&mut self, violation: &Violation) {
        let snapshot = &violation.snapshot;
        let Some(reference) = snapshot.placement.reference(self.world.agent) else {
            return deliver(&self.monitor, monitor::Repaired(Repair::Lost));
        };
        let measured = &violation.measurement.metrics;
        let situation = Situation::new(&self.parameters, &self.experience, measured, reference, snapshot);
        let decision = planner::decide(self.policy.as_ref(), &situation, &mut self.rng);
        self.plans += 1;
        let plan = planner::plan(&situation, &decision, format!("{}-p{}", self.life, self.plans));
        self.pending = expected(&decision).map(|expected| Acted {
            action: decision.chosen.action,
            reference_node: reference.node,
            before: violation.measurement.metrics,
            expected,
        });
        self.world.notify(Notice::Decided {
            agent: self.world.agent,
            action: decision.chosen.action,
            because: because(&decision),
        });
        deliver(&self.executor, executor::Execute(plan));
    }

    fn learn(&mut self, measurement: &Measurement, ctx: &mut Context<Self>) {
        let Some(lesson) = self.learner.measured(measurement, &mut self.experience) else { return };
        let world = self.world.clone();
        ctx.spawn(actix::fut::wrap_future(async move {
            if let Err(error) = world.knowledge.learn(world.agent, &lesson.change.to_string(), &lesson.impacts).await {
                world.trouble(chain(&error));
            }
        }));
    }
}

/// What the chosen action was expected to do; nothing for doing nothing.
fn expected(decision: &Decision) -> Option<crate::domain::impact::Impacts> {
    let chosen = decision.chosen.action;
    let scored = decision.scored.iter().find(|scored| scored.action == chosen)?;
    match &scored.verdict {
        Verdict::Feasible { impacts, .. } if chosen != Action::Nothing => Some(*impacts),
        Verdict::Feasible { .. } | Verdict::Infeasible { .. } => None,
    }
}

/// The reason in one line, for people.
fn because(decision: &Decision) -> String {
    let candidates = decision.candidates();
    match decision.chosen.reason {
        Reason::HighestScore { global } => format!("scores highest ({global:+.2}) of {candidates} candidates"),
        Reason::Explored => format!("explored: taken at random of {candidates} candidates"),
        Reason::NothingFeasible => format!("none of {candidates} candidates is feasible"),
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
            Judge::Probed { node, latency } => self.experience.predictor.probed(node, latency.as_secs_f64() * 1e3),
        }
    }
}

impl Handler<Ended> for PlannerActor {
    type Result = ();

    fn handle(&mut self, Ended(repair): Ended, _: &mut Self::Context) {
        let acted = self.pending.take();
        if repair == Repair::Acted
            && let Some(acted) = acted
        {
            self.learner.acted(acted);
        }
        deliver(&self.monitor, monitor::Repaired(repair));
    }
}
