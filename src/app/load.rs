//! `agent load`: requests at their intended times, and what they took.

mod conditions;
pub mod daemon;
mod deeds;
pub mod drafts;
pub mod experiments;
mod holding;
pub mod host;
pub mod in_mysql;
mod on_hosts;
mod recorder;
mod replicas;
pub mod routing;
mod s3_reads;
mod steered_run;
mod telemetry;

pub use recorder::Keeping;
pub use steered_run::SteeredRun;

use super::members::{Knowing, around};
use super::{Existing, Failure, existing_directory, open_files, output};
use crate::knowledge::Knowledge;
use crate::membership::asking::Around;
use agent_arrivals::Plan;
use agent_core::clock::Clock;
use agent_core::config::Invalid;
use agent_core::config::settings::{DatabaseUrl, NetworkSettings};
use agent_core::domain::ids::{AgentId, DataSetName};
use agent_core::domain::labels::Labels;
use agent_load::balancer::SharedBalancer;
use agent_load::generator::{
    self, Bounds, Client, Counted, Figures, Load, Observer, Progress, Recorded, Route, Template,
};
use agent_load::register::Scope;
use agent_load::register::experiment::Holder;
use agent_load::routes::{self, Followed, Shared};
use agent_load::specification::{self, Hosts, Listed, RefusedTarget, Share, Specification, refused_targets};
use agent_load::table::LoadTable;
use conditions::{Balanced, Conditions};
use in_mysql::Copied;
use recorder::{About, Recorder};
use replicas::Replicas;
use serde::Serialize;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use telemetry::{Machine, Watch};
use tokio::time::Instant;

/// What is in flight when a run is stopped has so long to end.
const GRACE: Duration = Duration::from_secs(1);

/// More of a client's requests are not counted beforehand.
const COUNTED_AT_MOST: usize = 10_000_000;

/// How a load is made.
pub struct Options {
    pub threads: NonZeroUsize,
    /// As this machine is called among those that send load.
    pub name: String,
    pub labels: Labels,
    /// Every request is kept.
    pub keeping: Option<Keeping>,
    /// For services that the file does not route itself.
    pub router: Option<Router>,
    /// Whose members may know how busy other machines are.
    pub network: Option<Network>,
}

/// The table of a network, and where its members are found.
#[derive(Clone)]
pub struct Network {
    pub load: Arc<dyn LoadTable>,
    pub knowledge: Arc<dyn Knowledge>,
    pub clock: Arc<dyn Clock>,
    settings: Arc<NetworkSettings>,
    /// The directory that was named.
    data: Option<PathBuf>,
}

impl Network {
    /// `data`: the directory that was named.
    pub fn of(settings: &NetworkSettings, data: Option<&Path>, existing: &Existing) -> Self {
        let Existing { load, knowledge, clock, .. } = existing;
        let (settings, data) = (Arc::new(settings.clone()), data.map(Path::to_owned));
        Self { load: load.clone(), knowledge: knowledge.clone(), clock: clock.clone(), settings, data }
    }

    /// Those that are known now; few ask, and it takes a question to the table and to those who know names.
    async fn members(&self) -> Around {
        let data = existing_directory(&self.settings, self.data.as_deref()).ok();
        let knowing = Knowing { network: &self.settings, data: data.as_ref(), at: Vec::new() };
        // What the table does not say is known here, or nobody asks.
        let (members, _) = around(knowing, Some(self.knowledge.as_ref())).await;
        members
    }
}

/// The table of a network, which routes services while load runs.
#[derive(Clone)]
pub struct Router {
    pub table: Arc<dyn LoadTable>,
    /// Hosts other than this machine that may be sent to.
    pub allowed: Vec<String>,
    /// Hears what is changed there.
    pub tell: Arc<dyn Fn(routes::News) + Send + Sync>,
}

/// What a load would send.
#[derive(Serialize)]
pub struct Preview {
    pub name: String,
    pub seed: u64,
    pub services: Vec<PreviewedService>,
    pub clients: Vec<PreviewedClient>,
}

#[derive(Serialize)]
pub struct PreviewedService {
    pub name: String,
    /// `None`: the table of a network says where its requests go.
    #[serde(flatten)]
    pub listed: Option<PreviewedHosts>,
    /// To its replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_set: Option<DataSetName>,
    /// Only to that which this agent refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
}

#[derive(Serialize)]
pub struct PreviewedHosts {
    pub balancer: String,
    /// With their weights.
    pub hosts: BTreeMap<String, f64>,
}

/// All sources of one client of the file.
#[derive(Serialize)]
pub struct PreviewedClient {
    pub service: String,
    pub sources: u32,
    pub request: String,
    /// `None`: more than can be counted in a moment.
    pub requests: Option<usize>,
    /// Of the last of the requests that were counted, since the start.
    pub until_s: f64,
}

/// What a run came to.
#[derive(Serialize)]
pub struct Outcome {
    pub name: String,
    pub seed: u64,
    /// Before its end, by a signal.
    pub is_stopped: bool,
    /// Why the file does not hold every request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_recorded: Option<String>,
    /// Hosts that were nearer than the one that was chosen, and busy; of services that go to the nearest below a threshold.
    pub passed_over: u64,
    /// The load hosts that sent it, each its share; none where this process did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load_hosts: Vec<SharedBy>,
    #[serde(flatten)]
    pub figures: Figures,
}

/// A load host, and what it sent of a load.
#[derive(Serialize)]
pub struct SharedBy {
    pub load_host: String,
    /// `None`: it is gone, and its share is missing.
    #[serde(flatten)]
    pub counted: Option<Counted>,
}

impl Outcome {
    /// The load was not what was meant: requests were late or dropped, or the share of a host is missing.
    pub fn is_short(&self) -> bool {
        self.figures.shortfall().is_some() || self.missing().next().is_some()
    }

    /// What to say first where shares are missing.
    pub fn shortfall(&self) -> Option<String> {
        let missing: Vec<&str> = self.missing().collect();
        (!missing.is_empty()).then(|| {
            let (gone, of, all) = (missing.join(", "), missing.len(), self.load_hosts.len());
            format!(
                "MISSING: what {of} of {all} load hosts sent, which are gone: {gone}; the load was less than intended"
            )
        })
    }

    /// Of hosts that are gone.
    fn missing(&self) -> impl Iterator<Item = &str> {
        self.load_hosts.iter().filter(|host| host.counted.is_none()).map(|host| host.load_host.as_str())
    }
}

/// What was sent of a load, and recorded.
struct Sent {
    recorded: Recorded,
    /// Of that.
    figures: Figures,
    /// Before its end.
    is_stopped: bool,
    not_recorded: Option<String>,
    passed_over: u64,
    /// Which sent it.
    machine: Machine,
}

/// Reads a load, which goes to this machine alone and to hosts that were named.
pub fn read(file: &Path, allowed: &[String]) -> anyhow::Result<Specification> {
    let specification = Specification::load(file)?;
    require_allowed(&file.display().to_string(), &specification, allowed)?;
    Ok(specification)
}

/// `file`: what its problems are said to be in.
fn require_allowed(file: &str, specification: &Specification, allowed: &[String]) -> Result<(), Failure> {
    let refused = refused_targets(specification, allowed);
    let Some(RefusedTarget { address, .. }) = refused.first() else { return Ok(()) };
    let named: Vec<String> = refused.iter().map(RefusedTarget::to_string).collect();
    Err(Failure::Configuration(format!(
        "{file}: {}\n  help: load goes to this machine alone unless a host is named (--allow {address}); name it only if it is yours and bears the load",
        named.join("; "),
    )))
}

pub fn preview(specification: &Specification) -> Preview {
    let listed = |listed: &Listed| PreviewedHosts {
        balancer: listed.balancing.kind.to_string(),
        hosts: listed.record.hosts().iter().map(|host| (host.address.clone(), host.weight)).collect(),
    };
    let service = |service: &specification::Service| {
        let (data_set, agent) = match &service.hosts {
            Hosts::Replicas(of) => (Some(of.data_set.clone()), of.of),
            Hosts::Listed(_) | Hosts::Table => (None, None),
        };
        PreviewedService { name: service.name.clone(), listed: service.listed().map(listed), data_set, agent }
    };
    Preview {
        name: specification.name.clone(),
        seed: specification.seed,
        services: specification.services.iter().map(service).collect(),
        clients: specification.plans().map(|(client, plans)| preview_of(client, plans)).collect(),
    }
}

fn preview_of(client: &specification::Client, plans: impl Iterator<Item = Plan>) -> PreviewedClient {
    let (mut requests, mut last) = (0, Duration::ZERO);
    for arrival in plans.flatten().take(COUNTED_AT_MOST) {
        (requests, last) = (requests + 1, last.max(arrival.at));
    }
    PreviewedClient {
        service: client.service.clone(),
        sources: client.count,
        request: format!("{} {}", client.request.method, client.request.path),
        requests: Some(requests).filter(|all| *all < COUNTED_AT_MOST),
        until_s: last.as_secs_f64(),
    }
}

/// Sends what is specified, until its end or until `stop`.
pub async fn run(
    specification: &Specification,
    options: &Options,
    progress: Arc<Progress>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Outcome> {
    let Sent { figures, is_stopped, not_recorded, passed_over, .. } =
        send(specification, Share::WHOLE, options, progress, stop).await?;
    let (name, seed) = (specification.name.clone(), specification.seed);
    Ok(Outcome { name, seed, is_stopped, not_recorded, passed_over, load_hosts: Vec::new(), figures })
}

/// Sends a share of it.
async fn send(
    specification: &Specification,
    share: Share,
    options: &Options,
    progress: Arc<Progress>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Sent> {
    let Options { threads, name, labels, keeping, router, network } = options;
    if let Some(keeping) = keeping {
        require_file(&keeping.output)?;
    }
    open_files::allow_all()?;
    let allowed = router.as_ref().map(|router| router.allowed.clone()).unwrap_or_default();
    let followed = Shared::new(Followed::new(allowed.clone(), specification.seed));
    let mut routes = routes_of(specification, router.as_ref(), &followed).await?;
    let mut replicas = Replicas::begin(specification, network.as_ref(), &allowed).await?;
    routes.extend(replicas.routed().map(|(service, routed)| (service.to_owned(), Balanced::Followed(routed.clone()))));
    let templates = s3_reads::templates(specification).await?;
    let mut conditions = Conditions::new(routes.values().cloned().collect(), network.clone());
    conditions.look().await;
    let begins = Instant::now();
    let recorder = match keeping {
        Some(keeping) => Some(Recorder::begin(keeping.clone(), About::from(specification), begins).await?),
        None => None,
    };
    let notes = recorder.as_ref().map(Recorder::notes);
    let mut watch = Watch::begin(name, labels, begins);
    notes.iter().for_each(|notes| notes.host(watch.machine()));
    let sampled = |machine: &Machine, sampled| notes.iter().for_each(|notes| notes.sampled(machine, sampled));
    let rerouted = |news: &routes::News| notes.iter().for_each(|notes| notes.rerouted(news));
    let observer = Observer { progress, traces: recorder.as_ref().map(Recorder::traces) };
    let is_stopped = Cell::new(false);
    let stop = async {
        stop.await;
        is_stopped.set(true);
    };
    let load = of(specification, share, &routes, &replicas.routes(), &templates, *threads);
    let recorded = tokio::select! {
        recorded = generator::record(load, observer, stop) => recorded,
        never = following(router.as_ref(), &followed, rerouted) => match never {},
        never = replicas.follow(|news| told(router.as_ref(), &rerouted, news)) => match never {},
        never = watch.go_on(sampled) => match never {},
        never = conditions.go_on() => match never {},
    };
    let passed_over = routes.values().map(Balanced::passed_over).sum();
    let (is_stopped, machine) = (is_stopped.get(), watch.end(sampled));
    let recorded = recorded?;
    let figures = recorded.figures();
    let not_recorded = match recorder {
        Some(recorder) => recorder.end(&figures, is_stopped).await.err(),
        None => None,
    };
    let not_recorded = not_recorded.map(|error| format!("{error:#}"));
    Ok(Sent { recorded, figures, is_stopped, not_recorded, passed_over, machine })
}

pub fn require_file(output: &Path) -> Result<(), Failure> {
    if output::is_file(output) {
        return Ok(());
    }
    let problem = format!("--output {}: requests are kept in a file; name one, like load.db", output.display());
    Err(Failure::Configuration(problem))
}

/// A process that holds something in the table: no two are called alike.
fn holder() -> Holder {
    Holder(format!("{}:{}-{:08x}", experiments::machine(), std::process::id(), rand::random::<u32>()))
}

/// What was made of a file that load is kept in.
#[derive(Serialize)]
pub struct Exported {
    /// The files.
    pub parquet: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mysql: Option<Copied>,
}

/// Writes the tables of a file where else they are wanted.
pub async fn export(file: &Path, parquet: Option<&Path>, mysql: Option<&DatabaseUrl>) -> anyhow::Result<Exported> {
    let database = recorder::reopen(file)?;
    let parquet = match parquet {
        Some(folder) => agent_laboratory::results::export(&database, folder)?,
        None => Vec::new(),
    };
    let mysql = match mysql {
        Some(url) => Some(in_mysql::copy(database, url).await?),
        None => None,
    };
    Ok(Exported { parquet, mysql })
}

/// For the requests of each experiment.
fn make_folder(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let help = "name a folder; the requests of each experiment are kept there";
        Failure::Configuration(format!("--output {}: {error}\n  help: {help}", folder.display()))
    })
}

/// Where the requests of each service go: those of the file, and those of the table's records as they are now.
async fn routes_of(
    specification: &Specification,
    router: Option<&Router>,
    followed: &Shared,
) -> anyhow::Result<BTreeMap<String, Balanced>> {
    let scope = Scope::of_services(specification.routed_by_the_table());
    let entries = match router {
        Some(router) if scope != Scope::default() => router.table.look(scope).await?.entries,
        Some(_) | None => BTreeMap::new(),
    };
    let route = |service: &specification::Service| -> Result<_, Invalid> {
        let name = &service.name;
        let route = match &service.hosts {
            Hosts::Listed(Listed { record, balancing }) => {
                let balancer = balancing.balancer(record.clone(), specification.seed);
                Some(Balanced::Listed(Arc::new(SharedBalancer::new(balancer))))
            }
            Hosts::Table => Some(Balanced::Followed(routes::lock(followed).begin(name, entries.get(name))?)),
            Hosts::Replicas(_) => None,
        };
        Ok(route.map(|route| (name.clone(), route)))
    };
    let routes: Result<_, Invalid> = specification.services.iter().filter_map(|it| route(it).transpose()).collect();
    Ok(routes.map_err(|Invalid { problem, help }| Failure::Configuration(format!("{problem}\n  help: {help}")))?)
}

/// As long as load runs.
async fn following(router: Option<&Router>, followed: &Shared, hears: impl Fn(&routes::News)) -> Infallible {
    match router {
        Some(router) if routes::lock(followed).services().next().is_some() => {
            routes::follow(router.table.as_ref(), followed, |news| told(Some(router), &hears, news)).await
        }
        Some(_) | None => std::future::pending().await,
    }
}

fn told(router: Option<&Router>, hears: &impl Fn(&routes::News), news: routes::News) {
    hears(&news);
    router.into_iter().for_each(|router| (router.tell)(news.clone()));
}

/// As the generator takes it: the sources of all clients, those of one service behind one balancer. `own`: how some clients, by their
/// places, get there; `templates`: of each client.
fn of(
    specification: &Specification,
    share: Share,
    routes: &BTreeMap<String, Balanced>,
    own: &BTreeMap<usize, Arc<dyn Route>>,
    templates: &[Arc<Template>],
    threads: NonZeroUsize,
) -> Load {
    let (mut ids, mut clients) = (1.., Vec::new());
    for (((client, plans), template), place) in specification.plans().zip(templates).zip(0..) {
        // What its sources have in common.
        let service: Arc<str> = client.service.as_str().into();
        let in_flight = share.in_flight(client.in_flight);
        let bounds = Bounds { in_flight, late_after: client.late_after, timeout: client.timeout };
        clients.extend(plans.zip(ids.by_ref()).map(|(plan, id)| Client {
            id,
            service: service.clone(),
            plan: Box::new(share.part(id, plan)),
            numbers: share.numbers(id),
            template: template.clone(),
            // The specification names no service that it does not have.
            route: own.get(&place).map_or_else(|| routes[client.service.as_str()].route(), Arc::clone),
            bounds,
            seed: specification.seed ^ u64::from(id),
        }));
    }
    Load { clients, grace: GRACE, threads: threads.get() }
}
