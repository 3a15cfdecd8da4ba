//! What can be changed. Nothing is until it is applied: the script collects what was edited.

use super::{Looking, node_name};
use crate::api::Api;
use crate::api::problem::Problem;
use maud::{Markup, html};

/// With so many nodes all can be edited here; with more, the one that is chosen on the map.
const EDITED: usize = 16;
/// With so many, links as well.
const WITH_LINKS: usize = 6;

pub async fn changes(api: &Api, looking: &Looking) -> Result<Markup, Problem> {
    let view = api.view().await?;
    let is_edited = |id: u32| view.nodes.len() <= EDITED || looking.node == Some(id);
    let nodes: Vec<_> = view.nodes.values().filter(|node| is_edited(node.id)).collect();
    let links = view.snapshots.first().into_iter().flat_map(|snapshot| snapshot.links.iter());
    let is_shown = |from: u32, to: u32| match looking.node {
        Some(chosen) => from == chosen || to == chosen,
        None => view.nodes.len() <= WITH_LINKS,
    };
    let links: Vec<_> = links.filter(|link| is_shown(link.from.0, link.to.0)).collect();
    let paused = view.statuses.iter().any(|status| status.paused);
    Ok(html! {
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
    })
}
