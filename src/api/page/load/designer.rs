//! What the next experiment is designed with. The server makes the file of a design, and says what it would send; the script draws
//! that, moves points, and sends what was edited.

use crate::api::wire::LoadCheck;
use crate::app::load::drafts::Draft;
use agent_load::specification::{Design, Drawn, DrawnCurve};
use maud::{Markup, html};
use std::sync::LazyLock;

const WIDTH: u32 = 960;
const HEIGHT: u32 = 280;

/// What the page begins with, checked.
static FIRST: LazyLock<(String, String)> = LazyLock::new(|| {
    let curve =
        DrawnCurve { kind: "catmull-rom".to_owned(), max: 50.0, points: vec![[0.0, 0.1], [0.5, 1.0], [1.0, 0.2]] };
    let design = Design {
        name: "evening".to_owned(),
        seed: 1,
        service: "shop".to_owned(),
        hosts: Some(vec!["127.0.0.1:8080".to_owned()]),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        clients: 1,
        within_ticks: "exponential".to_owned(),
        profile: Drawn { curve, interval: "1 s".to_owned(), over: "1 min".to_owned() },
    };
    let draft = Draft { file: "load.toml".to_owned(), text: design.text(), recordings: Default::default() };
    let check = LoadCheck::of(draft, &[]);
    // Everything of it can be written as JSON.
    (check.text.clone(), serde_json::to_string(&check).unwrap_or_default())
});

pub fn designer() -> Markup {
    let (text, check) = &*FIRST;
    html! {
        section #designer aria-labelledby="designer-title" data-check=(check) {
            h2 #designer-title { "Design the next one" }
            form #design autocomplete="off" {
                div.columns { (load()) (requests()) (curve()) }
                figure.curve {
                    svg #curve viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="group" aria-label="The curve: its points, and the rate of each tick" {
                        g #ticks aria-hidden="true" {}
                        polyline #line {}
                        g #points {}
                    }
                    figcaption {
                        span #top {} " "
                        "Press on the plane to add a point, drag to move it. Tab goes from point to point: arrows move one (with Shift farther), "
                        "Enter adds one behind it, Delete removes it."
                    }
                }
                p {
                    button #add type="button" { "Add a point" } " "
                    button #remove type="button" { "Remove the point" } " "
                    span #sends role="status" {}
                }
            }
            (file(text))
        }
    }
}

/// A field of the design; `faults`: a regular expression for what is wrong with it when it is this field.
fn field(label: &str, name: &str, faults: &str, input: Markup) -> Markup {
    html! {
        label { span { (label) } (input) }
        small.fault #{ "fault-" (name) } data-faults=(faults) {}
    }
}

fn input(name: &str, kind: &str, least: Option<&str>) -> Markup {
    let step = (kind == "number").then_some(if name == "max_per_s" { "any" } else { "1" });
    html! { input type=(kind) name=(name) required min=[least] step=[step] spellcheck="false" aria-describedby={ "fault-" (name) }; }
}

fn choices(name: &str, all: &[&str]) -> Markup {
    html! { select name=(name) aria-describedby={ "fault-" (name) } { @for one in all { option value=(one) { (one) } } } }
}

fn load() -> Markup {
    html! {
        fieldset {
            legend { "Load" }
            (field("Name", "name", "^name: ", input("name", "text", None)))
            (field("Seed", "seed", "^seed: ", input("seed", "number", Some("0"))))
            (field("Clients, alike", "clients", "^client 1: count: ", input("clients", "number", Some("1"))))
            (field("Within ticks", "within_ticks", "^client 1: within_ticks: ", choices("within_ticks", &["constant", "exponential"])))
        }
    }
}

fn requests() -> Markup {
    html! {
        fieldset {
            legend { "Requests" }
            (field("Service", "service", "^service 1.*: name: ", input("service", "text", None)))
            (field("Hosts, or table", "hosts", "^service .*: hosts?\\b", input("hosts", "text", None)))
            (field("Method", "method", "^client 1: request\\.method: ", input("method", "text", None)))
            (field("Path", "path", "^client 1: request\\.path: ", input("path", "text", None)))
        }
    }
}

fn curve() -> Markup {
    html! {
        fieldset {
            legend { "Curve" }
            (field("Kind", "kind", "^client 1: profile: .*kind", choices("kind", &["linear", "step", "catmull-rom", "basis"])))
            (field("At most, /s of each", "max_per_s", "^client 1: profile: curve\\.max", input("max_per_s", "number", Some("0"))))
            (field("A tick takes", "interval", "^client 1: profile(: |\\.)interval", input("interval", "text", None)))
            (field("The whole takes", "over", "^client 1: profile(: |\\.)over", input("over", "text", None)))
        }
    }
}

fn file(text: &str) -> Markup {
    html! {
        h3 { label for="text" { "Its file" } }
        p { small { "As " code { "agent load run" } " takes it. What a design does not say can be written here, and queued all the same." } }
        textarea #text rows="18" spellcheck="false" aria-describedby="faults" { (text) }
        ul #faults .worries role="status" {}
        p {
            label { "Hosts of other machines, which are yours and bear the load " input #allow type="text" placeholder="none" spellcheck="false"; }
        }
        p {
            button #queue type="button" { "Queue" } " "
            button #export type="button" { "Export" } " "
            label { "Import, with its recordings " input #import type="file" multiple; }
        }
    }
}
