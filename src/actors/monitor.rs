//! Loads the table, runs the job, records what was measured.

use super::inspection::{Depth, judge};
use super::shared_loop::{Perform, SharedLoop};
use super::world::{FailedRun, World, chain, run_job};
use super::{Adopt, Notice, Over, Parts};
use crate::knowledge::{KnowledgeError, Registered};
use actix::prelude::*;
use agent_core::domain::goal::Goal;
use agent_core::domain::ids::DataSetName;
use agent_core::domain::measurement::Measurement;
use agent_core::domain::placement::{Overrides, Registration};
use agent_core::domain::snapshot::Snapshot;
use agent_core::mape::control_loop::{self, Adoption};
use agent_core::mape::monitor::{Effect, Input, Read};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// No new job; the running one is dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Measurements that wait for the table to come back; the oldest go when there are more (I-7).
const WAITING_MEASUREMENTS: usize = 1000;

pub struct MonitorActor {
    agent: Rc<SharedLoop>,
    world: Arc<World>,
    goal: Goal,
    registration: Registration,
    /// Whether the table has it so.
    registered: bool,
    /// What was asked last in place of the configuration; followed where it makes sense.
    overrides: Overrides,
    adopt: Adopt,
    window: Duration,
    /// The load or job under way.
    work: Option<SpawnHandle>,
    waiting: VecDeque<(Arc<Measurement>, bool)>,
    recording: bool,
    was_converged: bool,
    /// What keeps the agent from reading its data; told when it changes, not with each job that waits.
    obstacle: Option<String>,
    stopped: bool,
}

impl MonitorActor {
    pub fn new(parts: &Parts, agent: Rc<SharedLoop>, world: Arc<World>) -> Self {
        let goal = parts.parameters.goal.clone();
        let registration = Registration {
            agent: world.agent,
            node: world.home,
            goal: goal.to_string(),
            policy: parts.policy.name().to_owned(),
            may_run_on: world.may_run_on.clone(),
        };
        Self {
            agent,
            world,
            goal,
            registration,
            registered: true,
            overrides: Overrides::default(),
            adopt: parts.adopt.clone(),
            window: parts.parameters.window,
            work: None,
            waiting: VecDeque::new(),
            recording: false,
            was_converged: false,
            obstacle: None,
            stopped: false,
        }
    }

    fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        if !self.stopped {
            let effects = self.agent.handle(control_loop::Input::Monitor(input), |wanted| &mut wanted.monitor);
            self.perform_all(effects, ctx);
        }
    }

    fn perform_all(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        effects.into_iter().for_each(|effect| self.perform(effect, ctx));
        self.tell_convergence(ctx);
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        let world = self.world.clone();
        match effect {
            Effect::Wake { pause } => {
                let after = pause.after(world.clock.now());
                ctx.run_later(world.clock.apply(after), |actor, ctx| actor.step(Input::Woken, ctx));
            }
            Effect::Load => self.load(ctx),
            Effect::Run { at, reads } => {
                let latency =
                    |read: &Read| self.agent.draw(|rng| world.draw_latency(&read.snapshot, read.replica.node, rng));
                let latencies: Vec<Duration> = reads.iter().map(latency).collect();
                self.input_from(ctx, async move {
                    match run_job(&world, at, &reads, &latencies).await {
                        Ok(Some(observation)) => Input::JobEnded(Box::new(observation)),
                        Ok(None) => Input::NothingAsked,
                        Err(FailedRun { failure, part }) => Input::JobFailed { at: world.clock.now(), failure, part },
                    }
                });
            }
            Effect::Record { measurement, satisfied } => self.record(measurement, satisfied, ctx),
            Effect::Inspect(Read { replica, snapshot }) => {
                ctx.spawn(actix::fut::wrap_future(async move {
                    if let Err(why) = judge(&world, &snapshot, &replica, Depth::Read).await {
                        world.trouble(format!(
                            "whether the replica on node {} is intact is not known: {why}",
                            replica.node
                        ));
                    }
                }));
            }
            Effect::RecordFailure(measurement) => {
                if let Some(failure) = measurement.failure.clone() {
                    world.notify(Notice::JobFailed { agent: world.agent, node: measurement.node, failure });
                }
                self.keep(measurement, false, ctx);
            }
            Effect::LeaveFeedback(events) => {
                let window = self.window;
                self.aside(ctx, async move {
                    let left = world.knowledge.leave_feedback(world.agent, &events, window).await?;
                    left.into_iter().for_each(|feedback| world.notify(Notice::FeedbackLeft { feedback }));
                    Ok(())
                });
            }
            Effect::Register => {
                let names = world.data_sets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
                self.told(Some(format!(
                    "this agent reads no replica of data set {names} that is present; it asks for one"
                )));
                let registration = self.registration.clone();
                self.aside(ctx, async move {
                    match world.register(&registration).await? {
                        Registered::Done => {}
                        Registered::Taken { .. } => world.must_end(Over::Displaced),
                    }
                    Ok(())
                });
            }
            // The loop keeps them.
            Effect::Plan(_) | Effect::Failed { .. } | Effect::NothingAsked | Effect::Unexpected(_) => {}
        }
    }

    fn load(&mut self, ctx: &mut Context<Self>) {
        let world = self.world.clone();
        let load = async move { world.load().await };
        self.work = Some(ctx.spawn(load.into_actor(self).map(|loaded, actor, ctx| {
            actor.work = None;
            let input = actor.loaded(loaded);
            if let Input::Loaded(snapshots) = &input {
                actor.follow(snapshots, ctx);
            }
            actor.step(input, ctx);
        })));
    }

    fn loaded(&mut self, loaded: crate::knowledge::Result<Result<Vec<Snapshot>, DataSetName>>) -> Input {
        let obstacle = match loaded {
            Ok(Ok(snapshots)) => {
                if snapshots.iter().all(|it| it.placement.reference(self.world.agent).is_some()) {
                    self.told(None);
                }
                return Input::Loaded(snapshots);
            }
            Ok(Err(unknown)) => format!("data set {unknown} is not in the catalogue, or its row makes no sense"),
            Err(error) => chain(&error),
        };
        self.told(Some(obstacle));
        Input::LoadFailed
    }

    /// What is asked of this agent in place of its configuration holds from the next job on.
    fn follow(&mut self, snapshots: &[Snapshot], ctx: &mut Context<Self>) {
        let own = snapshots.first().and_then(|snapshot| snapshot.agents.get(&self.world.agent));
        if let Some(peer) = own.filter(|peer| peer.overrides != self.overrides && self.agent.is_at_rest()) {
            self.overrides.clone_from(&peer.overrides);
            match (self.adopt)(&peer.overrides) {
                Ok(adoption) => self.pursue(adoption, ctx),
                Err(why) => self.world.trouble(format!("what is asked of this agent is not followed: {why}")),
            }
        }
        if !self.registered {
            self.register_anew(ctx);
        }
    }

    fn pursue(&mut self, adoption: Adoption, ctx: &mut Context<Self>) {
        self.goal.clone_from(&adoption.parameters.goal);
        let (goal, policy) = (self.goal.to_string(), adoption.policy.name().to_owned());
        self.world.notify(Notice::Pursues { agent: self.world.agent, goal: goal.clone(), policy: policy.clone() });
        (self.registration.goal, self.registration.policy) = (goal, policy);
        self.registered = false;
        let effects = self.agent.handle(control_loop::Input::Adopt(adoption), |wanted| &mut wanted.monitor);
        self.perform_all(effects, ctx);
    }

    /// Until the table has it, with each job.
    fn register_anew(&self, ctx: &mut Context<Self>) {
        let (world, registration) = (self.world.clone(), self.registration.clone());
        let register = async move { world.register(&registration).await };
        ctx.spawn(register.into_actor(self).map(|registered, actor, _| match registered {
            Ok(Registered::Done) => actor.registered = true,
            Ok(Registered::Taken { .. }) => actor.world.must_end(Over::Displaced),
            Err(error) => actor.world.trouble(chain(&error)),
        }));
    }

    fn told(&mut self, obstacle: Option<String>) {
        if self.obstacle != obstacle {
            self.obstacle.clone_from(&obstacle);
            obstacle.into_iter().for_each(|what| self.world.trouble(what));
        }
    }

    /// Runs in the background; its result is the loop's next input.
    fn input_from(&mut self, ctx: &mut Context<Self>, work: impl Future<Output = Input> + 'static) {
        self.work = Some(ctx.spawn(work.into_actor(self).map(|input, actor, ctx| {
            actor.work = None;
            actor.step(input, ctx);
        })));
    }

    /// Runs in the background; nobody waits for it, trouble is told.
    fn aside(&self, ctx: &mut Context<Self>, work: impl Future<Output = crate::knowledge::Result<()>> + 'static) {
        let world = self.world.clone();
        ctx.spawn(actix::fut::wrap_future(async move {
            if let Err(error) = work.await {
                world.trouble(chain(&error));
            }
        }));
    }

    fn record(&mut self, measurement: Arc<Measurement>, satisfied: bool, ctx: &mut Context<Self>) {
        self.world.notify(Notice::Job {
            violated: self.goal.violated(&measurement.metrics).iter().map(ToString::to_string).collect(),
            measurement: Measurement::clone(&measurement),
            satisfied,
        });
        self.keep(measurement, satisfied, ctx);
    }

    /// For the shared table, as soon as it takes it.
    fn keep(&mut self, measurement: Arc<Measurement>, satisfied: bool, ctx: &mut Context<Self>) {
        if self.waiting.len() == WAITING_MEASUREMENTS {
            self.waiting.pop_front();
            self.world.trouble("a measurement was dropped: too many wait for the shared table".to_owned());
        }
        self.waiting.push_back((measurement, satisfied));
        self.write_waiting(ctx);
    }

    /// Writes the oldest measurement, and so on until none waits or the table is away: the next job tries again.
    fn write_waiting(&mut self, ctx: &mut Context<Self>) {
        if self.recording {
            return;
        }
        let Some((measurement, satisfied)) = self.waiting.front().cloned() else { return };
        self.recording = true;
        let world = self.world.clone();
        let write = async move { world.knowledge.record(&measurement, satisfied).await };
        ctx.spawn(write.into_actor(self).map(|written, actor, ctx| {
            actor.recording = false;
            match written {
                Ok(()) => {
                    actor.waiting.pop_front();
                    actor.write_waiting(ctx);
                }
                // Nobody will ever take it: the others must not wait behind it.
                Err(error @ KnowledgeError::Rejected { .. }) => {
                    actor.waiting.pop_front();
                    actor.world.trouble(chain(&error));
                }
                Err(error) => actor.world.trouble(chain(&error)),
            }
        }));
    }

    /// Says at once when the agent's state changes; the watchdog repeats it.
    fn tell_convergence(&mut self, ctx: &mut Context<Self>) {
        let converged = self.agent.is_converged();
        if converged != self.was_converged {
            self.was_converged = converged;
            let world = self.world.clone();
            self.aside(ctx, async move { world.beat(converged).await });
        }
    }
}

impl Actor for MonitorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.step(Input::Started, ctx);
    }
}

impl Handler<Perform<Effect>> for MonitorActor {
    type Result = ();

    fn handle(&mut self, Perform(effects): Perform<Effect>, ctx: &mut Self::Context) {
        if !self.stopped {
            self.perform_all(effects, ctx);
        }
    }
}

impl Handler<Stop> for MonitorActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.stopped = true;
        // Dropping the job's future stops the job. The actor stays: others may still have something to tell it.
        if let Some(work) = self.work.take() {
            ctx.cancel_future(work);
        }
    }
}
