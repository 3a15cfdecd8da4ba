//! One agent's control loop: monitor, planner and executor joined, with a planner for each data set that the job reads. What one of
//! them has for another goes there at once; the rest is left to whoever runs the loop, actors in the real world and a simulator in
//! virtual time. Both only carry effects out and bring answers back, so the same inputs in the same order lead to the same decisions,
//! wherever they come from.
//!
//! ```text
//!             Plan, Record, Failed            Execute
//!   monitor ----------------------> planner ----------> executor
//!      ^            Repaired         |  ^     Finished      |
//!      '-----------------------------'  '-------------------'
//! ```

use super::chance::Streams;
use super::combination;
use super::executor::{self, Executor};
use super::monitor::{self, Monitor, Repair, Rhythm, Violation};
use super::planner::{self, Experience, Parameters, Planner, Policy};
use super::unexpected::Unexpected;
use crate::domain::action::Labelled;
use crate::domain::adaptation::{Adaptation, Order, Status};
use crate::domain::ask::Ask;
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::impact::Impacts;
use crate::domain::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub struct ControlLoop {
    /// Unique for each start of the agent.
    life: String,
    /// How often it was given something else to pursue.
    adoptions: u32,
    monitor: Monitor,
    /// One for each data set, in the order in which the job reads them; at least one.
    planners: Vec<Planner>,
    executor: Executor,
    /// Whose plan the executor works on.
    acting: Option<usize>,
    /// The planners that the monitor waits for.
    awaited: Awaited,
    /// The node that failed the last job, as long as it is judged.
    failed: Option<NodeId>,
    /// Its policy looks at the table between jobs, and each planner acts when it sees reason to.
    looks: bool,
    stopwatch: Option<Stopwatch>,
    /// The latest that was ordered, and how far it has come.
    adaptation: Option<Adaptation>,
    /// How the latest action ended, for people.
    ended: Option<String>,
}

/// Hears when the planner begins to work and when it has ended, so that somebody who has a clock can measure it: here is none (I-2).
pub type Stopwatch = Rc<dyn Fn(Planning)>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planning {
    Begins,
    Ends,
}

/// What happens to an agent. What comes with actions is large and rare, what comes with jobs is small: so it is moved quickly.
#[derive(Clone, Debug)]
pub enum Input {
    Monitor(monitor::Input),
    /// For each planner that it concerns.
    Planner(planner::Input),
    /// The table as it is, because something has changed or the policy asked for it.
    Looked(Vec<Looked>),
    Executor(Box<executor::Input>),
    /// Only while the loop [is at rest](ControlLoop::is_at_rest).
    Adopt(Adoption),
}

/// What an agent pursues from now on, and how: its user has thought again.
#[derive(Clone)]
pub struct Adoption {
    pub parameters: Arc<Parameters>,
    pub policy: Arc<dyn Policy>,
}

impl fmt::Debug for Adoption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parameters, policy } = self;
        f.debug_struct("Adoption").field("goal", &parameters.goal).field("policy", &policy.name()).finish()
    }
}

/// All that the table knows of one data set.
#[derive(Clone, Debug)]
pub struct Looked {
    pub snapshot: Snapshot,
    pub conversation: Vec<Arc<Ask>>,
}

/// The end of a violation's repair, of which several planners may have a part.
#[derive(Debug, Default)]
struct Awaited {
    planners: usize,
    best: Option<Repair>,
}

impl Awaited {
    /// One of them is done; what the monitor hears, if it was the last one.
    fn repaired(&mut self, repair: Repair) -> Option<Repair> {
        let rank = |repair| match repair {
            Repair::NotNow => 0,
            Repair::Nothing => 1,
            Repair::Lost => 2,
            Repair::Acted => 3,
        };
        let best = self.best.filter(|best| rank(*best) >= rank(repair)).unwrap_or(repair);
        self.planners = self.planners.saturating_sub(1);
        self.best = (self.planners > 0).then_some(best);
        (self.planners == 0).then_some(best)
    }
}

/// What an agent wants done, by the part that wants it; large where it is rare, as in [`Input`]. What the parts tell each other
/// is not among it.
#[derive(Clone, Debug)]
pub enum Effect {
    Monitor(monitor::Effect),
    Planner(Box<planner::Effect>),
    Executor(Box<executor::Effect>),
    /// An answer came that no part waited for, and none that may come late: a fault in this program. It was dropped.
    Unexpected(Unexpected),
}

impl ControlLoop {
    /// `life` is unique for each start of an agent; `experiences`: of each data set that the job reads, in its order, at least one.
    pub fn new(
        parameters: &Arc<Parameters>,
        policy: &Arc<dyn Policy>,
        rhythm: Rhythm,
        life: &str,
        experiences: Vec<(DataSetName, Experience)>,
    ) -> Self {
        let one_of_several = experiences.len() > 1;
        let planner = |(at, (data_set, experience)): (usize, (DataSetName, Experience))| {
            let subject = planner::Subject { data_set, one_of_several };
            Planner::new(subject, parameters.clone(), policy.clone(), experience, life_of(life, at))
        };
        Self {
            life: life.to_owned(),
            adoptions: 0,
            monitor: Monitor::new(parameters.clone(), policy.clone(), rhythm, life.to_owned()),
            planners: experiences.into_iter().enumerate().map(planner).collect(),
            executor: Executor::default(),
            acting: None,
            awaited: Awaited::default(),
            failed: None,
            looks: policy.looks(),
            stopwatch: None,
            adaptation: None,
            ended: None,
        }
    }

    #[must_use]
    pub fn timed(mut self, stopwatch: Option<Stopwatch>) -> Self {
        self.stopwatch = stopwatch;
        self
    }

    pub fn agent(&self) -> AgentId {
        self.monitor.agent()
    }

    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// The latest that it was ordered to do, and how far that has come; `None`: nothing yet in this life.
    pub fn adaptation(&self) -> Option<&Adaptation> {
        self.adaptation.as_ref()
    }

    /// What it can be ordered to do now, by label, and what it expects of that where it knows something; `snapshots` of what its job
    /// reads.
    pub fn options(&self, snapshots: &[Snapshot]) -> BTreeMap<Labelled, Option<Impacts>> {
        let of = |snapshot| self.about(snapshot).map(|one| self.planners[one].options(snapshot));
        snapshots.iter().filter_map(of).flatten().collect()
    }

    /// The states of its machines, by their names.
    pub fn states(&self) -> Vec<&'static str> {
        let planners = self.planners.iter().map(Planner::state);
        [self.monitor.state()].into_iter().chain(planners).chain([self.executor.state()]).collect()
    }

    /// The ways that its policy's turns have taken since this was asked last, of policies that name them.
    pub fn take_arms(&mut self) -> Vec<&'static str> {
        self.planners.iter_mut().flat_map(Planner::take_arms).collect()
    }

    /// The effects, in the order in which they are to be performed.
    pub fn handle(&mut self, input: Input, streams: &mut Streams) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(2);
        match input {
            Input::Monitor(input) => self.monitoring(input, streams, &mut effects),
            Input::Planner(input) => self.shown(input, streams, &mut effects),
            Input::Looked(looked) => self.looked(looked, streams, &mut effects),
            Input::Executor(input) => self.executing(*input, streams, &mut effects),
            Input::Adopt(adoption) => self.adopt(&adoption, &mut effects),
        }
        effects
    }

    /// The next job is about to begin, and nothing is under way that was decided by what the agent pursues now.
    pub fn is_at_rest(&self) -> bool {
        self.monitor.is_starting() && self.executor.is_idle()
    }

    /// What was learned stays; what was being talked about, and whoever was blamed, is forgotten as after a start.
    fn adopt(&mut self, adoption: &Adoption, effects: &mut Vec<Effect>) {
        if !self.is_at_rest() {
            return effects.push(Effect::Unexpected(Unexpected::new("control loop", adoption, &self.monitor.state())));
        }
        let Adoption { parameters, policy } = adoption;
        self.adoptions += 1;
        let life = format!("{}-g{}", self.life, self.adoptions);
        for (at, planner) in self.planners.iter_mut().enumerate() {
            planner.adopt(parameters, policy, life_of(&life, at));
        }
        self.monitor.adopt(parameters, policy);
        self.looks = policy.looks();
        if self.looks {
            effects.push(Effect::Planner(Box::new(planner::Effect::Look { after: Duration::ZERO })));
        }
    }

    /// Its policy looks at the table between jobs.
    pub fn looks(&self) -> bool {
        self.looks
    }

    fn monitoring(&mut self, input: monitor::Input, streams: &mut Streams, effects: &mut Vec<Effect>) {
        for effect in self.monitor.handle(input, &mut streams.monitor) {
            match effect {
                monitor::Effect::Plan(violations) => self.violated(violations, streams, effects),
                monitor::Effect::Record { measurement, satisfied } => {
                    for one in 0..self.planners.len() {
                        let seen = measurement.seen_from(self.planners[one].data_set()).map(Arc::new);
                        let measurement = seen.unwrap_or_else(|| measurement.clone());
                        self.planning(one, planner::Input::Measured { measurement, satisfied }, streams, effects);
                    }
                    effects.push(Effect::Monitor(monitor::Effect::Record { measurement, satisfied }));
                }
                monitor::Effect::Failed { node } => {
                    self.failed = Some(node);
                    self.all_planning(&planner::Input::JobFailed { node }, streams, effects);
                }
                monitor::Effect::NothingAsked => {
                    self.all_planning(&planner::Input::NothingAsked, streams, effects);
                }
                monitor::Effect::Unexpected(what) => effects.push(Effect::Unexpected(what)),
                effect @ monitor::Effect::Run { .. } => {
                    self.failed = None;
                    effects.push(Effect::Monitor(effect));
                }
                effect @ (monitor::Effect::Wake { .. }
                | monitor::Effect::Load
                | monitor::Effect::RecordFailure(_)
                | monitor::Effect::Inspect(_)
                | monitor::Effect::LeaveFeedback(_)
                | monitor::Effect::Register) => effects.push(Effect::Monitor(effect)),
            }
        }
    }

    /// Who looks for itself is told; of the others the one that has most to offer.
    fn violated(&mut self, violations: Vec<Violation>, streams: &mut Streams, effects: &mut Vec<Effect>) {
        let failed = self.failed.take();
        self.keep_company(violations.iter().map(|violation| &violation.snapshot));
        let chosen = if self.looks || violations.len() < 2 { None } else { self.most_promising(&violations, failed) };
        let told = violations.into_iter().enumerate().filter(|(one, _)| chosen.is_none_or(|chosen| chosen == *one));
        let told: Vec<_> = told.collect();
        self.awaited = Awaited { planners: told.len(), best: None };
        for (one, violation) in told {
            self.planning(one, planner::Input::Violated(violation), streams, effects);
        }
    }

    /// The first of those whose best step is worth most; where a node failed, of those that are read there.
    fn most_promising(&self, violations: &[Violation], failed: Option<NodeId>) -> Option<usize> {
        let is_meant = |violation: &Violation| failed.is_none_or(|node| violation.measurement.node == node);
        let promises = self.planners.iter().zip(violations).enumerate().filter(|(_, (_, it))| is_meant(it));
        let promises = promises.map(|(one, (planner, violation))| (one, planner.promises(violation)));
        promises.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(one, _)| one)
    }

    /// What somebody else tells the planners.
    fn shown(&mut self, input: planner::Input, streams: &mut Streams, effects: &mut Vec<Effect>) {
        let one = match &input {
            planner::Input::Looked { snapshot, .. } | planner::Input::Checked { snapshot } => self.about(snapshot),
            // What names no data set, or none of these, the first one answers.
            planner::Input::Ordered(order) => Some(self.ordered_about(order).unwrap_or(0)),
            planner::Input::Violated(_)
            | planner::Input::Measured { .. }
            | planner::Input::JobFailed { .. }
            | planner::Input::NothingAsked
            | planner::Input::Probed { .. }
            | planner::Input::RateProbed { .. }
            | planner::Input::LookFailed
            | planner::Input::Ended(_) => return self.all_planning(&input, streams, effects),
        };
        one.into_iter().for_each(|one| self.planning(one, input.clone(), streams, effects));
    }

    fn looked(&mut self, looked: Vec<Looked>, streams: &mut Streams, effects: &mut Vec<Effect>) {
        self.keep_company(looked.iter().map(|looked| &looked.snapshot));
        for Looked { snapshot, conversation } in looked {
            if let Some(one) = self.about(&snapshot) {
                self.planning(one, planner::Input::Looked { snapshot, conversation }, streams, effects);
            }
        }
    }

    /// Whose data set it is.
    fn about(&self, snapshot: &Snapshot) -> Option<usize> {
        match self.planners.len() {
            1 => Some(0),
            _ => self.planners.iter().position(|planner| *planner.data_set() == snapshot.data_set.name),
        }
    }

    /// The data set that an order names.
    fn ordered_about(&self, order: &Order) -> Option<usize> {
        let named = order.action.parse::<Labelled>().ok()?.data_set?;
        self.planners.iter().position(|planner| *planner.data_set() == named)
    }

    /// Where there are several, each planner depends on what the others see.
    fn keep_company<'s>(&mut self, snapshots: impl Iterator<Item = &'s Snapshot>) {
        if self.planners.len() < 2 {
            return;
        }
        for snapshot in snapshots {
            self.about(snapshot).into_iter().for_each(|one| self.planners[one].see(snapshot));
        }
        let company = combination::company(&self.planners, self.looks);
        self.planners.iter_mut().zip(company).for_each(|(planner, company)| planner.set_company(company));
    }

    fn all_planning(&mut self, input: &planner::Input, streams: &mut Streams, effects: &mut Vec<Effect>) {
        (0..self.planners.len()).for_each(|one| self.planning(one, input.clone(), streams, effects));
    }

    fn planning(&mut self, one: usize, input: planner::Input, streams: &mut Streams, effects: &mut Vec<Effect>) {
        let decides = matches!(input, planner::Input::Violated(_) | planner::Input::Looked { .. });
        if decides {
            self.tell(Planning::Begins);
        }
        let wanted = self.planners[one].handle(input, &mut streams.planner);
        if decides {
            self.tell(Planning::Ends);
        }
        for effect in wanted {
            match effect {
                planner::Effect::Execute(plan) => {
                    self.acts(Some(one));
                    self.executing(executor::Input::Execute(plan), streams, effects);
                }
                planner::Effect::Repaired(repair) => {
                    if let Some(repair) = self.awaited.repaired(repair) {
                        self.monitoring(monitor::Input::Repaired(repair), streams, effects);
                    }
                }
                planner::Effect::Adapted(mut adaptation) => {
                    if adaptation.status == Status::Failed {
                        adaptation.reason = adaptation.reason.or_else(|| self.ended.clone());
                    }
                    self.adapted(&adaptation);
                    effects.push(Effect::Planner(Box::new(planner::Effect::Adapted(adaptation))));
                }
                effect @ (planner::Effect::Decided(_)
                | planner::Effect::Say(_)
                | planner::Effect::Look { .. }
                | planner::Effect::Learn(_)) => effects.push(Effect::Planner(Box::new(effect))),
            }
        }
    }

    /// The latest order is remembered: one that is refused while another is under way, too.
    fn adapted(&mut self, adaptation: &Adaptation) {
        if self.adaptation.as_ref().is_none_or(|latest| latest.id <= adaptation.id) {
            self.adaptation = Some(adaptation.clone());
        }
    }

    /// An action on one data set is under way, or none any more: an agent does one thing at a time, for it learns from each.
    fn acts(&mut self, acting: Option<usize>) {
        self.acting = acting;
        for (one, planner) in self.planners.iter_mut().enumerate() {
            planner.set_others_act(acting.is_some_and(|acting| acting != one));
        }
    }

    fn tell(&self, planning: Planning) {
        self.stopwatch.iter().for_each(|stopwatch| stopwatch(planning));
    }

    fn executing(&mut self, input: executor::Input, streams: &mut Streams, effects: &mut Vec<Effect>) {
        for effect in self.executor.handle(input) {
            match effect {
                executor::Effect::Finished(repair) => {
                    let one = self.acting.unwrap_or(0);
                    self.acts(None);
                    self.planning(one, planner::Input::Ended(repair), streams, effects);
                }
                executor::Effect::Unexpected(what) => effects.push(Effect::Unexpected(what)),
                executor::Effect::Report(report) => {
                    self.ended = report.end.told();
                    effects.push(Effect::Executor(Box::new(executor::Effect::Report(report))));
                }
                effect @ (executor::Effect::CheckLinks(_)
                | executor::Effect::Claim(_)
                | executor::Effect::Note(_)
                | executor::Effect::Transfer(_)
                | executor::Effect::Commit { .. }
                | executor::Effect::Abort { .. }) => effects.push(Effect::Executor(Box::new(effect))),
            }
        }
    }
}

/// What the planner of each data set writes into the table has keys of its own.
fn life_of(life: &str, at: usize) -> String {
    if at == 0 { life.to_owned() } else { format!("{life}-d{}", at + 1) }
}
