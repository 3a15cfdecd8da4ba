//! Learning: what jobs show of the nodes that they read, and what an action really did, seen by the job that ran after it.

use super::planner::{Change, Experience, Parameters, Policy};
use crate::domain::action::Action;
use crate::domain::ids::{DataSetName, NodeId};
use crate::domain::impact::{self, Impacts};
use crate::domain::measurement::Measurement;
use crate::domain::metric::Metrics;
use std::sync::Arc;

/// An action that this agent carried out, and how things stood before.
#[derive(Clone, PartialEq, Debug)]
pub struct Acted {
    pub action: Action,
    /// Where the agent read before.
    pub reference_node: NodeId,
    /// Where its jobs ran before.
    pub ran_at: NodeId,
    pub before: Metrics,
    /// What was expected: the start of what is learned.
    pub expected: Impacts,
}

/// A vector to keep.
#[derive(Clone, PartialEq, Debug)]
pub struct Lesson {
    /// Absent where the application reads one alone.
    pub data_set: Option<DataSetName>,
    pub change: Change,
    pub impacts: Impacts,
}

impl Lesson {
    /// What the shared table keeps it under: `M1_2`, `blood_tests:M1_2`.
    pub fn label(&self) -> String {
        match &self.data_set {
            Some(data_set) => format!("{data_set}:{}", self.change),
            None => self.change.to_string(),
        }
    }
}

/// What was learned of a data set, by change, of all that was, by [label](Lesson::label).
pub fn learned_about<'l>(
    learned: impl Iterator<Item = (&'l String, Impacts)>,
    data_set: &DataSetName,
    one_of_several: bool,
) -> impl Iterator<Item = (String, Impacts)> {
    learned.filter_map(move |(label, impacts)| Some((learned_of(label, data_set, one_of_several)?.to_owned(), impacts)))
}

/// What a label says of a data set; `None`: it is about another one, or about one alone.
fn learned_of<'l>(label: &'l str, data_set: &DataSetName, one_of_several: bool) -> Option<&'l str> {
    match label.rsplit_once(':') {
        Some((named, change)) => (one_of_several && *named == *data_set.0).then_some(change),
        None => (!one_of_several).then_some(label),
    }
}

/// The machine: remembers the last action until the next measurement.
pub struct Learner {
    parameters: Arc<Parameters>,
    policy: Arc<dyn Policy>,
    acted: Option<Acted>,
}

impl Learner {
    pub fn new(parameters: Arc<Parameters>, policy: Arc<dyn Policy>) -> Self {
        Self { parameters, policy, acted: None }
    }

    /// An action was committed.
    pub fn acted(&mut self, acted: Acted) {
        self.acted = Some(acted);
    }

    /// The next measurement. Predictions use it in any case. It teaches something of an action only if the agent reads where
    /// that took it: otherwise somebody else has moved the data meanwhile, and the difference is not this action's.
    pub fn measured(&mut self, measurement: &Measurement, experience: &mut Experience) -> Option<Lesson> {
        experience.predictor.measured(measurement);
        let acted = self.acted.take()?;
        let reads_at = acted.action.to_node().unwrap_or(acted.reference_node);
        let runs_at = acted.action.work_node().unwrap_or(acted.ran_at);
        let ran_at = measurement.ran_at.unwrap_or(self.parameters.home);
        if (measurement.node, ran_at) != (reads_at, runs_at) {
            return None;
        }
        let lesson = self.lesson(&acted, &measurement.metrics);
        experience.learned.insert(lesson.change, lesson.impacts);
        Some(lesson)
    }

    fn lesson(&self, acted: &Acted, after: &Metrics) -> Lesson {
        let parameters = &self.parameters;
        let consistency = parameters.consistency_impact(acted.action.kind());
        let rate = parameters.learning_rate;
        Lesson {
            data_set: None,
            change: self.policy.learned_as(acted.action, acted.reference_node, acted.ran_at),
            impacts: impact::learn(&acted.expected, &acted.before, after, &parameters.rho, rate, consistency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::planner::{Fixed, Reference};
    use super::super::scene;
    use super::*;
    use crate::domain::ids::{AgentId, ReplicaId};
    use crate::domain::metric::Metric;

    fn measurement(node: u32, response_time: f64) -> Measurement {
        Measurement {
            agent: AgentId(1),
            data_set: "blood".into(),
            replica: ReplicaId(1),
            node: NodeId(node),
            at: scene::NOW,
            metrics: Metrics::default().with(Metric::ResponseTime, response_time),
            ran_at: None,
            emulated_latency_ms: None,
            traffic: None,
            parts: Vec::new(),
            job: "job".to_owned(),
            failure: None,
            result: None,
        }
    }

    fn learn(policy: Arc<dyn Policy>, action: &str, then: &Measurement) -> Option<Lesson> {
        let mut learner = Learner::new(Arc::new(scene::parameters("response_time <= 35 s")), policy);
        learner.acted(Acted {
            action: action.parse().unwrap(),
            reference_node: NodeId(3),
            ran_at: NodeId(1),
            before: Metrics::default().with(Metric::ResponseTime, 60.0),
            expected: Impacts::default().with(Metric::ResponseTime, 0.2),
        });
        learner.measured(then, &mut Experience::default())
    }

    #[test]
    fn the_first_job_after_an_action_teaches_what_it_did() {
        let lesson = learn(Arc::new(Fixed), "M3_1", &measurement(1, 20.0)).unwrap();
        assert_eq!(lesson.change.to_string(), "M3_1");
        // atan(40 * pi/2 / 40) = 1.003 counts as 1; half way from 0.2.
        assert_eq!(lesson.impacts.get(Metric::ResponseTime), Some(0.6));
    }

    #[test]
    fn a_change_of_reference_is_learned_for_its_pair_of_nodes() {
        assert_eq!(learn(Arc::new(Fixed), "CR1", &measurement(1, 20.0)).unwrap().change.to_string(), "CR3_1");
        assert_eq!(learn(Arc::new(Reference), "CR1", &measurement(1, 20.0)).unwrap().change.to_string(), "CR1");
    }

    #[test]
    fn predictions_follow_every_job_also_without_an_action() {
        let mut learner = Learner::new(Arc::new(scene::parameters("response_time <= 35 s")), Arc::new(Fixed));
        let mut experience = Experience { predictor: scene::predictor(), ..Experience::default() };
        let before = format!("{:?}", experience.predictor);
        let metrics = Metrics::default().with(Metric::NetworkLatency, 700.0);
        let job = Measurement { metrics, ..measurement(3, 20.0) };
        assert_eq!(learner.measured(&job, &mut experience), None);
        assert_ne!(format!("{:?}", experience.predictor), before);
    }

    #[test]
    fn nothing_is_learned_where_somebody_else_moved_the_data() {
        assert_eq!(learn(Arc::new(Fixed), "M3_1", &measurement(2, 20.0)), None);
    }
}
