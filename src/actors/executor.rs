//! The executor's shell: performs the steps of an action's saga, one after the other.

use super::watchdog::Watch;
use super::world::World;
use super::{Step, deliver, planner, saga};
use actix::prelude::*;
use agent_core::domain::placement::Plan;
use agent_core::mape::executor::{Effect, Executor, Input};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Carry out a plan.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Execute(pub Plan);

/// Finish or release what runs; answered when nothing runs.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

pub struct ExecutorActor {
    machine: Executor,
    world: Arc<World>,
    watch: Watch,
    planner: Recipient<planner::Ended>,
    /// The effect under way; cancelled when a stop gives up a transfer.
    running: Option<SpawnHandle>,
    idle: Vec<oneshot::Sender<()>>,
}

impl ExecutorActor {
    pub fn new(world: Arc<World>, watch: Watch, planner: Recipient<planner::Ended>) -> Self {
        Self { machine: Executor::default(), world, watch, planner, running: None, idle: Vec::new() }
    }

    fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        let machine = &mut self.machine;
        for effect in self.world.observed(input, |input| machine.handle(input), Step::Executor) {
            self.perform(effect, ctx);
        }
        if self.machine.is_idle() {
            // Whoever waited and went away does not need the answer.
            self.idle.drain(..).for_each(|waiting| _ = waiting.send(()));
        }
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Report(report) => self.world.notify_end(report),
            Effect::Finished(repair) => deliver(&self.planner, planner::Ended(repair)),
            Effect::CheckLinks(_)
            | Effect::Claim(_)
            | Effect::Note(_)
            | Effect::Transfer(_)
            | Effect::Commit { .. }
            | Effect::Abort { .. } => {
                let (world, watch) = (self.world.clone(), self.watch);
                self.input_from(ctx, async move { saga::perform(&world, watch, effect).await });
            }
        }
    }

    fn input_from(&mut self, ctx: &mut Context<Self>, work: impl Future<Output = Option<Input>> + 'static) {
        self.running = Some(ctx.spawn(work.into_actor(self).map(|input, actor, ctx| {
            actor.running = None;
            input.into_iter().for_each(|input| actor.step(input, ctx));
        })));
    }
}

impl Actor for ExecutorActor {
    type Context = Context<Self>;
}

impl Handler<Execute> for ExecutorActor {
    type Result = ();

    fn handle(&mut self, Execute(plan): Execute, ctx: &mut Self::Context) {
        self.step(Input::Execute(plan), ctx);
    }
}

impl Handler<Stop> for ExecutorActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        let (done, idle) = oneshot::channel();
        self.idle.push(done);
        let transfer = self.running.take().filter(|_| self.machine.is_transferring());
        if let Some(transfer) = transfer {
            ctx.cancel_future(transfer);
        }
        self.step(Input::Stop, ctx);
        Box::pin(async move { idle.await.unwrap_or_default() })
    }
}
