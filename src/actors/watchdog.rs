//! Periodic duties: say that the agent is alive, close windows that are due, finish what somebody left unfinished, and on a real
//! network measure the links. Each is idempotent; the next period is the retry. Each has a pace of its own and waits for no other:
//! a store that hangs makes nobody look dead.

use super::Notice;
use super::mending::mend;
use super::origin;
use super::probing::{probe_links, probe_rates};
use super::removal::remove;
use super::scrub::{Scrub, scrub};
use super::shared_loop::SharedLoop;
use super::world::{World, chain};
use crate::knowledge::ClosingRule;
use actix::prelude::*;
use agent_core::domain::event::Outcome;
use agent_core::domain::ids::NodeId;
use agent_core::domain::manifest::Extent;
use agent_core::domain::placement::{Claim, Replica};
use agent_core::domain::snapshot::Snapshot;
use agent_core::mape::backoff::Backoff;
use agent_core::mape::executor::End;
use agent_core::mape::leftovers::{Leftovers, Turn};
use agent_core::mape::planner::Rng;
use agent_core::mape::planner::upkeep;
use agent_core::mape::{control_loop, planner};
use futures::stream::{self, StreamExt as _};
use rand::RngExt as _;
use std::collections::BTreeSet;
use std::rc::Rc;
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
    /// How often origins are looked at; absent: never.
    pub origins: Option<Duration>,
    /// Absent: never.
    pub scrub: Option<Scrub>,
}

/// Stores in which objects are deleted at the same time (I-7).
const STORES_AT_ONCE: usize = 4;
/// A store that has refused so often in a round has its pause.
const REFUSALS_AT_MOST: usize = 2;

/// No further duty.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

/// What the links from here are like, as somebody else than the job has seen \[ms\].
#[derive(Message)]
#[rtype(result = "()")]
pub struct LinksSeen(Vec<(NodeId, f64)>);

/// Where an agent hears of its links, from any thread.
#[derive(Clone)]
pub struct Ear(Recipient<LinksSeen>);

impl Ear {
    pub fn new(agent: Recipient<LinksSeen>) -> Self {
        Self(agent)
    }

    /// The latencies of links that have changed \[ms\]. A full mailbox hears them another time, one of an agent that ends never.
    pub fn links(&self, seen: Vec<(NodeId, f64)>) {
        if !seen.is_empty()
            && let Err(error) = self.0.try_send(LinksSeen(seen))
        {
            tracing::debug!(%error, "nobody hears what links are like");
        }
    }
}

pub struct WatchdogActor {
    watch: Watch,
    world: Arc<World>,
    agent: Rc<SharedLoop>,
    /// Links are measured: nobody knows the latencies otherwise.
    probes: bool,
    /// The node whose link was probed last.
    probed: NodeId,
    /// The nodes whose rates were probed: once in a life, for that is paid for in bytes. Jobs tell the rest.
    rated: BTreeSet<NodeId>,
    leftovers: Leftovers,
    /// What was found at origins and is not announced yet.
    written: origin::Found,
    mending: Backoff,
    rng: Rng,
}

impl WatchdogActor {
    pub fn new(watch: Watch, world: Arc<World>, agent: Rc<SharedLoop>, probes: bool, rng: Rng) -> Self {
        Self {
            watch,
            world,
            agent,
            probes,
            probed: NodeId(0),
            rated: BTreeSet::new(),
            leftovers: Leftovers::default(),
            written: origin::Found::new(),
            mending: Backoff::default(),
            rng,
        }
    }

    fn beat(&mut self, ctx: &mut Context<Self>) {
        let (world, converged) = (self.world.clone(), self.agent.is_converged());
        let duty = async move { tell(&world, world.beat(converged).await) };
        self.again(ctx, self.watch.heartbeat, duty, |_, ()| {}, Self::beat);
    }

    fn close(&mut self, ctx: &mut Context<Self>) {
        let (world, watch) = (self.world.clone(), self.watch);
        let duty = async move { tell(&world, close_windows(&world, watch).await) };
        self.again(ctx, self.watch.heartbeat, duty, |_, ()| {}, Self::close);
    }

    fn recover(&mut self, ctx: &mut Context<Self>) {
        let world = self.world.clone();
        let duty = async move { tell(&world, undo_left(&world).await) };
        self.again(ctx, self.watch.heartbeat, duty, |_, ()| {}, Self::recover);
    }

    /// What cannot be mended is tried again less and less often.
    fn mend(&mut self, ctx: &mut Context<Self>) {
        let (world, watch) = (self.world.clone(), self.watch);
        let work = async move { mend(&world, watch).await };
        ctx.spawn(work.into_actor(self).map(|end, actor, ctx| {
            let pause = match end {
                None | Some(End::Done | End::Nothing | End::Lost(_)) => {
                    actor.mending.succeeded();
                    actor.pause(actor.watch.heartbeat)
                }
                Some(End::NotNow(_) | End::Failed(_) | End::Unknown(_)) => {
                    actor.world.clock.apply(actor.mending.failed(&mut actor.rng))
                }
            };
            ctx.run_later(pause, Self::mend);
        }));
    }

    /// Shows the planner the table where the constraints demand a replica that is not there, or one is outdated.
    fn keep(&mut self, ctx: &mut Context<Self>) {
        let world = self.world.clone();
        let duty = async move {
            let loaded = world.load().await.inspect_err(|error| {
                tracing::debug!(agent = %world.agent, error = chain(error), "whether a replica is missing is not known");
            });
            let mut due = loaded.ok().and_then(Result::ok).unwrap_or_default();
            due.retain(upkeep::is_due);
            due
        };
        let show = |actor: &mut Self, due: Vec<Snapshot>| {
            for snapshot in due {
                let checked = control_loop::Input::Planner(planner::Input::Checked { snapshot });
                actor.agent.give(checked);
            }
        };
        self.again(ctx, self.watch.heartbeat, duty, show, Self::keep);
    }

    /// What owners write on the own node is announced.
    fn watch(&mut self, ctx: &mut Context<Self>) {
        let (Some(every), world) = (self.watch.origins, self.world.clone()) else { return };
        let (silence, mut found) = (self.watch.closing.silence, std::mem::take(&mut self.written));
        let duty = async move {
            tell(&world, origin::watch(&world, silence, &mut found).await);
            found
        };
        self.again(ctx, every, duty, |actor, found| actor.written = found, Self::watch);
    }

    /// The first time within a period, so that agents that were started together do not read together.
    fn begin_scrubs(&mut self, ctx: &mut Context<Self>) {
        if let Some(Scrub { every, .. }) = self.watch.scrub {
            let first = self.world.clock.apply(every).mul_f64(self.rng.random_range(0.0..1.0));
            ctx.run_later(first, |actor, ctx| actor.scrub(ctx));
        }
    }

    fn scrub(&mut self, ctx: &mut Context<Self>) {
        let (Some(rule), world) = (self.watch.scrub, self.world.clone()) else { return };
        let duty = async move { tell(&world, scrub(&world, rule).await) };
        self.again(ctx, rule.every, duty, |_, ()| {}, Self::scrub);
    }

    fn delete(&mut self, ctx: &mut Context<Self>) {
        let (world, watch, mut leftovers) = (self.world.clone(), self.watch, std::mem::take(&mut self.leftovers));
        let duty = async move {
            tell(&world, delete_left(&world, watch, &mut leftovers).await);
            leftovers
        };
        self.again(ctx, self.watch.heartbeat, duty, |actor, leftovers| actor.leftovers = leftovers, Self::delete);
    }

    /// Does a duty, and after so long (scenario time) the next one like it; with jitter, so that agents do not beat in step.
    fn again<T: 'static>(
        &self,
        ctx: &mut Context<Self>,
        every: Duration,
        duty: impl Future<Output = T> + 'static,
        keep: fn(&mut Self, T),
        next: fn(&mut Self, &mut Context<Self>),
    ) {
        ctx.spawn(duty.into_actor(self).map(move |done, actor, ctx| {
            keep(actor, done);
            let pause = actor.pause(every);
            ctx.run_later(pause, next);
        }));
    }

    /// Measures a few links.
    fn probe(&mut self, ctx: &mut Context<Self>) {
        if !self.probes {
            return;
        }
        let (world, after) = (self.world.clone(), self.probed);
        let rated = self.rated.clone();
        let work = async move {
            let probed = probe_links(&world, after).await;
            let unrated = probed.iter().filter(|(node, latency)| latency.is_some() && !rated.contains(node));
            let rates = probe_rates(&world, unrated.map(|(node, _)| *node).collect()).await;
            (probed, rates)
        };
        ctx.spawn(work.into_actor(self).map(move |(probed, rates), actor, ctx| {
            for (node, latency) in probed {
                actor.probed = node;
                if let Some(latency) = latency {
                    actor.tell_planner(planner::Input::Probed { node, latency_ms: latency.as_secs_f64() * 1e3 });
                }
            }
            for (node, seconds_per_byte) in rates {
                actor.rated.insert(node);
                actor.tell_planner(planner::Input::RateProbed { node, seconds_per_byte });
            }
            let pause = actor.pause(actor.watch.heartbeat);
            ctx.run_later(pause, Self::probe);
        }));
    }

    /// What a probe showed is for the planner alone, and there is nothing to be done about it.
    fn tell_planner(&self, probed: planner::Input) {
        self.agent.handle(control_loop::Input::Planner(probed), |wanted| &mut wanted.planner);
    }

    fn pause(&mut self, every: Duration) -> Duration {
        self.world.clock.apply(every).mul_f64(self.rng.random_range(0.9..1.1))
    }
}

fn tell(world: &World, done: crate::knowledge::Result<()>) {
    if let Err(error) = done {
        world.trouble(chain(&error));
    }
}

/// All duties but probing once, one after the other: for who has no actor.
pub async fn beat(world: &World, watch: Watch, converged: bool) -> crate::knowledge::Result<()> {
    world.beat(converged).await?;
    close_windows(world, watch).await?;
    undo_left(world).await?;
    delete_left(world, watch, &mut Leftovers::default()).await
}

async fn close_windows(world: &World, watch: Watch) -> crate::knowledge::Result<()> {
    for closed in world.knowledge.close_due(world.agent, watch.closing).await? {
        world.notify(Notice::Closed { closed });
    }
    Ok(())
}

/// Undoes claims whose leases ran out, and what this agent itself had begun in a former life: at its start, when nothing of
/// this life runs yet. Objects are deleted later, for no undoing waits for a store. Of a set many objects may have arrived: those
/// claims are kept, if nobody else has taken them, and are to be gone on with.
pub async fn recover(world: &World, watch: Watch) -> crate::knowledge::Result<Vec<Claim>> {
    let mut kept = Vec::new();
    for claim in world.knowledge.unfinished(world.agent, true).await?.claims {
        if claim.agent == world.agent && brings_a_set(&claim) && world.knowledge.renew(claim.event, watch.lease).await?
        {
            let what = format!("{} (event {}) goes on", claim.action, claim.event);
            world.notify(Notice::Recovered { agent: world.agent, what });
            kept.push(claim);
        } else {
            undo(world, &claim).await?;
        }
    }
    Ok(kept)
}

fn brings_a_set(claim: &Claim) -> bool {
    let destination = claim.destination.as_ref().map(|row| Extent::of(&row.object_key));
    matches!(destination, Some(Extent::Set(_)))
}

async fn undo_left(world: &World) -> crate::knowledge::Result<()> {
    for claim in world.knowledge.unfinished(world.agent, false).await?.claims {
        undo(world, &claim).await?;
    }
    Ok(())
}

async fn undo(world: &World, claim: &Claim) -> crate::knowledge::Result<()> {
    let what = format!("{} of agent {} (event {}) is undone", claim.action, claim.agent, claim.event);
    world.knowledge.abort(claim.event, Outcome::Aborted, "its agent died or lost its lease").await?;
    world.notify(Notice::Recovered { agent: world.agent, what });
    Ok(())
}

/// Deletes the objects that nobody may read any more, in several stores at a time.
async fn delete_left(world: &World, watch: Watch, leftovers: &mut Leftovers) -> crate::knowledge::Result<()> {
    let turn = Turn { home: world.home, lease: watch.lease, pause: watch.heartbeat };
    let removing = world.knowledge.unfinished(world.agent, false).await?.removing;
    let due = stream::iter(leftovers.due(removing, turn, world.clock.now()));
    let done = due.map(|(node, replicas)| async move { (node, remove_all(world, &replicas).await) });
    let done: Vec<_> = done.buffer_unordered(STORES_AT_ONCE).collect().await;
    for (node, removed) in done {
        let news = match removed {
            Ok(()) => leftovers.deleted(node),
            Err((left, why)) => leftovers.refused(node, left, why, turn, world.clock.now()),
        };
        news.into_iter().for_each(|what| world.trouble(what));
    }
    Ok(())
}

/// Of one store: how many objects are left, and why. It is not asked for all of them when it refuses one after the other.
async fn remove_all(world: &World, replicas: &[Replica]) -> Result<(), (usize, String)> {
    let mut refusals = Vec::new();
    let mut left = replicas.len();
    for replica in replicas {
        match remove(world, replica).await {
            Ok(()) => left -= 1,
            Err(why) => refusals.push(why),
        }
        if refusals.len() == REFUSALS_AT_MOST {
            break;
        }
    }
    match refusals.into_iter().next() {
        None => Ok(()),
        Some(why) => Err((left, why)),
    }
}

impl Actor for WatchdogActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.beat(ctx);
        self.close(ctx);
        self.recover(ctx);
        self.delete(ctx);
        self.mend(ctx);
        self.keep(ctx);
        self.watch(ctx);
        self.begin_scrubs(ctx);
        self.probe(ctx);
    }
}

impl Handler<LinksSeen> for WatchdogActor {
    type Result = ();

    fn handle(&mut self, LinksSeen(seen): LinksSeen, _: &mut Self::Context) {
        for (node, latency_ms) in seen {
            self.tell_planner(planner::Input::Probed { node, latency_ms });
        }
    }
}

impl Handler<Stop> for WatchdogActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::super::shared_loop::{Perform, Performers};
    use super::super::{Parts, Reach, ReachError, Reached};
    use super::*;
    use crate::jobs::{DataSource, FailedFor, Job, JobReport};
    use agent_core::domain::ids::AgentId;
    use agent_core::domain::job_gap::JobGap;
    use agent_core::domain::placement::Node;
    use agent_core::domain::time::Timestamp;
    use agent_core::knowledge::contract::{RULE, Table, clock, data_set, identity};
    use agent_core::knowledge::memory::MemoryKnowledge;
    use agent_core::mape::chance::Streams;
    use agent_core::mape::monitor::Rhythm;
    use agent_core::mape::planner::Fixed;
    use agent_core::mape::scene;
    use async_trait::async_trait;
    use rand::SeedableRng as _;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::runtime::Handle;
    use tokio::sync::watch;

    /// Stores that never answer, and how often they were asked.
    #[derive(Default)]
    struct Silent(AtomicU32);

    #[async_trait]
    impl Reach for Silent {
        async fn reach(&self, _: &Node, _: Duration) -> Result<Reached, ReachError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }

        async fn probe(&self, _: &Reached) -> Result<Duration, String> {
            std::future::pending().await
        }
    }

    struct NoJob;

    #[async_trait]
    impl Job for NoJob {
        fn describe(&self) -> String {
            "none".to_owned()
        }

        async fn run_over(&self, _: &[DataSource]) -> Result<JobReport, FailedFor> {
            std::future::pending().await
        }
    }

    /// Performs nothing.
    struct Nobody;

    impl Actor for Nobody {
        type Context = Context<Self>;
    }

    impl<E: 'static> Handler<Perform<E>> for Nobody {
        type Result = ();

        fn handle(&mut self, _: Perform<E>, _: &mut Self::Context) {}
    }

    /// A loop that has not begun.
    fn at_rest(watch: Watch, world: &Arc<World>) -> Rc<SharedLoop> {
        let parts = Parts {
            parameters: Arc::new(scene::parameters("response_time <= 35 s")),
            policy: Arc::new(Fixed),
            experiences: vec![(data_set(), scene::experience(&[]))],
            rhythm: Rhythm { gap: JobGap::Mean(Duration::ZERO), gap_deviation: Duration::ZERO },
            watch,
            seed: 1,
            adopt: Arc::new(|_| Err("nobody asks".to_owned())),
        };
        let nobody = Nobody.start();
        let performers = Performers {
            monitor: nobody.clone().recipient(),
            planner: nobody.clone().recipient(),
            executor: nobody.recipient(),
        };
        Rc::new(SharedLoop::new(&parts, Streams::new(1), performers, world.clone()))
    }

    fn world(table: &Table, reach: Arc<Silent>) -> World {
        World {
            agent: AgentId(1),
            identity: identity(),
            over: watch::Sender::default(),
            unexpected: AtomicU32::default(),
            deciding: Default::default(),
            rates: Default::default(),
            home: NodeId(1),
            may_run_on: Default::default(),
            account: Default::default(),
            data_sets: vec![data_set()],
            clock: table.clock.clone(),
            knowledge: table.knowledge.clone(),
            reach,
            job: Arc::new(NoJob),
            requests: None,
            services: Handle::current(),
            notify: Arc::new(|_| {}),
            observer: None,
        }
    }

    #[actix::test]
    async fn a_store_that_hangs_keeps_no_other_duty_waiting() {
        const HEARTBEAT: Duration = Duration::from_millis(1);
        let clock = clock();
        let table = Table::new(MemoryKnowledge::new(clock.clone()), clock, ()).three_agents().await;
        // Something that has to be deleted from node 2, and a claim whose holder is gone.
        let copy = table.claim(2, "C3_2").await;
        table.knowledge.abort(copy.event, Outcome::Failed, "it failed").await.unwrap();
        table.claim(2, "C3_2").await;
        let silent = Arc::new(Silent::default());
        let watch = Watch {
            heartbeat: HEARTBEAT,
            lease: Duration::from_secs(60),
            drain: Duration::ZERO,
            window: Duration::from_secs(210),
            closing: RULE,
            origins: None,
            scrub: None,
        };
        let world = Arc::new(world(&table, silent.clone()));
        let agent = at_rest(watch, &world);
        let watchdog = WatchdogActor::new(watch, world, agent, false, Rng::seed_from_u64(1)).start();
        while silent.0.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }

        table.advance(100);
        let heard_of = async || table.snapshot().await.agents[&AgentId(1)].heartbeat_at;
        let now: Timestamp = table.now();
        while heard_of().await != Some(now)
            || !table.knowledge.unfinished(AgentId(1), false).await.unwrap().claims.is_empty()
        {
            tokio::task::yield_now().await;
        }
        assert_eq!(silent.0.load(Ordering::SeqCst), 1, "it is asked once, and waited for");
        watchdog.send(Stop).await.unwrap();
    }
}
