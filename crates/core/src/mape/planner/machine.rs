//! The planner as a machine: what happens to an agent goes to its policy's decider; what that wants becomes plans, messages,
//! and lessons.

use super::{
    Decider, Decision, Experience, Intent, Message, Parameters, Policy, Rng, Situation, Verdict, View, external, plan,
    upkeep,
};
use crate::domain::action::{Action, Labelled};
use crate::domain::adaptation::{Adaptation, Order};
use crate::domain::ask::Ask;
use crate::domain::ids::{DataSetName, NodeId};
use crate::domain::impact::Impacts;
use crate::domain::measurement::Measurement;
use crate::domain::metric::Metrics;
use crate::domain::placement::{Plan, Replica};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::mape::backoff::Backoff;
use crate::mape::combination::Company;
use crate::mape::learner::{Acted, Learner, Lesson};
use crate::mape::monitor::{Repair, Violation};
use crate::mape::prediction::Predictor;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub enum Input {
    /// The goal was missed; the monitor waits until it is [`Effect::Repaired`].
    Violated(Violation),
    /// Every measurement: the one after an action teaches what the action did.
    Measured { measurement: Arc<Measurement>, satisfied: bool },
    /// The service has no users now.
    NothingAsked,
    /// A job failed because of this node's store, or the link to it.
    JobFailed { node: NodeId },
    /// A link was measured without a job \[ms\].
    Probed { node: NodeId, latency_ms: f64 },
    /// Something was read over it without a job: a byte took so long \[s\].
    RateProbed { node: NodeId, seconds_per_byte: f64 },
    /// The table as it is, because something has changed or the policy asked for it.
    Looked { snapshot: Snapshot, conversation: Vec<Arc<Ask>> },
    /// The table as it is, at the pace of an agent's duties: do the constraints demand a replica that is not there?
    Checked { snapshot: Snapshot },
    /// Somebody outside wants something done.
    Ordered(Order),
    /// It could not be loaded: nobody could answer an action now, and the next job is not to wait for that.
    LookFailed,
    /// The plan came to its end.
    Ended(Repair),
}

// A few at a time: a box would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// For people; its plan follows.
    Decided(Decision),
    Execute(Plan),
    /// The monitor need not wait any longer.
    Repaired(Repair),
    Say(Message),
    /// Load the table after this at the latest.
    Look {
        after: Duration,
    },
    Learn(Lesson),
    /// How far what was ordered has come.
    Adapted(Adaptation),
}

/// Whose action is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum UnderWay {
    Nobodys,
    /// The decider hears of its end.
    Deciders,
    /// A replica is made that the constraints demand.
    Upkeep,
}

/// What one planner is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    pub data_set: DataSetName,
    /// Whether the application reads others besides: then what is learned names it.
    pub one_of_several: bool,
}

/// What the decider wants while a demanded replica is made waits for so long, and is looked at again.
const UPKEEP_LOOK: Duration = Duration::from_secs(5);

/// The machine.
pub struct Planner {
    subject: Subject,
    parameters: Arc<Parameters>,
    decider: Box<dyn Decider>,
    experience: Experience,
    learner: Learner,
    /// The monitor waits for a repair.
    is_awaited: bool,
    /// What the last measurement showed, for what is learned from an action after it.
    last: Option<Metrics>,
    under_way: UnderWay,
    /// An action on another data set of the application is under way: this one waits, for what that does is not known yet.
    others_act: bool,
    /// The table as it was shown last; kept where other planners depend on it.
    seen: Option<Snapshot>,
    /// The action under way, to be learned from when it has ended.
    pending: Option<Acted>,
    /// When the last action was decided on.
    decided_at: Timestamp,
    /// After actions that could not be begun; no other is, before this.
    backoff: Backoff,
    rests_until: Option<Timestamp>,
    /// Makes plans' keys unique across restarts.
    life: String,
    plans: u64,
}

impl Planner {
    /// `life` is unique for each start of an agent.
    pub fn new(
        subject: Subject,
        parameters: Arc<Parameters>,
        policy: Arc<dyn Policy>,
        experience: Experience,
        life: String,
    ) -> Self {
        Self {
            subject,
            others_act: false,
            seen: None,
            decider: policy.decider(&parameters, &life),
            learner: Learner::new(parameters.clone(), policy),
            parameters,
            experience,
            is_awaited: false,
            under_way: UnderWay::Nobodys,
            last: None,
            pending: None,
            decided_at: Timestamp::default(),
            backoff: Backoff::default(),
            rests_until: None,
            life,
            plans: 0,
        }
    }

    /// Decides by something else from now on, with what it knows. `life` as at a start. Not while something is under way.
    pub fn adopt(&mut self, parameters: &Arc<Parameters>, policy: &Arc<dyn Policy>, life: String) {
        let (subject, experience) = (self.subject.clone(), self.experience.clone());
        let anew = Self::new(subject, parameters.clone(), policy.clone(), experience, life);
        *self = Self { last: self.last, seen: self.seen.take(), ..anew };
    }

    /// The names of its states.
    pub const STATES: [&str; 3] = ["planner idle", "planner awaited", "planner holding back"];

    /// The name of the state that it is in: whether the monitor waits for it, and whether it may begin anything.
    pub fn state(&self) -> &'static str {
        let [idle, awaited, holding_back] = Self::STATES;
        match (self.rests_until, self.is_awaited) {
            (Some(_), _) => holding_back,
            (None, true) => awaited,
            (None, false) => idle,
        }
    }

    /// The ways that its decider's turns have taken since this was asked last.
    pub fn take_arms(&mut self) -> Vec<&'static str> {
        self.decider.take_arms()
    }

    pub fn data_set(&self) -> &DataSetName {
        &self.subject.data_set
    }

    /// How the data set is named in what is learned of it.
    fn named(&self) -> Option<DataSetName> {
        self.subject.one_of_several.then(|| self.subject.data_set.clone())
    }

    /// For who predicts the whole job.
    pub fn outlook(&self) -> (&Parameters, &Predictor, Option<&Snapshot>) {
        (&self.parameters, &self.experience.predictor, self.seen.as_ref())
    }

    /// The table as it is, for others' sake.
    pub fn see(&mut self, snapshot: &Snapshot) {
        self.seen = Some(snapshot.clone());
    }

    /// Where the application's other data sets are read, and where they would best be.
    pub fn set_company(&mut self, Company { rest, hope }: Company) {
        self.experience.predictor.set_rest(rest);
        self.experience.predictor.set_hope(hope);
    }

    /// Whether something is done about them now.
    pub fn set_others_act(&mut self, others_act: bool) {
        self.others_act = others_act;
    }

    /// Whether its policy would rather do nothing for a while, whatever happens to others.
    pub fn holds_back(&self, now: Timestamp) -> bool {
        self.rests_until.is_some_and(|until| now < until) || self.decider.holds_back(now)
    }

    /// What the best that could be done about a violation promises, by its policy's own measure; 0 for policies that have none.
    pub fn promises(&self, violation: &Violation) -> f64 {
        let Violation { measurement, snapshot } = violation;
        let Some(reference) = snapshot.placement.reference(self.parameters.agent) else { return f64::NEG_INFINITY };
        let situation = Situation::new(&self.parameters, &self.experience, &measurement.metrics, reference, snapshot);
        self.decider.promises(&situation)
    }

    /// What can be done now, labelled as it can be ordered, and what is expected of it where something is known.
    pub fn options(&self, snapshot: &Snapshot) -> BTreeMap<Labelled, Option<Impacts>> {
        let view = View { parameters: &self.parameters, experience: &self.experience, snapshot, conversation: &[] };
        let labelled = |action| Labelled { data_set: self.named().filter(|_| action != Action::Nothing), action };
        let options = external::options(&view, &self.last.unwrap_or_default());
        options.into_iter().map(|(action, expected)| (labelled(action), expected)).collect()
    }

    pub fn handle(&mut self, input: Input, rng: &mut Rng) -> Vec<Effect> {
        match input {
            Input::Violated(violation) => self.violated(&violation, rng),
            Input::Measured { measurement, satisfied } => {
                // What a job went through is there.
                self.backoff.succeeded();
                self.rests_until = None;
                self.decider.measured(&measurement, satisfied);
                self.last = Some(measurement.metrics);
                let lesson = self.learner.measured(&measurement, &mut self.experience);
                let named = |lesson| Effect::Learn(Lesson { data_set: self.named(), ..lesson });
                lesson.map(named).into_iter().collect()
            }
            Input::JobFailed { node } => {
                self.experience.predictor.asked_in_vain();
                self.decider.failed(node);
                Vec::new()
            }
            Input::NothingAsked => {
                self.experience.predictor.nothing_asked();
                Vec::new()
            }
            Input::Probed { node, latency_ms } => {
                self.experience.predictor.probed(node, latency_ms);
                Vec::new()
            }
            Input::RateProbed { node, seconds_per_byte } => {
                self.experience.predictor.rate_probed(node, seconds_per_byte);
                Vec::new()
            }
            Input::Looked { snapshot, conversation } => {
                let (parameters, experience) = (&self.parameters, &self.experience);
                let view = View { parameters, experience, snapshot: &snapshot, conversation: &conversation };
                let intents = self.decider.looked(&view, rng);
                self.want(intents, &snapshot, rng)
            }
            Input::Checked { snapshot } => self.upkeep(&snapshot),
            Input::Ordered(order) => {
                let intents = self.decider.ordered(order);
                intents.into_iter().filter_map(|intent| self.effect(intent)).collect()
            }
            Input::LookFailed => self.effect(Intent::Over(Repair::Nothing)).into_iter().collect(),
            Input::Ended(repair) => self.ended(repair, rng),
        }
    }

    fn violated(&mut self, violation: &Violation, rng: &mut Rng) -> Vec<Effect> {
        let snapshot = &violation.snapshot;
        // Who reads nothing any more judges again.
        let Some(reference) = snapshot.placement.reference(self.parameters.agent) else {
            return vec![Effect::Repaired(Repair::Lost)];
        };
        self.is_awaited = true;
        let measured = &violation.measurement.metrics;
        let situation = Situation::new(&self.parameters, &self.experience, measured, reference, snapshot);
        let intents = self.decider.missed(&situation, rng);
        self.want(intents, snapshot, rng)
    }

    /// Makes what the constraints demand and refreshes what is outdated, while nothing else is under way.
    fn upkeep(&mut self, snapshot: &Snapshot) -> Vec<Effect> {
        let rests = self.rests_until.is_some_and(|until| snapshot.at < until);
        if self.under_way != UnderWay::Nobodys || self.others_act || rests {
            return Vec::new();
        }
        let agent = self.parameters.agent;
        let reference = snapshot.placement.reference(agent);
        let Some(((action, reason), reference)) = upkeep::due(snapshot, agent, self.parameters.silence).zip(reference)
        else {
            return Vec::new();
        };
        self.under_way = UnderWay::Upkeep;
        let decision = Decision::apart(agent, snapshot, action, reason);
        self.execute(decision, reference, snapshot)
    }

    fn ended(&mut self, repair: Repair, rng: &mut Rng) -> Vec<Effect> {
        if std::mem::replace(&mut self.under_way, UnderWay::Nobodys) == UnderWay::Upkeep {
            match repair {
                Repair::Acted => self.backoff.succeeded(),
                Repair::Lost => {}
                Repair::Nothing | Repair::NotNow => {
                    self.rests_until = Some(self.decided_at + self.backoff.failed(rng));
                }
            }
            return Vec::new();
        }
        let acted = self.pending.take();
        if repair == Repair::Acted
            && let Some(acted) = acted
        {
            self.learner.acted(acted);
        }
        if repair == Repair::NotNow {
            let pause = self.backoff.failed(rng);
            self.rests_until = Some(self.decided_at + pause);
            return self.put_off(pause, rng);
        }
        self.tell_end(repair, rng)
    }

    /// What the decider began has ended; nothing it wants now can be an action.
    fn tell_end(&mut self, repair: Repair, rng: &mut Rng) -> Vec<Effect> {
        let intents = self.decider.ended(repair, rng);
        intents.into_iter().filter_map(|intent| self.effect(intent)).collect()
    }

    /// What the decider wants done has to wait so long; it looks again when it is over, not before.
    fn put_off(&mut self, pause: Duration, rng: &mut Rng) -> Vec<Effect> {
        let later = |intent| match intent {
            Intent::Look { after } => Intent::Look { after: after.max(pause) },
            intent @ (Intent::Act(_) | Intent::Say(_) | Intent::Adapted(_) | Intent::Over(_)) => intent,
        };
        let intents = self.decider.ended(Repair::NotNow, rng);
        intents.into_iter().filter_map(|intent| self.effect(later(intent))).collect()
    }

    fn want(&mut self, intents: Vec<Intent>, snapshot: &Snapshot, rng: &mut Rng) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(intents.len() + 1);
        for intent in intents {
            match intent {
                Intent::Act(_) if self.under_way == UnderWay::Upkeep || self.others_act => {
                    effects.extend(self.put_off(UPKEEP_LOOK, rng));
                }
                Intent::Act(decision) => match self.rests_until.filter(|until| snapshot.at < *until) {
                    Some(until) => effects.extend(self.put_off(until.since(snapshot.at), rng)),
                    None => effects.extend(self.act(decision, snapshot, rng)),
                },
                intent @ (Intent::Say(_) | Intent::Look { .. } | Intent::Adapted(_) | Intent::Over(_)) => {
                    effects.extend(self.effect(intent))
                }
            }
        }
        effects
    }

    fn act(&mut self, decision: Decision, snapshot: &Snapshot, rng: &mut Rng) -> Vec<Effect> {
        // What it would read has gone since. The decider hears of it, or it would wait for the end of what never began.
        let Some(reference) = snapshot.placement.reference(self.parameters.agent) else {
            return self.tell_end(Repair::Lost, rng);
        };
        self.under_way = UnderWay::Deciders;
        self.pending = self.last.zip(expected(&decision)).map(|(before, expected)| Acted {
            action: decision.chosen.action,
            reference_node: reference.node,
            ran_at: self.parameters.seat(snapshot).node,
            before,
            expected,
        });
        self.execute(decision, reference, snapshot)
    }

    fn execute(&mut self, decision: Decision, reference: &Replica, snapshot: &Snapshot) -> Vec<Effect> {
        self.plans += 1;
        self.decided_at = snapshot.at;
        let plan = plan(&self.parameters, snapshot, reference, &decision, format!("{}-p{}", self.life, self.plans));
        vec![Effect::Decided(decision), Effect::Execute(plan)]
    }

    fn effect(&mut self, intent: Intent) -> Option<Effect> {
        match intent {
            // Without a table in hand there is nothing to plan on.
            Intent::Act(_) => None,
            Intent::Say(message) => Some(Effect::Say(message)),
            Intent::Look { after } => Some(Effect::Look { after }),
            Intent::Adapted(adaptation) => Some(Effect::Adapted(adaptation)),
            Intent::Over(repair) => std::mem::take(&mut self.is_awaited).then_some(Effect::Repaired(repair)),
        }
    }
}

/// What the chosen action was expected to do; nothing for doing nothing.
fn expected(decision: &Decision) -> Option<Impacts> {
    let chosen = decision.chosen.action;
    let scored = decision.scored.iter().find(|scored| scored.action == chosen)?;
    match &scored.verdict {
        Verdict::Feasible { impacts, .. } if chosen != Action::Nothing => Some(*impacts),
        Verdict::Feasible { .. } | Verdict::Valued { .. } | Verdict::Infeasible { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cooperative, Fixed, LOOK_EVERY};
    use super::*;
    use crate::domain::ids::{AgentId, NodeId, ReplicaId};
    use crate::domain::metric::{Metric, Metrics};
    use crate::mape::scene;

    fn violation(node: u32) -> Violation {
        let measurement = Measurement {
            agent: AgentId(1),
            data_set: "blood".into(),
            replica: ReplicaId(1),
            node: NodeId(node),
            at: scene::NOW,
            metrics: scene::slow(),
            ran_at: None,
            emulated_latency_ms: None,
            traffic: None,
            parts: Vec::new(),
            job: "job".to_owned(),
            failure: None,
            result: None,
        };
        Violation { measurement: measurement.into(), snapshot: scene::snapshot(&[node], &[(1, 1)]) }
    }

    fn planner() -> Planner {
        planner_of(Arc::new(Fixed))
    }

    fn planner_of(policy: Arc<dyn Policy>) -> Planner {
        let parameters = Arc::new(scene::parameters("response_time <= 35 s"));
        let experience = scene::experience(&[("M3_1", 0.9), ("C3_1", 0.9)]);
        let subject = Subject { data_set: "blood".into(), one_of_several: false };
        Planner::new(subject, parameters, policy, experience, "life".to_owned())
    }

    fn fast() -> Measurement {
        let metrics = Metrics::default().with(Metric::ResponseTime, 20.0);
        Measurement { node: NodeId(1), metrics, ..Measurement::clone(&violation(1).measurement) }
    }

    /// A job that missed the goal, and what follows.
    fn violate(planner: &mut Planner, violation: Violation) -> Vec<Effect> {
        measure(planner, violation.measurement.clone(), false);
        planner.handle(Input::Violated(violation), &mut scene::rng())
    }

    fn measure(planner: &mut Planner, measurement: impl Into<Arc<Measurement>>, satisfied: bool) -> Vec<String> {
        let measurement = measurement.into();
        let effects = planner.handle(Input::Measured { measurement, satisfied }, &mut scene::rng());
        let lessons = effects.into_iter().filter_map(|effect| match effect {
            Effect::Learn(lesson) => Some(lesson.change.to_string()),
            _ => None,
        });
        lessons.collect()
    }

    fn end(planner: &mut Planner, repair: Repair) {
        assert_eq!(planner.handle(Input::Ended(repair), &mut scene::rng()), [Effect::Repaired(repair)]);
    }

    #[test]
    fn an_action_that_was_done_is_learned_from_once() {
        let mut planner = planner();
        let effects = violate(&mut planner, violation(3));
        let [Effect::Decided(_), Effect::Execute(plan)] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!((plan.key.as_str(), plan.action.to_string().as_str()), ("life-p1", "M3_1"));
        end(&mut planner, Repair::Acted);
        assert_eq!(measure(&mut planner, fast(), true), ["M3_1"]);
        assert_eq!(measure(&mut planner, fast(), true), [""; 0]);
    }

    #[test]
    fn what_was_not_done_teaches_nothing() {
        let mut planner = planner();
        violate(&mut planner, violation(3));
        end(&mut planner, Repair::Lost);
        assert_eq!(measure(&mut planner, fast(), true), [""; 0]);
    }

    #[test]
    fn who_reads_nothing_plans_nothing() {
        let mut nowhere = violation(3);
        nowhere.snapshot = scene::snapshot(&[3], &[]);
        assert_eq!(violate(&mut planner(), nowhere), [Effect::Repaired(Repair::Lost)]);
    }

    #[test]
    fn jobs_go_on_while_the_table_cannot_be_looked_at() {
        let mut planner = planner_of(Arc::new(Cooperative));
        let look = Effect::Look { after: Duration::ZERO };
        assert_eq!(violate(&mut planner, violation(3)), [look]);
        let failed = |planner: &mut Planner| planner.handle(Input::LookFailed, &mut scene::rng());
        assert_eq!(failed(&mut planner), [Effect::Repaired(Repair::Nothing)]);
        assert_eq!(failed(&mut planner), [], "nobody waits any more");
    }

    /// It wants the same whenever it looks.
    struct Stubborn;

    impl Decider for Stubborn {
        fn missed(&mut self, situation: &Situation, rng: &mut Rng) -> Vec<Intent> {
            vec![Intent::Act(super::super::decide(&Fixed, situation, rng))]
        }

        fn looked(&mut self, view: &View, rng: &mut Rng) -> Vec<Intent> {
            let reference = view.snapshot.placement.reference(view.parameters.agent).expect("it reads something");
            let measured = scene::slow();
            let situation = Situation::new(view.parameters, view.experience, &measured, reference, view.snapshot);
            self.missed(&situation, rng)
        }

        fn ended(&mut self, repair: Repair, _: &mut Rng) -> Vec<Intent> {
            vec![Intent::Over(repair), Intent::Look { after: Duration::from_secs(1) }]
        }
    }

    #[test]
    fn what_cannot_be_begun_is_tried_less_and_less_often() {
        let mut planner = planner();
        planner.decider = Box::new(Stubborn);
        let mut rng = scene::rng();
        let mut look = |planner: &mut Planner, at: Timestamp| {
            let mut snapshot = scene::snapshot(&[3], &[(1, 1)]);
            snapshot.at = at;
            planner.handle(Input::Looked { snapshot, conversation: Vec::new() }, &mut rng)
        };
        let begins = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Execute(_)));
        let (mut now, mut rests) = (scene::NOW, Vec::new());
        for _ in 0..4 {
            assert!(begins(&look(&mut planner, now)));
            let put_off = planner.handle(Input::Ended(Repair::NotNow), &mut scene::rng());
            let [Effect::Look { after }] = put_off.as_slice() else { panic!("{put_off:?}") };
            let early = look(&mut planner, now + *after / 2);
            assert!(matches!(early.as_slice(), [Effect::Look { .. }]), "{early:?}");
            rests.push(*after);
            now = now + *after;
        }
        assert!(rests.is_sorted() && rests[3] > 2 * rests[0], "{rests:?}");
        // A job has gone through: the links are there again.
        planner.handle(Input::Ended(Repair::NotNow), &mut scene::rng());
        measure(&mut planner, fast(), true);
        assert!(begins(&look(&mut planner, now)));
    }

    #[test]
    fn who_reads_nothing_any_more_hears_that_its_action_is_lost() {
        /// It acts on whatever it has decided before, and not again until it hears that this has ended.
        struct Resolved(Decision, bool);

        impl Decider for Resolved {
            fn missed(&mut self, _: &Situation, _: &mut Rng) -> Vec<Intent> {
                Vec::new()
            }

            fn looked(&mut self, _: &View, _: &mut Rng) -> Vec<Intent> {
                let is_acting = std::mem::replace(&mut self.1, true);
                if is_acting { Vec::new() } else { vec![Intent::Act(self.0.clone())] }
            }

            fn ended(&mut self, repair: Repair, _: &mut Rng) -> Vec<Intent> {
                assert_eq!(repair, Repair::Lost);
                self.1 = false;
                vec![Intent::Over(repair), Intent::Look { after: LOOK_EVERY }]
            }
        }

        let mut planner = planner();
        let [Effect::Decided(decision), Effect::Execute(_)] = &violate(&mut planner, violation(3))[..] else {
            panic!()
        };
        planner.decider = Box::new(Resolved(decision.clone(), false));
        let look = |planner: &mut Planner, references: &[(u32, i64)]| {
            let snapshot = scene::snapshot(&[3], references);
            planner.handle(Input::Looked { snapshot, conversation: Vec::new() }, &mut scene::rng())
        };
        assert_eq!(look(&mut planner, &[]), [Effect::Repaired(Repair::Lost), Effect::Look { after: LOOK_EVERY }]);
        let again = look(&mut planner, &[(1, 1)]);
        assert!(matches!(again[..], [Effect::Decided(_), Effect::Execute(_)]), "{again:?}");
    }

    #[test]
    fn what_ends_unawaited_repairs_nothing() {
        assert_eq!(planner().handle(Input::Ended(Repair::Acted), &mut scene::rng()), []);
    }

    #[test]
    fn each_plan_has_a_key_of_its_own() {
        let mut planner = planner();
        let mut key = || {
            let effects = violate(&mut planner, violation(3));
            end(&mut planner, Repair::Lost);
            effects.into_iter().find_map(|effect| match effect {
                Effect::Execute(plan) => Some(plan.key),
                Effect::Decided(_)
                | Effect::Repaired(_)
                | Effect::Say(_)
                | Effect::Look { .. }
                | Effect::Learn(_)
                | Effect::Adapted(_) => None,
            })
        };
        assert_eq!([key(), key()], [Some("life-p1".to_owned()), Some("life-p2".to_owned())]);
    }

    #[test]
    fn a_job_that_goes_through_ends_the_rest_and_begins_the_pauses_anew() {
        let mut planner = planner();
        planner.decider = Box::new(Stubborn);
        let look = |planner: &mut Planner, at: Timestamp| {
            let mut snapshot = scene::snapshot(&[3], &[(1, 1)]);
            snapshot.at = at;
            let effects = planner.handle(Input::Looked { snapshot, conversation: Vec::new() }, &mut scene::rng());
            effects.iter().any(|effect| matches!(effect, Effect::Execute(_)))
        };
        // With the same chance each time, a pause depends on how many there were in a row.
        let put_off = |planner: &mut Planner| {
            let effects = planner.handle(Input::Ended(Repair::NotNow), &mut scene::rng());
            let [Effect::Look { after }] = effects.as_slice() else { panic!("{effects:?}") };
            *after
        };
        assert!(look(&mut planner, scene::NOW));
        let (first, second) = (put_off(&mut planner), put_off(&mut planner));
        assert!(second.abs_diff(first * 2) <= Duration::from_nanos(1), "{first:?}, {second:?}");
        assert!(!look(&mut planner, scene::NOW + second / 2), "it rests");
        assert!(look(&mut planner, scene::NOW + second), "until then, and no longer");
        put_off(&mut planner);
        measure(&mut planner, fast(), true);
        assert!(look(&mut planner, scene::NOW + second), "a job went through");
        assert_eq!(put_off(&mut planner), first);
    }
}
