//! `agent store`: a node's embedded store in a process of its own, without an application.

use super::surroundings::Surroundings;
use crate::storage::embedded::EmbeddedStore;
use agent_core::config::settings::StoreSettings;
use agent_core::domain::ids::NodeId;
use anyhow::bail;
use std::net::SocketAddr;

/// Starts the store and states in the table where it listens.
pub async fn start(
    surroundings: &Surroundings,
    node: NodeId,
    listen: Option<SocketAddr>,
) -> anyhow::Result<EmbeddedStore> {
    surroundings.register_network().await?;
    if !surroundings.knowledge.nodes().await?.contains_key(&node) {
        bail!("the network has no node {node}; add it with `agent add-node --id {node}`");
    }
    let settings = surroundings.network().nodes.get(&node).map(|node| node.store.clone()).unwrap_or_default();
    let settings = match (settings, listen) {
        (StoreSettings::S3(store), _) => {
            bail!("the store of node {node} is a server of its own, {}: there is nothing to start", store.url)
        }
        (StoreSettings::Embedded { advertise, .. }, Some(listen)) => StoreSettings::Embedded { listen, advertise },
        (embedded @ StoreSettings::Embedded { .. }, None) => embedded,
    };
    match surroundings.start_store_with(node, &settings).await? {
        Some(store) => Ok(store),
        None => bail!("another process serves the store of node {node} from this data directory; stop it first"),
    }
}
