//! `agent explain`: why something was done, or is not.

use super::simulate;
use crate::app::catalogue::Catalogue;
use crate::app::environment::{self, Environment};
use crate::app::{Purpose, why_not};
use crate::cli::arguments::Explain;
use crate::cli::event_document::{EventDocument, FeedbackDocument};
use crate::cli::place::Place;
use crate::cli::print;
use agent_core::clock::TimeScale;
use agent_core::domain::action::Labelled;
use agent_core::domain::event::Event;
use agent_core::domain::feedback::Feedback;
use agent_core::domain::ids::AgentId;
use agent_core::mape::planner::Decision;
use anyhow::Context as _;
use std::process::ExitCode;

impl Place {
    pub(super) fn explain(&self, arguments: &Explain) -> anyhow::Result<ExitCode> {
        let Explain { event, not_done, trace, json } = arguments;
        if let Some(action) = &not_done.action {
            return self.why_not(action.clone(), not_done.agent, *json);
        }
        // The arguments ask for one of them.
        let id = &event.context("an event's number is missing")?;
        if let Some(trace) = trace {
            return simulate::explain(trace, *id, *json);
        }
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let event = existing.knowledge.event(*id).await?;
            let lists = self.invocation().command("events");
            let event = event.with_context(|| format!("there is no event {id}; `{lists}` lists them"))?;
            let feedback = existing.knowledge.feedback(*id).await?;
            let snapshot = existing.knowledge.snapshot(&event.data_set).await?;
            let environment = snapshot.and_then(|snapshot| environment::of(&snapshot, &event));
            explained(&event, &feedback, environment.as_ref(), Some(existing.scale), *json)
        })
    }
}

impl Place {
    fn why_not(&self, action: Labelled, agent: Option<AgentId>, json: bool) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let knowledge = existing.knowledge.as_ref();
            let catalogue = Catalogue::load(knowledge).await?;
            let why = why_not::why_not(knowledge, &catalogue.snapshots, action, agent).await?;
            if json { print::json(&why) } else { print::why_not(&why) }
        })
    }
}

/// An event with the decision that it came from. Of a simulation there is no time on the wall.
pub(super) fn explained(
    event: &Event,
    feedback: &[Feedback],
    environment: Option<&Environment>,
    scale: Option<TimeScale>,
    json: bool,
) -> anyhow::Result<()> {
    let decision: Decision = serde_json::from_str(&event.detail)
        .with_context(|| format!("event {} holds no decision that this version can read", event.id))?;
    let feedback_of = |one: &Feedback| FeedbackDocument::new(one, scale);
    match json {
        true => {
            let feedback: Vec<_> = feedback.iter().map(feedback_of).collect();
            let event = EventDocument::new(event, scale);
            match environment {
                Some(environment) => print::json(&(event, &decision, feedback, environment)),
                None => print::json(&(event, &decision, feedback)),
            }
        }
        false => {
            print::explain(event, &decision, feedback, scale)?;
            environment.map_or(Ok(()), print::environment)
        }
    }
}
