//! The arithmetic of feedback, windows and counters (published; vectors in `fixtures/reference/feedback.json`).

use super::action::Action;
use super::ids::{AgentId, EventId};
use super::time::Timestamp;
use super::truncate;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An event that closed, and what it did to its action's counter.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ClosedEvent {
    pub event: EventId,
    pub agent: AgentId,
    pub action: Action,
    pub feedback_sum: f64,
    pub counter_before: u32,
    pub counter_after: u32,
}

/// Blame that an agent left on an event.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Feedback {
    pub event: EventId,
    pub agent: AgentId,
    pub p: f64,
    #[serde(rename = "left_at_scenario_ms", alias = "left_at")]
    pub left_at: Timestamp,
}

/// How much blame a violation at `violated_at` puts on an event posted at `posted_at`: 1 at once, 0 at the window's end.
pub fn blame(posted_at: Timestamp, violated_at: Timestamp, window: Duration) -> f64 {
    1.0 - violated_at.since(posted_at).as_secs_f64() / window.as_secs_f64()
}

/// The mean blame that a closing event got from so many other applications, cut to two decimals.
///
/// Zero when there are no others: nobody was there who could have been hurt.
pub fn aggregate(sum: f64, others: usize) -> f64 {
    match others {
        0 => 0.0,
        n => truncate(sum / n as f64, 2),
    }
}

/// An action's counter after an event of it closed: one up when the others were hurt, else one down, never below 0.
pub fn counter_after(counter: u32, aggregated: f64, threshold: f64) -> u32 {
    if aggregated >= threshold { counter.saturating_add(1) } else { counter.saturating_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(210);

    #[test]
    fn blame_falls_from_one_to_zero_over_the_window() {
        let posted = Timestamp(1_000_000);
        assert_eq!(blame(posted, posted, WINDOW), 1.0);
        assert_eq!(blame(posted, posted + Duration::from_secs(70), WINDOW), 1.0 - 70.0 / 210.0);
        assert_eq!(blame(posted, posted + WINDOW, WINDOW), 0.0);
    }

    #[test]
    fn a_counter_moves_by_one_and_stays_above_zero() {
        assert_eq!(counter_after(0, 0.29, 0.3), 0);
        assert_eq!(counter_after(2, 0.29, 0.3), 1);
        assert_eq!(counter_after(2, 0.3, 0.3), 3);
    }

    #[test]
    fn an_agent_alone_hurts_nobody() {
        assert_eq!(aggregate(1.0, 0), 0.0);
        assert_eq!(aggregate(0.957_142_8, 2), 0.47);
    }
}
