//! `agent load route`: where the requests of services go, as the network's table says.

use crate::app::Purpose;
use crate::app::load::routing::{Conditions, Routed, read, route};
use crate::cli::load_arguments::{OfRevision, Removed, Rerouted, Route, Unset};
use crate::cli::place::Place;
use crate::cli::print;
use agent_core::domain::text::{MESSAGE_MAX, legible};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::show_duration;
use agent_load::balancer::Host;
use agent_load::register::routing::Entry;
use agent_load::steering::Routing;
use std::process::ExitCode;

impl Place {
    pub(super) fn route(&self, arguments: &Route) -> anyhow::Result<ExitCode> {
        let changes = |routing: Routing, of: &OfRevision, balancer| {
            let conditions = Conditions { balancer, revision: of.revision };
            self.does_route(routing, conditions, Purpose::Change, of.json)
        };
        let looks = |routing: Routing, json| self.does_route(routing, Conditions::default(), Purpose::Look, json);
        match arguments {
            Route::Set(Rerouted { service, hosts, weights, balancer, of }) => {
                changes(read("set", &[service, hosts, weights])?, of, *balancer)
            }
            Route::Append(Rerouted { service, hosts, weights, balancer, of }) => {
                changes(read("append", &[service, hosts, weights])?, of, *balancer)
            }
            Route::Remove(Removed { service, hosts, of }) => changes(read("remove", &[service, hosts])?, of, None),
            Route::Unset(Unset { service, of }) => changes(read("unset", &[service])?, of, None),
            Route::List { json } => looks(Routing::List, *json),
            Route::Info { service, json } => looks(read("info", &[service])?, *json),
            Route::Flush { json } => self.does_route(Routing::Flush, Conditions::default(), Purpose::Change, *json),
        }
    }

    fn does_route(
        &self,
        routing: Routing,
        conditions: Conditions,
        purpose: Purpose,
        json: bool,
    ) -> anyhow::Result<ExitCode> {
        let says_who = matches!(routing, Routing::Info { .. });
        self.with_knowledge(purpose, async |_, existing| {
            let routed = route(existing.load.as_ref(), routing, conditions).await?;
            match routed {
                Routed::Entries(entries) if json => print::json(&entries),
                Routed::Unrouted(services) if json => print::json(&serde_json::json!({ "unrouted": services })),
                Routed::Entries(entries) if entries.is_empty() => print::lines([NONE.to_owned()]),
                Routed::Unrouted(services) if services.is_empty() => print::lines([NONE.to_owned()]),
                Routed::Entries(entries) => {
                    let now = existing.clock.now();
                    let said = |entry: &Entry| [line(entry)].into_iter().chain(says_who.then(|| who(entry, now)));
                    print::lines(entries.iter().flat_map(said).collect::<Vec<_>>())
                }
                Routed::Unrouted(services) => {
                    print::lines(services.iter().map(|service| format!("{service} is routed nowhere")))
                }
            }
        })
    }
}

const NONE: &str = "no service is routed";

fn line(Entry { service, hosts, balancer, revision, .. }: &Entry) -> String {
    let hosts: Vec<String> = hosts.iter().map(Host::to_string).collect();
    format!("{service}: {}; {balancer}; revision {revision}", hosts.join(", "))
}

fn who(entry: &Entry, now: Timestamp) -> String {
    let ago = show_duration(now.since(entry.changed_at));
    format!("  since {ago} ago, by {}", legible(&entry.changed_by, MESSAGE_MAX))
}
