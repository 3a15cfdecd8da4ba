//! What people are told while it happens: one line for each job, decision and action.

use crate::domain::action::Action;
use crate::domain::adaptation::Adaptation;
use crate::domain::failure::JobFailure;
use crate::domain::feedback::{ClosedEvent, Feedback};
use crate::domain::ids::{AgentId, DataSetName, EventId, NodeId};
use crate::domain::measurement::Measurement;
use crate::domain::metric::{Metric, Metrics};
use crate::domain::text::{MESSAGE_MAX, shortened};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;

// Most are jobs, which are the largest, and each is told and dropped.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// What an agent is, when it begins.
    Started {
        agent: AgentId,
        node: NodeId,
        goal: String,
        policy: String,
        job: String,
        /// The address of the shared table.
        table: String,
    },
    /// What it was asked to do in place of its configuration, or its configuration again.
    Pursues {
        agent: AgentId,
        goal: String,
        policy: String,
    },
    /// Where applications read its data sets by S3, and the file with what they sign their requests with.
    Serves {
        agent: AgentId,
        endpoint: String,
        buckets: Vec<DataSetName>,
        credentials: String,
    },
    /// It ended in order, and has signed off.
    Stopped {
        agent: AgentId,
    },
    Job {
        measurement: Measurement,
        satisfied: bool,
        violated: Vec<String>,
    },
    JobFailed {
        agent: AgentId,
        node: NodeId,
        #[serde(flatten)]
        failure: JobFailure,
    },
    Decided {
        agent: AgentId,
        action: Action,
        because: String,
    },
    /// How far what was ordered has come.
    Adapted {
        agent: AgentId,
        #[serde(flatten)]
        adaptation: Adaptation,
    },
    Acted {
        agent: AgentId,
        action: Action,
        event: Option<EventId>,
        how: String,
    },
    /// How far something has come that takes long.
    UnderWay {
        agent: AgentId,
        what: String,
    },
    /// To its peers.
    Said {
        agent: AgentId,
        what: String,
    },
    FeedbackLeft {
        feedback: Feedback,
    },
    Closed {
        closed: ClosedEvent,
    },
    /// What becomes of other nodes, as its own sees them.
    Peer {
        agent: AgentId,
        what: String,
    },
    /// By a data set's owner, who makes a new version of it.
    Written {
        agent: AgentId,
        what: String,
    },
    Recovered {
        agent: AgentId,
        what: String,
    },
    Trouble {
        agent: AgentId,
        what: String,
    },
}

impl Notice {
    /// The agent that it is about.
    pub fn agent(&self) -> AgentId {
        match self {
            Notice::Job { measurement, .. } => measurement.agent,
            Notice::FeedbackLeft { feedback } => feedback.agent,
            Notice::Closed { closed } => closed.agent,
            Notice::Started { agent, .. }
            | Notice::Pursues { agent, .. }
            | Notice::Serves { agent, .. }
            | Notice::Stopped { agent }
            | Notice::JobFailed { agent, .. }
            | Notice::Decided { agent, .. }
            | Notice::Adapted { agent, .. }
            | Notice::Acted { agent, .. }
            | Notice::UnderWay { agent, .. }
            | Notice::Said { agent, .. }
            | Notice::Peer { agent, .. }
            | Notice::Written { agent, .. }
            | Notice::Recovered { agent, .. }
            | Notice::Trouble { agent, .. } => *agent,
        }
    }

    /// With the texts of programs and servers no longer than people read.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        let text = match &mut self {
            Notice::JobFailed { failure: JobFailure { why: text, .. }, .. }
            | Notice::Decided { because: text, .. }
            | Notice::Acted { how: text, .. }
            | Notice::UnderWay { what: text, .. }
            | Notice::Said { what: text, .. }
            | Notice::Peer { what: text, .. }
            | Notice::Written { what: text, .. }
            | Notice::Recovered { what: text, .. }
            | Notice::Trouble { what: text, .. } => text,
            Notice::Job { measurement: Measurement { result: Some(text), .. }, .. }
            | Notice::Adapted { adaptation: Adaptation { reason: Some(text), .. }, .. } => text,
            Notice::Started { .. }
            | Notice::Pursues { .. }
            | Notice::Serves { .. }
            | Notice::Stopped { .. }
            | Notice::Job { .. }
            | Notice::Adapted { .. }
            | Notice::FeedbackLeft { .. }
            | Notice::Closed { .. } => return self,
        };
        if let Cow::Owned(short) = shortened(text, MESSAGE_MAX) {
            *text = short;
        }
        self
    }

    /// Everything but the jobs that went as they should: what a live display lists.
    pub fn is_event(&self) -> bool {
        !matches!(self, Notice::Job { .. })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent {}  ", self.agent())?;
        match self {
            Notice::Started { node, goal, policy, job, table, .. } => {
                write!(f, "started   on node {node}; goal {goal}; policy {policy}; job {job}; table {table}")
            }
            Notice::Pursues { goal, policy, .. } => write!(f, "pursues   goal {goal}; policy {policy}"),
            Notice::Serves { endpoint, buckets, credentials, .. } => {
                let buckets = buckets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                write!(f, "serves    {buckets} by S3 on {endpoint}; credentials in {credentials}")
            }
            Notice::Stopped { .. } => f.write_str("stopped"),
            Notice::Job { measurement, satisfied, violated } => {
                let mark = if *satisfied { "ok      " } else { "VIOLATED" };
                write!(f, "job       {mark} node {}  {}", measurement.node, show_metrics(&measurement.metrics))?;
                if let Some(result) = &measurement.result {
                    write!(f, "  result {}", shortened(result, RESULT_SHOWN))?;
                }
                if !violated.is_empty() {
                    write!(f, "  missed: {}", violated.join(", "))?;
                }
                Ok(())
            }
            Notice::JobFailed { node, failure: JobFailure { kind, why }, .. } => {
                write!(f, "job       FAILED on node {node} ({kind}): {why}")
            }
            Notice::Decided { action, because, .. } => write!(f, "decision  {action:<5} {because}"),
            Notice::Adapted { adaptation, .. } => write!(f, "order     {adaptation}"),
            Notice::Acted { action, event, how, .. } => {
                let event = event.map_or(String::new(), |event| format!(" (event {event})"));
                write!(f, "action    {action:<5} {how}{event}")
            }
            Notice::UnderWay { what, .. } => write!(f, "under way {what}"),
            Notice::Said { what, .. } => write!(f, "said      {what}"),
            Notice::FeedbackLeft { feedback } => write!(f, "feedback  {:.2} on event {}", feedback.p, feedback.event),
            Notice::Closed { closed } => write!(
                f,
                "closed    event {} ({}): feedback {:.2}, counter {} -> {}",
                closed.event, closed.action, closed.feedback_sum, closed.counter_before, closed.counter_after
            ),
            Notice::Peer { what, .. } => write!(f, "peer      {what}"),
            Notice::Written { what, .. } => write!(f, "written   {what}"),
            Notice::Recovered { what, .. } => write!(f, "recovery  {what}"),
            Notice::Trouble { what, .. } => write!(f, "trouble   {what}"),
        }
    }
}

/// Of longer results the beginning is shown in a line \[characters\].
pub const RESULT_SHOWN: usize = 80;

/// The metrics in one line: `36.9 s, 15234 records/s, 1003 ms, 97 %, consistency 1`.
pub fn show_metrics(metrics: &Metrics) -> String {
    let is_of_requests = metrics.get(Metric::ErrorRate).is_some();
    let show = |(metric, value): (Metric, f64)| match metric {
        Metric::ResponseTime if is_of_requests => Some(format!("response {value:.3} s")),
        Metric::ResponseTime => Some(format!("response {value:.1} s")),
        Metric::ExecutionTime => None,
        Metric::Throughput => Some(format!("{value:.0} {}", if is_of_requests { "requests/s" } else { "records/s" })),
        Metric::NetworkLatency => Some(format!("latency {value:.0} ms")),
        Metric::Availability => Some(format!("available {value} %")),
        Metric::DataConsistency => Some(format!("consistency {value:.2}")),
        Metric::Staleness => Some(format!("stale {value:.0} s")),
        Metric::ResponseTimeP95 => Some(format!("p95 {value:.3} s")),
        Metric::ResponseTimeP99 => Some(format!("p99 {value:.3} s")),
        Metric::ErrorRate => Some(format!("errors {value:.1} %")),
    };
    metrics.iter().filter_map(show).collect::<Vec<_>>().join(", ")
}
