//! The ways from one agent to the nodes' stores: through the emulator's links, or over the real network.

use super::data_directory::DataDirectory;
use crate::actors::{Reach, ReachError, Reached, chain};
use crate::clock::Clock;
use crate::config::settings::{NetworkSettings, StoreSettings};
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::placement::Node;
use crate::jobs::S3Access;
use crate::links::Links;
use crate::links::probe::probe;
use crate::storage::credentials::Credentials;
use crate::storage::embedded::EmbeddedStore;
use crate::storage::s3::{S3Settings, S3Store};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The bucket that embedded stores keep objects in.
pub const BUCKET: &str = "agent";
const REGION: &str = "us-east-1";
/// A probe that takes longer than this has failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// One agent's ways; clients are kept, so that their connections are reused.
pub struct StoreReach {
    agent: AgentId,
    links: Option<Arc<dyn Links>>,
    clock: Arc<dyn Clock>,
    probes: u32,
    data: DataDirectory,
    stores: BTreeMap<NodeId, StoreSettings>,
    clients: Mutex<BTreeMap<NodeId, Client>>,
}

#[derive(Clone)]
struct Client {
    store: Arc<S3Store>,
    access: S3Access,
}

impl StoreReach {
    /// Without `links` the stores are reached over the real network.
    pub fn new(
        agent: AgentId,
        links: Option<Arc<dyn Links>>,
        clock: Arc<dyn Clock>,
        network: &NetworkSettings,
        data: DataDirectory,
    ) -> Self {
        let stores = network.nodes.values().map(|node| (node.id, node.store.clone())).collect();
        let clients = Mutex::new(BTreeMap::new());
        Self { agent, links, clock, probes: network.rhythm.probes, data, stores, clients }
    }

    /// The client of a node's store; kept until the store is reached at another address.
    fn client(&self, node: NodeId, endpoint: &str) -> Result<Client, ReachError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&node).filter(|client| client.access.endpoint == endpoint) {
            return Ok(client.clone());
        }
        let embedded = StoreSettings::default();
        let access = access(self.stores.get(&node).unwrap_or(&embedded), &self.data, node, endpoint)?;
        let client = Client { store: Arc::new(S3Store::new(s3_settings(&access))), access };
        clients.insert(node, client.clone());
        Ok(client)
    }
}

/// How a node's store is accessed at an endpoint: with credentials from the environment, or with the embedded store's own.
pub fn access(
    settings: &StoreSettings,
    data: &DataDirectory,
    node: NodeId,
    endpoint: &str,
) -> Result<S3Access, ReachError> {
    let unusable = |reason: String| ReachError::Unusable { node, reason };
    let (region, bucket, credentials) = match settings {
        StoreSettings::S3 { region, bucket, .. } => {
            let credentials = Credentials::from_env().map_err(|error| unusable(error.to_string()))?;
            let missing = || unusable("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for its store".to_owned());
            (region.clone(), bucket.clone(), credentials.ok_or_else(missing)?)
        }
        StoreSettings::Embedded { .. } => {
            let credentials = EmbeddedStore::credentials_of(&data.store(node));
            let credentials = credentials.map_err(|error| unusable(error.to_string()))?;
            (REGION.to_owned(), BUCKET.to_owned(), credentials)
        }
    };
    Ok(S3Access {
        endpoint: endpoint.to_owned(),
        region,
        bucket,
        access_key_id: credentials.access_key_id,
        secret_access_key: credentials.secret_access_key,
    })
}

/// How the adapter is set up for an access.
pub fn s3_settings(access: &S3Access) -> S3Settings {
    let credentials = Credentials::new(access.access_key_id.clone(), access.secret_access_key.clone());
    let mut settings = S3Settings::new(access.endpoint.clone(), access.bucket.clone(), credentials);
    settings.region.clone_from(&access.region);
    settings
}

#[async_trait]
impl Reach for StoreReach {
    async fn reach(&self, node: &Node, latency: Duration) -> Result<Reached, ReachError> {
        let url = node.store_url.as_deref().ok_or(ReachError::NoStore(node.id))?;
        let Some(links) = &self.links else {
            let client = self.client(node.id, url)?;
            return Ok(Reached { store: client.store, access: client.access, emulated: None });
        };
        let store = Endpoint::of(url).and_then(Endpoint::without_tls);
        let store = store.map_err(|reason| ReachError::Unusable { node: node.id, reason })?;
        let failed = |source| ReachError::Link { node: node.id, source };
        let link = links.open(self.agent, node.id, &store.address).await.map_err(failed)?;
        links.set_latency(self.agent, node.id, self.clock.apply(latency)).await.map_err(failed)?;
        let emulated = links.latency(self.agent, node.id).await.map_err(failed)?;
        let client = self.client(node.id, &format!("http://{link}"))?;
        Ok(Reached { store: client.store, access: client.access, emulated: Some(self.clock.record(emulated)) })
    }

    async fn probe(&self, reached: &Reached) -> Result<Duration, String> {
        let Endpoint { address, .. } = Endpoint::of(&reached.access.endpoint)?;
        let latency = probe(&address, self.probes, PROBE_TIMEOUT).await.map_err(|error| chain(&error))?;
        Ok(self.clock.record(latency))
    }
}

/// Who answers at a store's URL.
#[derive(PartialEq, Eq, Debug)]
struct Endpoint {
    /// `host:port`
    address: String,
    tls: bool,
}

impl Endpoint {
    /// The port is that of the scheme when the URL names none; what follows the host is not looked at.
    fn of(url: &str) -> Result<Self, String> {
        let (tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(format!("its store `{url}` is not at an address like http://host:port")),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let names_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let address = match (names_port, tls) {
            (true, _) => authority.to_owned(),
            (false, true) => format!("{authority}:443"),
            (false, false) => format!("{authority}:80"),
        };
        Ok(Self { address, tls })
    }

    /// A link has an address of its own, which no certificate names.
    fn without_tls(self) -> Result<Self, String> {
        match self.tls {
            true => Err(format!(
                "its store {} speaks TLS, which the emulator's links cannot carry: reach it by http://, or set \
                 `emulator = \"none\"`",
                self.address
            )),
            false => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_a_store_is_its_own_or_its_schemes() {
        let check = |url, address: &str, tls| {
            assert_eq!(Endpoint::of(url), Ok(Endpoint { address: address.to_owned(), tls }));
        };
        check("http://127.0.0.1:9001", "127.0.0.1:9001", false);
        check("http://store", "store:80", false);
        check("https://s3.example.org", "s3.example.org:443", true);
        check("https://s3.example.org:8443/placement?region=eu", "s3.example.org:8443", true);
        check("http://[::1]", "[::1]:80", false);
        check("http://[::1]:9001/", "[::1]:9001", false);
        assert!(Endpoint::of("s3.example.org").is_err());
        assert!(Endpoint::of("https://store").and_then(Endpoint::without_tls).is_err());
    }
}
