//! What an agent expects of itself: how content it would be, 0 to 1, as it is or after an action.

use super::{Experience, Parameters, Situation, View};
use crate::domain::action::Action;
use crate::domain::event::Outcome;
use crate::domain::ids::NodeId;
use crate::domain::metric::Metric;
use crate::domain::placement;
use crate::domain::snapshot::Snapshot;
use crate::domain::work::Seat;
use crate::mape::cooperative::{Outcomes, level};
use crate::mape::prediction::{self, Estimate};

/// What predictions are made from.
#[derive(Clone, Copy, Debug)]
pub struct Foresight<'a> {
    parameters: &'a Parameters,
    experience: &'a Experience,
    snapshot: &'a Snapshot,
}

impl<'a> Foresight<'a> {
    pub fn of(situation: &Situation<'a>) -> Self {
        let &Situation { parameters, experience, snapshot, .. } = situation;
        Self { parameters, experience, snapshot }
    }

    pub fn between_jobs(view: &View<'a>) -> Self {
        let &View { parameters, experience, snapshot, .. } = view;
        Self { parameters, experience, snapshot }
    }

    /// Reading at a node as things are.
    pub fn level_at(&self, node: NodeId) -> f64 {
        self.level(self.seat(), node, self.replicas())
    }

    /// After an own action of an agent that reads at `reads`.
    pub fn level_after(&self, action: Action, reads: NodeId) -> f64 {
        let seat = self.seat();
        let seat = Seat { node: action.work_node().unwrap_or(seat.node), ..seat };
        self.level(seat, action.to_node().unwrap_or(reads), self.replicas_after(action))
    }

    /// After an action of somebody else: only a move of what this agent reads takes it along.
    pub fn level_after_others(&self, action: Action, reads: NodeId) -> f64 {
        let follows = match action {
            Action::Move { from, to } if from == reads => to,
            Action::Move { .. }
            | Action::Copy { .. }
            | Action::ChangeReference { .. }
            | Action::Evict { .. }
            | Action::Restore { .. }
            | Action::MoveWork { .. }
            | Action::Nothing => reads,
        };
        self.level(self.seat(), follows, self.replicas_after(action))
    }

    /// How many replicas there are then.
    pub fn replicas_after(&self, action: Action) -> usize {
        self.replicas().saturating_add_signed(change(action))
    }

    /// With what is under way done.
    fn replicas(&self) -> usize {
        let running = self.snapshot.open_events.iter().filter(|event| event.outcome == Outcome::Running);
        // What is refreshed or mended is counted already.
        let is_there = |to| self.snapshot.placement.present().any(|row| row.node == to);
        let renews = |action| matches!(action, Action::Restore { to, .. } if is_there(to));
        let change = running.filter(|event| !renews(event.action)).map(|event| change(event.action)).sum();
        self.snapshot.placement.present().count().saturating_add_signed(change)
    }

    fn seat(&self) -> Seat {
        self.parameters.seat(self.snapshot)
    }

    /// 0 at a node that is not known.
    fn level(&self, seat: Seat, node: NodeId, replicas: usize) -> f64 {
        let parameters = self.parameters;
        let forecast = prediction::forecast(&self.experience.predictor, self.snapshot, seat, node, &parameters.rho);
        let Some(mut forecast) = forecast else { return 0.0 };
        let own = placement::consistency(replicas, parameters.max_copies);
        let consistency = self.experience.predictor.consistency(own);
        forecast.set(Metric::DataConsistency, Estimate::certain(consistency));
        level(&parameters.goal, &forecast, Outcomes::default())
    }
}

/// Of the number of replicas.
fn change(action: Action) -> isize {
    match action {
        Action::Copy { .. } | Action::Restore { .. } => 1,
        Action::Evict { .. } => -1,
        Action::Move { .. } | Action::ChangeReference { .. } | Action::MoveWork { .. } | Action::Nothing => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Event;
    use crate::domain::ids::AgentId;
    use crate::mape::scene::{self, NOW};
    use std::sync::Arc;

    /// Agent 1 expects 1 s at node 1, 41 s at node 2, 61 s at node 3.
    fn check(goal: &str, running: &[&str], look: impl Fn(&Foresight) -> f64, is_content: bool) {
        let mut snapshot = scene::inhabited(scene::snapshot(&[3], &[(1, 1)]), 1);
        let event = |(id, action): (i64, &&str)| {
            let event = scene::event(id, action, NOW);
            Arc::new(Event { outcome: Outcome::Running, ..event })
        };
        snapshot.open_events = (1..).zip(running).map(event).collect();
        let experience = Experience { predictor: scene::predictor(), ..Experience::default() };
        let parameters = scene::parameters(goal);
        let view = View { parameters: &parameters, experience: &experience, snapshot: &snapshot, conversation: &[] };
        let level = look(&Foresight::between_jobs(&view));
        assert_eq!(level > 0.5, is_content, "{goal}: {level}");
        assert_eq!(parameters.agent, AgentId(1));
    }

    fn action(label: &str) -> Action {
        label.parse().unwrap()
    }

    #[test]
    fn it_is_content_where_its_goal_will_hold() {
        let goal = "response_time <= 35 s";
        check(goal, &[], |foresight| foresight.level_at(NodeId(1)), true);
        check(goal, &[], |foresight| foresight.level_at(NodeId(3)), false);
        check(goal, &[], |foresight| foresight.level_at(NodeId(9)), false);
        check(goal, &[], |foresight| foresight.level_after(action("C3_1"), NodeId(3)), true);
        check(goal, &[], |foresight| foresight.level_after(action("E1"), NodeId(3)), false);
    }

    #[test]
    fn others_take_it_along_only_with_what_it_reads() {
        let goal = "response_time <= 35 s";
        check(goal, &[], |foresight| foresight.level_after_others(action("M3_1"), NodeId(3)), true);
        check(goal, &[], |foresight| foresight.level_after_others(action("M2_1"), NodeId(3)), false);
        check(goal, &[], |foresight| foresight.level_after_others(action("C3_1"), NodeId(3)), false);
    }

    #[test]
    fn replicas_are_counted_with_those_under_way() {
        let goal = "data_consistency >= 0.5";
        check(goal, &[], |foresight| foresight.level_after(action("C3_1"), NodeId(3)), true);
        check(goal, &["C3_2"], |foresight| foresight.level_after(action("C3_1"), NodeId(3)), false);
        check(goal, &["C3_2"], |foresight| foresight.level_after(action("M3_1"), NodeId(3)), true);
        check(goal, &["C3_2", "E2"], |foresight| foresight.level_after(action("C3_1"), NodeId(3)), true);
    }
}
