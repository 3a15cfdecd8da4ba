//! Experiments of load: what state they are in, who queued them, and what they came to.

use super::Looking;
use crate::api::Api;
use crate::api::page::choice;
use crate::api::problem::Problem;
use crate::app::load::experiments;
use agent_core::domain::text::{LINE_MAX, MESSAGE_MAX, NAME_MAX, legible, legible_lines};
use agent_core::domain::time::Timestamp;
use agent_load::register::experiment::{Experiment, State};
use maud::{Markup, html};
use serde_json::Value;

/// So many are listed, the latest.
const LISTED: usize = 50;

pub async fn experiments(api: &Api, looking: &Looking) -> Result<Markup, Problem> {
    let listed = experiments::list(api.load(), &[], LISTED + 1).await?;
    let waits_for_nobody = experiments::waits_for_nobody(api.load(), api.surroundings.clock.as_ref()).await?;
    Ok(html! {
        section #list aria-labelledby="list-title" {
            h2 #list-title { "Experiments" }
            @if api.simulation.is_some() {
                p { "This network is a simulation: it makes no load. What is designed here can be exported." }
            } @else if listed.is_empty() {
                p { "None yet. What is queued here waits until a daemon runs it: " code { "agent load daemon" } "." }
            }
            @if waits_for_nobody {
                p.worry role="status" {
                    "No daemon seems to run: what is queued waits until one does. " code { "agent load daemon" } " starts it."
                }
            }
            @if !listed.is_empty() { (table(api, &listed, looking)) }
            @if listed.len() > LISTED { p { small { "These are the latest " (LISTED) "; " code { "agent load list" } " has more." } } }
        }
        @if let Some(id) = looking.experiment { (chosen(api, id).await?) }
    })
}

fn table(api: &Api, listed: &[Experiment], looking: &Looking) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr {
                    th { "Experiment" } th { "State" } th { "Queued" } th.number { "Requests" } th.number { "Errors" }
                    th.number { "50 %, ms" } th.number { "95 %, ms" } th.number { "99 %, ms" } th { "" }
                } }
                tbody {
                    @for it in listed.iter().take(LISTED) {
                        @let is_chosen = looking.experiment == Some(it.id.0);
                        @let way = Looking::at(if is_chosen { None } else { Some(it.id.0) });
                        @let name = format!("{} {}", it.id, legible(&it.name, NAME_MAX));
                        tr {
                            td { (choice(&way, is_chosen, &name)) }
                            td.(class(it.state)) { (state(it)) }
                            td { (at(api, it.queued_at)) " by " (legible(&it.queued_by, LINE_MAX)) }
                            (figures(it.summary.as_ref()))
                            td { (cancel(it)) }
                        }
                    }
                }
            }
        }
    }
}

fn class(state: State) -> &'static str {
    match state {
        State::Queued | State::Cancelled => "quiet",
        State::Running | State::Finished => "good",
        State::Failed => "bad",
    }
}

/// Beside its state, that it was begun more often than once, or is to end.
fn state(it: &Experiment) -> String {
    match it.state {
        State::Running if it.cancelled_by.is_some() => "running, to end".to_owned(),
        State::Running if it.begun > 1 => format!("running, begun {} times", it.begun),
        State::Queued | State::Running | State::Finished | State::Failed | State::Cancelled => it.state.to_string(),
    }
}

fn cancel(it: &Experiment) -> Markup {
    let can_be = !it.state.is_over() && it.cancelled_by.is_none();
    let (word, path) = (if it.state == State::Running { "Stop" } else { "Cancel" }, it.id);
    html! { @if can_be {
        button type="button" data-method="POST" data-path={ "/api/v1/load/experiments/" (path) "/cancel" }
            aria-label={ (word) " experiment " (it.id) } { (word) }
    } }
}

/// How many requests, how many errors, and three times that most are not above.
fn figures(summary: Option<&Value>) -> Markup {
    let Some(summary) = summary else { return html! { td {} td {} td {} td {} td {} } };
    let time = |name: &str| summary["response_ms"][name].as_f64().map_or("-".to_owned(), |ms| format!("{ms:.2}"));
    html! {
        td.number { (summary["intended"].as_u64().unwrap_or_default()) }
        td.number.bad[errors(summary) > 0] { (errors(summary)) }
        @for name in ["p50", "p95", "p99"] { td.number { (time(name)) } }
    }
}

fn errors(summary: &Value) -> u64 {
    summary["errors"].as_object().into_iter().flat_map(|kinds| kinds.values()).filter_map(Value::as_u64).sum()
}

/// The experiment that is chosen.
async fn chosen(api: &Api, id: i64) -> Result<Markup, Problem> {
    let it = match api.experiment(id).await {
        Ok(it) => it,
        Err(problem) => return Ok(html! { div.chosen { p { (problem.detail()) } } }),
    };
    let text = api.load().files(it.id).await?.remove(&it.file).unwrap_or_default();
    Ok(html! {
        div.chosen {
            h3 { "Experiment " (it.id) " " (legible(&it.name, NAME_MAX)) }
            dl {
                dt { "State" } dd { (state(&it)) }
                @if let Some(why) = &it.reason { dt { "Why" } dd { (legible_lines(why, MESSAGE_MAX)) } }
                @if let Some(started) = it.started_at { dt { "Begun" } dd { (at(api, started)) } }
                @if let Some(ended) = it.ended_at { dt { "Ended" } dd { (at(api, ended)) } }
                @if let Some(claim) = &it.claim { dt { "Daemon" } dd { (legible(&claim.holder.0, LINE_MAX)) } }
            }
            @if let Some(summary) = &it.summary { (summarised(summary)) }
            pre { (legible_lines(&text, MESSAGE_MAX)) }
            p {
                a href=(Looking::at(None)) { "Close" } " "
                button type="button" data-open=(it.id) { "Design from it" }
            }
        }
    })
}

/// More of what it came to.
fn summarised(summary: &Value) -> Markup {
    let count = |name: &str| summary[name].as_u64().unwrap_or_default();
    let number = |name: &str| summary[name].as_f64().map_or("-".to_owned(), |number| format!("{number:.1}"));
    let kinds = summary["errors"].as_object().into_iter().flatten();
    let services = summary["services"].as_array().into_iter().flatten();
    html! {
        p {
            (count("intended")) " requests meant, " (count("sent")) " sent, " (count("done")) " answered; "
            (errors(summary)) " errors, of these " (count("dropped")) " dropped; " (count("late")) " sent late. "
            (number("rate_intended")) "/s intended, " (number("rate_achieved")) "/s answered, for " (number("lasted_s")) " s."
        }
        @if errors(summary) > 0 { p.bad { @for (kind, count) in kinds { (legible(kind, NAME_MAX)) " " (count) " " } } }
        div.wide {
            table {
                thead { tr {
                    th { "Service" } th.number { "Requests" } th.number { "Errors" }
                    th.number { "50 %, ms" } th.number { "95 %, ms" } th.number { "99 %, ms" }
                } }
                tbody { @for service in services {
                    tr {
                        td { (legible(service["service"].as_str().unwrap_or_default(), NAME_MAX)) }
                        (figures(Some(service)))
                    }
                } }
            }
        }
    }
}

/// To the second, as people read it.
fn at(api: &Api, at: Timestamp) -> String {
    let instant = api.scale.on_the_wall(at).to_string();
    instant.split('.').next().unwrap_or_default().replace('T', " ")
}
