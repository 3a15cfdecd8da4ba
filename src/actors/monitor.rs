//! The monitor's shell: loads the table, runs the job, records what was measured.

use super::inspection::{Depth, judge};
use super::world::{World, chain};
use super::{Makeup, Notice, Step, deliver, planner};
use crate::knowledge::{KnowledgeError, Registered};
use actix::prelude::*;
use agent_core::domain::measurement::Measurement;
use agent_core::domain::placement::Registration;
use agent_core::domain::snapshot::Snapshot;
use agent_core::mape::monitor::{Effect, Input, Monitor, Repair};
use agent_core::mape::planner::Rng;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A violation was dealt with.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Repaired(pub Repair);

/// Whether the agent has nothing left to mend.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct IsConverged;

/// No new job; the running one is dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Measurements that wait for the table to come back; the oldest go when there are more (I-7).
const WAITING_MEASUREMENTS: usize = 1000;

pub struct MonitorActor {
    machine: Monitor,
    world: Arc<World>,
    planner: Recipient<planner::Judge>,
    registration: Registration,
    window: Duration,
    rng: Rng,
    /// Of the links' latencies: a stream of its own, so that the network does not depend on what is decided.
    link_rng: Rng,
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
    pub fn new(
        makeup: &Makeup,
        world: Arc<World>,
        planner: Recipient<planner::Judge>,
        rng: Rng,
        link_rng: Rng,
    ) -> Self {
        let parameters = makeup.parameters.clone();
        let registration = Registration {
            agent: world.agent,
            node: world.home,
            goal: parameters.goal.to_string(),
            policy: makeup.policy.name().to_owned(),
        };
        let window = parameters.window;
        let data_set = world.data_set.clone();
        let machine =
            Monitor::new(parameters, data_set, makeup.policy.clone(), makeup.rhythm, world.identity.life.to_string());
        Self {
            machine,
            world,
            planner,
            registration,
            window,
            rng,
            link_rng,
            work: None,
            waiting: VecDeque::new(),
            recording: false,
            was_converged: false,
            obstacle: None,
            stopped: false,
        }
    }

    fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        if self.stopped {
            return;
        }
        let (machine, rng) = (&mut self.machine, &mut self.rng);
        for effect in self.world.observed(input, |input| machine.handle(input, rng), Step::Monitor) {
            self.perform(effect, ctx);
        }
        self.tell_convergence(ctx);
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        let world = self.world.clone();
        match effect {
            Effect::Wake { after } => {
                ctx.run_later(world.clock.apply(after), |actor, ctx| actor.step(Input::Woken, ctx));
            }
            Effect::Load => self.load(ctx),
            Effect::Run { replica, snapshot } => {
                let latency = world.draw_latency(&snapshot, replica.node, &mut self.link_rng);
                self.input_from(ctx, async move {
                    match super::world::run_job(&world, &snapshot, &replica, latency).await {
                        Ok(observation) => Input::JobEnded(observation),
                        Err(failure) => Input::JobFailed { at: world.clock.now(), failure },
                    }
                });
            }
            Effect::Record { measurement, satisfied } => self.record(measurement, satisfied, ctx),
            Effect::Inspect { replica, snapshot } => {
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
            Effect::Failed { node } => deliver(&self.planner, planner::Judge::Failed { node }),
            Effect::Plan(violation) => deliver(&self.planner, planner::Judge::Violated(violation)),
            Effect::Register => {
                let what = format!(
                    "this agent reads no replica of data set {} that is present; it asks for one",
                    world.data_set
                );
                self.told(Some(what));
                let registration = self.registration.clone();
                self.aside(ctx, async move {
                    match world.register(&registration).await? {
                        Registered::Done => {}
                        Registered::Taken { .. } => world.displaced.notify_one(),
                    }
                    Ok(())
                });
            }
        }
    }

    fn load(&mut self, ctx: &mut Context<Self>) {
        let world = self.world.clone();
        let load = async move { world.knowledge.snapshot(&world.data_set).await };
        self.work = Some(ctx.spawn(load.into_actor(self).map(|loaded, actor, ctx| {
            actor.work = None;
            let input = actor.loaded(loaded);
            actor.step(input, ctx);
        })));
    }

    fn loaded(&mut self, loaded: crate::knowledge::Result<Option<Snapshot>>) -> Input {
        let obstacle = match loaded {
            Ok(Some(snapshot)) => {
                if snapshot.placement.reference(self.world.agent).is_some() {
                    self.told(None);
                }
                return Input::Loaded(snapshot);
            }
            Ok(None) => format!("data set {} is not in the catalogue, or its row makes no sense", self.world.data_set),
            Err(error) => chain(&error),
        };
        self.told(Some(obstacle));
        Input::LoadFailed
    }

    fn told(&mut self, obstacle: Option<String>) {
        if self.obstacle != obstacle {
            self.obstacle.clone_from(&obstacle);
            obstacle.into_iter().for_each(|what| self.world.trouble(what));
        }
    }

    /// Runs in the background; its result is the machine's next input.
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
        deliver(&self.planner, planner::Judge::Measured { measurement: measurement.clone(), satisfied });
        self.world.notify(Notice::Job {
            violated: self.registered_goal_misses(&measurement),
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

    fn registered_goal_misses(&self, measurement: &Measurement) -> Vec<String> {
        self.machine.goal().violated(&measurement.metrics).iter().map(ToString::to_string).collect()
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
        let converged = self.machine.is_converged();
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

impl Handler<Repaired> for MonitorActor {
    type Result = ();

    fn handle(&mut self, Repaired(repair): Repaired, ctx: &mut Self::Context) {
        self.step(Input::Repaired(repair), ctx);
    }
}

impl Handler<IsConverged> for MonitorActor {
    type Result = bool;

    fn handle(&mut self, _: IsConverged, _: &mut Self::Context) -> bool {
        self.was_converged
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
