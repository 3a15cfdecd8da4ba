//! Effects of an agent's machines, performed on the virtual world as its actors perform them on the real one.

use super::agent::Work;
use super::driver::{Effect, Input};
use super::physics;
use super::world::{Happening, World};
use crate::config::scenario::Rules;
use crate::domain::event::Outcome;
use crate::domain::ids::NodeId;
use crate::domain::measurement::Measurement;
use crate::domain::placement::{Claim, Plan, Replica};
use crate::domain::snapshot::Snapshot;
use crate::knowledge::{Claimed, Knowledge as _, Registered};
use crate::mape::executor::{self, End, Report};
use crate::mape::monitor::{self, Observation, Run};
use crate::mape::notice::Notice;
use std::time::Duration;

impl World<'_> {
    /// What the agent hears of it at once, if anything.
    pub fn perform(&mut self, agent: usize, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Monitor(effect) => self.perform_for_monitor(agent, effect).map(Input::Monitor),
            Effect::Executor(effect) => self.perform_for_executor(agent, effect).map(Input::Executor),
            Effect::Decided(decision) => {
                let (id, action) = (self.agents[agent].id(), decision.chosen.action);
                self.notify(|| Notice::Decided { agent: id, action, because: decision.because() });
                None
            }
            Effect::Learn(lesson) => {
                let (id, label) = (self.agents[agent].id(), lesson.change.to_string());
                let learned = self.table.ask(|table| table.learn(id, &label, &lesson.impacts));
                self.trouble_of(agent, learned);
                None
            }
        }
    }

    fn perform_for_monitor(&mut self, agent: usize, effect: monitor::Effect) -> Option<monitor::Input> {
        match effect {
            monitor::Effect::Wake { after } => {
                let life = self.agents[agent].life;
                self.agenda.arrange(self.now() + after, Happening::Wakes { agent, life });
                None
            }
            monitor::Effect::Load => Some(match self.table.load() {
                Ok(snapshot) => monitor::Input::Loaded(snapshot),
                Err(why) => {
                    self.trouble(agent, why);
                    monitor::Input::LoadFailed
                }
            }),
            monitor::Effect::Run { run, snapshot } => {
                self.begin_job(agent, run, &snapshot);
                None
            }
            monitor::Effect::Record { measurement, satisfied } => {
                self.record(agent, measurement, satisfied);
                None
            }
            monitor::Effect::LeaveFeedback(events) => {
                let slot = &self.agents[agent];
                let (id, window) = (slot.id(), slot.parameters().window);
                match self.table.ask(|table| table.leave_feedback(id, &events, window)) {
                    Ok(left) => left.into_iter().for_each(|feedback| {
                        self.checkers.answered(feedback.left_at, &feedback);
                        self.notify(|| Notice::FeedbackLeft { feedback });
                    }),
                    Err(why) => self.trouble(agent, why),
                }
                None
            }
            monitor::Effect::Register => {
                let done = self.register(agent);
                self.trouble_of(agent, done);
                None
            }
            // The driver gives it to the planner.
            monitor::Effect::Plan(_) => None,
        }
    }

    pub fn register(&mut self, agent: usize) -> Result<(), String> {
        self.touched = true;
        let slot = &self.agents[agent];
        let (registration, identity) = (slot.registration(), slot.identity(self.scenario.network.silence()));
        let name = &self.table.data_set;
        match self.table.ask(|table| table.register_agent(&registration, name, &identity))? {
            Registered::Done => Ok(()),
            Registered::Taken { wait } => Err(format!("another life is this agent for {} s more", wait.as_secs_f64())),
        }
    }

    fn perform_for_executor(&mut self, agent: usize, effect: executor::Effect) -> Option<executor::Input> {
        match effect {
            executor::Effect::Claim(plan) => Some(self.claim(agent, &plan)),
            executor::Effect::Note(plan) => {
                let noted = self.table.ask(|table| table.record_nothing(&plan));
                self.trouble_of(agent, noted);
                Some(executor::Input::Noted)
            }
            executor::Effect::Transfer(claim) => self.begin_transfer(agent, claim),
            executor::Effect::Commit(event) => {
                self.touched = true;
                let drain = self.scenario.network.rhythm.drain;
                Some(match self.table.ask(|table| table.commit(event, drain)) {
                    Ok(committed) => executor::Input::Committed(committed),
                    Err(why) => executor::Input::CommitFailed(why),
                })
            }
            executor::Effect::Abort { claim, outcome, why } => {
                self.undo(agent, &claim, outcome, &why);
                Some(executor::Input::Aborted)
            }
            executor::Effect::Report(report) => {
                self.report(agent, report);
                None
            }
            // The driver gives it to the planner and the monitor.
            executor::Effect::Finished(_) => None,
        }
    }

    /// The job reads what can be reached now, over the link as it is now.
    fn begin_job(&mut self, agent: usize, run: Run, snapshot: &Snapshot) {
        let (home, node) = (self.agents[agent].home(), run.replica.node);
        let hidden = self.damage.between(home, node);
        let missing = || (!self.stores.holds(&run.replica)).then(|| "its object is gone".to_owned());
        let link = snapshot.link(home, node);
        let (None, Some(link)) = (hidden.clone().or_else(missing), link) else {
            let why = hidden.or_else(missing).unwrap_or_else(|| format!("there is no link to node {node}"));
            return self.lose_job(agent, node, why);
        };
        let (physics, slow) = (&self.scenario.physics, self.damage.slowness(node));
        let slot = &mut self.agents[agent];
        let latency = physics::latency(link, &mut slot.streams.links);
        let job = physics::job(physics, latency, snapshot.data_set.records, slow, &mut slot.jobs);
        self.begin(agent, Work::Job { run, job }, job.response_time + physics.poll);
    }

    /// The job that runs reads nothing more, and notices after a while.
    pub fn fail_job(&mut self, agent: usize, why: String) {
        if let Some(Work::Job { run, .. }) = &self.agents[agent].work {
            let node = run.replica.node;
            self.lose_job(agent, node, why);
        }
    }

    fn lose_job(&mut self, agent: usize, node: NodeId, why: String) {
        self.begin(agent, Work::LostJob { node, why }, self.scenario.physics.job_failure);
    }

    fn begin(&mut self, agent: usize, work: Work, takes: Duration) {
        let slot = &mut self.agents[agent];
        slot.drop_work();
        slot.work = Some(work);
        let work = slot.works;
        self.agenda.arrange(self.now() + takes, Happening::WorkEnds { agent, work });
    }

    pub fn work_ends(&mut self, agent: usize) {
        let input = match self.agents[agent].work.take() {
            Some(Work::Job { run, .. }) if !self.stores.holds(&run.replica) => {
                self.job_failed(agent, run.replica.node, "its object was deleted while it was read".to_owned())
            }
            Some(Work::Job { run, job }) => {
                Input::Monitor(monitor::Input::JobEnded(self.observation(agent, &run, &job)))
            }
            Some(Work::LostJob { node, why }) => self.job_failed(agent, node, why),
            Some(Work::Transfer { claim, outcome }) => {
                Input::Executor(match outcome.and_then(|()| self.arrive(&claim)) {
                    Ok(()) => executor::Input::Transferred,
                    Err(why) => executor::Input::TransferFailed(why),
                })
            }
            None => return,
        };
        self.step(agent, input);
    }

    fn observation(&self, agent: usize, run: &Run, job: &physics::Job) -> Observation {
        let counted = (self.scenario.physics.rules == Rules::Published).then(|| self.table.load().ok()).flatten();
        Observation {
            at: self.now(),
            response_time: job.response_time,
            execution_time: job.execution_time,
            throughput: job.throughput,
            network_latency: job.latency,
            emulated_latency: None,
            data_consistency: counted.map(|snapshot| self.agents[agent].consistency(&snapshot, run.replica.id)),
        }
    }

    fn job_failed(&mut self, agent: usize, node: NodeId, why: String) -> Input {
        self.agents[agent].tally.failed += 1;
        let agent = self.agents[agent].id();
        self.notify(|| Notice::JobFailed { agent, node, why });
        Input::Monitor(monitor::Input::JobFailed)
    }

    /// Measurements are counted, not kept: a day of a thousand agents has millions.
    fn record(&mut self, agent: usize, measurement: Measurement, satisfied: bool) {
        let slot = &mut self.agents[agent];
        slot.tally.jobs += 1;
        slot.tally.violated += u64::from(!satisfied);
        let goal = slot.parameters().goal.clone();
        self.notify(|| Notice::Job {
            violated: goal.violated(&measurement.metrics).iter().map(ToString::to_string).collect(),
            measurement,
            satisfied,
        });
    }

    fn claim(&mut self, agent: usize, plan: &Plan) -> executor::Input {
        let (lease, window) = (self.scenario.network.rhythm.lease, self.scenario.network.feedback.window);
        self.touched = true;
        match self.table.ask(|table| table.claim(plan, lease, window)) {
            Ok(claimed) => {
                if matches!(claimed, Claimed::Granted(_)) {
                    self.checkers.acted(self.now(), self.damage.database_is_away());
                    if self.scenario.physics.rules == Rules::Published {
                        let life = self.agents[agent].life;
                        self.agenda.arrange(self.now() + window, Happening::Closes { agent, life });
                    }
                }
                executor::Input::Claimed(claimed)
            }
            Err(why) => executor::Input::ClaimFailed(why),
        }
    }

    /// The bytes are on their way; those that take no time have arrived.
    fn begin_transfer(&mut self, agent: usize, claim: Claim) -> Option<executor::Input> {
        let home = self.agents[agent].home();
        let Some(to) = claim.destination.as_ref().map(|row| row.node) else {
            return Some(executor::Input::TransferFailed("there is no destination".to_owned()));
        };
        let from = claim.source.node;
        if let Some(why) = self.damage.between(home, from).or_else(|| self.damage.between(home, to)) {
            return Some(executor::Input::TransferFailed(why));
        }
        let slow = |node| (node, self.damage.slowness(node));
        let physics = &self.scenario.physics;
        let takes = physics::transfer_time(physics, home, slow(from), slow(to));
        let fails = physics::fails(physics, &mut self.agents[agent].transfers);
        if takes.is_zero() && !fails {
            return Some(match self.arrive(&claim) {
                Ok(()) => executor::Input::Transferred,
                Err(why) => executor::Input::TransferFailed(why),
            });
        }
        let (takes, outcome) = match fails {
            true => (takes / 2, Err("the transfer broke off".to_owned())),
            false => (takes, Ok(())),
        };
        self.begin(agent, Work::Transfer { claim, outcome }, takes);
        self.arrange_renewal(agent);
        None
    }

    fn arrange_renewal(&mut self, agent: usize) {
        let (work, lease) = (self.agents[agent].works, self.scenario.network.rhythm.lease);
        self.agenda.arrange(self.now() + lease / 3, Happening::Renews { agent, work });
    }

    /// Prolongs the lease of the transfer under way.
    pub fn renew(&mut self, agent: usize) {
        let Some(Work::Transfer { claim, .. }) = &self.agents[agent].work else { return };
        let (event, lease) = (claim.event, self.scenario.network.rhythm.lease);
        match self.table.ask(|table| table.renew(event, lease)) {
            Ok(true) => self.arrange_renewal(agent),
            Ok(false) => {
                self.agents[agent].drop_work();
                let failed = executor::Input::TransferFailed("the lease was lost".to_owned());
                self.step(agent, Input::Executor(failed));
            }
            Err(why) => {
                self.trouble(agent, why);
                self.arrange_renewal(agent);
            }
        }
    }

    fn arrive(&mut self, claim: &Claim) -> Result<(), String> {
        let Some(row) = &claim.destination else { return Ok(()) };
        self.touched = true;
        self.stores.write(row.node, &row.object_key, self.scenario.physics.bytes)
    }

    /// Undoes a claim; what has arrived at its destination goes in any case.
    fn undo(&mut self, agent: usize, claim: &Claim, outcome: Outcome, why: &str) {
        self.touched = true;
        let undone = self.table.ask(|table| table.abort(claim.event, outcome, why));
        let deleted = claim.destination.as_ref().map_or(Ok(()), |row| self.delete(agent, row));
        match (undone, deleted) {
            (Ok(Some(row)), Ok(())) => {
                let removed = self.table.ask(|table| table.removed(row.id));
                self.trouble_of(agent, removed);
            }
            (Ok(_), Ok(())) => {}
            (Err(why), _) | (Ok(_), Err(why)) => self.trouble(agent, why),
        }
    }

    fn delete(&mut self, agent: usize, replica: &Replica) -> Result<(), String> {
        if let Some(why) = self.damage.between(self.agents[agent].home(), replica.node) {
            return Err(why);
        }
        self.stores.delete(replica.node, &replica.object_key);
        Ok(())
    }

    /// Deletes the object of a `removing` row and then the row; what fails is left to the next recovery.
    fn remove(&mut self, agent: usize, replica: &Replica) {
        self.touched = true;
        let removed = self.delete(agent, replica).and_then(|()| self.table.ask(|table| table.removed(replica.id)));
        self.trouble_of(agent, removed);
    }

    /// Undoes claims whose leases ran out; with `own_too` also what the agent had begun in a former life.
    pub fn recover(&mut self, agent: usize, own_too: bool) -> Result<(), String> {
        let id = self.agents[agent].id();
        for claim in self.table.ask(|table| table.unfinished(id, own_too))?.claims {
            self.touched = true;
            let why = "its agent died or lost its lease";
            let leftover = self.table.ask(|table| table.abort(claim.event, Outcome::Aborted, why))?;
            let what = format!("{} of agent {} (event {}) is undone", claim.action, claim.agent, claim.event);
            self.notify(|| Notice::Recovered { agent: id, what });
            if let Some(leftover) = leftover {
                self.remove(agent, &leftover);
            }
        }
        Ok(())
    }

    /// Deletes what nobody may read any more: on the own node at once, elsewhere when the agent there has had its time.
    pub fn remove_drained(&mut self, agent: usize) -> Result<(), String> {
        let (id, home, lease) =
            (self.agents[agent].id(), self.agents[agent].home(), self.scenario.network.rhythm.lease);
        let now = self.now();
        for replica in self.table.ask(|table| table.unfinished(id, false))?.removing {
            let overdue = replica.lease.is_none_or(|held| held.until + lease < now);
            if replica.node == home || overdue {
                self.remove(agent, &replica);
            }
        }
        Ok(())
    }

    fn report(&mut self, agent: usize, report: Report) {
        let how = match report.end {
            End::Done => "done".to_owned(),
            End::Nothing => return,
            End::Lost(why) => format!("not granted: {why}; judging again"),
            End::Failed(why) => format!("FAILED: {why}"),
        };
        let agent = self.agents[agent].id();
        self.notify(|| Notice::Acted { agent, action: report.action, event: report.event, how });
    }
}
