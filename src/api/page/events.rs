//! What was done, with the explanation of the event that is chosen; and what was said before.

use super::{Looking, time_of_day};
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::routes::events::instant;
use crate::api::wire::{Ask, Event};
use crate::knowledge::{Order, Selection};
use agent_core::domain::ids::{AgentId, EventId};
use agent_core::domain::text::{MESSAGE_MAX, legible_lines};
use agent_core::mape::planner::Decision;
use maud::{Markup, html};
use std::time::Duration;

const SHOWN: usize = 30;
/// So far back it is shown what was said, in scenario time.
const SAID_WITHIN: Duration = Duration::from_secs(1800);

pub async fn events(api: &Api, looking: &Looking) -> Result<Markup, Problem> {
    let all = Selection::default();
    let asked = Selection {
        agent: looking.agent.map(AgentId),
        data_set: looking.data_set.as_deref().map(Into::into),
        since: instant("since", looking.since.as_deref(), api.scale)?.unwrap_or(all.since),
        until: instant("until", looking.until.as_deref(), api.scale)?.unwrap_or(all.until),
        order: Order::NewestFirst,
        limit: SHOWN,
        ..all
    };
    let events = api.knowledge().select_events(&asked).await?;
    let chosen = explained(api, looking).await?;
    Ok(html! {
        section #events aria-labelledby="events-title" {
            h2 #events-title { "Events" }
            (period(looking))
            (chosen)
            @if events.is_empty() { p { "Nothing was done." } } @else {
                div.wide { table {
                    thead { tr { th { "Event" } th { "At" } th { "Agent" } th { "Action" } th { "Outcome" } th { "Feedback" } th { "Because" } } }
                    tbody { @for event in &events {
                        @let told = Event::new(event, api.scale);
                        @let decision: Option<Decision> = serde_json::from_str(&event.detail).ok();
                        tr {
                            td { a href=(looking.at_event(Some(told.id))) aria-current=[(looking.event == Some(told.id)).then_some("true")] { (told.id) } }
                            td { time datetime=(told.posted_at) { (time_of_day(&told.posted_at)) } }
                            td { (told.agent) }
                            td { (told.action) @if looking.data_set.is_none() { " " small { (told.data_set) } } }
                            td.(told.outcome) { (told.outcome) @if told.window == "open" { ", window open" } }
                            td { (format!("{:.2}", told.feedback_sum)) }
                            td { (decision.map(|decision| decision.because()).unwrap_or_default()) }
                        }
                    } }
                } }
                p { "The latest " (events.len()) ". "
                    a href="/api/v1/events?limit=1000&sort=descending" download="events.json" { "Download" } }
            }
            (said(api, looking).await?)
        }
    })
}

/// Which time is looked at.
fn period(looking: &Looking) -> Markup {
    html! {
        form.period method="get" action="/" {
            @if let Some(agent) = looking.agent { input type="hidden" name="agent" value=(agent); }
            @if let Some(data_set) = &looking.data_set { input type="hidden" name="data_set" value=(data_set); }
            label { "since " input name="since" value=(looking.since.as_deref().unwrap_or_default()) placeholder="2026-03-01T12:00:00Z"; } " "
            label { "until " input name="until" value=(looking.until.as_deref().unwrap_or_default()) placeholder="now"; } " "
            button type="submit" { "Look" }
        }
    }
}

async fn explained(api: &Api, looking: &Looking) -> Result<Markup, Problem> {
    let Some(id) = looking.event else { return Ok(html! {}) };
    let Some(event) = api.knowledge().event(EventId(id)).await? else {
        return Ok(html! { p.worry { "There is no event " (id) "." } });
    };
    let feedback = api.knowledge().feedback(event.id).await?;
    let told = Event::new(&event, api.scale);
    let decision: Option<Decision> = serde_json::from_str(&event.detail).ok();
    Ok(html! {
        div.chosen {
            h3 { "Event " (id) ": agent " (told.agent) " chose " (told.action) }
            @match decision {
                None => { pre { (legible_lines(&event.detail, MESSAGE_MAX)) } }
                Some(decision) => {
                    dl {
                        dt { "Because" } dd { (decision.because()) }
                        dt { "Goal" } dd { code { (decision.goal) } }
                        dt { "Violated" } dd { @if decision.violated.is_empty() { "nothing yet" } @else { (decision.violated.join(", ")) } }
                        dt { "Read" } dd { "node " (decision.reference_node) ", replicas on "
                            (decision.replica_nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }
                        dt { "Policy" } dd { (decision.policy) }
                        dt { "Outcome" } dd { (told.outcome) ", window " (told.window) }
                        @for left in &feedback { dt { "Feedback" } dd { "agent " (left.agent) ": " (format!("{:.2}", left.p)) } }
                    }
                }
            }
            p { a href={ "/api/v1/events/" (id) } { "Everything, as JSON" } " · " a href=(looking.at_event(None)) { "Close" } }
        }
    })
}

/// Questions and answers.
async fn said(api: &Api, looking: &Looking) -> Result<Markup, Problem> {
    let mut asks = Vec::new();
    for name in api.knowledge().data_sets().await? {
        if looking.data_set.as_ref().is_some_and(|chosen| *chosen != *name.0) {
            continue;
        }
        let conversation = api.knowledge().conversation(&name, SAID_WITHIN).await?;
        asks.extend(conversation.iter().rev().take(SHOWN).map(|ask| Ask::new(ask, &name, api.scale)));
    }
    asks.sort_by_key(|ask| std::cmp::Reverse(ask.id));
    asks.retain(|ask| {
        looking.agent.is_none_or(|agent| ask.agent == agent || ask.replies.iter().any(|reply| reply.agent == agent))
    });
    asks.truncate(10);
    Ok(html! { @if !asks.is_empty() {
        h3 { "Said lately" }
        ul.said { @for ask in &asks { li {
            time datetime=(ask.posted_at) { (time_of_day(&ask.posted_at)) } " agent " (ask.agent) " asks about nodes "
            (ask.nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            " (content to " (format!("{:.2}", ask.level)) ")"
            @for reply in &ask.replies {
                "; agent " (reply.agent) ": "
                @if reply.forecasts.is_empty() { "nothing changes" }
                @for forecast in &reply.forecasts { (forecast.node) " " (format!("{:+.2}", forecast.change)) " " }
            }
        } } }
    } })
}
