//! The pages: a network at a glance, live, and what can be changed about it; and beside it, in `load`, experiments of load.
//!
//! They are written here and sent whole; scripts of their own fetch the parts again when something happened. The frames say nothing
//! of the network, so they need no token; the parts do, off this machine.

mod changes;
mod events;
mod history;
mod jobs;
mod load;
mod map;
mod now;
mod pace;

use super::extract::Query;
use super::problem::Problem;
use super::wire::Node;
use super::{Api, Shared};
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use maud::{DOCTYPE, Markup, html};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const STYLE: &str = include_str!("page.css");
/// What the scripts of all pages have in common; it comes before theirs.
const SHARED: &str = include_str!("shared.js");
const SCRIPT: &str = include_str!("page.js");

/// A page, as the links between pages name it.
struct Page {
    name: &'static str,
    address: &'static str,
    script: &'static str,
}

const NETWORK: Page = Page { name: "network", address: "/", script: "/assets/page.js" };
const LOAD: Page = Page { name: "load", address: "/load", script: "/assets/load.js" };

/// What is looked at: it stands in the page's address.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Looking {
    /// An application of its own page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_set: Option<String>,
    /// A node with its links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
    /// An event with its explanation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<i64>,
    /// Only what happened since then, and before then: instants by RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Looking {
    /// The address of the page that looks at this.
    fn address(&self) -> String {
        let pairs = serde_json::to_value(self).unwrap_or_default();
        let pairs = pairs.as_object().into_iter().flatten().map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={}", percent_encoded(&text))
        });
        format!("/?{}", pairs.collect::<Vec<_>>().join("&"))
    }

    fn at_event(&self, event: Option<i64>) -> String {
        Self { event, ..self.clone() }.address()
    }

    fn at_agent(&self, agent: Option<u32>) -> String {
        Self { agent, ..self.clone() }.address()
    }

    fn at_node(&self, node: Option<u32>) -> String {
        Self { node, ..self.clone() }.address()
    }

    /// Without a period.
    fn at_present(&self) -> String {
        Self { since: None, until: None, ..self.clone() }.address()
    }

    fn at_data_set(&self, data_set: Option<&str>) -> String {
        Self { data_set: data_set.map(str::to_owned), ..self.clone() }.address()
    }
}

fn percent_encoded(text: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => written.push(char::from(byte)),
            _ => written.push_str(&format!("%{byte:02X}")),
        }
    }
    written
}

pub fn routes() -> Router<Arc<Api>> {
    let script =
        |text: &'static str| get(async move || ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], text));
    Router::new()
        .route(NETWORK.address, get(frame))
        .route("/page/now", get(parts))
        .route("/page/changes", get(changeable))
        .route("/assets/page.css", get(async || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)))
        .route("/assets/shared.js", script(SHARED))
        .route(NETWORK.script, script(SCRIPT))
        .route(LOAD.script, script(load::SCRIPT))
        .merge(load::routes())
}

/// What stands where the network would, off this machine and before there is a token.
fn closed() -> Markup {
    html! { p { "Enter the token: off the machine itself nothing is shown without one." } }
}

/// The page. On this machine with all that it shows; elsewhere the script fetches that with a token.
async fn frame(State(api): Shared, Query(looking): Query<Looking>) -> Result<impl IntoResponse, Problem> {
    let (now, changes) = match api.doors.is_loopback {
        true => {
            let view = api.view().await?;
            let changes = changes::changes(&view, &looking);
            (now::now(&api, view, &looking).await?, changes)
        }
        false => (closed(), html! {}),
    };
    Ok(document(
        &api,
        &NETWORK,
        html! {
            @if api.simulation.is_some() { (pace::controls()) }
            div #now { (now) }
            section #change aria-labelledby="change-title" {
                h2 #change-title { "Change" }
                div #changes { (changes) }
                p #told role="status" {}
            }
        },
    ))
}

/// A whole page.
fn document(api: &Api, page: &Page, main: Markup) -> Html<String> {
    let token = if api.doors.is_loopback { "Token for changes" } else { "Token" };
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "agent" @if page.address != NETWORK.address { ": " (page.name) } }
                link rel="stylesheet" href="/assets/page.css";
                script src="/assets/shared.js" defer {}
                script src=(page.script) defer {}
            }
            body {
                a.skip href="#main" { "To the " (page.name) }
                header {
                    h1 { "agent" }
                    nav aria-label="Pages" {
                        @for other in [&NETWORK, &LOAD] { (choice(other.address, other.address == page.address, other.name)) " " }
                    }
                    p #live role="status" { "" }
                    form #door autocomplete="off" {
                        label for="token" { (token) }
                        input #token type="password" placeholder="agent token" spellcheck="false";
                        button type="submit" { "Use" }
                    }
                    p { a href="/api/docs/" { "API" } " · " a href="/metrics" { "metrics" } }
                }
                main #main { (main) }
            }
        }
    };
    Html(document.into_string())
}

async fn parts(State(api): Shared, Query(looking): Query<Looking>) -> Result<Html<String>, Problem> {
    Ok(Html(now::now(&api, api.view().await?, &looking).await?.into_string()))
}

async fn changeable(State(api): Shared, Query(looking): Query<Looking>) -> Result<Html<String>, Problem> {
    Ok(Html(changes::changes(&api.view().await?, &looking).into_string()))
}

/// A link that is the present choice, or leads to it.
fn choice(address: &str, is_chosen: bool, text: &str) -> Markup {
    html! { a href=(address) aria-current=[is_chosen.then_some("true")] { (text) } }
}

/// `edge (3)`
fn node_name(node: &Node) -> String {
    format!("{} ({})", node.name, node.id)
}

/// The time of day of an instant by RFC 3339.
fn time_of_day(instant: &str) -> &str {
    instant.split_once('T').map_or(instant, |(_, time)| time.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_at_stands_in_the_address() {
        let looking = Looking { agent: Some(2), data_set: Some("a b&c".to_owned()), ..Looking::default() };
        assert_eq!(looking.address(), "/?agent=2&data_set=a%20b%26c");
        assert_eq!(looking.at_event(Some(7)), "/?agent=2&data_set=a%20b%26c&event=7");
        assert_eq!(looking.at_agent(None), "/?data_set=a%20b%26c");
        assert_eq!(Looking::default().address(), "/?");
    }

    #[test]
    fn style_and_script_fetch_nothing_from_elsewhere() {
        for text in [STYLE, SHARED, SCRIPT, load::SCRIPT] {
            for word in ["http:", "https:", "@import", "url(", "import(", "eval(", "innerHTML = '"] {
                assert!(!text.contains(word), "{word}");
            }
        }
    }
}
