//! The emulator goes away while agents run, and comes back. It is nobody's fault: nothing is begun over links that are not
//! there, nothing is held against a node, and when they are there again all goes on.

use crate::network::{PATIENCE, Place};
use agent::actors::{Notice, Observer, Parts, Step};
use agent::app::data_directory::DataDirectory;
use agent::app::hosting::Hosting;
use agent::app::live_agent::LiveAgent;
use agent::app::run::surroundings;
use agent::app::surroundings::Surroundings;
use agent::app::training_file::TrainingFile;
use agent::storage::embedded::Durability;
use agent::storage::transfer::{Expected, transfer};
use agent_core::clock::TimeScale;
use agent_core::config::settings::EmulatorSettings;
use agent_core::config::{self, Vocabulary};
use agent_core::domain::action::Action;
use agent_core::domain::failure::FailureKind;
use agent_core::domain::ids::{AgentId, Life, NodeId, ReplicaId};
use agent_core::domain::invariants;
use agent_core::domain::placement::{Claim, Plan};
use agent_core::domain::saga::{self, Claimed, Committed};
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::validators::Validators;
use agent_core::mape::control_loop::{Effect, Input};
use agent_core::mape::{executor, monitor, planner};
use agent_emulator::{Emulator, Metrics};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::watch;

const VOCABULARY: Vocabulary = Vocabulary { policies: &planner::POLICIES, expression: |_| Ok(()) };
/// It acts between jobs, too, so that it wants to while all jobs fail.
const POLICY: &str = "cooperative";
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
    /// Actions that were not begun.
    put_off: u32,
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
            Notice::JobFailed { failure, .. } => {
                *seen.failed.entry(agent).or_default() += 1;
                seen.reasons.push(failure.why.clone());
            }
            Notice::Acted { how, .. } => {
                seen.done += u32::from(how == "done");
                seen.put_off += u32::from(how.starts_with("not now: "));
            }
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
        let Ok(found) = waited else { panic!("{what}: not within {PATIENCE:?}: {:?}", *self.0.borrow()) };
        found.expect("the witness lives").clone()
    }
}

impl Observer for Witness {
    fn started(&self, _: &Parts, _: &Life) {}

    fn stepped(&self, _: &Life, step: Step) {
        let is_claim = |effect: &&Effect| matches!(effect, Effect::Executor(effect) if matches!(effect.as_ref(), executor::Effect::Claim(_)));
        let claims = step.effects.iter().filter(is_claim).count();
        let blamed = matches!(&step.input, Input::Monitor(monitor::Input::JobFailed { failure, .. })
            if failure.kind == FailureKind::Store);
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
    let name = all.network().data_sets.keys().next().expect("one is configured");
    all.knowledge.snapshot(name).await.expect("the table answers").expect("a data set")
}

/// Where the data can be read, and who reads it there.
fn placement(snapshot: &Snapshot) -> (Vec<(ReplicaId, NodeId)>, BTreeMap<AgentId, ReplicaId>) {
    let present = snapshot.placement.present().map(|replica| (replica.id, replica.node)).collect();
    (present, snapshot.placement.references.iter().map(|(agent, replica)| (*agent, *replica)).collect())
}

/// Carries an action of an agent out by hand, as far as the table is concerned; `None`: it has come to nothing.
async fn act(all: &Surroundings, agent: AgentId, action: Action) -> Option<()> {
    let before = snapshot(all).await;
    let subject = saga::subject(&before.placement, action)?;
    let plan = Plan {
        key: format!("by-hand-{action}"),
        agent,
        data_set: before.data_set.name.clone(),
        reference: before.placement.references[&agent],
        action,
        explored: false,
        expected: [(subject.id, subject.generation)].into(),
        generation: None,
        detail: "{}".to_owned(),
    };
    let rhythm = &all.network().rhythm;
    let claimed = all.knowledge.claim(&plan, rhythm.lease, all.network().feedback.window).await;
    let Claimed::Granted(claim) = claimed.expect("the table answers") else { return None };
    let arrived = bring(all, &before, &claim).await;
    let committed = all.knowledge.commit(claim.event, &arrived, rhythm.drain).await.expect("the table answers");
    matches!(committed, Committed::Done { .. }).then_some(())
}

/// The bytes, if any travel: from store to store, for there are no links.
async fn bring(all: &Surroundings, before: &Snapshot, Claim { source, destination, .. }: &Claim) -> Validators {
    let Some(to) = destination else { return Validators::default() };
    let from = all.direct_store(source.node).await.expect("a store");
    let into = all.direct_store(to.node).await.expect("a store");
    let expected = Expected { bytes: before.data_set.bytes, sha256: before.data_set.sha256.clone() };
    let sent = transfer(&from, &source.object_key, None, &into, &to.object_key, &expected, |_| {}).await;
    sent.expect("bytes").validators().clone()
}

/// Leaves a replica that nobody reads, where there was none: one of its node's agent will read it or drop it.
async fn leave_a_replica(all: &Surroundings) {
    let before = snapshot(all).await;
    // What is still to be deleted there does not count: without links it cannot be.
    let taken: Vec<NodeId> = before.placement.present().map(|replica| replica.node).collect();
    let to = before.nodes.keys().copied().find(|node| !taken.contains(node)).expect("two replicas serve these goals");
    let agent = AGENTS[0];
    let from = before.placement.reference(agent).expect("it reads something").node;
    act(all, agent, Action::Copy { from, to }).await.expect("nobody else acts");
    act(all, agent, Action::ChangeReference { to: from }).await.expect("nobody else acts");
}

async fn goes_away_and_comes_back(services: &Handle, place: &Place) {
    let away = emulator(services, SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let (address, url) = (away.address(), away.url());
    let mut settings = config::load(None, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"));
    settings.network.time_scale = TimeScale::new(50).expect("a scale");
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
        agents.push(LiveAgent::start(&all, id, Some(POLICY), &training, 7).await.expect("it starts"));
    }
    witness.until("somebody acts", |seen| seen.done > 0 && Seen::all(&seen.jobs, 1)).await;

    away.shutdown().await;
    witness.begin_anew();
    // What was under way ends.
    let ended = witness.until("jobs fail", |seen| Seen::all(&seen.failed, 2)).await;
    leave_a_replica(&all).await;
    let before = placement(&snapshot(&all).await);
    witness.begin_anew();
    let during = witness.until("it is tried again", |seen| Seen::all(&seen.failed, 3) && seen.put_off >= 2).await;
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
    let place = Place::new();
    actix::System::new().block_on(goes_away_and_comes_back(services.handle(), &place));
    services.shutdown_timeout(std::time::Duration::from_secs(1));
}
