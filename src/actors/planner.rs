//! The planner's shell: brings its machine what happened, hands plans to the executor, and tells peers what it says. Where
//! the policy looks at the table between jobs, it asks twice a second whether something has changed.

use super::world::{World, chain};
use super::{Makeup, Notice, Step, deliver, executor, monitor};
use crate::knowledge::Pulse;
use actix::prelude::*;
use agent_core::domain::ids::NodeId;
use agent_core::domain::measurement::Measurement;
use agent_core::mape::learner::Lesson;
use agent_core::mape::monitor::{Repair, Violation};
use agent_core::mape::planner::{Effect, Input, LOOK_EVERY, Message as Said, Planner, Rng};
use std::sync::Arc;
use std::time::Duration;

/// From the monitor; probes from the watchdog.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Judge {
    Violated(Violation),
    Measured {
        measurement: Arc<Measurement>,
        satisfied: bool,
    },
    /// A job failed because of this node's store, or the link to it.
    Failed {
        node: NodeId,
    },
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

/// No further look at the table.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

/// However short a second of the scenario is, the table is not asked more often than this.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(10);

pub struct PlannerActor {
    machine: Planner,
    world: Arc<World>,
    monitor: Recipient<monitor::Repaired>,
    executor: Recipient<executor::Execute>,
    rng: Rng,
    looks: bool,
    /// How old questions it is shown.
    remembered: Duration,
    /// The table as it was at the last look.
    pulse: Option<Pulse>,
    /// A look is under way.
    looking: bool,
    /// The look that the machine asked for.
    arranged: Option<SpawnHandle>,
    /// What keeps it from looking; told when it changes.
    obstacle: Option<String>,
    stopped: bool,
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
        let (looks, remembered) = (policy.looks(), parameters.remembered());
        let machine = Planner::new(parameters, policy, makeup.experience.clone(), world.identity.life.to_string());
        Self {
            machine,
            world,
            monitor,
            executor,
            rng,
            looks,
            remembered,
            pulse: None,
            looking: false,
            arranged: None,
            obstacle: None,
            stopped: false,
        }
    }

    fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        let (machine, rng) = (&mut self.machine, &mut self.rng);
        for effect in self.world.observed(input, |input| machine.handle(input, rng), Step::Planner) {
            self.perform(effect, ctx);
        }
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Decided(decision) => self.world.notify(Notice::Decided {
                agent: self.world.agent,
                action: decision.chosen.action,
                because: decision.because(),
            }),
            Effect::Execute(plan) => deliver(&self.executor, executor::Execute(plan)),
            Effect::Repaired(repair) => deliver(&self.monitor, monitor::Repaired(repair)),
            Effect::Learn(lesson) => self.learn(lesson, ctx),
            Effect::Say(message) => self.say(message, ctx),
            Effect::Look { after } => {
                if let Some(earlier) = self.arranged.take() {
                    ctx.cancel_future(earlier);
                }
                let after = self.world.clock.apply(after);
                self.arranged = Some(ctx.run_later(after, |actor, ctx| {
                    actor.arranged = None;
                    actor.look(true, ctx);
                }));
            }
        }
    }

    fn learn(&self, lesson: Lesson, ctx: &mut Context<Self>) {
        let world = self.world.clone();
        ctx.spawn(actix::fut::wrap_future(async move {
            if let Err(error) = world.knowledge.learn(world.agent, &lesson.change.to_string(), &lesson.impacts).await {
                world.trouble(chain(&error));
            }
        }));
    }

    /// What could not be said is not repeated: nobody waits for an answer longer than the machine's own limits.
    fn say(&self, message: Said, ctx: &mut Context<Self>) {
        let world = self.world.clone();
        ctx.spawn(actix::fut::wrap_future(async move {
            let knowledge = &world.knowledge;
            let said = match &message {
                Said::Ask(question) => knowledge.ask(question).await.map(|_| ()),
                Said::Reply { ask, reply } => knowledge.reply(*ask, world.agent, reply).await.map(|_| ()),
                Said::Close(ask) => knowledge.close_ask(*ask).await,
            };
            match said {
                Ok(()) => world.notify(Notice::Said { agent: world.agent, what: message.to_string() }),
                Err(error) => world.trouble(chain(&error)),
            }
        }));
    }

    /// Shows the machine the table: if something has changed, or in any case.
    fn look(&mut self, in_any_case: bool, ctx: &mut Context<Self>) {
        if self.stopped {
            return;
        }
        if self.looking {
            // What it loads may be older than what was to be seen.
            self.pulse = None;
            return;
        }
        self.looking = true;
        let (world, remembered) = (self.world.clone(), self.remembered);
        let known = self.pulse.filter(|_| !in_any_case);
        let look = async move {
            let pulse = world.knowledge.pulse(&world.data_set, world.home).await?;
            if pulse.is_none() || pulse == known {
                return Ok(None);
            }
            let snapshot = world.knowledge.snapshot(&world.data_set).await?;
            let conversation = world.knowledge.conversation(&world.data_set, remembered).await?;
            Ok(snapshot.map(|snapshot| (pulse, snapshot, conversation)))
        };
        ctx.spawn(look.into_actor(self).map(|looked: crate::knowledge::Result<_>, actor, ctx| {
            actor.looking = false;
            match looked {
                Ok(Some((pulse, snapshot, conversation))) => {
                    actor.obstacle = None;
                    actor.pulse = pulse;
                    actor.step(Input::Looked { snapshot, conversation }, ctx);
                }
                Ok(None) => actor.obstacle = None,
                Err(error) => {
                    actor.pulse = None;
                    actor.told(chain(&error));
                    actor.step(Input::LookFailed, ctx);
                }
            }
        }));
    }

    fn told(&mut self, obstacle: String) {
        if self.obstacle.as_ref() != Some(&obstacle) {
            self.world.trouble(obstacle.clone());
            self.obstacle = Some(obstacle);
        }
    }
}

impl Actor for PlannerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.looks {
            let every = self.world.clock.apply(LOOK_EVERY).max(LOOK_AT_MOST_EVERY);
            ctx.run_interval(every, |actor, ctx| actor.look(false, ctx));
        }
    }
}

impl Handler<Judge> for PlannerActor {
    type Result = ();

    fn handle(&mut self, message: Judge, ctx: &mut Self::Context) {
        let input = match message {
            Judge::Violated(violation) => Input::Violated(violation),
            Judge::Measured { measurement, satisfied } => Input::Measured { measurement, satisfied },
            Judge::Failed { node } => Input::JobFailed { node },
            Judge::Probed { node, latency } => Input::Probed { node, latency_ms: latency.as_secs_f64() * 1e3 },
        };
        self.step(input, ctx);
    }
}

impl Handler<Ended> for PlannerActor {
    type Result = ();

    fn handle(&mut self, Ended(repair): Ended, ctx: &mut Self::Context) {
        self.step(Input::Ended(repair), ctx);
    }
}

impl Handler<Stop> for PlannerActor {
    type Result = ();

    fn handle(&mut self, _: Stop, _: &mut Self::Context) {
        self.stopped = true;
    }
}
