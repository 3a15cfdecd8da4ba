//! Effects of an agent's machines, performed on the virtual world as its actors perform them on the real one.

use super::agent::{Job, Part, Served, Transfer};
use super::physics;
use super::requests::{self, Times, Way, Window};
use super::setup::VALIDATED;
use super::shelf::Shelf;
use super::table::ready;
use super::world::{Happening, World};
use crate::config::scenario::{Lie, Links, Moment, Rules, Service};
use crate::domain::ask::Reply;
use crate::domain::books;
use crate::domain::constraints::Constraints;
use crate::domain::event::Outcome;
use crate::domain::failure::{FailureKind, JobFailure};
use crate::domain::ids::NodeId;
use crate::domain::measurement::Measurement;
use crate::domain::placement::{Claim, Link, Plan, Registration, Replica};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::domain::validators::Validators;
use crate::knowledge::{Claimed, Knowledge as _, Registered};
use crate::mape::control_loop::{ControlLoop, Effect, Input, Looked};
use crate::mape::executor::{self, Report};
use crate::mape::monitor::{self, Observation, PartObservation, PartTimes, Read};
use crate::mape::notice::Notice;
use crate::mape::planner::{self, LOOK_EVERY, Message};
use rand::RngExt as _;
use std::borrow::Cow;
use std::time::Duration;

impl World<'_> {
    /// What the agent hears of it at once, if anything.
    pub fn perform(&mut self, agent: usize, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Monitor(effect) => self.perform_for_monitor(agent, effect).map(Input::Monitor),
            Effect::Executor(effect) => self.perform_for_executor(agent, *effect).map(Box::new).map(Input::Executor),
            Effect::Planner(effect) => {
                self.perform_for_planner(agent, *effect);
                None
            }
            Effect::Unexpected(what) => {
                let (now, id) = (self.now(), self.agents[agent].id());
                self.checkers.unexpected(now, id, &what);
                None
            }
        }
    }

    fn perform_for_planner(&mut self, agent: usize, effect: planner::Effect) {
        let id = self.agents[agent].id();
        match effect {
            planner::Effect::Decided(decision) => {
                let action = decision.chosen.action;
                self.notify(|| Notice::Decided { agent: id, action, because: decision.because() });
            }
            planner::Effect::Say(message) => {
                let said = self.say(agent, &message);
                self.trouble_of(agent, said);
            }
            planner::Effect::Look { after } => self.look_at(agent, self.now() + after),
            planner::Effect::Adapted(adaptation) => self.notify(|| Notice::Adapted { agent: id, adaptation }),
            planner::Effect::Learn(lesson) => {
                let label = lesson.change.to_string();
                let learned = self.table.ask(|table| table.learn(id, &label, &lesson.impacts));
                self.trouble_of(agent, learned);
            }
            // The loop gives them to the executor and the monitor.
            planner::Effect::Execute(_) | planner::Effect::Repaired(_) => {}
        }
    }

    fn perform_for_monitor(&mut self, agent: usize, effect: monitor::Effect) -> Option<monitor::Input> {
        match effect {
            monitor::Effect::Wake { pause } => {
                let (life, now) = (self.agents[agent].life(), self.now());
                self.agenda.arrange(now + pause.after(now), Happening::Wakes { agent, life });
                None
            }
            monitor::Effect::Load => Some(match self.load(agent) {
                Ok(snapshots) => {
                    self.follow(agent, &snapshots);
                    monitor::Input::Loaded(snapshots)
                }
                Err(why) => {
                    self.trouble(agent, why);
                    monitor::Input::LoadFailed
                }
            }),
            monitor::Effect::Run { at, reads } => {
                self.begin_job(agent, at, reads);
                None
            }
            monitor::Effect::Record { measurement, satisfied } => {
                self.record(agent, &measurement, satisfied);
                None
            }
            monitor::Effect::RecordFailure(measurement) => {
                self.record_failure(agent, &measurement);
                None
            }
            monitor::Effect::LeaveFeedback(events) => {
                let slot = &self.agents[agent];
                let (id, window) = (slot.id(), slot.parameters().window);
                match self.table.ask(|table| table.leave_feedback(id, &events, window)) {
                    Ok(left) => {
                        self.agents[agent].tally.messages += left.len() as u64;
                        left.into_iter().for_each(|feedback| {
                            self.checkers.answered(feedback.left_at, &feedback);
                            self.notify(|| Notice::FeedbackLeft { feedback });
                        });
                    }
                    Err(why) => self.trouble(agent, why),
                }
                None
            }
            monitor::Effect::Register => {
                let done = self.register(agent);
                self.trouble_of(agent, done);
                None
            }
            // Objects in virtual stores are what was written.
            monitor::Effect::Inspect(_) => None,
            // The loop keeps them.
            monitor::Effect::Plan(_)
            | monitor::Effect::Failed { .. }
            | monitor::Effect::NothingAsked
            | monitor::Effect::Unexpected(_) => None,
        }
    }

    /// What is asked of an agent in place of its configuration holds from the next job on.
    fn follow(&mut self, agent: usize, snapshots: &[Snapshot]) {
        let slot = &mut self.agents[agent];
        let Some(peer) = snapshots.first().and_then(|snapshot| snapshot.agents.get(&slot.id())) else { return };
        if peer.overrides == slot.overrides || !slot.control_loop.as_ref().is_some_and(ControlLoop::is_at_rest) {
            return;
        }
        slot.overrides.clone_from(&peer.overrides);
        let (network, settings) = (&self.scenario.network, self.scenario.agents.get(&slot.id()));
        let adopted = settings.map_or(Ok(None), |settings| slot.adopt(network, settings).map(Some));
        match adopted {
            Ok(adoption) => {
                self.inputs.extend(adoption.map(Input::Adopt));
                self.policies_changed();
                let (id, registration) = (self.agents[agent].id(), self.agents[agent].registration());
                let Registration { goal, policy, .. } = registration;
                self.notify(|| Notice::Pursues { agent: id, goal, policy });
                let done = self.register(agent);
                self.trouble_of(agent, done);
            }
            Err(why) => self.trouble(agent, why),
        }
    }

    pub fn register(&mut self, agent: usize) -> Result<(), String> {
        self.touch(agent);
        let slot = &self.agents[agent];
        let (registration, identity) = (slot.registration(), slot.identity(self.scenario.network.silence()));
        match self.table.ask(|table| table.register_agent(&registration, slot.data_sets(), &identity))? {
            Registered::Done => Ok(()),
            Registered::Taken { wait } => Err(format!("another life is this agent for {} s more", wait.as_secs_f64())),
        }
    }

    fn perform_for_executor(&mut self, agent: usize, effect: executor::Effect) -> Option<executor::Input> {
        match effect {
            // Nobody stands between an agent and the virtual stores.
            executor::Effect::CheckLinks(_) => Some(executor::Input::LinksThere),
            executor::Effect::Claim(plan) => Some(self.claim(agent, &plan)),
            executor::Effect::Note(plan) => {
                let noted = self.table.ask(|table| table.record_nothing(&plan));
                self.agents[agent].tally.messages += 1;
                self.trouble_of(agent, noted);
                Some(executor::Input::Noted)
            }
            executor::Effect::Transfer(claim) => self.begin_transfer(agent, claim),
            executor::Effect::Commit { event, arrived } => {
                self.touch(agent);
                let drain = self.scenario.network.rhythm.drain;
                Some(match self.table.ask(|table| table.commit(event, &arrived, drain)) {
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
            // The loop keeps them.
            executor::Effect::Finished(_) | executor::Effect::Unexpected(_) => None,
        }
    }

    /// The job reads what can be reached now, over the links as they are now.
    fn begin_job(&mut self, agent: usize, runs_at: NodeId, reads: Vec<Read>) {
        let id = self.agents[agent].id();
        let window = self.scenario.agents.get(&id).and_then(|settings| settings.job.window());
        if let Some((service, long)) = self.scenario.services.get(&id).zip(window) {
            return self.begin_window(agent, service, long, reads);
        }
        let mut parts = Vec::with_capacity(reads.len());
        for (at, read) in reads.into_iter().enumerate() {
            match self.part(agent, runs_at, at, read) {
                Ok(part) => parts.push(part),
                Err(failure) => return self.lose_job(agent, failure, at),
            }
        }
        let takes: Duration = parts.iter().map(|part| part.job.response_time).sum();
        self.begin_work(agent, Job::Runs(runs_at, parts), takes + self.scenario.physics.poll);
    }

    /// The service answers who comes from now on until the window's end, over the link as it is now.
    fn begin_window(&mut self, agent: usize, service: &Service, long: Duration, reads: Vec<Read>) {
        // It has one data set.
        let Some(read) = reads.into_iter().next() else { return };
        let home = self.agents[agent].home();
        let (link, slow) = match self.reach(agent, home, 0, &read) {
            Ok(reached) => reached,
            Err(failure) => return self.lose_job(agent, failure, 0),
        };
        let shelf = self.agents[agent].shelves()[0];
        let (way, now) = (Way::new(&self.shelves[shelf].physics, link, slow), self.passed());
        let slot = &mut self.agents[agent];
        let came = slot.traffic.as_mut().map(|traffic| traffic.within(now, long)).unwrap_or_default();
        let window = requests::window(service, &way, &came, (now, long), &mut slot.jobs);
        self.begin_work(agent, Job::Serves(Served { replica: read.replica, way }, window), long);
    }

    fn part(&mut self, agent: usize, runs_at: NodeId, at: usize, read: Read) -> Result<Part, JobFailure> {
        let (link, slow) = self.reach(agent, runs_at, at, &read)?;
        let Read { replica, snapshot } = read;
        let (shelf, slot) = (self.agents[agent].shelves()[at], &mut self.agents[agent]);
        let latency = physics::latency(link, &mut slot.streams.links);
        let records = snapshot.data_set.records;
        let job = physics::job(&self.shelves[shelf].physics, latency, records, slow, &mut slot.jobs);
        Ok(Part { replica, records, job })
    }

    /// The link to a replica as it is, and how many times as long its store takes; an error where it cannot be read.
    fn reach(
        &self,
        agent: usize,
        runs_at: NodeId,
        at: usize,
        Read { replica, snapshot }: &Read,
    ) -> Result<(Link, f64), JobFailure> {
        if let Some(why) = self.damage.no_work_on(self.agents[agent].home(), runs_at) {
            return Err(JobFailure::new(FailureKind::Surroundings, why));
        }
        let node = replica.node;
        let hidden = self.damage.between(runs_at, node).map(|why| JobFailure::new(FailureKind::Store, why));
        let missing =
            || (!self.stores.holds(replica)).then(|| JobFailure::new(FailureKind::ChangedData, "its object is gone"));
        if let Some(failure) = hidden.or_else(missing) {
            return Err(failure);
        }
        let shelf = self.agents[agent].shelves()[at];
        // The agent itself may see no links.
        let truth = (self.scenario.physics.links == Links::Measured).then(|| self.truth_of(shelf)).flatten();
        let Some(link) = truth.as_ref().unwrap_or(snapshot).link(runs_at, node) else {
            return Err(JobFailure::new(FailureKind::Store, format!("there is no link to node {node}")));
        };
        Ok((link, self.damage.slowness(node)))
    }

    /// The job that runs reads nothing more, and notices after a while.
    pub fn fail_job(&mut self, agent: usize, failure: JobFailure, part: usize) {
        if let Some(Job::Runs(..) | Job::Serves(..)) = &self.agents[agent].job.under_way {
            self.lose_job(agent, failure, part);
        }
    }

    fn lose_job(&mut self, agent: usize, failure: JobFailure, part: usize) {
        self.begin_work(agent, Job::IsLost(failure, part), self.scenario.physics.job_failure);
    }

    fn begin_work(&mut self, agent: usize, job: Job, takes: Duration) {
        let number = self.agents[agent].job.begin(job);
        self.agenda.arrange(self.now() + takes, Happening::JobEnds { agent, number });
    }

    pub fn job_ends(&mut self, agent: usize) {
        let input = match self.agents[agent].job.under_way.take() {
            Some(Job::Runs(runs_at, parts)) => match parts.iter().position(|part| !self.stores.holds(&part.replica)) {
                Some(part) => {
                    let why = "its object was deleted while it was read";
                    self.job_failed(JobFailure::new(FailureKind::ChangedData, why), part)
                }
                None => {
                    for part in &parts {
                        let bytes = self.scenario.bytes(&part.replica.data_set);
                        self.has_read(agent, runs_at, &part.replica, bytes);
                    }
                    Input::Monitor(monitor::Input::JobEnded(Box::new(self.observation(agent, &parts))))
                }
            },
            Some(Job::Serves(served, window)) => self.window_ends(agent, &served, window),
            Some(Job::IsLost(failure, part)) => self.job_failed(failure, part),
            None => return,
        };
        self.step(agent, input);
    }

    fn window_ends(&mut self, agent: usize, Served { replica, way }: &Served, window: Option<Window>) -> Input {
        let Some(window) = window else {
            self.agents[agent].last_job = Some(self.now());
            self.is_asked(agent, false);
            return Input::Monitor(monitor::Input::NothingAsked);
        };
        self.is_asked(agent, !window.fell_silent);
        let Some(Times { mean, p95, p99 }) = window.times.filter(|_| self.stores.holds(replica)) else {
            let why = "no request of a window was answered";
            return self.job_failed(JobFailure::new(FailureKind::Store, why), 0);
        };
        let home = self.agents[agent].home();
        self.has_read(agent, home, replica, window.answered_bytes);
        let observation = Observation {
            at: self.now(),
            response_time: mean,
            execution_time: mean,
            throughput: Some(window.answered_per_s),
            network_latency: Duration::try_from_secs_f64(way.link.latency_ms / 1e3).unwrap_or_default(),
            emulated_latency: None,
            traffic: None,
            parts: Vec::new(),
            requests: Some(monitor::Requests {
                p95,
                p99,
                error_percent: window.error_percent,
                are_over: window.fell_silent,
            }),
            data_consistency: None,
            result: None,
        };
        Input::Monitor(monitor::Input::JobEnded(Box::new(observation)))
    }

    /// Whether anybody asks it for anything: to who knows the network that is a change of it.
    fn is_asked(&mut self, agent: usize, now: bool) {
        if std::mem::replace(&mut self.agents[agent].is_asked, now) != now {
            let id = self.agents[agent].id();
            self.oracle_hears_of_change(|| format!("users of agent {id} {}", if now { "wake" } else { "sleep" }));
        }
    }

    fn has_read(&mut self, agent: usize, runs_at: NodeId, replica: &Replica, bytes: u64) {
        let slot = &mut self.agents[agent];
        if self.is_priced {
            let (data_set, from, to) = (replica.data_set.clone(), replica.node, runs_at);
            slot.unbilled.add(books::Read { data_set, from, to, bytes });
        }
    }

    pub fn transfer_ends(&mut self, agent: usize) {
        let Some(Transfer { claim, outcome }) = self.agents[agent].transfer.under_way.take() else { return };
        let input = match outcome.and_then(|()| self.arrive(&claim)) {
            Ok(()) => executor::Input::Transferred(Validators::default()),
            Err(why) => transfer_failed(why),
        };
        self.step(agent, Input::Executor(Box::new(input)));
    }

    fn observation(&self, agent: usize, parts: &[Part]) -> Observation {
        let counted = |part: &Part| {
            let snapshot = self.table.load(&part.replica.data_set).ok()?;
            Some(self.agents[agent].consistency(&snapshot, part.replica.id))
        };
        let counts = self.scenario.physics.rules == Rules::Published;
        let counted = counts.then(|| parts.iter().map(counted).collect::<Option<Vec<f64>>>()).flatten();
        let sum = |of: fn(&physics::Job) -> Duration| parts.iter().map(|part| of(&part.job)).sum::<Duration>();
        let execution_time = sum(|job| job.execution_time);
        let throughput = match parts {
            [only] => only.job.throughput,
            several => several.iter().map(|part| part.records as f64).sum::<f64>() / execution_time.as_secs_f64(),
        };
        Observation {
            at: self.now(),
            response_time: sum(|job| job.response_time),
            execution_time,
            throughput: Some(throughput),
            network_latency: parts.iter().map(|part| part.job.latency).max().unwrap_or_default(),
            emulated_latency: None,
            traffic: None,
            parts: if parts.len() > 1 { parts.iter().map(observed).collect() } else { Vec::new() },
            requests: None,
            data_consistency: counted.map(|counted| counted.into_iter().fold(1.0, f64::min)),
            result: None,
        }
    }

    fn job_failed(&self, failure: JobFailure, part: usize) -> Input {
        Input::Monitor(monitor::Input::JobFailed { at: self.now(), failure, part })
    }

    fn record_failure(&mut self, agent: usize, failed: &Measurement) {
        let slot = &mut self.agents[agent];
        slot.tally.failed += 1;
        slot.failed_in_a_row += 1;
        slot.last_job = Some(failed.at);
        slot.recent.add(failed.began(), false);
        self.missed += 1;
        if let Some(failure) = failed.failure.clone() {
            self.notify(|| Notice::JobFailed { agent: failed.agent, node: failed.node, failure });
        }
    }

    /// Measurements are counted, not kept: a day of a thousand agents has millions.
    fn record(&mut self, agent: usize, measurement: &Measurement, satisfied: bool) {
        let slot = &mut self.agents[agent];
        slot.tally.jobs += 1;
        slot.failed_in_a_row = 0;
        slot.last_job = Some(measurement.at);
        slot.tally.violated += u64::from(!satisfied);
        slot.recent.add(measurement.began(), satisfied);
        self.measured = true;
        self.missed += u64::from(!satisfied);
        // Put into words only where somebody hears them.
        let missed = |world: &Self| -> Vec<String> {
            let goal = &world.agents[agent].parameters().goal;
            goal.violated(&measurement.metrics).iter().map(ToString::to_string).collect()
        };
        if self.is_heard() {
            let violated = missed(self);
            self.notify(|| Notice::Job { violated, measurement: measurement.clone(), satisfied });
        }
        if !satisfied && self.oracle.is_some() {
            let missed = missed(self);
            self.oracle_hears_of_violation(measurement.agent, &missed);
        }
    }

    fn claim(&mut self, agent: usize, plan: &Plan) -> executor::Input {
        let (lease, window) = (self.scenario.network.rhythm.lease, self.scenario.network.feedback.window);
        self.touch(agent);
        match self.table.ask(|table| table.claim(plan, lease, window)) {
            Ok(claimed) => {
                if matches!(claimed, Claimed::Granted(_)) {
                    self.agents[agent].tally.messages += 1;
                    self.actions += 1;
                    self.checkers.acted(self.now(), self.damage.database_is_away());
                    self.check_budgets(plan);
                    if self.scenario.physics.rules == Rules::Published {
                        let life = self.agents[agent].life();
                        self.agenda.arrange(self.now() + window, Happening::Closes { agent, life });
                    }
                }
                executor::Input::Claimed(claimed)
            }
            Err(why) => executor::Input::ClaimFailed(why),
        }
    }

    /// That a budget bears an action that was granted, with all that is spent and under way.
    fn check_budgets(&mut self, plan: &Plan) {
        if !self.is_priced {
            return;
        }
        let charges = ready(self.table.knowledge.charges(Timestamp(i64::MIN))).unwrap_or_default();
        let truth = self.table.truth(&plan.data_set);
        if let Some(books) = truth.and_then(|truth| truth.books.clone()) {
            let now = self.now();
            self.checkers.granted(now, plan.agent, plan.action, &books, &charges);
        }
    }

    /// The bytes are on their way; those that take no time have arrived.
    fn begin_transfer(&mut self, agent: usize, claim: Claim) -> Option<executor::Input> {
        let home = self.agents[agent].home();
        let Some(to) = claim.destination.as_ref().map(|row| row.node) else {
            return Some(transfer_failed("there is no destination"));
        };
        let from = claim.source.node;
        if let Some(why) = self.damage.between(home, from).or_else(|| self.damage.between(home, to)) {
            return Some(transfer_failed(why));
        }
        let slow = |node| (node, self.damage.slowness(node));
        let is_it = |shelf: &Shelf| shelf.name == claim.data_set;
        let shelf = self.shelves.iter().position(is_it).expect(VALIDATED);
        let physics = &self.shelves[shelf].physics;
        let share = self.share_carried(shelf, &claim);
        let constraints = self.scenario.network.data_sets.get(&claim.data_set).map(|settings| &settings.constraints);
        let bytes = self.scenario.bytes(&claim.data_set);
        let least = constraints.and_then(Constraints::rate).map_or(Duration::ZERO, |rate| rate.takes(bytes));
        let takes = physics::transfer_time(physics, home, slow(from), slow(to)).max(least).mul_f64(share);
        let fails = !self.is_calm() && physics::fails(&self.scenario.physics, &mut self.agents[agent].transfers);
        if takes.is_zero() && !fails {
            return Some(match self.arrive(&claim) {
                Ok(()) => executor::Input::Transferred(Validators::default()),
                Err(why) => transfer_failed(why),
            });
        }
        let (takes, outcome) = match fails {
            true => (takes / 2, Err("the transfer broke off".to_owned())),
            false => (takes, Ok(())),
        };
        self.has_come_to(Moment::Transfer, agent);
        let number = self.agents[agent].transfer.begin(Transfer { claim, outcome });
        self.agenda.arrange(self.now() + takes, Happening::TransferEnds { agent, number });
        self.arrange_renewal(agent);
        None
    }

    fn arrange_renewal(&mut self, agent: usize) {
        let (number, lease) = (self.agents[agent].transfer.number, self.scenario.network.rhythm.lease);
        self.agenda.arrange(self.now() + lease / 3, Happening::Renews { agent, number });
    }

    /// Prolongs the lease of the transfer under way.
    pub fn renew(&mut self, agent: usize) {
        let Some(Transfer { claim, .. }) = &self.agents[agent].transfer.under_way else { return };
        let (event, lease) = (claim.event, self.scenario.network.rhythm.lease);
        match self.table.ask(|table| table.renew(event, lease)) {
            Ok(true) => self.arrange_renewal(agent),
            Ok(false) => {
                self.agents[agent].transfer.drop();
                let lost = JobFailure::new(FailureKind::Surroundings, "the lease was lost");
                let failed = executor::Input::TransferFailed(lost);
                self.step(agent, Input::Executor(Box::new(failed)));
            }
            Err(why) => {
                self.trouble(agent, why);
                self.arrange_renewal(agent);
            }
        }
    }

    fn arrive(&mut self, claim: &Claim) -> Result<(), String> {
        let Some(row) = &claim.destination else { return Ok(()) };
        self.touch_data_set(&claim.data_set);
        self.stores.write(row.node, &row.object_key, self.scenario.bytes(&claim.data_set))
    }

    /// Undoes a claim; what has arrived at its destination goes in any case.
    fn undo(&mut self, agent: usize, claim: &Claim, outcome: Outcome, why: &str) {
        self.touch_data_set(&claim.data_set);
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
        self.touch_data_set(&replica.data_set);
        let removed = self.delete(agent, replica).and_then(|()| self.table.ask(|table| table.removed(replica.id)));
        self.trouble_of(agent, removed);
    }

    /// Undoes claims that nobody will bring to an end.
    pub fn recover(&mut self, agent: usize, claims: &[Claim]) -> Result<(), String> {
        let id = self.agents[agent].id();
        for claim in claims {
            self.touch_data_set(&claim.data_set);
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
    pub fn remove_drained(&mut self, agent: usize, removing: &[Replica]) {
        let (home, lease, now) = (self.agents[agent].home(), self.scenario.network.rhythm.lease, self.now());
        for replica in removing {
            let overdue = replica.lease.is_none_or(|held| held.until + lease < now);
            if replica.node == home || overdue {
                self.remove(agent, replica);
            }
        }
    }

    fn report(&mut self, agent: usize, report: Report) {
        let Some(how) = report.end.told() else { return };
        let agent = self.agents[agent].id();
        self.notify(|| Notice::Acted { agent, action: report.action, event: report.event, how });
    }

    fn say(&mut self, agent: usize, message: &Message) -> Result<(), String> {
        let id = self.agents[agent].id();
        match message {
            Message::Ask(question) => {
                self.table.ask(|table| table.ask(question))?;
                self.has_come_to(Moment::Question, agent);
            }
            Message::Reply { ask, reply } => {
                let reply = self.as_told(agent, reply);
                if !self.is_lost(agent) {
                    self.table.ask(|table| table.reply(*ask, id, &reply))?;
                }
            }
            Message::Close(ask) => self.table.ask(|table| table.close_ask(*ask))?,
        }
        self.agents[agent].tally.messages += message.rows();
        self.notify(|| Notice::Said { agent: id, what: message.to_string() });
        Ok(())
    }

    /// What an agent says, and what a dishonest one says instead.
    fn as_told<'m>(&self, agent: usize, reply: &'m Reply) -> Cow<'m, Reply> {
        let Some(lie) = self.scenario.dishonest.get(&self.agents[agent].id()) else { return Cow::Borrowed(reply) };
        let worst = |node: &NodeId| ((*node, None), -1.0);
        let mut told = Reply { forecasts: reply.nodes.iter().map(worst).collect(), ..reply.clone() };
        let read = self.agents[agent].data_sets().iter().filter(|_| *lie == Lie::Cunning);
        for snapshot in read.filter_map(|data_set| self.table.load(data_set).ok()) {
            if let Some(replica) = snapshot.placement.reference(self.agents[agent].id()) {
                let replicas = u32::try_from(snapshot.placement.present().count()).ok();
                told.forecasts.insert((replica.node, replicas), 0.0);
            }
        }
        Cow::Owned(told)
    }

    /// Whether what an agent says never arrives.
    fn is_lost(&mut self, agent: usize) -> bool {
        let share = self.scenario.physics.replies_lost;
        share > 0.0 && !self.is_calm() && self.agents[agent].replies.random::<f64>() < share
    }

    /// Arranges that an agent is shown the table, unless it will be even before.
    pub fn look_at(&mut self, agent: usize, at: Timestamp) {
        let slot = &mut self.agents[agent];
        if slot.looks_at.is_none_or(|earlier| at < earlier) {
            slot.looks_at = Some(at);
            // A later look that was put off by an earlier one may be arranged for that time already.
            if slot.looks.insert(at) {
                self.agenda.arrange(at, Happening::Looks { agent, life: slot.life() });
            }
        }
    }

    /// Shows an agent the table.
    pub fn look(&mut self, agent: usize) {
        let now = self.now();
        let slot = &mut self.agents[agent];
        slot.looks.remove(&now);
        if slot.looks_at != Some(now) {
            return;
        }
        slot.looks_at = None;
        let remembered = slot.parameters().remembered();
        let looked = self.load(agent).and_then(|snapshots| {
            let looked = |snapshot: Snapshot| {
                let conversation = self.table.conversation(&snapshot.data_set.name, remembered)?;
                Ok(Looked { snapshot, conversation })
            };
            snapshots.into_iter().map(looked).collect::<Result<Vec<_>, String>>()
        });
        match looked {
            Ok(looked) => self.step(agent, Input::Looked(looked)),
            Err(_) => {
                self.look_at(agent, self.now() + LOOK_EVERY);
                self.step(agent, Input::Planner(planner::Input::LookFailed));
            }
        }
    }

    /// Whoever looks at the table between jobs sees at its next look, each at its own time, that something has changed.
    pub fn wake_watchers(&mut self) {
        for shelf in 0..self.shelves.len() {
            let pulse = self.table.pulse(&self.shelves[shelf].name);
            if std::mem::replace(&mut self.shelves[shelf].pulse, pulse) == pulse {
                continue;
            }
            for agent in 0..self.agents.len() {
                let slot = &self.agents[agent];
                if slot.reads_from(shelf) && slot.control_loop.is_some() && slot.looks() {
                    let next = self.next_look(agent);
                    self.look_at(agent, next);
                }
            }
        }
    }

    /// The next time at which an agent looks whether something has changed.
    pub fn next_look(&self, agent: usize) -> Timestamp {
        let (now, every) = (self.now().0, LOOK_EVERY.as_millis() as i64);
        let phase = self.agents[agent].phase.as_millis() as i64;
        Timestamp(now + 1 + (phase - now - 1).rem_euclid(every))
    }
}

/// What a job shows of one of several data sets: it knows when it goes on to the next.
fn observed(part: &Part) -> PartObservation {
    let physics::Job { latency, response_time, execution_time, throughput } = part.job;
    PartObservation {
        records: part.records,
        network_latency: latency,
        times: Some(PartTimes { response_time, execution_time, throughput: Some(throughput) }),
        traffic: None,
    }
}

/// A transfer that broke off at one of its ends.
pub fn transfer_failed(why: impl Into<String>) -> executor::Input {
    executor::Input::TransferFailed(JobFailure::new(FailureKind::Store, why))
}
