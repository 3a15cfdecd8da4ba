//! Services that are data sets: their requests go to the stores that hold a replica, as the catalogue of the network says while load
//! runs. Each store has a key of its own for an object, and credentials: what is sent differs from store to store, and is signed before
//! anything goes there.

use super::Network;
use crate::actors::chain;
use crate::app::access::Access;
use crate::app::{Failure, existing_directory};
use crate::storage::s3::{SignedGet, signed_get};
use agent_core::config::Invalid;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::manifest::{Extent, SetKeys};
use agent_core::domain::placement::{Replica, ReplicaState};
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::store_url::StoreUrl;
use agent_load::balancer::{Host, Record};
use agent_load::generator::{Route, Target, Template};
use agent_load::routes::{LOOKS_EVERY, Misses, News, Routed};
use agent_load::specification::{self, Hosts, Reads, Specification, may_be_sent_to, not_allowed};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::sleep;

/// All services of a load that are data sets.
pub struct Replicas {
    services: Vec<Service>,
    /// Of the network; there is one if there are services.
    catalogue: Option<Catalogue>,
    misses: Misses,
}

/// Where replicas are found, and how they are read from here.
struct Catalogue {
    network: Network,
    access: Access,
    /// Hosts other than this machine that may be sent to.
    allowed: Vec<String>,
}

struct Service {
    name: String,
    of: specification::Replicas,
    routed: Arc<Routed>,
    readers: Vec<Reader>,
    /// As it was seen last, whether it is followed or not.
    places: Places,
    /// Counts what was seen.
    revision: u64,
}

/// A client of the load, by its place in it, and what it reads.
struct Reader {
    client: usize,
    /// Of a set of many objects, the key below its prefix.
    below: Option<String>,
    headers: Vec<(String, String)>,
    route: Arc<ReplicaRoute>,
}

/// Where requests may go, by address. Of several replicas at one address the first is read, as often as all together would be.
type Places = BTreeMap<String, (Place, u32)>;

/// A replica in a store.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    node: NodeId,
    url: String,
    object_key: String,
}

/// Chooses a store for each request of a client, and knows what is sent to it.
struct ReplicaRoute {
    routed: Arc<Routed>,
    /// By address; also of stores that get no requests any more.
    templates: RwLock<Templates>,
}

type Templates = BTreeMap<String, Arc<Template>>;

impl Route for ReplicaRoute {
    fn choose(&self) -> Option<Target> {
        self.routed.choose()
    }

    fn ended(&self, target: &Target, took: Duration) {
        self.routed.ended(target, took);
    }

    fn template(&self, target: &Target) -> Option<Arc<Template>> {
        self.templates.read().unwrap_or_else(PoisonError::into_inner).get(&*target.host).cloned()
    }
}

impl Replicas {
    /// Looks where they are now.
    ///
    /// # Errors
    /// There is nothing to be read, or it cannot be read from here.
    pub async fn begin(
        specification: &Specification,
        network: Option<&Network>,
        allowed: &[String],
    ) -> anyhow::Result<Self> {
        let catalogue = network.map(|network| Catalogue::of(network.clone(), allowed.to_vec()));
        let mut services = Vec::new();
        for service in &specification.services {
            let Hosts::Replicas(of) = &service.hosts else { continue };
            let begun = match &catalogue {
                Some(catalogue) => catalogue.begin(specification, &service.name, of).await?,
                None => {
                    let help = "name the network that has it: --data, --config or AGENT_KNOWLEDGE";
                    Err(Invalid::new(format!("`{}` is a data set of a network", of.data_set), help))
                }
            };
            services.push(begun.map_err(|Invalid { problem, help }| {
                Failure::Configuration(format!("service `{}`: {problem}\n  help: {help}", service.name))
            })?);
        }
        Ok(Self { services, catalogue, misses: Misses::default() })
    }

    /// Of each service, who chooses among its hosts.
    pub fn routed(&self) -> impl Iterator<Item = (&str, &Arc<Routed>)> {
        self.services.iter().map(|service| (service.name.as_str(), &service.routed))
    }

    /// Of the clients that read a replica, by their place among those of the load.
    pub fn routes(&self) -> BTreeMap<usize, Arc<dyn Route>> {
        let readers = self.services.iter().flat_map(|service| &service.readers);
        readers.map(|reader| (reader.client, reader.route.clone() as Arc<dyn Route>)).collect()
    }

    /// As long as load runs.
    pub async fn follow(&mut self, tell: impl Fn(News)) -> Infallible {
        let Some(catalogue) = self.catalogue.as_ref().filter(|_| !self.services.is_empty()) else {
            return pending().await;
        };
        loop {
            sleep(LOOKS_EVERY).await;
            for service in &mut self.services {
                match catalogue.network.knowledge.snapshot(&service.of.data_set).await {
                    Ok(snapshot) => {
                        self.misses.end().into_iter().for_each(&tell);
                        service.see(catalogue, snapshot.as_ref()).await.into_iter().for_each(&tell);
                    }
                    Err(error) => self.misses.another(error.to_string()).into_iter().for_each(&tell),
                }
            }
        }
    }
}

impl Catalogue {
    fn of(network: Network, allowed: Vec<String>) -> Self {
        let access = match existing_directory(&network.settings, network.data.as_deref()) {
            Ok(data) => Access::new(&network.settings, data),
            Err(_) => Access::to_others(&network.settings),
        };
        Self { network, access, allowed }
    }

    async fn begin(
        &self,
        specification: &Specification,
        name: &str,
        of: &specification::Replicas,
    ) -> anyhow::Result<Result<Service, Invalid>> {
        let snapshot = self.network.knowledge.snapshot(&of.data_set).await?;
        let Some(snapshot) = snapshot else {
            let help = "`agent data list` shows those that there are";
            return Ok(Err(Invalid::new(format!("the network has no data set `{}`", of.data_set), help)));
        };
        Ok(self.begin_at(specification, name, of, &snapshot).await)
    }

    async fn begin_at(
        &self,
        specification: &Specification,
        name: &str,
        of: &specification::Replicas,
        snapshot: &Snapshot,
    ) -> Result<Service, Invalid> {
        let places = places(snapshot, of.of);
        if places.is_empty() {
            let problem = match of.of {
                Some(agent) => format!("agent {agent} refers to no replica of `{}`", of.data_set),
                None => format!("no replica of `{}` can be read now", of.data_set),
            };
            return Err(Invalid::new(problem, "`agent status` shows where replicas are, and who refers to which"));
        }
        if let Some(address) = self.forbidden(&places) {
            return Err(not_allowed(address));
        }
        let record = record(name, &places, 1)?;
        let routed = Arc::new(Routed::by(of.balancing.balancer(record, specification.seed)));
        let clients = specification.clients.iter().enumerate().filter(|(_, client)| client.service == name);
        let mut readers = Vec::new();
        for (client, request) in clients.map(|(index, client)| (index, &client.request)) {
            let Some(Reads::Replica(object)) = &request.reads else { continue };
            let below = below(snapshot, object.as_deref())?;
            let headers = request.headers.clone();
            let templates = RwLock::new(self.templates(&places, below.as_deref(), &headers).await?);
            let route = Arc::new(ReplicaRoute { routed: routed.clone(), templates });
            readers.push(Reader { client, below, headers, route });
        }
        Ok(Service { name: name.to_owned(), of: of.clone(), routed, readers, places, revision: 1 })
    }

    fn forbidden<'a>(&self, places: &'a Places) -> Option<&'a str> {
        places.keys().map(String::as_str).find(|address| !may_be_sent_to(address, &self.allowed))
    }

    /// What is sent to each of these.
    async fn templates(
        &self,
        places: &Places,
        below: Option<&str>,
        headers: &[(String, String)],
    ) -> Result<Templates, Invalid> {
        let mut templates = Templates::new();
        for (address, (place, _)) in places {
            templates.insert(address.clone(), Arc::new(self.template(place, below, headers).await?));
        }
        Ok(templates)
    }

    async fn template(
        &self,
        Place { node, url, object_key }: &Place,
        below: Option<&str>,
        headers: &[(String, String)],
    ) -> Result<Template, Invalid> {
        let cannot = |why: String| {
            let help =
                "a load reads stores as an agent does, with the credentials of its network; docs/load.md says more";
            Invalid::new(format!("the replica on node {node} cannot be read: {why}"), help)
        };
        let settings = self.access.settings(*node, url).await.map_err(|error| cannot(chain(&error)))?;
        if settings.endpoint.starts_with("https:") {
            return Err(cannot("its store speaks https, and load is sent without TLS".to_owned()));
        }
        let key = match (below, SetKeys::by_manifest(object_key)) {
            (Some(below), Some(keys)) => keys.object(below),
            (_, _) => object_key.clone(),
        };
        let SignedGet { host, path } = signed_get(&settings, &key).await.map_err(|error| cannot(error.to_string()))?;
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Template::new("GET", &path, headers.chain([("Host", host.as_str())]), "")
            .map_err(|error| cannot(error.to_string()))
    }
}

impl Service {
    /// What the catalogue says now; `None`: the data set is gone.
    async fn see(&mut self, catalogue: &Catalogue, snapshot: Option<&Snapshot>) -> Option<News> {
        let places = snapshot.map_or_else(Places::new, |snapshot| places(snapshot, self.of.of));
        if places == self.places {
            return None;
        }
        self.revision += 1;
        self.places = places;
        let (service, revision) = (self.name.clone(), self.revision);
        if self.places.is_empty() {
            self.routed.unset();
            return Some(News::Unset { service, revision });
        }
        if let Some(address) = catalogue.forbidden(&self.places) {
            return Some(News::NotAllowed { address: address.to_owned(), service, revision });
        }
        match self.route_to_places(catalogue).await {
            Ok(hosts) => Some(News::Changed { service, hosts, revision }),
            Err(Invalid { problem, .. }) => Some(News::Unusable { service, why: problem }),
        }
    }

    /// What is sent to a store is known before a request goes there.
    async fn route_to_places(&self, catalogue: &Catalogue) -> Result<Vec<Host>, Invalid> {
        let record = record(&self.name, &self.places, self.revision)?;
        let mut all = Vec::new();
        for Reader { below, headers, route, .. } in &self.readers {
            all.push((route, catalogue.templates(&self.places, below.as_deref(), headers).await?));
        }
        for (route, templates) in all {
            route.templates.write().unwrap_or_else(PoisonError::into_inner).extend(templates);
        }
        let hosts = record.hosts().to_vec();
        self.routed.follow(self.of.balancing.kind, record);
        Ok(hosts)
    }
}

/// Where the data set can be read; `of`: only the replica that this agent refers to.
fn places(snapshot: &Snapshot, of: Option<AgentId>) -> Places {
    let present = |row: &&Replica| row.state == ReplicaState::Present;
    let rows: Vec<&Replica> = match of {
        Some(agent) => snapshot.placement.reference(agent).into_iter().filter(present).collect(),
        None => snapshot.placement.present().collect(),
    };
    let mut places = Places::new();
    for row in rows {
        let Some(url) = snapshot.nodes.get(&row.node).and_then(|node| node.store_url.clone()) else { continue };
        let Ok(address) = url.parse::<StoreUrl>().map(|url| url.address()) else { continue };
        let place = Place { node: row.node, url, object_key: row.object_key.clone() };
        places.entry(address).or_insert((place, 0)).1 += 1;
    }
    places
}

fn record(service: &str, places: &Places, revision: u64) -> Result<Record, Invalid> {
    let hosts = places.iter().map(|(address, (_, replicas))| Host::new(address, f64::from(*replicas)));
    Record::new(service, hosts.collect(), revision).map_err(|unroutable| unroutable.invalid)
}

/// The key below the prefix of the object that is to be read, where there are many.
fn below(snapshot: &Snapshot, object: Option<&str>) -> Result<Option<String>, Invalid> {
    let name = &snapshot.data_set.name;
    match (Extent::of(&snapshot.data_set.object_key), object) {
        (Extent::Object(_), None) => Ok(None),
        (Extent::Set(keys), Some(object)) => Ok(Some(keys.below_prefix(object).unwrap_or(object).to_owned())),
        (Extent::Object(_), Some(_)) => Err(Invalid::new(format!("`{name}` is one object"), "leave `object` out")),
        (Extent::Set(_), None) => {
            let help = "name the one that is read: `request = { object = \"part-1.json\" }`";
            Err(Invalid::new(format!("`{name}` has many objects"), help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::mape::scene;

    /// Replicas 1 and 2 on nodes 1 and 2; agent 1 refers to the second.
    fn snapshot(urls: &[(u32, &str)]) -> Snapshot {
        let mut snapshot = scene::snapshot(&[1, 2], &[(1, 2)]);
        let nodes = Arc::make_mut(&mut snapshot.nodes);
        for (node, url) in urls {
            if let Some(node) = nodes.get_mut(&NodeId(*node)) {
                node.store_url = Some((*url).to_owned());
            }
        }
        snapshot
    }

    fn addresses(places: &Places) -> Vec<(&str, u32)> {
        places.iter().map(|(address, (_, replicas))| (address.as_str(), *replicas)).collect()
    }

    #[test]
    fn hosts_are_the_stores_that_hold_a_replica() {
        let both = snapshot(&[(1, "http://a:9000/agent"), (2, "http://b:9000/agent")]);
        assert_eq!(addresses(&places(&both, None)), [("a:9000", 1), ("b:9000", 1)]);
        assert_eq!(addresses(&places(&both, Some(AgentId(1)))), [("b:9000", 1)]);
        assert_eq!(addresses(&places(&both, Some(AgentId(9)))), []);
        let one_server = snapshot(&[(1, "http://a:9000/one"), (2, "http://a:9000/two")]);
        assert_eq!(addresses(&places(&one_server, None)), [("a:9000", 2)]);
        assert_eq!(record("blood", &places(&one_server, None), 1).unwrap().hosts(), [Host::new("a:9000", 2.0)]);
    }

    #[test]
    fn of_many_objects_one_is_named_by_the_owners_key_or_by_what_is_below_the_prefix() {
        let mut many = snapshot(&[]);
        let problem = |snapshot: &Snapshot, object| below(snapshot, object).map_err(|invalid| invalid.problem);
        let name = many.data_set.name.clone();
        assert_eq!(problem(&many, Some("a")), Err(format!("`{name}` is one object")));
        many.data_set.object_key = "scans/2026.manifest.ndjson".to_owned();
        assert_eq!(problem(&many, None), Err(format!("`{name}` has many objects")));
        for object in ["a/1.json", "scans/2026/a/1.json"] {
            assert_eq!(problem(&many, Some(object)), Ok(Some("a/1.json".to_owned())));
        }
    }
}
