//! The commands about nodes and applications that come and go.

use super::commands::{Place, VOCABULARY, hosting, services};
use super::node_arguments::{AddAgent, AddNode, RemoveNode, Store};
use super::{display, print, signals};
use crate::actors::Notice;
use crate::app::data_directory::{DEFAULT_RUN, DataDirectory};
use crate::app::nodes::{Described, Newcomers, Objects, Present};
use crate::app::surroundings::Surroundings;
use crate::app::{self, Existing, Failure, Purpose, applications};
use crate::storage::embedded::Durability;
use agent_core::config::{self, Draft, NewAgent};
use agent_core::domain::ids::NodeId;
use agent_core::domain::placement::Replica;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

impl Place {
    pub(super) fn add_node(&self, arguments: &AddNode) -> anyhow::Result<ExitCode> {
        self.changing(async |settings, knowledge| {
            let present = Present::load(knowledge, &settings.network.data_set.name).await?;
            let (newcomers, seed) = newcomers(&present, arguments)?;
            knowledge.add_nodes(&newcomers.nodes, &newcomers.links).await?;
            if arguments.json { print::json(&newcomers) } else { print::newcomers(&newcomers, seed) }
        })
    }

    pub(super) fn remove_node(&self, arguments: &RemoveNode) -> anyhow::Result<ExitCode> {
        let node = arguments.node;
        let objects = if arguments.lost { Objects::Lost } else { Objects::Delete };
        let services = services()?;
        let quiet = Arc::new(|notice: Notice| tracing::debug!(%notice, "while removing"));
        let surroundings = self.existing_surroundings(&services, quiet)?;
        let tell = |held: &[Replica]| print::draining(node, held);
        let removed = services.block_on(async {
            tokio::select! {
                removed = app::nodes::remove(&surroundings, node, objects, tell) => removed.map(|()| true),
                () = signals::stop() => Ok(false),
            }
        })?;
        match removed {
            true => print::lines([format!("node {node} is removed")])?,
            false => {
                let again = self.invocation().command(&format!("remove-node {node}"));
                display::note(&format!("stopped; node {node} is leaving: `{again}` goes on"));
                return Ok(ExitCode::from(signals::INTERRUPTED));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(super) fn add_agent(&self, arguments: AddAgent) -> anyhow::Result<ExitCode> {
        let directory = self.configuration().ok_or_else(|| {
            let why = "the built-in configuration cannot be added to; name a directory of your own with --config";
            Failure::Configuration(why.to_owned())
        })?;
        let here = self.invocation();
        self.changing(async |settings, knowledge| {
            let AddAgent { id, goal, node, like, policy } = arguments;
            let first = settings.agents.keys().next().copied();
            // There is a first one: a configuration without agents is refused.
            let like = like.or(first).unwrap_or(id);
            let drafted = config::draft(directory, &NewAgent { id, goal, node, policy, like }, &VOCABULARY)?;
            applications::check_addition(knowledge, &settings.network, &drafted.settings).await?;
            write_new(&drafted)?;
            let registered = applications::register(knowledge, &settings.network, &drafted.settings).await;
            if registered.is_err() {
                std::fs::remove_file(&drafted.path).with_context(|| drafted.path.display().to_string())?;
            }
            registered?;
            print::lines([
                format!("{}: agent {id} on node {}", drafted.path.display(), drafted.settings.node),
                format!(
                    "next: `{}`, then `{}`",
                    here.command(&format!("train --id {id}")),
                    here.command(&format!("run --id {id}"))
                ),
            ])
        })
    }

    pub(super) fn store(&self, arguments: &Store) -> anyhow::Result<ExitCode> {
        let node = arguments.node;
        let settings = Arc::new(self.settings()?);
        let data = DataDirectory::create(self.data.as_deref().unwrap_or(Path::new(DEFAULT_RUN)))?;
        let services = services()?;
        let log = self.log;
        let notify = Arc::new(move |notice: Notice| display::line(log, &notice));
        let own = super::commands::advertising(hosting(Durability::PowerLoss, false));
        let handle = services.handle().clone();
        services.block_on(async {
            let surroundings = app::run::surroundings(settings, data, None, handle, own, notify).await?;
            let store = app::serve::start(&surroundings, node, arguments.listen).await?;
            print::lines([format!("the store of node {node} on {}; Ctrl-C ends it", store.endpoint())])?;
            display::stop().await;
            store.shutdown().await;
            Ok(ExitCode::SUCCESS)
        })
    }

    /// What a command needs that touches the stores of a network that runs or ran.
    pub(super) fn existing_surroundings(
        &self,
        services: &Runtime,
        notify: Arc<dyn Fn(Notice) + Send + Sync>,
    ) -> anyhow::Result<Surroundings> {
        let settings = Arc::new(self.settings()?);
        let data = app::existing_directory(&settings.network, self.data.as_deref())?;
        if self.data.is_none() {
            display::note(&format!("# {}", data.path().display()));
        }
        let purpose = Purpose::Change;
        let opened = app::existing_knowledge(&settings.network, Some(data.path()), purpose, services.handle());
        let Existing { knowledge, clock, .. } = services.block_on(opened)?;
        let (services, hosting) = (services.handle().clone(), hosting(Durability::PowerLoss, false));
        Ok(Surroundings { settings, data, clock, knowledge, emulator: None, services, hosting, notify, observer: None })
    }
}

/// The nodes that the arguments ask for, and the seed that they were drawn with.
fn newcomers(present: &Present, arguments: &AddNode) -> anyhow::Result<(Newcomers, Option<u64>)> {
    if let Some(file) = &arguments.from {
        let existing = present.nodes.keys().copied().collect();
        return Ok((app::nodes::listed(&config::read_addition(file, &existing)?), None));
    }
    if arguments.id == Some(NodeId(0)) {
        return Err(Failure::Configuration("--id 0: nodes have numbers from 1".to_owned()).into());
    }
    let Some(availability) = arguments.availability else {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let seed = arguments.seed.unwrap_or_else(|| u64::from(now()));
        return Ok((app::nodes::drawn(present, arguments.id, arguments.count, seed), Some(seed)));
    };
    let name = arguments.name.as_deref().map(config::quantity::name).transpose();
    let latency_ms: BTreeMap<NodeId, f64> = arguments.latency.iter().copied().collect();
    if latency_ms.len() != arguments.latency.len() {
        return Err(Failure::Configuration("--latency names a node twice".to_owned()).into());
    }
    let described = Described {
        id: arguments.id,
        name: name
            .map_err(|invalid| Failure::Configuration(format!("--name: {}; {}", invalid.problem, invalid.help)))?,
        availability,
        latency_ms,
        jitter_ms: arguments.jitter.unwrap_or_default(),
        capacity_bytes: arguments.capacity,
        store: arguments.store.clone(),
    };
    Ok((app::nodes::described(present, &described), None))
}

/// Writes a file that must not be there yet.
fn write_new(drafted: &Draft) -> anyhow::Result<()> {
    let failed = || format!("{}: cannot be written", drafted.path.display());
    let mut file = File::options().write(true).create_new(true).open(&drafted.path).with_context(failed)?;
    file.write_all(drafted.text.as_bytes()).with_context(failed)
}
