//! What was done, what others said of it, and what was asked before.

use super::instant;
use agent_core::clock::TimeScale;
use agent_core::domain::action::{Action, Labelled};
use agent_core::domain::ids::DataSetName;
use agent_core::domain::{ask, event, feedback};
use agent_core::knowledge;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A chosen action.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct Event {
    pub id: i64,
    pub agent: u32,
    pub data_set: String,
    /// `M1_2`: moved from node 1 to node 2; `C1_2`: copied; `CR2`: reads node 2; `E2`: dropped at node 2; `R1_2`: made anew at node
    /// 2; `NA`: nothing was done.
    pub action: String,
    /// Chosen by chance, not by score.
    pub explored: bool,
    /// `running`, `done`, `failed` or `aborted`.
    pub outcome: String,
    /// `open`: others may still answer to it; `closed`.
    pub window: String,
    pub feedback_sum: f64,
    #[schema(format = DateTime)]
    pub posted_at: String,
    #[schema(format = DateTime)]
    pub closes_at: String,
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
}

impl Event {
    pub fn new(event: &event::Event, scale: TimeScale) -> Self {
        Self {
            id: event.id.0,
            agent: event.agent.0,
            data_set: event.data_set.to_string(),
            action: event.action.to_string(),
            explored: event.explored,
            outcome: event.outcome.name().to_owned(),
            window: event.window.name().to_owned(),
            feedback_sum: event.feedback_sum,
            posted_at: instant(scale, event.posted_at),
            closes_at: instant(scale, event.closes_at),
            ended_at: event.ended_at.map(|at| instant(scale, at)),
        }
    }
}

/// The same with all that is known of it.
#[derive(Serialize, ToSchema)]
pub struct EventDetail {
    #[serde(flatten)]
    pub event: Event,
    pub feedback: Vec<Feedback>,
    /// What the decision rests on, every candidate and its parts; a text where it was no agent's.
    pub explanation: Value,
}

impl EventDetail {
    pub fn new(event: &event::Event, feedback: &[feedback::Feedback], scale: TimeScale) -> Self {
        let decision = serde_json::from_str(&event.detail).ok().filter(Value::is_object);
        Self {
            event: Event::new(event, scale),
            feedback: feedback.iter().map(|left| Feedback::new(left, scale)).collect(),
            explanation: decision.unwrap_or_else(|| Value::String(event.detail.clone())),
        }
    }
}

/// What somebody else left on an event.
#[derive(Serialize, ToSchema)]
pub struct Feedback {
    pub agent: u32,
    /// 0 to 1, the more the sooner it was left.
    pub p: f64,
    #[schema(format = DateTime)]
    pub left_at: String,
}

impl Feedback {
    fn new(left: &feedback::Feedback, scale: TimeScale) -> Self {
        Self { agent: left.agent.0, p: left.p, left_at: instant(scale, left.left_at) }
    }
}

/// A question to all before something is done.
#[derive(Serialize, ToSchema)]
pub struct Ask {
    pub id: i64,
    pub agent: u32,
    pub data_set: String,
    #[schema(format = DateTime)]
    pub posted_at: String,
    /// About these nodes.
    pub nodes: Vec<u32>,
    /// The step that is meant, if one is.
    pub action: Option<String>,
    /// How content who asks is, 0 to 1.
    pub level: f64,
    pub closed: bool,
    pub replies: Vec<Reply>,
}

#[derive(Serialize, ToSchema)]
pub struct Reply {
    pub agent: u32,
    /// How content it is, 0 to 1.
    pub level: f64,
    pub forecasts: Vec<Forecast>,
    /// Further nodes that it names.
    pub named: Vec<u32>,
}

/// How its level would change if it read there.
#[derive(Serialize, ToSchema)]
pub struct Forecast {
    pub node: u32,
    /// While there are so many replicas; absent: as many as now.
    pub replicas: Option<u32>,
    pub change: f64,
}

impl Ask {
    pub fn new(ask: &ask::Ask, data_set: &DataSetName, scale: TimeScale) -> Self {
        let reply = |(agent, reply): (&agent_core::domain::ids::AgentId, &ask::Reply)| Reply {
            agent: agent.0,
            level: reply.level,
            forecasts: reply
                .forecasts
                .iter()
                .map(|((node, replicas), change)| Forecast { node: node.0, replicas: *replicas, change: *change })
                .collect(),
            named: reply.named.iter().map(|node| node.0).collect(),
        };
        Self {
            id: ask.id.0,
            agent: ask.agent.0,
            data_set: data_set.to_string(),
            posted_at: instant(scale, ask.posted_at),
            nodes: ask.nodes.iter().map(|node| node.0).collect(),
            action: ask.action.map(|action| action.to_string()),
            level: ask.level,
            closed: ask.closed,
            replies: ask.replies.iter().map(reply).collect(),
        }
    }
}

/// What others' answers to an action have added up to.
#[derive(Serialize, ToSchema)]
pub struct Counter {
    pub data_set: String,
    pub action: String,
    pub value: u32,
    #[schema(format = DateTime)]
    pub changed_at: String,
}

impl Counter {
    pub fn new(data_set: &DataSetName, action: Action, counter: knowledge::Counter, scale: TimeScale) -> Self {
        let label = Labelled { data_set: None, action };
        Self {
            data_set: data_set.to_string(),
            action: label.to_string(),
            value: counter.value,
            changed_at: instant(scale, counter.changed_at),
        }
    }
}
