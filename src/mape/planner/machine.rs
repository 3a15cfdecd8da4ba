//! The planner as a machine: from a violation to a plan, and from a plan's end to what it taught.

use super::{Decision, Experience, Parameters, Policy, Rng, Situation, Verdict, decide, plan};
use crate::domain::action::Action;
use crate::domain::ids::NodeId;
use crate::domain::impact::Impacts;
use crate::domain::measurement::Measurement;
use crate::domain::placement::Plan;
use crate::mape::learner::{Acted, Learner, Lesson};
use crate::mape::monitor::{Repair, Violation};
use std::sync::Arc;

/// What a violation led to.
#[derive(Clone, PartialEq, Debug)]
pub struct Judged {
    pub decision: Decision,
    pub plan: Plan,
}

/// The machine.
pub struct Planner {
    parameters: Arc<Parameters>,
    policy: Arc<dyn Policy>,
    experience: Experience,
    learner: Learner,
    /// The action under way, to be learned from when it has ended.
    pending: Option<Acted>,
    /// Makes plans' keys unique across restarts.
    life: String,
    plans: u64,
}

impl Planner {
    /// `life` is unique for each start of an agent.
    pub fn new(parameters: Arc<Parameters>, policy: Arc<dyn Policy>, experience: Experience, life: String) -> Self {
        let learner = Learner::new(parameters.clone(), policy.clone());
        Self { parameters, policy, experience, learner, pending: None, life, plans: 0 }
    }

    /// Decides. `None` when the agent reads nothing any more: judge again.
    pub fn violated(&mut self, violation: &Violation, rng: &mut Rng) -> Option<Judged> {
        let snapshot = &violation.snapshot;
        let reference = snapshot.placement.reference(self.parameters.agent)?;
        let measured = &violation.measurement.metrics;
        let situation = Situation::new(&self.parameters, &self.experience, measured, reference, snapshot);
        let decision = decide(self.policy.as_ref(), &situation, rng);
        self.plans += 1;
        let plan = plan(&situation, &decision, format!("{}-p{}", self.life, self.plans));
        self.pending = expected(&decision).map(|expected| Acted {
            action: decision.chosen.action,
            reference_node: reference.node,
            before: violation.measurement.metrics,
            expected,
        });
        Some(Judged { decision, plan })
    }

    /// Every measurement passes here: the one after an action teaches what the action did.
    pub fn measured(&mut self, measurement: &Measurement) -> Option<Lesson> {
        self.learner.measured(measurement, &mut self.experience)
    }

    /// A link was measured without a job \[ms\].
    pub fn probed(&mut self, node: NodeId, latency_ms: f64) {
        self.experience.predictor.probed(node, latency_ms);
    }

    /// The plan came to its end.
    pub fn ended(&mut self, repair: Repair) {
        let acted = self.pending.take();
        if repair == Repair::Acted
            && let Some(acted) = acted
        {
            self.learner.acted(acted);
        }
    }
}

/// What the chosen action was expected to do; nothing for doing nothing.
fn expected(decision: &Decision) -> Option<Impacts> {
    let chosen = decision.chosen.action;
    let scored = decision.scored.iter().find(|scored| scored.action == chosen)?;
    match &scored.verdict {
        Verdict::Feasible { impacts, .. } if chosen != Action::Nothing => Some(*impacts),
        Verdict::Feasible { .. } | Verdict::Infeasible { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fixed;
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
            emulated_latency_ms: None,
            job: "job".to_owned(),
        };
        Violation { measurement, snapshot: Arc::new(scene::snapshot(&[node], &[(1, 1)])) }
    }

    fn planner() -> Planner {
        let parameters = Arc::new(scene::parameters("response_time <= 35 s"));
        let experience = scene::experience(&[("M3_1", 0.9), ("C3_1", 0.9)]);
        Planner::new(parameters, Arc::new(Fixed), experience, "life".to_owned())
    }

    fn fast() -> Measurement {
        let metrics = Metrics::default().with(Metric::ResponseTime, 20.0);
        Measurement { node: NodeId(1), metrics, ..violation(1).measurement }
    }

    #[test]
    fn an_action_that_was_done_is_learned_from_once() {
        let mut planner = planner();
        let judged = planner.violated(&violation(3), &mut scene::rng()).unwrap();
        assert_eq!((judged.plan.key.as_str(), judged.plan.action.to_string().as_str()), ("life-p1", "M3_1"));
        planner.ended(Repair::Acted);
        assert_eq!(planner.measured(&fast()).map(|lesson| lesson.change.to_string()), Some("M3_1".to_owned()));
        assert_eq!(planner.measured(&fast()), None);
    }

    #[test]
    fn what_was_not_done_teaches_nothing() {
        let mut planner = planner();
        planner.violated(&violation(3), &mut scene::rng()).unwrap();
        planner.ended(Repair::Lost);
        assert_eq!(planner.measured(&fast()), None);
    }

    #[test]
    fn who_reads_nothing_plans_nothing() {
        let mut nowhere = violation(3);
        nowhere.snapshot = Arc::new(scene::snapshot(&[3], &[]));
        assert_eq!(planner().violated(&nowhere, &mut scene::rng()), None);
    }
}
