//! Events as JSON for machines: instants by RFC 3339, times of the scenario named as such, and no JSON inside of a text.

use agent_core::clock::{TimeScale, WallTime};
use agent_core::domain::action::Action;
use agent_core::domain::event::{Event, Outcome, Window};
use agent_core::domain::feedback::Feedback;
use agent_core::domain::ids::{AgentId, DataSetName, EventId, ReplicaId};
use agent_core::domain::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
pub struct EventDocument<'a> {
    id: EventId,
    agent: AgentId,
    data_set: &'a DataSetName,
    /// The one that the agent read before.
    replica: ReplicaId,
    action: Action,
    explored: bool,
    outcome: Outcome,
    window: Window,
    feedback_sum: f64,
    /// When it was posted; absent in a simulation, as the two others are.
    #[serde(skip_serializing_if = "Option::is_none")]
    posted_at: Option<WallTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closes_at: Option<WallTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<WallTime>,
    posted_at_scenario_ms: Timestamp,
    closes_at_scenario_ms: Timestamp,
    ended_at_scenario_ms: Option<Timestamp>,
    detail: Value,
}

impl<'a> EventDocument<'a> {
    pub fn new(event: &'a Event, scale: Option<TimeScale>) -> Self {
        let on_the_wall = |at| Some(scale?.on_the_wall(at));
        Self {
            id: event.id,
            agent: event.agent,
            data_set: &event.data_set,
            replica: event.replica,
            action: event.action,
            explored: event.explored,
            outcome: event.outcome,
            window: event.window,
            feedback_sum: event.feedback_sum,
            posted_at: on_the_wall(event.posted_at),
            closes_at: on_the_wall(event.closes_at),
            ended_at: event.ended_at.and_then(on_the_wall),
            posted_at_scenario_ms: event.posted_at,
            closes_at_scenario_ms: event.closes_at,
            ended_at_scenario_ms: event.ended_at,
            detail: unfolded(&event.detail),
        }
    }
}

/// What a text says that holds an object; any other stays a text.
fn unfolded(text: &str) -> Value {
    let object = serde_json::from_str(text).ok().filter(Value::is_object);
    object.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[derive(Serialize)]
pub struct FeedbackDocument {
    event: EventId,
    agent: AgentId,
    p: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_at: Option<WallTime>,
    left_at_scenario_ms: Timestamp,
}

impl FeedbackDocument {
    pub fn new(feedback: &Feedback, scale: Option<TimeScale>) -> Self {
        let Feedback { event, agent, p, left_at } = *feedback;
        let on_the_wall = scale.map(|scale| scale.on_the_wall(left_at));
        Self { event, agent, p, left_at: on_the_wall, left_at_scenario_ms: left_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_an_object_and_what_is_none_stays_a_text() {
        let check = |text: &str, expected: Value| assert_eq!(unfolded(text), expected, "{text}");
        check(r#"{"policy": "fixed"}"#, serde_json::json!({"policy": "fixed"}));
        for text in ["", "by hand", "7", "[1]", "{broken"] {
            check(text, Value::String(text.to_owned()));
        }
    }
}
