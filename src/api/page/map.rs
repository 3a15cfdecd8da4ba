//! The network drawn: nodes with their replicas, who reads where, links, and what is under way.

use super::{Looking, node_name};
use crate::api::view::View;
use crate::api::wire::Node;
use agent_core::domain::event::Outcome;
use agent_core::domain::ids::NodeId;
use maud::{Markup, html};
use std::collections::BTreeMap;
use std::f64::consts::TAU;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
/// With so many nodes links are drawn; with more there would be nothing else to see.
const WITH_LINKS: usize = 8;
/// With so many they stand in a circle, with more in rows.
const IN_A_CIRCLE: usize = 16;

type Place = (f64, f64);

pub fn map(view: &View, looking: &Looking) -> Markup {
    let places = places(view);
    let radius = if places.len() <= IN_A_CIRCLE { 22.0 } else { 11.0 };
    html! {
        figure.map {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="group" aria-label="Nodes, replicas and who reads where" {
                @if places.len() <= WITH_LINKS { (links(view, &places)) }
                (reads(view, looking, &places))
                (under_way(view, looking, &places))
                @for node in view.nodes.values() { (drawn(view, looking, node, places[&node.id], radius)) }
            }
            figcaption { "A filled node holds a replica; an arrow leads from an application to what it reads. " (listed(view, looking)) }
        }
    }
}

fn places(view: &View) -> BTreeMap<u32, Place> {
    let count = view.nodes.len();
    let place = |at: usize| match count <= IN_A_CIRCLE {
        true => {
            let angle = TAU * at as f64 / count.max(1) as f64 - TAU / 4.0;
            (WIDTH / 2.0 + angle.cos() * WIDTH * 0.36, HEIGHT / 2.0 + angle.sin() * HEIGHT * 0.36)
        }
        false => {
            let columns = (count as f64 * WIDTH / HEIGHT).sqrt().ceil().max(1.0);
            let rows = (count as f64 / columns).ceil();
            let (column, row) = (at as f64 % columns, (at as f64 / columns).floor());
            ((column + 0.5) * WIDTH / columns, (row + 0.5) * HEIGHT / rows)
        }
    };
    view.nodes.keys().enumerate().map(|(at, id)| (*id, place(at))).collect()
}

/// How many replicas of what is looked at lie on a node.
fn replicas(view: &View, looking: &Looking, node: u32) -> usize {
    let looked_at = view.statuses.iter().filter(|status| is_looked_at(looking, &status.data_set.0));
    looked_at
        .flat_map(|status| &status.replicas)
        .filter(|replica| replica.node.0 == node && replica.state.name() == "present")
        .count()
}

fn is_looked_at(looking: &Looking, data_set: &str) -> bool {
    looking.data_set.as_deref().is_none_or(|chosen| chosen == data_set)
}

fn drawn(view: &View, looking: &Looking, node: &Node, (x, y): Place, radius: f64) -> Markup {
    let held = replicas(view, looking, node.id);
    let living: Vec<u32> = view.agents.values().filter(|agent| agent.node == node.id).map(|agent| agent.id).collect();
    let silent = node.silent_since.is_some();
    let available = (node.availability_percent * 10.0).round() / 10.0;
    let told = format!("{}, {} % available, {held} replicas", node_name(node), available);
    html! {
        a href=(looking.at_node(Some(node.id))) aria-label=(told) {
            g.node.held[held > 0].silent[silent].chosen[looking.node == Some(node.id)] {
                circle cx=(round(x)) cy=(round(y)) r=(radius) { title { (told) } }
                @if held > 1 { circle.more cx=(round(x)) cy=(round(y)) r=(radius + 4.0) {} }
                text x=(round(x)) y=(round(y + 4.0)) { (node.id) }
                @if radius > 20.0 {
                    text.name x=(round(x)) y=(round(y + radius + 15.0)) { (node.name) " " (available) " %" }
                    @if !living.is_empty() {
                        text.agents x=(round(x)) y=(round(y - radius - 7.0)) { "agent " (living.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }
                    }
                }
            }
        }
    }
}

fn links(view: &View, places: &BTreeMap<u32, Place>) -> Markup {
    // Every snapshot knows the same links; one line is both directions.
    let links = view.snapshots.first().into_iter().flat_map(|snapshot| snapshot.links_in_force());
    let back = |from: NodeId, to: NodeId| view.snapshots.first().and_then(|snapshot| snapshot.link(to, from));
    html! { @for link in links.filter(|link| link.from < link.to) {
        @if let (Some(from), Some(to)) = (places.get(&link.from.0), places.get(&link.to.0)) {
            line.link x1=(round(from.0)) y1=(round(from.1)) x2=(round(to.0)) y2=(round(to.1)) {}
            text.latency x=(round((from.0 + to.0) / 2.0)) y=(round((from.1 + to.1) / 2.0)) {
                (format!("{:.0}", link.latency_ms))
                @if let Some(back) = back(link.from, link.to) {
                    @if (back.latency_ms - link.latency_ms).abs() >= 0.5 { " / " (format!("{:.0}", back.latency_ms)) }
                }
                " ms"
            }
        }
    } }
}

/// From where an application lives to what it reads; what it reads at home needs no arrow.
fn reads(view: &View, looking: &Looking, places: &BTreeMap<u32, Place>) -> Markup {
    let arrows = view.agents.values().flat_map(|agent| {
        let read = agent.reads.iter().filter(|reads| is_looked_at(looking, &reads.data_set));
        read.filter_map(move |reads| Some((agent, reads.node?))).filter(|(agent, node)| agent.node != *node)
    });
    html! { @for (agent, node) in arrows {
        @if let (Some(from), Some(to)) = (places.get(&agent.node), places.get(&node)) {
            (arrow(if agent.goal_met == Some(false) { "reads missed" } else { "reads" }, *from, *to, &format!("agent {} reads node {node}", agent.id)))
        }
    } }
}

fn under_way(view: &View, looking: &Looking, places: &BTreeMap<u32, Place>) -> Markup {
    let running = view.snapshots.iter().filter(|snapshot| is_looked_at(looking, &snapshot.data_set.name.0));
    let running = running.flat_map(|snapshot| &snapshot.open_events).filter(|event| event.outcome == Outcome::Running);
    html! { @for event in running {
        @if let (Some(from), Some(to)) = (event.action.from_node(), event.action.to_node()) {
            @if let (Some(from), Some(to)) = (places.get(&from.0), places.get(&to.0)) {
                (arrow("moving", *from, *to, &format!("event {}: {} is under way", event.id, event.action)))
            }
        }
    } }
}

/// A bowed line with a head, so that two that go back and forth do not cover each other.
fn arrow(class: &str, from: Place, to: Place, told: &str) -> Markup {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let end = (to.0 - ux * 26.0, to.1 - uy * 26.0);
    let middle = ((from.0 + to.0) / 2.0 - uy * 24.0, (from.1 + to.1) / 2.0 + ux * 24.0);
    let (vx, vy) = (end.0 - middle.0, end.1 - middle.1);
    let along = vx.hypot(vy).max(1.0);
    let (vx, vy) = (vx / along, vy / along);
    let wing = |side: f64| (end.0 - vx * 9.0 - vy * 5.0 * side, end.1 - vy * 9.0 + vx * 5.0 * side);
    let (left, right) = (wing(1.0), wing(-1.0));
    let path = format!("M{:.1} {:.1} Q{:.1} {:.1} {:.1} {:.1}", from.0, from.1, middle.0, middle.1, end.0, end.1);
    let head = format!("{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}", end.0, end.1, left.0, left.1, right.0, right.1);
    html! { g class=(class) { title { (told) } path d=(path) {} polygon points=(head) {} } }
}

/// The same in words, for those who do not see it.
fn listed(view: &View, looking: &Looking) -> Markup {
    let held = view.nodes.values().filter(|node| replicas(view, looking, node.id) > 0);
    let held: Vec<String> = held.map(node_name).collect();
    html! { "Replicas are on " (if held.is_empty() { "no node".to_owned() } else { held.join(", ") }) "." }
}

fn round(coordinate: f64) -> f64 {
    (coordinate * 10.0).round() / 10.0
}
