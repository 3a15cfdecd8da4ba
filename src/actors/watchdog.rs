//! Periodic duties: say that the agent is alive, close windows that are due, finish what somebody left unfinished, and on a real
//! network measure the links. Each is idempotent; the next period is the retry.

use super::executor::remove;
use super::world::{World, chain};
use super::{Notice, deliver, monitor, planner};
use crate::domain::event::Outcome;
use crate::domain::ids::NodeId;
use crate::domain::placement::{Claim, Node, Replica};
use crate::knowledge::ClosingRule;
use crate::mape::planner::Rng;
use crate::mape::prediction::next_to_probe;
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

/// Links that are measured in one round, at the same time (I-7).
const PROBED_LINKS: usize = 4;

/// No further duty.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

pub struct WatchdogActor {
    watch: Watch,
    world: Arc<World>,
    monitor: Recipient<monitor::IsConverged>,
    /// Whom probes of links are told, where nobody knows the latencies otherwise.
    probes: Option<Recipient<planner::Judge>>,
    /// The node whose link was probed last.
    probed: NodeId,
    rng: Rng,
}

impl WatchdogActor {
    pub fn new(
        watch: Watch,
        world: Arc<World>,
        monitor: Recipient<monitor::IsConverged>,
        probes: Option<Recipient<planner::Judge>>,
        rng: Rng,
    ) -> Self {
        Self { watch, world, monitor, probes, probed: NodeId(0), rng }
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
            let pause = actor.pause();
            ctx.run_later(pause, Self::round);
        }));
    }

    /// Measures a few links; apart from the other duties, for a node that does not answer keeps nobody waiting.
    fn probe(&mut self, ctx: &mut Context<Self>) {
        let Some(planner) = self.probes.clone() else { return };
        let (world, after) = (self.world.clone(), self.probed);
        let work = async move { probe_links(&world, after).await };
        ctx.spawn(work.into_actor(self).map(move |probed, actor, ctx| {
            for (node, latency) in probed {
                actor.probed = node;
                if let Some(latency) = latency {
                    deliver(&planner, planner::Judge::Probed { node, latency });
                }
            }
            let pause = actor.pause();
            ctx.run_later(pause, Self::probe);
        }));
    }

    fn pause(&mut self) -> Duration {
        self.world.clock.apply(self.watch.heartbeat).mul_f64(self.rng.random_range(0.9..1.1))
    }
}

/// Measures the links to the nodes whose turn it is; nothing where there was no answer.
pub async fn probe_links(world: &World, after: NodeId) -> Vec<(NodeId, Option<Duration>)> {
    let nodes = match world.knowledge.nodes().await {
        Ok(nodes) => nodes,
        Err(error) => {
            tracing::debug!(agent = %world.agent, error = chain(&error), "no links are probed");
            return Vec::new();
        }
    };
    let turn = next_to_probe(&nodes, world.home, after, PROBED_LINKS);
    let probes = turn.iter().map(|id| async { (*id, probe_link(world, &nodes[id]).await) });
    futures::future::join_all(probes).await
}

async fn probe_link(world: &World, node: &Node) -> Option<Duration> {
    let measured = match world.reach.reach(node, Duration::ZERO).await {
        Ok(reached) => world.reach.probe(&reached).await,
        Err(error) => Err(chain(&error)),
    };
    measured
        .inspect_err(|why| tracing::debug!(agent = %world.agent, node = %node.id, why, "its link was not measured"))
        .ok()
}

/// One round of the duties.
pub async fn beat(world: &World, watch: Watch, converged: bool) -> crate::knowledge::Result<()> {
    world.beat(converged).await?;
    for closed in world.knowledge.close_due(world.agent, watch.closing).await? {
        world.notify(Notice::Closed { closed });
    }
    let mut left = world.knowledge.unfinished(world.agent, false).await?;
    if !left.claims.is_empty() {
        undo(world, &left.claims).await?;
        // There may be more to remove now.
        left = world.knowledge.unfinished(world.agent, false).await?;
    }
    remove_drained(world, watch, &left.removing).await;
    Ok(())
}

/// Undoes claims whose leases ran out, and what this agent itself had begun in a former life: at its start, when nothing of
/// this life runs yet.
pub async fn recover(world: &World) -> crate::knowledge::Result<()> {
    let left = world.knowledge.unfinished(world.agent, true).await?;
    undo(world, &left.claims).await
}

async fn undo(world: &World, claims: &[Claim]) -> crate::knowledge::Result<()> {
    for claim in claims {
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
async fn remove_drained(world: &World, watch: Watch, removing: &[Replica]) {
    let now = world.clock.now();
    for replica in removing {
        let overdue = replica.lease.is_none_or(|lease| lease.until + watch.lease < now);
        if replica.node == world.home || overdue {
            remove(world, replica).await;
        }
    }
}

impl Actor for WatchdogActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.round(ctx);
        self.probe(ctx);
    }
}

impl Handler<Stop> for WatchdogActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
