//! What the whole course comes to, counted as in an experiment where a table holds enough for that: docs/experiments.md. What the
//! best placement would have been, and how long decisions took, no table holds.

use super::{Act, Course, Job, replay};
use crate::report::placement::{Change, History};
use agent_core::domain::action::{Action, ActionType};
use agent_core::domain::fairness::jain;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::measurement::JobTally;
use agent_core::domain::oscillation::{Layout, RecentLayouts};
use agent_core::domain::time::Timestamp;

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Figures {
    /// Of the jobs that were measured; absent without any.
    pub violated_share: Option<f64>,
    /// Absent where nobody acted.
    pub last_action_s: Option<f64>,
    /// Moves and copies that were done, and what they carried.
    pub movements: u64,
    pub bytes_moved: u64,
    /// Mean over time.
    pub replicas_mean: f64,
    pub oscillations: u64,
    /// Of the agents' shares of satisfied jobs, of those that were measured.
    pub fairness: f64,
    /// Events and answers to others'; questions are not among them, for the table forgets them.
    pub messages_per_agent_hour: f64,
}

pub fn figures(course: &Course) -> Figures {
    let history = replay(course).history;
    let acts = || course.acts.iter().filter(|act| act.event.action != Action::Nothing);
    let is_movement = |act: &&Act| matches!(act.event.action.kind(), ActionType::Move | ActionType::Copy);
    let arrived = course.acts.iter().filter(|act| act.moved_bytes()).count() as u64;
    let messages: usize = course.acts.iter().map(|act| 1 + act.feedback.len()).sum();
    let agent_hours = course.snapshot.agents.len() as f64 * history.lasts_s / 3600.0;
    Figures {
        violated_share: course.tally().violated_share(),
        last_action_s: acts().map(|act| act.event.posted_at).max().map(|at| course.second(at)),
        movements: acts().filter(|act| act.is_done()).filter(is_movement).count() as u64,
        bytes_moved: arrived.saturating_mul(course.snapshot.data_set.bytes),
        replicas_mean: replicas_mean(&history),
        oscillations: oscillations(&history),
        fairness: fairness(course),
        messages_per_agent_hour: if agent_hours > 0.0 { messages as f64 / agent_hours } else { 0.0 },
    }
}

fn replicas_mean(history: &History) -> f64 {
    let held = |(change, until): (&Change, f64)| change.replicas.len() as f64 * (until - change.at_s);
    history.spans().map(held).sum::<f64>() / history.lasts_s.max(f64::EPSILON)
}

fn oscillations(history: &History) -> u64 {
    let layout = |change: &Change| Layout {
        replicas: change.replicas.iter().copied().map(NodeId).collect(),
        references: change.references.iter().map(|(agent, node)| (AgentId(*agent), NodeId(*node))).collect(),
    };
    let mut recent = RecentLayouts::default();
    let mut returns = |pair: &[Change]| {
        let (before, now) = (&pair[0], &pair[1]);
        let at = Timestamp((now.at_s * 1e3) as i64);
        recent.returns(at, now.agent.map(AgentId), layout(before), &layout(now))
    };
    history.changes.windows(2).map(|pair| u64::from(returns(pair))).sum()
}

fn fairness(course: &Course) -> f64 {
    let satisfied = |agent: &AgentId| {
        let tally: JobTally = course.jobs_of(*agent).map(Job::outcome).collect();
        tally.violated_share().map(|violated| 1.0 - violated)
    };
    let shares: Vec<f64> = course.snapshot.agents.keys().filter_map(satisfied).collect();
    jain(&shares)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{act, course, job, usual};
    use super::*;

    #[test]
    fn a_course_is_counted_as_a_run_of_an_experiment() {
        let figures = figures(&usual());
        let expected = Figures {
            violated_share: Some(0.5),
            last_action_s: Some(50.0),
            movements: 2,
            bytes_moved: 12_000_000,
            // One for 52 of 80 s, then two.
            replicas_mean: 108.0 / 80.0,
            oscillations: 0,
            fairness: figures.fairness,
            // Two events, each with an answer.
            messages_per_agent_hour: 4.0 / (2.0 * 80.0 / 3600.0),
        };
        assert_eq!(figures, expected);
        // Agent 1 met its goal in two of three jobs, agent 2 in one of three.
        assert!((figures.fairness - 0.9).abs() < 1e-12, "{figures:?}");
    }

    #[test]
    fn who_brings_the_data_back_oscillates() {
        let jobs = vec![job(1, 1, 10, true), job(2, 1, 11, true)];
        let acts = vec![act(1, 2, "M1_2", 20, &[1]), act(2, 1, "M2_1", 100, &[2]), act(3, 2, "M1_2", 500, &[1])];
        assert_eq!(figures(&course(jobs, acts, [2, 2])).oscillations, 1);
    }

    #[test]
    fn a_course_without_anything_has_figures_too() {
        let figures = figures(&course(Vec::new(), Vec::new(), [1, 2]));
        assert_eq!((figures.violated_share, figures.last_action_s, figures.fairness), (None, None, 1.0));
        assert!(figures.replicas_mean.is_finite() && figures.messages_per_agent_hour == 0.0, "{figures:?}");
    }
}
