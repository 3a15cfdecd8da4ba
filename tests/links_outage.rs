//! The emulator goes away while agents run, and comes back. It is nobody's fault: nothing is begun over links that are not
//! there, nothing is held against a node, and when they are there again all goes on.

mod network;

use agent::actors::{Makeup, Notice, Observer, Step};
use agent::app::data_directory::DataDirectory;
use agent::app::hosting::Hosting;
use agent::app::live_agent::LiveAgent;
use agent::app::run::surroundings;
use agent::app::surroundings::Surroundings;
use agent::app::training_file::TrainingFile;
use agent::clock::TimeScale;
use agent::config::settings::EmulatorSettings;
use agent::config::{self, Vocabulary};
use agent::domain::ids::{AgentId, Life, NodeId, ReplicaId};
use agent::domain::invariants;
use agent::domain::snapshot::Snapshot;
use agent::links::emulator::{Emulator, Metrics};
use agent::mape::{executor, planner};
use agent::storage::embedded::Durability;
use network::{PATIENCE, Place};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::watch;

const VOCABULARY: Vocabulary = Vocabulary { policies: &planner::POLICIES, expression: |_| Ok(()) };
const AGENTS: [AgentId; 3] = [AgentId(3), AgentId(1), AgentId(2)];

/// What agents said and wanted, as often as they did.
#[derive(Clone, Default, Debug)]
struct Seen {
    jobs: BTreeMap<AgentId, u32>,
    content: BTreeMap<AgentId, u32>,
    failed: BTreeMap<AgentId, u32>,
    /// Of failed jobs, for people.
    reasons: Vec<String>,
    done: u32,
    claims: u32,
    /// How often a planner was told that a node had failed.
    blamed: u32,
}

impl Seen {
    /// Every agent has this often done what is counted.
    fn all(counted: &BTreeMap<AgentId, u32>, times: u32) -> bool {
        AGENTS.iter().all(|agent| counted.get(agent).is_some_and(|count| *count >= times))
    }
}

/// Sees all agents of the process.
struct Witness(watch::Sender<Seen>);

impl Witness {
    fn hear(&self, notice: &Notice) {
        let agent = notice.agent();
        self.0.send_modify(|seen| match notice {
            Notice::Job { satisfied, .. } => {
                *seen.jobs.entry(agent).or_default() += 1;
                *seen.content.entry(agent).or_default() += u32::from(*satisfied);
            }
            Notice::JobFailed { why, .. } => {
                *seen.failed.entry(agent).or_default() += 1;
                seen.reasons.push(why.clone());
            }
            Notice::Acted { how, .. } => seen.done += u32::from(how == "done"),
            _ => {}
        });
    }

    /// What is counted from now on.
    fn begin_anew(&self) -> Seen {
        self.0.send_replace(Seen::default())
    }

    async fn until(&self, what: &str, holds: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = self.0.subscribe();
        let waited = tokio::time::timeout(PATIENCE, seen.wait_for(|seen| holds(seen))).await;
        let Ok(found) = waited else { panic!("{what}: not within {PATIENCE:?}: {:?}", self.0.borrow()) };
        found.expect("the witness lives").clone()
    }
}

impl Observer for Witness {
    fn started(&self, _: &Makeup, _: &Life) {}

    fn stepped(&self, _: &Life, step: Step) {
        let (claims, blamed) = match step {
            Step::Executor(_, effects) => {
                (effects.iter().filter(|effect| matches!(effect, executor::Effect::Claim(_))).count(), false)
            }
            Step::Planner(input, _) => (0, matches!(input, planner::Input::JobFailed { .. })),
            Step::Monitor(..) => return,
        };
        self.0.send_modify(|seen| {
            seen.claims += u32::try_from(claims).expect("few");
            seen.blamed += u32::from(blamed);
        });
    }
}

/// On the services' threads, as a process of its own would run.
async fn emulator(services: &Handle, address: SocketAddr) -> Emulator {
    services.spawn(Emulator::start(address, Metrics::Off)).await.expect("no panic").expect("an emulator")
}

async fn snapshot(all: &Surroundings) -> Snapshot {
    let name = &all.network().data_set.name;
    all.knowledge.snapshot(name).await.expect("the table answers").expect("a data set")
}

/// Where the data can be read, and who reads it there.
fn placement(snapshot: &Snapshot) -> (Vec<(ReplicaId, NodeId)>, BTreeMap<AgentId, ReplicaId>) {
    let present = snapshot.placement.present().map(|replica| (replica.id, replica.node)).collect();
    (present, snapshot.placement.references.iter().map(|(agent, replica)| (*agent, *replica)).collect())
}

async fn goes_away_and_comes_back(policy: &str, services: &Handle, place: &Place) {
    let away = emulator(services, SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let (address, url) = (away.address(), away.url());
    let mut settings = config::load(None, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"));
    settings.network.time_scale = TimeScale::new(100).expect("a scale");
    settings.network.emulator = EmulatorSettings::Toxiproxy(url.clone());
    let data = DataDirectory::create(&place.data()).expect("a directory");
    let hosting = Hosting { durability: Durability::Kill, create_bucket: false, advertise: None };
    let witness = Arc::new(Witness(watch::Sender::default()));
    let hearing = witness.clone();
    let notify = Arc::new(move |notice: Notice| hearing.hear(&notice));
    let all = surroundings(Arc::new(settings), data, Some(url), services.clone(), hosting, notify).await;
    let all = Surroundings { observer: Some(witness.clone()), ..all.expect("a table") };
    let mut agents = Vec::new();
    for id in AGENTS {
        let training = TrainingFile::embedded(id).expect("a valid file").expect("it is shipped");
        agents.push(LiveAgent::start(&all, id, Some(policy), &training, 7).await.expect("it starts"));
    }
    witness.until("somebody acts", |seen| seen.done > 0 && Seen::all(&seen.jobs, 1)).await;

    away.shutdown().await;
    witness.begin_anew();
    // What was under way ends.
    let ended = witness.until("jobs fail", |seen| Seen::all(&seen.failed, 2)).await;
    let before = placement(&snapshot(&all).await);
    witness.begin_anew();
    let during = witness.until("jobs go on failing", |seen| Seen::all(&seen.failed, 3)).await;
    assert_eq!((during.claims, during.done, during.blamed + ended.blamed), (0, 0, 0), "{during:?}");
    for why in &during.reasons {
        assert!(why.contains("is the emulator running?"), "{why}");
    }
    assert_eq!(placement(&snapshot(&all).await), before, "no replica is dropped, and nobody reads another one");

    let back = emulator(services, address).await;
    witness.begin_anew();
    let after = witness.until("everybody has what it wants", |seen| Seen::all(&seen.content, 1)).await;
    assert_eq!(after.blamed, 0, "{after:?}");
    for agent in agents {
        agent.stop().await;
    }
    let end = snapshot(&all).await;
    assert_eq!(invariants::check(&end.data_set.name, &end.placement), []);
    back.shutdown().await;
}

#[test]
fn nothing_is_begun_or_lost_while_the_emulator_is_away() {
    let services = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    for policy in ["cooperative", "fixed"] {
        let place = Place::new();
        actix::System::new().block_on(goes_away_and_comes_back(policy, services.handle(), &place));
    }
    services.shutdown_timeout(std::time::Duration::from_secs(1));
}
