//! Shows the planner the table, tells peers what it says, and keeps what was learned. Where the policy looks at the table
//! between jobs, it asks twice a second whether something has changed.

use super::controls::Consulted;
use super::shared_loop::{Perform, SharedLoop};
use super::world::{World, chain};
use super::{Notice, Parts};
use crate::knowledge::Pulse;
use actix::prelude::*;
use agent_core::domain::adaptation::Order;
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::time::Timestamp;
use agent_core::mape::control_loop::{Input, Looked};
use agent_core::mape::learner::Lesson;
use agent_core::mape::planner::{self, Effect, LOOK_EVERY, Message as Said};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// No further look at the table.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

/// However short a second of the scenario is, the table is not asked more often than this.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(10);

pub struct PlannerActor {
    agent: Rc<SharedLoop>,
    world: Arc<World>,
    /// What asks whether something has changed, while the policy looks.
    looks: Option<SpawnHandle>,
    /// How old questions it is shown.
    remembered: Duration,
    /// The table as it was at the last look, of each data set.
    pulses: Option<Vec<Pulse>>,
    /// A look is under way.
    looking: bool,
    /// The earliest look that the loop asked for, and when it is due.
    arranged: Option<(Timestamp, SpawnHandle)>,
    /// What keeps it from looking; told when it changes.
    obstacle: Option<String>,
    stopped: bool,
}

impl PlannerActor {
    pub fn new(parts: &Parts, agent: Rc<SharedLoop>, world: Arc<World>) -> Self {
        Self {
            agent,
            world,
            looks: None,
            remembered: parts.parameters.remembered(),
            pulses: None,
            looking: false,
            arranged: None,
            obstacle: None,
            stopped: false,
        }
    }

    fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        for effect in self.agent.handle(input, |wanted| &mut wanted.planner) {
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
            Effect::Learn(lesson) => self.learn(lesson, ctx),
            Effect::Say(message) => self.say(message, ctx),
            Effect::Look { after } => {
                self.keep_looking(ctx);
                self.arrange(after, ctx);
            }
            Effect::Adapted(adaptation) => {
                self.world.notify(Notice::Adapted { agent: self.world.agent, adaptation });
            }
            // The loop keeps them.
            Effect::Execute(_) | Effect::Repaired(_) => {}
        }
    }

    /// As long as the policy does: its agent may be given another one.
    fn keep_looking(&mut self, ctx: &mut Context<Self>) {
        if self.looks.is_none() && self.agent.looks() {
            let every = self.world.clock.apply(LOOK_EVERY).max(LOOK_AT_MOST_EVERY);
            self.looks = Some(ctx.run_interval(every, |actor, ctx| {
                if actor.agent.looks() {
                    actor.look(false, ctx);
                } else if let Some(looks) = actor.looks.take() {
                    ctx.cancel_future(looks);
                }
            }));
        }
    }

    /// Looks after this at the latest. The earliest look is everybody's: each shows all data sets.
    fn arrange(&mut self, after: Duration, ctx: &mut Context<Self>) {
        let due = self.world.clock.now() + after;
        if self.arranged.as_ref().is_some_and(|(earlier, _)| *earlier <= due) {
            return;
        }
        if let Some((_, later)) = self.arranged.take() {
            ctx.cancel_future(later);
        }
        let look = ctx.run_later(self.world.clock.apply(after), |actor, ctx| {
            actor.arranged = None;
            actor.look(true, ctx);
        });
        self.arranged = Some((due, look));
    }

    fn learn(&self, lesson: Lesson, ctx: &mut Context<Self>) {
        let world = self.world.clone();
        ctx.spawn(actix::fut::wrap_future(async move {
            if let Err(error) = world.knowledge.learn(world.agent, &lesson.label(), &lesson.impacts).await {
                world.trouble(chain(&error));
            }
        }));
    }

    /// What could not be said is not repeated: nobody waits for an answer longer than the planner's own limits.
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
                Ok(()) => {
                    world.deciding.said(&message);
                    world.notify(Notice::Said { agent: world.agent, what: message.to_string() });
                }
                Err(error) => world.trouble(chain(&error)),
            }
        }));
    }

    /// Shows the planner the table: if something has changed, or in any case.
    fn look(&mut self, in_any_case: bool, ctx: &mut Context<Self>) {
        if self.stopped {
            return;
        }
        if self.looking {
            // What it loads may be older than what was to be seen.
            self.pulses = None;
            return;
        }
        self.looking = true;
        let (world, remembered) = (self.world.clone(), self.remembered);
        let known = self.pulses.clone().filter(|_| !in_any_case);
        let look = async move { look(&world, known, remembered).await };
        ctx.spawn(look.into_actor(self).map(|looked: crate::knowledge::Result<_>, actor, ctx| {
            actor.looking = false;
            match looked {
                Ok(Some((pulses, looked))) => {
                    actor.obstacle = None;
                    actor.pulses = Some(pulses);
                    actor.step(Input::Looked(looked), ctx);
                }
                Ok(None) => actor.obstacle = None,
                Err(error) => {
                    actor.pulses = None;
                    actor.told(chain(&error));
                    actor.step(Input::Planner(planner::Input::LookFailed), ctx);
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

/// What the table shows of all data sets, with their pulses; `None`: nothing has changed, or one of them is not in the catalogue.
async fn look(
    world: &World,
    known: Option<Vec<Pulse>>,
    remembered: Duration,
) -> crate::knowledge::Result<Option<(Vec<Pulse>, Vec<Looked>)>> {
    let mut pulses = Vec::with_capacity(world.data_sets.len());
    for data_set in &world.data_sets {
        let Some(pulse) = world.knowledge.pulse(data_set, world.home).await? else { return Ok(None) };
        pulses.push(pulse);
    }
    if known.as_ref() == Some(&pulses) {
        return Ok(None);
    }
    let Ok(snapshots) = world.load().await? else { return Ok(None) };
    let mut looked = Vec::with_capacity(snapshots.len());
    for snapshot in snapshots {
        let conversation = world.knowledge.conversation(&snapshot.data_set.name, remembered).await?;
        looked.push(Looked { snapshot, conversation });
    }
    Ok(Some((pulses, looked)))
}

impl Actor for PlannerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.keep_looking(ctx);
    }
}

impl Handler<Perform<Effect>> for PlannerActor {
    type Result = ();

    fn handle(&mut self, Perform(effects): Perform<Effect>, ctx: &mut Self::Context) {
        effects.into_iter().for_each(|effect| self.perform(effect, ctx));
    }
}

/// Somebody outside wants something done.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ordered(pub Order);

impl Handler<Ordered> for PlannerActor {
    type Result = ();

    fn handle(&mut self, Ordered(order): Ordered, ctx: &mut Self::Context) {
        self.step(Input::Planner(planner::Input::Ordered(order)), ctx);
    }
}

/// What can be ordered, as these show the table, and how far the latest order has come.
#[derive(Message)]
#[rtype(result = "Consulted")]
pub struct Consult(pub Vec<Snapshot>);

impl Handler<Consult> for PlannerActor {
    type Result = MessageResult<Consult>;

    fn handle(&mut self, Consult(snapshots): Consult, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.agent.consult(&snapshots))
    }
}

impl Handler<Stop> for PlannerActor {
    type Result = ();

    fn handle(&mut self, _: Stop, _: &mut Self::Context) {
        self.stopped = true;
    }
}
