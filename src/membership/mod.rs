//! The node of an agent as a member of its network: it finds the others, says how it is, and measures what nobody declares.
//!
//! What is said, believed and measured is the machine's in the package `agent_membership`. Here is what it needs of an agent:
//! `files` (its key and its start), `own` (what it says of itself), `table` (what of it is written for all, and what all tell it),
//! `news` (what people are told), `asking` (for commands, which are no members).
//!
//! Nothing that fails here ends an agent: it goes on as one without peers.

pub mod asking;
mod files;
mod news;
mod own;
mod table;
mod watched;

pub use files::{Peer, Seen, all_seen};
pub use table::key;

use crate::actors::{Ear, Notice, World, chain};
use agent_core::clock::Clock;
use agent_core::config::settings::MembershipSettings;
use agent_core::domain::environment::Links;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::labels::Labels;
use agent_membership::udp::{self, Pace, Running, StartError};
use agent_membership::{Adapt, Input, NetworkId, Settings, Tuning, View};
use anyhow::Context as _;
use files::Files;
use own::OwnValues;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// However short a second of the scenario is, a node does not talk to its peers more often than this.
const LEAST_INTERVAL: Duration = Duration::from_millis(50);
/// With so many intervals between what happens and who knows it, an adaptive fan-out is content.
const TARGET_AGE_INTERVALS: u32 = 15;
/// How long a node that leaves goes on so that others hear of it.
const GOODBYE: Duration = Duration::from_millis(100);
/// How often what was seen is kept, on the wall.
const KEPT_EVERY: Duration = Duration::from_secs(60);

/// Which node becomes a member, and how.
pub struct Wanted {
    pub settings: MembershipSettings,
    pub agent: AgentId,
    pub node: NodeId,
    pub name: String,
    pub labels: Labels,
    /// What peers are told instead of where it listens, where no configuration says so.
    pub advertise: Option<String>,
    pub links: Links,
    /// Whether the node's store is on this machine, so that the way here is the way to it.
    pub has_store: bool,
    pub data: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub services: Handle,
    pub notify: Arc<dyn Fn(Notice) + Send + Sync>,
}

impl Wanted {
    fn trouble(&self, what: String) {
        (self.notify)(Notice::Trouble { agent: self.agent, what }.shortened());
    }
}

/// What a member has of an agent as soon as the shared table can be reached.
#[derive(Clone)]
pub struct Attached {
    pub world: Arc<World>,
    /// Where the agent hears what its links are like.
    pub ear: Ear,
    pub heartbeat: Duration,
}

/// A node that is a member, until this is dropped.
pub struct Membership {
    running: Arc<Running>,
    shared: Arc<Shared>,
    attached: watch::Sender<Option<Attached>>,
    tasks: Vec<AbortOnDropHandle<()>>,
}

/// A member as others in this process see it, for as long as it runs.
#[derive(Clone)]
pub struct Watched {
    running: Weak<Running>,
    view: watch::Receiver<Arc<View>>,
}

impl Watched {
    /// Whom it sees, at the latest interval.
    pub fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// Whether it takes other parameters.
    pub fn tune(&self, tuning: Tuning) -> bool {
        self.running.upgrade().is_some_and(|running| running.tell(Input::Tune(tuning)))
    }
}

/// What its tasks share.
struct Shared {
    wanted: Wanted,
    files: Files,
    own: OwnValues,
    view: watch::Receiver<Arc<View>>,
}

impl Membership {
    /// `None`: the configuration wants none, or it cannot be, which is told.
    pub async fn begin(wanted: Wanted) -> Option<Self> {
        let listen = wanted.settings.listen?;
        let (agent, node, notify) = (wanted.agent, wanted.node, wanted.notify.clone());
        let started = Self::start(wanted, listen).await;
        started
            .map_err(|error| {
                let what = format!("node {node} is no member of its network: {error:#}");
                notify(Notice::Trouble { agent, what }.shortened());
            })
            .ok()
    }

    async fn start(wanted: Wanted, listen: SocketAddr) -> anyhow::Result<Self> {
        let files = Files::new(&wanted.data, agent_membership::NodeId(wanted.node.0))?;
        let identity = files.identity()?;
        let address = advertised(&wanted, listen).await;
        let own = OwnValues::new(&wanted);
        let saved = files.seen();
        let seeds: Vec<String> = wanted.settings.join.clone();
        let start = udp::Start {
            settings: machine_settings(&wanted, address),
            identity,
            own: own.now(),
            listen,
            seeds,
            pace: Pace::from_now(1.0),
            saved: saved.availabilities,
            seed: rand::random(),
        };
        // Its sockets belong to the services' threads.
        let services = wanted.services.clone();
        let started = {
            let _within = services.enter();
            udp::start(start)
        };
        let mut running = started.map_err(explained)?;
        let (told, view) = (running.events(), running.view());
        // Whom it knew before; the table may know others.
        let remembered: Vec<SocketAddr> = saved.peers.iter().map(|peer| peer.address).collect();
        running.tell(Input::Seeds(remembered.into()));
        let shared = Arc::new(Shared { wanted, files, own, view });
        let (running, (attached, attachment)) = (Arc::new(running), watch::channel(None));
        let mut tasks = vec![
            services.spawn(table::follow(shared.clone(), running.clone(), attachment.clone())),
            services.spawn(look_after(shared.clone(), running.clone(), attachment)),
        ];
        tasks.extend(watched::emit(&shared.wanted).map(|emitting| services.spawn(emitting)));
        tasks.extend(
            shared.wanted.settings.aggregator.clone().map(|at| services.spawn(watched::pass_on(shared.clone(), at))),
        );
        tasks.extend(told.map(|told| services.spawn(news::tell(shared.clone(), told))));
        let tasks = tasks.into_iter().map(AbortOnDropHandle::new).collect();
        Ok(Self { running, shared, attached, tasks })
    }

    /// From now on the shared table is there, and an agent.
    pub fn attach(&self, attached: Attached) {
        self.attached.send_replace(Some(attached));
    }

    /// For whoever looks at it, and tunes it, from elsewhere.
    pub fn watched(&self) -> Watched {
        Watched { running: Arc::downgrade(&self.running), view: self.shared.view.clone() }
    }

    /// Says goodbye, and keeps whom it saw.
    pub async fn leave(mut self) {
        self.tasks.clear();
        keep_seen(&self.shared, &self.running).await;
        // It ends when the last who holds it lets go; until then it answers nobody as if it stayed.
        if self.running.tell(Input::Leave) {
            tokio::time::sleep(GOODBYE).await;
        }
    }
}

/// Each interval: what the node says of itself, and what its links are like; from time to time what is kept.
async fn look_after(shared: Arc<Shared>, running: Arc<Running>, attachment: watch::Receiver<Option<Attached>>) {
    let mut told = own::LinksTold::default();
    // At once, so that commands find this member.
    keep_seen(&shared, &running).await;
    let mut kept_at = tokio::time::Instant::now();
    let pause = interval(&shared.wanted.settings, shared.wanted.clock.as_ref());
    loop {
        running.tell(Input::Observed(Box::new(shared.own.now())));
        let view = shared.view.borrow().clone();
        if shared.wanted.links == Links::Measured
            && let Some(attached) = attachment.borrow().as_ref()
        {
            attached.ear.links(told.changed(&view, shared.wanted.clock.as_ref()));
        }
        if kept_at.elapsed() >= KEPT_EVERY {
            keep_seen(&shared, &running).await;
            kept_at = tokio::time::Instant::now();
        }
        tokio::time::sleep(pause).await;
    }
}

async fn keep_seen(shared: &Shared, running: &Running) {
    let view = shared.view.borrow().clone();
    let others = view.members.iter().map(|seen| seen.record.record()).filter(|record| record.node != running.node);
    let peer = |record: &agent_membership::Record| Peer {
        node: record.node.0,
        address: record.address,
        public_key: record.key.to_string(),
    };
    let seen = Seen {
        address: Some(own_record(&view, running).unwrap_or(running.address)),
        peers: others.map(peer).collect(),
        availabilities: running.availabilities().await,
    };
    if let Err(error) = shared.files.keep_seen(seen) {
        shared.wanted.trouble(format!("{error:#}"));
    }
}

/// Where peers are told that this node is.
fn own_record(view: &View, running: &Running) -> Option<SocketAddr> {
    view.of(running.node).map(|own| own.record.record().address)
}

/// By the clock, in which members live: packets and machines are no faster where a scenario is.
pub fn interval(settings: &MembershipSettings, clock: &dyn Clock) -> Duration {
    clock.apply(settings.interval).max(LEAST_INTERVAL)
}

fn machine_settings(wanted: &Wanted, address: SocketAddr) -> Settings {
    let interval = interval(&wanted.settings, wanted.clock.as_ref());
    let fan_out = wanted.settings.fan_out;
    Settings {
        interval,
        fan_out,
        adapt: wanted.settings.adapt.then(|| adapt(interval)),
        availability_window: Some(wanted.clock.apply(wanted.settings.window)),
        ..Settings::new(NetworkId::named(&wanted.settings.network), address)
    }
}

/// How the fan-out follows the age of what is known, with so long an interval.
pub fn adapt(interval: Duration) -> Adapt {
    Adapt { target_age: interval * TARGET_AGE_INTERVALS, least: 1, most: agent_membership::MAX_FAN_OUT }
}

/// The address that peers are told: as it is stated, else where it listens, else that of this machine on the way to others.
async fn advertised(wanted: &Wanted, listen: SocketAddr) -> SocketAddr {
    let stated = wanted.settings.advertised(wanted.node, &wanted.name).or_else(|| wanted.advertise.clone());
    if let Some(stated) = stated {
        match resolved(&stated).await {
            Ok(address) => return address,
            Err(error) => wanted.trouble(format!("{error:#}; peers are told another address")),
        }
    }
    let ip = if listen.ip().is_unspecified() { own_address(listen) } else { listen.ip() };
    SocketAddr::new(ip, listen.port())
}

async fn resolved(address: &str) -> anyhow::Result<SocketAddr> {
    let help = || format!("the address `{address}`, under which peers are to find this node, does not resolve");
    let mut found = tokio::net::lookup_host(address).await.with_context(help)?;
    found.next().with_context(help)
}

/// No datagram is sent: the system only says which way one would go.
fn own_address(listen: SocketAddr) -> IpAddr {
    const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
    let found = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(SOMEWHERE)?;
        socket.local_addr()
    });
    match found {
        Ok(address) => address.ip(),
        Err(_) if listen.is_ipv6() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        Err(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

fn explained(error: StartError) -> anyhow::Error {
    anyhow::anyhow!("{}; see `[membership] listen` in network.toml", chain(&error))
}
