//! `agent set`: what is known of a node or a link, and what nobody may do with a data set, changed by hand.

use crate::app::change;
use crate::cli::arguments::Set;
use crate::cli::constraint_arguments::SetLabels;
use crate::cli::place::Place;
use crate::cli::print;
use std::process::ExitCode;

impl Place {
    pub(super) fn set(&self, set: Set) -> anyhow::Result<ExitCode> {
        self.changing(async |_, knowledge| {
            let (changed, json) = match set {
                Set::Availability { node, percent, json } => {
                    (change::availability(knowledge, node, percent).await?, json)
                }
                Set::Latency { from, to, latency, one_way, json } => {
                    (change::latency(knowledge, (from, to), latency, !one_way).await?, json)
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
