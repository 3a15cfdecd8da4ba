//! The executor's shell: performs the steps of an action's saga, one after the other.

use super::watchdog::Watch;
use super::world::{World, chain, on_services};
use super::{Notice, Step, deliver, planner};
use crate::domain::event::Outcome;
use crate::domain::ids::EventId;
use crate::domain::placement::{Claim, Plan, Replica};
use crate::domain::validators::Validators;
use crate::knowledge::{Claimed, KnowledgeError};
use crate::mape::executor::{Effect, End, Executor, Input, Report};
use crate::storage::transfer::{Expected, transfer};
use actix::prelude::*;
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
        let (world, watch) = (self.world.clone(), self.watch);
        match effect {
            Effect::Claim(plan) => self.input_from(ctx, async move { claim(&world, watch, &plan).await }),
            Effect::Note(plan) => self.input_from(ctx, async move {
                if let Err(error) = world.knowledge.record_nothing(&plan).await {
                    world.trouble(chain(&error));
                }
                Input::Noted
            }),
            Effect::Transfer(claim) => self.input_from(ctx, async move {
                match move_bytes(&world, watch, claim).await {
                    Ok(arrived) => Input::Transferred(arrived),
                    Err(why) => Input::TransferFailed(why),
                }
            }),
            Effect::Commit { event, arrived } => {
                self.input_from(ctx, async move { commit(&world, watch, event, &arrived).await });
            }
            Effect::Abort { claim, outcome, why } => self.input_from(ctx, async move {
                abort(&world, &claim, outcome, &why).await;
                Input::Aborted
            }),
            Effect::Report(report) => self.report(report),
            Effect::Finished(repair) => deliver(&self.planner, planner::Ended(repair)),
        }
    }

    fn input_from(&mut self, ctx: &mut Context<Self>, work: impl Future<Output = Input> + 'static) {
        self.running = Some(ctx.spawn(work.into_actor(self).map(|input, actor, ctx| {
            actor.running = None;
            actor.step(input, ctx);
        })));
    }

    fn report(&self, report: Report) {
        let how = match report.end {
            End::Done => "done".to_owned(),
            End::Nothing => return,
            End::Lost(why) => format!("not granted: {why}; judging again"),
            End::Failed(why) => format!("FAILED: {why}"),
        };
        let (agent, action, event) = (self.world.agent, report.action, report.event);
        self.world.notify(Notice::Acted { agent, action, event, how });
    }
}

/// Claims; when the answer was lost, reads back by key what became of it (the same key is granted once).
async fn claim(world: &World, watch: Watch, plan: &Plan) -> Input {
    let ask = || world.knowledge.claim(plan, watch.lease, watch.window);
    let answer = match ask().await {
        Err(KnowledgeError::Uncertain { .. }) => ask().await,
        answer => answer,
    };
    match answer {
        Ok(claimed) => {
            if let Claimed::Granted(claim) = &claimed {
                tracing::debug!(event = %claim.event, action = %claim.action, "claimed");
            }
            Input::Claimed(claimed)
        }
        Err(error) => Input::ClaimFailed(chain(&error)),
    }
}

/// Commits; committing twice is the same as once, so a lost answer is asked for again, a few times.
async fn commit(world: &World, watch: Watch, event: EventId, arrived: &Validators) -> Input {
    const TRIES: u32 = 5;
    let mut last = String::new();
    for _ in 0..TRIES {
        match world.knowledge.commit(event, arrived, watch.drain).await {
            Ok(committed) => return Input::Committed(committed),
            Err(error) => last = chain(&error),
        }
    }
    Input::CommitFailed(last)
}

/// Streams the bytes to the destination through this agent's links and verifies them; the lease is renewed meanwhile.
async fn move_bytes(world: &Arc<World>, watch: Watch, claim: Claim) -> Result<Validators, String> {
    let (event, worker) = (claim.event, world.clone());
    let work = on_services(world, async move { transfer_claimed(&worker, &claim).await });
    tokio::pin!(work);
    loop {
        let renewal = tokio::time::sleep(world.clock.apply(watch.lease / 3));
        tokio::select! {
            done = &mut work => return done?,
            () = renewal => match world.knowledge.renew(event, watch.lease).await {
                Ok(true) => {}
                Ok(false) => return Err("the lease was lost".to_owned()),
                Err(error) => world.trouble(chain(&error)),
            },
        }
    }
}

async fn transfer_claimed(world: &World, claim: &Claim) -> Result<Validators, String> {
    let snapshot = world.knowledge.snapshot(&claim.data_set).await.map_err(|error| chain(&error))?;
    let snapshot = snapshot.ok_or_else(|| format!("data set {} is gone", claim.data_set))?;
    let to = claim.destination.as_ref().ok_or("there is no destination")?;
    let source = world.reach(&snapshot, claim.source.node).await.map_err(|error| chain(&error))?;
    let destination = world.reach(&snapshot, to.node).await.map_err(|error| chain(&error))?;
    let expected = Expected { bytes: snapshot.data_set.bytes, sha256: snapshot.data_set.sha256.clone() };
    let (from, into) = (source.store.as_ref(), destination.store.as_ref());
    let etag = snapshot.placement.replicas.get(&claim.source.id).and_then(|row| row.validators.etag.as_deref());
    transfer(from, &claim.source.object_key, etag, into, &to.object_key, &expected, |_| {})
        .await
        .map(|verified| verified.validators().clone())
        .map_err(|error| chain(&error))
}

/// Undoes a claim. The destination's object goes even when somebody else has undone the claim before: this agent may have
/// written it since.
async fn abort(world: &World, claim: &Claim, outcome: Outcome, why: &str) {
    let undone = world.knowledge.abort(claim.event, outcome, why).await;
    let deleted = match &claim.destination {
        Some(destination) => delete(world, destination).await,
        None => Ok(()),
    };
    match (undone, deleted) {
        (Ok(Some(row)), Ok(())) => {
            if let Err(error) = world.knowledge.removed(row.id).await {
                world.trouble(chain(&error));
            }
        }
        (Ok(_), Ok(())) => {}
        // What is still named by the table, or leased, is undone by recovery.
        (Err(error), _) => world.trouble(chain(&error)),
        (Ok(_), Err(why)) => world.trouble(why),
    }
}

/// Deletes an object of a node.
async fn delete(world: &World, replica: &Replica) -> Result<(), String> {
    let snapshot = world.knowledge.snapshot(&replica.data_set).await.map_err(|error| chain(&error))?;
    let snapshot = snapshot.ok_or_else(|| format!("data set {} is gone", replica.data_set))?;
    let reached = world.reach(&snapshot, replica.node).await.map_err(|error| chain(&error))?;
    reached.store.delete(&replica.object_key).await.map_err(|error| chain(&error))
}

/// Deletes the object of a `removing` row and then the row. An error is for people, and names no object.
pub(super) async fn remove(world: &World, replica: &Replica) -> Result<(), String> {
    let deleted = delete(world, replica).await.map_err(|why| why.replace(&replica.object_key, "..."));
    deleted?;
    world.knowledge.removed(replica.id).await.map_err(|error| chain(&error))
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
