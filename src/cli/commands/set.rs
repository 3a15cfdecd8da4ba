//! `agent set`: what is known of a node or a link, what an application asks for, and what nobody may do with a data set, changed by
//! hand.

use crate::app::{Failure, change};
use crate::cli::arguments::{Declared, DeclaredMs, Set};
use crate::cli::constraint_arguments::SetLabels;
use crate::cli::place::Place;
use crate::cli::print;
use agent_core::domain::environment::Links;
use agent_core::domain::placement::Override;
use std::process::ExitCode;

impl Place {
    pub(super) fn set(&self, set: Set) -> anyhow::Result<ExitCode> {
        self.changing(async |settings, knowledge| {
            let measured = matches!(set, Set::Availability { percent: Declared(None), .. })
                || matches!(set, Set::Latency { latency: DeclaredMs(None), .. });
            if measured && settings.network.links_are() == Links::Injected {
                let why = "`measured`: this network's latency is injected, and its availability declared: nobody measures them";
                return Err(Failure::Configuration(why.to_owned()).into());
            }
            let (changed, json) = match set {
                Set::Availability { node, percent, json } => {
                    (change::availability(knowledge, node, percent.0).await?, json)
                }
                Set::Latency { from, to, latency, one_way, json } => {
                    (change::latency(knowledge, (from, to), latency.0, !one_way).await?, json)
                }
                Set::Goal { agent, goal, json } => {
                    let stated = Override::Goal(unless_configured(goal));
                    (change::overriding(knowledge, settings, agent, stated).await?, json)
                }
                Set::Policy { agent, policy, json } => {
                    let stated = Override::Policy(unless_configured(policy));
                    (change::overriding(knowledge, settings, agent, stated).await?, json)
                }
                Set::Labels(SetLabels { node, labels, none: _, json }) => {
                    (change::labels(knowledge, node, labels.into_iter().collect()).await?, json)
                }
                Set::Constraints(stated) => {
                    let data_set = stated.data_set.as_str().into();
                    (change::constraints(knowledge, &data_set, |known| stated.change(known)).await?, stated.json)
                }
                Set::Budget(stated) => (change::prices(knowledge, &stated.stated()).await?, stated.json),
                Set::StoragePrice(stated) => (change::prices(knowledge, &stated.stated()).await?, stated.json),
                Set::EgressPrice(stated) => (change::prices(knowledge, &stated.stated()).await?, stated.json),
            };
            if json { print::json(&changed) } else { print::changed(&changed) }
        })
    }
}

/// `configured`: nothing is asked any more.
fn unless_configured(asked: String) -> Option<String> {
    (asked != "configured").then_some(asked)
}
