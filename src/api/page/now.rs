//! What the network is like: whether every goal is met, where the data is, who reads it, and what was just done.

use super::{Looking, choice, events, history, jobs, map, node_name, time_of_day};
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::routes::events::instant;
use crate::api::view::View;
use crate::api::wire::Agent;
use agent_core::domain::units::show_bytes;
use maud::{Markup, html};

/// Agents that are shown with their jobs; of more, only those whose goal is missed or that are chosen.
const WITH_JOBS: usize = 30;

/// `view`: as it is; what is shown may be an earlier moment.
pub async fn now(api: &Api, view: View, looking: &Looking) -> Result<Markup, Problem> {
    let view = match instant("until", looking.until.as_deref(), api.scale)? {
        Some(then) if then < api.surroundings.clock.now() => api.look_back(view, then).await?,
        Some(_) | None => view,
    };
    let line = history::line(api, looking).await?;
    let strips = jobs::strips(api, &shown(&view, looking), looking).await?;
    let events = events::events(api, looking).await?;
    Ok(html! {
        (summary(api, &view))
        (line)
        section #map aria-labelledby="map-title" {
            h2 #map-title { "Network" }
            (data_sets(&view, looking))
            (map::map(&view, looking))
            (node(&view, looking))
        }
        section #applications aria-labelledby="applications-title" {
            h2 #applications-title { "Applications" }
            @if view.agents.is_empty() { p { "No application is registered." } }
            @for (agent, strip) in strips { (application(agent, &strip, looking)) }
            (left_out(&view, looking))
        }
        (events)
    })
}

fn shown<'a>(view: &'a View, looking: &Looking) -> Vec<&'a Agent> {
    let is_chosen = |agent: &&Agent| looking.agent.is_none_or(|chosen| chosen == agent.id);
    let reads = |agent: &&Agent| {
        looking.data_set.as_ref().is_none_or(|name| agent.reads.iter().any(|reads| reads.data_set == *name))
    };
    let mut all: Vec<&Agent> = view.agents.values().filter(is_chosen).filter(reads).collect();
    if all.len() > WITH_JOBS {
        all.sort_by_key(|agent| (agent.goal_met == Some(true), agent.id));
        all.truncate(WITH_JOBS);
        all.sort_by_key(|agent| agent.id);
    }
    all
}

fn left_out(view: &View, looking: &Looking) -> Markup {
    let left = view.agents.len().saturating_sub(shown(view, looking).len());
    html! { @if looking.agent.is_some() {
        p { a href=(looking.at_agent(None)) { "All applications" } }
    } @else if left > 0 {
        p { (left) " more, whose goals are met" }
    } }
}

fn summary(api: &Api, view: &View) -> Markup {
    let count = |met: Option<bool>| view.agents.values().filter(|agent| agent.goal_met == met).count();
    let (met, missed) = (count(Some(true)), count(Some(false)));
    let converged = !view.statuses.is_empty() && view.statuses.iter().all(|status| status.converged);
    let paused = view.statuses.iter().any(|status| status.paused);
    let mut worries: Vec<&String> =
        view.statuses.iter().flat_map(|status| status.broken.iter().chain(&status.unhealthy)).collect();
    worries.sort();
    worries.dedup();
    html! {
        section #summary aria-labelledby="summary-title" {
            h2 #summary-title { "Goals" }
            p.figures {
                span.figure.good { b { (met) } " met" } " "
                span.figure.bad[missed > 0] { b { (missed) } " missed" } " "
                span.figure { b { (view.nodes.len()) } " nodes" } " "
                span.figure { (if converged { "converged" } else { "not converged" }) } " "
                @if paused { span.figure.bad { "paused" } " " }
                @match &api.simulation {
                    Some(pace) => { span.figure.quiet { (super::pace::told(&pace.standing())) } }
                    None => { span.figure.quiet { "at " (time_of_day(&api.now().to_string()).split('.').next().unwrap_or_default()) " UTC" } }
                }
            }
            @if !worries.is_empty() {
                ul.worries { @for worry in worries { li { (worry) } } }
            }
        }
    }
}

/// What there is to be placed; a choice where there are several.
fn data_sets(view: &View, looking: &Looking) -> Markup {
    html! {
        ul.choices {
            @if view.statuses.len() > 1 { li { (choice(&looking.at_data_set(None), looking.data_set.is_none(), "all")) } }
            @for (snapshot, status) in view.snapshots.iter().zip(&view.statuses) { li {
                @let name = status.data_set.to_string();
                (choice(&looking.at_data_set(Some(&name)), looking.data_set.as_deref() == Some(&name), &name))
                " " small {
                    (show_bytes(snapshot.data_set.bytes)) ", version " (status.version) ", on "
                    @for (at, replica) in status.replicas.iter().enumerate() {
                        @if at > 0 { ", " }
                        (replica.node)
                        @if replica.state.name() != "present" { " (" (replica.state.name()) ")" }
                        @if replica.behind.is_some() { " (behind)" }
                    }
                }
            } }
        }
    }
}

/// With two decimals at most.
fn round(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// The node that is chosen.
fn node(view: &View, looking: &Looking) -> Markup {
    let Some(node) = looking.node.and_then(|id| view.nodes.get(&id)) else { return html! {} };
    html! {
        div.chosen {
            h3 { "Node " (node_name(node)) }
            dl {
                dt { "State" } dd { (node.state) @if let Some(at) = &node.silent_since { ", silent since " (at) } }
                dt { "Availability" } dd {
                    (round(node.availability_percent)) " % " (node.availability_basis)
                    @if let Some(measured) = node.measured_availability_percent {
                        @if node.availability_basis != "measured" { ", " (round(measured)) " % measured" }
                    }
                }
                dt { "Stored" } dd {
                    (show_bytes(node.stored_bytes))
                    @if let Some(capacity) = node.capacity_bytes { " of " (show_bytes(capacity)) }
                }
                dt { "Store" } dd { (node.store_url.as_deref().unwrap_or("none yet")) }
                @if !node.labels.is_empty() {
                    dt { "Labels" } dd { @for (name, value) in &node.labels { (name) "=" (value) " " } }
                }
            }
            p {
                a href=(looking.at_node(None)) { "Close" } " "
                @if looking.until.is_none() {
                    button type="button" data-method="DELETE" data-path={ "/api/v1/nodes/" (node.id) }
                        data-sure={ "Remove node " (node_name(node)) "? It is refused while it holds the only replica of something, or an application runs there." } { "Remove" }
                }
            }
        }
    }
}

/// An application: what it asked for, what it got, and what is in the way.
fn application(agent: &Agent, strip: &Markup, looking: &Looking) -> Markup {
    let (class, word) = match agent.goal_met {
        Some(true) => ("good", "met"),
        Some(false) => ("bad", "missed"),
        None if agent.failed_in_a_row > 0 => ("bad", "failing"),
        None => ("quiet", "no job yet"),
    };
    let is_chosen = looking.agent == Some(agent.id);
    html! {
        article.application {
            h3 {
                (choice(&looking.at_agent(if is_chosen { None } else { Some(agent.id) }), is_chosen, &format!("Agent {}", agent.id)))
                " " span.state.(class) { (word) }
                @if !agent.alive { " " span.state.bad { "silent" } }
            }
            p.goal { code { (agent.goal) } }
            p {
                "on node " (agent.node) ", reads "
                @for (at, reads) in agent.reads.iter().enumerate() {
                    @if at > 0 { ", " }
                    @if agent.reads.len() > 1 { (reads.data_set) " on " }
                    @match reads.node { Some(node) => { "node " (node) }, None => { "nothing" } }
                }
                "; " (agent.jobs) " jobs, " (agent.violated_jobs) " violated, " (agent.failed_jobs) " failed; " (agent.policy)
            }
            (strip)
            @if let Some(job) = &agent.last_job {
                @if let Some(why) = &job.failure { p.worry { (why) } }
            }
        }
    }
}
