//! Actors and simulator run the same control loop: all that the loops of a real network were told is recorded, on real sockets
//! and with real bytes, and given to loops like the simulator's again.

use crate::network::{PATIENCE, Place};
use agent::actors::{Observer, Parts, Step};
use agent::app::data_directory::DataDirectory;
use agent::app::hosting::Hosting;
use agent::app::live_agent::LiveAgent;
use agent::app::run::surroundings;
use agent::app::surroundings::start_emulator;
use agent::app::training_file::TrainingFile;
use agent::data::blood_tests::BloodTests;
use agent::storage::embedded::Durability;
use agent_core::clock::TimeScale;
use agent_core::config::{self, Vocabulary};
use agent_core::domain::ids::{AgentId, Life};
use agent_core::mape::chance::Streams;
use agent_core::mape::control_loop::{ControlLoop, Input};
use agent_core::mape::{executor, planner};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const VOCABULARY: Vocabulary = Vocabulary { policies: &planner::POLICIES, expression: |_| Ok(()) };

/// Enough of a run to have decided, acted, lost, learned and answered others.
const ACTIONS: usize = 5;

/// What happened to the loop of each agent.
#[derive(Default)]
struct Recorder {
    agents: Mutex<BTreeMap<Life, Recorded>>,
}

#[derive(Clone)]
struct Recorded {
    parts: Parts,
    steps: Vec<Step>,
}

impl Observer for Recorder {
    fn started(&self, parts: &Parts, life: &Life) {
        let recorded = Recorded { parts: parts.clone(), steps: Vec::new() };
        self.agents.lock().unwrap_or_else(PoisonError::into_inner).insert(life.clone(), recorded);
    }

    fn stepped(&self, life: &Life, step: Step) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.get_mut(life).expect("it started").steps.push(step);
    }
}

impl Recorder {
    fn recorded(&self) -> BTreeMap<Life, Recorded> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Actions that were committed.
    fn actions(&self) -> usize {
        let is_commit = |step: &&Step| matches!(&step.input, Input::Executor(input) if matches!(input.as_ref(), executor::Input::Committed(_)));
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.values().flat_map(|recorded| &recorded.steps).filter(is_commit).count()
    }
}

/// Runs the three-node environment in this process, as `agent demo` does, until so many actions were carried out.
fn demo(policy: &str, seed: u64, actions: usize) -> BTreeMap<Life, Recorded> {
    let place = Place::new();
    let mut settings = config::load(None, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"));
    settings.network.time_scale = TimeScale::new(100).expect("a scale");
    let services = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let recorder = Arc::new(Recorder::default());
    actix::System::new().block_on(async {
        let (address, emulator) =
            start_emulator(&settings.network.emulator, services.handle()).await.expect("an emulator");
        let data = DataDirectory::create(&place.data()).expect("a directory");
        let hosting = Hosting { durability: Durability::Kill, create_bucket: false, advertise: None };
        let (settings, threads, silent) = (Arc::new(settings), services.handle().clone(), Arc::new(|_| {}));
        let all = surroundings(settings, data, address, threads, hosting, silent).await.expect("a table");
        let all = agent::app::surroundings::Surroundings { observer: Some(recorder.clone()), ..all };
        let mut agents = Vec::new();
        // At this scale the data set is another one than the shipped training was measured on.
        let records = all.network().time_scale.shrink(
            all.network().data_sets.values().next().and_then(|it| it.generate_records).expect("it is generated"),
        );
        let data_set = BloodTests::new(records).generate(std::io::sink()).expect("nothing is written");
        // The one that brings the data set comes first.
        for id in [3, 1, 2].map(AgentId) {
            let shipped = TrainingFile::embedded(id).expect("a valid file").expect("it is shipped");
            let training = TrainingFile { sha256: data_set.sha256.clone(), records, ..shipped };
            agents.push(LiveAgent::start(&all, id, Some(policy), &training, seed).await.expect("it starts"));
        }
        let began = Instant::now();
        while recorder.actions() < actions {
            assert!(began.elapsed() < PATIENCE, "{} actions in {PATIENCE:?}", recorder.actions());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for agent in agents {
            agent.stop().await;
        }
        if let Some(emulator) = emulator {
            emulator.shutdown().await;
        }
    });
    services.shutdown_timeout(Duration::from_secs(1));
    recorder.recorded()
}

/// What a loop of the same parts makes of the same inputs, one list of effects for each.
fn replayed(parts: &Parts, life: &Life, seed: u64, steps: &[Step]) -> Vec<String> {
    let Parts { parameters, policy, experiences, rhythm, .. } = parts.clone();
    let mut again = ControlLoop::new(&parameters, &policy, rhythm, &life.to_string(), experiences);
    let mut streams = Streams::new(seed);
    steps.iter().map(|step| format!("{:?}", again.handle(step.input.clone(), &mut streams))).collect()
}

fn replays(policy: &str, seed: u64, actions: usize) {
    let agents = demo(policy, seed, actions);
    assert_eq!(agents.len(), 3);
    let mut decisions = 0;
    for (life, Recorded { parts, steps }) in &agents {
        let was: Vec<String> = steps.iter().map(|step| format!("{:?}", step.effects)).collect();
        let again = replayed(parts, life, parts.seed, steps);
        if let Some(at) = (0..was.len()).find(|at| was[*at] != again[*at]) {
            let shown = |effects: &str| effects.chars().take(2000).collect::<String>();
            let input = shown(&format!("{:?}", steps[at].input));
            panic!("{life}, input {at}: {input}\nrecorded\n{}\nreplayed\n{}", shown(&was[at]), shown(&again[at]));
        }
        decisions += was.iter().filter(|effects| effects.contains("Decided(")).count();
        assert!(!was.iter().any(|effects| effects.contains("Unexpected(")), "{life}");
        // It is no accident: with other chance it would have paused, and decided, otherwise.
        assert_ne!(was, replayed(parts, life, parts.seed + 1, steps), "{life}: the seed has no say");
    }
    assert!(decisions >= actions, "{decisions} decisions were compared");
}

#[test]
fn the_inputs_of_the_fixed_policys_actors_lead_to_what_they_did() {
    replays("fixed", 3, ACTIONS);
}

#[test]
fn the_inputs_of_the_reference_policys_actors_lead_to_what_they_did() {
    replays("reference", 4, ACTIONS);
}

#[test]
fn the_inputs_of_the_cooperative_policys_actors_lead_to_what_they_did() {
    // It needs no more.
    replays("cooperative", 5, 2);
}
