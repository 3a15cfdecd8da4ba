//! The members of a network: of an agent's node, one; and for commands, where members are to be found.

use super::data_directory::DataDirectory;
use super::surroundings::Surroundings;
use crate::actors::{Notice, chain};
use crate::knowledge::Knowledge;
use crate::membership::asking::Around;
use crate::membership::{self, Membership, Wanted};
use agent_core::clock::Clock;
use agent_core::config::environment;
use agent_core::config::settings::{AgentSettings, NetworkSettings, StoreSettings};
use agent_core::domain::placement::Node;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What a member needs of a process.
pub struct Process<'a> {
    pub network: &'a NetworkSettings,
    pub data: &'a DataDirectory,
    pub clock: &'a Arc<dyn Clock>,
    pub services: &'a Handle,
    pub notify: &'a Arc<dyn Fn(Notice) + Send + Sync>,
}

impl<'a> From<&'a Surroundings> for Process<'a> {
    fn from(surroundings: &'a Surroundings) -> Self {
        let Surroundings { data, clock, services, notify, .. } = surroundings;
        Self { network: surroundings.network(), data, clock, services, notify }
    }
}

/// The node of an agent becomes a member, if the configuration wants that. The agent's lock is held by who calls.
pub async fn begin(process: Process<'_>, agent: &AgentSettings) -> Option<Membership> {
    let Process { network, data, clock, services, notify } = process;
    let settings = network.nodes.get(&agent.node);
    let advertise = std::env::var(environment::AGENT_GOSSIP_ADVERTISE).ok().filter(|text| !text.is_empty());
    Membership::begin(Wanted {
        settings: network.membership.clone(),
        agent: agent.id,
        node: agent.node,
        name: settings.map_or_else(|| format!("node-{}", agent.node), |node| node.name.clone()),
        labels: settings.map(|node| node.labels.clone()).unwrap_or_default(),
        advertise,
        links: network.links_are(),
        // A node that only the table knows has a store that this process starts.
        has_store: settings.is_none_or(|node| matches!(node.store, StoreSettings::Embedded { .. })),
        data: data.path().to_owned(),
        clock: clock.clone(),
        services: services.clone(),
        notify: notify.clone(),
    })
    .await
}

/// Where somebody outside finds members.
pub struct Knowing<'a> {
    pub network: &'a NetworkSettings,
    pub data: Option<&'a DataDirectory>,
    /// Instead of all that is known.
    pub at: Vec<SocketAddr>,
}

/// With what the shared table says, if it can be reached, and what members on this machine have kept; why the table says nothing.
pub async fn around(knowing: Knowing<'_>, table: Option<&dyn Knowledge>) -> (Around, Option<String>) {
    let Knowing { network, data, at } = knowing;
    let mut around = Around::new(&network.membership.network);
    let seen = data.map(|data| membership::all_seen(data.path())).unwrap_or_default();
    for peer in seen.iter().flat_map(|seen| &seen.peers) {
        around.keys.extend(membership::key(&peer.public_key).map(|key| (agent_membership::NodeId(peer.node), key)));
        around.others.push(peer.address);
    }
    around.local = seen.iter().filter_map(|seen| seen.address).collect();
    around.others.extend(join(network).await);
    let nodes = match table {
        Some(table) => table.nodes().await.map_err(|error| chain(&error)),
        None => Err("it cannot be opened".to_owned()),
    };
    let why = match nodes {
        Ok(nodes) => {
            nodes.values().for_each(|node| know(&mut around, node));
            None
        }
        Err(why) => Some(why),
    };
    if !at.is_empty() {
        (around.local, around.others) = (at, Vec::new());
    }
    (around, why)
}

/// What the table says wins.
fn know(around: &mut Around, node: &Node) {
    let address = node.contact.address.as_deref().and_then(|address| address.parse::<SocketAddr>().ok());
    around.others.extend(address);
    let key = node.contact.public_key.as_deref().and_then(membership::key);
    around.keys.extend(key.map(|key| (agent_membership::NodeId(node.id.0), key)));
}

/// Those of the configuration that resolve.
async fn join(network: &NetworkSettings) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for address in &network.membership.join {
        if let Ok(addresses) = tokio::net::lookup_host(address).await {
            found.extend(addresses);
        }
    }
    found
}
