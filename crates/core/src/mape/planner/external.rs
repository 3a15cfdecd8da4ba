//! Decisions from outside: the agent does what it is ordered to, and nothing by itself. It measures, learns, answers for what it did
//! and blames others as with any policy, so that whatever decides out there finds the same world.

use super::by_impacts::{global, scored};
use super::candidates::candidates;
use super::decision::{self, Choice, Decision, Reason};
use super::{Decider, Fixed, Greedy, Intent, Parameters, Policy, PreviousJob, Rng, Situation, View};
use crate::domain::action::{Action, Labelled};
use crate::domain::adaptation::{Order, Status};
use crate::domain::ids::EventId;
use crate::domain::impact::Impacts;
use crate::domain::measurement::Measurement;
use crate::domain::metric::Metrics;
use crate::domain::placement::Replica;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::mape::monitor::Repair;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub struct External;

/// An order that could not be begun for so long is refused: who decided has decided on another world.
const BEGUN_WITHIN: Duration = Duration::from_secs(60);

/// How often an order that has to wait is tried.
const TRY_EVERY: Duration = Duration::from_secs(1);

impl Policy for External {
    fn name(&self) -> &'static str {
        "external"
    }

    fn decider(&self, parameters: &Arc<Parameters>, _: &str) -> Box<dyn Decider> {
        Box::new(Obedient { parameters: parameters.clone(), measured: None, order: None })
    }

    fn looks(&self) -> bool {
        true
    }

    fn blame(
        &self,
        parameters: &Parameters,
        previous: Option<PreviousJob>,
        measurement: &Measurement,
        snapshot: &Snapshot,
    ) -> Vec<EventId> {
        Fixed.blame(parameters, previous, measurement, snapshot)
    }
}

struct Obedient {
    parameters: Arc<Parameters>,
    /// What the last job showed.
    measured: Option<Metrics>,
    /// What it works on. One at a time.
    order: Option<Accepted>,
}

struct Accepted {
    order: Order,
    action: Action,
    /// When it was first seen that it can be done and is not; `None`: not tried yet.
    tried: Option<Timestamp>,
    is_under_way: bool,
}

impl Obedient {
    fn decision(&self, view: &View, reference: &Replica, action: Action) -> Decision {
        let View { parameters, experience, snapshot, .. } = view;
        let chosen = Choice { action, reason: Reason::External };
        let Some(measured) = &self.measured else {
            let apart = Decision::apart(parameters.agent, snapshot, action, chosen.reason);
            return Decision { policy: External.name().to_owned(), ..apart };
        };
        let situation = Situation::new(parameters, experience, measured, reference, snapshot);
        let value = |action: Action| (action, global::<Greedy>(&situation, action));
        let all: Vec<_> = candidates(snapshot, parameters, reference).into_iter().map(value).collect();
        let listed = decision::listed(&all, action).into_iter();
        let scored = listed.map(|action| scored::<Greedy>(&situation, action)).collect();
        Decision::new(External.name(), &situation, scored, all.len(), chosen)
    }

    /// What becomes of the order now that the table is seen.
    fn begin(&mut self, view: &View) -> Vec<Intent> {
        let Some(accepted) = self.order.as_mut().filter(|accepted| !accepted.is_under_way) else { return Vec::new() };
        let (now, agent) = (view.now(), self.parameters.agent);
        let tried = *accepted.tried.get_or_insert(now);
        let reference = view.snapshot.placement.reference(agent);
        let why_not = match reference {
            None => Some("the agent reads nothing at present".to_owned()),
            Some(_) if now.since(tried) > BEGUN_WITHIN => {
                Some(format!("it could not be begun for {} s", BEGUN_WITHIN.as_secs()))
            }
            Some(reference) => why_not(view.snapshot, &self.parameters, reference, accepted.action),
        };
        let (Some(reference), None) = (reference, &why_not) else {
            let refused = self.order.take().map(|it| it.order.refused(why_not.unwrap_or_default()));
            return refused.map(Intent::Adapted).into_iter().collect();
        };
        accepted.is_under_way = true;
        let (order, action) = (accepted.order.clone(), accepted.action);
        let decision = self.decision(view, reference, action);
        vec![Intent::Adapted(order.is(Status::UnderWay)), Intent::Act(decision)]
    }
}

impl Decider for Obedient {
    fn missed(&mut self, _: &Situation, _: &mut Rng) -> Vec<Intent> {
        vec![Intent::Over(Repair::Nothing)]
    }

    fn measured(&mut self, measurement: &Measurement, _: bool) {
        self.measured = Some(measurement.metrics);
    }

    fn looked(&mut self, view: &View, _: &mut Rng) -> Vec<Intent> {
        self.begin(view)
    }

    fn ordered(&mut self, order: Order) -> Vec<Intent> {
        if let Some(Accepted { order: Order { id, action }, .. }) = &self.order {
            let busy = format!("{id} ({action}) is not over yet");
            return vec![Intent::Adapted(order.refused(busy))];
        }
        let action = match order.action.parse::<Labelled>() {
            Ok(Labelled { action: Action::Nothing, .. }) => return vec![Intent::Adapted(order.is(Status::Done))],
            Ok(Labelled { action, .. }) => action,
            Err(unknown) => return vec![Intent::Adapted(order.refused(unknown.to_string()))],
        };
        let waiting = order.clone().is(Status::Waiting);
        self.order = Some(Accepted { order, action, tried: None, is_under_way: false });
        vec![Intent::Adapted(waiting), Intent::Look { after: Duration::ZERO }]
    }

    fn ended(&mut self, repair: Repair, _: &mut Rng) -> Vec<Intent> {
        let Some(mut accepted) = self.order.take() else { return vec![Intent::Over(repair)] };
        let status = match repair {
            Repair::Acted => Status::Done,
            Repair::Nothing | Repair::Lost => Status::Failed,
            Repair::NotNow => {
                accepted.is_under_way = false;
                let waiting = accepted.order.clone().is(Status::Waiting);
                self.order = Some(accepted);
                return vec![Intent::Adapted(waiting), Intent::Look { after: TRY_EVERY }, Intent::Over(repair)];
            }
        };
        vec![Intent::Adapted(accepted.order.is(status)), Intent::Over(repair)]
    }
}

/// Why an agent that reads `reference` cannot take an action now; `None`: it can.
fn why_not(snapshot: &Snapshot, parameters: &Parameters, reference: &Replica, action: Action) -> Option<String> {
    let agent = parameters.agent;
    if candidates(snapshot, parameters, reference).contains(&action) {
        return None;
    }
    let forbidden = snapshot.forbids(agent, action).map(|forbidden| forbidden.to_string());
    Some(forbidden.unwrap_or_else(|| format!("it is none of what agent {agent} can do now")))
}

/// What an agent can do now, with what it expects of each; nothing is expected where nothing is known.
pub(super) fn options(view: &View, measured: &Metrics) -> BTreeMap<Action, Option<Impacts>> {
    let View { parameters, experience, snapshot, .. } = view;
    let Some(reference) = snapshot.placement.reference(parameters.agent) else { return BTreeMap::new() };
    let situation = Situation::new(parameters, experience, measured, reference, snapshot);
    let expected = |action: Action| match action {
        Action::Nothing => Some(situation.nothing),
        Action::Evict { .. } => Some(situation.evict),
        Action::Move { .. } | Action::Copy { .. } => {
            situation.expected(action).map(|expected| situation.impacts(&expected))
        }
        Action::ChangeReference { to } => situation.expected_of_going(to).map(|expected| situation.impacts(&expected)),
        Action::MoveWork { to, .. } => {
            situation.expected_of_moving_work(to).map(|expected| situation.impacts(&expected))
        }
        Action::Restore { .. } => None,
    };
    candidates(snapshot, parameters, reference).into_iter().map(|action| (action, expected(action))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mape::planner::Experience;
    use crate::mape::scene::{self, NOW};

    struct Bench {
        decider: Box<dyn Decider>,
        parameters: Arc<Parameters>,
        experience: Experience,
        snapshot: Snapshot,
    }

    impl Bench {
        fn new() -> Self {
            let parameters = Arc::new(scene::parameters("response_time <= 35 s"));
            Self {
                decider: External.decider(&parameters, "life"),
                parameters,
                experience: scene::experience(&[("M3_1", 0.9), ("C3_1", 0.3)]),
                snapshot: scene::snapshot(&[3], &[(1, 1)]),
            }
        }

        fn order(&mut self, id: u64, action: &str) -> Vec<Intent> {
            self.decider.ordered(Order { id, action: action.to_owned() })
        }

        fn look(&mut self) -> Vec<Intent> {
            let (parameters, experience) = (&self.parameters, &self.experience);
            let view = View { parameters, experience, snapshot: &self.snapshot, conversation: &[] };
            self.decider.looked(&view, &mut scene::rng())
        }

        fn end(&mut self, repair: Repair) -> Vec<Intent> {
            self.decider.ended(repair, &mut scene::rng())
        }
    }

    /// What is told of orders, and which action is begun, in a line.
    fn told(intents: &[Intent]) -> String {
        let told = intents.iter().filter_map(|intent| match intent {
            Intent::Adapted(adaptation) => Some(adaptation.to_string()),
            Intent::Act(decision) => Some(format!("begins {}", decision.chosen.action)),
            Intent::Look { after } => Some(format!("looks after {} s", after.as_secs())),
            Intent::Say(_) | Intent::Over(_) => None,
        });
        told.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn an_order_is_begun_as_soon_as_the_table_is_seen_and_followed_to_its_end() {
        let mut bench = Bench::new();
        assert_eq!(told(&bench.order(1, "M3_1")), "1 M3_1: waiting; looks after 0 s");
        assert_eq!(told(&bench.look()), "1 M3_1: under way; begins M3_1");
        assert_eq!(told(&bench.look()), "", "it is begun once");
        assert_eq!(told(&bench.end(Repair::Acted)), "1 M3_1: done");
        assert_eq!(told(&bench.look()), "", "and nothing is done without an order");
    }

    #[test]
    fn a_missed_goal_alone_leads_to_nothing() {
        let mut bench = Bench::new();
        let measured = scene::slow();
        let reference = bench.snapshot.placement.reference(bench.parameters.agent).unwrap();
        let situation = Situation::new(&bench.parameters, &bench.experience, &measured, reference, &bench.snapshot);
        assert_eq!(bench.decider.missed(&situation, &mut scene::rng()), [Intent::Over(Repair::Nothing)]);
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_the_reason() {
        let mut bench = Bench::new();
        assert!(told(&bench.order(1, "fly")).starts_with("1 fly: refused, `fly` is not an action"));
        assert_eq!(told(&bench.order(2, "NA")), "2 NA: done");
        bench.order(3, "M3_9");
        assert_eq!(told(&bench.look()), "3 M3_9: refused, it is none of what agent 1 can do now");
        bench.order(4, "M3_1");
        assert_eq!(told(&bench.order(5, "C3_1")), "5 C3_1: refused, 4 (M3_1) is not over yet");
        bench.look();
        assert_eq!(told(&bench.end(Repair::Nothing)), "4 M3_1: failed");
        bench.snapshot.data_set.guard.constraints = serde_json::from_str(r#"{"must":[3]}"#).unwrap();
        bench.order(6, "M3_1");
        let forbidden = told(&bench.look());
        assert!(forbidden.starts_with("6 M3_1: refused, ") && !forbidden.contains("none of what"), "{forbidden}");
    }

    #[test]
    fn what_is_in_the_way_is_waited_for_but_not_for_ever() {
        let mut bench = Bench::new();
        bench.order(1, "M3_1");
        bench.look();
        assert_eq!(told(&bench.end(Repair::NotNow)), "1 M3_1: waiting; looks after 1 s");
        bench.snapshot.at = NOW + Duration::from_secs(30);
        assert_eq!(told(&bench.look()), "1 M3_1: under way; begins M3_1");
        bench.end(Repair::NotNow);
        bench.snapshot.at = NOW + Duration::from_secs(61);
        assert_eq!(told(&bench.look()), "1 M3_1: refused, it could not be begun for 60 s");
    }

    #[test]
    fn a_decision_shows_what_was_expected_of_it_and_of_what_else_there_was() {
        let mut bench = Bench::new();
        bench.decider.measured(&scene::measurement(3, 60.0), false);
        bench.order(1, "C3_1");
        let intents = bench.look();
        let decision = intents.iter().find_map(|intent| match intent {
            Intent::Act(decision) => Some(decision),
            _ => None,
        });
        let decision = decision.unwrap();
        assert_eq!(
            (decision.policy.as_str(), decision.because().as_str()),
            ("external", "it was ordered from outside")
        );
        assert!(
            ["M3_1", "C3_1", "NA"]
                .iter()
                .all(|label| { decision.scored.iter().any(|scored| scored.action.to_string() == *label) })
        );
    }

    #[test]
    fn options_are_what_can_be_done_with_what_is_expected_of_it() {
        let bench = Bench::new();
        let (parameters, experience) = (&bench.parameters, &bench.experience);
        let view = View { parameters, experience, snapshot: &bench.snapshot, conversation: &[] };
        let options = options(&view, &scene::slow());
        let labels: Vec<String> = options.keys().map(ToString::to_string).collect();
        assert_eq!(labels, ["NA", "M3_1", "M3_2", "C3_1", "C3_2"]);
        let of = |label: &str| options[&label.parse().unwrap()];
        let response = crate::domain::metric::Metric::ResponseTime;
        assert_eq!(of("M3_1").and_then(|impacts| impacts.get(response)), Some(0.9));
        assert_eq!(of("NA").and_then(|impacts| impacts.get(response)), Some(0.0));
    }
}
