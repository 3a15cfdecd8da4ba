//! `agent add-node`: nodes described, drawn, or read from a file.

use crate::app::nodes::{Described, Newcomers, Present};
use crate::app::{self, Failure};
use crate::cli::node_arguments::AddNode;
use crate::cli::place::Place;
use crate::cli::print;
use agent_core::config;
use agent_core::domain::environment::{Availability, Links};
use agent_core::domain::ids::NodeId;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

impl Place {
    pub(super) fn add_node(&self, arguments: &AddNode) -> anyhow::Result<ExitCode> {
        self.changing(async |settings, knowledge| {
            let present = Present::load(knowledge).await?;
            let are = settings.network.links_are();
            let (newcomers, seed) = newcomers(&present, arguments, are)?;
            knowledge.add_nodes(&newcomers.nodes, &newcomers.links, are).await?;
            if !newcomers.tariff.is_none() {
                knowledge.register_tariff(&newcomers.tariff).await?;
            }
            if arguments.json { print::json(&newcomers) } else { print::newcomers(&newcomers, seed) }
        })
    }
}

/// The nodes that the arguments ask for, and the seed that they were drawn with.
fn newcomers(present: &Present, arguments: &AddNode, are: Links) -> anyhow::Result<(Newcomers, Option<u64>)> {
    if let Some(file) = &arguments.from {
        let existing = present.nodes.keys().copied().collect();
        return Ok((app::nodes::listed(&config::read_addition(file, &existing)?), None));
    }
    if arguments.id == Some(NodeId(0)) {
        return Err(Failure::Configuration("--id 0: nodes have numbers from 1".to_owned()).into());
    }
    if arguments.random {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let seed = arguments.seed.unwrap_or_else(|| u64::from(now()));
        return Ok((app::nodes::drawn(present, arguments.id, arguments.count, seed), Some(seed)));
    }
    if are == Links::Injected && (arguments.availability.is_none() || arguments.latency.is_empty()) {
        let why = "this network's latency is injected, not measured: say --availability PERCENT and --latency NODE=MS,... to \
                   every other node (or --random, or --from FILE)";
        return Err(Failure::Configuration(why.to_owned()).into());
    }
    let name = arguments.name.as_deref().map(config::quantity::name).transpose();
    let latency_ms: BTreeMap<NodeId, f64> = arguments.latency.iter().copied().collect();
    if latency_ms.len() != arguments.latency.len() {
        return Err(Failure::Configuration("--latency names a node twice".to_owned()).into());
    }
    let described = Described {
        id: arguments.id,
        name: name
            .map_err(|invalid| Failure::Configuration(format!("--name: {}; {}", invalid.problem, invalid.help)))?,
        availability: arguments.availability.map(Availability::from).unwrap_or_default(),
        latency_ms,
        jitter_ms: arguments.jitter.unwrap_or_default(),
        capacity_bytes: arguments.capacity,
        labels: arguments.label.iter().cloned().collect(),
        store: arguments.store.clone(),
    };
    Ok((app::nodes::described(present, &described), None))
}
