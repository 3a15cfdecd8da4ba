//! Commands that only look at a network: `agent status`, `agent events`, `agent explain`.

use super::arguments::{Events, Explain, StatusArguments};
use super::commands::Place;
use super::event_document::{EventDocument, FeedbackDocument};
use super::{print, signals, simulate};
use crate::app::status::{self, JobCounter, Timing};
use crate::app::{Existing, Failure, Purpose, summary};
use agent_core::clock::{TimeScale, WallTime};
use agent_core::config::quantity;
use agent_core::config::settings::Settings;
use agent_core::domain::event::Event;
use agent_core::domain::feedback::Feedback;
use agent_core::domain::ids::EventId;
use agent_core::domain::time::Timestamp;
use agent_core::mape::planner::Decision;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

/// How often what is followed is looked at, on the wall.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Exit code of a look at a network that is not well.
const UNHEALTHY: u8 = 4;

/// Puts the cursor at a terminal's top left and clears what is below.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

impl Place {
    pub(super) fn status(&self, arguments: &StatusArguments) -> anyhow::Result<ExitCode> {
        let mut is_healthy = true;
        let code = self.with_knowledge(Purpose::Look, async |settings, existing| {
            let mut jobs = JobCounter::default();
            if !arguments.watch {
                let status = load(settings, existing, &mut jobs).await?;
                is_healthy = status.is_healthy();
                return if arguments.json { print::json(&status) } else { print::status(&status) };
            }
            let is_picture = std::io::stdout().is_terminal() && !arguments.json;
            until_stopped(async || {
                let status = load(settings, existing, &mut jobs).await?;
                match arguments.json {
                    true => print::json_line(&status)?,
                    false => {
                        let head = if is_picture { CLEAR } else { "" };
                        print!("{head}");
                        print::lines([WallTime::now().to_string()])?;
                        print::status(&status)?;
                    }
                }
                // Between two pictures in a file.
                if !is_picture && !arguments.json { print::lines([String::new()]) } else { Ok(()) }
            })
            .await
        })?;
        Ok(if is_healthy { code } else { ExitCode::from(UNHEALTHY) })
    }

    pub(super) fn events(&self, arguments: &Events) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Look, async |_, existing| {
            let wanted = Wanted::new(arguments, existing)?;
            let scale = existing.scale;
            let mut events = wanted.of(summary::all_events(existing.knowledge.as_ref()).await?);
            if let Some(limit) = arguments.limit {
                events.drain(..events.len().saturating_sub(limit));
            }
            if !arguments.follow {
                let documents = || events.iter().map(|event| EventDocument::new(event, Some(scale)));
                return match arguments.json {
                    true => print::json(&documents().collect::<Vec<_>>()),
                    false => print::lines(events.iter().map(|event| print::event_line(event, scale))),
                };
            }
            let since = events.first().map_or(EventId(0), |event| event.id);
            let mut shown: BTreeMap<EventId, Event> = BTreeMap::new();
            until_stopped(async || {
                let all = wanted.of(summary::all_events(existing.knowledge.as_ref()).await?);
                let all = all.into_iter().filter(|event| event.id >= since);
                all.into_iter().try_for_each(|event| show_change(&mut shown, event, scale, arguments.json))
            })
            .await
        })
    }

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

async fn load(settings: &Settings, existing: &Existing, jobs: &mut JobCounter) -> anyhow::Result<status::Status> {
    let network = &settings.network;
    let timing = Timing { silence: network.silence(), scale: existing.scale };
    status::load(existing.knowledge.as_ref(), &network.data_set.name, timing, jobs).await
}

/// Looks again and again, until a signal.
async fn until_stopped(mut look: impl AsyncFnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let stop = signals::stop();
    tokio::pin!(stop);
    loop {
        look().await?;
        std::io::stdout().flush()?;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = &mut stop => return Ok(()),
        }
    }
}

/// Shows an event when it is new, and when it changes: an outcome, feedback, the end of its window.
fn show_change(shown: &mut BTreeMap<EventId, Event>, event: Event, scale: TimeScale, json: bool) -> anyhow::Result<()> {
    if shown.get(&event.id) == Some(&event) {
        return Ok(());
    }
    match json {
        true => print::json_line(&EventDocument::new(&event, Some(scale)))?,
        false => print::lines([print::event_line(&event, scale)])?,
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
