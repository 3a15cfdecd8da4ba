//! What can be changed. Nothing is until it is applied: the script collects what was edited.

use super::{Looking, node_name};
use crate::api::view::View;
use crate::api::wire::Agent;
use agent_core::mape::planner::POLICIES;
use maud::{Markup, html};

/// With so many nodes all can be edited here; with more, the one that is chosen on the map.
const EDITED: usize = 16;
/// With so many, links as well.
const WITH_LINKS: usize = 6;

pub fn changes(view: &View, looking: &Looking) -> Markup {
    let is_edited = |id: u32| view.nodes.len() <= EDITED || looking.node == Some(id);
    let nodes: Vec<_> = view.nodes.values().filter(|node| is_edited(node.id)).collect();
    let links = view.snapshots.first().into_iter().flat_map(|snapshot| snapshot.links_in_force());
    let is_shown = |from: u32, to: u32| match looking.node {
        Some(chosen) => from == chosen || to == chosen,
        None => view.nodes.len() <= WITH_LINKS,
    };
    let links: Vec<_> = links.filter(|link| is_shown(link.from.0, link.to.0)).collect();
    let chosen = view.agents.values().filter(|agent| looking.agent == Some(agent.id));
    let paused = view.statuses.iter().any(|status| status.paused);
    html! {
        form #edits autocomplete="off" {
            div.columns {
                fieldset {
                    legend { "Availability, %" }
                    @if nodes.is_empty() { p { "Choose a node on the map." } }
                    @for node in nodes {
                        label { span { (node_name(node)) }
                            input type="number" min="0" max="100" step="any" value=(node.availability_percent)
                                data-path={ "/api/v1/nodes/" (node.id) } data-member="availability_percent"; }
                    }
                }
                fieldset {
                    legend { "Latency, ms" }
                    @if links.is_empty() { p { "Choose a node on the map." } }
                    @for link in links {
                        label { span { (link.from) " to " (link.to) }
                            input type="number" min="0" step="any" value=(link.latency_ms)
                                data-path={ "/api/v1/links/" (link.from) "/" (link.to) } data-member="latency_ms" data-one-way="true"; }
                    }
                }
                @for agent in chosen { (application(agent)) }
            }
            p {
                span #staged role="status" { "Nothing is changed yet." } " "
                button #apply type="submit" disabled { "Apply" } " "
                button #revert type="button" disabled { "Revert" }
            }
        }
        p {
            button #pause type="button" { (if paused { "Pause again" } else { "Pause all actions" }) } " "
            button #resume type="button" { "Resume" } " "
            button #plan type="button" { "What would be done now?" } " "
            button #do type="button" hidden { "Do it" }
        }
        div #planned role="status" {}
        (addition(view))
    }
}

/// What an application asks for, and how it decides.
fn application(agent: &Agent) -> Markup {
    let path = format!("/api/v1/agents/{}", agent.id);
    let field = |what: &str, member: &str, asked: &Option<String>, in_force: &str| {
        let own = asked.is_none();
        html! {
            label { span { (what) " of agent " (agent.id) }
                input.goal type="text" value=(asked.as_deref().unwrap_or(in_force)) spellcheck="false" placeholder="as its configuration says"
                    list=[(member == "policy").then_some("policies")]
                    data-path=(path) data-member=(member) data-kind="text" data-own[own]; }
        }
    };
    html! {
        fieldset {
            legend { "Agent " (agent.id) }
            (field("Goal", "goal", &agent.goal_override, &agent.goal))
            (field("Policy", "policy", &agent.policy_override, &agent.policy))
            datalist #policies { @for policy in POLICIES { option value=(policy) {} } }
            p { small { "In place of its configuration, from its next job on. Empty: as that says." } }
            @if is_ahead(&agent.goal_override, &agent.goal) || is_ahead(&agent.policy_override, &agent.policy) {
                p role="status" { "Not followed so far: it pursues " code { (agent.goal) } " with " code { (agent.policy) }
                    ". If it cannot do otherwise, its own output says why." }
            }
        }
    }
}

/// Whether what is asked of an agent is not what it does.
fn is_ahead(asked: &Option<String>, in_force: &str) -> bool {
    asked.as_deref().is_some_and(|asked| asked != in_force)
}

/// A node that comes.
fn addition(view: &View) -> Markup {
    let nodes = view.nodes.keys().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let field = |name: &str, text: &str, kind: &str, value: &str, example: &str| {
        html! { label { span { (text) } input type=(kind) name=(name) value=(value) placeholder=(example) min="0" step="any"; } }
    };
    html! {
        details {
            summary { "Add a node" }
            form #addition autocomplete="off" data-nodes=(nodes) {
                fieldset {
                    legend { "A node that comes" }
                    (field("name", "Name", "text", "", "node-4"))
                    (field("availability_percent", "Availability, %", "number", "99", ""))
                    (field("latency_ms", "Latency to and from every node, ms", "number", "100", ""))
                    (field("store_url", "Store", "text", "", "what agent store starts"))
                    button type="submit" { "Add" }
                }
            }
        }
    }
}
