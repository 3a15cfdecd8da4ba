//! `agent explain`: why something was done.

use super::simulate;
use crate::app::Purpose;
use crate::cli::arguments::Explain;
use crate::cli::event_document::{EventDocument, FeedbackDocument};
use crate::cli::place::Place;
use crate::cli::print;
use agent_core::clock::TimeScale;
use agent_core::domain::event::Event;
use agent_core::domain::feedback::Feedback;
use agent_core::mape::planner::Decision;
use anyhow::Context as _;
use std::process::ExitCode;

impl Place {
    pub(super) fn explain(&self, arguments: &Explain) -> anyhow::Result<ExitCode> {
        let Explain { event: id, trace, json } = arguments;
        if let Some(trace) = trace {
            return simulate::explain(trace, *id, *json);
        }
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let event = existing.knowledge.event(*id).await?;
            let lists = self.invocation().command("events");
            let event = event.with_context(|| format!("there is no event {id}; `{lists}` lists them"))?;
            let feedback = existing.knowledge.feedback(*id).await?;
            explained(&event, &feedback, Some(existing.scale), *json)
        })
    }
}

/// An event with the decision that it came from. Of a simulation there is no time on the wall.
pub(super) fn explained(
    event: &Event,
    feedback: &[Feedback],
    scale: Option<TimeScale>,
    json: bool,
) -> anyhow::Result<()> {
    let decision: Decision = serde_json::from_str(&event.detail)
        .with_context(|| format!("event {} holds no decision that this version can read", event.id))?;
    let feedback_of = |one: &Feedback| FeedbackDocument::new(one, scale);
    match json {
        true => {
            let feedback: Vec<_> = feedback.iter().map(feedback_of).collect();
            print::json(&(EventDocument::new(event, scale), &decision, feedback))
        }
        false => print::explain(event, &decision, feedback, scale),
    }
}
