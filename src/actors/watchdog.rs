//! Periodic duties: say that the agent is alive, close windows that are due, finish what somebody left unfinished. Each is
//! idempotent; the next period is the retry.

use super::executor::remove;
use super::world::{World, chain};
use super::{Notice, monitor};
use crate::domain::event::Outcome;
use crate::knowledge::ClosingRule;
use crate::mape::planner::Rng;
use actix::prelude::*;
use rand::RngExt as _;
use std::sync::Arc;
use std::time::Duration;

/// The constants of these duties, scenario time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Watch {
    pub heartbeat: Duration,
    pub lease: Duration,
    /// How long what a move or evict leaves behind stays readable.
    pub drain: Duration,
    pub window: Duration,
    pub closing: ClosingRule,
}

/// No further duty.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

pub struct WatchdogActor {
    watch: Watch,
    world: Arc<World>,
    monitor: Recipient<monitor::IsConverged>,
    rng: Rng,
}

impl WatchdogActor {
    pub fn new(watch: Watch, world: Arc<World>, monitor: Recipient<monitor::IsConverged>, rng: Rng) -> Self {
        Self { watch, world, monitor, rng }
    }

    /// One round; the next is armed when it is done, with jitter, so that agents do not beat in step.
    fn round(&mut self, ctx: &mut Context<Self>) {
        let (world, watch, monitor) = (self.world.clone(), self.watch, self.monitor.clone());
        let duties = async move {
            // A monitor that is gone cannot be converged.
            let converged = monitor.send(monitor::IsConverged).await.unwrap_or(false);
            if let Err(error) = beat(&world, watch, converged).await {
                world.trouble(chain(&error));
            }
        };
        ctx.spawn(duties.into_actor(self).map(|(), actor, ctx| {
            let jitter = actor.rng.random_range(0.9..1.1);
            let pause = actor.world.clock.apply(actor.watch.heartbeat).mul_f64(jitter);
            ctx.run_later(pause, Self::round);
        }));
    }
}

/// One round of the duties.
pub async fn beat(world: &World, watch: Watch, converged: bool) -> crate::knowledge::Result<()> {
    world.beat(converged).await?;
    for closed in world.knowledge.close_due(world.agent, watch.closing).await? {
        world.notify(Notice::Closed { closed });
    }
    recover(world, false).await?;
    remove_drained(world, watch).await
}

/// Undoes claims whose leases ran out. `own_too`: also what this agent itself had begun in a former life; only at start, when
/// nothing of this life runs yet.
pub async fn recover(world: &World, own_too: bool) -> crate::knowledge::Result<()> {
    for claim in world.knowledge.unfinished(world.agent, own_too).await?.claims {
        let what = format!("{} of agent {} (event {}) is undone", claim.action, claim.agent, claim.event);
        let leftover = world.knowledge.abort(claim.event, Outcome::Aborted, "its agent died or lost its lease").await?;
        world.notify(Notice::Recovered { agent: world.agent, what });
        if let Some(leftover) = leftover {
            remove(world, &leftover).await;
        }
    }
    Ok(())
}

/// Deletes the objects that nobody may read any more: on the own node at once, elsewhere when the agent there has had the
/// time of a lease to do it and has not.
async fn remove_drained(world: &World, watch: Watch) -> crate::knowledge::Result<()> {
    let now = world.clock.now();
    for replica in world.knowledge.unfinished(world.agent, false).await?.removing {
        let overdue = replica.lease.is_none_or(|lease| lease.until + watch.lease < now);
        if replica.node == world.home || overdue {
            remove(world, &replica).await;
        }
    }
    Ok(())
}

impl Actor for WatchdogActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.round(ctx);
    }
}

impl Handler<Stop> for WatchdogActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
