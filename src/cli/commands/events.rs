//! `agent events`: what was done.

use super::follow::until_stopped;
use crate::app::{Existing, Failure, Purpose, summary};
use crate::cli::arguments::Events;
use crate::cli::event_document::EventDocument;
use crate::cli::place::Place;
use crate::cli::print;
use agent_core::clock::{TimeScale, WallTime};
use agent_core::config::quantity;
use agent_core::domain::event::Event;
use agent_core::domain::ids::EventId;
use agent_core::domain::time::Timestamp;
use std::collections::BTreeMap;
use std::process::ExitCode;

impl Place {
    pub(super) fn events(&self, arguments: &Events) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let wanted = Wanted::new(arguments, existing)?;
            let scale = existing.scale;
            let several = existing.knowledge.data_sets().await?.len() > 1;
            let mut events = wanted.of(summary::all_events(existing.knowledge.as_ref()).await?);
            if let Some(limit) = arguments.limit {
                events.drain(..events.len().saturating_sub(limit));
            }
            if !arguments.follow {
                let documents = || events.iter().map(|event| EventDocument::new(event, Some(scale)));
                return match arguments.json {
                    true => print::json(&documents().collect::<Vec<_>>()),
                    false => print::lines(events.iter().map(|event| print::event_line(event, several, scale))),
                };
            }
            let since = events.first().map_or(EventId(0), |event| event.id);
            let mut shown: BTreeMap<EventId, Event> = BTreeMap::new();
            until_stopped(async || {
                let all = wanted.of(summary::all_events(existing.knowledge.as_ref()).await?);
                let all = all.into_iter().filter(|event| event.id >= since);
                all.into_iter().try_for_each(|event| show_change(&mut shown, event, several, scale, arguments.json))
            })
            .await
        })
    }
}

/// Shows an event when it is new, and when it changes: an outcome, feedback, the end of its window.
fn show_change(
    shown: &mut BTreeMap<EventId, Event>,
    event: Event,
    several: bool,
    scale: TimeScale,
    json: bool,
) -> anyhow::Result<()> {
    if shown.get(&event.id) == Some(&event) {
        return Ok(());
    }
    match json {
        true => print::json_line(&EventDocument::new(&event, Some(scale)))?,
        false => print::lines([print::event_line(&event, several, scale)])?,
    }
    shown.insert(event.id, event);
    Ok(())
}

/// Which events are asked for.
struct Wanted<'a> {
    arguments: &'a Events,
    since: Option<Timestamp>,
}

impl<'a> Wanted<'a> {
    fn new(arguments: &'a Events, existing: &Existing) -> anyhow::Result<Self> {
        let since = arguments.since.as_deref().map(|text| since(text, existing)).transpose()?;
        Ok(Self { arguments, since })
    }

    fn has(&self, event: &Event) -> bool {
        self.arguments.agent.is_none_or(|agent| event.agent == agent)
            && self.since.is_none_or(|since| event.posted_at >= since)
    }

    fn of(&self, events: Vec<Event>) -> Vec<Event> {
        events.into_iter().filter(|event| self.has(event)).collect()
    }
}

/// `2026-03-01T12:00:00Z`, or how long ago in the scenario.
fn since(text: &str, existing: &Existing) -> Result<Timestamp, Failure> {
    if let Ok(at) = text.parse::<WallTime>() {
        return Ok(existing.scale.in_the_scenario(at));
    }
    let ago = quantity::duration(text).map_err(|invalid| {
        Failure::Configuration(format!("--since {text}: {invalid}, or an instant like `2026-03-01T12:00:00Z`"))
    })?;
    let back = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    Ok(Timestamp(existing.clock.now().0.saturating_sub(back)))
}
