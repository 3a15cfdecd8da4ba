//! Performs the steps of an action's saga, one after the other.

use super::saga;
use super::shared_loop::{Perform, SharedLoop};
use super::watchdog::Watch;
use super::world::World;
use actix::prelude::*;
use agent_core::mape::control_loop;
use agent_core::mape::executor::{Effect, Input};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Finish or release what runs; answered when nothing runs.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

pub struct ExecutorActor {
    agent: Rc<SharedLoop>,
    world: Arc<World>,
    watch: Watch,
    /// The effect under way; cancelled when a stop gives up a transfer.
    running: Option<SpawnHandle>,
    idle: Vec<oneshot::Sender<()>>,
}

impl ExecutorActor {
    pub fn new(agent: Rc<SharedLoop>, world: Arc<World>, watch: Watch) -> Self {
        Self { agent, world, watch, running: None, idle: Vec::new() }
    }

    fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        let input = control_loop::Input::Executor(Box::new(input));
        for effect in self.agent.handle(input, |wanted| &mut wanted.executor) {
            self.perform(effect, ctx);
        }
        if self.agent.is_idle() {
            // Whoever waited and went away does not need the answer.
            self.idle.drain(..).for_each(|waiting| _ = waiting.send(()));
        }
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Report(report) => self.world.notify_end(report),
            Effect::CheckLinks(_)
            | Effect::Claim(_)
            | Effect::Note(_)
            | Effect::Transfer(_)
            | Effect::Commit { .. }
            | Effect::Abort { .. } => {
                let (world, watch) = (self.world.clone(), self.watch);
                self.input_from(ctx, async move { saga::perform(&world, watch, effect).await });
            }
            // The loop keeps them.
            Effect::Finished(_) | Effect::Unexpected(_) => {}
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

impl Handler<Perform<Effect>> for ExecutorActor {
    type Result = ();

    fn handle(&mut self, Perform(effects): Perform<Effect>, ctx: &mut Self::Context) {
        effects.into_iter().for_each(|effect| self.perform(effect, ctx));
    }
}

impl Handler<Stop> for ExecutorActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        let (done, idle) = oneshot::channel();
        self.idle.push(done);
        let transfer = self.running.take().filter(|_| self.agent.is_transferring());
        if let Some(transfer) = transfer {
            ctx.cancel_future(transfer);
        }
        self.step(Input::Stop, ctx);
        Box::pin(async move { idle.await.unwrap_or_default() })
    }
}
