//! What the API takes over a long history: a page of events, a stream for each of many, the page that people see, and what all that
//! asking does to a job of the same process.
//!
//! `cargo bench --bench api -- [EVENTS [CLIENTS [REQUESTS [STREAMS [JOBS]]]]]`. Server and clients are one process over loopback, on threads of
//! their own; memory is the process's, clients included.

mod asked;
mod linked_stores;

use agent::api::server::{self, Of, Options};
use agent::app::data_directory::DataDirectory;
use agent::app::hosting::Hosting;
use agent::app::surroundings::Surroundings;
use agent::app::vocabulary::VOCABULARY;
use agent::http_server::HttpServer;
use agent::jobs::Job as _;
use agent::jobs::aggregate::AggregateJob;
use agent::knowledge::SharedTable;
use agent::knowledge::sqlite::SqliteKnowledge;
use agent::storage::embedded::Durability;
use agent_core::clock::{Clock, FollowingClock, TimeScale};
use agent_core::config::scenario;
use agent_core::config::settings::Settings;
use agent_core::domain::action::Action;
use agent_core::domain::ids::{AgentId, DataSetName, Life, NodeId, ReplicaId};
use agent_core::domain::placement::{DataSet, Identity, Node, NodeState, Plan, Registration};
use agent_core::domain::validators::Validators;
use agent_core::knowledge::Knowledge as _;
use agent_core::sim;
use asked::{Asked, asked};
use linked_stores::LinkedStores;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

const NETWORK: &str = "fixtures/scenarios/nodes_100.toml";
const PAGE: &str = "/api/v1/events?limit=100";
/// Of the job: 36 requests one after the other, as the demo's has.
const RECORDS: u64 = 18_000;
const REQUEST_BYTES: NonZeroU64 = NonZeroU64::new(300_000).unwrap();
const LATENCY: Duration = Duration::from_millis(20);
/// Events, clients, requests of each, streams, and jobs of each kind, when it is only to be seen that it works.
const MOMENT: [usize; 5] = [2_000, 4, 5, 20, 1];

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let number = |index: usize, otherwise| numbers.get(index).copied().unwrap_or(otherwise);
    let [events, clients, requests, streams, jobs] = match asked("api") {
        Asked::Everything => [number(0, 1_000_000), number(1, 50), number(2, 100), number(3, 1000), number(4, 20)],
        Asked::AMoment => MOMENT,
        Asked::Nothing => return,
    };
    let (services, apart) = (runtime("server"), runtime("clients"));
    let directory = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let surroundings = services.block_on(history(directory.path(), events, services.handle()));
    println!("{events} events of 100 agents on 100 nodes, made in {:.1} s", began.elapsed().as_secs_f64());
    let table = surroundings.knowledge.clone();
    let name = services.block_on(table.data_sets()).unwrap().remove(0);
    let server = serve(surroundings);
    let address = server.address();
    for path in [PAGE, "/api/v1/events?limit=100&sort=descending", "/api/v1/events?limit=100&agent=7"] {
        let took = apart.block_on(ask_at_once(address, path, clients, requests));
        println!("{path}: {clients} clients, {}", told(took));
    }
    let first = apart.block_on(ask_at_once(address, "/page/now", 1, 1));
    let page = apart.block_on(ask_at_once(address, "/page/now", 1, requests.min(50)));
    println!("/page/now: at first {:.0} ms, then {}", first[0] * 1e3, told(page));
    let before = resident();
    let mut listening = apart.block_on(listen(address, streams));
    let took = apart.block_on(async {
        let posted = Instant::now();
        table.record_nothing(&plan("told", &name)).await.unwrap();
        for stream in &mut listening {
            hear(stream, "event: posted").await;
        }
        posted.elapsed()
    });
    let grown = resident().saturating_sub(before) as f64 / 1e6;
    println!("{streams} streams: {grown:.0} MB, an event reached all after {:.0} ms", took.as_secs_f64() * 1e3);
    drop(listening);
    beside_a_job(address, &apart, clients, jobs);
    services.block_on(server.shutdown());
}

/// How long a job takes while nobody asks, while clients look every half second, and while they ask without a pause; in turns.
fn beside_a_job(address: SocketAddr, apart: &Runtime, clients: usize, jobs: usize) {
    let work = runtime("work");
    let stores = work.block_on(LinkedStores::start(RECORDS, LATENCY));
    let job = AggregateJob::new("avg(cholesterol)".parse().unwrap(), REQUEST_BYTES);
    let seconds = || {
        let began = Instant::now();
        work.block_on(job.run(&stores.source)).unwrap();
        began.elapsed().as_secs_f64()
    };
    let beside = |requests, pause| {
        let asking = apart.spawn(async move {
            loop {
                ask_at_once(address, PAGE, clients, requests).await;
                tokio::time::sleep(pause).await;
            }
        });
        let took = seconds();
        asking.abort();
        took
    };
    seconds();
    let mut took = [(); 3].map(|()| Vec::with_capacity(jobs));
    for _ in 0..jobs {
        let turn = [seconds(), beside(1, Duration::from_millis(500)), beside(1000, Duration::ZERO)];
        took.iter_mut().zip(turn).for_each(|(all, seconds)| all.push(seconds));
    }
    let [alone, looked_at, pressed] = took.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    });
    let more = |seconds: f64| 100.0 * (seconds / alone - 1.0);
    println!("a job: {alone:.3} s alone");
    println!("a job: {looked_at:.3} s, {:+.1} %, while {clients} clients look twice a second", more(looked_at));
    println!("a job: {pressed:.3} s, {:+.1} %, while {clients} clients ask without a pause", more(pressed));
    work.block_on(stores.stop());
}

fn runtime(name: &str) -> Runtime {
    Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build().unwrap()
}

/// A hundred nodes and agents, and what they did: all of it long over.
async fn history(directory: &Path, events: usize, services: &Handle) -> Surroundings {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(NETWORK);
    let scenario = sim::expand(scenario::load(&file, &VOCABULARY).unwrap_or_else(|error| panic!("{error}")));
    let clock: Arc<dyn Clock> = Arc::new(FollowingClock::new(TimeScale::REAL));
    let path = directory.join("network.db");
    let table = SqliteKnowledge::open(&path, clock.clone()).unwrap();
    let network = scenario.network.clone();
    let node = |id: &NodeId| Node {
        id: *id,
        name: format!("node-{id}"),
        store_url: Some("http://127.0.0.1/data".to_owned()),
        availability: network.nodes[id].availability,
        capacity_bytes: None,
        state: NodeState::Running,
        heartbeat_at: None,
        labels: Default::default(),
        store: Default::default(),
        contact: Default::default(),
    };
    let nodes: Vec<Node> = network.nodes.keys().map(node).collect();
    table.register_network(&nodes, &network.links).await.unwrap();
    let name = scenario.agents.values().next().unwrap().data_sets[0].clone();
    table.register_data_set(&data_set(&name), nodes[0].id, "data.json", &Validators::default()).await.unwrap();
    for settings in scenario.agents.values() {
        let identity = Identity {
            life: Life(format!("life-{}", settings.id)),
            ended: Vec::new(),
            silence: Duration::from_secs(30),
        };
        let goal = settings.goal.to_string();
        let registration = Registration {
            agent: settings.id,
            node: settings.node,
            goal,
            policy: "cooperative".to_owned(),
            may_run_on: Default::default(),
        };
        table.register_agent(&registration, std::slice::from_ref(&name), &identity).await.unwrap();
    }
    table.record_nothing(&plan("first", &name)).await.unwrap();
    multiply(&path, events);
    let settings = Settings { network, agents: scenario.agents };
    let data = DataDirectory::create(directory).unwrap();
    let hosting = Hosting { durability: Durability::Kill, create_bucket: false, advertise: None };
    let (settings, table, services) = (Arc::new(settings), SharedTable::new(table), services.clone());
    Surroundings::new(settings, data, clock, table, services, hosting, Arc::new(|_| {}))
}

fn data_set(name: &DataSetName) -> DataSet {
    DataSet {
        name: name.clone(),
        object_key: "data.json".to_owned(),
        bytes: 1_000_000,
        records: 0,
        sha256: "0".repeat(64),
        versions: Default::default(),
        guard: Default::default(),
    }
}

/// Doing nothing, with as long an explanation as decisions have.
fn plan(key: &str, data_set: &DataSetName) -> Plan {
    Plan {
        key: key.to_owned(),
        agent: AgentId(1),
        data_set: data_set.clone(),
        reference: ReplicaId(1),
        action: Action::Nothing,
        explored: false,
        expected: Default::default(),
        generation: None,
        detail: format!("{{\"because\": \"{}\"}}", "it scored highest of many. ".repeat(40)),
    }
}

/// The one event so many times, by agents in turn.
fn multiply(path: &Path, events: usize) {
    let table = rusqlite::Connection::open(path).unwrap();
    let sql = "with recursive number(n) as (select 2 union all select n + 1 from number where n < ?1)
               insert into events (idempotency_key, agent, data_set, replica, action, action_type, from_node, to_node, explored,
                                   posted_at_ms, closes_at_ms, state, outcome, ended_at_ms, feedback_sum, detail)
               select 'k' || n, 1 + n % 100, data_set, replica, action, action_type, from_node, to_node, explored,
                      posted_at_ms + n, closes_at_ms + n, 'closed', 'done', posted_at_ms + n, feedback_sum, detail
               from events, number where events.id = 1";
    table.execute(sql, [i64::try_from(events).unwrap()]).unwrap();
}

fn serve(surroundings: Surroundings) -> HttpServer {
    let options = Options { listen: SocketAddr::from(([127, 0, 0, 1], 0)), certificate: None, plain: false };
    server::start(Of { surroundings, agents: Vec::new(), configuration: None, pace: None }, &options).unwrap()
}

/// What each request took \[s\], of so many clients that ask one after the other.
async fn ask_at_once(address: SocketAddr, path: &str, clients: usize, requests: usize) -> Vec<f64> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let client = |_| {
        let request = request.clone();
        async move {
            let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
            let mut took = Vec::with_capacity(requests);
            for _ in 0..requests {
                let began = Instant::now();
                stream.write_all(request.as_bytes()).await.unwrap();
                answer(&mut stream).await;
                took.push(began.elapsed().as_secs_f64());
            }
            took
        }
    };
    // Given up all together.
    let clients: JoinSet<Vec<f64>> = (0..clients).map(client).collect();
    clients.join_all().await.concat()
}

/// One answer, whole.
async fn answer(stream: &mut BufReader<TcpStream>) {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let lower = line.to_ascii_lowercase();
        assert!(!lower.starts_with("http/1.1 ") || lower.starts_with("http/1.1 200"), "{line}");
        if let Some(value) = lower.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).await.unwrap();
}

fn told(mut took: Vec<f64>) -> String {
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize] * 1e3;
    format!("median {:.1} ms, p95 {:.1} ms", at(0.5), at(0.95))
}

async fn listen(address: SocketAddr, streams: usize) -> Vec<BufReader<TcpStream>> {
    let mut listening = Vec::with_capacity(streams);
    for _ in 0..streams {
        let mut stream = BufReader::with_capacity(1024, TcpStream::connect(address).await.unwrap());
        let request = format!("GET /api/v1/events/stream HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        hear(&mut stream, "\r\n").await;
        listening.push(stream);
    }
    listening
}

/// Until a line begins so.
async fn hear(stream: &mut BufReader<TcpStream>, beginning: &str) {
    let mut line = String::new();
    while !line.starts_with(beginning) {
        line.clear();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "the stream has ended");
    }
}

/// This process's memory \[bytes\].
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1000
}
